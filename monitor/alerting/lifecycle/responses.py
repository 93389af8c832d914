"""What people did about alerts, and why an alert that fires is not sent.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class DeferralReason(StrEnum):
    """Why an alert that fires is not sent now."""

    MAINTENANCE = "maintenance"
    SNOOZE = "snooze"
    FLAPPING = "flapping"


class OperatorResponse(msgspec.Struct):
    """What people did about one alert, the latest of each kind; times in seconds since 1970.

    `reminded` is False while a snooze runs at whose end the alert is to be sent again.
    """

    acked_by: str | None = None
    acked_at: float = 0.0
    snoozed_until: float | None = None
    snoozed_by: str | None = None
    snoozed_at: float = 0.0
    false_by: str | None = None
    reminded: bool = True


class FalseAlarm(msgspec.Struct, frozen=True):
    """An alert that a person marked false; `time` is when it was marked."""

    stream: str
    kind: str
    time: float
