"""The judge on the embedded broker, as the demo runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.demo.embedded_broker import EmbeddedBroker
from monitor.judgment.records import decode_judgment, decode_sampled
from monitor.testing.scripted_evaluator import ScriptedEvaluator
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event
from tests.kafka.test_judge import sections

pytestmark = pytest.mark.embedded


@pytest.fixture
def installation(embedded_broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Installation]:
    with ScriptedEvaluator() as evaluator:
        for made in installed(embedded_broker, tmp_path):
            made.with_sections(sections(evaluator))
            yield made


def test_drawn_outputs_are_judged(installation: Installation) -> None:
    worker = installation.worker()
    installation.publish(made_event("s0", n, long=False) for n in range(200))
    topics = installation.settings.topics
    installation.wait_for_events({"s0": 200}, 120)
    drawn = [decode_sampled(record.value) for record in installation.read(topics.sampled.name)]
    wanted = {(one.event, asked.criterion) for one in drawn for asked in one.asked}
    assert len(wanted) > 60

    def judged() -> bool:
        found = (decode_judgment(record.value) for record in installation.read(topics.judgments.name))
        return {(one.event, one.criterion) for one in found} == wanted

    installation.wait_for("all judged", judged, 90)
    assert worker.stop() == 0
