"""Changes of a part of the outputs: they are named by their share, where the median stays where it was."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.detection.columns.normal_scores import compress
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.diagnosis.some_outputs import MOST_BEFORE, is_far, of_some
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import TAIL, FeatureChange, Finding, published
from monitor.detection.reference.learned_reference import LearnedReference, marks_of
from monitor.detection.reference.reference import Reference
from tests.detection.streams import CHARS, LATENCY, SENTIMENT, SPECS, Traffic, calm, fired, replay, watch

DECLARED = DeclaredFeatures(SPECS)
AT = 700


def part_is(name: str, factor: float, share: float, seed: int) -> tuple[Traffic, Finding]:
    """Traffic of which a share has this feature multiplied from event `AT` on, and the first finding."""
    traffic = calm(1500, seed=seed)
    hit = np.flatnonzero((np.arange(1500) >= AT) & (np.random.default_rng(seed).random(1500) < share))
    traffic[name][hit] *= factor
    return traffic, published(next(f for f in fired(replay(watch(), traffic)) if f.raised_at.index >= AT))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("factor", "said"), [(0.1, "Some answers are shorter: "), (8.0, "Some answers are longer: ")])
def test_a_part_of_the_outputs_is_named_by_its_share(factor: float, said: str, seed: int) -> None:
    traffic, found = part_is(CHARS, factor, 0.15, seed)
    assert found.title.startswith(f"s: {said}")
    [change] = [change for change in found.features if change.name == f"{CHARS}{TAIL}"]
    side, edge, unit = (change.value or "").split(" ")
    assert unit == "characters"
    values = traffic[CHARS][found.began_at.index : found.raised_at.index + 1]
    at = float(edge.replace(",", ""))
    beyond = values > at if side == "above" else values < at
    assert change.events == len(values)
    assert change.after == pytest.approx(beyond.mean(), abs=0.02)
    before = traffic[CHARS][:AT]
    assert change.before == pytest.approx((before > at if side == "above" else before < at).mean(), abs=0.03)
    assert CHARS not in [each.name for each in found.features], "its level says the same less well"


def test_a_change_of_all_outputs_is_named_by_its_level() -> None:
    _, found = part_is(CHARS, 0.1, 1.0, 1)
    assert found.title.startswith("s: Answers are shorter: ")
    assert all(not change.name.endswith(TAIL) for change in found.features)


def test_of_the_call_there_is_no_share_of_outputs() -> None:
    _, found = part_is(LATENCY, 3.0, 1.0, 1)
    assert all(not change.name.startswith("output.") for change in found.features)


def learned(values: NDArray[np.float64]) -> Reference:
    """The reference of these sentiments (n)."""
    n = len(values)
    layout = WatchedColumns([SENTIMENT], [], 0)
    marks = marks_of(np.arange(n, dtype=np.uint64))
    return LearnedReference.learn(layout, compress(values)[:, None], np.empty((n, 0)), [()] * n, marks, 1).reference


def test_the_share_before_is_that_of_the_reference_where_values_repeat() -> None:
    reference = learned(np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [20, 60, 80, 38, 2]))
    numbers = compress(np.repeat([3.0, 5.0], [41, 9]))[:, None]
    [change] = of_some(reference, numbers, DECLARED, [], {}).changes
    assert change.value == "above 4"
    assert (change.before, change.after) == (pytest.approx(0.01, abs=0.003), pytest.approx(0.18))
    assert isinstance(change.before, float)
    assert change.before <= MOST_BEFORE
    level = FeatureChange(SENTIMENT, 3.0, 2.0, -3.0)
    assert of_some(reference, numbers, DECLARED, [level], {SENTIMENT: 30.0}).changes == [], "the level says it better"


def test_another_subject_is_far_from_all_before_and_fewer_sentences_are_not() -> None:
    assert is_far(0.45, 0.93)
    assert not is_far(0.45, 0.67)
    assert not is_far(0.24, 0.58)
    assert not is_far(None, 0.9)
