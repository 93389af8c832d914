"""detect between applying a batch and writing a checkpoint, on topics in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord

from monitor.alerting.alert import from_finding
from monitor.alerting.sample import sample_finding
from monitor.detection import Finding, PartitionMonitor
from monitor.detection.wire import encode
from monitor.settings import DeadLetters, Settings
from pipelines import detect as module
from pipelines.checkpoint import DetectCheckpoint, Restored
from pipelines.deadletter import DeadLetterBox
from pipelines.detect import Detect
from pipelines.intake import Intake
from pipelines.producer import Outgoing
from pipelines.stats import WorkerStats
from pipelines.topics import TopicFacts, TopicMap
from tests.pipelines.records import Clock, Record
from tests.pipelines.rows import rows_at

EVERY_S = 10.0
TOPICS = TopicMap(*(TopicFacts(name, name, 1) for name in ("out", "feat", "alerts", "dead", "state", "outbox")))


class Kafka:
    """What was confirmed, by topic; alerts are confirmed once `alerts` is set."""

    def __init__(self, clock: Clock) -> None:
        self.confirmed: list[str] = []
        self._clock = clock
        self.takes_s = 0.0
        self.asked = asyncio.Event()
        self.alerts = asyncio.Event()

    async def send(self, messages: Iterable[Outgoing]) -> list[None]:
        for message in list(messages):
            if message.topic == "alerts":
                self.asked.set()
                await self.alerts.wait()
            self._clock.now += self.takes_s
            self.confirmed.append(message.topic)
        return []


@pytest.fixture
def kafka(clock: Clock) -> Kafka:
    return Kafka(clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def detect(kafka: Kafka, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Detect:
    """One that owns partition 0, has applied a message since its last checkpoint, and finds something in the next."""
    real = module.apply

    def apply(monitor: PartitionMonitor, content: Any, offset: int) -> list[Finding]:
        return [*real(monitor, content, offset), *([sample_finding()] if offset else [])]

    monkeypatch.setattr(module, "apply", apply)
    checkpoint = DetectCheckpoint(Settings().broker, kafka, TOPICS)  # type: ignore[arg-type]

    async def nothing_written(_: Iterable[int]) -> dict[int, Restored]:
        return {0: Restored()}

    monkeypatch.setattr(checkpoint, "restore", nothing_written)
    stats = WorkerStats()
    stage = Detect(
        intake=Intake(64, 0.0, lambda *_: None),
        topics=TOPICS,
        monitor=PartitionMonitor,
        alert=from_finding,
        producer=kafka,  # type: ignore[arg-type]
        checkpoint=checkpoint,
        checkpoint_every_s=EVERY_S,
        letters=DeadLetterBox(Settings().broker, "dead", DeadLetters(), stats),
        pool=ThreadPoolExecutor(1),
        stats=stats,
        clock=clock,
    )
    await stage.restore([0])
    messages = [Record(0, offset, encode(rows_at([1.0], first=offset))[0]) for offset in (0, 1)]
    stage.intake.offer(messages[:1])
    running = asyncio.create_task(stage.run())
    while stage.applied != {0: 1}:  # noqa: ASYNC110  the stage tells nobody
        await asyncio.sleep(0)
    running.cancel()
    stage.intake.offer(messages[1:])
    return stage


async def test_a_batch_broken_off_before_its_alerts_are_confirmed_leaves_no_snapshot(
    detect: Detect, kafka: Kafka
) -> None:
    running = asyncio.create_task(detect.run())
    await kafka.asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await detect.settle()
    assert kafka.confirmed == []


async def test_settling_waits_for_the_batch_in_hand_and_writes_it_after_its_alerts(
    detect: Detect, kafka: Kafka
) -> None:
    running = asyncio.create_task(detect.run())
    await kafka.asked.wait()
    settling = asyncio.create_task(detect.settle())
    await asyncio.sleep(0)
    kafka.alerts.set()
    await settling
    assert kafka.confirmed == ["alerts", "state", "state"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def checkpoints_after(passed: Iterable[float], detect: Detect, kafka: Kafka, clock: Clock) -> list[str]:
    """What is confirmed when rows come at these times, in seconds from now, and then the partition is settled."""
    kafka.alerts.set()
    began = clock.now
    running = asyncio.create_task(detect.run())
    for number, seconds in enumerate(passed, start=1):
        clock.now = began + seconds
        if number > 1:
            detect.intake.offer([Record(0, number, encode(rows_at([1.0], first=number))[0])])
        while kafka.confirmed.count("alerts") < number:  # noqa: ASYNC110  the stage tells nobody
            await asyncio.sleep(0)
    await detect.settle()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return kafka.confirmed


async def test_snapshots_that_take_long_are_followed_by_a_longer_pause(
    detect: Detect, kafka: Kafka, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = detect._changed

    def slowly(partition: int) -> Any:
        clock.now += 4.0  # so 36 s are left to the rows
        return real(partition)

    monkeypatch.setattr(detect, "_changed", slowly)
    confirmed = await checkpoints_after((EVERY_S, 4 * EVERY_S, 6 * EVERY_S), detect, kafka, clock)
    assert confirmed == ["alerts", "state", "state", "alerts", "alerts", "state", "state"]


async def test_a_broker_that_takes_long_to_confirm_a_checkpoint_does_not_delay_the_next(
    detect: Detect, kafka: Kafka, clock: Clock
) -> None:
    kafka.takes_s = 20.0  # it restarts
    confirmed = await checkpoints_after((EVERY_S, 100.0), detect, kafka, clock)
    assert confirmed == ["alerts", "state", "state", "alerts", "state", "state"]


async def test_the_log_says_once_which_streams_have_fallen_behind_and_that_they_caught_up(
    detect: Detect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    on_time = PartitionMonitor()._own("a").monitor.status()
    late = msgspec.structs.replace(on_time, behind_s=86_400.0)
    for statuses in ({"a": late, "b": late}, {"a": late, "b": late}, {"a": late, "b": on_time}):
        detect._statuses = statuses
        detect._note_late_times()
    said = [record.getMessage() for record in caplog.records if "times" in record.getMessage()]
    assert said == [
        "streams whose times lie far behind: 2 more, such as a: "
        "times lie 24 h behind: volume and silence are not judged",
        "volume and silence are judged again, since times have caught up: streams: 1",
    ]


async def test_a_checkpoint_holds_the_logs_clock(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Outgoing] = []

    async def send(messages: Iterable[Outgoing]) -> list[None]:
        sent.extend(messages)
        return []

    async def written(*_: Any) -> Any:
        for offset, message in enumerate(sent):
            yield ConsumerRecord("state", 0, offset, 0, 0, message.key, message.value, None, 0, 0, ())

    monkeypatch.setattr(kafka, "send", send)
    monkeypatch.setattr("pipelines.checkpoint.read_to_end", written)
    checkpoint = DetectCheckpoint(Settings().broker, kafka, TOPICS)  # type: ignore[arg-type]
    await checkpoint.write(0, 7, {}, 1_700_000_000.0)
    await checkpoint.write(0, 5, {}, 1_600_000_000.0)  # by a worker that woke late
    restored = (await checkpoint.restore([0]))[0]
    assert (restored.position, restored.clock) == (7, 1_700_000_000.0)
