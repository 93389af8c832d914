"""How far two raters agree, and when that may be shown as one number.

Cohen's kappa falls as failures become rare although the raters stay the same (from .67 to .22 in simulation), so
neither coefficient may gate or alert anything; both are shown only beside the observed agreement and the 2 x 2 table,
and only from enough items on. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

FEWEST_ITEMS = 50
FEWEST_IN_CLASS = 10
"""Items that both rated, and items in the smaller class, from which a coefficient is shown: with fewer its interval
spans most of the scale."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two raters on the same items: counts by (first passed, second passed), and coefficients where enough are there.

    `kappa` and `alpha` are None where too few items, or too few of one class, make them meaningless.
    """

    both_pass: int
    first_only: int
    second_only: int
    both_fail: int
    kappa: float | None
    alpha: float | None

    @property
    def items(self) -> int:
        """Items that both rated."""
        return self.both_pass + self.first_only + self.second_only + self.both_fail

    @property
    def observed(self) -> float:
        """Share of items on which they agree; NaN without items."""
        return (self.both_pass + self.both_fail) / self.items if self.items else math.nan


def agreement(pairs: Iterable[tuple[bool, bool]]) -> Agreement:
    """Agreement over items that both rated, each as (first passed, second passed)."""
    table = [[0, 0], [0, 0]]
    for first, second in pairs:
        table[first][second] += 1
    both_fail, second_only, first_only, both_pass = table[0][0], table[0][1], table[1][0], table[1][1]
    n = both_pass + first_only + second_only + both_fail
    passes = 2 * both_pass + first_only + second_only
    enough = n >= FEWEST_ITEMS and min(passes, 2 * n - passes) >= 2 * FEWEST_IN_CLASS
    kappa = alpha = None
    if enough:
        observed = (both_pass + both_fail) / n
        a, b = (both_pass + first_only) / n, (both_pass + second_only) / n
        expected = a * b + (1 - a) * (1 - b)
        kappa = (observed - expected) / (1 - expected) if expected < 1 else None
        alpha = krippendorff(
            [[True, True]] * both_pass + [[True, False]] * (first_only + second_only) + [[False, False]] * both_fail
        )
    return Agreement(both_pass, first_only, second_only, both_fail, kappa, alpha)


def krippendorff(items: Sequence[Sequence[bool]]) -> float | None:
    """Krippendorff's alpha for pass / fail by any number of raters; items with one rating do not count.

    None where all ratings are the same. Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.
    """
    coincidences = np.zeros((2, 2))
    for ratings in items:
        m = len(ratings)
        if m < 2:
            continue
        passed = sum(ratings)
        failed = m - passed
        coincidences += np.array(
            [[failed * (failed - 1), failed * passed], [passed * failed, passed * (passed - 1)]]
        ) / (m - 1)
    n = coincidences.sum()
    totals = coincidences.sum(0)
    expected = totals[0] * totals[1] * 2 / (n - 1) if n > 1 else 0.0
    return float(1 - 2 * coincidences[0, 1] / expected) if expected > 0 else None
