"""Configuration of the Alertmanager sink."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, HttpUrl, model_validator

from monitor.config_values.checked_text import matching
from monitor.config_values.durations import Duration
from monitor.config_values.secret_files import SecretText, secrets_from_files
from monitor.detection.records.finding import Severity
from monitor.sinks.config import HttpSinkConfig, SinkName

LabelName = Annotated[str, matching(r"[a-zA-Z_][a-zA-Z0-9_]*", "a label's name: letters, digits and _, no digit first")]


class AlertmanagerSinkConfig(HttpSinkConfig):
    """Posts alerts to Alertmanager's API v2 and keeps them alive there while they fire."""

    EXAMPLE: ClassVar[str] = """\
urls: ["http://127.0.0.1:9093"]
labels: {cluster: eu-1}
min_severity: warning
keep_alive: 60s                 # how often a firing alert is sent again
expires_after: 5m               # an alert that is not repeated for this long resolves by itself
timeout: 10s
"""

    type: Literal["alertmanager"]
    name: SinkName = Field("alertmanager", description="unique; used in metrics and in the outbox: do not rename it")
    min_severity: Severity = Field(Severity.WARNING, description="lowest severity it takes: info, warning or critical")
    urls: tuple[HttpUrl, ...] = Field(min_length=1, description="every peer of the cluster: all get each alert")
    labels: dict[LabelName, str] = Field(default_factory=dict, description="labels to add, such as cluster: eu-1")
    username: str | None = Field(None, description="for basic authentication")
    password: SecretText | None = Field(None, description="for basic authentication, better ${NAME} than in the file")
    password_file: str | None = Field(None, description="file that holds the password, instead")
    keep_alive: Duration = Field(
        60.0, gt=0, validate_default=True, description="how often a firing alert is sent again"
    )
    expires_after: Duration = Field(
        300.0,
        gt=0,
        validate_default=True,
        description="Alertmanager resolves an alert not repeated for this long",
    )

    _secrets = secrets_from_files("password")

    @model_validator(mode="after")
    def _consistent(self) -> AlertmanagerSinkConfig:
        if self.expires_after < 2 * self.keep_alive:
            raise ValueError("expires_after must be at least twice keep_alive, or one lost post resolves the alert")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password come together")
        return self
