"""Do two groups of rows that come mixed differ? A sequential test by betting on which row is of which group.

Rows come in pieces of a few, each with a label: old or new. If the groups do not differ, then, given a piece's rows and
how many of them are new, every choice of that many rows is equally likely to be the new ones. A tilt w in the space of
scores, learned from earlier pieces alone, bets otherwise, and its gain is the likelihood of the labels as they are by a
logistic model over their likelihood by chance (Cox's conditional likelihood, 1972):

    e = exp(sum of w.x over the new rows) / mean over all choices of as many rows of exp(sum of w.x over the choice)

The mean is an elementary symmetric polynomial, exact in n k steps (Gail, Lubin, Rubinstein 1981). So E[e] = 1 whatever
the rows are: autocorrelated, cyclic, shifted for both groups alike, of any distribution and any share of the traffic.
All that is asked is that routing does not look at the content. It is a two-sample test by betting (Shekhar and Ramdas
2023; with a learned classifier Pandeva et al. 2024), conditional on the piece, so neither the distribution of the one
nor the share of the other has to be known.

The gains feed Shiryaev-Roberts sums R <- (R + rows) e, one for each way of learning the tilt. Under no difference R
grows by one an event on average, so R >= A comes at most once in A events in the mean, as for all evidence here.

The tilt is the mean difference seen so far, piece by piece (so that what moves both groups cancels), soft-thresholded
by its own noise: differences in a few features and in many. With a short and a long memory, for a difference that comes
late. Choices were made on half of AlpacaEval's models (`benchmarks/canary.py`); the figures are of the other half.
"""

from __future__ import annotations

from math import lgamma

import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

PIECE = 16
"""Rows of a piece. Fewer waste rows that have nothing to be compared with, more learn later."""
MEMORY = np.array([20.0, 200.0])
"""Rows of the smaller group, about, over which the tilt is learned."""
STRICT = np.array([0.5, 1.0])
"""Soft thresholds, as shares of what the largest of m noisy coordinates reaches."""
STEEPEST = 1.0
"""Bound of the tilt in one coordinate: no single score decides."""
CEILING = 1e200
"""Of a sum: finite in double precision whatever the next piece makes of it."""


class TwoSampleTestState(StateRecord):
    """Of `TwoSampleTest`."""

    m: int
    sums: Array
    difference: Array
    weight: Array
    noise: Array


class TwoSampleTest:
    """Evidence that two groups differ in scores of m coordinates.

    Attributes
    ----------
    sums
        Shiryaev-Roberts sums, one for each memory and threshold; their mean is the evidence.
    """

    def __init__(self, m: int) -> None:
        self.m = m
        self.sums: Array = np.zeros(len(MEMORY) * len(STRICT))
        self._difference: Array = np.zeros((len(MEMORY), m))
        self._weight: Array = np.zeros(len(MEMORY))
        self._noise: Array = np.zeros(len(MEMORY))

    def piece(self, scores: Array, new: NDArray[np.bool_]) -> float:
        """Take a piece's scores (n, m), about of variance 1, and labels (n); the log of what its bets gained together.

        Both groups must be in it.
        """
        n, k = len(new), int(new.sum())
        gain = self._gain(scores, new)
        self.sums = np.minimum((self.sums + n) * np.exp(gain), CEILING)
        # A row of the smaller group says about as much as one row more.
        weight = k * (n - k) / n
        fade = np.exp(-weight / MEMORY)
        difference = scores[new].mean(0) - scores[~new].mean(0)
        self._difference = self._difference * fade[:, None] + weight * difference
        self._weight = self._weight * fade + weight
        self._noise = self._noise * fade * fade + weight
        return float(np.log(np.exp(gain).mean()))

    def _gain(self, scores: Array, new: NDArray[np.bool_]) -> Array:
        along: Array = scores @ self._tilts().T
        gain: Array
        if 2 * int(new.sum()) <= len(new):
            gain = along[new].sum(0) - log_mean_over_choices(along, int(new.sum()))
        else:  # who is old says the same with fewer rows to choose
            gain = -along[~new].sum(0) - log_mean_over_choices(-along, int((~new).sum()))
        return gain

    def _tilts(self) -> Array:
        """One tilt (m) for each sum."""
        if not self._weight[0]:
            return np.zeros((len(self.sums), self.m))
        mean = self._difference / self._weight[:, None]
        noise = np.sqrt(self._noise * 2 * np.log(max(self.m, 2))) / self._weight
        beyond = np.abs(mean)[:, None] - (noise[:, None] * STRICT)[:, :, None]
        tilts: Array = np.copysign(np.clip(beyond, 0, STEEPEST), mean[:, None]).reshape(-1, self.m)
        return tilts

    def total(self) -> float:
        """All evidence now."""
        return float(self.sums.mean())

    def restart(self) -> None:
        """Forget the evidence; what was learned of the difference stays."""
        self.sums = np.zeros(len(self.sums))

    def to_state(self) -> TwoSampleTestState:
        """For a snapshot."""
        return TwoSampleTestState(self.m, self.sums, self._difference, self._weight, self._noise)

    @classmethod
    def from_state(cls, state: TwoSampleTestState) -> TwoSampleTest:
        """The test that `state` described."""
        test = cls(state.m)
        test.sums, test._difference, test._weight, test._noise = state.sums, state.difference, state.weight, state.noise
        return test


def log_mean_over_choices(along: Array, k: int) -> Array:
    """log of the mean, over all choices of k of the n rows, of exp(sum of `along` (n, s) over the choice): (s).

    >>> float(log_mean_over_choices(np.zeros((5, 1)), 2)[0])
    0.0
    """
    n = len(along)
    top = along.max(0)
    terms = np.exp(along - top)
    chosen = np.zeros((k + 1, along.shape[1]))
    chosen[0] = 1.0
    for term in terms:
        chosen[1:] += term * chosen[:-1]
    choices = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    mean: Array = np.log(np.maximum(chosen[k], 1e-300)) + k * top - choices
    return mean
