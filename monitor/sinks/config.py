"""What the configuration of every sink has in common. Each sink's own folder adds its type.

May import `monitor.alerting` and below.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from monitor.alerting.alert import Alert
from monitor.alerting.lifecycle.book import is_at_least
from monitor.config_values.checked_text import matching
from monitor.detection.records.finding import Severity

SinkName = Annotated[
    str, matching(r"[a-z0-9][a-z0-9_.-]{0,63}", "1 to 64 of a-z, 0-9, dot, _ and -, first a letter or digit")
]


Per = Literal["incident", "alert"]


class SinkConfig(BaseModel):
    """Which alerts a sink takes, under which name it is known in metrics, the outbox and the log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: SinkName = Field(description="unique; stands in metrics and in the outbox, so keep it")
    routes: tuple[str, ...] = Field(("*",), min_length=1, description="globs of the routes it takes (streams[].route)")
    min_severity: Severity = Field(Severity.INFO, description="info, warning or critical: the least it takes")

    def takes(self, alert: Alert) -> bool:
        """Whether the alert's route and severity are for this sink."""
        return is_at_least(alert.severity, self.min_severity) and any(
            fnmatchcase(alert.route, pattern) for pattern in self.routes
        )


class PeopleSinkConfig(SinkConfig):
    """A sink that wakes people: one cause is told to them once, in however many streams it is seen."""

    per: Per = Field("incident", description="incident: one cause in many streams is told once; alert: each stream")
