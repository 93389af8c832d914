"""What travels of an output for people to read: its beginning, its end, and facts of the call, in one bounded text.

A change may stand at the end of an output (a disclaimer that is appended, an answer that is cut off) or beside it (the
tool that is called, the dependency that failed, the time that grew), so the first characters alone do not show it. The
parts are joined by a control character that no part holds. A message of before has the beginning alone, and reads so.

Written by `monitor.features.quoted_outputs`; which part is shown decides `monitor.detection.diagnosis.excerpt_window`.
"""

from __future__ import annotations

from typing import NamedTuple

_SEPARATOR = "\x1e"  # ASCII's record separator


class Parts(NamedTuple):
    """An output as it is quoted; `tail` and `facts` may be empty."""

    head: str
    tail: str = ""
    facts: str = ""


def joined(parts: Parts) -> str:
    """The parts as one text, without a trace of empty ones at the end."""
    return _SEPARATOR.join(part.replace(_SEPARATOR, " ") for part in parts).rstrip(_SEPARATOR)


def parts_of(quoted: str) -> Parts:
    """The parts of what `joined` gave."""
    head, *more = quoted.split(_SEPARATOR)
    return Parts(head, *more[:2])


def head_of(quoted: str) -> str:
    """The beginning alone."""
    return quoted.partition(_SEPARATOR)[0]
