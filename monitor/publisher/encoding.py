"""`encode`: an event as the JSON that the monitor's readers take, or the reason why they would refuse it.

An event whose fields have the types and ranges that `OutputEvent` declares is encoded as it is; a property test
ensures that the reader takes it. Any other is converted field by field (`monitor.publisher.coerce`), and the result
is read by the reader itself.

May import `monitor.errors`, `monitor.events` and this package.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import astuple

from monitor.errors import InvalidEvent
from monitor.events import OutputEvent, Reason, decode_event
from monitor.events.schema import MAX_CAUSES, MAX_ID, Call, Latency, Model, Prompt, Session, Trace, Usage
from monitor.publisher.coerce import MAX_DEPTH, NO_MILLISECONDS, Conversion, encoder
from monitor.publisher.field_errors import WrongType, WrongValue


def encode(event: OutputEvent, *, strict: bool = False) -> tuple[bytes, bytes, list[str]]:
    """Key and value of the Kafka message, and what was converted, as sentences for the log.

    Called by `OutputPublisher.publish` for each event, which has an id, a stream, and an output or error. Raises
    `WrongType` or `WrongValue` (both `InvalidEvent`) that name the field; if `strict`, also for a field that could be
    converted but has not the declared type.
    """
    if _is_as_declared(event):
        try:
            return event.id.encode(), encoder.encode(event), []  # type: ignore[union-attr]  # it was looked at
        except UnicodeEncodeError:
            pass  # half a surrogate pair: the slow way replaces it
    conversion = Conversion(strict)
    fields = conversion.event(event)
    value = encoder.encode(fields)
    try:
        decode_event(value, default_id="-", timestamp=None, max_bytes=len(value))
    except InvalidEvent as refused:
        kind = WrongType if refused.reason == Reason.WRONG_TYPE else WrongValue
        raise kind(refused.reason, refused.detail) from None
    if len(_known_streams) >= _MAX_KNOWN_STREAMS:
        _known_streams.clear()
    _known_streams.add(fields["stream"])
    return fields["id"].encode(), value, conversion.changed


_NONE = type(None)
_TEXT = frozenset((str, _NONE))
_FLAG = frozenset((bool, _NONE))
_NUMBER = frozenset((float, int))
_SCALARS = frozenset((str, int, float, bool, _NONE))
_MAX_COUNT = 2**53  # as `monitor.events.schema.Count` has it
_MAX_AMOUNT = 1e18  # of seconds and dollars; larger ones are left to the reader
_MAX_KNOWN_STREAMS = 1_000  # names are few; where an application makes one per event, each is checked
_known_streams: set[str] = set()
"""Names that the reader has taken."""

_NO_USAGE, _NO_LATENCY, _NO_SESSION, _NO_TRACE = Usage(), Latency(), Session(), Trace()


def _is_as_declared(event: OutputEvent) -> bool:
    """Whether every field has exactly a declared type, and a value in its range.

    The encoded event would not show all that is wrong: msgspec writes `bytes` as base64, and a `datetime` without its
    zone, which look like texts afterwards.
    """
    time, cost, usage, latency = event.time, event.cost_usd, event.usage, event.latency
    return (
        type(event.output) in _TEXT
        and type(event.input) in _TEXT
        and type(event.id) is str
        and len(event.id) <= MAX_ID
        and type(event.stream) is str
        and event.stream in _known_streams
        and type(event.error) in _TEXT
        and type(event.finish_reason) in _TEXT
        and (time is None or (type(time) in _NUMBER and -NO_MILLISECONDS < time < NO_MILLISECONDS))
        and (cost is None or _is_amount(cost))
        and type(event.model) is Model
        and _TEXT.issuperset(map(type, astuple(event.model)))
        and type(event.prompt) is Prompt
        and _TEXT.issuperset(map(type, astuple(event.prompt)))
        and type(usage) is Usage
        and (usage == _NO_USAGE or all(map(_is_count, astuple(usage))))
        and type(latency) is Latency
        and (latency == _NO_LATENCY or all(each is None or _is_amount(each) for each in astuple(latency)))
        and type(event.session) is Session
        and (event.session == _NO_SESSION or (type(event.session.id) in _TEXT and _is_count(event.session.turn)))
        and type(event.trace) is Trace
        and (event.trace == _NO_TRACE or _TEXT.issuperset(map(type, astuple(event.trace))))
        and type(event.calls) is list
        and (not event.calls or all(map(_is_plain_call, event.calls)))
        and type(event.reasoning) in _TEXT
        and type(event.fallback) in _FLAG
        and type(event.causes) is list
        and (not event.causes or _are_causes(event.causes))
        and type(event.attributes) is dict
        and (not event.attributes or _is_plain(event.attributes, 0))
        and type(event.steps) is list
        and (not event.steps or _is_plain(event.steps, 0))
        and (event.action is None or (type(event.action) is dict and _is_plain(event.action, 0)))
        and type(event.extra) is dict
        and (not event.extra or _is_plain(event.extra, 0))
    )


def _is_amount(content: Any) -> bool:
    return type(content) in _NUMBER and 0 <= content < _MAX_AMOUNT  # NaN and infinity are null in JSON


def _is_count(content: Any) -> bool:
    return content is None or (type(content) is int and 0 <= content <= _MAX_COUNT)


def _are_causes(content: list[Any]) -> bool:
    return len(content) <= MAX_CAUSES and all(type(cause) is str and 0 < len(cause) <= MAX_ID for cause in content)


def _is_plain_call(call: Any) -> bool:
    return (
        type(call) is Call
        and type(call.dependency) is str
        and (call.duration_s is None or _is_amount(call.duration_s))
        and (type(call.status) in _TEXT or (type(call.status) is int and 0 <= call.status <= _MAX_COUNT))
        and _TEXT.issuperset(map(type, (call.operation, call.error, call.shape)))
        and (type(call.time) in _TEXT or _is_amount(call.time))
        and (call.response is None or _is_plain(call.response, 0))
    )


def _is_plain(content: Any, depth: int) -> bool:
    kind = type(content)
    if kind is dict:
        if depth > MAX_DEPTH:
            return False
        for key, item in content.items():
            if type(key) is not str:
                return False
            if type(item) not in _SCALARS and not _is_plain(item, depth + 1):
                return False
            if type(item) is int and not -(2**63) <= item < 2**64:
                return False
        return True
    if kind is list:
        return depth <= MAX_DEPTH and all(_is_plain(item, depth + 1) for item in content)
    return kind in _SCALARS and (kind is not int or -(2**63) <= content < 2**64)
