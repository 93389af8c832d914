from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import InvalidEvent
from monitor.events import OutputEvent, Reason, Usage, decode_event
from monitor.events.decode import Decoded
from monitor.events.event_builder import build_event
from monitor.events.json_object import parse_json

NOW = 1_760_000_000.0


def read(fields: Any, timestamp: float | None = NOW) -> Decoded:
    return decode_event(json.dumps(fields).encode(), default_id="t/0/7", timestamp=timestamp)


def refused(value: bytes | None, **options: Any) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        decode_event(value, default_id="t/0/7", timestamp=NOW, **options)
    return caught.value


def event(**fields: Any) -> bytes:
    return json.dumps({"stream": "bot", "output": "hi", **fields}).encode()


def test_a_minimal_event_gets_position_as_id_and_the_message_time() -> None:
    decoded = read({"stream": "bot", "output": "hi"})
    assert decoded == Decoded(OutputEvent(stream="bot", output="hi", id="t/0/7", time=NOW))


def test_a_replay_has_no_time_of_its_own() -> None:
    assert read({"stream": "bot", "output": "hi"}, timestamp=None).event.time is None
    assert read({"stream": "bot", "output": "hi", "time": 5}, timestamp=None).event.time == 5.0


@pytest.mark.parametrize(
    ("time", "expected", "clamped"),
    [
        (NOW - 86_400, NOW - 86_400, False),
        (NOW - 86_401, NOW - 86_400, True),
        (NOW + 300, NOW + 300, False),
        (NOW + 301, NOW + 300, True),
        (NOW * 1000, NOW, False),  # milliseconds
        (int(NOW * 1e6), NOW, False),  # microseconds
        (int(NOW * 1e9), NOW, False),  # nanoseconds
        (str(int(NOW * 1000)), NOW, False),
        ("2025-10-09t08:53:20z", NOW, False),
        ("2025-10-09 10:53:20+0200", NOW, False),
        (5e10, NOW + 300, True),  # seconds of the year 3554, and no unit that would be now
        (0, NOW - 86_400, True),
        ("2025-10-09T08:53:20Z", NOW, False),
        ("2025-10-09T08:53:20.5+00:00", NOW + 0.5, False),
        ("2025-10-09T10:53:20+02:00", NOW, False),
        ("2025-10-09 08:53:20.1234567", NOW + 0.123456, False),
        ("1999-01-01T00:00:00Z", NOW - 86_400, True),
    ],
)
def test_times_are_seconds_or_rfc_3339_and_clamped_to_the_message_time(
    time: float | str, expected: float, clamped: bool
) -> None:
    decoded = read({"stream": "bot", "output": "hi", "time": time})
    assert decoded.event.time == pytest.approx(expected, abs=1e-5)
    assert decoded.clamped is clamped


@pytest.mark.parametrize("time", ["noon", "", "2025-13-01T00:00:00Z", True, [], {}, 1e30])
def test_a_time_of_another_form_is_refused(time: Any) -> None:
    assert refused(event(time=time)).reason == Reason.BAD_TIME


@pytest.mark.parametrize(
    ("time", "unit"),
    [
        (NOW, None),
        (NOW * 1000, "milliseconds"),
        (int(NOW * 1000), "milliseconds"),
        (str(int(NOW * 1000)), "milliseconds"),
        (int(NOW * 1e6), "microseconds"),
        (int(NOW * 1e9), "nanoseconds"),
        ("2025-10-09T08:53:20Z", None),
    ],
)
def test_the_unit_of_a_number_is_recognised_and_reported(time: float | str, unit: str | None) -> None:
    for more in ({}, {"novel": 1}):  # by the fast look and by the full one
        assert read({"stream": "bot", "output": "hi", "time": time, **more}).time_unit == unit


def test_numbers_written_as_texts_are_read() -> None:
    fields = {
        "stream": "bot",
        "output": "hi",
        "usage": {"input_tokens": "12", "output_tokens": "3.0"},
        "latency": {"total_s": "1.5"},
        "cost_usd": "0.002",
        "session": {"turn": "2"},
        "calls": [{"dependency": "search", "duration_s": "0.25"}],
    }
    event = read(fields).event
    assert (event.usage.input_tokens, event.usage.output_tokens, event.session.turn) == (12, 3, 2)
    assert (event.latency.total_s, event.cost_usd, event.calls[0].duration_s) == (1.5, 0.002, 0.25)
    assert read({"stream": "bot", "gen_ai.completion": "hi", "gen_ai.usage.input_tokens": "7"}).event.usage == Usage(
        input_tokens=7
    )
    for wrong in ("12 tokens", "1,5", "0x10", "-3", "9" * 500, ""):
        assert refused(event_with(wrong)).reason in (Reason.WRONG_TYPE, Reason.OUT_OF_RANGE)


def event_with(tokens: str) -> bytes:
    return event(usage={"input_tokens": tokens})


def test_output_may_be_null_only_with_an_error() -> None:
    assert refused(event(output=None)).reason == Reason.MISSING_OUTPUT
    assert refused(event(output=None, error="")).reason == Reason.MISSING_OUTPUT
    assert refused(b'{"stream": "bot"}').reason == Reason.MISSING_OUTPUT
    assert read({"stream": "bot", "output": None, "error": "timeout"}).event.output is None
    assert read({"stream": "bot", "error": "timeout"}).event.error == "timeout"
    assert read({"stream": "bot", "output": ""}).event.output == ""


def test_unknown_fields_are_kept_at_every_level() -> None:
    decoded = read(
        {
            "stream": "bot",
            "output": "hi",
            "novel": {"a": [1]},
            "usage": {"input_tokens": 3, "cached_tokens": 2},
            "calls": [{"dependency": "search"}, {"dependency": "crm", "region": "eu"}],
            "extra": {"kept": True},
        }
    )
    assert decoded.event.extra == {
        "kept": True,
        "novel": {"a": [1]},
        "usage": {"cached_tokens": 2},
        "calls": [{}, {"region": "eu"}],
    }
    assert decoded.event.usage.input_tokens == 3
    assert [call.dependency for call in decoded.event.calls] == ["search", "crm"]


def test_null_is_left_out_wherever_it_stands() -> None:
    decoded = read(
        {"stream": "bot", "output": "hi", "id": None, "time": None, "model": None, "calls": None, "extra": None}
    )
    assert decoded.event == OutputEvent(stream="bot", output="hi", id="t/0/7", time=NOW)


def test_a_whole_number_written_as_float_is_a_count() -> None:
    assert read({"stream": "b", "output": "", "usage": {"input_tokens": 12.0}}).event.usage.input_tokens == 12
    assert refused(event(usage={"input_tokens": 12.5})).reason == Reason.WRONG_TYPE


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.NULL_VALUE),
        (b"", Reason.EMPTY),
        (b" \n", Reason.EMPTY),
        ('{"stream": "a", "output": "b"}'.encode("utf-16"), Reason.WRONG_ENCODING),
        ('{"stream": "a", "output": "b"}'.encode("utf-16-le"), Reason.WRONG_ENCODING),
        ('{"stream": "a", "output": "b"}'.encode("utf-32"), Reason.WRONG_ENCODING),
        ('{"stream": "a", "output": "ü"}'.encode("latin-1"), Reason.NOT_UTF8),
        (b'{"stream": "a", "output": "\xed\xa0\xbd"}', Reason.NOT_UTF8),
        (b'{"stream": "a", "output": "b"', Reason.NOT_JSON),
        (b'{"stream": "a", "output": "b"} {}', Reason.NOT_JSON),
        (b"{'stream': 'a'}", Reason.NOT_JSON),
        (b'{"stream": "a", "output": "b", "cost_usd": NaN}', Reason.NON_FINITE),
        (b'{"stream": "a", "output": "NaN", "cost_usd": -Infinity}', Reason.NON_FINITE),
        (b'{"stream": "a", "output": "NaN Infinity}', Reason.NOT_JSON),
        (b'{"stream": "a", "output": "b", "cost_usd": 1e400}', Reason.OUT_OF_RANGE),
        (b'{"stream": "a", "output": "b", "n": ' + b"9" * 400 + b"}", Reason.OUT_OF_RANGE),
        (b'{"stream": "a", "output": "b", "attributes": {"n": ' + b"9" * 25 + b"}}", Reason.OUT_OF_RANGE),
        (b'{"stream": "a", "output": "b", "n": ' + b"9" * 9000 + b"}", Reason.OUT_OF_RANGE),
        (b'{"stream": "a", "output": "b", "steps": ' + b"[" * 70 + b"]" * 70 + b"}", Reason.TOO_DEEP),
        (b'{"stream": "a", "output": "b", "steps": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", Reason.TOO_DEEP),
        (b'[{"stream": "a", "output": "b"}]', Reason.NOT_OBJECT),
        (b"null", Reason.NOT_OBJECT),
        (b'"text"', Reason.NOT_OBJECT),
        (b'{"output": "b"}', Reason.MISSING_STREAM),
        (b'{"stream": null, "output": "b"}', Reason.MISSING_STREAM),
        (b'{"stream": "", "output": "b"}', Reason.OUT_OF_RANGE),
        (b'{"stream": " ", "output": "b"}', Reason.OUT_OF_RANGE),
        (b'{"stream": "a\\nb", "output": "b"}', Reason.OUT_OF_RANGE),
        (event(stream="x" * 257), Reason.OUT_OF_RANGE),
        (event(id="x" * 513), Reason.OUT_OF_RANGE),
        (event(stream=7), Reason.WRONG_TYPE),
        (event(output=7), Reason.WRONG_TYPE),
        (event(output=["a"]), Reason.WRONG_TYPE),
        (event(model="gpt"), Reason.WRONG_TYPE),
        (event(calls=[{}]), Reason.WRONG_TYPE),
        (event(extra=[]), Reason.WRONG_TYPE),
        (event(usage={"output_tokens": -1}), Reason.OUT_OF_RANGE),
        (event(latency={"total_s": -0.1}), Reason.OUT_OF_RANGE),
    ],
)
def test_every_kind_of_bad_message_has_its_reason(value: bytes | None, reason: Reason) -> None:
    assert refused(value).reason == reason


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"usage": {"input_tokens": "twelve"}}, "usage.input_tokens: expected int | null, got str"),
        ({"calls": [{"dependency": "a"}, {}]}, "calls[1]: object missing required field dependency"),
        ({"cost_usd": -1}, "cost_usd: expected float >= 0.0; leave the field out where the value is not known"),
        ({"stream": "a\x07b"}, "stream: must be one line of visible characters"),
    ],
)
def test_the_detail_says_where_and_what(fields: dict[str, Any], detail: str) -> None:
    assert refused(event(**fields)).detail == detail


def test_too_large_is_refused_unread() -> None:
    assert refused(b"x" * 101, max_bytes=100).reason == Reason.TOO_LARGE


def test_half_an_emoji_becomes_the_replacement_character() -> None:
    value = rb'{"stream": "a", "output": "cut \ud83d", "input": "\ude00 whole \ud83d\ude00 and a literal \\ud83d"}'
    decoded = decode_event(value, default_id="d", timestamp=None)
    assert decoded.repaired
    assert decoded.event.output == "cut \ufffd"
    assert decoded.event.input == "\ufffd whole 😀 and a literal \\ud83d"


def test_a_byte_order_mark_is_nothing_to_repair() -> None:
    value = b"\xef\xbb\xbf" + rb'{"stream": "a", "output": "\u00fc"}'
    decoded = decode_event(value, default_id="d", timestamp=None)
    assert (decoded.event.output, decoded.repaired) == ("ü", False)


def test_null_bytes_and_right_to_left_text_pass() -> None:
    text = "a\x00b שלום \u202e 👩‍👩‍👧"
    assert read({"stream": "bot", "output": text}).event.output == text


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_free = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_counts = st.none() | st.integers(-1, 10**6) | st.sampled_from([1.0, 1.5, "1"])
_messages = st.fixed_dictionaries(
    {},
    optional={
        "stream": st.sampled_from(["bot", "bot/answer", "", " ", None, 3]),
        "output": st.none() | _text,
        "id": st.none() | _text,
        "time": st.none()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.sampled_from(["2025-10-09T08:53:20Z", "noon"]),
        "error": st.none() | _text,
        "model": st.none() | st.dictionaries(st.sampled_from(["name", "version", "novel"]), _text),
        "usage": st.dictionaries(st.sampled_from(["input_tokens", "novel"]), _counts),
        "calls": st.lists(st.dictionaries(st.sampled_from(["dependency", "status", "novel"]), _text), max_size=2),
        "steps": st.lists(_free, max_size=2),
        "attributes": st.dictionaries(_text | st.just("gen_ai.request.model"), _free, max_size=3),
        "extra": _free,
        "novel": _free,
    },
)


@given(_messages, st.sampled_from([None, NOW]))
def test_the_quick_look_gives_what_the_full_look_gives(message: dict[str, Any], timestamp: float | None) -> None:
    value = json.dumps(message, allow_nan=False).encode() if _finite(message) else json.dumps(message).encode()

    def full() -> Decoded:
        fields, repaired = parse_json(value)
        built, clamped = build_event(fields, default_id="d", timestamp=timestamp)
        return Decoded(built, clamped, repaired)

    outcomes: list[Any] = []
    for look in (lambda: decode_event(value, default_id="d", timestamp=timestamp), full):
        try:
            outcomes.append(look())
        except InvalidEvent as invalid:
            outcomes.append((invalid.reason, invalid.detail))
    assert outcomes[0] == outcomes[1]


def _finite(message: dict[str, Any]) -> bool:
    return not isinstance(message.get("time"), float) or abs(message["time"]) != float("inf")


@given(_messages)
def test_an_accepted_event_reads_back_as_itself(message: dict[str, Any]) -> None:
    try:
        first = decode_event(json.dumps(message).encode(), default_id="d", timestamp=NOW).event
    except InvalidEvent:
        return
    assert decode_event(msgspec.json.encode(first), default_id="other", timestamp=NOW).event == first


@given(st.binary(max_size=300))
def test_any_bytes_are_an_event_or_a_reason(value: bytes) -> None:
    try:
        outcome = decode_event(value, default_id="d", timestamp=NOW).event.stream
    except InvalidEvent as invalid:
        outcome = Reason(invalid.reason)
    assert outcome


def test_unterminated_strings_of_escaped_quotes_are_read_in_one_pass() -> None:
    # A backtracking expression would take hours here; the time limit of the suite is the assertion.
    assert refused(b'{"a": "' + rb"\"" * 500_000).reason == Reason.NOT_JSON
    assert refused(b'{"a": "' + rb"\ud83d" * 200_000).reason == Reason.NOT_JSON
