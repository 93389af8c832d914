"""`Dispersion`: how far a stream's counts stray from what is usual, over blocks of 1 to 64 windows.

The dispersion of a scale is the variance of a block's rate, relative and beyond Poisson's: the parameter of a
negative-binomial count, by moments (Noufaily et al. 2013 use it so for outbreaks of disease). A rate that wanders keeps
its dispersion over long blocks, one that is merely bursty loses it: so neither a lag nor a model of the correlation
need be guessed (the idea of batch means; Flegal and Jones 2010). Only the side that matters is looked at, twice the
mean square of deviations below (or above) what is usual, since bursts say nothing of falls.

Pure. May import nothing from this project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord

SCALES = (1, 2, 4, 8, 16, 32, 64)  # windows of a block, doubled from scale to scale
REMEMBER = 4000
"""Windows over which is averaged, or 32 blocks where these are more."""
FEWEST_BLOCKS = 32  # a variance of 32 numbers is known to a quarter: enough for the longest blocks
PRIOR_DISPERSION = 0.15
PRIOR_BLOCKS = 5
"""What a scale is taken for at first, and for how many blocks that counts: as dispersed as half its length, so that a
rate of which little is known may wander."""
LEAST_DISPERSION = 5e-3  # a rate that strays by 7 %: none is taken for steadier, however regular it was so far
MOST_BELOW = 1.6
"""A count strays by its mean below at most, so twice that mean square is m < 2; of a gamma-distributed rate of
dispersion d between 0.1 and 5 it is m / (1 - m / 2)^2 = d, to a tenth."""


class DispersionState(StateRecord):
    """Of `Dispersion`: the mean and the blocks of each scale (7)."""

    side: int
    mean: list[float]
    blocks: list[int]


class Dispersion:
    """Dispersion at each scale, below what is usual (`side` -1) or above (1)."""

    def __init__(self, side: int) -> None:
        self._side = side
        self._mean = [0.0] * len(SCALES)
        self._blocks = [0] * len(SCALES)

    def take(self, scale: int, count: float, usual: float) -> None:
        """A block of the scale at this place had `count` events where `usual` (> 0) were expected."""
        stray = max(self._side * (count / usual - 1.0), 0.0)
        self._blocks[scale] += 1
        weight = 1.0 / min(self._blocks[scale], max(REMEMBER // SCALES[scale], FEWEST_BLOCKS))
        self._mean[scale] += weight * (2.0 * stray * stray - 1.0 / usual - self._mean[scale])

    def dispersions(self) -> NDArray[np.float64]:
        """Relative variance beyond Poisson's of each scale (7)."""
        found = []
        last = PRIOR_DISPERSION
        for mean, blocks in zip(self._mean, self._blocks, strict=True):
            own = mean if self._side > 0 else mean / (1.0 - min(max(mean, 0.0), MOST_BELOW) / 2.0) ** 2
            last = max((PRIOR_BLOCKS * last + blocks * own) / (PRIOR_BLOCKS + blocks), LEAST_DISPERSION)
            found.append(last)
        return np.asarray(found)

    def to_state(self) -> DispersionState:
        """For a snapshot."""
        return DispersionState(self._side, self._mean, self._blocks)

    @classmethod
    def from_state(cls, state: DispersionState) -> Dispersion:
        """What `state` described."""
        spread = cls(state.side)
        spread._mean, spread._blocks = state.mean, state.blocks
        return spread
