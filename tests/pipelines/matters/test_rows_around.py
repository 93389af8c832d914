"""Outputs around a change are found in the log of feature rows, however messages and streams are mixed."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from kafka import TopicPartition

from monitor.alerting.alert import Alert
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import BeganAt, Driver, RaisedAt
from monitor.detection.records.log_format import encode, encode_tick
from monitor.features.batch import FeatureBatch
from monitor.judgment.records import Side
from pipelines.kafka.topics import TopicFacts, TopicMap
from pipelines.matters.rows_around import LEAST_OF_SEGMENT, StreamRows, spread

TOPICS = TopicMap(*(TopicFacts(name, f"id-{name}", 1) for name in TopicMap.__slots__))
STREAM = "bot/answer"


class LogConsumer:
    """One partition of messages; counts what is read."""

    def __init__(self, messages: list[bytes], start: int = 0) -> None:
        self.messages = messages
        self.start = start
        self.at = 0
        self.read = 0

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.start)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self.messages))

    def assign(self, partitions: list[TopicPartition]) -> None:
        pass

    def seek(self, _: TopicPartition, offset: int) -> None:
        self.at = offset

    def position(self, _: TopicPartition) -> int:
        return self.at

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        part = range(self.at, min(self.at + 7, len(self.messages)))
        self.at, self.read = part.stop, self.read + len(part)
        return {TopicPartition("features", 0): [SimpleNamespace(offset=k, value=self.messages[k]) for k in part]}


def message(first: int, n: int, *, stream: str = STREAM, segment: dict[str, str] | None = None) -> bytes:
    """Rows first, first + 1, ... of a stream: their ids and places are their numbers."""
    numbers = np.arange(first, first + n)
    batch = FeatureBatch(
        names=("output.length.words",),
        values=np.zeros((n, 1), np.float32),
        streams=[stream] * n,
        ids=[f"{stream}-{k}" for k in numbers],
        times=1_000.0 + numbers.astype(np.float64),
        digests=numbers.astype(np.uint64),
        source="id-outputs",
        source_partitions=np.zeros(n, np.int32),
        source_offsets=numbers.astype(np.int64),
        segments=[segment or {}] * n,
        input_excerpts=[""] * n,
        output_excerpts=[""] * n,
    )
    (encoded,) = encode(batch)
    return encoded


def firing(*, low: int = 95, high: int = 100, raised: int = 110, **changes: Any) -> Alert:
    """A change at row 95 to 100 of the stream, noticed at row 110."""
    return msgspec.structs.replace(
        sample_alert(),
        stream=STREAM,
        driver=Driver.OUTPUT,
        **{
            "segment": None,
            "began_at": BeganAt(index=97, low=low, high=high, time=1_097.0),
            "raised_at": RaisedAt(event_id=f"{STREAM}-{raised}", index=raised, time=1_000.0 + raised),
            **changes,
        },
    )


def numbers(rows: Any) -> list[int]:
    return [row.offset for row in rows]


def mixed(until: int) -> list[bytes]:
    """The stream's rows five at a time, between those of another stream and ticks."""
    return [
        one
        for first in range(0, until, 5)
        for one in (message(first, 5), message(first, 5, stream="other"), encode_tick(float(first)))
    ]


def test_the_last_before_the_change_and_spread_since_it() -> None:
    consumer = LogConsumer(mixed(300))
    rows = StreamRows(consumer, TOPICS, firing())
    rows.look_back(20)
    sides = rows.sides(20)
    assert numbers(sides.rows[Side.BEFORE]) == list(range(75, 95))
    after = numbers(sides.rows[Side.AFTER])
    assert (len(after), after[0], after[-1]) == (20, 100, 299)
    assert after == sorted(after)
    assert sides.lacking == ""


def test_a_second_look_adds_outputs_to_those_of_the_first() -> None:
    rows = StreamRows(LogConsumer(mixed(300)), TOPICS, firing())
    rows.look_back(60)
    first = rows.sides(20)
    known = {row.event for side in first.rows.values() for row in side}
    second = rows.sides(60, known)
    assert second.have_come
    assert [len(second.rows[side]) for side in Side] == [40, 40]
    before = {*numbers(first.rows[Side.BEFORE]), *numbers(second.rows[Side.BEFORE])}
    assert before == set(range(35, 95))
    assert not known & {row.event for side in second.rows.values() for row in side}
    assert not rows.sides(250, known).have_come


def test_no_more_is_read_than_needed() -> None:
    consumer = LogConsumer(mixed(30_000))
    alert = firing(low=29_895, high=29_900, raised=29_910)
    rows = StreamRows(consumer, TOPICS, alert)
    rows.look_back(20)
    assert numbers(rows.sides(20).rows[Side.BEFORE]) == list(range(29_875, 29_895))
    assert consumer.read < 500


def test_rows_that_come_later_are_read_once() -> None:
    consumer = LogConsumer(mixed(105))
    rows = StreamRows(consumer, TOPICS, firing(raised=104))
    rows.look_back(20)
    few = rows.sides(20)
    assert numbers(few.rows[Side.AFTER]) == list(range(100, 105))
    assert few.lacking == "only 5 outputs after the change found in the log"
    consumer.messages += [message(105, 5), message(100, 5), message(110, 40)]  # 100 to 104 were sent twice
    rows.go_on()
    rows.go_on()
    after = numbers(rows.sides(1_000).rows[Side.AFTER])
    assert after == list(range(100, 150))


def test_what_is_no_longer_kept_is_said() -> None:
    messages = mixed(300)
    consumer = LogConsumer(messages, start=3 * 18)  # the oldest that is kept is row 90
    rows = StreamRows(consumer, TOPICS, firing())
    rows.look_back(20)
    sides = rows.sides(20)
    assert numbers(sides.rows[Side.BEFORE]) == list(range(90, 95))
    assert sides.lacking == "only 5 outputs before the change found in the log"


def test_a_changed_segment_is_compared_with_itself_where_it_was_there_before() -> None:
    tenants = [message(k, 1, segment={"attributes.tenant": "acme" if k % 4 == 0 else "other"}) for k in range(300)]
    rows = StreamRows(LogConsumer(tenants), TOPICS, firing(segment={"attributes.tenant": "acme"}))
    rows.look_back(20)
    sides = rows.sides(20)
    assert {k % 4 for side in sides.rows.values() for k in numbers(side)} == {0}
    assert len(sides.rows[Side.BEFORE]) == 20


def test_a_new_version_is_compared_with_what_was_before() -> None:
    versions = [message(k, 1, segment={"model.version": "2" if k >= 98 else "1"}) for k in range(300)]
    rows = StreamRows(LogConsumer(versions), TOPICS, firing(segment={"model.version": "2"}))
    rows.look_back(20)
    sides = rows.sides(20)
    assert numbers(sides.rows[Side.BEFORE]) == list(range(75, 95))
    assert len(sides.rows[Side.AFTER]) == 20
    assert LEAST_OF_SEGMENT <= 20


def test_without_the_raising_row_times_say_where_the_change_is() -> None:
    raised = RaisedAt(event_id=None, index=110, time=1_110.0)
    rows = StreamRows(LogConsumer(mixed(300)), TOPICS, firing(raised_at=raised))
    rows.look_back(20)
    assert numbers(rows.sides(20).rows[Side.BEFORE]) == list(range(77, 97))
    lost = StreamRows(
        LogConsumer(mixed(300)),
        TOPICS,
        firing(raised_at=raised, began_at=BeganAt(index=97, low=95, high=100, time=None)),
    )
    lost.look_back(20)
    assert lost.sides(20).lacking == (
        "only 0 outputs before the change found in the log and only 0 outputs after the change found in the log"
    )


def test_rows_of_an_earlier_topic_of_the_same_name_are_no_outputs_of_this_one() -> None:
    topics = TopicMap(*(TopicFacts(name, f"new-{name}", 1) for name in TopicMap.__slots__))
    rows = StreamRows(LogConsumer(mixed(300)), topics, firing())
    rows.look_back(20)
    assert not any(rows.sides(20).rows.values())


@pytest.mark.parametrize("n", [0, 1, 19, 20, 21, 400])
def test_spread(n: int) -> None:
    rows = StreamRows(LogConsumer([message(0, n)] if n else []), TOPICS, firing(low=0, high=0, raised=0))
    rows.look_back(20)
    found = numbers(spread(rows.sides(10**6).rows[Side.AFTER], 20))
    assert len(found) == min(n, 20)
    if n:
        assert (found[0], found[-1]) == (0, n - 1)
        assert max(np.diff(found), default=0) <= math.ceil(n / 19)
