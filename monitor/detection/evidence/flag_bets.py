"""Bets on the rate of each flag: likelihood ratios against the credible bound of the usual rate. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.reference.views import Array32, Rates
from monitor.detection.state.jit import compiled

Array = NDArray[np.float64]

RATE_STEPS = np.array([0.03, 0.08, 0.2, 0.5])
"""Alternatives for a rate that rose: this share of the way from its upper bound to 1. Each is about 2.5 times the one
before, so a rate between two of them loses little of its evidence."""
RATE_FALLS = np.array([0.7, 0.4, 0.1, 0.03])
"""Alternatives for a rate that fell: its lower bound times this."""
FAULT_STEP_WEIGHTS = np.array([0.55, 0.25, 0.13, 0.07])
"""Prior weights of the alternatives of a fault's rate, smallest increase first: where little has changed, a factor e of
weight is worth ten or twenty events, and a rate that jumps is found in a few whatever its weight. More weight on the
smallest increase makes other questions to the same model, with slightly more faults, cause false alarms."""
ANY_FAILURE_SHARE = 0.7
"""Share of the weight of faults that is on the flag `any_failure`: most faults come in several forms at a time, and the
rest finds a single one."""
MIN_RATE_THAT_FALLS = 0.05
"""A rate whose lower bound is below this gets no bets on falling: a bound above the true rate would win for ever."""
MAX_ALTERNATIVE, MIN_ALTERNATIVE = 0.995, 0.002
"""Alternatives are kept away from 1 and 0, where a single event of the other kind would end a bet."""


@compiled
def bet_on_flags(
    z: Array32, columns: NDArray[np.uint16], hit: Array32, miss: Array32, out: Array32, first: int
) -> None:
    """Write what bets on flags z (rows, d) multiply by to `out` (rows, bets), from its column `first` on."""
    for row in range(len(z)):
        for bet in range(len(columns)):
            out[row, first + bet] = miss[bet] + hit[bet] * z[row, columns[bet]]


def mostly_on_any_failure(chosen: NDArray[np.bool_], prior: Array) -> Array:
    """The prior, with `ANY_FAILURE_SHARE` of it on the chosen bets, those on `any_failure`."""
    if chosen.all() or not chosen.any():
        return prior
    inside, outside = prior * chosen, prior * ~chosen
    return np.asarray(ANY_FAILURE_SHARE * inside / inside.sum() + (1 - ANY_FAILURE_SHARE) * outside / outside.sum())


class FlagBets(NamedTuple):
    """Of each bet its column, what it multiplies by (`miss` where the flag is 0, `miss + hit` where 1) and its weight.

    Where a flag is missing, and so its usual rate, a mixture of the two bets is placed.
    """

    columns: NDArray[np.uint16]
    hit: Array32
    miss: Array32

    def joined(self, others: FlagBets) -> FlagBets:
        """These and the others after them."""
        return FlagBets(
            np.concatenate([self.columns, others.columns]),
            np.concatenate([self.hit, others.hit]),
            np.concatenate([self.miss, others.miss]),
        )


def flag_bets(rates: Rates, prior: Array | None = None) -> tuple[FlagBets, Array]:
    """Bets on flags and their weights, the alternatives weighted by `prior` (nearest first); alike by default.

    A rate whose bound lies too near 0 (or 1) gets no bets on falling (or rising).
    """
    prior = np.ones(len(RATE_STEPS)) if prior is None else prior
    upper, lower = rates.upper.astype(np.float64), rates.lower.astype(np.float64)
    rising = upper < 1 - MIN_RATE_THAT_FALLS / 2
    falling = lower > MIN_RATE_THAT_FALLS
    columns, hits, misses, weights = [], [], [], []

    def bet(chosen: NDArray[np.bool_], bound: Array, other: Array, weight: float) -> None:
        columns.append(rates.columns[chosen])
        # A root of a bet pays for what the long run varies by more than independent events do.
        hits.append((other / bound) ** (1 / rates.long_run[chosen]))
        misses.append(((1 - other) / (1 - bound)) ** (1 / rates.long_run[chosen]))
        weights.append(np.full(len(bound), weight))

    for step, weight in zip(RATE_STEPS, prior, strict=True):
        bound = upper[rising]
        bet(rising, bound, np.minimum(MAX_ALTERNATIVE, bound + step * (1 - bound)), weight)
    for fall, weight in zip(RATE_FALLS, prior, strict=True):
        bound = lower[falling]
        bet(falling, bound, np.maximum(MIN_ALTERNATIVE, bound * fall), weight)
    miss = np.concatenate(misses)
    hit = (np.concatenate(hits) - miss).astype(np.float32)
    return FlagBets(np.concatenate(columns).astype(np.uint16), hit, miss.astype(np.float32)), np.concatenate(weights)
