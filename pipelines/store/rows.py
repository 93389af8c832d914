"""Rows of the trace store from a batch of messages of the three topics that it reads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from monitor.criteria.criterion import PREFIX
from monitor.detection.records.log_format import decode_message
from monitor.errors import InvalidEvent
from monitor.events import decode_event
from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place
from pipelines.kafka.ordered_buffer import Message
from pipelines.kafka.topics import TopicFacts, TopicMap


class _Names(msgspec.Struct):
    """What is read of an alert; the rest stays as it is published."""

    id: str
    stream: str


class RowMaker:
    """Turns messages into rows.

    Parameters
    ----------
    topics
        Ids and names of the topics.
    privacy
        In which form texts may be kept.

    Attributes
    ----------
    unreadable
        Messages that were no event, feature row or alert. Featurize writes such outputs to the dead letters; here they
        are only counted.
    """

    def __init__(self, topics: TopicMap, privacy: Privacy) -> None:
        self._privacy = privacy
        self._makers: dict[str, tuple[TopicFacts, Callable[[Incoming, TopicFacts, Message], None] | None]] = {
            topics.outputs.name: (topics.outputs, None),  # gathered: their texts are masked together
            topics.features.name: (topics.features, self._violations),
            topics.alerts.name: (topics.alerts, self._alert),
        }
        self.unreadable = 0

    def rows(self, messages: Iterable[tuple[str, Message]]) -> Incoming:
        """What the messages of a batch, each with the name of its topic, write in one transaction."""
        incoming = Incoming()
        events: list[tuple[OutputEvent, Place]] = []
        for topic, message in messages:
            facts, make = self._makers[topic]
            try:
                if make is None:
                    events.append(_event(facts, message))
                else:
                    make(incoming, facts, message)
            except (InvalidEvent, msgspec.DecodeError):
                self.unreadable += 1
            incoming.positions[facts.id, message.partition] = message.offset + 1
        incoming.add_outputs(events, self._privacy)
        return incoming

    def _violations(self, incoming: Incoming, facts: TopicFacts, message: Message) -> None:
        if message.value is None:
            return
        batch = decode_message(message.value)
        if not isinstance(batch, FeatureBatch):
            return
        checks = [(k, name.removeprefix(PREFIX)) for k, name in enumerate(batch.names) if name.startswith(PREFIX)]
        day = _place(facts, message).day
        for column, name in checks:
            for row in np.flatnonzero(batch.values[:, column] > 0.5).tolist():
                place = {
                    "day": day,
                    "topic": batch.source,
                    "partition": int(batch.source_partitions[row]),
                    "position": int(batch.source_offsets[row]),
                }
                incoming.violations.append({**place, "criterion": name})

    def _alert(self, incoming: Incoming, facts: TopicFacts, message: Message) -> None:
        if message.value is None:
            return
        names = msgspec.json.decode(message.value, type=_Names)
        body = message.value.decode("utf-8", "replace").replace("\\u0000", "\\ufffd")
        row = {**_place(facts, message).columns(), "stream": names.stream, "alert": names.id, "body": body}
        incoming.alerts.append(row)


def _event(facts: TopicFacts, message: Message) -> tuple[OutputEvent, Place]:
    decoded = decode_event(
        message.value,
        message.headers or (),
        default_id=f"{facts.name}/{message.partition}/{message.offset}",
        timestamp=message.timestamp / 1000.0,
    )
    return decoded.event, _place(facts, message)


def _place(facts: TopicFacts, message: Message) -> Place:
    return Place(facts.id, message.partition, message.offset, message.timestamp / 1000.0)
