"""What follows from a finding's kind, and what identifies it."""

from __future__ import annotations

import pytest

from monitor.detection.diagnosis.finding_builder import Certainty, build
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import BeganAt, FeatureChange, FindingKind, RaisedAt, Severity, State
from monitor.features.registry import default_extractors

DECLARED = DeclaredFeatures(spec for family in default_extractors() for spec in family.features)
AT = (RaisedAt("e", 700, 7.0), BeganAt(650, 640, 660, 6.5))
WORDS = ("s: title", "Cause.")
FAILED = [FeatureChange("call.outcome.error", 0.01, 0.3, 29.0)]
LONGER = [FeatureChange("output.length.chars", 100.0, 120.0, 2.0)]


@pytest.mark.parametrize(
    ("kind", "changes", "severity"),
    [
        (FindingKind.ERRORS, FAILED, Severity.CRITICAL),
        (FindingKind.DRIFT, LONGER, Severity.WARNING),
        (FindingKind.VOLUME, FAILED, Severity.WARNING),
    ],
)
def test_severity_follows_from_the_kind(kind: FindingKind, changes: list[FeatureChange], severity: Severity) -> None:
    assert build("s", kind, WORDS, AT, fires=True, changes=changes, features=DECLARED).severity is severity
    information = build("s", kind, WORDS, AT, fires=False, changes=changes, features=DECLARED)
    assert (information.state, information.severity) == (State.INFO, Severity.INFO)


def test_a_severity_that_something_else_decides_is_taken() -> None:
    assert build("s", FindingKind.ERRORS, WORDS, AT, fires=True, severity=Severity.WARNING).severity is Severity.WARNING


def test_what_is_named_identifies_a_finding_in_place_of_its_segment() -> None:
    def one(name: str) -> str:
        return build("s", FindingKind.LATENCY, WORDS, AT, fires=True, named={"slo": name}).id

    assert one("fast") != one("served")
    found = build("s", FindingKind.LATENCY, WORDS, AT, fires=True, named={"slo": "fast"})
    assert found.segment is None
    again = build("s", FindingKind.LATENCY, WORDS, AT, fires=True, segment={"slo": "fast"})
    assert again.id == found.id


def test_the_runbook_is_the_narrowest_that_fits() -> None:
    changed = [FeatureChange(f"output.format.{name}", 0.0, 3.0, 5.0) for name in ("bullets", "headings")]
    assert build("s", FindingKind.DRIFT, WORDS, AT, fires=True, changes=changed).runbook == "runbooks/drift.md"
    found = build("s", FindingKind.DRIFT, WORDS, AT, fires=True, changes=changed, features=DECLARED)
    assert found.runbook == "runbooks/format.md"


def test_evidence_is_rounded() -> None:
    found = build("s", FindingKind.DRIFT, WORDS, AT, fires=True, certainty=Certainty(5.12345, 4.0))
    assert (found.evidence, found.threshold) == (5.12, 4.0)
