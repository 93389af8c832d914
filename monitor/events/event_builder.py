"""`build_event`: from a JSON object to an `OutputEvent`.

Unknown fields are kept, numbers written as texts are read, the time is moved into what is plausible. Pure.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from monitor.errors import InvalidEvent
from monitor.events import opentelemetry
from monitor.events.content import calls_tools_only
from monitor.events.json_object import MAX_DEPTH
from monitor.events.reasons import Reason
from monitor.events.schema import (
    MAX_CAUSES,
    MAX_ID,
    MAX_STREAM_NAME,
    Call,
    Latency,
    Model,
    OutputEvent,
    Prompt,
    Session,
    Trace,
    Usage,
)
from monitor.events.times import moment_of

MAX_AGE_S = 24 * 3600.0
"""Of an event's own time before its message's: applications that retry for a day still count as on time."""
MAX_AHEAD_S = 300.0
"""Of an event's own time after its message's: clocks of servers differ by minutes at most."""
_KNOWN = frozenset(OutputEvent.__struct_fields__)
_PARTS: dict[str, frozenset[str]] = {
    name: frozenset(part.__struct_fields__)
    for name, part in (
        ("model", Model),
        ("prompt", Prompt),
        ("usage", Usage),
        ("latency", Latency),
        ("session", Session),
        ("trace", Trace),
    )
}
_CALL = frozenset(Call.__struct_fields__)
_FREE = ("steps", "action", "attributes", "extra")  # fields whose content is the sender's own
_INTEGERS = (("usage", "input_tokens"), ("usage", "output_tokens"), ("usage", "context_limit"), ("session", "turn"))
_FLOATS = (("latency", "total_s"), ("latency", "first_token_s"))
# Fields that came to the schema later. Applications may have sent their own under these names, which were kept; a value
# of another type still is, rather than refuse an event that was accepted before.
_LATER: tuple[tuple[str, type], ...] = (("reasoning", str), ("fallback", bool))
_LATER_NUMBERS: tuple[tuple[str, str, tuple[type, ...]], ...] = (
    ("usage", "reasoning_tokens", (int,)),
    ("latency", "queue_s", (int, float)),
)
_MAX_COUNT = 2**53  # as in the schema
_BOOLEANS = {"true": True, "false": False}
_NUMBER = re.compile(r"\s*[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?\s*")
_LONGEST_NUMBER = 400  # digits of the largest float, and some


def build_event(fields: dict[str, Any], *, default_id: str, timestamp: float | None) -> tuple[OutputEvent, bool]:
    """Make an event of a JSON object with native or OpenTelemetry names; the flag says that its time was clamped.

    `fields` is used up. Raises `InvalidEvent`.
    """
    if opentelemetry.present(fields):
        fields = opentelemetry.translate(fields)
    for name in [name for name, content in fields.items() if content is None and name != "output"]:
        del fields[name]
    if "stream" not in fields:
        raise InvalidEvent(
            Reason.MISSING_STREAM,
            "no `stream`; name the use case that this output belongs to, such as support-bot/answer",
        )
    if fields.get("output") is None:
        steps, finish = fields.get("steps"), fields.get("finish_reason")
        steps = steps if type(steps) is list else []
        if fields.get("error"):
            fields["output"] = None
        elif calls_tools_only(None, finish if type(finish) is str else None, steps):
            fields["output"] = ""
        else:
            raise InvalidEvent(
                Reason.MISSING_OUTPUT, "no `output`; send the text, or null together with `error` where the call failed"
            )
    _keep_unknown(fields)
    for name in _FREE:
        if name in fields:
            check_free_form(fields[name], name)
    if type(calls := fields.get("calls")) is list:
        for call in calls:
            if type(call) is dict and "response" in call:
                check_free_form(call["response"], "calls")
    if not fields.get("id"):
        fields["id"] = default_id
    clamped = False
    time = fields.get("time")
    if time is None:
        if timestamp is not None:
            fields["time"] = timestamp
    else:
        fields["time"], clamped = clamp(moment_of(time).seconds, timestamp)
    try:
        event = msgspec.convert(fields, OutputEvent)
    except msgspec.ValidationError as error:
        if not _settle_numbers(fields):
            raise _invalid(error) from None
        try:
            event = msgspec.convert(fields, OutputEvent)
        except msgspec.ValidationError as still:
            raise _invalid(still) from None
    return event, clamped


def _keep_unknown(fields: dict[str, Any]) -> None:
    """Move fields that we do not know, at the top and one level down, to `extra`; drop nulls one level down."""
    unknown: dict[str, Any] = {}
    for name in fields.keys() - _KNOWN:
        unknown[name] = fields.pop(name)
    _keep_later(fields, unknown)
    for name, known in _PARTS.items():
        part = fields.get(name)
        if type(part) is dict and not part.keys() <= known:
            unknown[name] = {key: part.pop(key) for key in part.keys() - known}
    _keep_later_numbers(fields, unknown)
    calls = fields.get("calls")
    if type(calls) is list and any(type(call) is dict and _unknown_in_call(call) for call in calls):
        unknown["calls"] = [
            {key: call.pop(key) for key in _unknown_in_call(call)} if type(call) is dict else {} for call in calls
        ]
    if unknown:
        # Sorted, so that an event's content does not depend on the order of a set.
        unknown = dict(sorted(unknown.items()))
        extra = fields.get("extra", {})
        if type(extra) is dict:
            fields["extra"] = {**extra, **unknown}


def _unknown_in_call(call: dict[str, Any]) -> list[str]:
    """The fields of a call that we do not know, and a time that is none: it came to the schema later."""
    unknown = call.keys() - _CALL
    if "time" in call and type(call["time"]) not in (str, int, float):
        unknown.add("time")
    return sorted(unknown)


def _keep_later(fields: dict[str, Any], unknown: dict[str, Any]) -> None:
    """Keep what has the name of a later field and another type."""
    for name, kind in _LATER:
        value = fields.get(name)
        if kind is bool and type(value) is str and value.strip().lower() in _BOOLEANS:  # as files hold it
            fields[name] = _BOOLEANS[value.strip().lower()]
        elif value is not None and type(value) is not kind:
            unknown[name] = fields.pop(name)
    causes = fields.get("causes")
    if causes is not None and (named := _causes(causes)) is not None:
        fields["causes"] = named
    elif causes is not None:
        unknown["causes"] = fields.pop("causes")


def _causes(content: Any) -> list[str] | None:
    """Ids of what the output follows from: a list, or one as a text; None of what is neither. Empty ones count not."""
    named = [content] if type(content) is str else content
    if type(named) is not list:
        return None
    named = [cause for cause in named if cause not in (None, "")]
    fits = len(named) <= MAX_CAUSES and all(type(cause) is str and len(cause) <= MAX_ID for cause in named)
    return named if fits else None


def _keep_later_numbers(fields: dict[str, Any], unknown: dict[str, Any]) -> None:
    """The same of numbers one level down."""
    for name, key, kinds in _LATER_NUMBERS:
        part = fields.get(name)
        value = part.get(key) if type(part) is dict else None
        if type(part) is dict and value is not None and not (type(value) in kinds and 0 <= value <= _MAX_COUNT):
            unknown[name] = {**unknown.get(name, {}), key: part.pop(key)}


def check_free_form(content: Any, name: str) -> None:
    """Refuse free-form data that could not be encoded again: nested too deep, integers beyond 64 bits."""
    level = [content]
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for item in level:
            if type(item) is dict:
                following.extend(item.values())
            elif type(item) is list:
                following.extend(item)
            elif type(item) is int and not -(2**63) <= item < 2**64:
                raise InvalidEvent(Reason.OUT_OF_RANGE, f"{name}: an integer beyond 64 bits; send it as a string")
        if not following:
            return
        level = following
    raise InvalidEvent(Reason.TOO_DEEP, f"{name}: nested deeper than {MAX_DEPTH} levels; send nested data as text")


def clamp(time: float, timestamp: float | None) -> tuple[float, bool]:
    """The event's time, at most `MAX_AGE_S` before and `MAX_AHEAD_S` after the message's; whether it was moved."""
    if timestamp is None or timestamp - MAX_AGE_S <= time <= timestamp + MAX_AHEAD_S:
        return time, False
    return (timestamp - MAX_AGE_S if time < timestamp else timestamp + MAX_AHEAD_S), True


def _settle_numbers(fields: dict[str, Any]) -> bool:
    """Turn 12.0 and "12" into 12 where a count is meant, and "1.5" into 1.5 where a number is; whether any was.

    Languages whose only number is a float write the first, protocol buffers in JSON write integers as texts.
    """
    changed = False
    for part_name, name in (*_INTEGERS, *_FLOATS):
        part = fields.get(part_name)
        if type(part) is dict:
            changed |= _settle(part, name, whole=(part_name, name) in _INTEGERS)
    changed |= _settle(fields, "cost_usd", whole=False)
    calls = fields.get("calls")
    if type(calls) is list:
        for call in calls:
            if type(call) is dict:
                changed |= _settle(call, "duration_s", whole=False)
    return changed


def _settle(part: dict[str, Any], name: str, *, whole: bool) -> bool:
    given = part.get(name)
    number = given
    if type(number) is str and len(number) <= _LONGEST_NUMBER and _NUMBER.fullmatch(number):
        text = number.strip()
        number = int(text) if text.lstrip("+-").isdecimal() else float(text)
    if whole and type(number) is float and number.is_integer():
        number = int(number)
    if type(number) is str or number is given or (type(number) is int and not -(2**63) <= number < 2**63):
        return False
    part[name] = number
    return True


_WHERE = re.compile(r" - at (?:`key` in )?`\$\.?(?P<path>[^`]*)`$")


def _invalid(error: msgspec.ValidationError) -> InvalidEvent:
    """Our words for msgspec's: where, what was expected, and whether it is the type or the value that is wrong."""
    text = str(error)
    where = _WHERE.search(text)
    path = where["path"] if where else ""
    what = (text[: where.start()] if where else text).replace("`", "")
    if path == "stream" and "regex" in what:
        return InvalidEvent(Reason.OUT_OF_RANGE, "stream: must be one line of visible characters")
    if path == "stream" and "length" in what:
        return InvalidEvent(Reason.OUT_OF_RANGE, f"stream: must have 1 to {MAX_STREAM_NAME} characters")
    reason = Reason.WRONG_TYPE if ", got " in what or what.startswith("Object missing") else Reason.OUT_OF_RANGE
    advice = "; leave the field out where the value is not known" if reason is Reason.OUT_OF_RANGE else ""
    what = what[0].lower() + what[1:]
    return InvalidEvent(reason, f"{path}: {what}{advice}" if path else what)
