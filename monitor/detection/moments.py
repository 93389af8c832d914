"""Sums over a reference's rows from which everything that evidence needs is derived.

They are plain sums, so summaries of two stretches of a stream merge exactly, and a reference can go on maturing without
keeping its rows. Sums of means over 8, 32 and 128 rows, and of neighbouring rows, carry what autocorrelation the
stream has.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.detection.plain import pack, pack_symmetric, unpack, unpack_symmetric

F = TypeVar("F", np.float32, np.float64)

SCALES = (8, 32, 128)
"""Lengths of the runs whose means measure long-run variance."""
UNIT = SCALES[-1]
"""Rows that are added at once, so that the longest runs are whole."""
PLACE = np.array([0.15, 0.35, 0.7, -0.15, -0.35, -0.7, 0.8, 0.0, -0.8, 0.3, 0.0, -0.3])
SPREAD = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, -0.4, -0.5, 0.15, 0.2, 0.15])
"""Exponents a and b of the fixed bets e^(a z + b z^2) on a single number: up or down; narrower; wider."""
_SHAPED = slice(int(np.flatnonzero(SPREAD)[0]), len(SPREAD))
"""The bets with a b; the others come first."""
CLIP = 4.0
"""Normal scores are clipped here, so that no single event can decide."""


class Moments:
    """Sums over rows y (n, d): normal scores of the numbers first, then flags.

    Of the first `core` columns (numbers and common flags) all products are kept, of the others, the rare flags, their
    own alone: how two rare flags go together can neither be learned from a reference nor would it tell anything.
    """

    def __init__(self, d: int, core: int, numbers: int) -> None:
        self.d = d
        self.core = core
        self.numbers = numbers
        self.n = 0
        self.pairs = 0
        self.first = np.zeros(d)
        # Symmetric, in single precision: a thousandth of the sampling error, and half the state.
        self.second = np.zeros((core, core), dtype=np.float32)
        self.lagged = np.zeros((core, core), dtype=np.float32)
        self.runs = np.zeros(len(SCALES), dtype=np.int64)
        self.run_means = np.zeros((len(SCALES), core, core), dtype=np.float32)
        self.own = np.zeros((2 + len(SCALES), d - core))
        self.tilted = np.zeros((2, len(PLACE), numbers))

    def add(self, y: NDArray[np.float64]) -> None:
        """Add consecutive rows: `UNIT` of them, or what a warm-up has left over."""
        common, rare = y[:, : self.core], y[:, self.core :]
        self.n += len(y)
        self.first += y.sum(0)
        self.second += _symmetric(common.T @ common)
        self.lagged += _symmetric(common[:-1].T @ common[1:])
        self.own[0] += (rare * rare).sum(0)
        self.own[1] += (rare[:-1] * rare[1:]).sum(0)
        self.pairs += max(0, len(y) - 1)
        for i, scale in enumerate(SCALES):
            runs = len(y) // scale
            if runs:
                means = y[: runs * scale].reshape(runs, scale, self.d).mean(1)
                self.run_means[i] += _symmetric(means[:, : self.core].T @ means[:, : self.core])
                self.own[2 + i] += (means[:, self.core :] ** 2).sum(0)
                self.runs[i] += runs
        tilt = np.exp(log_tilts(np.clip(y[:, : self.numbers], -CLIP, CLIP)))
        self.tilted[0] += tilt.sum(0)
        self.tilted[1] += (tilt * tilt).sum(0)

    def _symmetrics(self) -> tuple[NDArray[np.float32], ...]:
        return (self.second, self.lagged, self.run_means)

    def _others(self) -> tuple[NDArray[Any], ...]:
        return (self.first, self.runs, self.own, self.tilted)

    def empty(self) -> Moments:
        """Sums of no rows, of the same shape."""
        return Moments(self.d, self.core, self.numbers)

    def merge(self, other: Moments) -> None:
        """Add another's sums."""
        self.n += other.n
        self.pairs += other.pairs
        for mine, more in zip(self._symmetrics(), other._symmetrics(), strict=True):
            mine += more
        for own, added in zip(self._others(), other._others(), strict=True):
            own += added

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [
            [self.d, self.core, self.numbers, self.n, self.pairs],
            [pack_symmetric(m) for m in self._symmetrics()],
            [pack(a) for a in self._others()],
        ]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Moments:
        """The sums that `plain` described."""
        (d, core, numbers, n, pairs), symmetrics, others = plain
        moments = cls(d, core, numbers)
        moments.n, moments.pairs = n, pairs
        for matrix, half in zip(moments._symmetrics(), symmetrics, strict=True):
            matrix[...] = unpack_symmetric(half)
        for array, held in zip(moments._others(), others, strict=True):
            array[...] = unpack(held)
        return moments


def log_tilts(z: NDArray[F]) -> NDArray[F]:
    """Logs of the fixed bets (n, bets, k) on scores z (n, k), before they are normalised; in the precision of z."""
    out: NDArray[F] = z[:, None, :] * PLACE[:, None].astype(z.dtype)
    out[:, _SHAPED] += (z * z)[:, None, :] * SPREAD[_SHAPED, None].astype(z.dtype)
    return out


def _symmetric(product: NDArray[np.float64]) -> NDArray[np.float32]:
    return ((product + product.T) / 2).astype(np.float32)
