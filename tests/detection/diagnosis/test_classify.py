"""What a finding is about: decided by what moved surely, without what came along by chance."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from monitor.detection.diagnosis import classify, wording
from monitor.detection.diagnosis.attribution import Attribution
from monitor.detection.diagnosis.shift import Shift
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import Driver, FeatureChange, FindingKind
from monitor.detection.reference.reference import Reference
from monitor.features.base import FeatureSpec, Kind
from monitor.features.registry import default_extractors

DECLARED = DeclaredFeatures(spec for family in default_extractors() for spec in family.features)
LATENCY, DEPENDENCY, ERROR = "call.latency.total_s", "call.dependency.duration_s[orders]", "call.outcome.error"
SHARE, TOKENS, CHARS = "call.context.share", "call.tokens.output", "output.length.chars"
SENTIMENT, VALID, REFUSAL = "output.tone.sentiment", "output.format.json_valid", "output.tone.refusal"


def judged(*surety: tuple[str, float]) -> tuple[Driver, FindingKind]:
    """Driver and kind for changes that are so many standard errors sure, the surest first; versions are known."""
    names = [name for name, _ in surety]
    reference = cast(Reference, SimpleNamespace(layout=SimpleNamespace(name=names.__getitem__)))
    moved = Shift(np.zeros(len(names)), np.asarray([sure for _, sure in surety]), 50)
    changes = [FeatureChange(name, 1.0, 2.0, 2.0) for name in names]
    decisive = classify.decisive(reference, moved, changes, DECLARED)
    driver = classify.driver_of(decisive, DECLARED)
    return driver, classify.kind_of(changes, decisive, driver, Attribution(known_versions=True), DECLARED)


@pytest.mark.parametrize(
    ("surety", "driver", "kind"),
    [
        ([(LATENCY, 6.0)], "call", "latency"),
        ([(LATENCY, 5.0), (SENTIMENT, 2.9), (DEPENDENCY, 2.6)], "call", "latency"),
        ([(LATENCY, 5.9), (DEPENDENCY, 3.7)], "call", "dependency"),
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
        (("length", "stop"), "call", "errors"),
        (("tool_calls", "length"), "call", "errors"),
        (("content_filter",), "call", "errors"),
    ],
)
def test_more_calls_of_tools_are_no_errors(values: tuple[str, ...], driver: str, kind: str) -> None:
    changes = [FeatureChange("call.outcome.finish_reason", 0.15, 0.4, 3.0, value=value) for value in values]
    changes.append(FeatureChange("output.length.missing", 0.15, 0.4, 3.0))
    found = classify.driver_of(changes, DECLARED)
    known = Attribution(known_versions=True)
    assert (found, classify.kind_of(changes, changes, found, known, DECLARED)) == (Driver(driver), FindingKind(kind))
    first, *_ = classify.in_order(changes, FindingKind(kind), DECLARED)
    assert first.name == "call.outcome.finish_reason"


def test_outputs_that_can_no_longer_be_parsed_are_a_broken_format_however_sure_the_rest_is() -> None:
    longer = FeatureChange(TOKENS, 23.0, 33.5, 15.0)
    known = Attribution(known_versions=True)
    for after, kind in ((0.33, FindingKind.FORMAT), (0.95, FindingKind.SILENT_UPDATE)):
        parsed = FeatureChange(VALID, 1.0, after, (after - 1) / 0.03)
        assert classify.kind_of([longer, parsed], [longer], Driver.OUTPUT, known, DECLARED) is kind


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (200.0, 280.0, "rose from 200 to 280 characters (+40%)"),
        (200.0, 50.0, "fell from 200 to 50 characters (-75%)"),
        (20.0, 199.0, "rose from 20 to 199 characters (+895%)"),
        (0.0009, 0.04, "rose from 0.0009 to 0.04 characters"),
        (-0.2, 0.1, "rose from -0.2 to 0.1 characters"),
    ],
)
def test_a_share_of_next_to_nothing_is_not_told(before: float, after: float, told: str) -> None:
    spec = FeatureSpec("x", Kind.NUMBER, "", "characters")
    change = FeatureChange("x", before, after, 2.0 if after > before else -2.0)
    assert wording.phrase(change, {"x": spec}) == f"x {told}"


def test_directions_of_meaning_are_told_by_what_they_are_of_and_after_what_a_person_can_read() -> None:
    asked, said = (FeatureChange(f"{side}.embedding.p3", 0.031, -0.065, -3.0) for side in ("input", "output"))
    absent, lines = FeatureChange("input.length.missing", 0.0, 0.1, 3.0), FeatureChange("input.length.lines", 1, 3, 2.0)
    assert wording.phrase(asked, DECLARED) == "what is asked moved (input.embedding.p3 from 0.031 to -0.065)"
    assert wording.phrase(said, DECLARED) == "what is answered moved (output.embedding.p3 from 0.031 to -0.065)"
    assert classify.in_order([absent, asked, lines], FindingKind.INPUT_DRIFT, DECLARED) == [lines, asked, absent]
    title, _ = wording.words("shop", FindingKind.INPUT_DRIFT, Driver.INPUT, [asked], Attribution(), 800, DECLARED)
    assert title == "shop: what is asked moved (input.embedding.p3 from 0.031 to -0.065)"
