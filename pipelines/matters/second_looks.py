"""Alerts whose first look could not tell, found again in `oqm.alerts` when a worker takes up a partition.

A first conclusion is in the log, as a revision of its alert. So the log says which second looks are still to come, and
no other place has to keep them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from kafka import TopicPartition

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.detection.records.finding import State
from monitor.detection.records.judged import Harm
from monitor.judgment.matters import LOOKS
from pipelines.matters.case import SECOND_LOOK_WITHIN_S

MOST_MESSAGES = 20_000
"""Messages of a partition of `oqm.alerts` that are read, the latest: far more than a day has, in some seconds."""
POLL_MS = 200  # of one wait for messages: the end of the log is seen by its offsets, so a short wait only asks again


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert that waits for its second look: the offset of its last transition, and since when in seconds of 1970."""

    offset: int
    since: float
    alert: Alert


def waits_for_second_look(alert: Alert) -> bool:
    """Whether a transition says of an alert that fires that its first look could not tell."""
    judged = alert.judged
    is_open = alert.state is State.FIRING and judged is not None and judged.harm is Harm.CANNOT_TELL
    return is_open and judged is not None and judged.look < len(LOOKS)


def waiting(consumer: Any, where: TopicPartition, stop: int, now: float) -> list[Waiting]:
    """The alerts that wait, by the messages of a day before the offset `stop`, the oldest first.

    `consumer` has no group, and is used by nobody else meanwhile; `now` is in seconds since 1970.
    """
    since = int((now - SECOND_LOOK_WITHIN_S) * 1000)
    found = consumer.offsets_for_times({where: since})[where]
    if found is None:
        return []
    start = max(found.offset, stop - MOST_MESSAGES)
    known: dict[str, Waiting] = {}
    over: set[str] = set()
    consumer.assign([where])
    consumer.seek(where, start)
    while consumer.position(where) < stop:
        for record in consumer.poll(timeout_ms=POLL_MS).get(where, []):
            if record.offset >= stop:
                continue
            try:
                alert = alerts.decode(record.value or b"")
            except msgspec.DecodeError:  # a person's annotation, or a record of another version
                continue
            first = known.pop(alert.id, None)
            if alert.state is State.RESOLVED or (alert.judged is not None and not waits_for_second_look(alert)):
                over.add(alert.id)
            elif waits_for_second_look(alert) and alert.id not in over:
                time = record.timestamp / 1000.0 if first is None else first.since
                known[alert.id] = Waiting(record.offset, time, alert)
            elif first is not None:
                known[alert.id] = first
    return sorted(known.values(), key=lambda one: one.offset)
