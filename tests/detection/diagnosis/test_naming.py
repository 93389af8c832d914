"""Which of many features that moved leads a finding, and which are listed beside it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from monitor.detection.diagnosis import naming
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import (
    PRESENT,
    BeganAt,
    Driver,
    Examples,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Severity,
    State,
    published,
)
from monitor.features.registry import default_extractors

DECLARED = DeclaredFeatures(spec for family in default_extractors() for spec in family.features)
FAR = 200
"""Features that were compared and did not move, so that a correction for their number has something to do."""


def listed(
    sure: dict[str, float], driver: Driver = Driver.OUTPUT, as_it_is: Mapping[str, FeatureChange] = MappingProxyType({})
) -> list[str]:
    """Names of what is published, in its order, for features that moved by these standard errors.

    `as_it_is` are the changes of some of them; the others rise by a third.
    """
    changes = [
        as_it_is.get(name) or FeatureChange(name, 0.3, 0.4, 3.0, events=50)
        for name in sorted(sure, key=lambda name: -sure[name])
    ]
    others = {f"output.other.f{k}": 0.5 for k in range(FAR)}
    placed = naming.placed(changes, {**others, **sure}, driver, DECLARED)
    return [change.name for change in sorted(placed, key=lambda change: change.place) if change.place >= 0]


@pytest.mark.parametrize(
    ("sure", "lead"),
    [
        ({"output.length.words": 12.0, "output.tone.refusal": 7.0}, "output.tone.refusal"),
        ({"output.repetition.ttr": 14.0, "output.length.words": 9.0}, "output.length.words"),
        ({"output.language.non_ascii": 14.0, "output.language.code": 6.0}, "output.language.code"),
        ({"output.format.ends_with": 9.0, "output.format.links": 9.0}, "output.format.links"),
        ({"output.length.words": 9.0, "output.tone.apology": 8.0}, "output.tone.apology"),
        ({"output.length.words": 12.0, "output.tone.courtesy": 4.0}, "output.length.words"),
        ({"output.embedding.p0": 12.0, "output.overlap.similarity": 6.0}, "output.overlap.similarity"),
        ({"output.length.missing": 9.0, "output.any_failure": 9.0, "output.length.empty": 6.0}, "output.length.empty"),
    ],
)
def test_a_cause_leads_before_what_follows_from_it(sure: dict[str, float], lead: str) -> None:
    assert listed(sure)[0] == lead


def change(name: str, before: float, after: float, value: str | None = None, **more: str) -> FeatureChange:
    return FeatureChange(name, before, after, 3.0 if after > before else -3.0, value, events=50, **more)


@pytest.mark.parametrize(
    ("sure", "moved", "lead"),
    [
        # Three times as long, and more hedged: the hedges are not what makes it long.
        (
            {"output.tone.hedging": 12.0, "output.length.words": 12.0},
            change("output.length.words", 39, 129),
            "output.length.words",
        ),
        (
            {"output.tone.hedging": 12.0, "output.length.words": 12.0},
            change("output.length.words", 28, 41),
            "output.tone.hedging",
        ),
        # What was never there is there: prose, where there was JSON. None of it is an emoji.
        (
            {"output.tone.emoji": 9.0, "output.length.chars": 9.0},
            change("output.tone.emoji", 0.0, 1.0, statistic=PRESENT),
            "output.length.chars",
        ),
        # A text too short for its language to be told is first of all short.
        (
            {"output.language.code": 6.0, "output.length.words": 6.0},
            change("output.language.code", 0.0, 1.0, "und", usual="es"),
            "output.length.words",
        ),
        (
            {"output.language.code": 6.0, "output.length.words": 6.0},
            change("output.language.code", 0.0, 1.0, "it", usual="es"),
            "output.language.code",
        ),
        # A value that became rarer names nothing that took its place.
        (
            {"output.facts.value": 6.0, "output.length.words": 5.0},
            change("output.facts.value", 0.22, 0.14, "3 days"),
            "output.length.words",
        ),
        # Capital letters follow from other words, unless there are hardly any others.
        (
            {"output.format.capitals": 9.0, "output.length.words": 6.0},
            change("output.format.capitals", 0.09, 0.07),
            "output.length.words",
        ),
        (
            {"output.format.capitals": 9.0, "output.length.words": 6.0},
            change("output.format.capitals", 0.05, 1.0),
            "output.format.capitals",
        ),
        # Far from all that the stream said: another subject, before the length of what is said of it.
        (
            {"output.embedding.distance": 7.0, "output.length.words": 9.0},
            change("output.embedding.distance", 0.45, 0.93),
            "output.embedding.distance",
        ),
        (
            {"output.embedding.distance": 7.0, "output.length.words": 9.0},
            change("output.embedding.distance", 0.45, 0.67),
            "output.length.words",
        ),
    ],
)
def test_what_leads_follows_from_how_a_feature_moved(sure: dict[str, float], moved: FeatureChange, lead: str) -> None:
    assert listed(sure, as_it_is={moved.name: moved})[0] == lead


def test_what_chance_explains_as_well_and_internal_columns_are_not_listed() -> None:
    sure = {"call.latency.total_s": 9.0, "output.format.capitals": 2.7, "output.embedding.p3": 8.0}
    assert listed(sure, Driver.CALL) == ["call.latency.total_s"]


def test_the_surest_is_named_where_none_is_certain_alone() -> None:
    assert listed({"output.length.words": 2.6, "output.tone.sentiment": 2.5}) == ["output.length.words"]


def test_features_that_say_one_thing_are_one_line() -> None:
    names = ["output.length.words", "output.length.chars", "output.length.tokens", "call.tokens.output"]
    changes = [FeatureChange(name, 30, 60, 3.0) for name in names]
    placed = naming.placed(changes, dict.fromkeys(names, 9.0), Driver.OUTPUT, DECLARED)
    assert [change.name for change in naming.named(placed, DECLARED)] == names[:1]


def test_what_is_published_lacks_what_only_detection_uses() -> None:
    changes = [
        FeatureChange("output.length.chars", 1, 2, 3.0, place=1),
        FeatureChange("output.format.capitals", 1, 2, 3.0, place=-1),
        FeatureChange("output.language.code", 0.0, 1.0, 9.0, place=0, tested=False),
    ]
    finding = Finding(
        stream="s", state=State.FIRING, id="0", kind=FindingKind.DRIFT, cause="", driver=None,
        raised_at=RaisedAt(None, 5, None), began_at=BeganAt(1, 1, 2, None), features=changes, segment=None,
        examples=Examples([], []), title="s: x", severity=Severity.WARNING, runbook="",
    )  # fmt: skip
    shown = published(finding)
    assert [change.name for change in shown.features] == ["output.language.code", "output.length.chars"]
    assert all(change.place == 0 and change.tested for change in shown.features)
    assert published(shown) is shown
    assert [change.name for change in finding.tested] == ["output.length.chars", "output.format.capitals"]
