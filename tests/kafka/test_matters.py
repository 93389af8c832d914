"""Does a change matter, on a real Kafka: outputs around an alert are judged, and the alert says so, whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.detection.records.finding import Severity, State
from monitor.detection.records.judged import Harm
from monitor.judgment.records import Purpose, Side
from monitor.settings import Settings
from monitor.testing.scripted_evaluator import ScriptedEvaluator
from tests.brokers.apache import ApacheKafka
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event
from tests.kafka.test_judge import read_judgments

pytestmark = pytest.mark.kafka

CRITERIA = [
    {"match": "judged", "criteria": [{"name": "concise", "pass": "has at most 40 words", "evaluator": "main"}]},
]


@pytest.fixture
def evaluator() -> Iterator[ScriptedEvaluator]:
    with ScriptedEvaluator(fails=lambda output: len(output.split()) > 40) as made:
        yield made


@pytest.fixture
def installation(kafka_broker: ApacheKafka, evaluator: ScriptedEvaluator, tmp_path: Path) -> Iterator[Installation]:
    for made in installed(kafka_broker, tmp_path):
        main = {"kind": "chat", "name": "main", "url": evaluator.url, "model": "scripted", "concurrency": 8}
        sections = {"streams": CRITERIA, "evaluators": [main]}
        settings = Settings.model_validate(sections)
        made.settings = made.settings.model_copy(
            update={"streams": settings.streams, "evaluators": settings.evaluators}
        )
        made.with_sections(sections)
        yield made


def test_an_alert_says_whether_outputs_became_worse_though_the_judge_is_killed(
    installation: Installation,
) -> None:
    """Outputs become long, which their criterion says is wrong; a stream without a criterion is left alone."""
    installation.ready(installation.worker("featurize", "detect"))
    judge = installation.worker("judge")
    for stream in ("judged", "other"):
        installation.publish(made_event(stream, n, long=False) for n in range(400))
    installation.wait_for_events({"judged": 400, "other": 400})
    for stream in ("judged", "other"):
        installation.publish(made_event(stream, n, long=True) for n in range(400, 420))
    installation.wait_for_findings(["judged", "other"])
    judge.kill()
    installation.worker("judge")
    for stream in ("judged", "other"):
        installation.publish((made_event(stream, n, long=True) for n in range(420, 480)), rate=30)
    installation.wait_for("judged", lambda: any(alert.judged for alert in installation.alerts()), 120)
    (first, *_), (revised, *_) = (
        [alert for alert in installation.alerts() if alert.stream == "judged" and (alert.judged is not None) is judged]
        for judged in (False, True)
    )
    assert revised.judged is not None
    assert (revised.fingerprint, revised.state) == (first.fingerprint, State.FIRING)
    assert revised.judged.harm is Harm.HARMFUL
    assert revised.severity is Severity.CRITICAL
    assert "concise failed before 0 of 20, after 20 of 20 (people: not yet), +100 points" in revised.judged.text
    judgments = [one for one in asyncio.run(read_judgments(installation)) if one.purpose is Purpose.DIAGNOSTIC]
    # A judge that is killed after it has asked is followed by one that takes later outputs since the change.
    assert 40 <= len({one.event for one in judgments}) <= 60
    for one in judgments:
        assert (one.stream, one.finding) == ("judged", first.fingerprint)
        assert one.side is (Side.BEFORE if int(one.event.removeprefix("judged-")) < 400 else Side.AFTER)
    assert not any(alert.judged for alert in installation.alerts() if alert.stream == "other")
    # The log alone says it: an undisturbed pass finds the same.
    again = [finding for finding in installation.offline_findings() if finding.judged is not None]
    assert {finding.id for finding in again} == {first.fingerprint}
    assert len(installation.controls("judged")) == 1
