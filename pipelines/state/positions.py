"""Positions of the agents without state (featurize, notify), kept in the state topic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitor.settings import Broker
from pipelines.kafka.log_reader import read_to_end
from pipelines.kafka.producer import LogProducer, Outgoing
from pipelines.kafka.topics import TopicFacts, TopicMap
from pipelines.state.records import POSITION_PREFIX, PositionRecord, decode_position, encode


class Positions:
    """Positions of an agent that keeps no other state (featurize, notify), in the state topic."""

    def __init__(self, broker: Broker, producer: LogProducer, topics: TopicMap, source: TopicFacts) -> None:
        self._broker = broker
        self._producer = producer
        self._topics = topics
        self._source = source
        self._prefix = POSITION_PREFIX + source.name.encode() + b"/"

    async def write(self, positions: Mapping[int, int]) -> None:
        """The next offset of each partition, confirmed by the broker."""
        source, state = self._source, self._topics.state.name
        await self._producer.send(
            Outgoing(
                state,
                key=self._prefix + str(partition).encode(),
                partition=self._topics.positions_partition,
                value=encode(PositionRecord(source.id, source.partitions, next=offset)),
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
            written = decode_position(record, value)
            if partition in found and written.topic == self._source.id:
                found[partition] = max(found[partition], written.next)
        return found
