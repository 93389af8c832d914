"""notify: alerts and what people say of them in, deliveries out. Nothing upstream ever waits for a receiver.

What is sent and when is decided by `monitor.alerting.lifecycle.dispatch`, from the log alone. Each transition of an
alert becomes, for each sink that takes it, a record in the outbox (`pipelines.stages.notify.outbox`), which the
couriers deliver (`pipelines.stages.notify.couriers`). What waits for another reason (a maintenance window, a snooze)
is not in the outbox: after a restart the log says what still waits.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from monitor.alerting.alert import Alert, Revised, is_grave_update, is_update
from monitor.alerting.lifecycle.annotation import Annotation, decode_record
from monitor.alerting.lifecycle.budget import spent
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.alerting.lifecycle.incident_fanout import Audience, Notification
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.lifecycle.responses import DeferralReason, FalseAlarm
from monitor.alerting.lifecycle.transitions import first_transition, is_acknowledgement
from monitor.settings import Broker, Delivery
from monitor.sinks.base import Acknowledges, CannotReplace, NotifiesPeople, Sink
from monitor.sinks.routing import in_words, unrouted
from pipelines.kafka.dead_letters import DeadLetter
from pipelines.kafka.log_reader import read_to_end
from pipelines.kafka.ordered_buffer import Batch, Message, OrderedBuffer
from pipelines.stages.base import Stage, StageServices
from pipelines.stages.notify.couriers import Couriers
from pipelines.stages.notify.keep_alive import KeepAlives
from pipelines.stages.notify.outbox import Outbox, OutboxKey, PendingDelivery
from pipelines.state.positions import Positions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AlertPolicy:
    """What the settings say about alerts; looked up at each use, as the settings may change meanwhile.

    Attributes
    ----------
    new_dispatch
        Makes what decides about the alerts of one partition.
    budget
        A stream's alert budget: a number of alerts, and the seconds of its period.
    """

    new_dispatch: Callable[[], Dispatch]
    budget: Callable[[str], tuple[float, float]]


class Notify(Stage):
    """The stage behind the notify agent.

    Parameters
    ----------
    services
        Shared by all stages of the worker.
    buffer
        Messages of `oqm.alerts`.
    broker
        Where the log is read from when partitions are taken over.
    positions
        Where this stage's positions are kept.
    outbox, couriers
        Note and make the deliveries.
    policy
        What the settings say about alerts.
    """

    name = "notify"

    def __init__(
        self,
        services: StageServices,
        buffer: OrderedBuffer,
        broker: Broker,
        positions: Positions,
        outbox: Outbox,
        couriers: Couriers,
        policy: AlertPolicy,
    ) -> None:
        super().__init__(services.topics.alerts, buffer, services)
        self._broker = broker
        self._positions = positions
        self._outbox = outbox
        self._couriers = couriers
        self._keep_alives = KeepAlives()
        self._policy = policy
        self._dispatches: dict[int, Dispatch] = {}
        self._unrouted: set[str] = set()
        self._taken: dict[int, int] = {}

    async def _restored(self, partitions: list[int]) -> dict[int, int]:
        self._taken = await self._positions.restore(partitions)
        self._dispatches = {partition: self._policy.new_dispatch() for partition in partitions}
        # What it knows is a function of the log up to the position: so it is read from there, not kept twice.
        async for record in read_to_end(self._broker, self.source.name, partitions):
            if record.offset < self._taken[record.partition]:
                with contextlib.suppress(msgspec.DecodeError):
                    self._apply(self._dispatches[record.partition], record)
        self._couriers.enqueue(await self._outbox.restore(partitions))
        await self._send_forgotten()
        return dict(self._taken)

    async def _send_forgotten(self) -> None:
        """Send what fires and was sent to no sink: it waited under settings that were changed meanwhile."""
        sent = self._outbox.transitions
        for partition, dispatch in self._dispatches.items():
            forgotten = [one for one in dispatch.standing() if one.alert.transition not in sent]
            await self._send(self._wanted(partition, forgotten))

    def _apply(self, dispatch: Dispatch, message: Message) -> list[Notification]:
        record = decode_record(message.value or b"")
        if isinstance(record, Annotation):
            return dispatch.annotation(record)
        return dispatch.alert(record, message.timestamp / 1_000)

    async def _process(self, batch: Batch) -> None:
        wanted: list[PendingDelivery] = []
        letters: list[DeadLetter] = []
        for message in batch.messages:
            try:
                due = self._apply(self._dispatches[message.partition], message)
            except msgspec.DecodeError as error:
                letters.append(DeadLetter(message, "not_an_alert", str(error)))
                continue
            wanted += self._wanted(message.partition, due)
        await self._letters.write(letters, self.source.name)
        await self._send(wanted)
        self._taken.update(batch.positions())
        await self._write_positions()
        self._stats.messages[self.name] += len(batch.messages)
        self._stats.batches[self.name] += 1
        self._stats.progress_at = self._clock()

    def _wanted(self, partition: int, due: Iterable[Notification]) -> list[PendingDelivery]:
        """A delivery for each sink that takes it and for which it has not been noted before."""
        wanted = []
        now = self._clock()
        for sent, to in ((one.alert, one.to) for one in due):
            self._count_unrouted(sent)
            for sink in self._couriers.sinks:
                alert = self._update_for(sink, sent) if is_update(sent) else sent
                if alert is None:
                    continue
                key = OutboxKey(alert.transition, sink.name)
                fit = to in (Audience.EVERYONE, _audience(sink))
                fit = fit and (isinstance(sink, Acknowledges) or not is_acknowledgement(alert))
                if key not in self._outbox and fit and sink.takes(alert):
                    delivery = PendingDelivery(key, partition, alert, now)
                    self._outbox.note(delivery)
                    wanted.append(delivery)
        return wanted

    def _update_for(self, sink: Sink, update: Alert) -> Alert | None:
        """What a sink gets of a revision: the update, if it had the alert and its receiver shows what changed.

        A sink that takes the alert only now, as it has become more severe, gets it as its first message.
        """
        first = first_transition(update)
        if OutboxKey(first, sink.name) in self._outbox:
            return update if not isinstance(sink, CannotReplace) or is_grave_update(update) else None
        return msgspec.structs.replace(update, transition=first) if Revised.SEVERITY in update.revised else None

    def _count_unrouted(self, alert: Alert) -> None:
        """Count and log an alert that no sink takes, once in this worker's life however often it is looked at."""
        why = unrouted(alert, self._couriers.sinks)
        if why is not None and alert.fingerprint not in self._unrouted:
            self._unrouted.add(alert.fingerprint)
            self._stats.unrouted[alert.route, why.value] += 1
            log.error("alert %s of stream %s is %s", alert.fingerprint, alert.stream, in_words(alert, why))

    async def _send(self, wanted: Sequence[PendingDelivery]) -> None:
        """Write to the outbox what is to be delivered, confirmed; then deliver it."""
        await self._outbox.write_pending(wanted)
        self._couriers.enqueue(wanted)

    async def _write_positions(self) -> None:
        moved = {p: offset for p, offset in self._taken.items() if self.done.get(p) != offset}
        if moved:
            await self._positions.write(moved)
            self.done.update(moved)

    async def idle(self) -> None:
        """Send what is due and keep-alives; raise the first error of a delivery that was not its receiver's."""
        self._couriers.raise_fault()
        self._keep_alives.raise_fault()
        now = self._clock()
        # Not while records wait: one of them may say that what is due is over.
        if self.buffer.idle and not self._lock.locked():
            async with self._lock:
                for partition, dispatch in self._dispatches.items():
                    await self._send(self._wanted(partition, dispatch.due(now)))
                await self._forget(now)
            self._count(now)
        # Of the owner of alerts alone: another worker's closed circuit says nothing.
        self._stats.circuits = self._couriers.states(now) if self._dispatches else {}
        if self.buffer.next and self._couriers.is_owner():
            self._keep_alives.send_due(self._couriers.sinks, self._firing(), now)

    def _firing(self) -> list[Alert]:
        return [alert for dispatch in self._dispatches.values() for alert in dispatch.firing()]

    async def _forget(self, now: float) -> None:
        """Take settled alerts out of the outbox: over, and delivered everywhere or given up."""
        if not self._outbox.should_forget(now) or not self._dispatches or not self._couriers.is_owner():
            return
        unsettled = self._couriers.waiting
        unsettled |= {alert.fingerprint for dispatch in self._dispatches.values() for alert in dispatch.book.firing()}
        unsettled |= {alert.fingerprint for alert in self._firing()}
        await self._outbox.forget_settled(unsettled, now)

    def _count(self, now: float) -> None:
        # Every reason has its number, 0 too: a series that comes and goes cannot be seen to fall.
        waiting = dict.fromkeys((reason.value for reason in DeferralReason), 0) if self._dispatches else {}
        alarms: list[FalseAlarm] = []
        for dispatch in self._dispatches.values():
            for reason, count in dispatch.deferred(now).items():
                waiting[reason.value] += count
            alarms += dispatch.false_alarms.values()
        self._stats.held_back = waiting
        sinks = self._couriers.sinks
        nobody = ((alert.route, unrouted(alert, sinks)) for alert in self._firing())
        self._stats.unrouted_firing = Counter((route, why.value) for route, why in nobody if why is not None)
        self._stats.false_alarms = Counter(alarm.kind for alarm in alarms)
        self._stats.budget_spent = spent(alarms, self._policy.budget, now)

    async def settings_changed(
        self, sinks: Sequence[Sink], windows: Sequence[MaintenanceWindow], delivery: Delivery
    ) -> None:
        """Deliver to these sinks from now on; called by the worker when its settings were read again.

        Sinks that are the same objects continue undisturbed; `Couriers.use` says what happens to what waits for the
        others. What fires and was sent to nobody is sent where the new settings say.
        """
        async with self._lock:
            replaced = {sink.name for sink in self._couriers.sinks if all(sink is not one for one in sinks)}
            await self._keep_alives.stop(replaced)
            await self._couriers.use(sinks, delivery)
            for dispatch in self._dispatches.values():
                dispatch.use_windows(windows)
            await self._send_forgotten()

    async def settle(self) -> None:
        """As for every stage; what is pending stays in the outbox for the next owner."""
        await super().settle()
        await self._couriers.stop()
        await self._keep_alives.stop()
        self._stats.circuits = {}
        self._outbox.clear()
        self._taken = {}
        self._dispatches = {}
        self._count(self._clock())


def _audience(sink: Sink) -> Audience:
    return Audience.INCIDENT if isinstance(sink, NotifiesPeople) and sink.per == "incident" else Audience.EACH
