"""detect between applying a batch and writing a checkpoint, on topics in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord

from monitor.alerting.from_finding import from_finding
from monitor.alerting.rendering.samples import sample_finding
from monitor.detection import Control, ControlAction, Finding, PartitionMonitor, State, StreamMonitor
from monitor.detection.records.log_format import decode_message, encode, encode_control, encode_tick
from monitor.detection.stream.failed_stream import Unjudged
from monitor.features.batch import FeatureBatch, concat
from monitor.settings import DeadLetters, Settings, Topics
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.kafka.dead_letters import DeadLetter, DeadLetterWriter, headers_of
from pipelines.kafka.ordered_buffer import OrderedBuffer
from pipelines.kafka.producer import Outgoing
from pipelines.kafka.topics import TopicFacts, TopicMap
from pipelines.replay.replay import pass_over
from pipelines.stages import detect as module
from pipelines.stages.detect import Detect
from pipelines.stages.stream_letters import MOST_HEADER_BYTES, letters_of
from pipelines.state.checkpoint import DetectCheckpoint, Restored
from pipelines.state.records import PositionRecord, StreamRecord, stream_of
from tests.detection.streams import CHARS, SETTINGS, SPECS, calm
from tests.pipelines.records import Clock, Record, services
from tests.pipelines.rows import rows_at

EVERY_S = 10.0
TOPICS = TopicMap(*(TopicFacts(name, name, 1) for name in Topics().parts))


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
        services(TOPICS, kafka, stats, clock),
        OrderedBuffer(64, 0.0, lambda *_: None),
        monitor=PartitionMonitor,
        alert=from_finding,
        checkpoint=checkpoint,
        checkpoint_every_s=EVERY_S,
    )
    await stage.restore([0])
    messages = [Record(0, offset, encode(rows_at([1.0], first=offset))[0]) for offset in (0, 1)]
    stage.buffer.offer(messages[:1])
    running = asyncio.create_task(stage.run())
    while stage.applied != {0: 1}:  # noqa: ASYNC110  the stage tells nobody
        await asyncio.sleep(0)
    running.cancel()
    stage.buffer.offer(messages[1:])
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
            detect.buffer.offer([Record(0, number, encode(rows_at([1.0], first=number))[0])])
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
    on_time = StreamMonitor("a").status()
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
    monkeypatch.setattr("pipelines.state.checkpoint.read_to_end", written)
    checkpoint = DetectCheckpoint(Settings().broker, kafka, TOPICS)  # type: ignore[arg-type]
    await checkpoint.write(0, 7, {}, clock=(1_500_000_000.0, 1_700_000_000.0))
    await checkpoint.write(0, 5, {}, clock=(1_500_000_000.0, 1_600_000_000.0))  # by a worker that woke late
    restored = (await checkpoint.restore([0]))[0]
    assert (restored.position, restored.clock) == (7, (1_500_000_000.0, 1_700_000_000.0))


# One stream's failure


class Written:
    """What was written, by topic."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []

    async def send(self, messages: Iterable[Outgoing]) -> list[None]:
        self.messages += messages
        return []

    def keys(self, topic: str) -> list[tuple[bytes | None, bool]]:
        return [(message.key, message.value is None) for message in self.messages if message.topic == topic]


class Letters(DeadLetterWriter):
    """Keeps what would be written."""

    def __init__(self, stats: WorkerStats) -> None:
        super().__init__(Settings().broker, "dead", DeadLetters(), stats)
        self.kept: list[DeadLetter] = []

    async def write(self, letters: Sequence[DeadLetter], topic: str) -> None:
        self.kept += letters


class Worker:
    """A detect stage over logs in memory, and what it wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 20_000, restored: Restored | None = None) -> None:
        self.written, self.stats, self.found = Written(), WorkerStats(), list[Finding]()
        self.letters = Letters(self.stats)
        checkpoint = DetectCheckpoint(Settings().broker, self.written, TOPICS)  # type: ignore[arg-type]

        async def from_before(_: Iterable[int]) -> dict[int, Restored]:
            return {0: restored or Restored()}

        monkeypatch.setattr(checkpoint, "restore", from_before)
        self.detect = Detect(
            services(TOPICS, self.written, self.stats, Clock(), self.letters),
            OrderedBuffer(64, 0.0, lambda *_: None),
            monitor=lambda: PartitionMonitor(lambda _: SETTINGS, SPECS, most),
            alert=from_finding,
            checkpoint=checkpoint,
            checkpoint_every_s=EVERY_S,
            on_findings=self.found.extend,
        )

    async def run(self, log: Sequence[Record], end: bool = True) -> None:
        """Apply these messages and, unless the process is to die before it, write a checkpoint."""
        await self.detect.restore([0])
        self.detect.buffer.offer(log)
        running = asyncio.create_task(self.detect.run())
        while self.detect.applied.get(0) != log[-1].offset + 1:
            assert not running.done(), running.exception()
            await asyncio.sleep(0.001)
        if end:
            async with self.detect._lock:
                await self.detect._write_positions()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def three_streams() -> list[Record]:
    """A log of three streams: the first and the last change; ticks between."""
    streams = {name: calm(1000, seed, stream=name) for seed, name in enumerate("abc", 1)}
    for name in "ac":
        streams[name][CHARS][600:] *= 2.5
    values = []
    for first in range(0, 1000, 50):
        values += encode(concat([each.batch(first, first + 50) for each in streams.values()]))
        values.append(encode_tick(1_000_000.0 + first + 50))
    return [Record(0, offset, value) for offset, value in enumerate(values)]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The monitor of stream b raises from event 550 on."""
    real = StreamMonitor._judge

    def raising(self: StreamMonitor, rows: Any, first: int) -> list[Finding]:
        if self.stream == "b" and first >= 550:
            raise ValueError("what nobody foresaw")
        return real(self, rows, first)

    monkeypatch.setattr(StreamMonitor, "_judge", raising)


@pytest.mark.usefixtures("broken")
async def test_one_streams_failure_takes_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker, log = Worker(monkeypatch), three_streams()
    await worker.run(log)
    assert {finding.stream for finding in worker.found if finding.state is State.FIRING} == {"a", "c"}
    alerts = [message for message in worker.written.messages if message.topic == "alerts"]
    assert len(alerts) == len(worker.found)
    states = {name: status.state.value for name, status in worker.stats.statuses.items()}
    assert states == {"a": "drift", "b": "unknown", "c": "drift"}
    assert {name: status.events for name, status in worker.stats.statuses.items()} == dict.fromkeys("abc", 1000)
    assert worker.stats.stream_failures == {"observe": 1}
    assert "ValueError: what nobody foresaw" in worker.stats.statuses["b"].reason
    assert "Traceback" in caplog.text
    assert caplog.text.count("Traceback") == 1
    # And the same is concluded without a worker.
    monitor = PartitionMonitor(lambda _: SETTINGS, SPECS)
    assert list(pass_over(log, monitor)) == worker.found
    assert monitor.statuses() == worker.stats.statuses


@pytest.mark.usefixtures("broken")
async def test_its_rows_are_in_the_dead_letters_with_all_it_takes_to_publish_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker(monkeypatch)
    await worker.run(three_streams())
    ids, places = [], []
    for letter in worker.letters.kept:
        headers = dict(headers_of(letter, "feat"))
        assert headers["oqm-reason"] == b"stream_failed"
        assert headers["oqm-stream"] == b"b"
        assert headers["oqm-topic"] == b"feat"
        assert b"what nobody foresaw" in headers["oqm-detail"]
        rows = decode_message(letter.message.value or b"")
        assert isinstance(rows, FeatureBatch)
        assert set(rows.streams) == {"b"}
        ids += rows.ids
        named = json.loads(headers["oqm-events"])
        assert named == [[0, o, i] for o, i in zip(rows.source_offsets.tolist(), rows.ids, strict=True)]
        places += [offset for _, offset, _ in named]
    assert ids == [f"b-{number}" for number in range(550, 1000)]
    assert places == list(range(550, 1000))
    assert worker.stats.unjudged == {"stream_failed": 450}


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("cut", [5, 23, 30])
async def test_a_restart_before_or_after_the_failure_concludes_the_same(
    monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    log = three_streams()
    whole, first = Worker(monkeypatch), Worker(monkeypatch)
    await whole.run(log)
    await first.run(log[:cut])
    second = Worker(monkeypatch, restored=checkpointed(first))
    await second.run(log[cut:])
    assert first.found + second.found == whole.found
    assert second.stats.statuses == whole.stats.statuses


def checkpointed(worker: Worker) -> Restored:
    """What a restore reads of what it wrote."""
    restored = Restored()
    for message in worker.written.messages:
        if message.topic == "state" and message.key and message.key.startswith(b"stream/"):
            assert message.value is not None
            restored.streams[stream_of(message.key)] = msgspec.msgpack.decode(
                message.value, type=StreamRecord, strict=False
            )
        elif message.topic == "state" and message.value is not None:
            position = msgspec.msgpack.decode(message.value, type=PositionRecord)
            restored.position, restored.clock = position.next, position.clock
    return restored


async def test_a_stream_that_is_removed_leaves_the_state_topic_and_the_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, log = Worker(monkeypatch), three_streams()
    await worker.run(log)
    assert set(worker.stats.statuses) == {"a", "b", "c"}
    control = Control(action=ControlAction.REMOVE, stream="a", by="ada")
    worker.detect.buffer.offer([Record(0, len(log), encode_control(control))])
    running = asyncio.create_task(worker.detect.run())
    while worker.detect.applied != {0: len(log) + 1}:  # noqa: ASYNC110  the stage tells nobody
        await asyncio.sleep(0.001)
    async with worker.detect._lock:
        await worker.detect._write_positions()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert set(worker.stats.statuses) == {"b", "c"}
    assert worker.written.keys("state")[-2:] == [(b"stream/a", True), (b"position/features", False)]
    ended = worker.found[-1]
    assert (ended.stream, ended.state) == ("a", State.RESOLVED)
    assert ended.cause.endswith("stream removed by ada.")


async def test_names_beyond_the_cap_go_to_the_dead_letters_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(monkeypatch, most=10)
    log = [Record(0, n, encode(calm(1, 1, stream=f"request-{n}").batch())[0]) for n in range(25)]
    await worker.run(log)
    assert worker.stats.newcomers == len(worker.stats.statuses) == 10
    assert worker.stats.unjudged == {"too_many_streams": 15}
    assert [dict(headers_of(letter, "feat"))["oqm-stream"] for letter in worker.letters.kept] == [
        f"request-{n}".encode() for n in range(15)
    ]


def test_a_letter_with_many_long_ids_becomes_several() -> None:
    traffic = calm(300, 1)
    traffic.ids = [f"{'x' * 500}-{number}" for number in range(300)]
    unjudged = Unjudged("s", "stream_failed", "why", rows=traffic.batch())
    letters = list(letters_of(unjudged, 3, 7, 1_700, TopicFacts("oqm.outputs", "outputs", 8)))
    assert len(letters) > 4
    named = [json.loads(dict(letter.more)["oqm-events"]) for letter in letters]
    assert [offset for part in named for _, offset, _ in part] == list(range(300))
    assert all(len(dict(letter.more)["oqm-events"]) <= MOST_HEADER_BYTES for letter in letters)
    assert {dict(letter.more)["oqm-source-topic"] for letter in letters} == {b"oqm.outputs"}
