"""Rows of the trace store from a batch of messages of the topics that it reads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.alerting.alert import Alert
from monitor.alerting.lifecycle.annotation import decode_record
from monitor.criteria.criterion import ANCHOR_STREAM, JUDGED_STREAM, PREFIX
from monitor.criteria.derived import FEEDBACK_STREAM
from monitor.detection.records.log_format import decode_message
from monitor.errors import InvalidEvent
from monitor.events import decode_event
from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch
from monitor.judgment.feedback import read_feedback
from monitor.judgment.records import decode_judgment
from monitor.judgment.slices import slices_of
from monitor.store.feedback import feedback_row
from monitor.store.judged import Cell, CountedOutput, cell_columns
from monitor.store.periods import HOUR_S
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place
from monitor.store.texts import storable
from pipelines.kafka.ordered_buffer import Message
from pipelines.kafka.topics import TopicFacts, TopicMap

DERIVED = (JUDGED_STREAM, ANCHOR_STREAM, FEEDBACK_STREAM)
"""Beginnings of the names of derived streams, whose rows are made of verdicts and votes: they are no outputs."""


class RowMaker:
    """Turns messages into rows.

    Parameters
    ----------
    topics
        Ids and names of the topics.
    privacy
        In which form texts may be kept.
    attribute
        The segment by which estimates can be broken down, `attributes.tenant`; None for none.

    Attributes
    ----------
    unreadable
        Messages that were no event, feature row, alert, judgment or feedback. Other stages write such outputs and
        feedback to the dead letters; here they are only counted.
    """

    def __init__(self, topics: TopicMap, privacy: Privacy, attribute: str | None = None) -> None:
        self._privacy = privacy
        self._attribute = attribute
        self._makers: dict[str, tuple[TopicFacts, Callable[[Incoming, TopicFacts, Message], None] | None]] = {
            topics.outputs.name: (topics.outputs, None),  # gathered: their texts are masked together
            topics.features.name: (topics.features, self._feature_rows),
            topics.alerts.name: (topics.alerts, self._alert),
            topics.judgments.name: (topics.judgments, self._judgment),
            topics.feedback.name: (topics.feedback, self._feedback),
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

    def _feature_rows(self, incoming: Incoming, facts: TopicFacts, message: Message) -> None:
        if message.value is None:
            return
        batch = decode_message(message.value)
        if not isinstance(batch, FeatureBatch):
            return
        checks = [(k, name.removeprefix(PREFIX)) for k, name in enumerate(batch.names) if name.startswith(PREFIX)]
        place = _place(facts, message)
        for column, name in checks:
            for row in np.flatnonzero(batch.values[:, column] > 0.5).tolist():
                of_output = {
                    "day": place.day,
                    "topic": batch.source,
                    "partition": int(batch.source_partitions[row]),
                    "position": int(batch.source_offsets[row]),
                }
                incoming.violations.append({**of_output, "criterion": name})
        times = np.where(np.isnan(batch.times), place.time, batch.times)
        incoming.counted += counted_outputs(
            batch, times, checks, (facts.id, message.partition), self._privacy, self._attribute
        )

    def _judgment(self, incoming: Incoming, facts: TopicFacts, message: Message) -> None:
        if message.value is not None:
            judgment = decode_judgment(message.value)
            incoming.add_judgment(judgment, _place(facts, message).time, self._privacy, self._attribute)

    def _alert(self, incoming: Incoming, facts: TopicFacts, message: Message) -> None:
        if message.value is None:
            return
        record = decode_record(message.value)
        # What a person did about a notification (acknowledged, put off) says nothing of outputs: it is not kept.
        if isinstance(record, Alert):
            incoming.add_alert(record, _place(facts, message), self._privacy)

    def _feedback(self, incoming: Incoming, facts: TopicFacts, message: Message) -> None:
        if message.value is not None:
            said = read_feedback(message.value)
            incoming.feedback.append(feedback_row(said, _place(facts, message).time, self._privacy))


def _event(facts: TopicFacts, message: Message) -> tuple[OutputEvent, Place]:
    decoded = decode_event(
        message.value,
        message.headers or (),
        default_id=f"{facts.name}/{message.partition}/{message.offset}",
        timestamp=message.timestamp / 1000.0,
    )
    return decoded.event, _place(facts, message)


def counted_outputs(
    batch: FeatureBatch,
    times: NDArray[np.float64],
    checks: Sequence[tuple[int, str]],
    lock: tuple[str, int],
    privacy: Privacy,
    attribute: str | None,
) -> list[CountedOutput]:
    """The outputs of a batch that estimates rest on: of streams that are judged, or checked.

    `times` are the rows', in seconds since 1970; `checks` are columns and names of criteria; `lock` is as
    `CountedOutput` has it, and `attribute` the segment that the settings chose, kept as `privacy` allows.
    """
    strata = batch.strata or [None] * len(batch)
    violated = batch.values[:, [column for column, _ in checks]]
    known = ~np.isnan(violated)
    wanted = [
        row
        for row, has_checks in enumerate(np.any(known, axis=1))
        if (has_checks or strata[row] is not None) and not batch.streams[row].startswith(DERIVED)
    ]
    if not wanted:
        return []
    slices = slices_of(batch)
    names = [name for _, name in checks]
    found = []
    for row in wanted:
        cell = Cell(
            stream=storable(batch.streams[row]) or "",
            hour=int(times[row] // HOUR_S),
            stratum=strata[row] or "",
            **cell_columns(
                batch.segments[row], slices[row], attribute, privacy.policy(batch.streams[row]).attributes, privacy.key
            ),
        )
        of_row = tuple((names[k], bool(violated[row, k] > 0.5)) for k in np.flatnonzero(known[row]).tolist())
        place = batch.source, int(batch.source_partitions[row]), int(batch.source_offsets[row])
        found.append(CountedOutput(*place, cell, of_row, lock))
    return found


def _place(facts: TopicFacts, message: Message) -> Place:
    return Place(facts.id, message.partition, message.offset, message.timestamp / 1000.0)
