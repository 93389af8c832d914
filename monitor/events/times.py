"""`moment_of`: seconds since 1970 from what programs write as a time.

Numbers are seconds, milliseconds, microseconds or nanoseconds since 1970, recognised by their size. Texts are RFC 3339
in full, and the spellings of common data tools: a space in place of `T`, ` UTC`, `Z[UTC]`, an offset without colon, a
comma before the fraction, fractions of any length, e-mail dates, Apache's log format, names of months. A text that two
countries read differently (`1/2/2026`) is refused rather than guessed.

Pure. May import `monitor.errors` and `monitor.events.reasons` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from monitor.errors import InvalidEvent
from monitor.events.reasons import Reason

ADVICE = "send 2026-01-31T12:00:00Z or seconds since 1970"

EARLIEST = 631_152_000.0  # 1990-01-01: no output of a model is older; zeros and dates left at their default are
LATEST = 4_102_444_800.0  # 2100-01-01
_FROM = 946_684_800.0
"""2000-01-01: from here on a number's size says its unit. With it the ranges of the units do not touch, and .NET's
ticks of 100 ns since year 1 (6.4e17 now) are not taken for nanoseconds."""
_UNITS = (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # what numbers of seconds count from
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DIGITS = re.compile(r"(?P<date>(?:19|20)\d{6})(?P<time>\d{4}(?:\d\d(?:\d{3}|\d{6})?)?)?")
_MONTH = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_CLOCK = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?"
)
_ZONE = (
    r"(?:\s*(?:(?P<zulu>z|utc|gmt|ut)?\s*(?P<offset>[+\-\u2212]\d\d(?::?\d\d)?(?::?\d\d)?)?))"
    r"(?:\s*(?:utc|gmt|z))?"
    r"(?:\s*m=[+-][\d.]+)?"  # Go's monotonic clock
    r"(?:\s*\[?(?P<region>[a-z]+(?:/[a-z0-9_+\-]+)+|utc|gmt|z)\]?)?"
)
_ISO = re.compile(
    r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})"
    rf"(?:(?:t|_|\s+(?:@\s*|at\s+)?|,\s*){_CLOCK}{_ZONE})?",
    re.IGNORECASE,
)
_BASIC = re.compile(
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)[t\s](?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?"
    rf"(?:[.,](?P<fraction>\d+))?(?P<half>)?{_ZONE}",
    re.IGNORECASE,
)
_NAMED = (
    # 31 Jan 2026 12:00:00, Sat, 31 Jan 2026 12:00:00 GMT, 31/Jan/2026:12:00:00 +0000
    re.compile(
        rf"(?:[a-z]{{3,9}},?\s+)?(?P<day>\d{{1,2}})[\s\-/]+{_MONTH}[\s\-/,]+(?P<year>\d{{4}})"
        rf"(?:(?::|,?\s+(?:@\s*|at\s+)?){_CLOCK}{_ZONE})?",
        re.IGNORECASE,
    ),
    # Jan 31, 2026 @ 12:00:00.000
    re.compile(
        rf"(?:[a-z]{{3,9}},?\s+)?{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})"
        rf"(?:(?:,|\s)\s*(?:@\s*|at\s+)?{_CLOCK}{_ZONE})?",
        re.IGNORECASE,
    ),
    # Sat Jan 31 12:00:00 UTC 2026
    re.compile(
        rf"(?:[a-z]{{3}}\s+){_MONTH}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}{_ZONE}\s+(?P<year>\d{{4}})",
        re.IGNORECASE,
    ),
    # 31.01.2026 12:00: with dots the day comes first everywhere
    re.compile(
        rf"(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}})(?:,?\s+{_CLOCK}{_ZONE})?",
        re.IGNORECASE,
    ),
)
_SLASHES = re.compile(
    r"(?P<one>\d{1,2})(?P<sign>[/-])(?P<two>\d{1,2})(?P=sign)(?P<year>\d{4}|\d\d)"
    rf"(?:(?:,|\s)\s*(?:@\s*|at\s+)?{_CLOCK}{_ZONE})?",
    re.IGNORECASE,
)
_ZONE_NAME = re.compile(r".*\d\s*[A-Za-z]{2,5}$", re.DOTALL)
_COMMENT = re.compile(r" \([^()]*\)$")  # what JavaScript puts behind an offset: (Coordinated Universal Time)
_JSON_NAMES = {bool: "boolean", list: "array", type(None): "null"}
_LONGEST = 100  # characters of a text that may be a time: the longest spelling, with a region's name, has 60


class Moment(NamedTuple):
    """A time: `seconds` since 1970, and the unit that a number was in where that was not seconds."""

    seconds: float
    unit: str | None = None


def moment_of(value: Any, *, day_first: bool | None = None) -> Moment:
    """The time that a number or a text says; a text without an offset is taken as UTC.

    `day_first` says how 1/2/2026 is read, where its column says it (`day_first_in`); otherwise it is refused.

    Raises `InvalidEvent` (`bad_time`) for anything else.
    """
    kind = type(value)
    if kind is float or kind is int:
        return _of_number(value)
    if kind is str:
        return _of_text(value, day_first)
    if kind is dict:
        return _of_object(value)
    raise _refused(f"time: a JSON {_JSON_NAMES.get(kind, kind.__name__)}")


def text_of(seconds: float) -> str:
    """A time for people, whatever the number: `2026-01-31 12:00:00 UTC`, or the number where no calendar has it."""
    moment = in_calendar(seconds)
    if abs((moment - _EPOCH).total_seconds() - seconds) < 1.0:
        return f"{moment.replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"
    return f"{seconds:g} s since 1970"


def in_calendar(seconds: float) -> datetime:
    """A time in UTC; one before year 1 or after 9999 is the calendar's first or last moment, so that none fails."""
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(microsecond=0, tzinfo=UTC)
    if not (first - _EPOCH).total_seconds() <= seconds <= (last - _EPOCH).total_seconds():
        return first if seconds < 0 else last
    return datetime.fromtimestamp(seconds, UTC)


def _refused(what: str) -> InvalidEvent:
    return InvalidEvent(Reason.BAD_TIME, f"{what}; {ADVICE}")


def _of_number(value: float) -> Moment:
    if not -1e18 < value < 1e19:
        raise _refused("time: out of range")
    value = float(value)
    if _FROM <= value <= LATEST:
        return Moment(value)
    for unit, factor in _UNITS:
        if _FROM * factor <= value <= LATEST * factor:
            return Moment(value / factor, unit)
    if value >= 1e18:
        raise _refused("time: out of range")
    date = _of_digits(str(int(value))) if value.is_integer() and value >= 19_900_101 else None
    return Moment(value) if date is None else date


def _of_digits(digits: str) -> Moment | None:
    """20260131, 20260131120000: a date written as a number, where it is one; as seconds it would lie in 1970."""
    found = _DIGITS.fullmatch(digits)
    if found is None:
        return None
    date, time = found["date"], found["time"] or "0000"
    try:
        moment = datetime(
            int(date[:4]), int(date[4:6]), int(date[6:]), int(time[:2]), int(time[2:4]), int(time[4:6] or 0), tzinfo=UTC
        )
    except ValueError:
        return None
    seconds = (moment - _EPOCH).total_seconds()
    return Moment(seconds + (float(f"0.{time[6:]}") if time[6:] else 0.0)) if seconds >= EARLIEST else None


def _of_object(value: dict[str, Any]) -> Moment:
    """`{"$date": ...}`, `{"seconds": 1, "nanos": 2}`: as databases and protocol buffers export times."""
    for name in ("$date", "$numberLong"):
        if set(value) == {name}:
            moment = moment_of(value[name])
            return Moment(moment.seconds)  # their unit is said by their format
    for seconds, nanos in (("seconds", "nanos"), ("_seconds", "_nanoseconds"), ("seconds", "nanoseconds")):
        if seconds in value and set(value) <= {seconds, nanos}:
            try:
                return Moment(float(value[seconds]) + float(value.get(nanos) or 0) / 1e9)
            except (TypeError, ValueError):
                break
    raise _refused("time: a JSON object")


def day_first_in(cells: Iterable[Any]) -> bool | None:
    """Whether the dates of a column have the day before the month: some have a number above 12 in one place only."""
    first = second = False
    for cell in cells:
        found = _SLASHES.fullmatch(cell.strip()) if isinstance(cell, str) and len(cell) <= _LONGEST else None
        if found is not None:
            first |= int(found["one"]) > 12
            second |= int(found["two"]) > 12
    return None if first == second else first


def _of_text(text: str, day_first: bool | None) -> Moment:
    stripped = text.strip()
    if len(stripped) <= _LONGEST:
        stripped = _COMMENT.sub("", " ".join(stripped.split()))
    if 0 < len(stripped) <= _LONGEST:
        if _NUMBER.fullmatch(stripped):
            date = _of_digits(stripped)
            if date is not None:
                return date
            return _of_number(int(stripped) if stripped.isdecimal() else float(stripped))
        for form in (_ISO, _BASIC, *_NAMED):
            found = form.fullmatch(stripped)
            if found is not None:
                return Moment(_seconds(found.groupdict(), text))
        try:
            moment = datetime.fromisoformat(stripped)  # weeks and ordinal days of ISO 8601
        except ValueError:
            pass
        else:
            return Moment((moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH).total_seconds())
        found = _SLASHES.fullmatch(stripped)
        if found is not None:
            if day_first is None:
                raise _refused(f"time: {text!r} may be day/month or month/day")
            part = found.groupdict()
            part["day"], part["month"] = (part["one"], part["two"]) if day_first else (part["two"], part["one"])
            part["year"] = f"20{part['year']}"[-4:]
            return Moment(_seconds(part, text))
        if _ZONE_NAME.fullmatch(stripped) and stripped[:4].isdecimal():
            raise _refused(f"time: {text!r} names a zone that has no one meaning")
    raise _refused("time: not RFC 3339")


def _seconds(part: dict[str, str | None], text: str) -> float:
    month = _MONTHS[(part["name"] or "").lower()] if part.get("name") else int(part.get("month") or 0)
    hour = int(part["hour"] or 0)
    half = (part.get("half") or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise _refused(f"time: {text!r} is no time of day")
        hour = hour % 12 + 12 * (half == "p")
    second = int(part["second"] or 0)
    leap = second == 60  # RFC 3339 has leap seconds; clocks of computers do not
    next_day = hour == 24 and not int(part["minute"] or 0) and not second  # ISO 8601 ends a day so
    try:
        moment = datetime(
            int(part["year"] or 0), month, int(part["day"] or 0),
            0 if next_day else hour, int(part["minute"] or 0), 59 if leap else second, tzinfo=_zone(part, text),
        )  # fmt: skip
        whole = (moment - _EPOCH).total_seconds()
    except (ValueError, OverflowError):
        raise _refused(f"time: {text!r} is no date and time") from None
    fraction = float(f"0.{part['fraction']}") if part["fraction"] else 0.0
    return whole + leap + 86_400.0 * next_day + fraction


def _zone(part: dict[str, str | None], text: str) -> Any:
    offset = part["offset"]
    if offset:
        digits = offset[1:].replace(":", "").ljust(6, "0")
        if int(digits[:2]) > 23 or int(digits[2:4]) > 59:
            raise ValueError(offset)
        span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
        return timezone(span if offset[0] == "+" else -span)
    region = part["region"]
    if region and region.lower() not in ("utc", "gmt", "z") and not part["zulu"]:
        try:
            return ZoneInfo(region)
        except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            raise _refused(f"time: {text!r} names a zone that is not known here") from None
    return UTC
