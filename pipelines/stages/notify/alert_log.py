"""What `oqm alert` reads and writes: the alerts' log, from any machine, and the annotations of people.

Nothing is kept but the log itself, so what a command shows is what notify knows once it has read as far.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from monitor.alerting.alert import Alert, is_update
from monitor.alerting.lifecycle.annotation import Annotation, decode_record, encode
from monitor.alerting.lifecycle.incident_fanout import Audience
from monitor.alerting.lifecycle.responses import DeferralReason, OperatorResponse
from monitor.detection.records.finding import State
from monitor.settings import Settings
from monitor.sinks.routing import in_words, unrouted
from pipelines.build import dispatch_for
from pipelines.kafka.log_reader import read_to_end
from pipelines.kafka.producer import LogProducer, Outgoing
from pipelines.kafka.topics import read_topics
from pipelines.stages.notify.outbox import Outcome, decode_outbox


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert as it stands: its latest transition, the partition it lives in, and what people said of it.

    `sent_to` has the outcome of its latest delivery to each sink, and `unsent` says in words why it went to none.
    """

    alert: Alert
    partition: int
    said: OperatorResponse
    held: DeferralReason | None
    flapping: bool
    sent_to: Mapping[str, Outcome] = field(default_factory=dict)
    unsent: str | None = None

    @property
    def fires(self) -> bool:
        """Whether it fires, sent or not."""
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
                time = record.timestamp / 1_000
                # A revision makes no alert the latest: only firing and resolving do.
                times[entry.fingerprint] = times.get(entry.fingerprint, time) if is_update(entry) else time
                dispatch.alert(entry, time)
    sent = await _sent(settings, topics.outbox.name, partitions)
    found = []
    for partition, dispatch in dispatches.items():
        dispatch.due(now)
        # Those that are one of an incident's many reach some sinks with the incident, not by themselves.
        alone = {telling.alert.fingerprint for telling in dispatch.standing() if telling.to is Audience.EVERYONE}
        found += [
            Entry(
                alert=alert,
                partition=partition,
                said=dispatch.response(alert.fingerprint),
                held=dispatch.deferral(alert.fingerprint, now),
                flapping=dispatch.is_flapping(alert.fingerprint),
                sent_to=sent.get(alert.fingerprint, {}),
                unsent=_unsent(alert, settings, announced=alert.fingerprint in alone or alert.state is State.INFO)
                if alert.fingerprint not in sent
                else None,
            )
            for alert in dispatch.book.alerts()
        ]
    return sorted(found, key=lambda entry: (times[entry.alert.fingerprint], entry.alert.fingerprint))


async def _sent(settings: Settings, outbox: str, partitions: Iterable[int]) -> dict[str, dict[str, Outcome]]:
    """Of each alert that notify has noted in the outbox, the outcome of its latest delivery by sink."""
    found: dict[str, dict[str, Outcome]] = defaultdict(dict)
    async for record in read_to_end(settings.broker, outbox, partitions):
        if record.key is not None and record.value is not None:
            with contextlib.suppress(msgspec.DecodeError):
                key, entry = decode_outbox(record.key, record.value)
                found[key.fingerprint][key.sink] = entry.outcome
    return dict(found)


def _unsent(alert: Alert, settings: Settings, *, announced: bool) -> str | None:
    """Why an alert of which the outbox knows nothing was sent to nobody; None where it waits, or is for no receiver."""
    if not announced:
        return None
    why = unrouted(alert, settings.sinks)
    if why is not None:
        return in_words(alert, why)
    if alert.state is State.INFO:
        return None
    return f"not sent: no running notify worker has taken it, or its settings have no sink for route {alert.route}"


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
