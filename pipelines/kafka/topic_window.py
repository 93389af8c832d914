"""Part of a topic by time: what came between two moments, or the newest records, and then it ends.

A console consumer goes on for as long as records come, and starts at the oldest that Kafka keeps. An operator wants the
outputs around an alert. So the offsets of both ends are asked from Kafka by time, and only what lies between is read.
Reading leaves nothing behind: no consumer group, no position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from monitor.errors import BrokerError
from monitor.settings import Broker
from pipelines.kafka.connection import client_options, quiet_client_logs, unreachable

_POLL_MS = 500  # longest wait of one poll; records that are there come at once
LOOK_BACK_S = (600.0, 3_600.0, 6 * 3_600.0, 86_400.0)
"""Spans before now that are read one after the other for the newest records of one kind; after the last, all there is.
An alert is mostly some minutes old, so the first span mostly is enough, and no span is read twice."""


MAX_READ_BETWEEN = 500
"""Records between two wanted ones that are read rather than skipped: a seek throws away what the client has fetched
ahead, which is about as many records of some kilobytes each."""


class TopicWindow:
    """Reads parts of one topic. `topic_window` makes it."""

    def __init__(self, consumer: KafkaConsumer, topic: str, partitions: int) -> None:
        self._consumer = consumer
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(self._partitions)
        self._starts: dict[TopicPartition, int] = consumer.beginning_offsets(self._partitions)
        self._ends: dict[TopicPartition, int] = consumer.end_offsets(self._partitions)

    def between(self, since_s: float | None, until_s: float | None) -> Iterator[ConsumerRecord]:
        """Records written from `since_s` to before `until_s` (seconds since 1970; None: no limit), by partition.

        What is written after the window was made is not read, so the iteration ends on live traffic too.
        """
        starts = self._offsets(since_s, self._starts)
        stops = self._offsets(until_s, self._ends) if until_s is not None else self._ends
        for partition in self._partitions:
            yield from self._read(partition, starts[partition], min(stops[partition], self._ends[partition]))

    def backwards(self, now_s: float) -> Iterator[Iterator[ConsumerRecord]]:
        """The newest records first: one part for each span of `LOOK_BACK_S`, then the rest; each must be read whole."""
        stops = dict(self._ends)
        for span in (*LOOK_BACK_S, None):
            starts = self._starts if span is None else self._offsets(now_s - span, self._starts)
            yield self._part(starts, dict(stops))
            stops = {partition: min(starts[partition], stops[partition]) for partition in self._partitions}
            if all(stops[partition] <= self._starts[partition] for partition in self._partitions):
                return

    def at(self, partition: int, offset: int) -> ConsumerRecord | None:
        """The record at this place; None where Kafka has none there any more, or none yet."""
        return self.records_at([(partition, offset)]).get((partition, offset))

    def records_at(self, places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], ConsumerRecord]:
        """The records at these places (partition, offset), by place; without those that Kafka has not.

        Each partition is read once, in order; what lies between two places is skipped where it is long.
        """
        wanted: dict[int, set[int]] = {}
        for partition, offset in places:
            wanted.setdefault(partition, set()).add(offset)
        found: dict[tuple[int, int], ConsumerRecord] = {}
        for where in self._partitions:
            offsets = wanted.get(where.partition, set())
            kept = sorted(offset for offset in offsets if self._starts[where] <= offset < self._ends[where])
            for first, last in _runs(kept):
                for record in self._read(where, first, last + 1):
                    if record.offset in offsets:
                        found[where.partition, record.offset] = record
        return found

    def _part(self, starts: dict[TopicPartition, int], stops: dict[TopicPartition, int]) -> Iterator[ConsumerRecord]:
        for partition in self._partitions:
            yield from self._read(partition, starts[partition], stops[partition])

    def _offsets(self, moment_s: float | None, otherwise: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Per partition the first offset written at or after the moment: the end, where nothing came since."""
        if moment_s is None:
            return otherwise
        found = self._consumer.offsets_for_times({one: max(0, int(moment_s * 1000)) for one in self._partitions})
        return {one: self._ends[one] if found.get(one) is None else found[one].offset for one in self._partitions}

    def _read(self, partition: TopicPartition, start: int, stop: int) -> Iterator[ConsumerRecord]:
        if start >= stop:
            return
        self._consumer.assign([partition])
        self._consumer.seek(partition, start)
        while self._consumer.position(partition) < stop:
            for record in self._consumer.poll(timeout_ms=_POLL_MS).get(partition, []):
                if record.offset >= stop:
                    return
                yield record


def _runs(offsets: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending offsets as runs (first, last), cut where more than `MAX_READ_BETWEEN` records lie between two."""
    first = 0
    for place in range(1, len(offsets) + 1):
        if place == len(offsets) or offsets[place] - offsets[place - 1] > MAX_READ_BETWEEN + 1:
            yield offsets[first], offsets[place - 1]
            first = place


@contextmanager
def topic_window(broker: Broker, topic: str, partitions: int) -> Iterator[TopicWindow]:
    """A window on a topic as it is now. Raises `BrokerError` where no broker answers or the topic cannot be read."""
    with quiet_client_logs():
        try:
            consumer = KafkaConsumer(**client_options(broker), group_id=None, enable_auto_commit=False)
        except (KafkaError, OSError, ValueError) as error:
            raise unreachable(broker, error) from error
    try:
        yield TopicWindow(consumer, topic, partitions)
    except KafkaError as error:
        raise BrokerError(f"{topic} on {broker.bootstrap} cannot be read: {error}") from error
    finally:
        consumer.close()
