"""Sequential evidence over all features of a stream at once.

Each kind of evidence is a set of Shiryaev-Roberts sums R <- (1 + R) e^g over events (Shiryaev 1963; Roberts 1966), g
being the log of a bet against "as in the reference". For bets that are fair under the reference, R grows by one an
event on average, so an alarm at R >= A comes at most once in A events in the mean: the threshold *is* the mean number
of events between false alarms. Sums of such sums, weighted by one in all, keep that property, so evidence averages over
features and kinds without a penalty for their number. This is an e-detector (Shin, Ramdas, Rinaldo 2023).

joint    Whitened scores u. The bet is in the direction of recent u (exponentially weighted means at three rates, taken
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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import Segments
from monitor.detection.evidence.directional_bet import FORGETTING_RATES, DirectionalBet
from monitor.detection.evidence.flag_bets import (
    FAULT_STEP_WEIGHTS,
    RATE_STEPS,
    bet_on_flags,
    flag_bets,
    mostly_on_any_failure,
)
from monitor.detection.evidence.number_bets import NONE_MISSING, bet_on_numbers, exponents
from monitor.detection.evidence.segment_bet import SegmentBet, SegmentBetState, chosen
from monitor.detection.reference.moments import PLACES
from monitor.detection.reference.segment_means import SegmentMeans
from monitor.detection.reference.views import Array32, View
from monitor.detection.state.jit import compiled
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

CEILING = 1e20
"""Of a single sum: far above any threshold, and finite in single precision whatever the next row makes of it."""

KIND_WEIGHTS = {"failure": 3.0}
"""Weights of kinds of evidence, 1 for the others: faults are few, and the rarest of changes that people care for."""
MIN_SHARE_OF_AN_ACTIVE_KIND = 0.01
"""Share of all evidence that a kind must hold to have a part in an alarm: less than a hundredth decided nothing."""
MIN_SHARE_OF_SEGMENT_BETS = 0.5
"""Share of all evidence from which on bets within segments name the segment that carries a change."""


class EvidenceState(StateRecord):
    """Of `Evidence`: its sums, and the recent scores of its directional bets and of those in segments."""

    sums: NDArray[np.floating[Any]]
    recent: list[Array32]
    in_segments: list[SegmentBetState]


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
        self._directional = [DirectionalBet(joint) for joint in view.joints]
        within = chosen(segments) if segments is not None and view.joints else []
        self._in_segments = [
            SegmentBet(view.joints[-1], name, segments, mean) for name in within if segments is not None
        ]
        rates, rate = flag_bets(view.rates)
        failures, failure = flag_bets(view.failures, FAULT_STEP_WEIGHTS)
        self._flags = rates.joined(failures)
        if view.any_failure is not None:
            failure = mostly_on_any_failure(failures.columns == view.any_failure, failure)
        priors = {
            **{name: np.ones(len(FORGETTING_RATES)) for name in ("joint", "residual")[: len(self._directional)]},
            "within": np.ones(len(FORGETTING_RATES) * len(self._in_segments)),
            "single": np.ones(view.singles.log_norm.size),
            "rate": rate,
            "failure": failure,
        }
        kept = {name: prior * KIND_WEIGHTS.get(name, 1.0) / prior.sum() for name, prior in priors.items() if len(prior)}
        self.kinds = list(kept)
        self._cuts = np.cumsum([0] + [len(prior) for prior in kept.values()])
        weights = np.concatenate([*kept.values(), np.empty(0)])
        self.weights: Array32 = (weights / max(weights.sum(), 1.0)).astype(np.float32)
        self.sums: Array32 = np.zeros(len(self.weights), dtype=np.float32)

    def restart(self) -> None:
        """Forget all evidence so far."""
        self.sums = np.zeros_like(self.weights)
        for bet in self._directional:
            bet.recent[:] = 0
        for bets in self._in_segments:
            bets.restart()

    def block(
        self, y: Array, counts: Array, where: Sequence[Segments], missing: NDArray[np.bool_] | None = None
    ) -> Array:
        """Take a block's rows (rows, d); evidence after each row (rows), to compare with the threshold.

        `counts` (rows) in (0, 1] says for how much of an event each row counts: a repetition says less than news.
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
        whitened = [bet.whitened(centred) for bet in self._directional]
        logs = [bet.log_bets(u, counted) for bet, u in zip(self._directional, whitened, strict=True)]
        logs.extend(bets.log_bets(whitened[-1], counted, where) for bets in self._in_segments)
        growth = np.empty((rows, len(self.sums)), dtype=np.float32)
        done = 0
        for log in logs:
            growth[:, done : (done := done + log.shape[1])] = np.exp(log)
        singles = self.view.singles
        if len(singles.columns):
            powers = np.exp(exponents(z, singles.columns))
            absent = NONE_MISSING if missing is None or not missing.any() else missing.take(singles.columns, axis=1)
            bet_on_numbers(powers[0], powers[1], absent, np.exp(-singles.log_norm), growth, done)
            done += singles.log_norm.size
        bet_on_flags(z, *self._flags, growth, done)
        repeated = np.flatnonzero(counted < 1)
        growth[repeated] = np.exp(np.log(growth[repeated]) * counted[repeated, None])
        _accumulate(self.sums, growth)
        total: Array = (growth @ self.weights).astype(np.float64)
        return total

    def total(self) -> float:
        """All evidence now."""
        return float(self.sums @ self.weights) if len(self.sums) else 0.0

    def active_kinds(self) -> frozenset[str]:
        """The kinds of evidence with at least `MIN_SHARE_OF_AN_ACTIVE_KIND` of all."""
        by_kind = self._by_kind()
        least = MIN_SHARE_OF_AN_ACTIVE_KIND * sum(by_kind.values())
        return frozenset(kind for kind, part in by_kind.items() if part >= least)

    def strongest_kind(self) -> str | None:
        """The kind of evidence with most of it, if there is any."""
        by_kind = self._by_kind()
        return max(by_kind, key=by_kind.__getitem__, default=None)

    def _by_kind(self) -> dict[str, float]:
        parts = np.add.reduceat(self.sums * self.weights, self._cuts[:-1]) if len(self.sums) else np.empty(0)
        return dict(zip(self.kinds, parts.tolist(), strict=True))

    def carrier(self) -> tuple[str, str] | None:
        """The segment with most of the evidence, if bets within segments have most of it."""
        if "within" not in self.kinds:
            return None
        place = self.kinds.index("within")
        start, stop = self._cuts[place : place + 2]
        evidence = self.sums * self.weights
        if evidence[start:stop].sum() < MIN_SHARE_OF_SEGMENT_BETS * evidence.sum():
            return None
        bet = self._in_segments[int(np.argmax(evidence[start:stop].reshape(len(self._in_segments), -1).sum(1)))]
        value = bet.furthest()
        return None if value is None else (bet.attribute, value)

    def renewed(self, view: View, mean: NDArray[np.floating[Any]], segments: SegmentMeans | None = None) -> Evidence:
        """The same sums with the bets of a reference that matured; the direction of bets is learned again."""
        new = Evidence(view, mean, segments)
        same = [bet.attribute for bet in new._in_segments] == [bet.attribute for bet in self._in_segments]
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
        part = self.sums[len(self.sums) - len(self._flags.columns) :]
        np.add.at(out, self._flags.columns, part / len(RATE_STEPS))
        return out

    def state(self) -> tuple[Array32, list[Array32], list[tuple[int, Array32]]]:
        """The state as it is now, for `rewind`."""
        return (
            self.sums.copy(),
            [bet.recent.copy() for bet in self._directional],
            [bet.state() for bet in self._in_segments],
        )

    def rewind(self, state: tuple[Array32, list[Array32], list[tuple[int, Array32]]]) -> None:
        """Go back to a `state`."""
        self.sums = state[0].copy()
        for bet, mean in zip(self._directional, state[1], strict=True):
            bet.recent = mean.copy()
        for bets, before in zip(self._in_segments, state[2], strict=True):
            bets.rewind(before)

    def to_state(self) -> EvidenceState:
        """For a snapshot."""
        return EvidenceState(
            self.sums, [bet.recent for bet in self._directional], [bet.to_state() for bet in self._in_segments]
        )

    def restore(self, state: EvidenceState) -> None:
        """Take over what `state` described, of the same reference.

        Where that was written with other bets (an earlier version left flags out of a reference that still matures),
        evidence starts from zero.
        """
        if state.sums.shape != self.sums.shape:
            return
        self.sums = state.sums
        for bet, recent in zip(self._directional, state.recent, strict=True):
            bet.recent = recent
        for bets, segments in zip(self._in_segments, state.in_segments, strict=True):
            bets.restore(segments)


@compiled
def _accumulate(sums: Array32, growth: Array32) -> None:
    """Take Shiryaev-Roberts sums (bets) on over rows of growth (rows, bets), in whose place are left the sums then."""
    ceiling = np.float32(CEILING)
    for row in range(len(growth)):
        for bet in range(len(sums)):
            sums[bet] = min((sums[bet] + np.float32(1)) * growth[row, bet], ceiling)
            growth[row, bet] = sums[bet]
