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

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import Segments
from monitor.detection.evidence.directional_bet import LEAN_RATES, DirectionalBet
from monitor.detection.evidence.segment_bet import SegmentBet, chosen
from monitor.detection.reference.moments import CLIP, GRAIN, PLACES
from monitor.detection.reference.reference import Array32, Rates, View
from monitor.detection.reference.segment_means import SegmentMeans
from monitor.detection.state.jit import compiled
from monitor.detection.state.snapshot_codec import pack, unpack

Array = NDArray[np.float64]

CEILING = 1e20
"""Of a single sum: far above any threshold, and finite in single precision whatever the next row makes of it."""
RATE_STEPS = np.array([0.03, 0.08, 0.2, 0.5])
"""Alternatives for a rate that rose: this share of the way from its upper bound to 1."""
RATE_FALLS = np.array([0.7, 0.4, 0.1, 0.03])
"""Alternatives for a rate that fell: its lower bound times this."""
FAULTS_SLOW_FIRST = np.array([0.55, 0.25, 0.13, 0.07])
"""Weights of the alternatives of a fault's rate, nearest first: where little has changed, a factor e of weight is worth
ten or twenty events, and a rate that jumps is found in a few whatever its weight. With more on the nearest, other
questions to the same model, which it answers a little more brokenly, ring."""
ANY_FAILURE_SHARE = 0.7
"""Of the weight of faults, what is on an event's having any."""
KINDS = {"failure": 3.0}
"""Weights of kinds of evidence, 1 for the others: faults are few, and the rarest of changes that people care for."""
_NONE_MISSING = np.zeros((0, 0), dtype=np.bool_)
SMALLEST_FALLING = 0.05
"""A rate whose lower bound is below this gets no bets on falling: a bound above the true rate would win for ever."""


class Evidence:
    """All kinds of evidence of one view, for one reference.

    Attributes
    ----------
    sums, weights
        Shiryaev-Roberts sums, one per bet, and their weights, one in all.
    """

    def __init__(self, view: View, mean: NDArray[np.floating[Any]], segments: SegmentMeans | None = None) -> None:
        self.view = view
        self._mean = mean.astype(np.float32, copy=False)
        self.leaning = [DirectionalBet(joint) for joint in view.joints]
        within = chosen(segments) if segments is not None and view.joints else []
        self.within = [SegmentBet(view.joints[-1], name, segments, mean) for name in within if segments is not None]
        rates, rate = _rate_bets(view.rates)
        failures, failure = _rate_bets(view.failures, FAULTS_SLOW_FIRST)
        self._rates = rates.joined(failures)
        if view.any_failure is not None:
            failure = _mostly(failures.columns == view.any_failure, failure)
        priors = {
            **{name: np.ones(len(LEAN_RATES)) for name in ("joint", "residual")[: len(self.leaning)]},
            "within": np.ones(len(LEAN_RATES) * len(self.within)),
            "single": np.ones(view.singles.log_norm.size),
            "rate": rate,
            "failure": failure,
        }
        kept = {name: prior * KINDS.get(name, 1.0) / prior.sum() for name, prior in priors.items() if len(prior)}
        self.kinds = list(kept)
        self._cuts = np.cumsum([0] + [len(prior) for prior in kept.values()])
        weights = np.concatenate([*kept.values(), np.empty(0)])
        self.weights: Array32 = (weights / max(weights.sum(), 1.0)).astype(np.float32)
        self.sums: Array32 = np.zeros(len(self.weights), dtype=np.float32)

    def restart(self) -> None:
        """Forget all evidence so far."""
        self.sums = np.zeros_like(self.weights)
        for bet in self.leaning:
            bet.lean[:] = 0
        for apart in self.within:
            apart.restart()

    def block(
        self, y: Array, counts: Array, where: Sequence[Segments], missing: NDArray[np.bool_] | None = None
    ) -> Array:
        """Take a block's rows (rows, d); evidence after each row (rows), to hold against the threshold.

        `counts` (rows) in (0, 1] says for how much of an event each row counts: a repetition tells less than news.
        `where` (rows) is each row's segments, `missing` (rows, numbers) where a number has no value: a bet on a
        narrower spread must not take the score 0 that stands there for evidence.
        """
        rows = len(y)
        if not len(self.sums):
            return np.zeros(rows)
        # Single precision is a hundred-thousandth of what an indifference zone gives away, and several times as quick.
        z = y.astype(np.float32)
        counted = counts.astype(np.float32)
        centred = z - self._mean
        whitened = [bet.whitened(centred) for bet in self.leaning]
        logs = [bet.log_bets(u, counted) for bet, u in zip(self.leaning, whitened, strict=True)]
        logs.extend(apart.log_bets(whitened[-1], counted, where) for apart in self.within)
        growth = np.empty((rows, len(self.sums)), dtype=np.float32)
        done = 0
        for log in logs:
            growth[:, done : (done := done + log.shape[1])] = np.exp(log)
        singles = self.view.singles
        if len(singles.columns):
            powers = np.exp(_exponents(z, singles.columns))
            absent = _NONE_MISSING if missing is None or not missing.any() else missing.take(singles.columns, axis=1)
            _bet_on_numbers(powers[0], powers[1], absent, np.exp(-singles.log_norm), growth, done)
            done += singles.log_norm.size
        _bet_on_flags(z, *self._rates, growth, done)
        repeated = np.flatnonzero(counted < 1)
        growth[repeated] = np.exp(np.log(growth[repeated]) * counted[repeated, None])
        _accumulate(self.sums, growth)
        total: Array = (growth @ self.weights).astype(np.float64)
        return total

    def total(self) -> float:
        """All evidence now."""
        return float(self.sums @ self.weights) if len(self.sums) else 0.0

    def told(self) -> frozenset[str]:
        """The kinds of evidence that hold at least a hundredth of all."""
        held = self._held()
        least = 0.01 * sum(held.values())
        return frozenset(kind for kind, part in held.items() if part >= least)

    def foremost(self) -> str | None:
        """The kind of evidence that holds most, if there is any."""
        held = self._held()
        return max(held, key=held.__getitem__, default=None)

    def _held(self) -> dict[str, float]:
        parts = np.add.reduceat(self.sums * self.weights, self._cuts[:-1]) if len(self.sums) else np.empty(0)
        return dict(zip(self.kinds, parts.tolist(), strict=True))

    def carrier(self) -> tuple[str, str] | None:
        """The segment that holds most of the evidence, if bets within segments hold most of it."""
        if "within" not in self.kinds:
            return None
        place = self.kinds.index("within")
        start, stop = self._cuts[place : place + 2]
        held = self.sums * self.weights
        if held[start:stop].sum() < 0.5 * held.sum():
            return None
        bet = self.within[int(np.argmax(held[start:stop].reshape(len(self.within), -1).sum(1)))]
        value = bet.furthest()
        return None if value is None else (bet.attribute, value)

    def renewed(self, view: View, mean: NDArray[np.floating[Any]], segments: SegmentMeans | None = None) -> Evidence:
        """The same sums with the bets of a reference that matured; where bets lean is learned anew."""
        new = Evidence(view, mean, segments)
        same = [bet.attribute for bet in new.within] == [bet.attribute for bet in self.within]
        if same and len(new.sums) == len(self.sums):
            new.sums = self.sums
        return new

    def by_column(self, d: int) -> Array:
        """Evidence for each watched column alone (d), the mean over its bets; 0 for columns that are not bet on."""
        out = np.zeros(d)
        cut = dict(zip(self.kinds, self._cuts[:-1], strict=True))
        columns = self.view.singles.columns
        if len(columns):
            part = self.sums[cut["single"] : cut["single"] + len(PLACES) * len(columns)]
            out[columns] = part.reshape(len(PLACES), -1).mean(0)
        part = self.sums[len(self.sums) - len(self._rates.columns) :]
        np.add.at(out, self._rates.columns, part / len(RATE_STEPS))
        return out

    def state(self) -> tuple[Array32, list[Array32], list[tuple[int, Array32]]]:
        """The state as it is now, for `rewind`."""
        return self.sums.copy(), [bet.lean.copy() for bet in self.leaning], [bet.state() for bet in self.within]

    def rewind(self, state: tuple[Array32, list[Array32], list[tuple[int, Array32]]]) -> None:
        """Go back to a `state`."""
        self.sums = state[0].copy()
        for bet, lean in zip(self.leaning, state[1], strict=True):
            bet.lean = lean.copy()
        for apart, held in zip(self.within, state[2], strict=True):
            apart.rewind(held)

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [pack(self.sums), [pack(bet.lean) for bet in self.leaning], [bet.plain() for bet in self.within]]

    def restore(self, plain: list[Any]) -> None:
        """Take over what `plain` described, of the same reference.

        Where that was written with other bets (an earlier version left flags out of a reference that still matures),
        evidence starts from zero.
        """
        sums, leans, apart = plain
        held = unpack(sums)
        if held.shape != self.sums.shape:
            return
        self.sums = held
        for bet, lean in zip(self.leaning, leans, strict=True):
            bet.lean = unpack(lean)
        for within, segments in zip(self.within, apart, strict=True):
            within.restore(segments)


@compiled
def _exponents(z: Array32, columns: NDArray[np.intp]) -> Array32:
    """A grain of each of these columns' scores, and of their squares (2, rows, k), of rows z (rows, d)."""
    clip, grain = np.float32(CLIP), np.float32(GRAIN)
    out = np.empty((2, len(z), len(columns)), dtype=np.float32)
    for row in range(len(z)):
        for i in range(len(columns)):
            score = min(max(z[row, columns[i]], -clip), clip)
            out[0, row, i] = grain * score
            out[1, row, i] = grain * score * score
    return out


@compiled
def _bet_on_numbers(
    place: Array32, spread: Array32, missing: NDArray[np.bool_], normed: Array32, out: Array32, first: int
) -> None:
    """Write what the fixed bets on single numbers multiply by to `out` (rows, bets), from its column `first` on.

    `place` and `spread` (rows, k) are e^z and e^(z^2) of the scores z, a grain of each: a bet multiplies by the powers
    that `PLACES` and `SPREADS` say, written out here as few products, and by its share of `normed` (bets, k). Where a
    number is `missing` (rows, k; empty if none is), the score 0 stands in its place, and no bet on a narrower spread
    may take it for evidence.
    """
    rows, k = place.shape
    bets = len(normed)
    one = np.float32(1)
    for row in range(rows):
        to = out[row, first : first + bets * k].reshape(bets, k)
        for i in range(k):
            up, wide = place[row, i], spread[row, i]
            down, narrow = one / up, one / wide
            up3, down3 = up * up * up, down * down * down
            up6, down6 = up3 * up3, down3 * down3
            up7, down7 = up6 * up, down6 * down
            up14, down14 = up7 * up7, down7 * down7
            wide3 = wide * wide * wide
            narrow2 = narrow * narrow
            narrow8 = narrow2 * narrow2 * narrow2 * narrow2
            narrow10 = narrow8 * narrow2
            to[0, i] = up3 * normed[0, i]
            to[1, i] = up7 * normed[1, i]
            to[2, i] = up14 * normed[2, i]
            to[3, i] = down3 * normed[3, i]
            to[4, i] = down7 * normed[4, i]
            to[5, i] = down14 * normed[5, i]
            to[6, i] = up14 * up * up * narrow10 * normed[6, i]
            to[7, i] = narrow8 * normed[7, i]
            to[8, i] = down14 * down * down * narrow10 * normed[8, i]
            to[9, i] = up6 * wide3 * normed[9, i]
            to[10, i] = wide3 * wide * normed[10, i]
            to[11, i] = down6 * wide3 * normed[11, i]
        if missing.size:
            for i in range(k):
                if missing[row, i]:
                    for bet in range(bets):
                        to[bet, i] = min(to[bet, i], one)


@compiled
def _bet_on_flags(
    z: Array32, columns: NDArray[np.uint16], hit: Array32, miss: Array32, out: Array32, first: int
) -> None:
    """Write what bets on flags z (rows, d) multiply by to `out` (rows, bets), from its column `first` on."""
    for row in range(len(z)):
        for bet in range(len(columns)):
            out[row, first + bet] = miss[bet] + hit[bet] * z[row, columns[bet]]


@compiled
def _accumulate(sums: Array32, growth: Array32) -> None:
    """Take Shiryaev-Roberts sums (bets) on over rows of growth (rows, bets), in whose place are left the sums then."""
    ceiling = np.float32(CEILING)
    for row in range(len(growth)):
        for bet in range(len(sums)):
            sums[bet] = min((sums[bet] + np.float32(1)) * growth[row, bet], ceiling)
            growth[row, bet] = sums[bet]


def _mostly(chosen: NDArray[np.bool_], prior: Array) -> Array:
    """The prior, with `ANY_FAILURE_SHARE` of it on the chosen bets."""
    if chosen.all() or not chosen.any():
        return prior
    inside, outside = prior * chosen, prior * ~chosen
    return np.asarray(ANY_FAILURE_SHARE * inside / inside.sum() + (1 - ANY_FAILURE_SHARE) * outside / outside.sum())


class _RateBets(NamedTuple):
    """Of each bet its column, what it multiplies by (`miss` where the flag is 0, `miss + hit` where 1) and its weight.

    Where a flag is missing, and so its usual rate, a mixture of the two bets is placed.
    """

    columns: NDArray[np.uint16]
    hit: Array32
    miss: Array32

    def joined(self, others: _RateBets) -> _RateBets:
        """These and the others after them."""
        return _RateBets(
            np.concatenate([self.columns, others.columns]),
            np.concatenate([self.hit, others.hit]),
            np.concatenate([self.miss, others.miss]),
        )


def _rate_bets(rates: Rates, prior: Array | None = None) -> tuple[_RateBets, Array]:
    """Bets on flags and their weights, the alternatives weighted by `prior` (nearest first); alike by default.

    A rate whose bound lies too near 0 (or 1) gets no bets on falling (or rising).
    """
    prior = np.ones(len(RATE_STEPS)) if prior is None else prior
    upper, lower = rates.upper.astype(np.float64), rates.lower.astype(np.float64)
    rising = upper < 1 - SMALLEST_FALLING / 2
    falling = lower > SMALLEST_FALLING
    columns, hits, misses, weights = [], [], [], []

    def bet(chosen: NDArray[np.bool_], bound: Array, other: Array, weight: float) -> None:
        columns.append(rates.columns[chosen])
        # A root of a bet pays for what the long run varies by more than independent events do.
        hits.append((other / bound) ** (1 / rates.long_run[chosen]))
        misses.append(((1 - other) / (1 - bound)) ** (1 / rates.long_run[chosen]))
        weights.append(np.full(len(bound), weight))

    for step, weight in zip(RATE_STEPS, prior, strict=True):
        bound = upper[rising]
        bet(rising, bound, np.minimum(0.995, bound + step * (1 - bound)), weight)
    for fall, weight in zip(RATE_FALLS, prior, strict=True):
        bound = lower[falling]
        bet(falling, bound, np.maximum(0.002, bound * fall), weight)
    miss = np.concatenate(misses)
    hit = (np.concatenate(hits) - miss).astype(np.float32)
    return _RateBets(np.concatenate(columns).astype(np.uint16), hit, miss.astype(np.float32)), np.concatenate(weights)
