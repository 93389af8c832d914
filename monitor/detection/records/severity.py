"""`Severity` of findings and alerts. Pure."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How loudly to say it."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
