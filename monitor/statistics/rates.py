"""A rate with its interval, for one look at the data, and the difference of two.

Counts go in, probabilities in [0, 1] come out. Called by `monitor.judgment` and by comparisons of two samples. Pure:
numpy and scipy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri


@dataclass(frozen=True, slots=True)
class Interval:
    """A rate with its lower and upper bound, all in [0, 1] (or [-1, 1] for a difference of rates)."""

    rate: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Upper minus lower bound."""
        return self.high - self.low

    def holds(self, truth: float) -> bool:
        """Whether the true rate lies inside."""
        return self.low <= truth <= self.high


UNKNOWN = Interval(0.5, 0.0, 1.0)
"""What is known of a rate without a single observation."""


def wilson(passed: float, n: float, alpha: float = 0.05) -> Interval:
    """Wilson's score interval of a rate, for one look.

    `passed` of `n` (both may be fractional: effective counts) passed; `alpha` is the error asked for, both sides
    together. Source: Wilson 1927, JASA 22; Newcombe 1998, Statistics in Medicine 17:857, method 3.
    """
    if n <= 0:
        return UNKNOWN
    z = float(ndtri(1 - alpha / 2))
    p = passed / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(max(0.0, p * (1 - p) / n + z * z / (4 * n * n)))
    return Interval(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def difference(before: Interval, after: Interval) -> Interval:
    """`after` minus `before` of two independent rates, for one look (Newcombe 1998, method 10, from two intervals)."""
    d = after.rate - before.rate
    below = math.hypot(after.rate - after.low, before.high - before.rate)
    above = math.hypot(after.high - after.rate, before.rate - before.low)
    return Interval(d, max(-1.0, d - below), min(1.0, d + above))
