"""What survives a worker: streams' snapshots and positions, in the compacted state topic.

The order of writes is the guarantee: snapshots of the streams that changed, confirmed by the broker; then the
partition's position, confirmed; only then is the consumer group's offset moved, and that for lag monitors alone.

On restore each stream takes the snapshot that was written at the highest position, and the partition the highest
position: what a worker writes late, woken after its partitions went to another (SIGSTOP, a long pause), loses. Records
carry the id of the topic whose offsets they speak of: a topic made anew, under the same name, starts at 0 again.

Where: the state topic has one partition for each detect partition, and one more for the positions of the agents
without state (featurize, notify).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from monitor.detection.records.status import StreamStatus
from monitor.errors import BrokerError, StateError
from monitor.settings import Broker
from pipelines.kafka.connection import async_client_options, quiet_client_logs, unreachable
from pipelines.kafka.producer import LogProducer, Outgoing
from pipelines.kafka.topics import TopicFacts, TopicMap

VERSION = 1
_STREAM = b"stream/"
_POSITION = b"position/"
# Headers of a tombstone, which has no value: the features topic and the position at which the stream ended.
_TOPIC_HEADER, _AT_HEADER = "oqm-topic-id", "oqm-at"


class StreamRecord(msgspec.Struct, frozen=True):
    """A stream as of position `at` of its detect partition (of `partitions`), in the features topic with id `topic`."""

    topic: str
    partitions: int
    at: int
    status: StreamStatus
    snapshot: bytes
    v: int = VERSION


class PositionRecord(msgspec.Struct, frozen=True):
    """The next offset to apply of a partition of the topic with id `topic`, which has `partitions`.

    `clock`: log times of the first and the latest tick before it, where a detect partition has had one.
    """

    topic: str
    partitions: int
    next: int
    v: int = VERSION
    clock: tuple[float, float] | None = None


class _Version(msgspec.Struct):
    v: int


_encoder = msgspec.msgpack.Encoder()
_version = msgspec.msgpack.Decoder(_Version)
_stream_record = msgspec.msgpack.Decoder(StreamRecord, strict=False)
_position_record = msgspec.msgpack.Decoder(PositionRecord)
R = TypeVar("R", StreamRecord, PositionRecord)


def _decode(decoder: msgspec.msgpack.Decoder[R], record: ConsumerRecord[bytes, bytes], value: bytes) -> R:
    try:
        version = _version.decode(value).v
        if version != VERSION:
            raise StateError(
                f"{record.topic} holds state of format version {version}, this worker reads {VERSION}: "
                "run the version that wrote it, or stop all workers, delete the topic and run: oqm topics"
            )
        return decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StateError(
            f"{record.topic} partition {record.partition} offset {record.offset} is not a checkpoint: {error}"
        ) from error


@asynccontextmanager
async def reader(broker: Broker) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, for reading whole partitions or single offsets. Raises `BrokerError`."""
    consumer = AIOKafkaConsumer(
        **async_client_options(broker), client_id="oqm-reader", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    with quiet_client_logs():
        try:
            await consumer.start()
        except asyncio.CancelledError:
            await consumer.stop()
            raise
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise unreachable(broker, error) from error
    try:
        yield consumer
    except KafkaError as error:
        raise BrokerError(f"Kafka at {broker.bootstrap}: {error or type(error).__name__}") from error
    finally:
        await consumer.stop()


async def read_to_end(
    broker: Broker, topic: str, partitions: Iterable[int]
) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
    """Every record of these partitions up to their end as of now.

    The embedded broker gives for the end the first offset of the last batch, plus one: reached with that batch, which
    is read whole.
    """
    wanted = [TopicPartition(topic, partition) for partition in partitions]
    if not wanted:
        return
    async with reader(broker) as consumer:
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        await consumer.seek_to_beginning(*wanted)
        open_ones = {partition for partition in wanted if ends[partition] > 0}
        while open_ones:
            for records in (await consumer.getmany(*open_ones, timeout_ms=200)).values():
                for record in records:
                    yield record
            open_ones = {tp for tp in open_ones if await consumer.position(tp) < ends[tp]}


async def read_at(broker: Broker, topic: str, partition: int, offset: int) -> tuple[int, int | None]:
    """The log's start, and the offset of the first record at or after `offset`; None where there is none yet."""
    where = TopicPartition(topic, partition)
    async with reader(broker) as consumer:
        consumer.assign([where])
        start = (await consumer.beginning_offsets([where]))[where]
        end = (await consumer.end_offsets([where]))[where]
        offset = max(offset, start)
        consumer.seek(where, offset)
        while await consumer.position(where) < end:
            for records in (await consumer.getmany(where, timeout_ms=200)).values():
                if records:
                    return start, records[0].offset
        return start, None


async def answers(broker: Broker, topic: str, within_s: float) -> bool:
    """Whether Kafka says within so many seconds where this topic ends."""
    try:
        async with asyncio.timeout(within_s), reader(broker) as consumer:
            await consumer.end_offsets([TopicPartition(topic, 0)])
    except (BrokerError, TimeoutError):
        return False
    return True


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


def _stream_key(stream: str) -> bytes:
    return _STREAM + stream.encode("utf-8", "surrogatepass")


def stream_of(key: bytes) -> str:
    """The stream that a key of the state topic speaks of."""
    return key.removeprefix(_STREAM).decode("utf-8", "surrogatepass")


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
                key=_stream_key(stream),
                partition=partition,
                value=_encoder.encode(
                    StreamRecord(features.id, features.partitions, at=position, status=status, snapshot=snapshot)
                ),
            )
            for stream, (status, snapshot) in streams.items()
        ]
        place = ((_TOPIC_HEADER, features.id.encode()), (_AT_HEADER, str(position).encode()))
        written += [
            Outgoing(state, key=_stream_key(stream), partition=partition, value=None, headers=place)
            for stream in sorted(ended)
        ]
        await self._producer.send(written)
        record = PositionRecord(features.id, features.partitions, next=position, clock=clock)
        key = _POSITION + b"features"
        await self._producer.send([Outgoing(state, key=key, partition=partition, value=_encoder.encode(record))])

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
                if key.startswith(_STREAM):
                    stream = stream_of(key)
                    ended[stream] = end = _Ended.of(record)
                    for held in (here.streams, here.elsewhere):
                        if stream in held and end.covers(held[stream]):
                            del held[stream]
                continue
            if key.startswith(_STREAM):
                written = _decode(_stream_record, record, value)
                self._same_partitions(written.partitions)
                stream = stream_of(key)
                if stream in ended and ended[stream].covers(written, before=False):
                    continue
                if written.topic != features.id:
                    here.elsewhere[stream] = written  # the last one written
                elif stream not in here.streams or written.at >= here.streams[stream].at:
                    here.streams[stream] = written
            elif key.startswith(_POSITION):
                position = _decode(_position_record, record, value)
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
        if not key.startswith(_STREAM):
            continue
        stream = stream_of(key)
        if value is None:
            ended[stream] = end = _Ended.of(record)
            if stream in found and end.covers(found[stream][1]):
                del found[stream]
            continue
        written = _decode(_stream_record, record, value)
        if stream in ended and ended[stream].covers(written, before=False):
            continue
        current = written.topic == topics.features.id
        before = found.get(stream)
        # Of the topic that is there now the highest position counts, of others the last one written.
        if before is None or (current, written.at if current else before[1].at) >= (before[0], before[1].at):
            found[stream] = (current, written)
    return {stream: (written.status, current) for stream, (current, written) in found.items()}


class Positions:
    """Positions of an agent without state of its own in the log (featurize, notify), in the state topic."""

    def __init__(self, broker: Broker, producer: LogProducer, topics: TopicMap, source: TopicFacts) -> None:
        self._broker = broker
        self._producer = producer
        self._topics = topics
        self._source = source
        self._prefix = _POSITION + source.name.encode() + b"/"

    async def write(self, positions: Mapping[int, int]) -> None:
        """The next offset of each partition, confirmed by the broker."""
        source, state = self._source, self._topics.state.name
        await self._producer.send(
            Outgoing(
                state,
                key=self._prefix + str(partition).encode(),
                partition=self._topics.positions_partition,
                value=_encoder.encode(PositionRecord(source.id, source.partitions, next=offset)),
            )
            for partition, offset in positions.items()
        )

    async def restore(self, partitions: Iterable[int]) -> dict[int, int]:
        """The next offset of each of these partitions; 0 where nothing was written."""
        found = dict.fromkeys(partitions, 0)
        if not found:
            return found
        async for record in read_to_end(self._broker, self._topics.state.name, [self._topics.positions_partition]):
            key, value = record.key or b"", record.value
            if value is None or not key.startswith(self._prefix):
                continue
            partition = int(key.removeprefix(self._prefix))
            written = _decode(_position_record, record, value)
            if partition in found and written.topic == self._source.id:
                found[partition] = max(found[partition], written.next)
        return found
