"""Intervals of a pass rate: for one look at the data, and for as many looks as one likes.

An interval that is computed once (a report, a test suite) may be narrow. One that is shown live is looked at again and
again, and an ordinary 95 % interval is then wrong at some look far more often than in 5 % of cases: live figures need a
*confidence sequence*, which holds at all looks together.

All functions take counts and return probabilities in [0, 1]. Pure: numpy and scipy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import betaln, ndtri


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


def sequence(passed: float, n: float, alpha: float = 0.05) -> Interval:
    """A confidence sequence of a rate: wrong at any look, ever, with a probability of at most `alpha`.

    The set of rates m for which the beta-binomial mixture does not contradict the counts,
    { m : B(1 + s, 1 + n - s) < m^s (1 - m)^(n - s) / alpha }, with s passed of n.
    Sources: Robbins 1970, Annals of Mathematical Statistics 41; Howard, Ramdas, McAuliffe and Sekhon 2021, Annals of
    Statistics 49, Proposition 7.
    """
    if n <= 0:
        return UNKNOWN
    failed = n - passed
    bound = float(betaln(1 + passed, 1 + failed)) + math.log(alpha)
    best = passed / n

    def excess(m: float) -> float:
        likelihood = 0.0
        if passed > 0:
            likelihood += passed * math.log(m)
        if failed > 0:
            likelihood += failed * math.log1p(-m)
        return likelihood - bound

    least = 1e-15  # a root is sought strictly inside (0, 1), where the logarithms are finite
    low = 0.0 if passed <= 0 or excess(least) >= 0 else brentq(excess, least, min(max(best, least), 1 - least))
    high = 1.0 if failed <= 0 or excess(1 - least) >= 0 else brentq(excess, min(max(best, least), 1 - least), 1 - least)
    return Interval(best, low, high)


def weighted_sum(parts: Sequence[tuple[float, Interval]], extra_variance: float = 0.0, z: float = 1.96) -> Interval:
    """The sum of independent rates with known weights, for one look (MOVER).

    Each part is (weight, interval). `extra_variance` is added for weights that are estimates themselves, at `z`
    standard errors. Source: Zou and Donner 2008, Statistics in Medicine 27:1693.
    """
    rate = sum(weight * part.rate for weight, part in parts)
    below = sum((weight * (part.rate - part.low)) ** 2 for weight, part in parts) + z * z * extra_variance
    above = sum((weight * (part.high - part.rate)) ** 2 for weight, part in parts) + z * z * extra_variance
    return Interval(rate, max(0.0, rate - math.sqrt(below)), min(1.0, rate + math.sqrt(above)))


def difference(before: Interval, after: Interval) -> Interval:
    """`after` minus `before` of two independent rates, for one look (Newcombe 1998, method 10, from two intervals)."""
    d = after.rate - before.rate
    below = math.hypot(after.rate - after.low, before.high - before.rate)
    above = math.hypot(after.high - after.rate, before.rate - before.low)
    return Interval(d, max(-1.0, d - below), min(1.0, d + above))
