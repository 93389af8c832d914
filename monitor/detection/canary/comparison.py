"""`VersionComparison`: two versions of one attribute, compared piece by piece while both run.

`CanaryMonitor` begins and ends comparisons and gives each the stream's rows; this module gathers those of the two
versions, bets on a difference between neighbours (`monitor.detection.evidence.two_sample`), and says when they differ
and when they agree again. Pure.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.detection.canary.difference import (
    VersionDifference,
    VersionDifferenceState,
    compared_scores,
    compared_width,
)
from monitor.detection.canary.explanation import Basis, Compared, Gain, differing, finding
from monitor.detection.columns.duplicates import Repetitions, RepetitionsState
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.diagnosis.diagnose import ERRORS_TO_NAME_A_FEATURE, MIN_ROWS_TO_CALL_A_SHIFT_SMALL
from monitor.detection.diagnosis.feature_changes import effects
from monitor.detection.diagnosis.finding_builder import Certainty
from monitor.detection.diagnosis.shift import Shift
from monitor.detection.evidence.two_sample import PIECE, TwoSampleTest, TwoSampleTestState
from monitor.detection.records.cooldown import Cooldown
from monitor.detection.records.finding import Ended, Finding, RaisedAt, Resolution, resolved
from monitor.detection.records.plain_numbers import finite
from monitor.detection.recovery.choice import columns_of_difference
from monitor.detection.recovery.column import Column
from monitor.detection.recovery.recovery import limit, not_back
from monitor.detection.reference.learned_reference import LearnedReference
from monitor.detection.reference.reference import Reference
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

FROM_THE_FIRST_ROW = 32
"""Rows of a new version within which a difference is taken to have been there from its first row on."""
MOST_GAINS = 64
"""Latest pieces whose gains are kept, for when a difference began."""
WEIGHT_TO_AGREE = 80.0
"""Rows of the rarer version, about, by which it is decided that versions agree again: a share of 2 % of faults shows
among 80 rows four times in five."""
LIMIT_TO_AGREE = limit(PIECE)
"""Log of the evidence by which they agree again."""
FEWEST_TURNS = 2
"""Changes from one version to the other within a piece, at least: one after the other is a change in time, and a single
version nothing to compare."""


class VersionComparisonState(StateRecord):
    """Of `VersionComparison`; `y`, `is_new` and `indices` are of the rows that wait."""

    attribute: str
    old: str
    new: str
    firsts: tuple[int, int]
    basis: int
    informed: bool
    open: Finding | None
    repetitions: RepetitionsState
    test: TwoSampleTestState
    difference: VersionDifferenceState
    window: VersionDifferenceState | None
    y: Array
    is_new: NDArray[np.bool_]
    indices: NDArray[np.int64]
    gains: list[Gain]
    gain_since: float
    new_rows: int
    rows: int
    cooldown: Cooldown
    tested: list[Column]


class VersionComparison:
    """One comparison: an attribute, its older and its newer value, and what their rows say.

    Parameters
    ----------
    firsts
        Stream indices of the first row of the old version and of the new one.
    normal
        The reference by which rows are scored.

    Attributes
    ----------
    open
        The finding that fires now.
    """

    def __init__(self, attribute: str, old: str, new: str, firsts: tuple[int, int], normal: LearnedReference) -> None:
        self.attribute = attribute
        self.old = old
        self.new = new
        self.firsts = firsts
        self.open: Finding | None = None
        self._informed = False  # whether it was reported as information already
        self._repetitions = Repetitions()
        self._begin(normal, self.first)

    def _begin(self, normal: LearnedReference, since: int) -> None:
        reference = normal.reference
        d = len(reference.mean)
        self._basis = normal.version
        self._test = TwoSampleTest(compared_width(reference))
        self._difference = VersionDifference(d, since)
        self._window = None if self.open is None else VersionDifference(d, since)
        self._tested: list[Column] = []
        # Rows that wait for their piece to fill: scores, whether of the new version, stream indices.
        self._y: Array = np.zeros((0, d))
        self._new: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._indices: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._gains: list[Gain] = []
        self._gain_since = 0.0  # what was gained since the versions last agreed
        self._new_rows = 0
        self._rows = 0
        self._cooldown = Cooldown()

    @property
    def first(self) -> int:
        """Stream index of the new version's first row."""
        return self.firsts[1]

    @property
    def segment(self) -> dict[str, str]:
        """The new version."""
        return {self.attribute: self.new}

    def evidence(self) -> float:
        """Evidence that the versions differ."""
        return self._test.total()

    # Rows

    def take(
        self,
        basis: Basis,
        rows: StreamRows,
        indices: NDArray[np.int64],
        y: Array,
        threshold: float,
        *,
        drift_fires: bool,
    ) -> list[Finding]:
        """Rows of the stream (n), those of other versions too, with their indices (n) and scores y (n, d).

        Returns what the comparison found. `drift_fires`: a drift that was attributed to the new version fires already,
        so that a difference is information.
        """
        if basis.normal.version != self._basis or compared_width(basis.reference) != self._test.m:
            self._begin(basis.normal, int(indices[0]))
        if not self._gather(rows, indices, y, basis.context.specs.input_length):
            return []
        findings: list[Finding] = []
        while len(self._new) >= PIECE:
            at = int(self._indices[PIECE - 1])
            crossed = self._piece(basis.reference, threshold)
            where = int(np.searchsorted(indices, at))
            raised = RaisedAt(rows.ids[where], at, finite(rows.times[where]))
            if self.open is not None:
                findings += self._agree(basis, raised)
            elif crossed:
                findings += self._examine(basis, raised, threshold, drift_fires=drift_fires)
        return findings

    def _gather(self, rows: StreamRows, indices: NDArray[np.int64], y: Array, asked: str | None) -> bool:
        """Add the rows of the two versions to those that wait; whether there were any.

        A client that asks the same again and again counts once, above all if it has one version. `asked` is the
        feature that has a value exactly where an event has an input.
        """
        values = [segments.get(self.attribute) for segments in rows.segments]
        labelled = np.asarray([(value in (self.old, self.new), value == self.new) for value in values], dtype=bool)
        mine = np.flatnonzero(labelled[:, 0] & (indices >= self.first))
        if not len(mine):
            return False
        counts = self._repetitions.counts(rows.digests[mine], rows.present(asked)[mine])
        self._repetitions.remember(rows.digests[mine])
        mine = mine[counts == 1.0]
        self._y = np.concatenate([self._y, y[mine]])
        self._new = np.concatenate([self._new, labelled[mine, 1]])
        self._indices = np.concatenate([self._indices, indices[mine]])
        return True

    def _piece(self, reference: Reference, threshold: float) -> bool:
        """Take the first `PIECE` rows that wait; whether the evidence is above the threshold."""
        y, new = self._y[:PIECE], self._new[:PIECE]
        first, last = int(self._indices[0]), int(self._indices[PIECE - 1])
        self._y, self._new, self._indices = self._y[PIECE:], self._new[PIECE:], self._indices[PIECE:]
        self._rows += PIECE
        if int((new[1:] != new[:-1]).sum()) < FEWEST_TURNS:
            return False
        if self._window is not None:
            self._test_agreement(self._window, reference, y, new)
        gain = self._test.piece(compared_scores(reference, y), new)
        self._new_rows += int(new.sum())
        self._gain_since += gain
        if self._gain_since < 0:
            self._gain_since = 0.0
            if self._new_rows > FROM_THE_FIRST_ROW:
                self._difference = VersionDifference(y.shape[1], last + 1)
                self._gains.clear()
                return False
        self._difference.add(y, new)
        self._gains = [*self._gains, Gain(first, gain)][-MOST_GAINS:]
        return self._test.total() >= threshold and self._rows >= self._cooldown.until

    def _test_agreement(
        self, window: VersionDifference, reference: Reference, y: Array, new: NDArray[np.bool_]
    ) -> None:
        """A piece's part in the test of whether what fires has ended."""
        window.add(y, new)
        weight = float(new.sum() * (~new).sum() / PIECE)
        difference = (y[new].mean(0) - y[~new].mean(0)) / reference.sd
        for column in self._tested:
            column.add(weight, weight * float(difference[column.place]))

    # Findings

    @property
    def _compared(self) -> Compared:
        return Compared(self.attribute, self.old, self.new, self.first, self._difference, self._gains)

    def _examine(self, basis: Basis, raised: RaisedAt, threshold: float, *, drift_fires: bool) -> list[Finding]:
        """The evidence crossed: a finding that fires, information, or nothing yet."""
        few = int(self._difference.counts[1]) <= MIN_ROWS_TO_CALL_A_SHIFT_SMALL
        found = differing(basis, self._compared, ERRORS_TO_NAME_A_FEATURE if few else ERRORS_TO_NAME_A_FEATURE[:1])
        if not found.changes and few:
            self._cooldown.postpone(self._rows + MIN_ROWS_TO_CALL_A_SHIFT_SMALL)
            return []
        fires = bool(found.changes) and found.driver.value in basis.context.settings.alert_on and not drift_fires
        certainty = Certainty(math.log10(max(self._test.total(), 1e-300)), math.log10(threshold))
        reported = finding(basis, self._compared, found, raised, certainty, fires=fires)
        self._test.restart()
        if fires:
            self._open(basis, reported, found.moved)
            self._cooldown.reset()
            return [reported]
        known, self._informed = self._informed, True
        self._cooldown.back_off(self._rows)
        return [] if known else [reported]

    def confirm(self, basis: Basis, drift: Finding) -> Finding | None:
        """The finding that the versions differ, where a drift was attributed to the new one and its rows confirm it."""
        if self.open is not None or basis.normal.version != self._basis or not self._difference.weight:
            return None
        found = differing(basis, self._compared, ERRORS_TO_NAME_A_FEATURE[:1])
        if not found.changes or found.driver.value not in basis.context.settings.alert_on:
            return None
        certainty = Certainty(drift.evidence or 0.0, drift.threshold or 0.0)
        reported = finding(basis, self._compared, found, drift.raised_at, certainty, fires=True)
        self._test.restart()
        self._open(basis, reported, found.moved)
        return reported

    def _open(self, basis: Basis, reported: Finding, moved: Shift) -> None:
        """A finding fires from now on: what it names must agree again."""
        reference = basis.reference
        self.open = reported
        self._window = VersionDifference(len(reference.mean), reported.raised_at.index)
        distance = moved.size.copy()
        distance[reference.moments.numbers :] /= reference.sd[reference.moments.numbers :]
        effect = effects(reference, moved, basis.context.settings.floors)
        floors = np.abs(distance / np.where(effect == 0, 1.0, effect))
        self._tested = columns_of_difference(
            distance, moved.surety, floors, _named(reference, reported), self._difference.weight
        )

    # After a finding

    def _agree(self, basis: Basis, raised: RaisedAt) -> list[Finding]:
        """Whether what the finding named has stopped to differ.

        The test of recovery must be sure of that (`monitor.detection.recovery.recovery`), and over a window of rows
        nothing may differ by its floor.
        """
        assert self.open is not None
        settings, window = basis.context.settings, self._window
        if window is None or window.weight < WEIGHT_TO_AGREE or window.counts.sum() < settings.recovery:
            return []
        moved = window.shift(basis.reference)
        effect = effects(basis.reference, moved, settings.floors)
        columns = _named(basis.reference, self.open)
        self._window = VersionDifference(len(effect), int(window.since))
        if not_back(self._tested, LIMIT_TO_AGREE):
            return []
        if (columns & (np.abs(effect) >= 1.0) & moved.certain(1.0)).any():
            return []
        back = int(window.counts.sum())
        why = f"the two agree again over {back:,} of their events"
        return self.resolve(Resolution(how=Ended.RECOVERED, why=why, index=raised.index, time=raised.time))

    def resolve(self, why: Resolution) -> list[Finding]:
        """Close what is open."""
        if self.open is None:
            return []
        ended = resolved(self.open, why)
        self.open, self._window, self._tested = None, None, []
        self._test.restart()
        self._difference = VersionDifference(self._difference.width, ended.raised_at.index)
        self._gains.clear()
        self._gain_since = 0.0
        return [ended]

    # State

    def to_state(self) -> VersionComparisonState:
        """For a snapshot."""
        return VersionComparisonState(
            attribute=self.attribute,
            old=self.old,
            new=self.new,
            firsts=self.firsts,
            basis=self._basis,
            informed=self._informed,
            open=self.open,
            repetitions=self._repetitions.to_state(),
            test=self._test.to_state(),
            difference=self._difference.to_state(),
            window=None if self._window is None else self._window.to_state(),
            y=self._y,
            is_new=self._new,
            indices=self._indices,
            gains=self._gains,
            gain_since=self._gain_since,
            new_rows=self._new_rows,
            rows=self._rows,
            cooldown=self._cooldown,
            tested=self._tested,
        )

    @classmethod
    def from_state(cls, state: VersionComparisonState) -> VersionComparison:
        """The comparison that `state` described; it goes on bit for bit."""
        own = cls.__new__(cls)
        own.attribute, own.old, own.new, own.firsts = state.attribute, state.old, state.new, state.firsts
        own._basis, own._informed, own.open = state.basis, state.informed, state.open
        own._repetitions = Repetitions.from_state(state.repetitions)
        own._test = TwoSampleTest.from_state(state.test)
        own._difference = VersionDifference.from_state(state.difference)
        own._window = None if state.window is None else VersionDifference.from_state(state.window)
        own._y, own._new, own._indices = state.y, state.is_new, state.indices
        own._gains, own._gain_since = state.gains, state.gain_since
        own._new_rows, own._rows = state.new_rows, state.rows
        own._cooldown, own._tested = state.cooldown, state.tested
        return own


def _named(reference: Reference, reported: Finding) -> NDArray[np.bool_]:
    """The columns (d) that a finding names."""
    named = {change.name for change in reported.features}
    return np.asarray([reference.layout.name(j) in named for j in range(len(reference.mean))], dtype=bool)
