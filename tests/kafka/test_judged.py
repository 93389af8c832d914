"""Judged quality and anchors on a real Kafka, with workers that are killed: each verdict counts once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.criteria.anchors import Anchor, append_anchors
from monitor.detection.records.finding import FindingKind, State
from monitor.judgment.anchor_book import AnchorBookState
from monitor.judgment.records import decode_judgment
from monitor.testing.scripted_evaluator import ScriptedEvaluator
from pipelines.kafka.topics import read_topics
from pipelines.state.anchor_states import read_anchor_states
from tests.brokers.apache import ApacheKafka
from tests.cli.run_oqm import json_lines, oqm
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event

pytestmark = pytest.mark.kafka

STREAM = "bot/answer"
DERIVED = f"~judged/{STREAM}/good"
ANCHORS = [Anchor(output=f"Answer {n}." if n % 2 else "x" * (500 + n), passed=bool(n % 2)) for n in range(10)]


@pytest.fixture
def evaluator() -> Iterator[ScriptedEvaluator]:
    with ScriptedEvaluator(fails=lambda output: len(output) > 400) as made:
        yield made


@pytest.fixture
def installation(kafka_broker: ApacheKafka, evaluator: ScriptedEvaluator, tmp_path: Path) -> Iterator[Installation]:
    file = tmp_path / "good.jsonl"
    append_anchors(file, ANCHORS)
    good = {
        "name": "good", "pass": "answers what was asked", "evaluator": "main", "sample": {"uniform": 1.0},
        "anchors": str(file),
    }  # fmt: skip
    for made in installed(kafka_broker, tmp_path):
        main = {"kind": "chat", "name": "main", "url": evaluator.url, "model": "scripted", "concurrency": 8}
        made.with_sections({"streams": [{"match": "bot/*", "criteria": [good]}], "evaluators": [main]})
        yield made


def anchors_of(installation: Installation) -> AnchorBookState | None:
    topics = read_topics(installation.settings.broker, installation.settings.topics)
    return asyncio.run(read_anchor_states(installation.settings.broker, topics)).get("good")


@pytest.mark.timeout(300)
def test_verdicts_count_once_and_a_fall_is_an_alert_though_workers_are_killed(installation: Installation) -> None:
    judge = installation.worker("judge")
    flow = installation.worker("featurize", "detect")
    installation.ready(flow)
    parts = [range(250), range(250, 500), range(500, 800)]
    for part in parts:
        # One in twenty answers is long, and so fails; behind the 500th every other one.
        events = [made_event(STREAM, n, long=n % 20 == 0 or (n >= 500 and n % 2 == 0)) for n in part]
        installation.publish(events)
        if part.start:
            installation.wait_for("verdicts", lambda: DERIVED in installation.statuses(), 60)
        flow.kill()
        flow.start()
        installation.ready(flow)

    def judged() -> int:
        status = installation.statuses().get(DERIVED)
        return 0 if status is None else status.events

    installation.wait_for("all verdicts", lambda: judged() >= 800, 90)
    drawn = [
        judgment
        for record in installation.read(installation.settings.topics.judgments.name)
        if (judgment := decode_judgment(record.value)).stream == STREAM
    ]
    assert {judgment.event for judgment in drawn} == {f"{STREAM}-{n}" for n in range(800)}
    assert judged() == 800
    fell = [one for one in installation.alerts() if one.stream == DERIVED and one.state is State.FIRING]
    assert [one.kind for one in fell if not one.revision] == [FindingKind.QUALITY]
    assert fell[0].title.startswith("Fewer outputs pass `good`: 9")

    def pinned() -> bool:
        state = anchors_of(installation)
        return state is not None and state.pinned is not None

    installation.wait_for("anchors pinned", pinned, 60)
    state = anchors_of(installation)
    assert state is not None
    assert state.pinned is not None
    counts = state.baselines[state.pinned].counts
    assert {anchor.id: counts[anchor.id] for anchor in ANCHORS} == {
        anchor.id: (5 if anchor.passed else 0, 5) for anchor in ANCHORS
    }
    options = ("--broker", installation.settings.broker.bootstrap, "--config", installation.folder / "monitor.yaml")
    shown = oqm("anchors", "list", *options)
    assert shown.returncode == 0, shown.stderr
    assert "good: 10 anchors, of which people passed 5 and failed 5; pinned with main " in shown.stdout
    row = json_lines(oqm("anchors", "list", "good", "--json", *options).stdout)[0]
    assert (row["criterion"], row["baseline_verdicts"]) == ("good", 5)
    again = oqm("anchors", "run", "--again", *options)
    assert again.stderr.splitlines() == ["good: 50 verdicts on 10 anchors asked for, as the new baseline"]

    def pinned_again() -> bool:
        state = anchors_of(installation)
        return state is not None and state.pinned is not None and state.baselines[state.pinned].pin != ""

    installation.wait_for("the new baseline", pinned_again, 60)
    assert judge.running
    assert json.dumps(sorted(installation.statuses())) == json.dumps(sorted([STREAM, DERIVED]))
