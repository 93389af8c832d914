"""Intervals against their definitions, and against how often they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln

from monitor.judgment.intervals import sequence, weighted_sum
from monitor.statistics.rates import Interval, wilson

counts = st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_a_sequences_bounds_are_where_the_mixture_no_longer_contradicts(count: tuple[int, int]) -> None:
    passed, n = count
    found = sequence(passed, n, 0.05)

    def excess(m: float) -> float:
        return (
            passed * math.log(m) + (n - passed) * math.log1p(-m) - betaln(1 + passed, 1 + n - passed) - math.log(0.05)
        )

    assert 0 <= found.low <= found.rate <= found.high <= 1
    if passed:
        assert excess(found.low) == pytest.approx(0, abs=1e-6)
        assert excess(found.low * 0.999) < 0
    else:
        assert found.low == 0
    if passed < n:
        assert excess(found.high) == pytest.approx(0, abs=1e-6)
    else:
        assert found.high == 1


@given(counts)
def test_a_sequence_is_wider_than_one_look(count: tuple[int, int]) -> None:
    assert sequence(*count).width >= wilson(*count).width


def test_without_observations_nothing_is_known() -> None:
    assert wilson(0, 0) == sequence(0, 0) == Interval(0.5, 0.0, 1.0)


def test_a_sequence_is_seldom_wrong_at_any_look() -> None:
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(200):
        passed = np.cumsum(rng.random(600) < 0.93)
        looks = range(9, 600, 10)
        wrong += any(not sequence(int(passed[k]), k + 1).holds(0.93) for k in looks)
    assert wrong <= 10  # 5 % of 200; the same looks with Wilson's intervals are wrong in about 60


def test_a_sum_of_one_part_is_that_part() -> None:
    part = wilson(18, 20)
    assert weighted_sum([(1.0, part)]) == part


def test_a_weight_that_is_estimated_widens_the_sum() -> None:
    parts = [(0.5, wilson(9, 10)), (0.5, wilson(5, 10))]
    assert weighted_sum(parts, extra_variance=0.01).width > weighted_sum(parts).width
