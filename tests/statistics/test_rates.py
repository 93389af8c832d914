"""Intervals of rates against scipy's, and against a published example."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from monitor.statistics.rates import difference, wilson

counts = st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_wilson_is_scipys(count: tuple[int, int]) -> None:
    passed, n = count
    theirs = binomtest(passed, n).proportion_ci(0.95, method="wilson")
    ours = wilson(passed, n)
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)


def test_difference_is_newcombes_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:873, table II (a): 56/70 - 48/80, method 10.
    found = difference(wilson(48, 80), wilson(56, 70))
    assert found.rate == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-4)
    assert found.high == pytest.approx(0.3339, abs=5e-4)
