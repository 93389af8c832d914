"""What the configurations of all sinks share. Each sink's folder adds its own type.

May import `monitor.alerting` and below.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from monitor.alerting.alert import Alert
from monitor.alerting.lifecycle.book import is_at_least
from monitor.config_values.checked_text import matching
from monitor.config_values.durations import Duration
from monitor.detection.records.finding import Severity

SinkName = Annotated[
    str, matching(r"[a-z0-9][a-z0-9_.-]{0,63}", "1 to 64 of a-z, 0-9, dot, _ and -, first a letter or digit")
]


Per = Literal["incident", "alert"]


class SinkConfig(BaseModel):
    """Which alerts a sink takes, and the name that it has in metrics, the outbox and the log.

    A subclass sets `type` (a `Literal` of one word, the name of its folder) and `EXAMPLE`: its settings as lines of
    YAML, which `config/monitor.yaml` and the reference show.
    """

    EXAMPLE: ClassVar[str]

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(description="which sink: the name of its folder")
    name: SinkName = Field(description="unique; used in metrics and in the outbox: do not rename it")
    routes: tuple[str, ...] = Field(("*",), min_length=1, description="globs of the routes it takes (streams[].route)")
    min_severity: Severity = Field(Severity.INFO, description="lowest severity it takes: info, warning or critical")

    def takes(self, alert: Alert) -> bool:
        """Whether the alert's route and severity are for this sink."""
        return is_at_least(alert.severity, self.min_severity) and any(
            fnmatchcase(alert.route, pattern) for pattern in self.routes
        )


class PeopleSinkConfig(SinkConfig):
    """A sink that notifies people: of one cause once, whatever the number of streams in which it is seen."""

    per: Per = Field("incident", description="incident: one message for one cause in many streams; alert: one each")


class HttpSinkConfig(SinkConfig):
    """A sink that posts to a URL: in `url`, or `urls` where there are several."""

    timeout: Duration = Field(10.0, gt=0, le=300, validate_default=True, description="limit for the whole exchange")
