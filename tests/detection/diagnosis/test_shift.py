"""How large and how sure a shift is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.detection.columns.flags import Flag, FlagKind
from monitor.detection.columns.normal_scores import RankMap, compress
from monitor.detection.columns.recent_rows import LENGTH
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.diagnosis import feature_changes
from monitor.detection.diagnosis.shift import Shift, shift, surest_flag, widening
from monitor.detection.reference.moments import UNIT, Moments
from monitor.detection.reference.reference import Reference
from monitor.detection.reference.stratification import Stratification
from monitor.detection.settings import Floors

FAULT = Flag("output.length.empty", FlagKind.DECLARED, failure=True)


def reference(values: NDArray[np.float64], faults: NDArray[np.float64] | None = None) -> Reference:
    """A reference of one number and one flag that says a fault."""
    flags = np.zeros((len(values), 1)) if faults is None else faults[:, None]
    squeezed = compress(values[:, None])
    ranks = RankMap.learn(squeezed)
    y = np.concatenate([ranks.scores(squeezed), flags], axis=1)
    moments = Moments(2, 1, 1)
    for start in range(0, len(y), UNIT):
        moments.add(y[start : start + UNIT])
    return Reference(WatchedColumns(["value"], [FAULT], 0), ranks, Stratification(), moments, len(values), np.zeros(1))


def autoregressive(n: int, rho: float, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    out = np.zeros(n)
    for i in range(1, n):
        out[i] = rho * out[i - 1] + np.sqrt(1 - rho * rho) * rng.normal()
    return out


@pytest.mark.parametrize(("hits", "certain"), [(0, False), (1, False), (2, True), (4, True)])
def test_a_few_faults_are_certain_where_there_was_none(hits: int, certain: bool) -> None:
    """Two in eighty are not two and a half standard errors from none, yet nobody would call them chance after 1,024."""
    normal = reference(np.random.default_rng(1).normal(size=1024))
    rows = np.zeros((80, 2))
    rows[:hits, 1] = 1
    assert shift(normal, rows).certain(2.5)[1] == certain


def test_a_rate_that_was_there_before_is_not_certain_again() -> None:
    rng = np.random.default_rng(2)
    normal = reference(rng.normal(size=1024), (rng.random(1024) < 0.05).astype(float))
    rows = np.zeros((80, 2))
    rows[:5, 1] = 1
    assert not shift(normal, rows).certain(2.5)[1]


def faulty(rows: int, faults: int) -> NDArray[np.float64]:
    out = np.zeros((rows, 2))
    out[:faults, 1] = 1
    return out


def test_a_flag_is_as_sure_as_two_samples_make_it_less_the_choice_of_its_rows() -> None:
    normal = reference(np.random.default_rng(1).normal(size=1024))
    n, hits, of = 48, 3, 1024
    before = 0.5 / (of + 1)
    both = (hits + before * of) / (n + of)

    def likelihood(seen: float, events: float, p: float) -> float:
        return float(events * (seen * np.log(p) + (1 - seen) * np.log(1 - p)))

    apart = likelihood(hits / n, n, hits / n) + likelihood(before, of, before)
    together = likelihood(hits / n, n, both) + likelihood(before, of, both)
    sure = surest_flag(normal, faulty(n, hits), n, faults=True)
    assert sure == pytest.approx(apart - together - np.log(LENGTH / n), abs=1e-6)


def test_a_flag_is_the_surer_the_more_different_events_say_so() -> None:
    normal = reference(np.random.default_rng(1).normal(size=1024))
    rows = faulty(200, 10)
    assert surest_flag(normal, rows, 200, faults=True) > surest_flag(normal, rows, 100, faults=True) + 2
    assert surest_flag(normal, rows, 200, faults=True) > surest_flag(normal, rows[::2], 100, faults=True) + 2
    assert surest_flag(normal, faulty(200, 0), 200, faults=True) < 0.5
    assert surest_flag(normal, rows, 200, faults=False) == 0.0  # there is no other flag


def wandering(n: int, seed: int) -> NDArray[np.float64]:
    """White noise on a level that takes a step every 160 events or so: a run of 32 hardly sees it, one of 128 does."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.normal(0, 0.6, n // 160 + 1), 160)[:n]
    return rng.normal(size=n) + level


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6])
def test_autocorrelation_alone_is_no_wandering(rho: float) -> None:
    wanders = [reference(autoregressive(2048, rho, seed)).wander[0] for seed in range(20)]
    assert np.median(wanders) == 0
    assert max(wanders) < 0.25


def test_a_level_that_wanders_widens_the_zone_and_the_floor() -> None:
    normal = reference(wandering(2048, 3))
    calm = reference(np.random.default_rng(3).normal(size=2048))
    assert normal.wander[0] > 0.25 > calm.wander[0]
    assert normal.outputs.singles.error[0] > calm.outputs.singles.error[0] + 0.25
    moved = shift(normal, np.tile([0.3, 0.0], (400, 1)))
    floors = Floors()
    assert abs(feature_changes.effects(normal, moved, floors)[0]) < abs(moved.size[0]) / floors.number


def test_a_shift_is_in_standard_deviations_and_its_surety_in_standard_errors() -> None:
    normal = reference(np.random.default_rng(1).normal(size=1024))
    rows = np.zeros((100, 2))
    rows[:, 0] = normal.mean[0] + np.where(np.arange(100) % 2, 3.0, -1.0)  # one above, of standard deviation two
    moved = shift(normal, rows)
    assert moved.size[0] == pytest.approx(1.0 / normal.sd[0], rel=1e-5)
    assert moved.surety[0] == pytest.approx(1.0 / (2.0 * np.sqrt(1 / 100 + 1 / normal.effective)), rel=1e-5)
    assert moved.rows == 100


def test_the_spread_of_few_rows_is_that_of_the_reference() -> None:
    normal = reference(np.random.default_rng(1).normal(size=1024))
    for n, spread in ((4, float(normal.variance[0])), (5, 9.6)):
        rows = np.zeros((n, 2))
        rows[:, 0] = normal.mean[0] + 4.0 * np.r_[np.ones(2), -np.ones(2), 0.0][:n] * np.sqrt(9.6 / 12.8)
        rows[:, 0] += 1.0
        error = np.sqrt(spread * (1 / n + 1 / normal.effective))
        assert shift(normal, rows).surety[0] == pytest.approx(1.0 / error, rel=1e-4)


def test_without_rows_nothing_moved() -> None:
    normal = reference(np.random.default_rng(1).normal(size=1024))
    moved = shift(normal, np.zeros((0, 2)))
    assert moved.rows == 0
    assert moved.size == pytest.approx(0)
    assert not moved.certain().any()


def test_three_standard_errors_are_certain() -> None:
    moved = Shift(np.zeros(4), np.array([2.9, 3.1, -3.1, -2.9]), 50)
    assert moved.certain().tolist() == [False, True, True, False]
    assert moved.certain(2.8).all()


def test_widening_is_the_log_ratio_of_the_spreads_and_in_standard_errors() -> None:
    normal = reference(np.random.default_rng(1).normal(size=1024))
    rows = np.zeros((200, 2))
    rows[:, 0] = normal.mean[0] + np.where(np.arange(200) % 2, 2.0, -2.0)
    size, sure = widening(normal, rows)
    assert size == pytest.approx([np.log(2.0 / np.sqrt(normal.variance[0]))], abs=1e-5)
    assert sure == pytest.approx(size / (1.3 * np.sqrt(0.5 * (1 / 200 + 1 / normal.effective))), abs=1e-5)


@pytest.mark.parametrize(("n", "level", "said"), [(7, 0.0, False), (8, 0.0, True), (8, 0.9, True), (8, 1.1, False)])
def test_no_widening_is_said_of_seven_rows_or_of_a_number_that_moved(n: int, level: float, said: bool) -> None:
    normal = reference(np.random.default_rng(1).normal(size=1024))
    rows = np.zeros((n, 2))
    rows[:, 0] = normal.mean[0] + level * np.sqrt(normal.variance[0])
    rows[: n // 2 * 2, 0] += np.where(np.arange(n // 2 * 2) % 2, 3.0, -3.0)
    size, sure = widening(normal, rows)
    assert (size[0] != 0, sure[0] != 0) == (said, said)


def test_a_rate_moved_past_one_by_its_segments_mean_counts_as_one() -> None:
    normal = reference(np.random.default_rng(1).normal(size=1024))
    beyond, at_one = np.zeros((50, 2)), np.zeros((50, 2))
    beyond[:, 1], at_one[:, 1] = 1.2, 1.0
    assert shift(normal, beyond).surety[1] == pytest.approx(shift(normal, at_one).surety[1])
    beyond[:, 1], at_one[:, 1] = -0.2, 0.0
    assert shift(normal, beyond).surety[1] == pytest.approx(shift(normal, at_one).surety[1])
