"""The judge on a real Kafka: every drawn output has one judgment whatever dies, and a blocked evaluator alerts."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.judgment.records import Judgment, Sampled, decode_judgment, decode_sampled
from monitor.testing.scripted_evaluator import ScriptedEvaluator
from pipelines.kafka.log_reader import read_to_end
from tests.brokers.apache import ApacheKafka
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event

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
    installation.ready(flow)

    wanted: set[tuple[str, str]] = set()
    before = time.monotonic()
    judged: dict[tuple[str, str], Judgment] = {}
    while time.monotonic() - before < 90 and (not wanted or judged.keys() != wanted):
        drawn = {(one.event, asked.criterion) for one in await read_sampled(installation) for asked in one.asked}
        wanted = drawn if len(drawn) > 700 else set()
        judged = {}
        for judgment in await read_judgments(installation):
            judged.setdefault((judgment.event, judgment.criterion), judgment)
    assert judged.keys() == wanted
    assert {judgment.missing for judgment in judged.values()} == {None}
    texts = {event["id"]: event["output"] for event in events}
    assert all(judgment.passed == (len(texts[judgment.event]) <= 400) for judgment in judged.values())
    assert {judgment.stratum for judgment in judged.values()} <= {"uniform", "risky+uniform"}
    assert len(wanted) < 1_500
