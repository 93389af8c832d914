"""Configuration of the PagerDuty sink."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, HttpUrl, SecretStr, field_validator

from monitor.config_values.secret_files import secrets_from_files
from monitor.detection.records.finding import Severity
from monitor.sinks.config import HttpSinkConfig, PeopleSinkConfig, SinkName

PagerDutySeverity = Literal["critical", "error", "warning", "info"]
SEVERITIES: dict[Severity, PagerDutySeverity] = {
    Severity.CRITICAL: "critical",
    Severity.WARNING: "warning",
    Severity.INFO: "info",
}
_KEY_CHARS = 32
"""Length of an integration key of the Events API v2."""


class PagerDutySinkConfig(PeopleSinkConfig, HttpSinkConfig):
    """Triggers, acknowledges and resolves alerts in PagerDuty by its Events API v2."""

    EXAMPLE: ClassVar[str] = """\
routing_key: ${OQM_PAGERDUTY_KEY}
min_severity: critical
severities: {warning: error}    # PagerDuty's severity for each of ours
"""

    type: Literal["pagerduty"]
    name: SinkName = Field("pagerduty", description="unique; used in metrics and in the outbox: do not rename it")
    min_severity: Severity = Field(Severity.WARNING, description="lowest severity it takes: info, warning or critical")
    routing_key: SecretStr = Field(
        description="integration key of the service (Events API v2), better ${NAME} than in the file"
    )
    routing_key_file: str | None = Field(None, description="file that holds the key, instead")
    url: HttpUrl = Field(
        HttpUrl("https://events.pagerduty.com/v2/enqueue"),
        description="https://events.eu.pagerduty.com/v2/enqueue in the EU's service region",
    )
    severities: dict[Severity, PagerDutySeverity] = Field(
        default_factory=dict,
        description="PagerDuty's severity for ours, such as {warning: error} where only critical and error call people",
    )

    _secrets = secrets_from_files("routing_key")

    @field_validator("routing_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        value = key.get_secret_value()
        if len(value) != _KEY_CHARS or not value.isascii() or not value.isalnum():
            raise ValueError(f"must be the integration key's {_KEY_CHARS} letters and digits")
        return key
