"""What the monitor's readers would refuse is converted where its meaning is clear, else refused by name, at once."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import json
import logging
import uuid
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from monitor.errors import InvalidEvent
from monitor.events import Call, Latency, Model, OutputEvent, Prompt, Session, Usage, decode_event
from monitor.publisher import OutputPublisher, Undelivered
from monitor.publisher.encoding import encode
from tests.publisher.fake import FakeProducer

MOMENT = dt.datetime(2026, 1, 31, 12, 0, tzinfo=dt.UTC)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Answer:
    text: str
    score: float


class Reply(BaseModel):
    text: str
    when: dt.datetime


Pair = namedtuple("Pair", "a b")
Broken = type("Broken", (), {"__str__": lambda self: 1 / 0})


def published(event: OutputEvent, strict: bool = False) -> OutputEvent | None:
    """What the reader makes of what was sent; None where it was not sent but counted."""
    producer = FakeProducer()
    with OutputPublisher(producer=lambda: producer, strict=strict) as publisher:
        taken = publisher.publish(event)
    assert taken is not bool(publisher.undelivered)
    return decode_event(producer.sent[0]["value"], default_id="d", timestamp=None).event if taken else None


def event(**fields: Any) -> OutputEvent:
    return OutputEvent(**{"stream": "bot", "output": "hi", **fields})


@pytest.mark.parametrize(
    ("field", "content", "read"),
    [
        ("id", 5, "5"),
        ("id", 0, "0"),
        ("id", uuid.UUID(int=1), str(uuid.UUID(int=1))),
        ("id", np.int64(7), "7"),
        ("output", b"gr\xc3\xbc\xc3\x9fe", "grüße"),
        ("output", 5, "5"),
        ("output", True, "true"),
        ("output", Decimal("1.5"), "1.5"),
        ("output", Colour.RED, "red"),
        ("output", {"a": [1, None]}, '{"a":[1,null]}'),
        ("output", ["a", "b"], '["a","b"]'),
        ("output", np.arange(2), "[0,1]"),
        ("output", [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}], "x\ny"),
        ("output", [{"type": "output_text", "text": "x"}, {"type": "image_url", "image_url": {}}], "x"),
        ("output", {"role": "assistant", "content": [{"type": "text", "text": "x"}]}, "x"),
        ("output", SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content="x"))]), "x"),
        ("output", Answer("x", 0.5), '{"text":"x","score":0.5}'),
        ("output", Reply(text="x", when=MOMENT), '{"text":"x","when":"2026-01-31T12:00:00+00:00"}'),
        ("output", Pair(1, 2), '{"a":1,"b":2}'),
        ("output", "cut \ud83d", "cut \ufffd"),
        ("input", [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}], "Why?"),
        ("input", [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}], "Why?"),
        ("error", ValueError("no"), "ValueError: no"),
        ("error", {"code": 1}, '{"code":1}'),
        ("finish_reason", Colour.RED, "red"),
        ("time", MOMENT, MOMENT.timestamp()),
        ("time", np.datetime64("2026-01-31T12:00:00"), MOMENT.timestamp()),
        ("time", MOMENT.timestamp() * 1e3, MOMENT.timestamp()),
        ("time", int(MOMENT.timestamp() * 1e6), MOMENT.timestamp()),
        ("time", int(MOMENT.timestamp()) * 10**9, MOMENT.timestamp()),
        ("time", "2026-01-31T12:00:00Z", MOMENT.timestamp()),
        ("cost_usd", Decimal("0.01"), 0.01),
        ("cost_usd", "0.01", 0.01),
        ("cost_usd", np.float32(0.5), 0.5),
        ("cost_usd", float("nan"), None),
        ("usage", Usage(input_tokens=np.int64(5), output_tokens=6.0), Usage(input_tokens=5, output_tokens=6)),  # type: ignore[arg-type]
        ("usage", {"input_tokens": "12"}, Usage(input_tokens=12)),
        ("latency", Latency(total_s=dt.timedelta(seconds=2)), Latency(total_s=2.0)),  # type: ignore[arg-type]
        ("model", "gpt-4o", Model(name="gpt-4o")),
        ("model", {"name": "m", "version": 4.1}, Model(name="m", version="4.1")),
        ("prompt", Prompt(name="p", version=3), Prompt(name="p", version="3")),  # type: ignore[arg-type]
        ("session", Session(id=7, turn=np.int32(2)), Session(id="7", turn=2)),  # type: ignore[arg-type]
        ("calls", [Call(dependency="d", status=HTTPStatus.OK)], [Call(dependency="d", status=200)]),
        ("calls", ({"dependency": "d", "duration_s": Decimal(1)},), [Call(dependency="d", duration_s=1.0)]),
        ("attributes", {"a": MOMENT, "b": uuid.UUID(int=1)}, {"a": MOMENT.isoformat(), "b": str(uuid.UUID(int=1))}),
        ("attributes", {"a": Colour.RED, Colour.RED: {1}, 3: b"x"}, {"a": "red", "red": [1], "3": "x"}),
        ("attributes", {"a": Decimal("0.5"), "b": ValueError("no")}, {"a": 0.5, "b": "ValueError: no"}),
        (
            "attributes",
            {"a": Answer("x", 1.0), "b": Broken()},
            {"a": {"text": "x", "score": 1.0}, "b": f"{__name__}.Broken"},
        ),
        ("attributes", None, {}),
    ],
)
def test_what_has_a_clear_meaning_is_converted(field: str, content: Any, read: Any) -> None:
    given = event(**{field: content}) if field != "error" else event(output=None, error=content)
    found = published(given)
    assert found is not None
    assert getattr(found, field) == read


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"output": b"\xff\xfe"}, Undelivered.OUT_OF_RANGE, "output: "),
        ({"output": object()}, Undelivered.WRONG_TYPE, "output: expected text, got object"),
        ({"output": iter(["a"])}, Undelivered.WRONG_TYPE, "output: .* read it first"),
        ({"id": True}, Undelivered.WRONG_TYPE, "id: expected text, got bool"),
        ({"id": "a" * 600}, Undelivered.OUT_OF_RANGE, "id: "),
        ({"id": [1]}, Undelivered.WRONG_TYPE, "id: "),
        ({"stream": "a\nb"}, Undelivered.OUT_OF_RANGE, "stream: must be one line"),
        ({"stream": "a" * 300}, Undelivered.OUT_OF_RANGE, "stream: must have 1 to 256"),
        ({"usage": Usage(input_tokens=5.5)}, Undelivered.WRONG_TYPE, r"usage\.input_tokens: "),  # type: ignore[arg-type]
        ({"usage": Usage(input_tokens=-1)}, Undelivered.OUT_OF_RANGE, r"usage\.input_tokens: "),
        ({"usage": Usage(input_tokens=True)}, Undelivered.WRONG_TYPE, r"usage\.input_tokens: "),
        ({"latency": Latency(total_s=-1.0)}, Undelivered.OUT_OF_RANGE, r"latency\.total_s: "),
        ({"cost_usd": "cheap"}, Undelivered.WRONG_TYPE, "cost_usd: "),
        ({"time": "yesterday"}, Undelivered.OUT_OF_RANGE, "time: "),
        ({"time": 1e40}, Undelivered.OUT_OF_RANGE, "time: "),
        ({"model": 5}, Undelivered.WRONG_TYPE, "model: expected Model, got int"),
        ({"attributes": [1]}, Undelivered.WRONG_TYPE, "attributes: "),
        ({"attributes": {"a": b"\xff"}}, Undelivered.OUT_OF_RANGE, r"attributes\.a: "),
        ({"calls": [Call(dependency=None)]}, Undelivered.WRONG_TYPE, "calls"),  # type: ignore[arg-type]
    ],
)
def test_what_has_none_is_counted_and_named(
    fields: dict[str, Any], reason: Undelivered, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = OutputPublisher(producer=FakeProducer)
    for _ in range(3):
        assert not publisher.publish(event(**fields))
    assert publisher.undelivered == {reason: 3}
    assert len(caplog.records) == 1
    publisher.strict = True
    with pytest.raises(InvalidEvent, match=says) as raised:
        publisher.publish(event(**fields))
    assert isinstance(raised.value, (TypeError, ValueError))
    publisher.strict = False
    publisher.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"id": 5},
        {"id": uuid.UUID(int=1)},
        {"output": ["a"]},
        {"output": b"hi"},
        {"output": 5},
        {"output": Answer("x", 1.0)},
        {"cost_usd": Decimal("0.01")},
        {"time": MOMENT},
        {"time": 1.8e12},
        {"usage": Usage(input_tokens=np.int64(5))},  # type: ignore[arg-type]
        {"model": "m"},
        {"input": [{"role": "user", "content": "x"}]},
        {"attributes": {"a": object()}},
    ],
)
def test_a_strict_publisher_takes_only_the_declared_types(fields: dict[str, Any]) -> None:
    [name] = fields
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        published(event(**fields), strict=True)


def test_a_strict_publisher_converts_free_fields() -> None:
    read = published(event(attributes={"a": MOMENT, "b": np.float32(0.5), 3: (1, 2)}), strict=True)
    assert read is not None
    assert read.attributes == {"a": MOMENT.isoformat(), "b": 0.5, "3": [1, 2]}


def test_an_event_of_declared_types_arrives_as_it_is() -> None:
    full = event(
        id="1",
        time=5.0,
        input="Why?",
        model=Model(name="m"),
        usage=Usage(input_tokens=1),
        calls=[Call(dependency="d", status=200, duration_s=1)],
        steps=[{"a": [1, "b", None, True, 0.5]}],
        action={"name": "x"},
        attributes={"deep": {"er": [1, {"x": 2}]}},
        extra={"n": 2**63},
    )
    assert published(full, strict=True) == full


def test_a_conversion_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with OutputPublisher(producer=FakeProducer) as publisher:
        for i in range(100):
            publisher.publish(event(id=i))
    assert [record.getMessage() for record in caplog.records] == ["output events: id: int converted to text"]


_texts = st.one_of(st.none(), st.text(max_size=5), st.just("a" * 600), st.just(5), st.just(b"x"), st.just("\ud83d"))
_numbers = st.one_of(st.none(), st.integers(), st.floats(), st.just("1"), st.booleans(), st.just(2**63), st.just(1e20))
_free = st.recursive(
    st.one_of(_texts, _numbers, st.just(MOMENT)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.text(), st.integers()), inner)),
    max_leaves=5,
)


@given(
    texts=st.lists(_texts, min_size=8, max_size=8),
    numbers=st.lists(_numbers, min_size=8, max_size=8),
    free=st.dictionaries(st.text(max_size=3), _free, max_size=3),
    stream=st.one_of(st.just("bot"), st.text(max_size=5)),
)
def test_whatever_is_sent_the_reader_takes(
    texts: list[Any], numbers: list[Any], free: dict[str, Any], stream: str
) -> None:
    """Also what is sent without having been read before, which the second round is."""
    whole = OutputEvent(
        stream=stream,
        output=texts[0],
        id="1" if texts[1] is None else texts[1],
        error=texts[2],
        input=texts[3],
        time=numbers[0],
        cost_usd=numbers[1],
        model=Model(name=texts[4]),
        usage=Usage(input_tokens=numbers[2]),
        latency=Latency(total_s=numbers[3]),
        session=Session(id=texts[5], turn=numbers[4]),
        calls=[Call(dependency=texts[6], status=numbers[5], duration_s=numbers[6])],  # type: ignore[arg-type]
        attributes=free,
        steps=list(free.values()),
    )
    encode(OutputEvent(stream="bot", output="", id="1"))  # now its stream's name is known
    with contextlib.suppress(InvalidEvent):
        key, value, _ = encode(whole)
        read = decode_event(value, default_id="d", timestamp=None).event
        assert key == (read.id or "").encode() or read.id == "d"


def test_cycles_and_depth_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    read = published(event(attributes={"loop": loop, "deep": deep}))
    assert read is not None
    assert json.dumps(read.attributes)


def test_generators_are_not_read() -> None:
    def pieces() -> Iterator[str]:
        yield "a"

    stream = pieces()
    assert published(event(output=stream)) is None
    assert list(stream) == ["a"]
