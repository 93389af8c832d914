"""Means over a reference's rows from which everything that evidence needs is derived.

They are plain means and counts, so a reference can go on maturing without keeping its rows. Products of means over 8,
32 and 128 rows, and of neighbouring rows, carry what autocorrelation the stream has. Rows are given as they differ from
about their mean, so that little cancels in a covariance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord

SCALES = (8, 32, 128)
"""Lengths of the runs whose means measure long-run variance."""
_KINDS = 2 + len(SCALES)
UNIT = SCALES[-1]
"""Rows that are added at once, so that the longest runs are whole."""
GRAIN = 0.05
PLACES = np.array([3, 7, 14, -3, -7, -14, 16, 0, -16, 6, 0, -6])
SPREADS = np.array([0, 0, 0, 0, 0, 0, -10, -8, -10, 3, 4, 3])
"""Exponents a and b of the fixed bets e^(a z + b z^2) on a single number, in grains: up or down; narrower; wider. Whole
numbers, so that all the bets on a score are products of two powers."""
PLACE, SPREAD = GRAIN * PLACES, GRAIN * SPREADS
_SHAPED = slice(int(np.flatnonzero(SPREAD)[0]), len(SPREAD))
"""The bets with a b; the others come first."""
CLIP = 4.0
"""Normal scores are clipped here, so that no single event can decide."""


class MomentsState(StateRecord):
    """Of `Moments`; `shape` is d, core and numbers."""

    shape: tuple[int, int, int]
    counts: NDArray[Any]
    first: NDArray[Any]
    products: NDArray[Any]
    own: NDArray[Any]
    tilted: NDArray[Any]


class Moments:
    """Means over rows y (n, d): normal scores of the numbers first, then flags.

    Of the first `core` columns (numbers and common flags) all products are kept, of the others, the rare flags, their
    own alone: how two rare flags go together can neither be learned from a reference nor would it tell anything.

    Attributes
    ----------
    counts
        Over how many each was taken (2 + scales): rows, pairs of neighbours, runs of each length.
    first
        Means of rows (d).
    products, own
        Means of products: of rows, of neighbours, of means of runs (2 + scales, upper triangle of core by core), and of
        the rare flags with themselves (2 + scales, d - core). Products and `tilted` are kept in half precision: a
        hundredth of the sampling error, and half the state.
    tilted
        Means of what the fixed bets on single numbers earn, and of its square (2, bets, numbers).
    """

    def __init__(self, d: int, core: int, numbers: int) -> None:
        self.d = d
        self.core = core
        self.numbers = numbers
        self.counts: NDArray[np.int64] = np.zeros(_KINDS, dtype=np.int64)
        self.first = np.zeros(d, dtype=np.float32)
        self.products = np.zeros((_KINDS, core * (core + 1) // 2), dtype=np.float16)
        self.own = np.zeros((_KINDS, d - core), dtype=np.float32)
        self.tilted = np.zeros((2, len(PLACE), numbers), dtype=np.float16)

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.counts[0])

    def add(self, y: NDArray[np.float64]) -> None:
        """Add consecutive rows: `UNIT` of them, or what a warm-up has left over."""
        common, rare = y[:, : self.core], y[:, self.core :]
        n = len(y)
        counts = [n, max(0, n - 1)]
        products = [common.T @ common, common[:-1].T @ common[1:]]
        own = [(rare * rare).sum(0), (rare[:-1] * rare[1:]).sum(0)]
        for scale in SCALES:
            runs = n // scale
            means = y[: runs * scale].reshape(runs, scale, self.d).mean(1)
            counts.append(runs)
            products.append(means[:, : self.core].T @ means[:, : self.core])
            own.append((means[:, self.core :] ** 2).sum(0))
        of = np.maximum(counts, 1)[:, None]
        earned = np.expm1(log_tilts(np.clip(y[:, : self.numbers], -CLIP, CLIP)))
        self._mix(
            np.asarray(counts),
            y.mean(0),
            np.stack([_upper(product) for product in products]) / of,
            np.stack(own) / of,
            np.stack([earned.mean(0), (earned * earned).mean(0)]),
        )

    def _mix(self, counts: NDArray[np.int64], *means: NDArray[Any]) -> None:
        """Means over as many more, each weighted by how many there are."""
        total = self.counts + counts
        mine, more = ((part / np.maximum(total, 1))[:, None] for part in (self.counts, counts))
        first, products, own, tilted = means
        self.first = (self.first * mine[0] + first * more[0]).astype(np.float32)
        self.products = (self.products * mine + products * more).astype(np.float16)
        self.own = (self.own * mine + own * more).astype(np.float32)
        self.tilted = (self.tilted * mine[0] + tilted * more[0]).astype(np.float16)
        self.counts = total

    def counts_alone(self) -> Moments:
        """The counts of these and nothing that was counted: to say how many there were."""
        bare = Moments(0, 0, 0)
        bare.d, bare.core, bare.numbers, bare.counts = self.d, self.core, self.numbers, self.counts
        return bare

    def matrix(self, kind: int) -> NDArray[np.float64]:
        """Mean products (core, core) of rows (0), neighbours (1) or means of runs (2 and on)."""
        full = np.zeros((self.core, self.core))
        full[np.triu_indices(self.core)] = self.products[kind]
        return full + np.triu(full, 1).T

    def to_state(self) -> MomentsState:
        """For a snapshot."""
        shape = (self.d, self.core, self.numbers)
        return MomentsState(shape, self.counts, self.first, self.products, self.own, self.tilted)

    @classmethod
    def from_state(cls, state: MomentsState) -> Moments:
        """The means that `state` described."""
        moments = cls(*state.shape)
        moments.counts, moments.first, moments.products = state.counts, state.first, state.products
        moments.own, moments.tilted = state.own, state.tilted
        return moments


def log_tilts(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logs of the fixed bets (n, bets, k) on scores z (n, k), before they are normalised."""
    out: NDArray[np.float64] = z[:, None, :] * PLACE[:, None]
    out[:, _SHAPED] += (z * z)[:, None, :] * SPREAD[_SHAPED, None]
    return out


def _upper(product: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper triangle of what is symmetric, or made so."""
    n = len(product)
    half: NDArray[np.float64] = ((product + product.T) / 2)[np.triu_indices(n)]
    return half
