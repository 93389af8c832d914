"""Numbers and paths in other people's files: decimal commas, units of durations, columns inside of nested JSON.

Pure. May import `monitor.errors` and this package's notes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from statistics import median
from typing import Any, Literal, TypeAlias

import msgspec

Commas: TypeAlias = Literal["decimal", "thousands", "unclear"]
"""What a comma in a column's numbers is."""

MISSING_TEXTS = frozenset(
    ("", "nan", "nat", "none", "null", "na", "n/a", "#n/a", "<na>", "-", "inf", "-inf", "infinity", "-infinity", "\\n")
)
"""What tools write, in any case, where a number or a time is missing."""

_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_DURATION = re.compile(
    r"(?P<number>[^a-zµμ]+?)\s*(?P<unit>s|sec|secs|seconds?|ms|msecs?|millis|milliseconds?|us|µs|μs|ns)"
)
_UNITS = {"m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "s": 1.0}

# Where the median of a column `latency` lies says its unit. Calls of models take from a tenth of a second to a minute
# or two: 60 s is 60,000 ms. Between the ranges the unit is unclear.
MOST_SECONDS = 60.0
LEAST_MILLISECONDS = 250.0  # between it and 60 the unit is unclear: a minute in seconds, or a fast answer in ms
MOST_MILLISECONDS = 600_000.0
"""Ten minutes; a larger median is in microseconds or nanoseconds."""
LEAST_NANOSECONDS = 5e7  # 50 ms in ns; in microseconds it would be 50 s
SUSPICIOUS_SECONDS = 300.0
"""A median from here on, in a column that is named as seconds, is worth a note."""


def is_missing(cell: Any) -> bool:
    """Whether a cell of a number or a time says that there is none."""
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING_TEXTS)


def commas_of(cells: Iterable[Any], *, whole: bool, semicolons: bool) -> Commas:
    """What commas in a column are, from some of its cells.

    Parameters
    ----------
    cells
        The column's cells; all but texts with a comma are passed over.
    whole
        The column counts something: 1,234 is 1234.
    semicolons
        The file separates columns by semicolons, as programs do where the comma is the decimal mark.
    """
    seen = [cell.strip() for cell in cells if isinstance(cell, str) and "," in cell]
    if any(_DECIMAL.fullmatch(cell) and not _THOUSANDS.fullmatch(cell) for cell in seen):
        return "decimal"
    if any(_DECIMAL.fullmatch(cell) and not _EITHER.fullmatch(cell) for cell in seen):  # 0,002
        return (
            "decimal" if not any(_THOUSANDS.fullmatch(cell) and cell.count(",") > 1 for cell in seen) else "thousands"
        )
    if whole or any(_THOUSANDS.fullmatch(cell) and not _EITHER.fullmatch(cell) for cell in seen):
        return "thousands"
    return "decimal" if semicolons else "unclear"


def number_of(cell: Any, commas: Commas) -> float | int | None:
    """A cell as a number; None where it is none, or not surely."""
    if isinstance(cell, bool):
        return None
    if isinstance(cell, (int, float)):
        return cell if math.isfinite(cell) else None
    if not isinstance(cell, str) or len(cell) > 400:
        return None
    text = cell.strip().replace("\u00a0", "").replace("\u202f", "")
    if "," in text:
        if commas == "decimal" and _DECIMAL.fullmatch(text):
            text = text.replace(".", "").replace(",", ".")
        elif commas == "thousands" and _THOUSANDS.fullmatch(text):
            text = text.replace(",", "")
        else:
            return None
    if not _PLAIN.fullmatch(text):
        return None
    number = int(text) if text.lstrip("+-").isdecimal() else float(text)
    return number if math.isfinite(number) else None


def duration_of(cell: Any, commas: Commas) -> tuple[float, float | None] | None:
    """A duration's number, and what it is multiplied by to be seconds where the text names its unit (`1377ms`)."""
    if isinstance(cell, str):
        found = _DURATION.fullmatch(cell.strip().lower())
        if found is not None:
            number = number_of(found["number"], commas)
            return None if number is None else (float(number), _UNITS[found["unit"][0]])
    number = number_of(cell, commas)
    return None if number is None else (float(number), None)


def unit_of(durations: list[float]) -> tuple[str, float] | None:
    """The unit of a column of latencies and what makes seconds of it, from its median; None where it is unclear."""
    middle = median(durations)
    if middle <= MOST_SECONDS:
        return "seconds", 1.0
    if middle < LEAST_MILLISECONDS:
        return None
    if middle <= MOST_MILLISECONDS:
        return "milliseconds", 1e-3
    return ("microseconds", 1e-6) if middle < LEAST_NANOSECONDS else ("nanoseconds", 1e-9)


# --- paths ------------------------------------------------------------------------------------------------------

_STEP = re.compile(r'"(?P<quoted>[^"]*)"|(?P<plain>[^."]+)')
_MOST_STEPS = 24  # JSON of model responses is six to ten levels deep; bounds the work for a hostile name


def steps_of(column: str) -> list[str]:
    """The steps of a path: `a."b.c".0` is a, b.c and 0."""
    return [found["quoted"] if found["quoted"] is not None else found["plain"] for found in _STEP.finditer(column)][
        :_MOST_STEPS
    ]


def dig(content: Any, steps: list[str]) -> Any:
    """What stands at a path in nested JSON; None where nothing does.

    A name with dots in it is tried before the steps that its parts would be (`attributes.output.value` finds
    `{"attributes": {"output.value": ...}}`), the longest first. A text on the way that is JSON is opened.
    """
    if not steps:
        return content
    if isinstance(content, str):
        content = _opened(content)
    if isinstance(content, dict):
        for taken in range(len(steps), 0, -1):
            name = ".".join(steps[:taken])
            if content.get(name) is not None:
                found = dig(content[name], steps[taken:])
                if found is not None:
                    return found
    elif isinstance(content, list):
        step = steps[0]
        if step.isdecimal() and len(step) < 9 and int(step) < len(content):
            return dig(content[int(step)], steps[1:])
        if step.startswith("-") and step[1:].isdecimal() and 0 < int(step[1:9]) <= len(content):
            return dig(content[-int(step[1:9])], steps[1:])
    return None


def _opened(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None


def begins(columns: Iterable[str], path: str) -> bool:
    """Whether a path begins with one of these columns."""
    names = set(columns)
    steps = steps_of(path)
    return path in names or any(".".join(steps[: k + 1]) in names for k in range(len(steps)))
