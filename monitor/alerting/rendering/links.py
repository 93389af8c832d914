"""Links of an alert: URL templates that operators set, filled per alert.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

import string
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator

PLACEHOLDERS = ("stream", "kind", "id", "from_ms", "to_ms", "event_id", "runbook", "owner")
"""What a template may name: `from_ms` and `to_ms` span the change in milliseconds since 1970, `event_id` is the first
example after the change, `runbook` the name of the runbook."""


def check_template(template: str) -> str:
    """The template itself; raises `ValueError` where it names something that is not among `PLACEHOLDERS`."""
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ValueError(f"not a template: {error}") from None
    for field in fields:
        if field not in PLACEHOLDERS:
            raise ValueError(f"unknown placeholder {{{field}}}, known are {', '.join(PLACEHOLDERS)}")
    return template


class LinkTemplates(BaseModel):
    """URL templates; an empty one gives no link."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dashboard: str = Field(
        "", description="such as http://grafana:3000/d/oqm-stream?var-stream={stream}&from={from_ms}"
    )
    trace: str = Field("", description="such as http://tempo.example/search?event={event_id}")
    runbook: str = Field(
        "", description="such as https://wiki.example/runbooks/{runbook}; empty: the path of the runbook's file"
    )

    @field_validator("dashboard", "trace", "runbook")
    @classmethod
    def _known_placeholders(cls, template: str) -> str:
        return check_template(template)


def fill(template: str, values: dict[str, str]) -> str | None:
    """The URL with each value percent-encoded; None for an empty template or where a value it needs is not known."""
    fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    if not template or any(not values.get(field) for field in fields):
        return None
    return template.format(**{name: quote(value, safe="") for name, value in values.items()})
