"""Faults of volume in the demo, offline and over half an hour: they raise volume and nothing else, others never do.

The demo's objectives are set: without a fault they hold.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache

import pytest

from monitor.demo.assistant import ANSWER, SupportAssistant
from monitor.demo.faults import Fault
from monitor.demo.run import CONFIG
from monitor.detection.records.finding import Finding, FindingKind, State
from monitor.events.schema import OutputEvent
from monitor.settings import Settings
from pipelines.replay.replay import replay

RATE = 3.0
"""Events a second."""
HEALTHY_S, STRUCK_S = 1100.0, 900.0
VOLUME = (Fault.VOLUME_DROP, Fault.VOLUME_SURGE)


def events(fault: Fault) -> Iterator[OutputEvent]:
    """Twenty minutes of the assistant at work, and a quarter of an hour of the fault."""
    assistant, gaps = SupportAssistant(7), random.Random(5)
    start = time = 1.7e9
    while (age := time - start - HEALTHY_S) < STRUCK_S:
        struck = age >= 0
        yield assistant.event(time, fault if struck else Fault.NONE, max(age, 0.0))
        time += gaps.expovariate(RATE * (fault.traffic if struck else 1.0))


@lru_cache
def found(fault: Fault) -> list[Finding]:
    return [
        finding for finding in replay(events(fault), Settings.model_validate(CONFIG)) if finding.state is State.FIRING
    ]


@pytest.mark.parametrize("fault", VOLUME)
def test_a_fault_of_volume_raises_volume_and_nothing_else(fault: Fault) -> None:
    findings = found(fault)
    assert {finding.kind for finding in findings} == {FindingKind.VOLUME}
    [finding] = [finding for finding in findings if finding.stream == ANSWER]
    [change] = finding.features
    assert isinstance(change.before, float)
    assert isinstance(change.after, float)
    assert change.before == pytest.approx(RATE * 0.75 * 3600, rel=0.15)
    assert change.after / change.before == pytest.approx(fault.traffic, rel=0.3)
    assert finding.began_at.time == pytest.approx(1.7e9 + HEALTHY_S, abs=150)
    assert (" fell from " if fault is Fault.VOLUME_DROP else " rose from ") in finding.title


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.SILENT_UPDATE])
def test_the_others_leave_volume_alone(fault: Fault) -> None:
    kinds = {finding.kind for finding in found(fault)}
    assert not kinds & {FindingKind.VOLUME, FindingKind.SILENCE}
    assert bool(kinds) == (fault is not Fault.NONE)
