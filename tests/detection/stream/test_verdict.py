"""What follows from a diagnosis, case by case, without a stream."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.diagnosis.attribution import COMPARED, Attribution
from monitor.detection.diagnosis.diagnose import MIN_ROWS_TO_CALL_A_SHIFT_SMALL, Crossing, Diagnosis, View, diagnose
from monitor.detection.records.context import Context
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import BeganAt, Driver, FeatureChange, Finding, FindingKind
from monitor.detection.state.snapshot_codec import encode
from monitor.detection.stream.open_findings import OpenFindings, Situation
from monitor.detection.stream.reference_monitor import ReferenceMonitor
from monitor.detection.stream.verdict import (
    MAX_ROWS_BEFORE_DOWNGRADE,
    ROWS_BETWEEN_CHECKS_OF_FLAGS,
    Decision,
    Verdict,
    decide,
)
from tests.detection.streams import CHARS, SETTINGS, SPECS, WARMUP, WORDS, Traffic, calm, read_again

CHANGE = FeatureChange(CHARS, 600.0, 1_200.0, 4.0)
OUTPUTS = Crossing(View.OUTPUTS, frozenset({"joint"}), "joint", None, 1e6)
INPUTS = replace(OUTPUTS, view=View.INPUTS)
DETECTOR = replace(OUTPUTS, column=0)


def rows_of(traffic: Traffic, start: int, stop: int) -> StreamRows:
    wanted = frozenset(spec.name for spec in SPECS)
    return StreamRows.of(traffic.batch(start, stop), np.full(stop - start, np.nan), wanted)


@lru_cache(maxsize=1)
def learned() -> tuple[Context, ReferenceMonitor]:
    specs = (*SPECS, DISTANCE)
    context = Context("s", SETTINGS, specs, DeclaredFeatures(specs), 10_000.0)
    return context, ReferenceMonitor.learn(context, rows_of(calm(WARMUP, 3), 0, WARMUP), np.arange(WARMUP))


def situation() -> Situation:
    context, monitor = learned()
    return Situation(context, monitor.original, monitor.original, monitor.history, monitor.seen)


def diagnosis(**changed: Any) -> Diagnosis:
    """A change of the outputs that fires, unless something else is said."""
    _, monitor = learned()
    usual = Diagnosis(
        kind=FindingKind.DRIFT,
        driver=Driver.OUTPUT,
        changes=[CHANGE],
        said=[CHANGE],
        decisive=[CHANGE],
        attribution=Attribution(),
        began=BeganAt(100, 98, 103, None),
        reference=monitor.original,
        rows=np.arange(100, 200),
        position=100,
        rows_since=100,
        undecided=False,
        unconfirmed=False,
    )
    return replace(usual, **changed)


def decided(found: Diagnosis, crossing: Crossing = OUTPUTS, *, may_wait: bool = False) -> Decision:
    return decide(situation(), crossing, found, OpenFindings(), may_wait=may_wait)


def test_a_change_of_the_outputs_fires() -> None:
    assert decided(diagnosis()) == Decision(Verdict.FIRE, fires=True)


def test_other_inputs_that_explain_the_outputs_open_information() -> None:
    assert decided(diagnosis(driver=Driver.INPUT)) == Decision(Verdict.FIRE, fires=False)


def test_other_inputs_that_changed_nothing_else_are_information() -> None:
    assert decided(diagnosis(driver=Driver.INPUT), INPUTS).verdict is Verdict.INFORM


def test_where_inputs_may_explain_it_enough_rows_are_waited_for() -> None:
    found = diagnosis(undecided=True, rows_since=20)
    assert decided(found) == Decision(Verdict.WAIT, wait_rows=COMPARED - 20)
    assert decided(found, DETECTOR, may_wait=True) == Decision(Verdict.WAIT, wait_rows=COMPARED - 20)


@pytest.mark.parametrize("rows", [100, MAX_ROWS_BEFORE_DOWNGRADE - 1])
def test_flags_that_are_not_confirmed_are_examined_again(rows: int) -> None:
    found = diagnosis(unconfirmed=True, rows_since=rows)
    assert decided(found) == Decision(Verdict.WAIT, wait_rows=ROWS_BETWEEN_CHECKS_OF_FLAGS)


def test_flags_that_stay_unconfirmed_are_information() -> None:
    found = diagnosis(unconfirmed=True, rows_since=MAX_ROWS_BEFORE_DOWNGRADE)
    assert decided(found) == Decision(Verdict.INFORM)


def test_without_a_feature_that_moved_a_few_more_rows_are_waited_for_and_then_it_is_information() -> None:
    few = diagnosis(changes=[], decisive=[], rows=np.arange(MIN_ROWS_TO_CALL_A_SHIFT_SMALL))
    assert decided(few) == Decision(Verdict.WAIT, wait_rows=MIN_ROWS_TO_CALL_A_SHIFT_SMALL)
    many = replace(few, rows=np.arange(MIN_ROWS_TO_CALL_A_SHIFT_SMALL + 1))
    assert decided(many) == Decision(Verdict.INFORM)


def test_a_detector_of_one_number_waits_as_long_as_it_may() -> None:
    found = diagnosis(changes=[], decisive=[])
    assert decided(found, DETECTOR, may_wait=True).verdict is Verdict.WAIT
    assert decided(found, DETECTOR) == Decision(Verdict.INFORM)
    assert decided(diagnosis(), DETECTOR, may_wait=True) == Decision(Verdict.FIRE, fires=True)


def test_segments_that_the_reference_never_saw_are_separated_unless_the_rest_fires() -> None:
    new = Attribution({"tenant": "z"}, mix=True, new_segments=[("tenant", "z")])
    assert decided(diagnosis(driver=Driver.MIX, attribution=new)) == Decision(Verdict.NEW_SEGMENT)


def test_a_change_that_an_open_finding_reports_goes_on() -> None:
    context, monitor = learned()
    traffic = calm(WARMUP, 3)
    for name in (CHARS, WORDS):
        traffic[name][:] *= 2
    indices = np.arange(WARMUP, 2 * WARMUP)
    other = ReferenceMonitor.from_state(read_again(monitor.to_state()), SETTINGS)
    found, _ = other.judge(context, rows_of(traffic, 0, WARMUP), indices)
    [known] = [finding for finding in found if finding.driver is Driver.OUTPUT and finding.opens]
    at = Situation(context, other.original, other.original, other.history, other.seen)
    findings = open_with(at, known)
    decision = decide(at, OUTPUTS, diagnosis(decisive=known.features, changes=known.features), findings, may_wait=False)
    assert decision == Decision(Verdict.CONTINUES, known=known)
    opposite = [FeatureChange(c.name, c.after, c.before, -c.effect) for c in known.features]
    decision = decide(at, OUTPUTS, diagnosis(decisive=opposite, changes=opposite), findings, may_wait=False)
    assert decision == Decision(Verdict.FIRE, fires=True)


def test_rows_that_left_a_provisional_reference_for_the_original_are_returning() -> None:
    context, monitor = learned()
    traffic = calm(3 * WARMUP, 3)
    for name in (CHARS, WORDS):
        traffic[name][: 2 * WARMUP] *= 2
    other = ReferenceMonitor.from_state(read_again(monitor.to_state()), SETTINGS)
    reports = []
    for start in range(0, 2 * WARMUP, 100):
        found, _ = other.judge(
            context, rows_of(traffic, start, start + 100), np.arange(WARMUP + start, WARMUP + start + 100)
        )
        reports += [finding for finding in found if not finding.is_update]
    [known] = reports
    provisional = other._active
    assert provisional is not other.original
    other.judge(context, rows_of(traffic, 2 * WARMUP, 2 * WARMUP + 60), np.arange(3 * WARMUP, 3 * WARMUP + 60))
    at = Situation(context, other.original, provisional, other.history, other.seen)
    assert at.active is not at.original
    decision = decide(at, OUTPUTS, diagnosis(rows_since=60), open_with(at, known, seen=0), may_wait=False)
    assert decision.verdict is Verdict.RETURNING


def open_with(at: Situation, finding: Finding, seen: int | None = None) -> OpenFindings:
    findings = OpenFindings()
    findings.add(at, finding, len(at.history) // 2)
    findings.note_step(at.seen if seen is None else seen)
    return findings


def test_a_diagnosis_changes_nothing() -> None:
    """It may be asked again: the same rows give the same diagnosis, and what it read is as before."""
    context, monitor = learned()
    before = encode(monitor.to_state())
    asked = [diagnose(context, OUTPUTS, monitor.history, 50, monitor.original, monitor._rare) for _ in range(2)]
    assert asked[0].changes == asked[1].changes
    assert asked[0].began == asked[1].began
    assert encode(monitor.to_state()) == before
