"""What is known of each criterion's anchors, kept in the state topic beside the positions of agents without state."""

from __future__ import annotations

import msgspec

from monitor.judgment.anchor_book import AnchorBookState
from monitor.settings import Broker
from pipelines.kafka.log_reader import read_to_end
from pipelines.kafka.producer import LogProducer, Outgoing
from pipelines.kafka.topics import TopicFacts, TopicMap
from pipelines.state.records import ANCHORS_PREFIX, AnchorsRecord, decode_anchors, encode


class AnchorStates:
    """States of anchors by criterion. Written before the position up to which they were applied."""

    def __init__(self, broker: Broker, producer: LogProducer, topics: TopicMap) -> None:
        self._broker = broker
        self._producer = producer
        self._topics = topics

    async def write(self, states: dict[str, AnchorBookState]) -> None:
        """The states of these criteria, confirmed by the broker."""
        judgments = self._topics.judgments
        await self._producer.send(
            Outgoing(
                self._topics.state.name,
                key=ANCHORS_PREFIX + criterion.encode(),
                partition=self._topics.positions_partition,
                value=encode(AnchorsRecord(judgments.id, state)),
            )
            for criterion, state in states.items()
        )

    async def restore(self) -> dict[str, AnchorBookState]:
        """The states of all criteria, as `read_anchor_states`."""
        return await read_anchor_states(self._broker, self._topics)


async def read_anchor_states(broker: Broker, topics: TopicMap) -> dict[str, AnchorBookState]:
    """The latest state of each criterion's anchors.

    Of a judgments topic that was deleted and made again baselines stand, and offsets start from the beginning. Raises
    `StateError` for another version's state, `BrokerError` where Kafka cannot be read.
    """
    found: dict[str, AnchorBookState] = {}
    judgments: TopicFacts = topics.judgments
    async for record in read_to_end(broker, topics.state.name, [topics.positions_partition]):
        key, value = record.key or b"", record.value
        if not key.startswith(ANCHORS_PREFIX) or value is None:
            continue
        criterion, written = key.removeprefix(ANCHORS_PREFIX).decode(), decode_anchors(record, value)
        here = written.topic == judgments.id
        state = written.book if here else msgspec.structs.replace(written.book, applied=-1)
        known = found.get(criterion)
        # A worker that writes late, woken after its partitions went to another, loses.
        if known is None or not here or state.applied >= known.applied:
            found[criterion] = state
    return found
