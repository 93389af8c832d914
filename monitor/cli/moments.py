"""Moments as operators write them, such as `--since 13:00`. Always in UTC, as alerts are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from monitor.errors import ConfigError

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*UTC|Z)?", re.IGNORECASE)
_AGO = re.compile(r"\d+(?:\.\d+)?\s*(?:s|m|h|d|w)(?:\s+ago)?", re.IGNORECASE)


def parse_moment(text: str, now: float, option: str) -> float:
    """Seconds since 1970 of a moment in the past, in UTC.

    `13:00` is the latest 13:00, `2h` two hours ago; else a date or a date and time (ISO 8601). `now` is in seconds
    since 1970. Raises `ConfigError` that names `option` for anything else.
    """
    from monitor.config_values.durations import parse_duration

    text = text.strip()
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        if hour < 24 and minute < 60 and second < 60:
            today = datetime.fromtimestamp(now, UTC).replace(hour=hour, minute=minute, second=second, microsecond=0)
            return (today if today.timestamp() <= now else today - timedelta(days=1)).timestamp()
    if _AGO.fullmatch(text):
        return now - parse_duration(re.sub(r"\s+ago$", "", text, flags=re.IGNORECASE))
    try:
        moment = datetime.fromisoformat(re.sub(r"\s*UTC$", "+00:00", text, flags=re.IGNORECASE))
    except ValueError:
        raise ConfigError(
            f"{option} {text}: must be a time such as 13:00 (UTC), 2026-11-30T13:00 or 2h (two hours ago)"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
