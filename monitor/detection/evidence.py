"""Sequential evidence over all features of a stream at once.

Each kind of evidence is a set of Shiryaev-Roberts sums R <- (1 + R) e^g over events (Shiryaev 1963; Roberts 1966), g
being the log of a bet against "as in the reference". For bets that are fair under the reference, R grows by one an
event on average, so an alarm at R >= A comes at most once in A events in the mean: the threshold *is* the mean number
of events between false alarms. Sums of such sums, weighted by one in all, keep that property, so evidence averages over
features and kinds without a penalty for their number. This is an e-detector (Shin, Ramdas, Rinaldo 2023).

joint    Whitened scores u. The bet leans where u has leaned lately (exponentially weighted means at three rates, taken
         before the event, soft-thresholded) and pays for the reference's own long-run variance. Once with the outputs
         as they are, once with what a regression on the inputs leaves of them: changed answers to the same questions.
         Finds what many features share.
single   Each number alone, fixed bets up and down. Finds one feature that whitening would dilute.
rates    Likelihood ratios for each flag against the credible bound of its rate. Finds a rare thing that became common.
failure  The same for flags that are faults in themselves, which are few. Finds five broken answers in a hundred.

Every bet first pays an indifference zone plus the reference's standard error: against *near the reference*, not against
equality, or the noise of a finite reference would become a certain false alarm on a long run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.moments import BLOCK, CLIP, PLACE, SPREAD, tilts
from monitor.detection.plain import pack, unpack
from monitor.detection.reference import Joint, Rates, View

Array = NDArray[np.float64]

LEAN_RATES = np.array([0.2, 0.07, 0.02])
"""Memory of the leaning bets: about 5, 14 and 50 events."""
ZONE_JOINT = 0.12
"""Standard deviations of a whitened coordinate that count as the same."""
ZONE_SINGLE = 0.12
"""Standard deviations of a single number that count as the same."""
ZONE_SPREAD = 0.1
"""Relative change of a single number's variance that counts as the same."""
_AROUND = 16
"""Points at which the edge of a zone is looked at."""
STEP = (-2.0, 3.0)
"""Bounds of one event's log bet: no single event decides."""
CEILING = 1e200
RATE_STEPS = np.array([0.03, 0.08, 0.2, 0.5])
"""Alternatives for a rate that rose: this share of the way from its upper bound to 1."""
RATE_FALLS = np.array([0.7, 0.4, 0.1, 0.03])
"""Alternatives for a rate that fell: its lower bound times this."""
SMALLEST_FALLING = 0.05
"""A rate whose lower bound is below this gets no bets on falling: a bound above the true rate would win for ever."""

_AGE = np.arange(BLOCK)
_WEIGHTS = np.stack(
    [np.where(_AGE[:, None] > _AGE, a * (1 - a) ** np.maximum(_AGE[:, None] - 1 - _AGE, 0), 0.0) for a in LEAN_RATES]
)
_DECAY = (1 - LEAN_RATES[:, None]) ** np.arange(BLOCK + 1)


class LeaningBet:
    """The joint bet on one whitened view: state is where recent scores lean, (3 rates, m)."""

    def __init__(self, joint: Joint) -> None:
        self.joint = joint
        m = joint.project.shape[1]
        self.lean = np.zeros((len(LEAN_RATES), m))
        a = LEAN_RATES[:, None]
        self._threshold = 0.5 * np.sqrt(a / (2 - a) * joint.long_run * 2 * np.log(max(m, 2)))
        self._floor = ZONE_JOINT + joint.error

    def log_bets(self, centred: Array, counts: Array) -> Array:
        """Log bets (rows, rates) of a block's rows y - mean (rows, d), each counted so much; moves the lean on."""
        rows = len(centred)
        joint = self.joint
        u = np.clip(centred[:, : len(joint.project)] @ joint.project, -CLIP, CLIP)
        counted = u * counts[:, None]
        before = _WEIGHTS[:, :rows, :rows] @ counted + _DECAY[:, :rows, None] * self.lean[:, None, :]
        size = np.minimum(np.maximum(np.abs(before) - self._threshold[:, None], 0) / joint.long_run, 1.0)
        tilt = np.copysign(size, before)
        cost = 0.5 * ((size * size) @ joint.long_run + (tilt @ joint.axes) ** 2 @ joint.extra)
        gain = np.einsum("rtm,tm->rt", tilt, u) - size @ self._floor - cost
        fade = (1 - LEAN_RATES[:, None]) ** np.arange(rows - 1, -1, -1)
        self.lean = self.lean * _DECAY[:, rows, None] + LEAN_RATES[:, None] * (fade @ counted)
        bounded: Array = np.clip(gain, *STEP).T
        return bounded


class Evidence:
    """All kinds of evidence of one view, for one reference.

    Attributes
    ----------
    sums, weights
        Shiryaev-Roberts sums, one per bet, and their weights, one in all.
    """

    def __init__(self, view: View, mean: Array) -> None:
        self.view = view
        self._mean = mean
        self.leaning = [LeaningBet(joint) for joint in view.joints]
        singles = view.singles
        self._norm = np.exp(-singles.log_norm - _zone_cost(singles.error))
        self._rates = [_rate_bets(view.rates), _rate_bets(view.failures)]
        sizes = [len(LEAN_RATES)] * len(self.leaning) + [
            self._norm.size,
            *(len(columns) for columns, _, _ in self._rates),
        ]
        names = [*("joint", "residual")[: len(self.leaning)], "single", "rate", "failure"]
        kept = [(name, size) for name, size in zip(names, sizes, strict=True) if size]
        self.kinds = [name for name, _ in kept]
        self._cuts = np.cumsum([0] + [size for _, size in kept])
        shares = [np.full(size, 1 / size) for _, size in kept]
        if "failure" in self.kinds and view.any_failure is not None:
            shares[-1] = _half_on(self._rates[1][0] == view.any_failure)
        self.weights = np.concatenate(shares or [np.empty(0)]) / max(len(kept), 1)
        self.sums = np.zeros(len(self.weights))

    def restart(self) -> None:
        """Forget all evidence so far."""
        self.sums = np.zeros(len(self.weights))
        for bet in self.leaning:
            bet.lean[:] = 0

    def block(self, y: Array, counts: Array) -> Array:
        """Take a block's rows (rows <= BLOCK, d); evidence after each row (rows), to hold against the threshold.

        `counts` (rows) in (0, 1] says for how much of an event each row counts: a repetition tells less than news.
        """
        rows = len(y)
        if not len(self.sums):
            return np.zeros(rows)
        bets = [np.exp(bet.log_bets(y - self._mean, counts)) for bet in self.leaning]
        singles = self.view.singles
        if len(singles.columns):
            z = np.clip(y[:, singles.columns], -CLIP, CLIP)
            bets.append((tilts(z).transpose(1, 0, 2) * self._norm).reshape(rows, -1))
        bets.extend(miss + y[:, columns] * hit for columns, hit, miss in self._rates)
        growth = np.concatenate(bets, axis=1)
        if counts.min() < 1.0:
            growth **= counts[:, None]
        path = np.empty_like(growth)
        before = self.sums
        for after, factor in zip(path, growth, strict=True):
            np.add(before, 1.0, out=after)
            after *= factor
            before = after
        # Within a block sums grow by e^96 at most, so a ceiling per block keeps them finite.
        self.sums = np.minimum(before, CEILING)
        total: Array = path @ self.weights
        return total

    def total(self) -> float:
        """All evidence now."""
        return float(self.sums @ self.weights) if len(self.sums) else 0.0

    def told(self) -> frozenset[str]:
        """The kinds of evidence that hold at least a hundredth of all."""
        held = np.add.reduceat(self.sums * self.weights, self._cuts[:-1]) if len(self.sums) else np.empty(0)
        return frozenset(kind for kind, part in zip(self.kinds, held, strict=True) if part >= 0.01 * held.sum())

    def renewed(self, view: View, mean: Array) -> Evidence:
        """The same sums with the bets of a reference that matured; where bets lean is learned anew."""
        new = Evidence(view, mean)
        if len(new.sums) == len(self.sums):
            new.sums = self.sums
        return new

    def by_column(self, d: int) -> Array:
        """Evidence for each watched column alone (d), the mean over its bets; 0 for columns that are not bet on."""
        out = np.zeros(d)
        cut = dict(zip(self.kinds, self._cuts[:-1], strict=True))
        columns = self.view.singles.columns
        if len(columns):
            part = self.sums[cut["single"] : cut["single"] + len(PLACE) * len(columns)]
            out[columns] = part.reshape(len(PLACE), -1).mean(0)
        for kind, (of_bet, _, _) in zip(("rate", "failure"), self._rates, strict=True):
            if len(of_bet):
                part = self.sums[cut[kind] : cut[kind] + len(of_bet)]
                np.add.at(out, of_bet, part / len(RATE_STEPS))
        return out

    def state(self) -> tuple[Array, list[Array]]:
        """The state as it is now, for `rewind`."""
        return self.sums.copy(), [bet.lean.copy() for bet in self.leaning]

    def rewind(self, state: tuple[Array, list[Array]]) -> None:
        """Go back to a `state`."""
        self.sums = state[0]
        for bet, lean in zip(self.leaning, state[1], strict=True):
            bet.lean = lean

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [pack(self.sums), [pack(bet.lean) for bet in self.leaning]]

    def restore(self, plain: list[Any]) -> None:
        """Take over what `plain` described; the reference must be the same."""
        sums, leans = plain
        self.sums = unpack(sums)
        for bet, lean in zip(self.leaning, leans, strict=True):
            bet.lean = unpack(lean)


def _zone_cost(error: Array) -> Array:
    """What the best place and spread within the zone of indifference would earn the bets on single numbers (bets, k).

    The zone is an ellipse around mean 0 and variance 1; the standard error of a mean is `error` (k). For z normal with
    mean m and variance v, log E e^(a z + b z^2) = (a m + b m^2 + a^2 v / 2) / (1 - 2 b v) - log(1 - 2 b v) / 2.
    """
    a, b = PLACE[:, None], SPREAD[:, None]

    def expected(m: Array | float, v: Array | float) -> Array:
        rest = np.maximum(1 - 2 * b * v, 0.05)
        out: Array = (a * m + b * m * m + a * a * v / 2) / rest - np.log(rest) / 2
        return out

    place, spread = ZONE_SINGLE + error, np.minimum(ZONE_SPREAD + np.sqrt(2) * error, 0.9)
    around = 2 * np.pi * np.arange(_AROUND) / _AROUND
    cost: Array = np.max([expected(place * np.cos(t), 1 + spread * np.sin(t)) for t in around], axis=0)
    return cost - expected(0.0, 1.0)


def _half_on(chosen: NDArray[np.bool_]) -> Array:
    """Weights, one in all, of which the chosen bets have half."""
    if chosen.all() or not chosen.any():
        return np.full(len(chosen), 1 / len(chosen))
    return np.where(chosen, 0.5 / chosen.sum(), 0.5 / (~chosen).sum())


def _rate_bets(rates: Rates) -> tuple[NDArray[np.intp], Array, Array]:
    """Column of each bet, and its factors: miss where the flag is 0, miss + hit where it is 1.

    A rate whose bound lies too near 0 (or 1) gets no bets on falling (or rising).
    """
    rising = rates.upper < 1 - SMALLEST_FALLING / 2
    falling = rates.lower > SMALLEST_FALLING
    columns, hits, misses = [], [], []
    for step in RATE_STEPS:
        bound = rates.upper[rising]
        other = np.minimum(0.995, bound + step * (1 - bound))
        columns.append(rates.columns[rising])
        hits.append(np.log(other / bound) / rates.long_run[rising])
        misses.append(np.log((1 - other) / (1 - bound)) / rates.long_run[rising])
    for fall in RATE_FALLS:
        bound = rates.lower[falling]
        other = np.maximum(0.002, bound * fall)
        columns.append(rates.columns[falling])
        hits.append(np.log(other / bound) / rates.long_run[falling])
        misses.append(np.log((1 - other) / (1 - bound)) / rates.long_run[falling])
    miss = np.exp(np.concatenate(misses))
    return np.concatenate(columns), np.exp(np.concatenate(hits)) - miss, miss
