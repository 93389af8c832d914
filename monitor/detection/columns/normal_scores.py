"""Normal scores: a value becomes the normal quantile of its mid-rank in the reference.

Ranks make evidence independent of a feature's unit and of how heavy its tails are; mid-ranks treat ties exactly
(Lehmann, *Nonparametrics*, 1975). The reference is kept as at most `KNOTS` points per feature, not as rows, so the map
costs a few kilobytes; between knots it is linear, beyond them it is constant.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from monitor.detection.state.jit import compiled
from monitor.detection.state.snapshot_codec import StateRecord

KNOTS = 40
"""Points per feature: a quantile is off by 1/80 at most, a tenth of the uncertainty of a reference of 400."""


def compress(values: NDArray[Any]) -> NDArray[np.float16]:
    """sign(x) log(1 + |x|) in half precision: 0.1 to 0.8 % of the value, for values up to 10^28."""
    x = np.asarray(values, dtype=np.float64)
    x = np.where(np.isfinite(x), x, np.nan)
    squeezed: NDArray[np.float16] = (np.sign(x) * np.log1p(np.abs(x))).astype(np.float16)
    return squeezed


def expand(squeezed: NDArray[np.float16]) -> NDArray[np.float64]:
    """The values that `compress` squeezed."""
    s = squeezed.astype(np.float64)
    values: NDArray[np.float64] = np.sign(s) * np.expm1(np.abs(s))
    return values


class RankMapState(StateRecord):
    """Of `RankMap`: how many knots each column has, and all knots."""

    lengths: NDArray[np.int16]
    x: NDArray[np.floating[Any]]
    z: NDArray[np.floating[Any]]


class RankMap:
    """Compressed values (n, d) to normal scores (n, d); missing values score 0, which no bet profits from.

    Parameters
    ----------
    lengths
        How many knots each column has (d).
    x, z
        Knots of all columns in turn: in compressed units, ascending within a column, and their normal scores.
    """

    def __init__(self, lengths: NDArray[np.int16], x: NDArray[np.float16], z: NDArray[np.float16]) -> None:
        self._lengths = lengths
        self._x, self._z = x, z

    @classmethod
    def learn(cls, squeezed: NDArray[np.float16]) -> RankMap:
        """Knots from the rows of a reference (n, d)."""
        xs, zs = [], []
        for column in squeezed.T.astype(np.float64):
            x, z = _knots(column[np.isfinite(column)])
            xs.append(x)
            zs.append(z)
        lengths = np.asarray([len(x) for x in xs], dtype=np.int16)
        nothing = np.empty(0, dtype=np.float16)
        return cls(lengths, np.concatenate([nothing, *xs]), np.concatenate([nothing, *zs]))

    def scores(self, squeezed: NDArray[np.float16]) -> NDArray[np.float64]:
        """Normal scores of rows (n, d)."""
        x, z = self._x.astype(np.float64), self._z.astype(np.float64)
        return _between_knots(squeezed.astype(np.float64, order="C"), self._lengths, x, z)

    def knots(self, column: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A column's knots and their normal scores."""
        start = int(self._lengths[:column].sum())
        own = slice(start, start + int(self._lengths[column]))
        return self._x[own].astype(np.float64), self._z[own].astype(np.float64)

    def median(self, column: int) -> float:
        """The reference's median of a column, in natural units: the knot in the middle, a value that occurred."""
        x, z = self.knots(column)
        s = float(x[int(np.argmin(np.abs(z)))]) if z[-1] > z[0] else float(x[len(x) // 2])
        return math.copysign(math.expm1(abs(s)), s)

    def middle_half(self, column: int) -> float:
        """The reference's interquartile range of a column, in natural units."""
        return self.quantile(column, 0.75) - self.quantile(column, 0.25)

    def quantile(self, column: int, q: float) -> float:
        """The reference's quantile q of a column, in natural units."""
        x, z = self.knots(column)
        s = float(np.interp(float(ndtri(q)), z, x))
        return math.copysign(math.expm1(abs(s)), s)

    def to_state(self) -> RankMapState:
        """For a snapshot."""
        return RankMapState(self._lengths, self._x, self._z)

    @classmethod
    def from_state(cls, state: RankMapState) -> RankMap:
        """The map that `state` described."""
        return cls(state.lengths, state.x, state.z)


@compiled
def _between_knots(
    values: NDArray[np.float64], lengths: NDArray[np.int16], x: NDArray[np.float64], z: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Linear interpolation of each column (n, d) between its own knots, constant beyond them; 0 where not finite."""
    out = np.zeros_like(values)
    first = 0
    for column in range(len(lengths)):
        last = first + lengths[column] - 1
        for row in range(len(values)):
            value = values[row, column]
            if not np.isfinite(value):
                continue
            low, high = first, last
            while high - low > 1:
                middle = (low + high) // 2
                if x[middle] <= value:
                    low = middle
                else:
                    high = middle
            along = min(max((value - x[low]) / (x[high] - x[low]), 0.0), 1.0)
            out[row, column] = z[low] + along * (z[high] - z[low])
        first = last + 1
    return out


def _knots(values: NDArray[np.float64]) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    n = len(values)
    if n == 0:
        return np.array([0.0, 1.0], dtype=np.float16), np.zeros(2, dtype=np.float16)
    x, counts = np.unique(values, return_counts=True)
    right = np.cumsum(counts) / n
    middle = right - counts / n / 2
    if len(x) > KNOTS:
        inner = np.searchsorted(right, np.linspace(0, 1, KNOTS - 4)[1:-1])
        keep = np.unique(np.concatenate([inner, [0, 1, len(x) - 2, len(x) - 1]]))
        x, middle = x[keep], middle[keep]
    z = ndtri(np.clip(middle, 0.5 / n, 1 - 0.5 / n))
    # A value beyond all that the reference saw scores a little more than its extreme. The margin is more than half
    # precision rounds by.
    margin = 1e-3 * (x[-1] - x[0]) + 1e-3 * max(1.0, abs(x[-1]))
    edge = float(ndtri(0.3 / n))
    x = np.concatenate(([x[0] - margin], x, [x[-1] + margin]))
    z = np.concatenate(([min(edge, z[0])], z, [max(-edge, z[-1])]))
    return x.astype(np.float16), z.astype(np.float16)
