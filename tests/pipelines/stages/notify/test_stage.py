"""Deliveries, with the outbox in memory and receivers that fail."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterable

import msgspec
import pytest

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.rendering.samples import SPECS, sample_alert, sample_finding
from monitor.detection.records.finding import Severity, State
from monitor.errors import PermanentDelivery, RetryableDelivery, StateError
from monitor.settings import Broker, Delivery, Settings, Topics
from monitor.telemetry.worker_stats import CircuitState, WorkerStats
from pipelines.kafka.ordered_buffer import OrderedBuffer
from pipelines.kafka.producer import Outgoing
from pipelines.kafka.topics import TopicFacts, TopicMap
from pipelines.stages.notify import outbox as outbox_module
from pipelines.stages.notify import stage as stage_module
from pipelines.stages.notify.couriers import Couriers, Timing
from pipelines.stages.notify.outbox import Outbox, OutboxKey, OutboxRecord, Outcome
from pipelines.stages.notify.stage import AlertPolicy, Notify
from tests.pipelines.records import Clock, Record, services

TOPICS = TopicMap(*(TopicFacts(name, name, 1) for name in Topics().parts))


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
    """A sink that fails as it is set to before it accepts."""

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


class SlowReceiver(Receiver):
    """Takes its time until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.under_way = self.most = 0

    async def send(self, alert: Alert) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.go.wait()
        self.under_way -= 1
        self.got.append(alert.transition)


def many(count: int) -> list[Alert]:
    """Different alerts, each firing."""
    finding = sample_finding(State.FIRING)
    return [from_finding(msgspec.structs.replace(finding, id=f"{n:016x}"), specs=SPECS) for n in range(count)]


class Bench:
    """A notify stage on the log in memory; `restart` makes a new one on the same log."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *receivers: Receiver) -> None:
        self.log, self.positions, self.clock = Log(), Positions(), Clock()
        self.started = self.clock.now
        self.receivers = receivers
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self.windows: list[MaintenanceWindow] = []
        self.sure = True
        self.delivery = Delivery()
        for module in (outbox_module, stage_module):
            monkeypatch.setattr(module, "read_to_end", self.log.read_to_end)
        self.restart()

    def restart(self) -> None:
        self.stats = WorkerStats()
        self.outbox = Outbox(Settings().broker, TOPICS.outbox.name, self.log)  # type: ignore[arg-type]
        self.couriers = Couriers(
            self.receivers,
            self.delivery,
            self.outbox,
            self.stats,
            lambda: self.sure,
            Timing(self.clock, self._sleep, lambda: 1.0),
        )
        self.notify = Notify(
            services(TOPICS, self.log, self.stats, self.clock),
            OrderedBuffer(100, 0.0, lambda *_: None),
            Settings().broker,
            self.positions,  # type: ignore[arg-type]
            self.outbox,
            self.couriers,
            AlertPolicy(lambda: Dispatch(AlertBook(), self.windows), lambda _: (1.0, 30 * 86_400.0)),
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.clock.now + seconds, len(self.slept), woken))
        await woken

    def _wake_next(self) -> None:
        """Time goes on to the moment at which the next sleeper wakes."""
        if self._sleepers:
            at, _, woken = heapq.heappop(self._sleepers)
            self.clock.now = max(self.clock.now, at)
            if not woken.done():
                woken.set_result(None)

    async def publish(self, *reported: Alert) -> None:
        await self.log.send(Outgoing("alerts", alerts.encode(alert), alert.id.encode()) for alert in reported)

    async def run(self, turns: int = 200) -> None:
        """Restore, take what stands on the topic, and let the couriers work for so many turns of the loop."""
        await self.notify.restore([0])
        self.notify.buffer.offer(self.log.topics.get("alerts", []))
        running = asyncio.create_task(self.notify.run())
        for turn in range(turns):
            await asyncio.sleep(0)
            if turn % 10 == 9:  # by then all has been done that could be done at this time
                self._wake_next()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def transitions() -> tuple[Alert, Alert]:
    return sample_alert(State.FIRING), sample_alert(State.RESOLVED)


async def test_each_transition_reaches_each_receiver_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver(name="a"), Receiver(name="b"))
    firing, resolved = transitions()
    await bench.publish(firing, resolved, firing)  # reported again by a detect worker that came back
    await bench.run()
    for receiver in bench.receivers:
        assert receiver.got == [firing.transition, resolved.transition]
    assert bench.positions.at == {0: 3}


async def test_after_a_restart_nothing_is_reported_twice(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("give_up_after", [60.0, 86_400.0])
@pytest.mark.parametrize("asked", [3_600.0, 90_000.0, 1e12])
async def test_a_wish_for_a_rest_beyond_the_end_of_the_retries_abandons_no_alert(
    monkeypatch: pytest.MonkeyPatch, asked: float, give_up_after: float
) -> None:
    bench = Bench(monkeypatch, Receiver([RetryableDelivery("503", retry_after_s=asked)] * 3))
    bench.delivery = Delivery(give_up_after=give_up_after)
    bench.restart()
    firing, _ = transitions()
    await bench.publish(firing)
    await bench.run()
    assert bench.receivers[0].got == [firing.transition]
    assert bench.clock.now - bench.started <= give_up_after


async def test_the_last_attempt_is_made_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver([RetryableDelivery("down")] * 10_000))
    bench.delivery = Delivery(first_retry=20.0, give_up_after=60.0)
    bench.restart()
    await bench.publish(transitions()[0])
    await bench.run()
    assert sum(bench.slept) == 60.0
    assert bench.stats.deliveries["hook", "failed"] == 1


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


async def test_a_receiver_that_is_down_is_probed_and_not_asked_by_every_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Receiver([RetryableDelivery("down")] * 10_000)
    bench = Bench(monkeypatch, dead)
    await bench.publish(*many(60))
    await bench.run()
    # 60 alerts without a breaker: 60 attempts at once. Here: those under way when it opened, then one at a time.
    assert 5 <= dead.tried < 60
    assert bench.couriers.circuits["hook"].state(bench.clock.now) is not CircuitState.CLOSED
    await bench.notify.settle()


async def test_all_alerts_arrive_once_the_receiver_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver([RetryableDelivery("down")] * 7)
    bench = Bench(monkeypatch, receiver)
    reported = many(30)
    await bench.publish(*reported)
    await bench.run(turns=2_000)
    assert sorted(receiver.got) == sorted(alert.transition for alert in reported)
    await bench.notify.idle()
    assert bench.stats.circuits == {"hook": CircuitState.CLOSED}


async def test_no_more_than_a_few_deliveries_are_under_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = SlowReceiver()
    bench = Bench(monkeypatch, receiver)
    await bench.publish(*many(100))
    await bench.run()
    assert receiver.under_way == receiver.most == 8
    receiver.go.set()
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert len(receiver.got) == 100
    assert receiver.most == 8


async def test_what_a_worker_that_woke_late_notes_again_is_not_reported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    firing, _ = transitions()
    await bench.publish(firing)
    await bench.run()
    pending = bench.log.topics["outbox"][0]
    await bench.log.send([Outgoing("outbox", pending.value, pending.key, 0)])
    bench.restart()
    await bench.run()
    assert bench.receivers[0].got == [firing.transition]


async def test_a_worker_that_is_not_sure_to_own_the_alerts_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    firing, _ = transitions()
    await bench.publish(firing)
    bench.sure = False
    await bench.run()
    assert bench.receivers[0].tried == 0
    bench.sure = True
    bench._wake_next()
    for _ in range(50):
        await asyncio.sleep(0)
    assert bench.receivers[0].got == [firing.transition]


async def test_an_outbox_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    record = OutboxRecord(Outcome.PENDING, "hook", b"", 0.0, v=2)
    key = msgspec.json.encode(OutboxKey("a:firing", "hook"))
    await bench.log.send([Outgoing("outbox", msgspec.msgpack.encode(record), key, 0)])
    with pytest.raises(StateError, match="format version 2, this worker reads 1: run the version that wrote it"):
        await bench.run()


async def quietly(bench: Bench, days: float) -> None:
    """So much time passes in which nothing comes, and the timer calls a few times."""
    bench.clock.now += days * 86_400.0
    for _ in range(3):
        await bench.notify.idle()


def held(bench: Bench) -> set[str]:
    """Keys that the outbox holds once it is compacted."""
    latest = {record.key: record.value for record in bench.log.topics["outbox"]}
    return {_key.decode(key).transition for key, value in latest.items() if key and value is not None}


_key = msgspec.json.Decoder(OutboxKey)


async def test_the_outbox_forgets_what_is_settled_and_nothing_is_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver(name="a"), Receiver(name="b"))
    firing, resolved = transitions()
    await bench.publish(firing, resolved)
    await bench.run()
    await quietly(bench, 13)
    assert held(bench) == {firing.transition, resolved.transition}
    await quietly(bench, 2)
    assert held(bench) == set()
    assert not len(bench.outbox), "nor does it stay in memory"
    written = len(bench.log.topics["outbox"])
    bench.restart()
    await bench.publish(firing, resolved)  # once more, from a worker that came back
    await bench.run()
    await quietly(bench, 30)
    for receiver in bench.receivers:
        assert receiver.got == [firing.transition, resolved.transition]
    assert len(bench.log.topics["outbox"]) == written


async def test_what_fires_stays_in_the_outbox_however_old(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    firing, resolved = transitions()
    await bench.publish(firing)
    await bench.run()
    await quietly(bench, 80)
    assert held(bench) == {firing.transition}
    bench.restart()
    await bench.publish(resolved)
    await bench.run()
    assert bench.receivers[0].got == [firing.transition, resolved.transition]


async def test_what_waits_for_its_receiver_stays_in_the_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, SlowReceiver())
    firing, resolved = transitions()
    await bench.publish(firing, resolved)
    await bench.run()
    await quietly(bench, 80)
    assert held(bench) == {firing.transition, resolved.transition}
    await bench.notify.settle()


async def test_a_worker_that_is_not_sure_to_own_the_alerts_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    firing, resolved = transitions()
    await bench.publish(firing, resolved)
    await bench.run()
    bench.sure = False
    await quietly(bench, 80)
    assert held(bench) == {firing.transition, resolved.transition}


async def test_years_of_settled_alerts_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Receiver())
    reported = many(1_100)
    over = [from_finding(msgspec.structs.replace(sample_finding(State.RESOLVED), id=a.fingerprint)) for a in reported]
    await bench.publish(*reported, *over)
    await bench.run(turns=30_000)
    assert len(held(bench)) == 2_200
    await quietly(bench, 15)
    assert held(bench) == set()


class Channel(Receiver):
    """Posts messages that it cannot change afterwards."""

    cannot_replace = True


class Pager(Receiver):
    """Takes what is critical."""

    def takes(self, alert: Alert) -> bool:
        return alert.severity is Severity.CRITICAL


def revised(number: int, **changed: object) -> Alert:
    finding = msgspec.structs.replace(sample_finding(State.FIRING), revision=number, measured_events=64)
    return from_finding(msgspec.structs.replace(finding, **{"severity": Severity.WARNING, **changed}), specs=SPECS)


async def test_a_revision_is_one_delivery_to_those_who_had_the_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    hook, channel, pager = Receiver(name="hook"), Channel(name="channel"), Pager(name="pager")
    bench = Bench(monkeypatch, hook, channel, pager)
    key = revised(0).transition
    await bench.publish(revised(0), revised(1), revised(1))
    await bench.run()
    bench.restart()
    # Restarted, reported the same again, and then it is critical by what more events say; the last one is not news.
    await bench.publish(revised(1), revised(2, severity=Severity.CRITICAL), revised(3, severity=Severity.CRITICAL))
    await bench.run()
    bench.restart()
    await bench.run()
    assert hook.got == [key, *(f"{key}:revision-{number}" for number in (1, 2, 3))]
    assert channel.got == [key, f"{key}:revision-2"]
    # To it the alert is new; it is a revision only from then on.
    assert pager.got == [key, f"{key}:revision-3"]
