"""Times and lengths of time as people read them, in UTC.

Light: commands import it at their start. May import nothing from this project.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

_OUT_OF_RANGE = "?"


def moment(time: float | None, *, zone: bool = True) -> str:
    """`2026-11-23 09:41:07 UTC`; a dash where the time is not known, a question mark where no calendar has it.

    `zone=False` leaves `UTC` out, for columns whose head says it.
    """
    if time is None or not math.isfinite(time):
        return "-"
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S") + (" UTC" if zone else "")
    except (OverflowError, ValueError, OSError):
        return _OUT_OF_RANGE


def clock(time: float | None) -> str:
    """`09:41 UTC` for a title; empty where a time is not known."""
    text = moment(time)
    return f"{text[11:16]} UTC" if text.endswith("UTC") and len(text) == len("2026-11-23 09:41:07 UTC") else ""


def span(seconds: float) -> str:
    """A length of time in its largest fitting unit: `40 s`, `12 min`, `3.5 h`, `2 days`."""
    size = abs(seconds)
    if size < 60:
        return f"{size:.0f} s"
    if size < 3600:
        return f"{size / 60:.0f} min"
    if size < 48 * 3600:
        return f"{size / 3600:.1f} h".replace(".0 h", " h")
    return f"{size / 86_400:.0f} days"
