"""What survives a worker: streams' snapshots and positions, in the compacted state topic.

The order of writes is the guarantee: snapshots of the streams that changed, confirmed by the broker; then the
partition's position, confirmed; only then is the consumer group's offset moved, and that for lag monitors alone.

On restore each stream takes the snapshot that was written at the highest position, and the partition the highest
position: what a worker writes late, woken after its partitions went to another (SIGSTOP, a long pause), loses. Records
carry the id of the topic that their offsets belong to: a topic that was deleted and created again starts at 0.

Where: the state topic has one partition for each detect partition, and one more for the positions of the agents
without state (featurize, notify).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord

from monitor.detection.records.status import StreamStatus
from monitor.errors import StateError
from monitor.settings import Broker
from pipelines.kafka.log_reader import read_to_end
from pipelines.kafka.producer import LogProducer, Outgoing
from pipelines.kafka.topics import TopicMap
from pipelines.state.records import (
    POSITION_PREFIX,
    STREAM_PREFIX,
    PositionRecord,
    StreamRecord,
    decode_position,
    decode_stream,
    encode,
    stream_key,
    stream_of,
)

# Headers of a tombstone, which has no value: the features topic and the position at which the stream ended.
_TOPIC_HEADER, _AT_HEADER = "oqm-topic-id", "oqm-at"


@dataclass(slots=True)
class Restored:
    """A detect partition as it was checkpointed: where to go on, its clock there, and each stream's record.

    Streams in `elsewhere` were written against another incarnation of the features topic: their offsets mean nothing
    in this one.
    """

    position: int = 0
    clock: tuple[float, float] | None = None
    streams: dict[str, StreamRecord] = field(default_factory=dict)
    elsewhere: dict[str, StreamRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A tombstone: the stream ended before position `at` of the features topic with id `topic`."""

    topic: str
    at: int

    @classmethod
    def of(cls, record: ConsumerRecord[bytes, bytes]) -> _Ended:
        headers = dict(record.headers or ())
        return cls(headers.get(_TOPIC_HEADER, b"").decode(), int(headers.get(_AT_HEADER, b"-1")))

    def covers(self, written: StreamRecord, *, before: bool = True) -> bool:
        """Whether it ends what `written` says, which stands before it in the state topic, or behind it.

        Behind it stands a stream that began again, at a later position; or what a worker wrote late, woken after its
        partitions went to another, at an earlier one.
        """
        if written.topic != self.topic:
            return before
        return written.at <= self.at


class DetectCheckpoint:
    """Writes and restores the state of detect partitions."""

    def __init__(self, broker: Broker, producer: LogProducer, topics: TopicMap) -> None:
        self.restored = 0
        """Records read by restores so far; for the watchdog."""
        self._broker = broker
        self._producer = producer
        self._topics = topics

    async def write(
        self,
        partition: int,
        position: int,
        streams: Mapping[str, tuple[StreamStatus, bytes]],
        ended: Collection[str] = (),
        clock: tuple[float, float] | None = None,
    ) -> None:
        """Snapshots of the streams that changed and tombstones of those that ended, confirmed; then the position.

        `clock`: log times of the partition's first and latest tick.
        """
        features, state = self._topics.features, self._topics.state.name
        written = [
            Outgoing(
                state,
                key=stream_key(stream),
                partition=partition,
                value=encode(
                    StreamRecord(features.id, features.partitions, at=position, status=status, snapshot=snapshot)
                ),
            )
            for stream, (status, snapshot) in streams.items()
        ]
        place = ((_TOPIC_HEADER, features.id.encode()), (_AT_HEADER, str(position).encode()))
        written += [
            Outgoing(state, key=stream_key(stream), partition=partition, value=None, headers=place)
            for stream in sorted(ended)
        ]
        await self._producer.send(written)
        record = PositionRecord(features.id, features.partitions, next=position, clock=clock)
        key = POSITION_PREFIX + b"features"
        await self._producer.send([Outgoing(state, key=key, partition=partition, value=encode(record))])

    async def restore(self, partitions: Iterable[int]) -> dict[int, Restored]:
        """What was checkpointed for these partitions.

        Raises `StateError` for a format that this version does not read, and for state that was written with another
        number of detect partitions.
        """
        restored = {partition: Restored() for partition in partitions}
        ended: dict[str, _Ended] = {}
        features = self._topics.features
        async for record in read_to_end(self._broker, self._topics.state.name, restored):
            self.restored += 1
            key, value, here = record.key or b"", record.value, restored[record.partition]
            if value is None:
                if key.startswith(STREAM_PREFIX):
                    stream = stream_of(key)
                    ended[stream] = end = _Ended.of(record)
                    for held in (here.streams, here.elsewhere):
                        if stream in held and end.covers(held[stream]):
                            del held[stream]
                continue
            if key.startswith(STREAM_PREFIX):
                written = decode_stream(record, value)
                self._same_partitions(written.partitions)
                stream = stream_of(key)
                if stream in ended and ended[stream].covers(written, before=False):
                    continue
                if written.topic != features.id:
                    here.elsewhere[stream] = written  # the last one written
                elif stream not in here.streams or written.at >= here.streams[stream].at:
                    here.streams[stream] = written
            elif key.startswith(POSITION_PREFIX):
                position = decode_position(record, value)
                self._same_partitions(position.partitions)
                if position.topic == features.id and position.next >= here.position:
                    here.position, here.clock = position.next, position.clock
        for found in restored.values():
            for stream in found.streams:
                found.elsewhere.pop(stream, None)
        return restored

    def _same_partitions(self, written: int) -> None:
        features, state = self._topics.features, self._topics.state
        if written != features.partitions:
            raise StateError(
                f"{state.name} was written with {written} detect partitions, {features.name} has "
                f"{features.partitions}: streams would change owners without their state. Go back to {written}, or "
                f"stop all workers, delete {features.name} and {state.name} and run: oqm topics"
            )


async def read_statuses(broker: Broker, topics: TopicMap) -> dict[str, tuple[StreamStatus, bool]]:
    """Each stream's latest status, and whether it speaks of the features topic that is there now."""
    found: dict[str, tuple[bool, StreamRecord]] = {}
    ended: dict[str, _Ended] = {}
    async for record in read_to_end(broker, topics.state.name, range(topics.features.partitions)):
        key, value = record.key or b"", record.value
        if not key.startswith(STREAM_PREFIX):
            continue
        stream = stream_of(key)
        if value is None:
            ended[stream] = end = _Ended.of(record)
            if stream in found and end.covers(found[stream][1]):
                del found[stream]
            continue
        written = decode_stream(record, value)
        if stream in ended and ended[stream].covers(written, before=False):
            continue
        current = written.topic == topics.features.id
        before = found.get(stream)
        # Of the topic that is there now the highest position counts, of others the last one written.
        if before is None or (current, written.at if current else before[1].at) >= (before[0], before[1].at):
            found[stream] = (current, written)
    return {stream: (written.status, current) for stream, (current, written) in found.items()}
