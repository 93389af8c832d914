"""The judge on a real Kafka: every drawn output has one judgment whatever dies, and a blocked evaluator alerts."""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.judgment.records import Judgment, Sampled, decode_judgment, decode_sampled
from monitor.testing.scripted_evaluator import Reply, ScriptedEvaluator
from pipelines.kafka.log_reader import read_to_end
from tests.brokers.apache import ApacheKafka
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, WorkerProcess, made_event

pytestmark = pytest.mark.kafka

CRITERIA = [
    {"name": "good", "pass": "answers what was asked", "evaluator": "main", "sample": {"uniform": 0.5}},
    {"name": "kind", "pass": "is friendly", "evaluator": "main", "sample": {"uniform": 0.1, "risky": 1.0}},
]


@pytest.fixture
def evaluator() -> Iterator[ScriptedEvaluator]:
    with ScriptedEvaluator(fails=lambda output: len(output) > 400) as made:
        yield made


@pytest.fixture
def installation(kafka_broker: ApacheKafka, evaluator: ScriptedEvaluator, tmp_path: Path) -> Iterator[Installation]:
    for made in installed(kafka_broker, tmp_path):
        made.with_sections(sections(evaluator))
        yield made


def sections(evaluator: ScriptedEvaluator, **settings: Any) -> dict[str, Any]:
    main = {"kind": "chat", "name": "main", "url": evaluator.url, "model": "scripted", "concurrency": 8, **settings}
    return {"streams": [{"match": "*", "criteria": CRITERIA}], "evaluators": [main]}


async def read_sampled(installation: Installation) -> list[Sampled]:
    topic = installation.settings.topics.sampled
    records = read_to_end(installation.settings.broker, topic.name, range(topic.partitions))
    return [decode_sampled(record.value or b"") async for record in records]


async def read_judgments(installation: Installation) -> list[Judgment]:
    topic = installation.settings.topics.judgments
    records = read_to_end(installation.settings.broker, topic.name, range(topic.partitions))
    return [decode_judgment(record.value or b"") async for record in records]


async def test_every_drawn_output_has_one_judgment_though_judges_are_killed(
    installation: Installation, evaluator: ScriptedEvaluator
) -> None:
    evaluator.script.latency_s = 0.02
    events = [made_event(f"s{n % 3}", n, long=n % 10 == 0) for n in range(1_500)]
    flow = installation.worker("featurize", "detect")
    rng = random.Random(5)
    judges = [installation.worker("judge")]
    for part in range(5):
        installation.publish(events[part * 300 : (part + 1) * 300])
        await asyncio.sleep(rng.uniform(0.5, 3.0))  # so that they die at different moments of their work
        judges[-1].kill()
        judges.append(installation.worker("judge"))
    await asyncio.to_thread(installation.wait_for_events, {f"s{n}": 500 for n in range(3)}, 180)
    wanted = {(one.event, asked.criterion) for one in await read_sampled(installation) for asked in one.asked}
    judged = await wait_for_judgments(installation, wanted)
    assert flow.running
    assert {judgment.missing for judgment in judged.values()} == {None}
    texts = {event["id"]: event["output"] for event in events}
    assert all(judgment.passed == (len(texts[judgment.event]) <= 400) for judgment in judged.values())
    assert {judgment.stratum for judgment in judged.values()} <= {"uniform", "risky+uniform"}
    # Half of the outputs by one criterion; the sample of the other is nested in it.
    assert 600 < sum(criterion == "good" for _, criterion in wanted) < 900
    assert {event for event, _ in wanted} == {event for event, criterion in wanted if criterion == "good"}


async def test_a_blocked_evaluator_alerts_waits_and_loses_nothing(
    installation: Installation, evaluator: ScriptedEvaluator
) -> None:
    blocked = Reply(401, {"Content-Type": "application/json"}, b'{"error": "this key is not known"}')
    evaluator.script.reply = lambda asked: blocked
    worker = installation.worker()
    installation.publish(made_event("s0", n, long=False) for n in range(200))

    def alerts() -> list[tuple[str, str, str]]:
        return [(one.stream, one.kind.value, one.state.value) for one in installation.alerts()]

    def away() -> bool:
        try:
            status, body = worker.ask("/readyz")
        except OSError:
            return False
        return status == 503 and "this key is not known" in json.dumps(body)

    fired = ("~evaluator/main", "evaluator_down", "firing")
    await asyncio.to_thread(installation.wait_for, "the alert", lambda: alerts() == [fired], 90)
    await asyncio.to_thread(installation.wait_for, "readyz says it", away, 30)
    assert await read_judgments(installation) == []
    worker.kill()
    worker = installation.worker()
    await asyncio.to_thread(installation.wait_for, "readyz says it again", away, 90)
    assert alerts() == [fired], "the alert of the worker that died goes on"

    evaluator.script.reply = lambda asked: None
    await asyncio.to_thread(installation.wait_for_events, {"s0": 200}, 180)
    wanted = {(one.event, asked.criterion) for one in await read_sampled(installation) for asked in one.asked}
    assert len(wanted) > 80
    judged = await wait_for_judgments(installation, wanted, 180)
    assert all(judgment.passed for judgment in judged.values())
    resolved = ("~evaluator/main", "evaluator_down", "resolved")
    await asyncio.to_thread(installation.wait_for, "resolved", lambda: alerts() == [fired, resolved], 30)
    assert await asyncio.to_thread(worker.stop) == 0


async def test_a_budget_is_not_spent_again_after_a_restart(
    installation: Installation, evaluator: ScriptedEvaluator
) -> None:
    installation.with_sections(sections(evaluator, spend={"tokens_per_day": 10_000}, concurrency=1))
    flow = installation.worker("featurize", "detect")
    for part in range(2):
        judge = installation.worker("judge")
        # One in 64 is judged at the lowest scale of the draw: of so many that none is, has a probability of 1e-8.
        installation.publish(made_event("s0", n, long=False) for n in range(part * 1_000, part * 1_000 + 1_000))
        await asyncio.to_thread(installation.wait_for_events, {"s0": part * 1_000 + 1_000}, 180)
        drawn = sum(len(one.asked) for one in await read_sampled(installation))
        # The second judge sees about half of all that was drawn, and again what the first had not committed.
        wanted = drawn / 3 if part else drawn

        def done(judge: WorkerProcess = judge, wanted: float = wanted) -> bool:
            return counted(judge, "oqm_judgments_total") + counted(judge, "oqm_judgments_left_out_total") >= wanted

        await asyncio.to_thread(installation.wait_for, "all drawn outputs seen", done, 90)
        judge.kill()
    assert flow.running
    judgments = await read_judgments(installation)
    used = sum(judgment.tokens for judgment in judgments)
    # The draw was lowered so far that a little was used all day, and the second judge knew of the first one's.
    assert 0 < used <= 10_000
    assert len(judgments) < drawn / 2
    assert min(judgment.probability for judgment in judgments) < 0.1


def counted(worker: WorkerProcess, metric: str) -> float:
    """The sum of a metric's samples; 0 while the worker does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.metrics_port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(metric))


async def wait_for_judgments(
    installation: Installation, wanted: set[tuple[str, str]], within_s: float = 90.0
) -> dict[tuple[str, str], Judgment]:
    """The judgments of these events and criteria, the first of each; no others may be there."""
    began = time.monotonic()
    while True:
        judged: dict[tuple[str, str], Judgment] = {}
        for judgment in await read_judgments(installation):
            judged.setdefault((judgment.event, judgment.criterion), judgment)
        if judged.keys() == wanted or time.monotonic() - began > within_s:
            assert judged.keys() == wanted
            return judged
