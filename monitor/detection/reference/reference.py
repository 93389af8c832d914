"""What is normal for a stream: the reference, and what evidence derives from it.

A reference keeps no rows. It is a layout (which columns are watched), a rank map (knots per number), and moments of the
resulting scores; from these come means, the whitening of correlated features, long-run variances (so that a stream pays
for autocorrelation only if its reference shows it) and credible bounds of every rate. It is uncertain, and says so: all
floors of evidence widen with the standard error, which counts *distinct* events, since a thousand repetitions of ten
prompts tell what ten prompts tell. Below `GROWN` rows the error counts for more (`young_widening`), so that judging can
begin early without false alarms: a young stream finds large changes first, small ones as its reference grows.

A reference goes on maturing: blocks that stayed calm are added to the moments after a delay, until it is frozen.
Then what was derived is all that is kept of it.
The rank map and the layout are those of the warm-up; any monotone map would do, since its distribution is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, ndtri

from monitor.detection.columns.flags import ANY_FAILURE, FlagKind
from monitor.detection.columns.normal_scores import RankMap, RankMapState
from monitor.detection.columns.recent_rows import Segments
from monitor.detection.columns.watched_columns import WatchedColumns, WatchedColumnsState
from monitor.detection.reference.moments import CLIP, PLACE, SCALES, SPREAD, Moments, MomentsState
from monitor.detection.reference.stratification import Stratification, StratificationState
from monitor.detection.reference.views import (
    Array32,
    Joint,
    JointState,
    Rates,
    Singles,
    View,
    ViewState,
)
from monitor.detection.reference.young_reference import GROWN
from monitor.detection.reference.zones import young_widening, zone_cost
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.features.families.dependencies import is_keyed

Array = NDArray[np.float64]

SHRINKAGE = 0.2
"""Least weight of the identity in the shrunken correlation; a young reference with many features takes more."""
SMALLEST_SD = 0.05
"""Standard deviations are never taken below this: a flag never seen in the reference must not be infinitely telling."""
LEADING = 3
"""Eigenvectors of the lag-1 covariance along which autocorrelation is allowed for on top of single coordinates."""
WANDERS = 2.0
"""How many times its usual wandering a level may be off and still count as the same."""
SURE = 0.9
"""Credible level of a rate's bounds."""
LIKELY = 0.6
"""The least credible level of a fault's rate: enough where its error is small beside the first bet's distance."""
SURE_FAULT = 0.95
"""The most, where a rate was learned from few rows."""
FAULT_STEP = 0.03
"""How far above a fault's bound the first bet on it lies (`evidence.RATE_STEPS`)."""
FAULT_ERRORS = 3.0
"""Standard errors that the bound lies above the rate, for each first step that one standard error is long: 1.1 for a
rate of 5 % learned from 400 rows, whose error is 0.36 steps. At level 0.6 for all, two of five references lay below the
true rate, and unchanged faults of 5 to 30 % fired 4 to 9 times in 100,000 events."""


class DerivedState(StateRecord):
    """What a frozen reference keeps; `asked`, the view of the inputs, only where it is not what is bet on."""

    levels: Array32
    outputs: ViewState
    inputs: ViewState
    asked: JointState | None = None


class ReferenceState(StateRecord):
    """Of `Reference`; `derived` is None as long as it matures."""

    layout: WatchedColumnsState
    ranks: RankMapState
    strata: StratificationState
    moments: MomentsState
    distinct: float
    fill: Array
    excluded: list[str]
    derived: DerivedState | None


class Reference:
    """What is normal, derived from moments.

    Parameters
    ----------
    layout, ranks, strata
        Which columns are watched, their normal scores, and what each class of rows has of them by nature.
    moments
        Means over the reference's rows, less `base`.
    distinct
        How many different events the rows are of.
    fill
        Rate of each flag, taken where an event lacks it (m).
    excluded
        Numbers that are described but not bet on: each has its own detector. Flags never leave the evidence, those
        made of such a number (its tail, whether it is not zero) included: no detector of a single number judges them.
    derived
        What a frozen reference holds in place of moments, as in its snapshot.

    Attributes
    ----------
    asked
        The whitened view of the inputs, bet on or not: other inputs explain other outputs. None without inputs.
    frozen
        Whether it matures no further.
    """

    def __init__(
        self,
        layout: WatchedColumns,
        ranks: RankMap,
        strata: Stratification,
        moments: Moments,
        distinct: float,
        fill: Array,
        excluded: frozenset[str] = frozenset(),
        derived: DerivedState | None = None,
    ) -> None:
        self.layout = layout
        self.ranks = ranks
        self.strata = strata
        self.moments = moments
        self.fill = fill
        self.distinct = distinct
        # Snapshots of earlier versions name flags and categories here, too.
        self.excluded = excluded & frozenset(self.layout.numbers)
        names = [*self.layout.numbers, *(flag.feature for flag in self.layout.flags)]
        self.is_input = np.asarray([name.startswith("input") for name in names], dtype=bool)
        # How much numbers of one dependency spread depends on how often it is called: bets are on their tails alone.
        self.is_keyed = np.asarray([is_keyed(name) for name in self.layout.numbers], dtype=bool)
        self.mean: NDArray[np.floating[Any]]
        self.variance: NDArray[np.floating[Any]]
        self.wander: NDArray[np.floating[Any]]
        self.frozen = derived is not None
        if derived is None:
            self.derive()
            return
        self._count()
        self._hold(derived.levels)
        self.outputs, self.inputs = View.from_state(derived.outputs), View.from_state(derived.inputs)
        self.asked = self._asked() if derived.asked is None else Joint.from_state(derived.asked)

    def _hold(self, levels: Array32) -> None:
        self.mean, self.variance, self.wander = levels

    @property
    def sd(self) -> Array:
        """Standard deviations (d), as far as they are believed."""
        return np.asarray(np.maximum(np.sqrt(self.variance), SMALLEST_SD))

    @property
    def base(self) -> Array:
        """What moments are about (d): 0 for the scores of numbers, `fill` for flags."""
        return base_of(len(self.layout.numbers), self.fill)

    def derive(self) -> None:
        """Work out means, covariance and the two views from the moments as they are now."""
        self._count()
        moments = self.moments
        away = moments.first.astype(np.float64)
        self.mean = self.base + away
        core = moments.core
        outer = np.outer(away[:core], away[:core])
        runs = list(zip(SCALES, moments.counts[2:].tolist(), strict=True))
        self._covariance = moments.matrix(0) - outer
        self._lagged = moments.matrix(1) - outer
        self._runs = [(scale, k, moments.matrix(2 + i) - outer) for i, (scale, k) in enumerate(runs)]
        rare = moments.own - away[core:] ** 2
        self._rare_variance, self._rare_lagged = rare[0], rare[1]
        self._rare_runs = [(scale, k, own) for (scale, k), own in zip(runs, rare[2:], strict=True)]
        self.variance = np.maximum(np.concatenate([np.diag(self._covariance), self._rare_variance]), 0)
        self.wander = WANDERS * self._alone(np.arange(moments.d))[1]
        bet = np.ones(moments.d, dtype=bool)
        free = np.asarray([name not in self.excluded for name in self.layout.numbers], dtype=bool)
        bet[: len(free)] = free & ~self.is_keyed
        # What is asked explains what is answered, whoever watches it.
        self.outputs = self._view(~self.is_input & bet, given=self.is_input)
        self.inputs = self._view(self.is_input & bet, given=None)
        self.asked = self._asked()
        if self.excluded and self.is_input[: len(self.is_keyed)].any():
            joints = self._view(self.is_input, given=None).joints
            self.asked = joints[0] if joints else None
        # Only the views need these; a process holds thousands of references.
        del self._covariance, self._lagged, self._runs, self._rare_lagged, self._rare_runs, self._rare_variance

    def _asked(self) -> Joint | None:
        return self.inputs.joints[0] if self.inputs.joints else None

    def freeze(self) -> None:
        """It matures no further: what is derived stays, as exact as a snapshot has it, and moments go."""
        self.frozen = True
        others = [] if self.asked is None or self.asked is self._asked() else [self.asked]
        for joint in (*self.outputs.joints, *self.inputs.joints, *others):
            joint.project = joint.project.astype(np.float16).astype(np.float32)
        self._hold(self._levels())
        self.moments = self.moments.counts_alone()

    def _count(self) -> None:
        self.n = self.moments.n
        # The widening is about the fixed zones of numbers; bounds of rates are credible ones at any number of rows.
        widening = young_widening(self.n) if self.layout.numbers else 1.0
        self.effective = max(min(float(self.distinct), float(self.n)), self.n / 6) / widening**2

    @property
    def young(self) -> bool:
        """Whether it has so few rows that its errors count for more, and small changes are not yet found."""
        return self.n < GROWN

    def _levels(self) -> Array32:
        return np.stack([self.mean, self.variance, self.wander]).astype(np.float32)

    def _view(self, columns: NDArray[np.bool_], given: NDArray[np.bool_] | None) -> View:
        moments = self.moments
        here = np.flatnonzero(columns)
        common = here[here < moments.core]
        select = np.zeros((moments.core, len(common)))
        select[common, np.arange(len(common))] = 1.0
        joints = [self._joint(select)] if len(common) else []
        if given is not None and len(common):
            known = np.flatnonzero(given[: moments.core])
            if len(known):
                joints.append(self._joint(self._residual(select, known)))
        numbers = here[here < moments.numbers]
        flags = here[here >= moments.numbers]
        faults = np.asarray([self.layout.flags[j - moments.numbers].failure for j in flags], dtype=bool)
        place = self.layout.flag_place(ANY_FAILURE, FlagKind.ANY_FAILURE)
        return View(
            joints,
            self._singles(numbers),
            self._rates(flags[~faults]),
            # Bets on faults start 3 points above the bound: a zone of indifference that needs no other.
            self._rates(flags[faults], self._fault_level(flags[faults]), wider=1.0),
            None if place is None else moments.numbers + place,
        )

    def _residual(self, select: Array, given: NDArray[np.intp]) -> Array:
        """Projection onto what a ridge regression on the given columns leaves of the selected ones."""
        within = self._covariance[np.ix_(given, given)] / np.outer(self.sd[given], self.sd[given])
        across = (self._covariance[given] @ select) / self.sd[given][:, None]
        ridge = 0.05 + len(given) / self.effective
        slopes = np.linalg.solve(within + ridge * np.eye(len(given)), across)
        residual = select.copy()
        residual[given] -= slopes / self.sd[given][:, None]
        return residual

    def _joint(self, base: Array) -> Joint:
        covariance = base.T @ self._covariance @ base
        d = len(covariance)
        sd = np.maximum(np.sqrt(np.maximum(np.diag(covariance), 0)), SMALLEST_SD)
        correlation = covariance / np.outer(sd, sd)
        shrinkage = min(0.6, max(SHRINKAGE, 2.0 * d / self.effective))
        values, vectors = np.linalg.eigh((1 - shrinkage) * correlation + shrinkage * np.eye(d))
        whiten = (vectors / np.sqrt(np.maximum(values, 1e-9))) @ vectors.T
        spread = np.maximum(np.sqrt(np.maximum(np.diag(whiten @ correlation @ whiten), 0)), 0.3)
        project = base @ (whiten / sd[:, None] / spread[None, :])
        long_run, wander = self._long_run(project)
        neighbours = project.T @ self._lagged @ project
        values, vectors = np.linalg.eigh((neighbours + neighbours.T) / 2)
        r, axes = values[-LEADING:], vectors[:, -LEADING:].copy()
        r = np.where(r > 1.15 * 2 * np.sqrt(d / (2 * self.n)), np.minimum(r, 0.9), 0.0)
        error = np.sqrt(long_run / self.effective) + WANDERS * wander
        extra = (1 + r) / (1 - r) - 1
        skew = self._skew(project)
        return Joint(*(part.astype(np.float32) for part in (project, long_run, axes, extra, error, skew)))

    def _skew(self, project: Array) -> Array:
        """What a projection (core, m) of the columns has over normal scores, at tilts of 1 and -1 (2, m); at least 0.

        Numbers are normal scores already. Of a flag with the rate p, e^(w (y - p)) is known in the mean for any weight
        w; flags are taken as independent.
        """
        numbers, core = self.moments.numbers, self.moments.core
        p = np.clip(self.mean[numbers:core].astype(np.float64), 1e-3, 1 - 1e-3)[:, None]
        weights = np.stack([project[numbers:core], -project[numbers:core]])
        weights = np.clip(weights, -CLIP, CLIP)
        normal = weights**2 * p * (1 - p) / 2
        over = np.log(p * np.exp(weights * (1 - p)) + (1 - p) * np.exp(-weights * p)) - normal
        return np.asarray(np.maximum(over.sum(1), 0))

    def _long_run(self, project: Array) -> tuple[Array, Array]:
        """Long-run over marginal variance of each projected coordinate (never below 1), and its level's wandering."""

        def along(matrix: Array) -> Array:
            return np.asarray(np.einsum("ij,ij->j", project, matrix @ project))

        return self._inflation(
            along(self._covariance), along(self._lagged), [(scale, k, along(means)) for scale, k, means in self._runs]
        )

    def _inflation(self, variance: Array, lagged: Array, runs: list[tuple[int, int, Array]]) -> tuple[Array, Array]:
        """Long-run over marginal variance (d), and the wandering of the level in standard deviations (d).

        The long run is that of means of runs (batch means) or that of the first autocorrelation, whichever says more.
        Where means of longer runs vary by more than that leaves room for, the level itself wanders (long memory): no
        number of events makes a mean surer than that.
        """
        variance = np.maximum(variance, 1e-4)
        ratio = np.ones(len(variance))
        wander = np.zeros(len(variance))
        shorter: Array | None = None
        for scale, k, means in runs:
            if k < 8:
                break
            own = means * scale / variance
            surely = own * (1 - np.sqrt(2 / k))
            ratio = np.maximum(ratio, surely)
            if shorter is not None:
                wander = np.maximum(wander, (surely - np.maximum(shorter, 1)) / scale)
            shorter = own
        r = np.clip(lagged / variance - 1 / np.sqrt(self.n), 0, 0.9)
        longest: Array = np.maximum(ratio, (1 + r) / (1 - r))
        return longest, np.sqrt(wander)

    def _alone(self, columns: NDArray[np.intp]) -> tuple[Array, Array]:
        """Long-run over marginal variance of single columns, and how far their levels wander."""

        def own(common: Array, rare: Array) -> Array:
            return np.concatenate([np.diag(common), rare])[columns]

        return self._inflation(
            own(self._covariance, self._rare_variance),
            own(self._lagged, self._rare_lagged),
            [
                (scale, k, own(means, rare))
                for (scale, k, means), (_, _, rare) in zip(self._runs, self._rare_runs, strict=True)
            ],
        )

    def _singles(self, columns: NDArray[np.intp]) -> Singles:
        long_run, wander = self._alone(columns)
        earned, squared = self.moments.tilted[:, :, columns].astype(np.float64)
        # Along a normal score z the long run is felt as var(a z + b z^2) = a^2 + 2 b^2.
        unsure = np.sqrt(np.maximum(squared - earned * earned, 0) / self.n * long_run)
        log_norm = np.log1p(earned + unsure) + (long_run - 1) * (PLACE**2 + 2 * SPREAD**2)[:, None] / 2
        error = np.sqrt(long_run / self.effective) + WANDERS * wander
        return Singles(columns, (log_norm + zone_cost(error)).astype(np.float32), error)

    def _fault_level(self, columns: NDArray[np.intp]) -> Array:
        """Credible level of the upper bound of each fault's rate: higher where the rate is less certain."""
        _, a, b = self._posterior(columns)
        error = np.sqrt(a * b / (a + b + 1)) / (a + b)
        usual = float(ndtri(LIKELY))
        return np.asarray(np.minimum(ndtr(np.maximum(usual, FAULT_ERRORS * error / FAULT_STEP)), SURE_FAULT))

    def _rates(self, columns: NDArray[np.intp], sure: float | Array = SURE, wider: float = 1.15) -> Rates:
        """Bounds of rates: the upper one of this credible level, and by so much wider."""
        long_run, a, b = self._posterior(columns)
        upper = np.minimum(0.99, betaincinv(a, b, sure) * wider + 0.001)
        lower = betaincinv(a, b, 1 - SURE) / 1.15
        return Rates(columns, *(part.astype(np.float32) for part in (upper, lower, long_run)))

    def _posterior(self, columns: NDArray[np.intp]) -> tuple[Array, Array, Array]:
        """Long-run variance of flags, and the beta distribution of their rates (Jeffreys' prior)."""
        rate = np.clip(self.mean[columns], 0, 1)
        long_run, _ = self._alone(columns)
        seen = self.effective / long_run
        return long_run, rate * seen + 0.5, (1 - rate) * seen + 0.5

    def scores(self, numbers: NDArray[np.float16], flags: Array, segments: Sequence[Segments]) -> Array:
        """Rows y (n, d) from compressed numbers (n, k) and flags (n, m), NaN for missing, and the rows' segments."""
        z = self.strata.take_off(self.ranks.scores(numbers), segments)
        return np.concatenate([z, np.where(np.isfinite(flags), flags, self.fill)], axis=1)

    def to_state(self) -> ReferenceState:
        """For a snapshot."""
        return ReferenceState(
            self.layout.to_state(),
            self.ranks.to_state(),
            self.strata.to_state(),
            self.moments.to_state(),
            self.distinct,
            self.fill,
            sorted(self.excluded),
            self._derived() if self.frozen else None,
        )

    @classmethod
    def from_state(cls, state: ReferenceState) -> Reference:
        """The reference that `state` described."""
        return cls(
            WatchedColumns.from_state(state.layout),
            RankMap.from_state(state.ranks),
            Stratification.from_state(state.strata),
            Moments.from_state(state.moments),
            state.distinct,
            state.fill,
            frozenset(state.excluded),
            state.derived,
        )

    def _derived(self) -> DerivedState:
        own = None if self.asked is None or self.asked is self._asked() else self.asked.to_state()
        return DerivedState(self._levels(), self.outputs.to_state(), self.inputs.to_state(), own)


def base_of(numbers: int, fill: Array) -> Array:
    """What moments of rows are about (d), that many numbers and then flags: about their mean."""
    return np.concatenate([np.zeros(numbers), fill])
