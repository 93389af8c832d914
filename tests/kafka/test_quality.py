"""Estimates of quality on a real Kafka and PostgreSQL: each output and verdict counts once, whatever dies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from monitor.judgment.records import Judgment
from monitor.ledger.open import open_ledger
from monitor.ledger.reviews import ReviewQueue
from monitor.store.base import StoreError
from monitor.store.open import open_store
from monitor.testing.scripted_evaluator import ScriptedEvaluator
from tests.brokers.apache import ApacheKafka
from tests.cli.run_oqm import json_lines, oqm
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event
from tests.kafka.test_judge import read_judgments
from tests.servers import postgres

pytestmark = pytest.mark.kafka

CRITERIA = [
    {"name": "short", "check": {"feature": "output.length.words", "most": 30}},
    {
        "name": "good",
        "pass": "is short",
        "evaluator": "main",
        "sample": {"uniform": 0.2, "risky": 1.0},
        "people": {"passed": 0.2, "failed": 1.0},
    },
]
EVENTS = 1_200
LONG = 10  # one output in ten violates the check, and fails by the evaluator's verdict


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    with postgres(tmp_path) as url:
        yield url


@pytest.fixture
def installation(kafka_broker: ApacheKafka, database: str, tmp_path: Path) -> Iterator[Installation]:
    with ScriptedEvaluator(fails=lambda output: len(output) > 200) as evaluator:
        main = {"kind": "chat", "name": "main", "url": evaluator.url, "model": "scripted", "concurrency": 8}
        for made in installed(kafka_broker, tmp_path):
            made.with_sections(
                {
                    "store": {"location": database},
                    "streams": [{"match": "*", "criteria": CRITERIA}],
                    "evaluators": [main],
                }
            )
            yield made


async def test_estimates_count_each_output_and_verdict_once_though_workers_are_killed(
    installation: Installation, database: str
) -> None:
    rng = random.Random(11)
    roles = ("featurize", "judge", "store")
    workers = {role: installation.worker(role) for role in roles}
    for part in range(6):
        first = part * EVENTS // 6
        installation.publish(made_event("s", n, long=n % LONG == 0) for n in range(first, first + EVENTS // 6))
        await asyncio.sleep(rng.uniform(0.5, 3.0))  # so that they die at different moments of their work
        role = roles[part % 3]
        workers[role].kill()
        workers[role] = installation.worker(role)
    options = ["--config", str(installation.folder / "monitor.yaml"), "--json"]

    def found() -> dict[str, dict[str, Any]]:
        return {one["criterion"]: one for one in json_lines(oqm("quality", *options).stdout)}

    async def complete() -> bool:
        known = found()
        if {name: one["seen"] for name, one in known.items()} != {"short": EVENTS, "good": EVENTS}:
            return False
        return known["good"]["judged"] == len(verdicts(await read_judgments(installation))) >= EVENTS // LONG

    for _ in range(180):
        if await complete():
            break
        await asyncio.sleep(1.0)
    assert await complete(), found()
    short, good = found()["short"], found()["good"]
    assert short["rate"] == pytest.approx(1 - 1 / LONG)
    assert good["low"] < 1 - 1 / LONG < good["high"]
    assert good["missing"] == 0
    (traced,) = json_lines(oqm("trace", "s-10", *options).stdout)
    assert [one["passed"] for one in traced["judgments"]] == [False]
    for_people = in_review(database)
    failed = {event for event, verdict in for_people if not verdict}
    assert failed == {f"s-{n}" for n in range(0, EVENTS, LONG)}  # all of them: their share is 1
    assert 0 < len(for_people) - len(failed) < good["judged"] - len(failed)

    workers["store"].kill()  # the store made again from the log has the same
    before = found()
    _drop(database)
    workers["store"] = installation.worker("store")
    for _ in range(180):
        if _is_there(database) and await complete():
            break
        await asyncio.sleep(1.0)
    assert found() == before
    assert in_review(database) == for_people
    assert all(worker.stop() == 0 for worker in workers.values())


def verdicts(judgments: list[Judgment]) -> set[str]:
    return {judgment.event for judgment in judgments}


def in_review(database: str) -> list[tuple[str, bool | None]]:
    ledger = open_ledger(database, read_only=True)
    try:
        return sorted((one.event, one.verdict) for one in ReviewQueue(ledger).list(0.0, limit=1_000))
    finally:
        ledger.close()


def _drop(database: str) -> None:
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    engine.dispose()


def _is_there(database: str) -> bool:
    try:
        open_store(database, read_only=True).close()
    except StoreError:
        return False
    return True
