"""Couriers: deliver what is pending, with retries. Transitions of one alert reach a sink in their order.

A sink has a few deliveries under way at a time, and a circuit breaker: one receiver that is down or slow costs neither
the other receivers nor this worker more than that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from monitor.alerting.lifecycle.transitions import is_acknowledgement
from monitor.errors import PermanentDelivery, RetryableDelivery
from monitor.settings import Delivery
from monitor.sinks.base import Acknowledges, Sink
from monitor.telemetry.worker_stats import CircuitState, WorkerStats
from pipelines.stages.notify.circuit_breaker import CircuitBreaker, wait_before
from pipelines.stages.notify.outbox import Outbox, Outcome, PendingDelivery

log = logging.getLogger(__name__)

MAX_UNDER_WAY = 8
"""Deliveries of one sink at the same time. What waits for its turn waits outside the sink's time-out."""
ASK_OWNERSHIP_AGAIN_S = 0.5
"""Between two questions whether the alerts are still this worker's. The group answers within a heartbeat or two."""


@dataclass(frozen=True)
class Timing:
    """How time passes for deliveries; tests give their own. `uniform` is the jitter's random number in [0, 1)."""

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[], float] = random.random


@dataclass(frozen=True)
class _Channel:
    """A sink, what is known of its receiver, and the turns of its deliveries."""

    sink: Sink
    circuit: CircuitBreaker
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_UNDER_WAY))


class Couriers:
    """One task for each sink and alert that has pending deliveries.

    Parameters
    ----------
    sinks
        Where alerts go.
    delivery
        The settings' waits between attempts, and when a delivery is given up.
    outbox
        Takes the outcomes.
    stats
        Counts deliveries.
    is_owner
        Whether this worker surely still owns the alerts. One that is not sure sends nothing and gives nothing up.
    timing
        Clock, sleep and randomness.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        delivery: Delivery,
        outbox: Outbox,
        stats: WorkerStats,
        is_owner: Callable[[], bool],
        timing: Timing,
    ) -> None:
        self._delivery = delivery
        self._outbox = outbox
        self._stats = stats
        self.is_owner = is_owner
        self._timing = timing
        self._channels = {sink.name: self._channel(sink) for sink in sinks}
        # Of sinks that the settings no longer have: delivered if they come back.
        self._without_sink: list[PendingDelivery] = []
        self._queues: dict[tuple[str, str], deque[PendingDelivery]] = defaultdict(deque)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._fault: Exception | None = None

    def _channel(self, sink: Sink) -> _Channel:
        return _Channel(sink, CircuitBreaker(self._delivery, self._timing.uniform))

    @property
    def sinks(self) -> list[Sink]:
        """The sinks that are delivered to."""
        return [channel.sink for channel in self._channels.values()]

    @property
    def circuits(self) -> Mapping[str, CircuitBreaker]:
        """The circuit breaker of each sink."""
        return {name: channel.circuit for name, channel in self._channels.items()}

    def states(self, now: float) -> dict[str, CircuitState]:
        """Where each circuit breaker stands."""
        return {name: channel.circuit.state(now) for name, channel in self._channels.items()}

    @property
    def waiting(self) -> set[str]:
        """Fingerprints of alerts with deliveries that wait for their sink."""
        return {one.alert.fingerprint for queue in self._queues.values() for one in queue}

    def raise_fault(self) -> None:
        """Raise the first error of a courier that was not its receiver's."""
        if self._fault is not None:
            raise self._fault

    def enqueue(self, deliveries: Iterable[PendingDelivery]) -> None:
        """Deliver these, each after those of the same alert and sink that wait already."""
        for one in deliveries:
            if one.key.sink not in self._channels:
                self._without_sink.append(one)
                continue
            line = (one.key.sink, one.alert.fingerprint)
            self._queues[line].append(one)
            self._stats.pending_deliveries += 1
            if line not in self._tasks:
                self._tasks[line] = asyncio.create_task(self._carry(line), name=f"deliver-{one.key.sink}")

    async def use(self, sinks: Sequence[Sink], delivery: Delivery) -> None:
        """Deliver to these sinks from now on, with these waits.

        A sink that is the same object continues as it was. What waits for one that was replaced goes to its successor
        of the same name; what waits for one that is gone is kept until it comes back.
        """
        new = {sink.name: sink for sink in sinks}
        gone = {name for name, channel in self._channels.items() if new.get(name) is not channel.sink}
        waiting = [*self._without_sink, *await self._stop(gone)]
        self._delivery = delivery
        before, self._channels = self._channels, {}
        for name, sink in new.items():
            channel = self._channel(sink)
            if name in before:
                kept = before[name].circuit if name not in gone else channel.circuit
                channel = _Channel(sink, kept, before[name].turns)
            channel.circuit.use(delivery)
            self._channels[name] = channel
        self._without_sink = []
        self.enqueue(waiting)

    async def _stop(self, names: Collection[str]) -> list[PendingDelivery]:
        """End the deliveries to these sinks; what was not delivered, in order."""
        lines = [line for line in self._queues if line[0] in names]
        waiting = [one for line in lines for one in self._queues[line]]
        await _cancelled(self._tasks[line] for line in lines if line in self._tasks)
        self._stats.pending_deliveries -= len(waiting)
        return waiting

    async def stop(self) -> None:
        """End all deliveries; what is pending stays in the outbox for the next owner."""
        await _cancelled(self._tasks.values())
        for channel in self._channels.values():
            channel.circuit.abandoned()
        self._queues.clear()
        self._tasks.clear()
        self._without_sink = []
        self._stats.pending_deliveries = 0

    async def _carry(self, line: tuple[str, str]) -> None:
        """Deliver the transitions of one alert to one sink, one after the other."""
        queue = self._queues[line]
        try:
            while queue:
                one = queue[0]
                outcome = await self._deliver(one)
                await self._outbox.write_outcome(one, outcome)
                queue.popleft()
                self._stats.pending_deliveries -= 1
                self._stats.deliveries[one.key.sink, outcome.value] += 1
        except Exception as error:  # raised in the worker's own loop: `raise_fault`
            self._fault = error
        finally:
            self._queues.pop(line, None)
            self._tasks.pop(line, None)

    async def _deliver(self, one: PendingDelivery) -> Outcome:
        channel, attempt = self._channels[one.key.sink], 1
        name, circuit, timing = one.key.sink, channel.circuit, self._timing
        while True:
            try:
                wait = await self._attempt(channel, one)
                if not wait:
                    circuit.answered()
                    return Outcome.DELIVERED
            except PermanentDelivery as error:
                circuit.answered()
                log.error("alert %s refused by %s for good: %s", one.key.transition, name, error)
                return Outcome.FAILED
            except RetryableDelivery as error:
                circuit.failed(timing.clock(), error.retry_after_s)
                wait = wait_before(attempt, self._delivery, error.retry_after_s, timing.uniform)
                attempt += 1
                log.warning("alert %s to %s again in %.1f s: %s", one.key.transition, name, wait, error)
                self._stats.deliveries[name, "retried"] += 1
            left = one.since + self._delivery.give_up_after - timing.clock()
            if left <= 0 and self.is_owner():
                log.error("alert %s given up for %s", one.key.transition, name)
                return Outcome.FAILED
            await timing.sleep(min(wait, left) if left > 0 else wait)

    async def _attempt(self, channel: _Channel, one: PendingDelivery) -> float:
        """Send, when its turn comes: 0; or where it may not be sent now, the seconds until it may."""
        sink = channel.sink
        async with channel.turns:
            if not self.is_owner():
                return ASK_OWNERSHIP_AGAIN_S
            if wait := channel.circuit.admit(self._timing.clock()):
                return wait
            if isinstance(sink, Acknowledges) and is_acknowledgement(one.alert):
                await sink.acknowledge(one.alert, one.key.transition)
            else:
                await sink.send(one.alert)
            return 0.0


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
