"""Judgments as rows of derived streams, and what detection makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from monitor.alerting.alert import decode as decode_alert
from monitor.alerting.from_finding import from_finding
from monitor.criteria.anchors import Anchor, append_anchors
from monitor.criteria.criterion import Criterion
from monitor.criteria.derived import judged_of, judged_stream
from monitor.detection import Finding, PartitionMonitor, StreamMonitor
from monitor.detection.records.finding import FindingKind, Severity
from monitor.detection.records.log_format import decode_message
from monitor.errors import BrokerError
from monitor.features.batch import FeatureBatch
from monitor.judgment.anchor_book import AnchorBookState
from monitor.judgment.records import Judgment, Purpose, decode_sampled, encode_record
from monitor.settings import Settings, Topics
from monitor.settings.criteria_file import CriteriaFile, with_criteria
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.build import partition_monitor, watched_features
from pipelines.kafka.ordered_buffer import OrderedBuffer
from pipelines.kafka.producer import Outgoing
from pipelines.kafka.topics import TopicFacts, TopicMap
from pipelines.stages.anchors import AnchorDesk, partition_of_anchors
from pipelines.stages.judged import JudgedOutputs, JudgmentReader
from tests.pipelines.records import Clock, Record, services

JUDGMENTS = TopicFacts("oqm.judgments", "judgments-id", 4)
STREAM = judged_stream("shop/answers", "polite")
SETTINGS = Settings.model_validate(
    {
        "streams": [
            {
                "match": "shop/*",
                "owner": "ada",
                "route": "shop",
                "alert_budget": "2 per 30d",
                "slo": [{"name": "fast", "latency_s": 1, "objective": 0.9}],
                "criteria": [{"name": "polite", "pass": "thanks and is friendly", "evaluator": "main"}],
            }
        ],
        "evaluators": [{"name": "main", "kind": "classifier"}],
    }
)


def judgment(number: int, passed: bool | None = True, **fields: Any) -> Judgment:
    known: dict[str, Any] = {
        "stream": "shop/answers",
        "event": f"e{number}",
        "time": 1.79e9 + 60.0 * number,
        "criterion": "polite",
        "by_uniform": True,
        "passed": passed,
        "evaluator": "main",
        "identity": "a1",
        "rationale": "" if passed else f"answer {number} is rude",
    }
    return Judgment(**{**known, **fields})


def record(offset: int, one: Judgment, partition: int = 0) -> Record:
    return Record(partition, offset, encode_record(one), topic=JUDGMENTS.name)


def rows(records: list[Record]) -> list[FeatureBatch]:
    found = []
    for parts in JudgmentReader(JUDGMENTS, 1).read(records).messages.values():
        for part in parts:
            batch = decode_message(part)
            assert isinstance(batch, FeatureBatch)
            found.append(batch)
    return found


def monitor() -> PartitionMonitor:
    return partition_monitor(SETTINGS, ())


def applied(watch: PartitionMonitor, judged: list[Judgment], first: int = 0, offset: int = 0) -> list[Finding]:
    """Judgments at places of the topic from `first` on, through a message of the log at `offset`."""
    batches = rows([record(first + at, one) for at, one in enumerate(judged)])
    return [finding for batch in batches for finding in watch.apply(batch, offset)]


def test_a_verdict_is_a_row_with_its_place_its_evaluator_and_its_reason() -> None:
    [batch] = rows([record(7, judgment(1, False, segments={"prompt.version": "3"}), partition=2)])
    assert (batch.names, batch.values.tolist()) == (("output.judged.polite",), [[1.0]])
    assert (list(batch.streams), list(batch.ids)) == (["~judged/shop/answers/polite"], ["e1"])
    assert (batch.source, batch.source_partitions.tolist(), batch.source_offsets.tolist()) == ("judgments-id", [2], [7])
    assert batch.segments[0] == {"prompt.version": "3", "evaluator": "main a1"}
    assert batch.output_excerpts[0] == "fails: answer 1 is rude"


def test_reasons_are_masked() -> None:
    [batch] = rows([record(0, judgment(1, False, rationale="it gives away ada@example.com"))])
    assert "ada@example.com" not in batch.output_excerpts[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"by_uniform": False},
        {"purpose": Purpose.DIAGNOSTIC},
        {"purpose": Purpose.ANCHOR},
        {"passed": None, "missing": "timeout"},
    ],
)
def test_what_is_no_verdict_on_the_uniform_sample_makes_no_row(fields: dict[str, Any]) -> None:
    assert rows([record(0, judgment(1, **fields))]) == []


def test_bytes_that_are_no_judgment_are_dead_letters_and_the_others_go_on() -> None:
    result = JudgmentReader(JUDGMENTS, 1).read([Record(0, 0, b"{"), record(1, judgment(1)), Record(0, 2, None)])
    assert [(letter.message.offset, letter.reason) for letter in result.letters] == [
        (0, "unreadable"),
        (2, "unreadable"),
    ]
    assert list(result.messages) == [STREAM]


def test_a_judgment_that_comes_again_counts_once_also_with_another_verdict() -> None:
    watch = monitor()
    applied(watch, [judgment(number) for number in range(150)], first=0, offset=0)
    applied(watch, [judgment(number) for number in range(100, 150)], first=100, offset=1)  # sent again after a crash
    applied(watch, [judgment(149, False)], first=150, offset=2)  # judged again after a crash
    held = watch.stream(STREAM)
    assert isinstance(held, StreamMonitor)
    assert held.events == 150


def test_settings_of_a_derived_stream_follow_its_parents() -> None:
    own = SETTINGS.for_stream(STREAM)
    assert (own.owner, own.route) == ("ada", "shop")
    assert own.detection.alert_budget == (2.0, 30 * 86_400.0)
    assert (own.detection.warmup, own.detection.slo, own.detection.watch_volume) == (100, (), False)
    assert SETTINGS.for_stream("shop/answers").detection.slo
    assert judged_of("~judged/x") is None
    everywhere = with_criteria(Settings(), CriteriaFile(criteria=SETTINGS.criteria))
    assert [everywhere.criteria_of(name) for name in (STREAM, "~anchor/polite")] == [(), ()]
    assert everywhere.criteria_of("any") == SETTINGS.criteria
    overrides = [
        *SETTINGS.model_dump(by_alias=True, exclude_unset=True)["streams"],
        {"match": "~judged/*", "owner": "bob", "warmup": 150},
        {"match": "*", "warmup": 300},
    ]
    again = Settings.model_validate({"streams": overrides, "evaluators": [{"name": "main", "kind": "classifier"}]})
    assert (again.for_stream(STREAM).owner, again.for_stream(STREAM).detection.warmup) == ("bob", 150)


def falls(seed: int = 3) -> list[Finding]:
    rng = np.random.default_rng(seed)
    watch = monitor()
    good = [judgment(number, bool(rng.random() < 0.93)) for number in range(1_200)]
    bad = [judgment(1_200 + number, bool(rng.random() < 0.70)) for number in range(192)]
    found = applied(watch, good)
    assert found == []
    return applied(watch, bad, first=1_200, offset=1)


def test_a_fall_is_told_in_words_with_examples_and_the_evaluators_reasons() -> None:
    [finding] = [finding for finding in falls() if finding.opens]
    assert finding.kind is FindingKind.QUALITY
    assert finding.severity is Severity.CRITICAL
    assert finding.title.startswith(f"{STREAM}: Fewer outputs pass `polite`: 9")
    assert all(excerpt.output.startswith("fails: answer ") for excerpt in finding.excerpts_after)
    assert len(finding.excerpts_after) == 3
    specs = {spec.name: spec for spec in watched_features(SETTINGS, ())}
    alert = from_finding(finding, specs=specs)
    assert alert.title.startswith("Fewer outputs pass `polite`: 9")
    assert " before, " in alert.title
    assert " since " in alert.title
    assert alert.links.runbook.endswith("quality.md")


def test_another_evaluator_that_judges_differently_is_named_and_is_no_fall_of_quality() -> None:
    rng = np.random.default_rng(5)
    watch = monitor()
    good = [judgment(number, bool(rng.random() < 0.93)) for number in range(1_200)]
    stricter = [judgment(1_200 + n, bool(rng.random() < 0.6), identity="b2") for n in range(400)]
    applied(watch, good)
    found = applied(watch, stricter, first=1_200, offset=1)
    [finding] = [finding for finding in found if finding.opens]
    assert (finding.kind, finding.severity) == (FindingKind.EVALUATOR_CHANGED, Severity.WARNING)
    assert finding.segment == {"evaluator": "main b2"}
    assert finding.title.startswith(f"{STREAM}: Another evaluator: fewer outputs pass `polite`: 9")
    assert "It came with a new version: evaluator=main b2." in finding.cause


def test_neither_silence_nor_a_change_of_the_rate_is_found() -> None:
    watch = monitor()
    found = applied(watch, [judgment(number) for number in range(1_500)])
    found += applied(watch, [judgment(9_000 + 40 * number) for number in range(300)], first=1_500, offset=1)
    found += watch.tick(1.79e9 + 60.0 * 9_000 + 20 * 86_400, 2)
    assert found == []


def test_a_restored_stream_goes_on_where_it_was() -> None:
    watch, again = monitor(), monitor()
    applied(watch, [judgment(number) for number in range(300)])
    for stream, data in watch.changed().items():
        again.restore(stream, data)
    assert again.status(STREAM) == watch.status(STREAM)
    assert msgspec.json.encode(again.status(STREAM))


# Anchors, through the stage

ANCHORS = [Anchor(output=f"answer {number}", passed=number % 2 == 0) for number in range(20)]
TOPICS = TopicMap(*(TopicFacts(name, f"{name}-id", 4) for name in Topics().parts))
OWN = partition_of_anchors("polite", 4)


class Kafka:
    """A producer that keeps what was confirmed, and fails once where a test asks for it."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.fails_on = ""

    async def send(self, messages: Iterable[Outgoing]) -> list[Any]:
        for message in list(messages):
            if message.topic == self.fails_on:
                self.fails_on = ""
                raise BrokerError("away")
            self.sent.append(message)
        return []

    def to(self, topic: str) -> list[Outgoing]:
        return [message for message in self.sent if message.topic == topic]


class Written:
    """Positions and states of anchors, in memory."""

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}
        self.states: dict[str, bytes] = {}

    async def write(self, written: Any) -> None:
        for key, value in written.items():
            if isinstance(key, int):
                self.positions[key] = value
            else:
                self.states[key] = msgspec.msgpack.encode(value)

    async def restore(self, partitions: Sequence[int] | None = None) -> Any:
        if partitions is not None:
            return {partition: self.positions.get(partition, 0) for partition in partitions}
        return {key: msgspec.msgpack.decode(data, type=AnchorBookState) for key, data in self.states.items()}


@pytest.fixture
def anchored(tmp_path: Path) -> tuple[Criterion, ...]:
    file = tmp_path / "polite.jsonl"
    append_anchors(file, ANCHORS)
    said = {"name": "polite", "pass": "is friendly", "evaluator": "main", "anchors": str(file)}
    return (Criterion.model_validate(said),)


async def stage(criteria: Sequence[Criterion], kafka: Kafka, written: Any, clock: Clock) -> JudgedOutputs:
    shared = services(TOPICS, kafka, WorkerStats(), clock)
    made = JudgedOutputs(
        shared,
        OrderedBuffer(100, 0.0, lambda partition, offset: None),
        JudgmentReader(TOPICS.judgments, 4),
        written,
        AnchorDesk(criteria, TOPICS, written),
        lambda finding: from_finding(finding),
    )
    await made.restore([OWN])
    return made


def verdicts(asked: Sequence[Outgoing], passes: Callable[[Anchor], bool], first: int) -> list[Record]:
    """What a judge says of the requests, as it stands in the log from an offset on."""
    by_id = {anchor.id: anchor for anchor in ANCHORS}
    found = []
    for message in asked:
        sampled = decode_sampled(message.value or b"")
        assert sampled.purpose is Purpose.ANCHOR
        said = Judgment(
            stream=sampled.stream, event=sampled.event, time=sampled.time, judged_at=sampled.time,
            criterion=sampled.asked[0].criterion, purpose=sampled.purpose, anchor=sampled.anchor, pin=sampled.pin,
            passed=passes(by_id[sampled.anchor or ""]), evaluator="main", identity="a1",
        )  # fmt: skip
        found.append(record(first + len(found), said, OWN))
    return found


async def takes(made: JudgedOutputs, records: list[Record]) -> None:
    made.buffer.offer(records)
    await made._process(await made.buffer.take())


async def test_the_owner_asks_for_anchors_and_a_changed_evaluator_is_an_alert_once_also_after_a_crash(
    anchored: tuple[Criterion, ...],
) -> None:
    kafka, written, clock = Kafka(), Written(), Clock(1.79e9)
    made = await stage(anchored, kafka, written, clock)
    await made.idle()
    asked = kafka.to("sampled")
    assert len(asked) == 5 * len(ANCHORS)
    offset = 0
    for start in range(0, len(asked), 50):
        records = verdicts(asked[start : start + 50], lambda anchor: anchor.passed, offset)
        await takes(made, records)
        offset += len(records)
    clock.now += 86_400.0
    # From here on it passes everything. The worker dies when the alert is to be written, and another takes over.
    kafka.fails_on = "alerts"
    crashed = 0
    for _ in range(60):
        kafka.sent.clear()
        await made.idle()
        clock.now += 2_880.0
        records = verdicts(kafka.to("sampled"), lambda anchor: True, offset)
        try:
            await takes(made, records)
        except BrokerError:
            crashed += 1
            made = await stage(anchored, kafka, written, clock)
            await takes(made, records)
        offset += len(records)
        if raised := kafka.to("alerts"):
            break
    assert crashed == 1
    [alert] = [decode_alert(message.value or b"") for message in raised]
    assert (alert.kind, alert.stream) == (FindingKind.EVALUATOR_CHANGED, "~anchor/polite")
    assert alert.title.startswith("Evaluator main passes more of ")
    await made.settle()
    again = await stage(anchored, kafka, written, clock)
    assert again.done == {OWN: offset}


async def test_a_worker_that_does_not_own_the_partition_asks_for_nothing(anchored: tuple[Criterion, ...]) -> None:
    kafka, clock = Kafka(), Clock(1.79e9)
    made = await stage(anchored, kafka, Written(), clock)
    await made.restore([(OWN + 1) % 4])
    await made.idle()
    assert kafka.to("sampled") == []
