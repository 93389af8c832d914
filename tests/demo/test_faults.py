"""Each fault of the demo, offline: what it is reported as, and that nothing else is reported of it.

The objectives of the demo are set, so that what a fault costs is found as well as what changed.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import pytest

from monitor.alerting.from_finding import from_finding
from monitor.demo.assistant import ANSWER, STRUCK, TRIAGE, SupportAssistant
from monitor.demo.faults import Fault
from monitor.demo.run import CONFIG
from monitor.detection.records.finding import Finding, FindingKind, Severity, State
from monitor.features.featurizer import Featurizer
from monitor.settings import Settings
from pipelines.build import featurizer_for
from pipelines.replay.replay import replay

SEEDS = (1,)
HEALTHY, STRICKEN = 2600, 2200
RATE = 35.0
"""Events a second: a fault that creeps is there in full within the stricken events."""
COSTLY = {Fault.ERROR_SPIKE, Fault.HANGING_CALLS, Fault.LATENCY_CREEP, Fault.SLO_BURN}
EVERY = 0.7
"""Seconds between the events of a fault that costs an objective its budget, which takes half an hour to show."""
CREEPS = {Fault.LATENCY_CREEP, Fault.CONTEXT_GROWTH}


class Told(NamedTuple):
    """How a fault must be reported."""

    kind: FindingKind
    lead: str
    stream: str = ANSWER


TOLD = {
    Fault.SILENT_UPDATE: Told(FindingKind.SILENT_UPDATE, "Answers are longer: "),
    Fault.FORMAT_BREAK: Told(FindingKind.FORMAT, "Answers are not valid JSON in ", TRIAGE),
    Fault.LATENCY_CREEP: Told(FindingKind.LATENCY, "The first token comes later"),
    Fault.FAILING_DEPENDENCY: Told(FindingKind.DEPENDENCY, f"Dependency {STRUCK} fails in "),
    Fault.CONTEXT_GROWTH: Told(FindingKind.CONTEXT, "More tokens are sent with each call: "),
    Fault.SLOW_DEPENDENCY: Told(FindingKind.DEPENDENCY, f"Dependency {STRUCK} is slower: "),
    Fault.DEPENDENCY_FORMAT: Told(
        FindingKind.DEPENDENCY, f"Dependency {STRUCK} answers in another format (b81e77c4) in "
    ),
    Fault.ERROR_SPIKE: Told(FindingKind.ERRORS, "Calls end in an error in "),
    Fault.TRUNCATED_OUTPUTS: Told(FindingKind.TRUNCATION, "Answers are cut off at a limit (finish reason length) in "),
    Fault.HANGING_CALLS: Told(FindingKind.LATENCY, ""),  # as a change or as what it costs: within the same few events
    Fault.SLO_BURN: Told(FindingKind.LATENCY, "fast: "),
}
BURNS = "error budget burns"
SETTINGS = Settings.model_validate(CONFIG)


@cache
def featurizer() -> Featurizer:
    return featurizer_for(SETTINGS)


def span(fault: Fault) -> tuple[int, int, float]:
    """Events before a fault and of it, and the seconds between two."""
    # What only an objective finds must not be drowned in healthy events.
    healthy, stricken = (800, 2800) if fault is Fault.SLO_BURN else (HEALTHY, STRICKEN)
    return healthy, stricken, EVERY if fault in COSTLY else 1 / RATE


@cache
def findings(fault: Fault, seed: int) -> list[Finding]:
    assistant = SupportAssistant(seed)
    healthy, stricken, every = span(fault)
    events = [assistant.event(1.7e9 + k * every) for k in range(healthy)]
    events += [assistant.event(1.7e9 + (healthy + k) * every, fault, k / RATE) for k in range(stricken)]
    return [one for one in replay(events, SETTINGS, featurizer=featurizer()) if not one.is_update]


def test_every_fault_has_its_place_here() -> None:
    volume = {fault for fault in Fault if fault.traffic != 1.0}  # in test_volume_faults
    cascade = {Fault.AGENT_LOOP}  # found in the trace store: test_agent_loop
    assert TOLD.keys() == set(Fault) - volume - cascade - {Fault.NONE}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", list(TOLD))
def test_a_fault_is_reported_once_and_as_what_it_is(fault: Fault, seed: int) -> None:
    everything = findings(fault, seed)
    found = [finding for finding in everything if finding.state is not State.INFO]
    assert all(finding.state is State.FIRING for finding in found), [finding.title for finding in found]
    first, *more = found
    reported = TOLD[fault]
    assert (first.stream, first.kind, first.runbook) == (
        reported.stream,
        reported.kind,
        f"runbooks/{reported.kind.value}.md",
    )
    assert first.title.startswith(f"{reported.stream}: {reported.lead}")
    assert first.began_at.time is not None
    healthy, _, every = span(fault)
    assert -100 <= (first.began_at.time - 1.7e9) / every - healthy <= 420
    again = [(f.kind, f.severity, f.began_at) for f in more]
    if fault in CREEPS:  # reported once more when it has become critical
        assert again in ([], [(reported.kind, Severity.CRITICAL, first.began_at)])
    elif fault is not Fault.HANGING_CALLS:
        assert more == []
    if fault is Fault.ERROR_SPIKE:
        assert f"miss the objective served, whose {BURNS} " in first.cause
        beside = [f for f in everything if f not in found]
        assert sum(BURNS in f.title for f in beside) == 1
        assert {f.kind for f in beside if BURNS not in f.title} <= {FindingKind.INPUT_DRIFT}
    if fault is Fault.SLO_BURN:
        assert BURNS in first.title
        assert first.severity is Severity.CRITICAL
    if fault is Fault.HANGING_CALLS:
        [burn] = [f for f in everything if BURNS in f.title]
        [change] = [f for f in everything if f is not burn]
        # One call in ten hangs: a change that warns, and a budget that is gone within days, which pages.
        assert (burn.state, burn.severity) == (State.FIRING, Severity.CRITICAL)
        assert change.state is (State.FIRING if first is change else State.INFO)
        assert change.title.startswith(f"{ANSWER}: The first token comes later (slower) in some calls: ")
        assert "; p95 1." in change.cause
        later = burn if first is change else change
        assert later.cause.endswith(
            f"It belongs to what is already reported: {first.title.removeprefix(f'{ANSWER}: ')}."
        )
    if fault is Fault.CONTEXT_GROWTH and more:
        assert "The window is full at the present rate in " in more[0].cause


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_fault_nothing_is_reported(seed: int) -> None:
    assert [finding for finding in findings(Fault.NONE, seed) if finding.state is not State.INFO] == []


def test_a_value_stands_in_the_alert_that_people_read() -> None:
    [finding] = findings(Fault.TRUNCATED_OUTPUTS, 1)
    specs = {spec.name: spec for spec in featurizer().specs}
    alert = from_finding(finding, specs=specs)
    assert alert.title.startswith("Answers are cut off at a limit (finish reason length) in ")
    [change] = [change for change in alert.changes if change.name == "call.outcome.finish_reason"]
    assert change.meaning == "why the model stopped: length"
    assert change.before_text == "0 %"
