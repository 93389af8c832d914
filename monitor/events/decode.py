"""`decode_event`: from the bytes of a Kafka message to an `OutputEvent`, or to the reason why not.

Three forms are read: this project's own JSON, CloudEvents 1.0 around it (`monitor.events.cloudevents`), and
OpenTelemetry's `gen_ai.*` attribute names in place of ours (`monitor.events.opentelemetry`). Accepted beyond the
letter, because real producers do it and nothing is lost by it: a UTF-8 byte order mark; `null` for a field that is
left out; 12.0 where 12 is meant; half a surrogate pair (a text cut in the middle of an emoji), which becomes U+FFFD.

Pure: no clock, no I/O. Time is linear in the message's length. May import `monitor.errors` and this package.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.errors import InvalidEvent
from monitor.events import cloudevents, opentelemetry
from monitor.events.event_builder import build_event, check_free_form, clamp
from monitor.events.json_object import parse_json
from monitor.events.reasons import Reason
from monitor.events.schema import OutputEvent
from monitor.events.times import moment_of

MAX_BYTES = 8 * 1024 * 1024  # eight times Kafka's default limit for a message: an output of 1 MB fits, however escaped


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
    for call in event.calls:
        if call.response is not None:
            check_free_form(call.response, "calls")
    if not event.id:
        event.id = default_id
    if event.time is None:
        event.time = timestamp
        return Decoded(event)
    time, unit = moment_of(event.time)
    event.time, clamped = clamp(time, timestamp)
    return Decoded(event, clamped, time_unit=unit)
