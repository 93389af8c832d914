"""`encode_feedback`: what a user says of an output, as the record that the monitor's readers take.

Values of applications (numpy's numbers, dates, enumerations, ids that are integers or UUIDs) are converted where their
meaning is clear. May import `monitor.events`, `monitor.judgment.feedback`, `monitor.errors` and this package.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from monitor.errors import InvalidEvent
from monitor.events import Reason
from monitor.events.times import moment_of
from monitor.judgment.feedback import CORRECTION, RATING, THUMB, checked
from monitor.judgment.records import Feedback, encode_record
from monitor.publisher.field_errors import WrongType, WrongValue
from monitor.publisher.scalars import scalar


def encode_feedback(
    event_id: Any, value: Any, stream: Any, kind: Any, scale: Any, text: Any, by: Any, time: Any, *, now: float
) -> tuple[bytes, bytes]:
    """Key and value of the Kafka message. The arguments are those of `OutputPublisher.feedback`; `now` in seconds.

    Raises `WrongType` or `WrongValue` (both `InvalidEvent`), which name the argument.
    """
    value = _value(value)
    ends = _scale(scale)
    words = _text(text, "text")
    said = Feedback(
        event=_id(event_id),
        stream=_text(stream, "stream"),
        kind=_text(kind, "kind") or _kind(value, ends, words),
        value=value,
        scale=ends,
        text=words,
        by=_text(by, "by", numbers=True),
        time=_time(time, now),
    )
    try:
        said = checked(said)
    except InvalidEvent as refused:
        raise WrongValue(Reason.OUT_OF_RANGE, refused.detail) from None
    return said.event.encode(), encode_record(said)


def _kind(value: bool | float | None, scale: tuple[float, float] | None, text: str | None) -> str:
    if value is None and text is not None and scale is None:
        return CORRECTION
    return RATING if value is not None and not isinstance(value, bool) else THUMB


def _id(event: Any) -> str:
    found = scalar(event)
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise _wrong("event_id", event, "the id under which the output was published, a text")
    return _clean(str(found))


def _value(value: Any) -> bool | float | None:
    found = scalar(value)
    if found is None or isinstance(found, bool):
        return found
    if not isinstance(found, int | float):
        raise _wrong("value", value, "True, False, or a number with its scale")
    if not math.isfinite(found):
        raise WrongValue(Reason.OUT_OF_RANGE, "value: is not a number (NaN) or infinite")
    return float(found)


def _scale(scale: Any) -> tuple[float, float] | None:
    if scale is None:
        return None
    ends = list(scale) if isinstance(scale, Sequence) and not isinstance(scale, str | bytes) else []
    if len(ends) != 2:
        raise _wrong("scale", scale, "the lowest and the highest value, such as (1, 5)")
    low, high = map(_value, ends)
    if low is None or high is None or isinstance(low, bool) or isinstance(high, bool):
        raise _wrong("scale", scale, "two numbers, such as (1, 5)")
    return low, high


def _text(content: Any, name: str, *, numbers: bool = False) -> str | None:
    found = scalar(content)
    if found is None or isinstance(found, str):
        return None if found is None else _clean(found)
    if numbers and isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    raise _wrong(name, content, "a text")


def _time(time: Any, now: float) -> float:
    if time is None:
        return now
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise WrongValue(Reason.BAD_TIME, "time: has no time zone, so the moment is not known")
        return time.timestamp()
    found = scalar(time)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise _wrong("time", time, "seconds since 1970, or a datetime with its zone")
    try:
        return moment_of(found).seconds
    except InvalidEvent as refused:
        raise WrongValue(Reason.BAD_TIME, refused.detail) from None


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _wrong(name: str, content: Any, wanted: str) -> WrongType:
    return WrongType(Reason.WRONG_TYPE, f"{name}: is {type(content).__name__}; give {wanted}")
