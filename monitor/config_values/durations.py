"""Spans of time as operators write them: `30s`, `15m`, `12h`, `7d`, or a bare number of seconds.

May import nothing from this project.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|[smhdw])?\s*", re.ASCII)


def parse_duration(value: object) -> float:
    """Seconds in `value`: a number, or a text such as `90s`, `15m`, `12h`, `7d`, `2w`, `250ms`.

    Raises `ValueError` for anything else; the sign and range are the caller's to check.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a duration such as 30s, 15m, 12h or 7d")
    if isinstance(value, int | float):
        return float(value)
    match = _TEXT.fullmatch(value)
    if match is None:
        raise ValueError("must be a duration such as 30s, 15m, 12h or 7d")
    return float(match[1]) * _UNITS[match[2] or "s"]


def format_duration(seconds: float) -> str:
    """The shortest exact form: 90 -> `90s`, 900 -> `15m`, 604800 -> `7d`; the inverse of `parse_duration`."""
    for unit in ("d", "h", "m", "s", "ms"):
        text = f"{round(seconds / _UNITS[unit])}{unit}"
        if parse_duration(text) == seconds and text != "1m":
            return text
    return f"{seconds!r}s"


Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")]
"""A pydantic field in seconds that reads `15m` and writes it back."""


def in_words(seconds: float, least: float = 2.0) -> str:
    """An approximate length of time: `40 s`, `40 min`, `7 h`, `12 days`.

    Minutes and hours are used from `least` of them on, days from two.
    """
    for size, unit in ((_UNITS["d"], "days"), (_UNITS["h"], "h"), (_UNITS["m"], "min")):
        if seconds >= size * (2.0 if unit == "days" else least):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
