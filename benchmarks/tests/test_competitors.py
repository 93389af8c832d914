from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from benchmarks import competitors
from benchmarks.report import per_100k, poisson_interval


def stream(n_before: int, n_after: int, shift: float) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(n_before, 2)), rng.normal(shift, 1, (n_after, 2))])


@pytest.mark.parametrize("name", competitors.NAMES)
def test_each_finds_a_large_shift_soon_after_it(name: str) -> None:
    found = competitors.watcher(name).feed(stream(800, 400, 3.0))
    assert any(800 <= at < 1000 for at in found)


@pytest.mark.parametrize("name", competitors.NAMES)
def test_how_rows_are_cut_changes_nothing(name: str) -> None:
    x = stream(800, 400, 1.0)
    x[5, 0] = x[700, 1] = np.nan
    whole = competitors.watcher(name).feed(x)
    cut = competitors.watcher(name)
    found = [start + at for start in range(0, len(x), 37) for at in cut.feed(x[start : start + 37])]
    assert found == whole


@pytest.mark.parametrize("name", competitors.NAMES)
def test_the_warm_up_raises_nothing(name: str) -> None:
    x = stream(200, 200, 5.0)
    assert competitors.watcher(name).feed(x) == []


def test_p_value_is_the_asymptotic_one() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=900), rng.normal(0.1, 1, 800)
    assert competitors.ks_p_value(x, y) == pytest.approx(ks_2samp(x, y, method="asymp").pvalue, abs=0.01)


def test_poisson_interval_is_garwoods() -> None:
    assert list(poisson_interval(0)) == pytest.approx([0.0, 3.689], abs=1e-3)
    assert list(poisson_interval(10)) == pytest.approx([4.795, 18.391], abs=1e-3)
    assert per_100k(2, 200_000) == "1.00 (0.12 to 3.61)"
