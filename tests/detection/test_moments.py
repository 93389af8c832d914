"""Sums over rows: what two partitions summed merges to what one would have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.detection.moments import CLIP, SCALES, UNIT, Moments, log_tilts

D, CORE, NUMBERS = 7, 5, 3


def rows(units: int, seed: int, *, whole: bool = False) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(units * UNIT, D))
    y[:, NUMBERS:] = rng.random((units * UNIT, D - NUMBERS)) < 0.2
    return np.round(y * 2) if whole else y


def summed(y: NDArray[np.float64]) -> Moments:
    moments = Moments(D, CORE, NUMBERS)
    for start in range(0, len(y), UNIT):
        moments.add(y[start : start + UNIT])
    return moments


def arrays(moments: Moments) -> dict[str, NDArray[np.generic]]:
    names = ("first", "second", "lagged", "runs", "run_means", "own", "tilted")
    return {name: np.asarray(getattr(moments, name)) for name in names}


@given(seed=st.integers(0, 1000), units=st.integers(0, 5), cut=st.integers(0, 5))
def test_merging_is_adding(seed: int, units: int, cut: int) -> None:
    y = rows(units, seed)
    first, second = summed(y[: cut * UNIT]), summed(y[cut * UNIT :])
    merged, turned = summed(y[: cut * UNIT]), summed(y[cut * UNIT :])
    merged.merge(second)
    turned.merge(first)
    whole = summed(y)
    assert (merged.n, merged.pairs) == (whole.n, whole.pairs) == (turned.n, turned.pairs)
    for name, total in arrays(merged).items():
        assert np.array_equal(total, arrays(first)[name] + arrays(second)[name]), name
        assert np.array_equal(total, arrays(turned)[name]), f"{name} depends on who merges whom"
        assert np.allclose(total, arrays(whole)[name], rtol=1e-5, atol=1e-5), name


@given(seed=st.integers(0, 1000), cut=st.integers(0, 6))
def test_where_sums_are_exact_merging_is_exact(seed: int, cut: int) -> None:
    """Whole numbers leave nothing to round (but in exponentials; means are whole in 2 ** -14)."""
    y = rows(6, seed, whole=True)
    merged, whole = summed(y[: cut * UNIT]), summed(y)
    merged.merge(summed(y[cut * UNIT :]))
    for name, total in arrays(merged).items():
        if name != "tilted":
            assert np.array_equal(total, arrays(whole)[name]), name


def test_nothing_is_added_by_no_rows() -> None:
    y = rows(3, 1)
    moments = summed(y)
    moments.merge(moments.empty())
    assert moments.plain() == summed(y).plain()


def test_sums_are_what_they_say() -> None:
    y = rows(2, 2)
    moments = summed(y)
    common = y[:, :CORE]
    units = common.reshape(-1, UNIT, CORE)
    lagged = sum(u[:-1].T @ u[1:] for u in units)
    assert moments.n == 2 * UNIT
    assert moments.pairs == 2 * (UNIT - 1)
    assert moments.first == pytest.approx(y.sum(0))
    assert moments.second == pytest.approx(common.T @ common, rel=1e-5)
    assert moments.lagged == pytest.approx((lagged + lagged.T) / 2, rel=1e-4, abs=1e-4)
    for i, scale in enumerate(SCALES):
        means = common.reshape(-1, scale, CORE).mean(1)
        assert moments.runs[i] == len(means)
        assert moments.run_means[i] == pytest.approx(means.T @ means, rel=1e-4, abs=1e-5)
    clipped = np.clip(y[:, :NUMBERS], -CLIP, CLIP)
    assert moments.tilted[0] == pytest.approx(np.exp(log_tilts(clipped)).sum(0))
    assert moments.own[0] == pytest.approx((y[:, CORE:] ** 2).sum(0))


def test_a_record_of_sums_restores_bit_for_bit() -> None:
    moments = summed(rows(3, 3))
    assert Moments.from_plain(moments.plain()).plain() == moments.plain()
