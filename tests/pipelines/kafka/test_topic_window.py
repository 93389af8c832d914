"""Reading single places of a topic, on a consumer in memory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

from pipelines.kafka import topic_window as module
from pipelines.kafka.topic_window import MAX_READ_BETWEEN, TopicWindow
from tests.pipelines.records import Record

FETCHED = 100


class Consumer:
    """kafka-python's consumer over partitions in memory, and how often it was moved."""

    def __init__(self, logs: dict[int, list[Record]], start: int = 0) -> None:
        self.logs, self.start = logs, start
        self.seeks: list[tuple[int, int]] = []
        self.read = 0
        self._at = (0, 0)

    def assign(self, partitions: list[TopicPartition]) -> None: ...

    def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.start)

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {one: max((record.offset for record in self.logs[one.partition]), default=-1) + 1 for one in partitions}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.seeks.append((partition.partition, offset))
        self._at = partition.partition, offset

    def position(self, partition: TopicPartition) -> int:
        return self._at[1]

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Record]]:
        number, at = self._at
        records = [record for record in self.logs[number] if record.offset >= at][:FETCHED]
        self._at = number, records[-1].offset + 1
        self.read += len(records)
        return {TopicPartition("t", number): records}


def log(partition: int, offsets: Any) -> list[Record]:
    return [Record(partition, offset, str(offset).encode()) for offset in offsets]


def test_each_partition_is_read_once_however_many_places_are_asked_for() -> None:
    consumer = Consumer({0: log(0, range(1_000)), 1: log(1, range(1_000))})
    places = [(partition, offset) for offset in range(999, -1, -3) for partition in (1, 0)]
    found = TopicWindow(consumer, "t", 2).records_at(places)
    assert {place: record.offset for place, record in found.items()} == {place: place[1] for place in places}
    assert consumer.seeks == [(0, 0), (1, 0)]
    assert consumer.read == 2_000


def test_what_lies_between_is_skipped_where_it_is_long() -> None:
    consumer = Consumer({0: log(0, range(100_000))})
    far = 10 + MAX_READ_BETWEEN + 2
    assert set(TopicWindow(consumer, "t", 1).records_at([(0, 10), (0, far), (0, far + 1)])) == {
        (0, 10), (0, far), (0, far + 1),
    }  # fmt: skip
    assert consumer.seeks == [(0, 10), (0, far)]


@given(
    st.sets(st.integers(0, 60)), st.lists(st.tuples(st.integers(-1, 2), st.integers(-2, 70))), st.integers(0, 30),
    st.integers(0, 5),
)  # fmt: skip
def test_what_is_there_is_found_and_nothing_else(
    offsets: set[int], places: list[tuple[int, int]], start: int, between: int
) -> None:
    there = sorted(offset for offset in offsets if offset >= start)
    consumer = Consumer({0: log(0, there), 1: log(1, there)}, start)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MAX_READ_BETWEEN", between)
        found = TopicWindow(consumer, "t", 2).records_at(places)
    assert found.keys() == {(p, offset) for p, offset in places if p in (0, 1) and offset in there}
    assert all(record.value == str(offset).encode() for (_, offset), record in found.items())
