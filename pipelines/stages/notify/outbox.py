"""The outbox: which transition of an alert is to be delivered to which sink, and which was, in a compacted topic.

A delivery is first `pending`, with the alert itself, confirmed by the broker before the position moves; then
`delivered` or `failed`. So a restart continues with what is pending, and what was delivered is not sent again, unless
the worker died between the receiver's answer and our record: then it arrives twice under the same idempotency key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from enum import StrEnum

import msgspec
from aiokafka import ConsumerRecord

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.errors import StateError
from monitor.settings import Broker
from pipelines.kafka.log_reader import read_to_end
from pipelines.kafka.producer import LogProducer, Outgoing

VERSION = 1
"""Of the records' format. Another version is refused: reading it wrongly would lose alerts or send them twice."""
KEPT_SETTLED_S = 14 * 86_400.0
"""How long a settled alert stays in the outbox after its last transition: longer than anything can repeat one. Detect
repeats what `oqm.features` still holds (7 days by default), and a worker that was suspended resumes within hours."""
FORGET_EVERY_S = 3_600.0
"""Between two searches for settled alerts: they are kept for days, so an hour more does not matter."""
MAX_FORGOTTEN_AT_ONCE = 1_000
"""Tombstones in one write: a few kilobytes, also where years of settled alerts are removed for the first time."""


class Outcome(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class OutboxRecord(msgspec.Struct, frozen=True):
    """One transition for one sink. `alert` is its JSON while pending, empty afterwards; `since` in seconds of 1970."""

    outcome: Outcome
    sink: str
    alert: bytes
    since: float
    v: int = VERSION


class OutboxKey(msgspec.Struct, frozen=True, array_like=True):
    """What makes a delivery the same delivery."""

    transition: str
    sink: str

    @property
    def fingerprint(self) -> str:
        """The alert that the transition is of."""
        return self.transition.partition(":")[0]


class PendingDelivery(msgspec.Struct, frozen=True):
    """A delivery that is to be made: of which alert, noted in which partition, and when (seconds since 1970)."""

    key: OutboxKey
    partition: int
    alert: Alert
    since: float


class _Noted(msgspec.Struct, frozen=True):
    """A delivery that the outbox holds: in which partition, and when it was noted (seconds since 1970)."""

    partition: int
    since: float


_encoder = msgspec.msgpack.Encoder()
_record = msgspec.msgpack.Decoder(OutboxRecord)
_key = msgspec.json.Decoder(OutboxKey)


def decode_outbox(key: bytes, value: bytes) -> tuple[OutboxKey, OutboxRecord]:
    """A message of the outbox. Raises `msgspec.DecodeError` for anything else."""
    return _key.decode(key), _record.decode(value)


class Outbox:
    """The deliveries that the outbox's partitions hold, and the writes to it.

    Parameters
    ----------
    broker, topic
        Where the outbox is.
    producer
        Writes to it; each method that writes waits for the broker's confirmation and raises `BrokerError` without it.
    """

    def __init__(self, broker: Broker, topic: str, producer: LogProducer) -> None:
        self._broker = broker
        self._topic = topic
        self._producer = producer
        self._noted: dict[OutboxKey, _Noted] = {}
        self._forget_at = 0.0

    def __len__(self) -> int:
        return len(self._noted)

    def __contains__(self, key: OutboxKey) -> bool:
        """Whether this delivery has been noted, whatever became of it."""
        return key in self._noted

    @property
    def transitions(self) -> set[str]:
        """Transitions that have been noted for at least one sink."""
        return {key.transition for key in self._noted}

    def clear(self) -> None:
        """Hold nothing: the partitions belong to another worker."""
        self._noted.clear()

    async def restore(self, partitions: Collection[int]) -> list[PendingDelivery]:
        """Read these partitions to their end; returns what is still to be delivered, in order.

        Raises `StateError` for records that this version does not read, `BrokerError` where Kafka is away.
        """
        pending: dict[OutboxKey, PendingDelivery] = {}
        done: set[OutboxKey] = set()
        async for record in read_to_end(self._broker, self._topic, partitions):
            if record.key is None:
                continue
            key, entry = _decoded(record, record.key)
            if entry is None:  # settled and forgotten
                self._noted.pop(key, None)
                pending.pop(key, None)
                done.discard(key)
                continue
            self._noted[key] = _Noted(record.partition, entry.since)
            if entry.outcome is not Outcome.PENDING:
                # For good, also where a worker that resumed late notes the same transition once more after it.
                done.add(key)
                pending.pop(key, None)
            elif key not in done:
                alert = alerts.decode(entry.alert)
                pending.setdefault(key, PendingDelivery(key, record.partition, alert, entry.since))
        return list(pending.values())

    def note(self, delivery: PendingDelivery) -> None:
        """Count this delivery as noted from now on; `write_pending` makes it durable."""
        self._noted[delivery.key] = _Noted(delivery.partition, delivery.since)

    async def write_pending(self, deliveries: Iterable[PendingDelivery]) -> None:
        """Write deliveries that are to be made."""
        await self._producer.send(self._message(one, Outcome.PENDING, alerts.encode(one.alert)) for one in deliveries)

    async def write_outcome(self, delivery: PendingDelivery, outcome: Outcome) -> None:
        """Write that a delivery has been made or given up."""
        await self._producer.send([self._message(delivery, outcome)])

    def _message(self, delivery: PendingDelivery, outcome: Outcome, alert: bytes = b"") -> Outgoing:
        record = OutboxRecord(outcome, delivery.key.sink, alert, delivery.since)
        return Outgoing(
            self._topic,
            key=msgspec.json.encode(delivery.key),
            partition=delivery.partition,
            value=_encoder.encode(record),
        )

    def should_forget(self, now: float) -> bool:
        """Whether `forget_settled` is due."""
        return now >= self._forget_at

    async def forget_settled(self, unsettled: Collection[str], now: float) -> None:
        """Remove alerts that have been settled for `KEPT_SETTLED_S`, some of them at a time.

        `unsettled` are the fingerprints of alerts that fire or wait for a delivery. They stay, however old they are:
        their records say after a restart that people have been notified.
        """
        latest: dict[str, float] = defaultdict(float)
        for key, noted in self._noted.items():
            latest[key.fingerprint] = max(latest[key.fingerprint], noted.since)
        old = {one for one, since in latest.items() if now - since > KEPT_SETTLED_S}.difference(unsettled)
        settled = [key for key in self._noted if key.fingerprint in old][:MAX_FORGOTTEN_AT_ONCE]
        if len(settled) < MAX_FORGOTTEN_AT_ONCE:
            self._forget_at = now + FORGET_EVERY_S
        await self._producer.send(
            Outgoing(self._topic, key=msgspec.json.encode(key), partition=self._noted[key].partition, value=None)
            for key in settled
        )
        for key in settled:
            del self._noted[key]


def _decoded(record: ConsumerRecord[bytes, bytes], key: bytes) -> tuple[OutboxKey, OutboxRecord | None]:
    """The key, and the record; None for a tombstone. Raises `StateError` for what this version does not read."""
    try:
        if record.value is None:
            return _key.decode(key), None
        decoded, entry = decode_outbox(key, record.value)
    except msgspec.DecodeError as error:
        raise StateError(
            f"{record.topic} partition {record.partition} offset {record.offset} cannot be read: {error}"
        ) from error
    if entry.v != VERSION:
        raise StateError(
            f"{record.topic} holds deliveries of format version {entry.v}, this worker reads {VERSION}: "
            "run the version that wrote it, or stop all workers, delete the topic and run: oqm topics"
        )
    return decoded, entry
