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
from monitor.detection.records.finding import Driver, FeatureChange, FindingKind
from monitor.detection.reference.reference import Reference
from monitor.features.registry import default_extractors

DECLARED = DeclaredFeatures(spec for family in default_extractors() for spec in family.features)
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
    for after, kind in ((0.33, FindingKind.FORMAT), (0.95, FindingKind.SILENT_UPDATE)):
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
