"""What `oqm alert` reads and writes: the alerts' log, from any machine, and what people say of alerts.

Nothing is kept but the log itself, so what a command shows is what notify knows once it has read as far.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from monitor.alerting.alert import Alert
from monitor.alerting.annotation import Annotation, decode_record, encode
from monitor.alerting.dispatch import Held, Said
from monitor.detection.finding import State
from monitor.settings import Settings
from pipelines.checkpoint import read_to_end
from pipelines.notify import dispatch_for
from pipelines.producer import LogProducer, Outgoing
from pipelines.topics import read_topics


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert as it stands: its latest transition, the partition it lives in, and what people said of it."""

    alert: Alert
    partition: int
    said: Said
    held: Held | None
    flapping: bool

    @property
    def fires(self) -> bool:
        """Whether it fires, told or not."""
        return self.alert.state is State.FIRING


async def read_alerts(settings: Settings, now: float) -> list[Entry]:
    """Every alert that the log holds, the one that fired or resolved latest last. Raises `BrokerError`."""
    topics = await asyncio.to_thread(read_topics, settings.broker, settings.topics)
    partitions = range(topics.alerts.partitions)
    dispatches = {partition: dispatch_for(settings) for partition in partitions}
    times: dict[str, float] = {}
    async for record in read_to_end(settings.broker, topics.alerts.name, partitions):
        dispatch = dispatches[record.partition]
        with contextlib.suppress(msgspec.DecodeError):
            entry = decode_record(record.value or b"")
            if isinstance(entry, Annotation):
                dispatch.annotation(entry)
            else:
                times[entry.fingerprint] = record.timestamp / 1_000
                dispatch.alert(entry, times[entry.fingerprint])
    found = []
    for partition, dispatch in dispatches.items():
        dispatch.due(now)
        found += [
            Entry(
                alert=alert,
                partition=partition,
                said=dispatch.said(alert.fingerprint),
                held=dispatch.held(alert.fingerprint, now),
                flapping=dispatch.is_flapping(alert.fingerprint),
            )
            for alert in dispatch.book.alerts()
        ]
    return sorted(found, key=lambda entry: (times[entry.alert.fingerprint], entry.alert.fingerprint))


async def annotate(settings: Settings, annotations: Sequence[tuple[int, Annotation]]) -> None:
    """Append each annotation to the partition of its alert, confirmed by the broker. Raises `BrokerError`."""
    producer = LogProducer(settings.broker)
    await producer.start()
    try:
        await producer.send(
            Outgoing(
                settings.topics.alerts.name,
                key=annotation.fingerprint.encode(),
                partition=partition,
                value=encode(annotation),
            )
            for partition, annotation in annotations
        )
    finally:
        await producer.stop()
