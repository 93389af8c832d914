"""Configuration of the Alertmanager sink."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, HttpUrl, model_validator

from monitor.config_values.checked_text import matching
from monitor.config_values.durations import Duration
from monitor.config_values.secret_files import SecretText, secrets_from_files
from monitor.detection.records.finding import Severity
from monitor.sinks.config import SinkConfig, SinkName

LabelName = Annotated[str, matching(r"[a-zA-Z_][a-zA-Z0-9_]*", "a label's name: letters, digits and _, no digit first")]


class AlertmanagerSinkConfig(SinkConfig):
    """Posts alerts to Alertmanager's API v2 and keeps them alive there while they fire."""

    type: Literal["alertmanager"]
    name: SinkName = Field("alertmanager", description="unique; stands in metrics and in the outbox, so keep it")
    min_severity: Severity = Field(Severity.WARNING, description="info, warning or critical: the least it takes")
    urls: tuple[HttpUrl, ...] = Field(min_length=1, description="every peer of the cluster: each gets each alert")
    labels: dict[LabelName, str] = Field(default_factory=dict, description="labels to add, such as cluster: eu-1")
    username: str | None = Field(None, description="for basic authentication")
    password: SecretText | None = Field(None, description="for basic authentication, better ${NAME} than here")
    password_file: str | None = Field(None, description="or a file that holds it")
    keep_alive: Duration = Field(
        60.0, gt=0, validate_default=True, description="how often a firing alert is sent again"
    )
    expires_after: Duration = Field(
        300.0, gt=0, validate_default=True, description="Alertmanager resolves an alert not repeated for so long"
    )
    timeout: Duration = Field(10.0, gt=0, le=300, validate_default=True, description="for the whole exchange")

    _secrets = secrets_from_files("password")

    @model_validator(mode="after")
    def _consistent(self) -> AlertmanagerSinkConfig:
        if self.expires_after < 2 * self.keep_alive:
            raise ValueError("expires_after must be at least twice keep_alive, or one lost post resolves the alert")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password come together")
        return self
