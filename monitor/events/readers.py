"""`decode_event`: from the bytes of a Kafka message to an `OutputEvent`, or to the reason why not.

Three forms are read: this project's own JSON, CloudEvents 1.0 around it (`monitor.events.cloudevents`), and
OpenTelemetry's `gen_ai.*` attribute names in place of ours (`monitor.events.opentelemetry`). Accepted beyond the
letter, because real producers do it and nothing is lost by it: a UTF-8 byte order mark; `null` for a field that is
left out; 12.0 where 12 is meant; half a surrogate pair (a text cut in the middle of an emoji), which becomes U+FFFD.

Pure: no clock, no I/O. Time is linear in the message's length. May import `monitor.errors` and this package.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from monitor.errors import InvalidEvent
from monitor.events import cloudevents, opentelemetry
from monitor.events.content import calls_tools_only
from monitor.events.reasons import Reason
from monitor.events.schema import MAX_STREAM_NAME, Call, Latency, Model, OutputEvent, Prompt, Session, Trace, Usage
from monitor.events.times import moment_of

MAX_BYTES = 8 * 1024 * 1024  # eight times Kafka's default limit for a message: an output of 1 MB fits, however escaped
MAX_DEPTH = 64  # of free-form fields; far below where any reader's recursion ends
MAX_AGE_S = 24 * 3600.0
MAX_AHEAD_S = 300.0


class Decoded(msgspec.Struct, frozen=True):
    """A decoded event and what had to be done to it.

    Attributes
    ----------
    event
        With `id` and `time` filled in (`time` stays None where no timestamp was given).
    clamped
        The event's own time lay outside 24 h back to 5 min ahead of the message's timestamp and was moved to that
        limit.
    repaired
        Half surrogate pairs were replaced by U+FFFD.
    time_unit
        `milliseconds`, `microseconds` or `nanoseconds` where the event's time was a number in that unit, else None.
    """

    event: OutputEvent
    clamped: bool = False
    repaired: bool = False
    time_unit: str | None = None


def decode_event(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] = (),
    *,
    default_id: str,
    timestamp: float | None,
    max_bytes: int = MAX_BYTES,
) -> Decoded:
    """Read one message.

    Parameters
    ----------
    value, headers
        As Kafka delivered them.
    default_id
        The id of an event that brings none (topic/partition/offset, or file:line).
    timestamp
        Seconds since 1970 of the Kafka message; None in a replay, where times are taken as they are.
    max_bytes
        Longer messages are refused unread.

    Raises
    ------
    InvalidEvent
        With a code of `Reason` and a sentence that says what to change.
    """
    if value is None:
        raise InvalidEvent(Reason.NULL_VALUE, "the message has no value; publish the event as the message's value")
    if len(value) > max_bytes:
        raise InvalidEvent(
            Reason.TOO_LARGE, f"the message has {len(value):,} bytes, at most {max_bytes:,} are read; shorten the texts"
        )
    # Keys of Kafka headers are case-sensitive, producers are not.
    named = {key.lower(): content for key, content in headers if content is not None} if headers else {}
    cloudevents.check_headers(named)
    if not named or not cloudevents.concerned(named):
        plain = _decode_plain(value, default_id, timestamp)
        if plain is not None:
            return plain
    fields, repaired = parse_json(value)
    if named or "specversion" in fields:
        fields = cloudevents.unwrap(fields, named)
    time = fields.get("time")
    event, clamped = build_event(fields, default_id=default_id, timestamp=timestamp)
    return Decoded(event, clamped, repaired, None if time is None else moment_of(time).unit)


_plain_decoder = msgspec.json.Decoder(OutputEvent)


def _decode_plain(value: bytes, default_id: str, timestamp: float | None) -> Decoded | None:
    """The common case at a third of the cost: native names only, time in seconds. None means: look again, in full.

    Gives exactly what the full look gives (a property test holds the two together).
    """
    try:
        event = _plain_decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if event.output is None and not event.error:
        return None
    for name in event.attributes:
        if name.startswith(opentelemetry.PREFIX):
            return None
    if event.attributes:
        check_free_form(event.attributes, "attributes")
    if event.steps:
        check_free_form(event.steps, "steps")
    if event.action:
        check_free_form(event.action, "action")
    if event.extra:
        check_free_form(event.extra, "extra")
    if not event.id:
        event.id = default_id
    if event.time is None:
        event.time = timestamp
        return Decoded(event)
    time, unit = moment_of(event.time)
    event.time, clamped = _clamp(time, timestamp)
    return Decoded(event, clamped, time_unit=unit)


# --- bytes to JSON object ---------------------------------------------------------------------------------------

_decoder = msgspec.json.Decoder()


def parse_json(value: bytes) -> tuple[dict[str, Any], bool]:
    """The JSON object in these bytes, and whether half surrogate pairs were replaced. Raises `InvalidEvent`."""
    repaired = False
    try:
        content = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        content, repaired = _parse_again(value, error)
    if type(content) is not dict:
        name = _json_type(content)
        hint = "; publish one event a message" if name == "array" else ""
        raise InvalidEvent(Reason.NOT_OBJECT, f"the value is a JSON {name}; it must be one JSON object{hint}")
    return content, repaired


_HALF_PAIR = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
# The possessive repeat keeps this linear: a string without an end is consumed once, not once a quote.
_NON_FINITE = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|(?P<word>NaN|-?Infinity)', re.DOTALL)
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


def _parse_again(value: bytes, error: Exception) -> tuple[Any, bool]:
    """Second look at a value that msgspec refused: repair what can be, or say in the sender's words what is wrong."""
    repaired = False
    if isinstance(error, RecursionError):
        raise InvalidEvent(
            Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels; send nested data as text"
        ) from None
    if not value.strip():
        raise InvalidEvent(Reason.EMPTY, "the value is empty; publish the event as JSON") from None
    for mark, name in _BYTE_ORDER_MARKS:
        if value.startswith(mark):
            raise InvalidEvent(Reason.WRONG_ENCODING, f"the value is {name}; encode JSON as UTF-8") from None
    if value[:4].count(0) >= 2 or (value[:2].count(0) == 1 and value[2:4].count(0) == 1):
        raise InvalidEvent(
            Reason.WRONG_ENCODING, "the value looks like UTF-16 or UTF-32; encode JSON as UTF-8"
        ) from None
    value = value.removeprefix(b"\xef\xbb\xbf")
    try:
        value.decode()
    except UnicodeDecodeError as wrong:
        raise InvalidEvent(
            Reason.NOT_UTF8, f"byte {wrong.start} is not UTF-8 ({wrong.reason}); encode JSON as UTF-8"
        ) from None
    if b"\\u" in value:
        whole = _HALF_PAIR.sub(lambda found: rb"\ufffd" if found["half"] else found[0], value)
        repaired = whole != value
        value = whole
    try:
        return _decoder.decode(value), repaired
    except RecursionError:
        raise InvalidEvent(
            Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels; send nested data as text"
        ) from None
    except msgspec.ValidationError as out_of_range:
        raise InvalidEvent(Reason.OUT_OF_RANGE, f"{out_of_range}; numbers must fit 64 bits") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        for found in _NON_FINITE.finditer(value):
            if found["word"]:
                word = found["word"].decode()
                raise InvalidEvent(
                    Reason.NON_FINITE, f"{word} at byte {found.start()} is not JSON; leave the field out or send null"
                ) from None
        raise InvalidEvent(Reason.NOT_JSON, f"{wrong}; send one JSON object in UTF-8") from None


def without_non_finite(value: bytes) -> tuple[bytes, int]:
    """JSON with null in place of NaN and Infinity, which Python and others write though JSON has neither; how many."""
    replaced = 0

    def one(found: re.Match[bytes]) -> bytes:
        nonlocal replaced
        if found["word"] is None:
            return found[0]
        replaced += 1
        return b"null"

    return _NON_FINITE.sub(one, value), replaced


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (str, "string"), ((int, float), "number"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return type(value).__name__


# --- JSON object to event ---------------------------------------------------------------------------------------

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
_MOST_COUNTED = 2**53  # as in the schema
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
    if not fields.get("id"):
        fields["id"] = default_id
    clamped = False
    time = fields.get("time")
    if time is None:
        if timestamp is not None:
            fields["time"] = timestamp
    else:
        fields["time"], clamped = _clamp(moment_of(time).seconds, timestamp)
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
    for name, kind in _LATER:
        value = fields.get(name)
        if kind is bool and type(value) is str and value.strip().lower() in _BOOLEANS:  # as files hold it
            fields[name] = _BOOLEANS[value.strip().lower()]
        elif value is not None and type(value) is not kind:
            unknown[name] = fields.pop(name)
    for name, known in _PARTS.items():
        part = fields.get(name)
        if type(part) is dict and not part.keys() <= known:
            unknown[name] = {key: part.pop(key) for key in part.keys() - known}
    for name, key, kinds in _LATER_NUMBERS:
        part = fields.get(name)
        value = part.get(key) if type(part) is dict else None
        if type(part) is dict and value is not None and not (type(value) in kinds and 0 <= value <= _MOST_COUNTED):
            unknown[name] = {**unknown.get(name, {}), key: part.pop(key)}
    calls = fields.get("calls")
    if type(calls) is list and any(type(call) is dict and not call.keys() <= _CALL for call in calls):
        unknown["calls"] = [
            {key: call.pop(key) for key in call.keys() - _CALL} if type(call) is dict else {} for call in calls
        ]
    if unknown:
        # Sorted, so that an event's content does not depend on the order of a set.
        unknown = dict(sorted(unknown.items()))
        extra = fields.get("extra", {})
        if type(extra) is dict:
            fields["extra"] = {**extra, **unknown}


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


def _clamp(time: float, timestamp: float | None) -> tuple[float, bool]:
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
