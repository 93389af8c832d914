from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from monitor.errors import InvalidEvent
from monitor.events import Decoded, Reason, Trace, decode_event

NOW = 1_760_000_000.0
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def envelope(**fields: Any) -> dict[str, Any]:
    data = {"stream": "bot", "output": "hi"}
    return {"specversion": "1.0", "type": "output", "source": "/bot", "id": "ce-1", "data": data, **fields}


def read(content: Any, headers: Any = ()) -> Decoded:
    return decode_event(json.dumps(content).encode(), headers, default_id="t/0/7", timestamp=NOW)


def binary(*more: tuple[str, bytes]) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"output"),
        ("ce_source", b"/bot"),
        ("ce_id", b"ce-1"),
        ("ce_time", b"2025-10-09T08:53:00Z"),
        ("content-type", b"application/json"),
        *more,
    ]


def test_binary_mode_takes_id_and_time_from_headers() -> None:
    decoded = read({"stream": "bot", "output": "hi"}, binary(("ce_subject", b"answer")))
    assert (decoded.event.id, decoded.event.time) == ("ce-1", NOW - 20)
    assert decoded.event.extra == {"cloudevent": {"type": "output", "source": "/bot", "subject": "answer"}}


def test_structured_mode_opens_the_envelope() -> None:
    decoded = read(envelope(time="2025-10-09T08:53:00Z"), STRUCTURED)
    assert (decoded.event.id, decoded.event.time, decoded.event.output) == ("ce-1", NOW - 20, "hi")


def test_an_envelope_is_known_without_headers() -> None:
    assert read(envelope()).event.id == "ce-1"


def test_what_the_event_says_itself_wins() -> None:
    own = {"stream": "bot", "output": "hi", "id": "own", "time": NOW - 5}
    assert read(envelope(data=own, stream="other"), STRUCTURED).event.id == "own"
    event = read(own, binary()).event
    assert (event.id, event.time) == ("own", NOW - 5)


def test_stream_and_trace_come_from_extensions() -> None:
    event = read(envelope(data={"output": "hi"}, stream="bot/answer", traceparent=TRACEPARENT), STRUCTURED).event
    assert event.stream == "bot/answer"
    assert event.trace == Trace(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7")
    event = read({"output": "hi"}, binary(("ce_stream", b"bot/answer"))).event
    assert event.stream == "bot/answer"


def test_a_traceparent_header_alone_gives_the_trace() -> None:
    event = read({"stream": "a", "output": "b"}, [("traceparent", TRACEPARENT.encode())]).event
    assert event.trace.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert not event.extra


def test_data_may_be_base64_or_text() -> None:
    data = json.dumps({"stream": "bot", "output": "hi"})
    assert read(envelope(data=data), STRUCTURED).event.stream == "bot"
    encoded = envelope(data_base64=base64.b64encode(data.encode()).decode())
    del encoded["data"]
    assert read(encoded, STRUCTURED).event.stream == "bot"


def test_header_names_may_be_written_in_capitals() -> None:
    assert read(envelope(), [("Content-Type", b"APPLICATION/CloudEvents+JSON")]).event.id == "ce-1"


def test_other_headers_do_not_matter() -> None:
    assert read({"stream": "a", "output": "b"}, [("x", b"\xff"), ("content-type", b"text/plain"), ("y", None)]).event.id


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (envelope(specversion="0.3"), STRUCTURED),
        (envelope(specversion=None), STRUCTURED),
        (envelope(data=[1]), STRUCTURED),
        (envelope(data=None), STRUCTURED),
        (envelope(data="not json"), STRUCTURED),
        (envelope(data=None, data_base64="*"), STRUCTURED),
        (envelope(datacontenttype="application/avro"), STRUCTURED),
        (envelope(), [("content-type", b"application/cloudevents+avro")]),
        ({"stream": "a", "output": "b"}, [("ce_specversion", b"1.0"), ("content-type", b"application/avro")]),
        ({"stream": "a", "output": "b"}, [("ce_specversion", b"0.2"), ("ce_id", b"1")]),
    ],
)
def test_an_envelope_that_cannot_be_opened_is_refused(content: Any, headers: Any) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read(content, headers)
    assert caught.value.reason == Reason.BAD_CLOUDEVENT
