"""notify: alerts and what people say of them in, deliveries out. Nothing upstream ever waits for a receiver.

What is told and when is decided by `monitor.alerting.lifecycle.dispatch`, from the log alone.

Each transition of an alert becomes, per sink that takes it, a record in the compacted outbox: first `pending` with the
alert itself, confirmed, before the position moves; then `delivered` or `failed`. So a restart goes on with what is
pending, and what was delivered is not sent again but for a crash between the receiver's answer and our record: then it
arrives twice under the same idempotency key. Transitions of one alert reach a sink in their order.
A sink has a few deliveries under way at a time, and a circuit breaker (`pipelines.stages.notify.circuit_breaker`):
one receiver that is down or slow costs neither the others nor this worker more than that. What was held back (a
window, a snooze) is not in the outbox: the log says after a restart what still waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum

import msgspec

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.alerting.lifecycle.annotation import Annotation, decode_record
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.budget import spent
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.alerting.lifecycle.incident_fanout import Audience, Notification
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.lifecycle.responses import DeferralReason, FalseAlarm
from monitor.alerting.lifecycle.transitions import is_acknowledgement
from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery, StateError
from monitor.settings import Broker, Delivery, Settings
from monitor.sinks.base import Acknowledges, KeepsAlive, NotifiesPeople, Sink
from monitor.sinks.routing import in_words, unrouted
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.kafka.dead_letters import DeadLetter, DeadLetterBox
from pipelines.kafka.ordered_buffer import Batch, Intake, Message
from pipelines.kafka.producer import LogProducer, Outgoing
from pipelines.kafka.topics import TopicMap
from pipelines.stages.base import Stage
from pipelines.stages.notify.circuit_breaker import Circuit, wait_before
from pipelines.state.checkpoint import Positions, read_to_end

log = logging.getLogger(__name__)

VERSION = 1

# A settled alert stays in the outbox for so long after its last transition: longer than anything can repeat one. Detect
# repeats what `oqm.features` still holds (7 days by default), and a worker that sleeps wakes within hours.
KEPT_SETTLED_S = 14 * 86_400.0
# Between two looks for what can be forgotten. It is a matter of days.
FORGET_EVERY_S = 3_600.0
# Tombstones written at once: a few kilobytes each time, also after years without any.
_FORGOTTEN_AT_ONCE = 1_000
# Under way at once, per sink: what waits for its turn waits outside the sink's time-out.
_AT_ONCE = 8
# Where this worker is not sure that the alerts are still its own.
_ASK_AGAIN_S = 0.5


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


_encoder = msgspec.msgpack.Encoder()
_record = msgspec.msgpack.Decoder(OutboxRecord)
_key = msgspec.json.Decoder(OutboxKey)


def decode_outbox(key: bytes, value: bytes) -> tuple[OutboxKey, OutboxRecord]:
    """A message of the outbox. Raises `msgspec.DecodeError` for anything else."""
    return _key.decode(key), _record.decode(value)


def _audience(sink: Sink) -> Audience:
    return Audience.INCIDENT if isinstance(sink, NotifiesPeople) and sink.per == "incident" else Audience.EACH


class _Noted(msgspec.Struct, frozen=True):
    """A delivery that the outbox holds: in which partition, and when it was noted (seconds since 1970)."""

    partition: int
    since: float


class _Pending(msgspec.Struct, frozen=True):
    key: OutboxKey
    partition: int
    alert: Alert
    since: float


def _fingerprint(key: OutboxKey) -> str:
    """The alert that a delivery is of."""
    return key.transition.partition(":")[0]


def dispatch_for(settings: Settings) -> Dispatch:
    """What stands between the log of alerts and the sinks, as the settings say."""
    alerting = settings.alerting
    return Dispatch(AlertBook(alerting.group_window), settings.maintenance, alerting.flapping)


class Notify(Stage):
    """The stage behind the notify agent."""

    name = "notify"

    def __init__(
        self,
        *,
        intake: Intake,
        topics: TopicMap,
        broker: Broker,
        sinks: Sequence[Sink],
        dispatch: Callable[[], Dispatch],
        budget: Callable[[str], tuple[float, float]],
        delivery: Delivery,
        producer: LogProducer,
        positions: Positions,
        letters: DeadLetterBox,
        stats: WorkerStats,
        sure: Callable[[], bool],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(topics.alerts, intake)
        self._topics = topics
        self._broker = broker
        self._dispatch = dispatch
        self._dispatches: dict[int, Dispatch] = {}
        self._budget = budget
        self._sinks = {sink.name: sink for sink in sinks}
        self._circuits = {sink.name: Circuit(delivery, uniform) for sink in sinks}
        self._turns = {sink.name: asyncio.Semaphore(_AT_ONCE) for sink in sinks}
        self._delivery = delivery
        self._producer = producer
        self._positions = positions
        self._letters = letters
        self._stats = stats
        self._sure = sure
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._known: dict[OutboxKey, _Noted] = {}
        self._forget_at = 0.0
        self._unrouted: set[str] = set()
        # Of sinks that the settings no longer have: delivered if they come back.
        self._left: list[_Pending] = []
        self._queues: dict[tuple[str, str], deque[_Pending]] = defaultdict(deque)
        self._couriers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._taken: dict[int, int] = {}
        self._fault: Exception | None = None
        self._kept_alive_at: dict[str, float] = {}
        self._keeping_alive: dict[str, asyncio.Task[None]] = {}

    async def _restored(self, partitions: list[int]) -> dict[int, int]:
        self._taken = await self._positions.restore(partitions)
        self._dispatches = {partition: self._dispatch() for partition in partitions}
        # What it knows is a function of the log up to the position: so it is read from there, not kept twice.
        async for record in read_to_end(self._broker, self.source.name, partitions):
            if record.offset < self._taken[record.partition]:
                with contextlib.suppress(msgspec.DecodeError):
                    self._apply(self._dispatches[record.partition], record)
        pending: dict[OutboxKey, _Pending] = {}
        done: set[OutboxKey] = set()
        async for record in read_to_end(self._broker, self._topics.outbox.name, partitions):
            if record.key is None:
                continue
            try:
                key = _key.decode(record.key)
                if record.value is None:  # settled and forgotten
                    self._known.pop(key, None)
                    pending.pop(key, None)
                    done.discard(key)
                    continue
                entry = _record.decode(record.value)
            except msgspec.DecodeError as error:
                raise StateError(
                    f"{record.topic} partition {record.partition} offset {record.offset} cannot be read: {error}"
                ) from error
            if entry.v != VERSION:
                raise StateError(
                    f"{record.topic} holds deliveries of format version {entry.v}, this worker reads {VERSION}: "
                    "run the version that wrote it, or stop all workers, delete the topic and run: oqm topics"
                )
            self._known[key] = _Noted(record.partition, entry.since)
            if entry.outcome is not Outcome.PENDING:
                # For good, also where a worker that woke late notes the same transition once more after it.
                done.add(key)
                pending.pop(key, None)
            elif key not in done:
                alert = alerts.decode(entry.alert)
                pending.setdefault(key, _Pending(key, record.partition, alert, entry.since))
        self._left = [one for one in pending.values() if one.key.sink not in self._sinks]
        self._enqueue(one for one in pending.values() if one.key.sink in self._sinks)
        await self._tell_forgotten()
        return dict(self._taken)

    async def _tell_forgotten(self) -> None:
        """What fires and no sink was ever told: held back under settings that were changed meanwhile."""
        told = {key.transition for key in self._known}
        for partition, dispatch in self._dispatches.items():
            forgotten = [one for one in dispatch.standing() if one.alert.transition not in told]
            await self._tell(self._wanted(partition, forgotten))

    def _apply(self, dispatch: Dispatch, message: Message) -> list[Notification]:
        record = decode_record(message.value or b"")
        if isinstance(record, Annotation):
            return dispatch.annotation(record)
        return dispatch.alert(record, message.timestamp / 1_000)

    async def _process(self, batch: Batch) -> None:
        wanted: list[_Pending] = []
        letters: list[DeadLetter] = []
        for message in batch.messages:
            try:
                told = self._apply(self._dispatches[message.partition], message)
            except msgspec.DecodeError as error:
                letters.append(DeadLetter(message, "not_an_alert", str(error)))
                continue
            wanted += self._wanted(message.partition, told)
        await self._letters.write(letters, self.source.name)
        await self._tell(wanted)
        self._taken.update(batch.positions())
        await self._write_positions()
        self._stats.messages[self.name] += len(batch.messages)
        self._stats.batches[self.name] += 1
        self._stats.progress_at = self._clock()

    def _wanted(self, partition: int, told: Iterable[Notification]) -> list[_Pending]:
        """A delivery for each sink that takes it and has not been given it before."""
        wanted = []
        now = self._clock()
        for alert, to in ((telling.alert, telling.to) for telling in told):
            self._count_unrouted(alert)
            for sink in self._sinks.values():
                key = OutboxKey(alert.transition, sink.name)
                fit = to in (Audience.EVERYONE, _audience(sink))
                fit = fit and (isinstance(sink, Acknowledges) or not is_acknowledgement(alert))
                if key not in self._known and fit and sink.takes(alert):
                    self._known[key] = _Noted(partition, now)
                    wanted.append(_Pending(key, partition, alert, now))
        return wanted

    def _count_unrouted(self, alert: Alert) -> None:
        """Count and log an alert that no sink takes, once in this worker's life however often it is looked at."""
        why = unrouted(alert, self._sinks.values())
        if why is not None and alert.fingerprint not in self._unrouted:
            self._unrouted.add(alert.fingerprint)
            self._stats.unrouted[alert.route, why.value] += 1
            log.error("alert %s of stream %s is %s", alert.fingerprint, alert.stream, in_words(alert, why))

    async def _tell(self, wanted: list[_Pending]) -> None:
        """Note in the outbox what is to be delivered, confirmed; then deliver it."""
        await self._producer.send(self._outbox(one, Outcome.PENDING, alerts.encode(one.alert)) for one in wanted)
        self._enqueue(wanted)

    def _outbox(self, one: _Pending, outcome: Outcome, alert: bytes = b"") -> Outgoing:
        record = OutboxRecord(outcome, one.key.sink, alert, one.since)
        return Outgoing(
            self._topics.outbox.name,
            key=msgspec.json.encode(one.key),
            partition=one.partition,
            value=_encoder.encode(record),
        )

    async def _write_positions(self) -> None:
        moved = {p: offset for p, offset in self._taken.items() if self.done.get(p) != offset}
        if moved:
            await self._positions.write(moved)
            self.done.update(moved)

    def _enqueue(self, pending: Iterable[_Pending]) -> None:
        for one in pending:
            line = (one.key.sink, one.alert.fingerprint)
            self._queues[line].append(one)
            self._stats.pending_deliveries += 1
            if line not in self._couriers:
                self._couriers[line] = asyncio.create_task(self._carry(line), name=f"deliver-{one.key.sink}")

    async def _carry(self, line: tuple[str, str]) -> None:
        """Deliver the transitions of one alert to one sink, one after the other."""
        queue = self._queues[line]
        try:
            while queue:
                one = queue[0]
                outcome = await self._deliver(one)
                await self._producer.send([self._outbox(one, outcome)])
                queue.popleft()
                self._stats.pending_deliveries -= 1
                self._stats.deliveries[one.key.sink, outcome.value] += 1
        except Exception as error:
            self._fault = error
        finally:
            self._queues.pop(line, None)
            self._couriers.pop(line, None)

    async def _deliver(self, one: _Pending) -> Outcome:
        sink, circuit, attempt = self._sinks[one.key.sink], self._circuits[one.key.sink], 1
        while True:
            try:
                wait = await self._attempt(sink, circuit, one)
                if not wait:
                    circuit.answered()
                    return Outcome.DELIVERED
            except PermanentDelivery as error:
                circuit.answered()
                log.error("alert %s refused by %s for good: %s", one.key.transition, sink.name, error)
                return Outcome.FAILED
            except RetryableDelivery as error:
                circuit.failed(self._clock(), error.retry_after_s)
                wait = wait_before(attempt, self._delivery, error.retry_after_s, self._uniform)
                attempt += 1
                log.warning("alert %s to %s again in %.1f s: %s", one.key.transition, sink.name, wait, error)
                self._stats.deliveries[sink.name, "retried"] += 1
            left = one.since + self._delivery.give_up_after - self._clock()
            if left <= 0 and self._sure():  # one that is not sure to own the alert decides nothing about it
                log.error("alert %s given up for %s", one.key.transition, sink.name)
                return Outcome.FAILED
            await self._sleep(min(wait, left) if left > 0 else wait)

    async def _attempt(self, sink: Sink, circuit: Circuit, one: _Pending) -> float:
        """Send, when its turn comes: 0; or where it may not be sent now, the seconds until it may."""
        async with self._turns[sink.name]:
            if not self._sure():
                return _ASK_AGAIN_S
            if wait := circuit.admit(self._clock()):
                return wait
            if isinstance(sink, Acknowledges) and is_acknowledgement(one.alert):
                await sink.acknowledge(one.alert, one.key.transition)
            else:
                await sink.send(one.alert)
            return 0.0

    async def idle(self) -> None:
        """Tell what is due, remind receivers that forget; raise the first error of a delivery that is not theirs."""
        if self._fault is not None:
            raise self._fault
        now = self._clock()
        # Not while records wait: one of them may say that what is due is over.
        if self.intake.idle and not self._lock.locked():
            async with self._lock:
                for partition, dispatch in self._dispatches.items():
                    await self._tell(self._wanted(partition, dispatch.due(now)))
                await self._forget(now)
            self._count(now)
        # Of the owner of alerts alone: another worker's closed circuit says nothing.
        self._stats.circuits = {n: c.state(now) for n, c in self._circuits.items()} if self._dispatches else {}
        for name, sink in self._sinks.items():
            due = isinstance(sink, KeepsAlive) and now - self._kept_alive_at.get(name, 0.0) >= sink.keep_alive_s
            if due and name not in self._keeping_alive and self.intake.next and self._sure():
                self._kept_alive_at[name] = now
                self._keeping_alive[name] = asyncio.create_task(self._keep_alive(sink), name=f"keep-alive-{name}")

    async def _forget(self, now: float) -> None:
        """Take out of the outbox what is settled: over and delivered everywhere, or given up, for `KEPT_SETTLED_S`.

        What still fires is kept however old it is: it is what says after a restart that people have been told.
        """
        if now < self._forget_at or not self._dispatches or not self._sure():
            return
        dispatches = self._dispatches.values()
        unsettled = {one.alert.fingerprint for queue in self._queues.values() for one in queue}
        unsettled |= {alert.fingerprint for dispatch in dispatches for alert in dispatch.book.firing()}
        unsettled |= {alert.fingerprint for dispatch in dispatches for alert in dispatch.firing()}
        latest: dict[str, float] = defaultdict(float)
        for key, noted in self._known.items():
            fingerprint = _fingerprint(key)
            latest[fingerprint] = max(latest[fingerprint], noted.since)
        old = {one for one, since in latest.items() if now - since > KEPT_SETTLED_S} - unsettled
        settled = [key for key in self._known if _fingerprint(key) in old][:_FORGOTTEN_AT_ONCE]
        if len(settled) < _FORGOTTEN_AT_ONCE:
            self._forget_at = now + FORGET_EVERY_S
        name = self._topics.outbox.name
        await self._producer.send(
            Outgoing(name, key=msgspec.json.encode(key), partition=self._known[key].partition, value=None)
            for key in settled
        )
        for key in settled:
            del self._known[key]

    def _count(self, now: float) -> None:
        # Every reason has its number, 0 too: a series that comes and goes cannot be seen to fall.
        held = dict.fromkeys((reason.value for reason in DeferralReason), 0) if self._dispatches else {}
        alarms: list[FalseAlarm] = []
        for dispatch in self._dispatches.values():
            for reason, count in dispatch.deferred(now).items():
                held[reason.value] += count
            alarms += dispatch.false_alarms.values()
        self._stats.held_back = held
        firing = [alert for dispatch in self._dispatches.values() for alert in dispatch.firing()]
        nobody = ((alert.route, unrouted(alert, self._sinks.values())) for alert in firing)
        self._stats.unrouted_firing = Counter((route, why.value) for route, why in nobody if why is not None)
        self._stats.false_alarms = Counter(alarm.kind for alarm in alarms)
        self._stats.budget_spent = spent(alarms, self._budget, now)

    async def settings_changed(
        self, sinks: Sequence[Sink], windows: Sequence[MaintenanceWindow], delivery: Delivery
    ) -> None:
        """Deliver to these sinks from now on; called by the worker when its settings were read again.

        Sinks that are the same objects go on undisturbed. What waits for one that was replaced goes to its successor
        of the same name, what waits for one that is gone stays in the outbox, as after a restart. What fires and was
        sent to nobody is sent where the new settings say.
        """
        async with self._lock:
            new = {sink.name: sink for sink in sinks}
            gone = {name for name, sink in self._sinks.items() if new.get(name) is not sink}
            waiting = [*self._left, *await self._stop_delivering(gone)]
            self._delivery = delivery
            kept = {name: circuit for name, circuit in self._circuits.items() if name in new and name not in gone}
            for circuit in kept.values():
                circuit.use(delivery)
            self._circuits = {name: kept.get(name) or Circuit(delivery, self._uniform) for name in new}
            self._turns = {name: self._turns.get(name, asyncio.Semaphore(_AT_ONCE)) for name in new}
            self._sinks = new
            for dispatch in self._dispatches.values():
                dispatch.use_windows(windows)
            self._left = [one for one in waiting if one.key.sink not in new]
            self._enqueue(one for one in waiting if one.key.sink in new)
            await self._tell_forgotten()

    async def _stop_delivering(self, names: set[str]) -> list[_Pending]:
        """End the deliveries to these sinks; what was not delivered, in order."""
        lines = [line for line in self._queues if line[0] in names]
        waiting = [one for line in lines for one in self._queues[line]]
        tasks = [self._couriers[line] for line in lines if line in self._couriers]
        tasks += [task for name, task in self._keeping_alive.items() if name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._stats.pending_deliveries -= len(waiting)
        return waiting

    async def _keep_alive(self, sink: Sink) -> None:
        every = self._dispatches.values()
        firing = [alert for dispatch in every for alert in dispatch.firing() if sink.takes(alert)]
        try:
            if firing and isinstance(sink, KeepsAlive):
                await sink.keep_alive(firing)
        except DeliveryError as error:
            log.warning("%s was not reminded of %d alerts: %s", sink.name, len(firing), error)
        except Exception as error:
            self._fault = error
        finally:
            self._keeping_alive.pop(sink.name, None)

    async def settle(self) -> None:
        """As for every stage; what is pending stays in the outbox for the next owner."""
        await super().settle()
        couriers = [*self._couriers.values(), *self._keeping_alive.values()]
        for courier in couriers:
            courier.cancel()
        await asyncio.gather(*couriers, return_exceptions=True)
        for circuit in self._circuits.values():
            circuit.abandoned()
        self._stats.circuits = {}
        self._queues.clear()
        self._couriers.clear()
        self._known.clear()
        self._left = []
        self._taken = {}
        self._dispatches = {}
        self._count(self._clock())
        self._stats.pending_deliveries = 0
