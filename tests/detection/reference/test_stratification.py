"""Rows are compared with others of their own class where an attribute explains enough of their variance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import Segments
from monitor.detection.reference.stratification import Stratification

K = 4
"""Numbers of a row."""


def scores(task: NDArray[np.intp], apart: float, seed: int = 1) -> NDArray[np.float64]:
    """Normal scores (n, K) of which those of task 1 lie `apart` standard deviations above the others."""
    y = np.random.default_rng(seed).normal(size=(len(task), K))
    y[task == 1] += apart
    return y


def named(task: NDArray[np.intp], attribute: str = "attributes.task") -> list[Segments]:
    return [((attribute, f"t{number}"),) for number in task]


def halves(n: int = 400) -> NDArray[np.intp]:
    return np.arange(n) % 2


def explained(y: NDArray[np.float64], task: NDArray[np.intp]) -> float:
    """Adjusted share of the variance that two tasks explain, the mean over the numbers."""
    within = sum(((y[task == t] - y[task == t].mean(0)) ** 2).sum(0) for t in (0, 1))
    n = len(y)
    return float((1 - within / (n - 2) / (y.var(0, ddof=1))).mean())


@pytest.mark.parametrize(("apart", "least", "most", "worth"), [(0.23, 0.013, 0.019, False), (0.32, 0.021, 0.03, True)])
def test_an_attribute_is_worth_it_from_two_per_cent_of_the_variance(
    apart: float, least: float, most: float, worth: bool
) -> None:
    y = scores(halves(), apart)
    assert least <= explained(y, halves()) <= most
    assert (Stratification.learn(y, named(halves())).attribute is not None) == worth


@pytest.mark.parametrize(("share", "worth"), [(0.044, False), (0.047, True)])
def test_the_share_is_adjusted_for_the_number_of_classes(share: float, worth: bool) -> None:
    # Two classes of 20 rows each, plus or minus one around their means, explain this share. Adjusted, the share of the
    # rest, 1 - share, grows by 39/38: 0.044 becomes 0.019, and 0.047 becomes 0.022.
    task = np.arange(40) // 20
    y = np.where(np.arange(40) % 2, 1.0, -1.0) + np.sqrt(share / (1 - share)) * np.where(task, 1.0, -1.0)
    assert (Stratification.learn(y[:, None], named(task)).attribute is not None) == worth


def test_what_a_class_differs_by_is_taken_off_its_rows() -> None:
    y, where = scores(halves(), 2.0), named(halves())
    strata = Stratification.learn(y, where)
    assert strata.attribute == "attributes.task"
    left = strata.take_off(y, where)
    # 200 rows of each: 200 / 220 of the difference is believed.
    difference = y[halves() == 1].mean(0) - y[halves() == 0].mean(0)
    assert left[halves() == 1].mean(0) - left[halves() == 0].mean(0) == pytest.approx(difference * 20 / 220)
    assert strata.take_off(y, [()] * 400) == pytest.approx(y)
    assert strata.take_off(y, named(np.full(400, 9))) == pytest.approx(y)


@pytest.mark.parametrize(
    ("n", "few", "known"),
    [(400, 19, False), (400, 20, True), (200, 9, False), (200, 10, True), (120, 9, False), (120, 10, True)],
)
def test_a_class_is_known_from_a_twentieth_of_the_rows_and_ten(n: int, few: int, known: bool) -> None:
    task = np.where(np.arange(n) < few, 1, 2 * (np.arange(n) % 2))
    y = scores(task, 4.0)
    offsets = Stratification.learn(y + np.where(task == 2, 1.0, 0.0)[:, None], named(task)).offsets
    assert ("t1" in offsets) == known


@pytest.mark.parametrize(("scale", "apart", "worth"), [(0.01, 0.0023, False), (0.01, 0.0032, True), (5.0, 1.6, True)])
def test_the_share_of_the_variance_does_not_depend_on_the_scale(scale: float, apart: float, worth: bool) -> None:
    y = scale * scores(halves(), apart / scale)
    assert (Stratification.learn(y, named(halves())).attribute is not None) == worth


def test_a_number_that_never_varies_counts_for_nothing() -> None:
    y = scores(halves(), 0.26)
    y[:, 2:] = 1.5
    assert 0.02 < explained(y[:, :2], halves()) < 0.04
    strata = Stratification.learn(y, named(halves()))
    assert strata.attribute == "attributes.task"
    assert strata.offsets["t1"][2:] == pytest.approx(0)
    assert Stratification.learn(np.ones((400, K)), named(halves())).attribute is None


def test_an_attribute_that_does_not_count_does_not_hide_the_next_one() -> None:
    many = np.arange(400) % 25
    where = [(("attributes.a", f"m{m}"), ("attributes.b", f"t{t}")) for m, t in zip(many, halves(), strict=True)]
    assert Stratification.learn(scores(halves(), 2.0), where).attribute == "attributes.b"


def test_one_large_class_among_small_ones_is_no_attribute_to_stratify_by() -> None:
    task = np.where(np.arange(400) < 19, 1, 0)
    assert Stratification.learn(scores(task, 12.0), named(task)).attribute is None


def test_without_an_attribute_or_segments_scores_stay_as_they_are() -> None:
    y = scores(halves(), 0.0)
    none = Stratification.learn(y, named(halves()))
    assert none.attribute is None
    assert none.take_off(y, named(halves())) is y
    known = Stratification("attributes.task", {"t1": np.ones(K)})
    assert known.take_off(y, []) is y


@pytest.mark.parametrize("most", ["attributes.task", "attributes.tenant"])
def test_the_attribute_that_explains_most_is_chosen(most: str) -> None:
    rng = np.random.default_rng(2)
    task, tenant = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    apart = (2.0, 1.0) if most == "attributes.task" else (1.0, 2.0)
    y = scores(task, apart[0]) + apart[1] * tenant[:, None]
    where = [(("attributes.task", f"t{a}"), ("attributes.tenant", f"u{b}")) for a, b in zip(task, tenant, strict=True)]
    assert Stratification.learn(y, where).attribute == most


@pytest.mark.parametrize(("attribute", "chosen"), [("model.version", False), ("prompt.name", True)])
def test_what_a_version_changes_is_not_taken_off(attribute: str, chosen: bool) -> None:
    found = Stratification.learn(scores(halves(), 2.0), named(halves(), attribute)).attribute
    assert found == (attribute if chosen else None)


@pytest.mark.parametrize(("classes", "chosen"), [(24, True), (25, False)])
def test_an_attribute_has_at_most_24_classes(classes: int, chosen: bool) -> None:
    task = np.arange(30 * classes) % classes
    assert (Stratification.learn(scores(task, 4.0), named(task)).attribute is not None) == chosen
