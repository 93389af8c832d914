"""Intervals of a pass rate: for one look at the data, and for as many looks as one likes.

An interval that is computed once (a report, a test suite) may be narrow. One that is shown live is looked at again and
again, and an ordinary 95 % interval is then wrong at some look far more often than in 5 % of cases: live figures need a
*confidence sequence*, which holds at all looks together.

All functions take counts and return probabilities in [0, 1]. The interval for one look is
`monitor.statistics.rates.wilson`. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.optimize import brentq
from scipy.special import betaln

from monitor.statistics.rates import UNKNOWN, Interval


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
