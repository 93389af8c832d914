"""`OutputPublisher.feedback`: what users say of outputs, in the application's words."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pytest

from monitor.errors import InvalidEvent
from monitor.events import OutputEvent
from monitor.judgment.feedback import CORRECTION, RATING, THUMB, criterion_of, is_good, read_feedback
from monitor.judgment.records import Feedback, encode_record
from monitor.publisher import OutputPublisher, Undelivered
from tests.publisher.fake import FakeProducer

NOW = 1_760_000_100.0


class Said:
    """A publisher, what it sent, and each message as the monitor reads it."""

    def __init__(self, **options: Any) -> None:
        self.producer = FakeProducer()
        self.publisher = OutputPublisher(producer=lambda: self.producer, wall_clock=lambda: NOW, **options)

    def read(self) -> list[Feedback]:
        assert self.publisher.flush(30)
        return [read_feedback(message["value"]) for message in self.producer.sent]


@pytest.fixture
def said() -> Iterator[Said]:
    made = Said()
    yield made
    made.publisher.close(0.0)


class Answer(Enum):
    YES = True
    STARS = 4


def test_a_thumb_a_rating_and_a_correction_reach_their_topic_under_the_outputs_id(said: Said) -> None:
    publisher = said.publisher
    assert publisher.publish(OutputEvent(stream="bot", output="hi", id="e1"))
    assert publisher.feedback("e1", True, stream="bot", by="u7")
    assert publisher.feedback("e1", 4, scale=(1, 5), text="nearly")
    assert publisher.feedback("e1", text="Hello.")
    assert publisher.flush(30)
    output, *feedback = said.producer.sent
    assert output["topic"] == "oqm.outputs"
    assert {message["topic"] for message in feedback} == {"oqm.feedback"}
    assert {(message["key"], message["timestamp_ms"]) for message in feedback} == {(b"e1", 1_760_000_100_000)}
    thumb, rating, correction = (read_feedback(message["value"]) for message in feedback)
    assert thumb == Feedback(event="e1", stream="bot", kind=THUMB, value=True, by="u7", time=NOW)
    assert rating == Feedback(event="e1", kind=RATING, value=4.0, scale=(1.0, 5.0), text="nearly", time=NOW)
    assert correction == Feedback(event="e1", kind=CORRECTION, text="Hello.", time=NOW)
    assert publisher.delivered == 4


@pytest.mark.parametrize(
    ("arguments", "field", "read"),
    [
        (("e", np.bool_(True)), "value", True),
        (("e", Answer.YES), "value", True),
        (("e", np.float32(3.0), {"scale": (0, 10)}), "value", 3.0),
        (("e", Decimal("2.5"), {"scale": np.array([0, 5]).tolist()}), "value", 2.5),
        ((7, False), "event", "7"),
        ((uuid.UUID(int=3), True), "event", str(uuid.UUID(int=3))),
        (("e", True, {"by": 12}), "by", "12"),
        (("e", True, {"kind": "helpful"}), "kind", "helpful"),
        (("e", True, {"time": datetime(2026, 1, 1, tzinfo=UTC)}), "time", 1_767_225_600.0),
        (("e", True, {"time": 1_767_225_600_000}), "time", 1_767_225_600.0),
        (("e\ud800", True), "event", "e?"),
        (("e", False, {"text": "x" * 200_000}), "text", "x" * 100_000),
    ],
)
def test_values_of_applications_are_read(said: Said, arguments: tuple[Any, ...], field: str, read: object) -> None:
    event, value, *options = arguments
    assert said.publisher.feedback(event, value, **(options[0] if options else {}))
    (found,) = said.read()
    assert getattr(found, field) == read


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"event_id": ""}, "event"),
    ({"event_id": None}, "event_id"),
    ({"event_id": True}, "event_id"),
    ({"event_id": "x" * 2_000}, "event"),
    ({"value": None}, "value"),
    ({"value": "up"}, "value"),
    ({"value": object()}, "value"),
    ({"value": float("nan"), "scale": (1, 5)}, "value"),
    ({"value": 4}, "scale"),
    ({"value": 6, "scale": (1, 5)}, "value"),
    ({"value": 3, "scale": (5, 1)}, "scale"),
    ({"value": 3, "scale": (1, float("inf"))}, "value"),
    ({"value": 3, "scale": (1,)}, "scale"),
    ({"value": 3, "scale": 5}, "scale"),
    ({"value": 3, "scale": "15"}, "scale"),
    ({"value": True, "kind": "rating", "scale": (1, 5)}, "value"),
    ({"value": 1, "kind": "thumb", "scale": (0, 1)}, "value"),
    ({"value": True, "kind": "Wie war's?"}, "kind"),
    ({"value": True, "kind": "correction", "text": "x"}, "value"),
    ({"value": None, "text": "  "}, "text"),
    ({"value": None, "kind": "helpful"}, "value"),
    ({"stream": " "}, "stream"),
    ({"stream": 3}, "stream"),
    ({"text": b"raw"}, "text"),
    ({"by": "x" * 300}, "by"),
    ({"time": "yesterday"}, "time"),
    ({"time": datetime(2026, 1, 1)}, "time"),  # without a zone
    ({"time": -5.0}, "time"),
]


@pytest.mark.parametrize(("given", "named"), WRONG)
def test_bad_input_is_dropped_counted_and_named(said: Said, given: dict[str, Any], named: str) -> None:
    arguments = {"event_id": "e", "value": True, **given}
    assert not said.publisher.feedback(**arguments)
    assert sum(said.publisher.undelivered.values()) == 1
    assert said.publisher.undelivered.keys() <= {Undelivered.WRONG_TYPE, Undelivered.OUT_OF_RANGE}
    said.publisher.strict = True
    with pytest.raises(InvalidEvent, match=rf"^\w+: {named}:") as refused:
        said.publisher.feedback(**arguments)
    assert isinstance(refused.value, TypeError | ValueError)
    assert said.producer.sent == []


def test_after_close_it_is_counted_like_an_output(said: Said) -> None:
    said.publisher.close()
    assert not said.publisher.feedback("e", True)
    assert said.publisher.undelivered == {Undelivered.CLOSED: 1}


def test_another_topic_may_be_given() -> None:
    made = Said(feedback_topic="votes")
    with made.publisher as publisher:
        publisher.feedback("e", True)
    assert [message["topic"] for message in made.producer.sent] == ["votes"]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b"{}",
        b'{"event": 3, "value": true}',
        b'{"event": "e", "value": "up"}',
        b'{"event": "e", "value": 4}',
        b'{"event": "e", "kind": "correction"}',
        b'{"event": "", "value": true}',
        b'{"event": "e", "value": true, "scale": [1]}',
        b'{"event": "e", "value": true, "time": -1}',
        b"\xff\xfe",
    ],
)
def test_the_reader_refuses_what_has_no_meaning(message: bytes) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read_feedback(message)
    assert refused.value.detail


@pytest.mark.parametrize(
    ("said", "good"),
    [
        (Feedback(event="e", value=True), True),
        (Feedback(event="e", value=False), False),
        (Feedback(event="e", kind="rating", value=4.0, scale=(1.0, 5.0)), True),
        (Feedback(event="e", kind="rating", value=3.0, scale=(1.0, 5.0)), None),
        (Feedback(event="e", kind="rating", value=-1.0, scale=(-3.0, 3.0)), False),
        (Feedback(event="e", kind="helpful", value=False), False),
        (Feedback(event="e", kind="correction", text="so"), False),
    ],
)
def test_what_counts_as_good(said: Feedback, good: bool | None) -> None:
    assert is_good(read_feedback(encode_record(said))) is good
    assert criterion_of(said.kind) == f"feedback_{said.kind}"
