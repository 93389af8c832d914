"""What a finding is about: decided by what moved surely, without what came along by chance."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from monitor.detection.diagnosis import classify, naming, wording
from monitor.detection.diagnosis.attribution import Attribution
from monitor.detection.diagnosis.sentences import sentence
from monitor.detection.diagnosis.shift import Shift
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import TAIL, Driver, FeatureChange, Finding, FindingKind, Severity
from monitor.detection.records.finding_kinds import KINDS
from monitor.detection.reference.reference import Reference
from monitor.features.base import FeatureSpec, Kind, Worse
from monitor.features.registry import default_extractors

SPECS = tuple(spec for family in default_extractors() for spec in family.features)
DECLARED = DeclaredFeatures(SPECS)
LATENCY, DEPENDENCY, ERROR = "call.latency.total_s", "call.dependency.duration_s[orders]", "call.outcome.error"
SHARE, TOKENS, CHARS = "call.context.share", "call.tokens.output", "output.length.chars"
RATING, CALLED = "call.feedback.score[rating]", "call.dependency.called"
SENTIMENT, VALID, REFUSAL = "output.tone.sentiment", "output.format.json_valid", "output.tone.refusal"


def judged(*surety: tuple[str, float]) -> tuple[Driver, FindingKind]:
    """Driver and kind for changes that are so many standard errors sure, the surest first; versions are known."""
    names = [name for name, _ in surety]
    reference = cast(Reference, SimpleNamespace(layout=SimpleNamespace(name=names.__getitem__)))
    moved = Shift(np.zeros(len(names)), np.asarray([sure for _, sure in surety]), 50)
    changes = [FeatureChange(name, 1.0, 2.0, 2.0) for name in names]
    decisive = classify.decisive(reference, moved, changes, DECLARED)
    driver = classify.driver_of(decisive, DECLARED)
    return driver, kind_of(changes, decisive, driver, naming.sureties(reference, moved))


def kind_of(
    changes: list[FeatureChange], decisive: list[FeatureChange], driver: Driver, sure: dict[str, float]
) -> FindingKind:
    """The kind by what leads; versions are known."""
    expected = classify.expected_roles(changes, decisive, driver, DECLARED)
    lead, *_ = naming.named(naming.placed(changes, sure, driver, DECLARED, expected), DECLARED)
    return classify.kind_of(lead, driver, Attribution(known_versions=True), DECLARED)


@pytest.mark.parametrize(
    ("surety", "driver", "kind"),
    [
        ([(LATENCY, 6.0)], "call", "latency"),
        ([(LATENCY, 5.0), (SENTIMENT, 4.9)], "call", "latency"),
        ([(SENTIMENT, 5.0)], "output", "silent_update"),
        ([(SENTIMENT, 5.0), (LATENCY, 4.9)], "output", "silent_update"),
        ([(LATENCY, 5.0), (SENTIMENT, 2.9), (DEPENDENCY, 2.6)], "call", "latency"),
        ([(LATENCY, 5.9), (DEPENDENCY, 3.7)], "call", "dependency"),
        ([(CHARS, 5.9), (SENTIMENT, 5.0), (DEPENDENCY, 3.7)], "output", "silent_update"),
        ([(RATING, 6.8), (DEPENDENCY, 3.7)], "call", "feedback"),
        ([(CALLED, 4.2), (CHARS, 5.0)], "output", "silent_update"),
        ([(LATENCY, 5.0), (CHARS, 4.8)], "output", "silent_update"),
        ([(TOKENS, 8.0), (CHARS, 7.9), (SENTIMENT, 7.0), (LATENCY, 6.5)], "output", "silent_update"),
        ([(TOKENS, 8.0), (CHARS, 7.9), (VALID, 7.0)], "output", "format"),
        ([(REFUSAL, 7.0), (CHARS, -6.9)], "output", "refusal"),
        ([(SHARE, 9.0), (LATENCY, 7.0)], "call", "context"),
        ([(CHARS, -7.0), (ERROR, 6.9)], "call", "errors"),
        ([(ERROR, 7.0), (DEPENDENCY, 6.0)], "call", "dependency"),
    ],
)
def test_causes_come_first_and_chance_decides_nothing(surety: list[Any], driver: str, kind: str) -> None:
    assert judged(*surety) == (Driver(driver), FindingKind(kind))


@pytest.mark.parametrize(
    ("values", "driver", "kind"),
    [
        (("tool_call", "stop"), "output", "silent_update"),
        (("tool_use",), "output", "silent_update"),
        (("tool_calls", "none"), "output", "silent_update"),
        (("length", "stop"), "call", "truncation"),
        (("length",), "call", "truncation"),
        (("content_filter",), "call", "errors"),
    ],
)
def test_more_calls_of_tools_are_no_errors(values: tuple[str, ...], driver: str, kind: str) -> None:
    changes = [FeatureChange("call.outcome.finish_reason", 0.15, 0.4, 3.0, value=value) for value in values]
    changes.append(FeatureChange("output.length.missing", 0.15, 0.4, 3.0))
    found = classify.driver_of(changes, DECLARED)
    sure = {change.name: 5.0 for change in changes}
    assert (found, kind_of(changes, changes, found, sure)) == (Driver(driver), FindingKind(kind))


def test_outputs_that_can_no_longer_be_parsed_are_a_broken_format_however_sure_the_rest_is() -> None:
    longer = FeatureChange(CHARS, 23.0, 33.5, 15.0)
    for after, kind in ((0.33, FindingKind.FORMAT), (0.79, FindingKind.FORMAT), (0.85, FindingKind.SILENT_UPDATE)):
        parsed = FeatureChange(VALID, 1.0, after, (after - 1) / 0.03)
        sure = {CHARS: 12.0, VALID: 2.6}
        assert kind_of([longer, parsed], [longer], Driver.OUTPUT, sure) is kind


def test_directions_of_meaning_are_said_by_what_they_are_of_and_after_what_a_person_can_read() -> None:
    asked, said = (FeatureChange(f"{side}.embedding.p3", 0.031, -0.065, -3.0) for side in ("input", "output"))
    absent, lines = FeatureChange("input.length.missing", 0.0, 0.1, 3.0), FeatureChange("input.length.lines", 1, 3, 2.0)
    assert sentence(asked, DECLARED) == "Questions are about something else"
    assert sentence(said, DECLARED) == "Answers are about something else"
    sure = {change.name: 6.0 for change in (absent, asked, lines)}
    placed = naming.placed([absent, asked, lines], sure, Driver.INPUT, DECLARED)
    assert [(change.name, change.place) for change in placed] == [
        (absent.name, -1), (asked.name, -1), (lines.name, 0)
    ]  # fmt: skip
    title, _ = wording.words("shop", FindingKind.INPUT_DRIFT, Driver.INPUT, [asked], Attribution(), 800, DECLARED)
    assert title == "shop: Questions are about something else"


def test_json_that_begins_with_a_fence_is_another_format() -> None:
    fence = FeatureChange("output.format.starts_with", 0.0, 1.0, 9.0, value="fence", usual="json", events=4)
    blocks = FeatureChange("output.format.code_blocks", 0.0, 1.0, 9.0, statistic="any", events=4)
    sure = {fence.name: 7.0, blocks.name: 7.0}
    assert kind_of([blocks, fence], [blocks, fence], Driver.OUTPUT, sure) is FindingKind.FORMAT
    assert sentence(fence, DECLARED) == "JSON answers are in a code fence in 100 % (4 of 4 so far, 51 to 100 %)"


def test_an_error_leads_before_the_end_that_it_has() -> None:
    error = FeatureChange(ERROR, 0.0, 1.0, 9.0, events=4)
    end = FeatureChange("call.outcome.finish_reason", 0.0, 1.0, 9.0, value="none", usual="stop", events=4)
    assert kind_of([end, error], [end, error], Driver.CALL, {ERROR: 7.0, end.name: 7.5}) is FindingKind.ERRORS


@pytest.mark.parametrize(
    ("lead", "kind"),
    [
        ("output.language.code", FindingKind.LANGUAGE),
        ("output.format.truncated", FindingKind.TRUNCATION),
        ("output.privacy.contact", FindingKind.PRIVACY),
        ("output.facts.amount", FindingKind.FACTS),
        ("call.tools.called", FindingKind.TOOL),
        ("call.cost.usd", FindingKind.COST),
        ("output.reasoning.chars", FindingKind.SILENT_UPDATE),
        ("call.feedback.score[rating]", FindingKind.FEEDBACK),
        ("output.tone.apology", FindingKind.SILENT_UPDATE),
    ],
)
def test_the_kind_follows_from_what_leads(lead: str, kind: FindingKind) -> None:
    change = FeatureChange(lead, 0.0, 1.0, 9.0, events=4)
    assert classify.kind_of(change, Driver.OUTPUT, Attribution(known_versions=True), DECLARED) is kind


UP, DOWN = Worse.UP, Worse.DOWN


@pytest.mark.parametrize(
    ("worse", "failure", "effect", "severity"),
    [
        (UP, False, 7.9, Severity.WARNING),
        (UP, False, 8.0, Severity.CRITICAL),
        (UP, False, -20.0, Severity.WARNING),
        (DOWN, False, -7.9, Severity.WARNING),
        (DOWN, False, -8.0, Severity.CRITICAL),
        (DOWN, False, 20.0, Severity.WARNING),
        (Worse.EITHER, False, 20.0, Severity.WARNING),
        (UP, True, 1.0, Severity.WARNING),
        (UP, True, 1.1, Severity.CRITICAL),
        (UP, True, -20.0, Severity.WARNING),
    ],
)
def test_a_change_is_critical_where_a_failure_rose_or_something_moved_far_the_way_that_hurts(
    worse: Worse, failure: bool, effect: float, severity: Severity
) -> None:
    spec = FeatureSpec("output.a.b", Kind.NUMBER, "a number", worse=worse, failure=failure)
    changes = [FeatureChange("output.not.declared", 0.0, 1.0, 50.0), FeatureChange("output.a.b", 0.0, 1.0, effect)]
    assert classify.severity_of(changes, {spec.name: spec}) is severity


def test_a_kind_has_its_runbook_or_that_of_what_broke() -> None:
    for kind, info in KINDS.items():
        assert classify.runbook_of(kind, [], DECLARED) == f"runbooks/{kind.value}.md"
        for narrower in info.narrower:
            names = [spec.name for role in narrower.roles for spec in SPECS if spec.role is role]
            enough = [FeatureChange(name, 0.0, 1.0, 9.0) for name in (names * 3)[: narrower.at_least]]
            assert classify.runbook_of(kind, enough, DECLARED) == f"runbooks/{narrower.name}.md"
            assert classify.runbook_of(kind, enough) == f"runbooks/{kind.value}.md"
            too_late = [FeatureChange("output.length.chars", 0.0, 1.0, 9.0)] * 3 + enough
            assert classify.runbook_of(kind, too_late, DECLARED) == f"runbooks/{kind.value}.md"


def test_what_names_the_cause_is_listed_first_and_what_only_failed_or_is_missing_last() -> None:
    tail, missing = FeatureChange(LATENCY + TAIL, 0.0, 0.1, 3.0), FeatureChange("output.length.missing", 0.0, 0.1, 3.0)
    opaque = FeatureChange("output.embedding.p3", 0.03, -0.06, -3.0)
    latency, chars = FeatureChange(LATENCY, 1.0, 3.0, 5.0), FeatureChange(CHARS, 100.0, 200.0, 9.0)
    found = classify.in_order([missing, opaque, chars, latency, tail], FindingKind.LATENCY, DECLARED)
    assert found == [tail, latency, chars, opaque, missing]
    assert classify.in_order([chars, tail], FindingKind.DRIFT, DECLARED) == [chars, tail]


def known_finding(kind: FindingKind, tested: list[FeatureChange]) -> Finding:
    return cast(Finding, SimpleNamespace(kind=kind, tested=tested))


@pytest.mark.parametrize(
    ("name", "effect", "reported"),
    [
        (CHARS, 0.5, True),
        (CHARS, -0.5, False),
        (CHARS + TAIL, 4.0, True),
        (SENTIMENT, 4.0, False),
        (DEPENDENCY, 0.5, False),
    ],
)
def test_a_finding_reports_a_feature_that_moved_the_same_way(name: str, effect: float, reported: bool) -> None:
    known = known_finding(FindingKind.DRIFT, [FeatureChange(CHARS, 100.0, 150.0, 1.5)])
    assert classify.is_reported_by(known, FeatureChange(name, 1.0, 2.0, effect), DECLARED) == reported


def test_a_finding_of_a_call_reports_what_is_of_its_kind() -> None:
    known = known_finding(
        FindingKind.DEPENDENCY, [FeatureChange(ERROR, 0.0, 0.5, 9.0), FeatureChange(CHARS, 1.0, 0.5, -2.0)]
    )
    assert classify.is_reported_by(known, FeatureChange(DEPENDENCY, 1.0, 2.0, 3.0), DECLARED)
    assert not classify.is_reported_by(known, FeatureChange(DEPENDENCY, 1.0, 0.5, -3.0), DECLARED)
    assert not classify.is_reported_by(known, FeatureChange(LATENCY, 1.0, 2.0, 3.0), DECLARED)


@pytest.mark.parametrize(
    ("known", "new", "kind"), [(True, False, "silent_update"), (True, True, "drift"), (False, False, "drift")]
)
def test_an_update_is_silent_only_where_versions_are_known_and_none_is_new(known: bool, new: bool, kind: str) -> None:
    found = Attribution(known_versions=known, new_versions={"model.version": "b"} if new else {})
    change = FeatureChange("output.tone.apology", 0.0, 1.0, 9.0, events=4)
    assert classify.kind_of(change, Driver.OUTPUT, found, DECLARED) is FindingKind(kind)
