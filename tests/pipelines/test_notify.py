"""Deliveries, with the outbox in memory and receivers that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.alerting.book import AlertBook
from monitor.alerting.dispatch import Dispatch
from monitor.alerting.maintenance import MaintenanceWindow
from monitor.alerting.sample import sample_alert
from monitor.detection.finding import State
from monitor.errors import PermanentDelivery, RetryableDelivery
from monitor.settings import Broker, DeadLetters, Delivery, Settings
from pipelines import notify as module
from pipelines.deadletter import DeadLetterBox
from pipelines.intake import Intake
from pipelines.notify import Notify, wait_before
from pipelines.producer import Outgoing
from pipelines.stats import WorkerStats
from pipelines.topics import TopicFacts, TopicMap
from tests.pipelines.records import Clock, Record

TOPICS = TopicMap(*(TopicFacts(name, name, 1) for name in ("out", "feat", "alerts", "dead", "state", "outbox")))


class Log:
    """A Kafka in memory: what is sent stands in lists by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Record]] = {}

    async def send(self, messages: Iterable[Outgoing]) -> list[None]:
        for message in messages:
            records = self.topics.setdefault(message.topic, [])
            records.append(Record(0, len(records), message.value, key=message.key, topic=message.topic))
        return []

    async def read_to_end(self, _: Broker, topic: str, __: Iterable[int]) -> AsyncIterator[Record]:
        for record in list(self.topics.get(topic, [])):
            yield record


class Positions:
    def __init__(self) -> None:
        self.at: dict[int, int] = {}

    async def write(self, positions: dict[int, int]) -> None:
        self.at.update(positions)

    async def restore(self, partitions: Iterable[int]) -> dict[int, int]:
        return {partition: self.at.get(partition, 0) for partition in partitions}


class Receiver:
    """A sink that fails as told before it accepts."""

    def __init__(self, failures: list[Exception] | None = None, name: str = "hook") -> None:
        self.name = name
        self.failures = failures or []
        self.got: list[str] = []
        self.tried = 0

    def takes(self, alert: Alert) -> bool:
        return True

    async def send(self, alert: Alert) -> None:
        self.tried += 1
        if self.failures:
            raise self.failures.pop(0)
        self.got.append(alert.transition)

    async def close(self) -> None: ...


class Bench:
    """A notify stage on the log in memory; `restart` makes a new one on the same log."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *receivers: Receiver) -> None:
        self.log, self.positions, self.clock = Log(), Positions(), Clock()
        self.receivers = receivers
        self.slept: list[float] = []
        self.windows: list[MaintenanceWindow] = []
        monkeypatch.setattr(module, "read_to_end", self.log.read_to_end)
        self.restart()

    def restart(self) -> None:
        self.stats = WorkerStats()
        self.notify = Notify(
            intake=Intake(100, 0.0, lambda *_: None),
            topics=TOPICS,
            broker=Settings().broker,
            sinks=self.receivers,
            dispatch=lambda: Dispatch(AlertBook(), self.windows),
            budget=lambda _: (1.0, 30 * 86_400.0),
            delivery=Delivery(),
            producer=self.log,  # type: ignore[arg-type]
            positions=self.positions,  # type: ignore[arg-type]
            letters=DeadLetterBox(Settings().broker, "dead", DeadLetters(), self.stats),
            stats=self.stats,
            clock=self.clock,
            sleep=self._sleep,
            uniform=lambda: 1.0,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += seconds
        await asyncio.sleep(0)

    async def publish(self, *told: Alert) -> None:
        await self.log.send(Outgoing("alerts", alerts.encode(alert), alert.id.encode()) for alert in told)

    async def run(self) -> None:
        """Restore, take what stands on the topic, and let the couriers work."""
        await self.notify.restore([0])
        self.notify.intake.offer(self.log.topics.get("alerts", []))
        running = asyncio.create_task(self.notify.run())
        for _ in range(200):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def transitions() -> tuple[Alert, Alert]:
    return sample_alert(State.FIRING), sample_alert(State.RESOLVED)


async def test_each_transition_reaches_each_receiver_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver(name="a"), Receiver(name="b"))
    firing, resolved = transitions()
    await bench.publish(firing, resolved, firing)  # told again by a detect worker that came back
    await bench.run()
    for receiver in bench.receivers:
        assert receiver.got == [firing.transition, resolved.transition]
    assert bench.positions.at == {0: 3}


async def test_after_a_restart_nothing_is_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    firing, resolved = transitions()
    await bench.publish(firing)
    await bench.run()
    bench.restart()
    await bench.publish(resolved, firing)
    await bench.run()
    assert bench.receivers[0].got == [firing.transition, resolved.transition]


async def test_what_was_pending_goes_on_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver([asyncio.CancelledError()]))  # type: ignore[list-item]  the process dies in it
    firing, _ = transitions()
    await bench.publish(firing)
    await bench.run()
    assert bench.receivers[0].got == []
    bench.restart()
    await bench.run()
    assert bench.receivers[0].got == [firing.transition]


async def test_a_receiver_that_fails_is_tried_again_in_order_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [RetryableDelivery("500"), RetryableDelivery("503", retry_after_s=42.0), RetryableDelivery("timeout")]
    bench = Bench(monkeypatch, Receiver(list(failing)))
    firing, resolved = transitions()
    await bench.publish(firing, resolved)
    await bench.run()
    assert bench.receivers[0].got == [firing.transition, resolved.transition]
    assert bench.slept == [1.0, 42.0, 4.0]
    assert bench.stats.deliveries["hook", "retried"] == 3


async def test_a_receiver_that_refuses_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver([PermanentDelivery("410 gone")]))
    firing, _ = transitions()
    await bench.publish(firing)
    await bench.run()
    bench.restart()
    await bench.run()
    assert bench.receivers[0].tried == 1
    assert bench.receivers[0].got == []


async def test_one_receiver_that_fails_does_not_hold_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Receiver([RetryableDelivery("down")] * 10_000, name="dead")
    bench = Bench(monkeypatch, dead, Receiver(name="alive"))
    firing, _ = transitions()
    await bench.publish(firing)
    await bench.run()
    assert bench.receivers[1].got == [firing.transition]
    assert dead.tried > 1
    await bench.notify.settle()


def test_waits_double_up_to_the_longest_and_never_fall_below_the_receivers_wish() -> None:
    delivery = Delivery()
    assert [wait_before(attempt, delivery, None, lambda: 1.0) for attempt in (1, 2, 3, 40)] == [1.0, 2.0, 4.0, 300.0]
    assert wait_before(3, delivery, None, lambda: 0.0) == 2.0
    assert wait_before(1, delivery, 90.0, lambda: 0.0) == 90.0
