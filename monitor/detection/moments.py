"""Sums over a reference's rows from which everything that evidence needs is derived.

They are plain sums, so summaries of two stretches of a stream merge exactly, and a reference can go on maturing without
keeping its rows. Rows are added in blocks of `BLOCK`: sums of means over 8 and 32 rows and of neighbouring rows carry
what autocorrelation the stream has.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.plain import pack, unpack

BLOCK = 32
"""Rows that are judged at once: numpy's cost per call is paid per block, and sums are taken per block, so that how rows
were cut into batches changes nothing."""
SCALES = (8, BLOCK)
"""Lengths of the runs whose means measure long-run variance."""
TILTS = np.array([0.15, 0.35, 0.7, -0.15, -0.35, -0.7])
"""Exponents of the fixed bets on a single number, up and down."""
CLIP = 4.0
"""Normal scores are clipped here, so that no single event can decide."""


class Moments:
    """Sums over rows y (n, d): the first `numbers` columns are normal scores, the others flags."""

    def __init__(self, d: int, numbers: int) -> None:
        self.d = d
        self.numbers = numbers
        self.n = 0
        self.pairs = 0
        self.first = np.zeros(d)
        self.second = np.zeros((d, d))
        self.lagged = np.zeros((d, d))
        self.runs = np.zeros(len(SCALES), dtype=np.int64)
        self.run_means = np.zeros((len(SCALES), d, d))
        self.tilted = np.zeros((2, len(TILTS), numbers))

    def add(self, y: NDArray[np.float64]) -> None:
        """Add consecutive rows (any number; `BLOCK` of them for a block)."""
        self.n += len(y)
        self.first += y.sum(0)
        self.second += y.T @ y
        self.lagged += y[:-1].T @ y[1:]
        self.pairs += max(0, len(y) - 1)
        for i, scale in enumerate(SCALES):
            runs = len(y) // scale
            if runs:
                means = y[: runs * scale].reshape(runs, scale, self.d).mean(1)
                self.run_means[i] += means.T @ means
                self.runs[i] += runs
        tilt = np.exp(TILTS[:, None, None] * np.clip(y[:, : self.numbers], -CLIP, CLIP)[None])
        self.tilted[0] += tilt.sum(1)
        self.tilted[1] += (tilt * tilt).sum(1)

    def merge(self, other: Moments) -> None:
        """Add another's sums."""
        self.n += other.n
        self.pairs += other.pairs
        self.first += other.first
        self.second += other.second
        self.lagged += other.lagged
        self.runs += other.runs
        self.run_means += other.run_means
        self.tilted += other.tilted

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        arrays = (self.first, self.second, self.lagged, self.runs, self.run_means, self.tilted)
        return [self.d, self.numbers, self.n, self.pairs, [pack(a) for a in arrays]]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Moments:
        """The sums that `plain` described."""
        d, numbers, n, pairs, arrays = plain
        moments = cls(d, numbers)
        moments.n, moments.pairs = n, pairs
        first, second, lagged, runs, run_means, tilted = (unpack(a) for a in arrays)
        moments.first, moments.second, moments.lagged = first, second, lagged
        moments.runs, moments.run_means, moments.tilted = runs, run_means, tilted
        return moments
