"""Means over rows: what two partitions took merges to what one would have."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.detection.reference.moments import CLIP, SCALES, UNIT, Moments, log_tilts
from monitor.detection.state.snapshot_codec import encode
from tests.detection.streams import read_again

D, CORE, NUMBERS = 7, 5, 3


def rows(units: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(units * UNIT, D))
    y[:, NUMBERS:] = rng.random((units * UNIT, D - NUMBERS)) < 0.2
    return y


def summed(y: NDArray[np.float64]) -> Moments:
    moments = Moments(D, CORE, NUMBERS)
    for start in range(0, len(y), UNIT):
        moments.add(y[start : start + UNIT])
    return moments


def arrays(moments: Moments) -> dict[str, NDArray[np.float64]]:
    names = ("first", "products", "own", "tilted")
    return {name: np.asarray(getattr(moments, name), dtype=np.float64) for name in names}


HALF = {"rtol": 2**-9, "atol": 2**-12}
"""Products and earnings are held in half precision, which rounds by 2 ** -11 of a value each time units are merged."""


def test_rounding_again_and_again_stays_small() -> None:
    """A reference may mature by a hundred units."""
    y = rows(120, 4)
    common = y[:, :CORE]
    exact = (common.T @ common / len(y))[np.triu_indices(CORE)]
    assert summed(y).products[0] == pytest.approx(exact, rel=2e-3, abs=1e-4)


def test_means_are_what_they_say() -> None:
    y = rows(2, 2)
    moments = summed(y)
    common = y[:, :CORE]
    units = common.reshape(-1, UNIT, CORE)
    lagged = sum(u[:-1].T @ u[1:] for u in units) / (2 * (UNIT - 1))
    assert moments.n == 2 * UNIT
    assert moments.counts.tolist() == [2 * UNIT, 2 * (UNIT - 1), *(2 * UNIT // scale for scale in SCALES)]
    assert moments.first == pytest.approx(y.mean(0), abs=1e-6)
    assert np.allclose(moments.matrix(0), common.T @ common / len(y), **HALF)
    assert np.allclose(moments.matrix(1), (lagged + lagged.T) / 2, **HALF)
    for i, scale in enumerate(SCALES):
        means = common.reshape(-1, scale, CORE).mean(1)
        assert np.allclose(moments.matrix(2 + i), means.T @ means / len(means), **HALF)
    earned = np.exp(log_tilts(np.clip(y[:, :NUMBERS], -CLIP, CLIP))) - 1
    assert np.allclose(moments.tilted[0], earned.mean(0), **HALF)
    assert np.allclose(moments.tilted[1], (earned**2).mean(0), **HALF)
    assert moments.own[0] == pytest.approx((y[:, CORE:] ** 2).mean(0))


def test_a_record_of_means_restores_bit_for_bit() -> None:
    moments = summed(rows(3, 3))
    restored = Moments.from_state(read_again(moments.to_state()))
    assert encode(restored.to_state()) == encode(moments.to_state())
