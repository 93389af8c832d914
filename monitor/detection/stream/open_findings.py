"""`OpenFindings`: the findings that hold for one population of rows, and the test of whether their change has ended.

`monitor.detection.stream.reference_monitor` adds a finding when it opens and then passes on every row. All open
findings are of one departure from the original reference, so they end together: when the test of recovery
(`monitor.detection.recovery.recovery`) is sure of every column that they named, and the last rows lie within the effect
floor of the original. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.flags import ENDINGS
from monitor.detection.columns.recent_rows import LENGTH, RecentRows
from monitor.detection.diagnosis import classify, feature_changes, naming, wording
from monitor.detection.diagnosis.alert_correlation import GOES_ON
from monitor.detection.diagnosis.shift import shift
from monitor.detection.records.context import Context
from monitor.detection.records.finding import (
    SPREAD,
    TAIL,
    Driver,
    Ended,
    FeatureChange,
    Finding,
    Resolution,
    State,
    resolved,
)
from monitor.detection.records.plain_numbers import finite
from monitor.detection.recovery.choice import columns_of_change, columns_of_spread
from monitor.detection.recovery.column import PIECE_ROWS, Column
from monitor.detection.recovery.recovery import Recovery, RecoveryState, not_back
from monitor.detection.reference.learned_reference import LearnedReference
from monitor.detection.reference.reference import Reference
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]
Segment = tuple[str, str]

ERRORS_OF_A_DEPARTURE = 2.0
"""Standard errors by which rows must differ from the original reference to be a second change and no way back."""
ERRORS_OF_A_SECOND_DEPARTURE = 3.0
"""The same for a column that a second finding names, to be among those that must return: it was named against the
provisional reference, so only these rows say that it ever left the original."""
RETURNING_BELOW = 0.5
"""Share of the distance to the provisional reference below which rows are on their way back to the original: with half
of it they are twice as near to where they came from as to where they were."""
MAX_ERRORS_WHEN_RECOVERED = 1.0
"""Standard errors beyond which rows are not yet as before. With 2, a lasting share of 5 % failures was called recovered
(and fired again) every 2,000 events, since 200 rows hold four of them now and then; with 1, once in 25,000."""
MIN_SHARE_MISTAKEN_FOR_ALL = 1 / 3
"""Share of a segment that a few rows may have named in place of the whole stream: below it a finding of one segment is
not continued by one of another."""
ROWS_WITHOUT_THE_CHANGE = 64
"""Last rows without a sign of the change from which on it seems over: a fault of one event in twenty is missing from as
many in one case of 27, and 64 ordinary rows among 200 take a third off what is measured."""
ROWS_FOR_A_LOST_TEST = 200
"""Last rows that say what has changed where a snapshot holds open findings and no test of recovery (versions before
the test wrote such): as many as make a provisional reference."""


class Situation(NamedTuple):
    """What a monitor knows when it decides: settings, its references, its last rows, and how many rows came."""

    context: Context
    original: LearnedReference
    active: LearnedReference
    history: RecentRows
    seen: int

    def scores(self, reference: Reference, start: int, stop: int | None = None) -> Array:
        """Scores (n, d), by a reference, of the rows kept from `start` to `stop`."""
        return reference.scores(*self.history.read(start, stop))

    def last(self, rows: int) -> int:
        """Position of the first of the last rows kept."""
        return max(0, len(self.history) - rows)


class OpenFindingsState(StateRecord):
    """Of `OpenFindings`: the test of recovery, rows since its last step, and the row of that step."""

    findings: list[Finding]
    recovery: RecoveryState | None
    rows_since_last: int
    last_step: int


class OpenFindings:
    """Findings that hold, oldest first: firing ones, and information about inputs that explain the outputs.

    Attributes
    ----------
    findings
        The findings.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._test: Recovery | None = None
        self._rows_since_last = 0
        self._last_step = 0

    # Opening

    def note_step(self, seen: int) -> None:
        """A finding opens, or the change of one goes on: rows are counted from here, and the change is this recent."""
        self._rows_since_last = 0
        self._last_step = seen

    def add(self, situation: Situation, finding: Finding, position: int) -> None:
        """A finding holds from now on: the rows kept from a position on, which raised it, say what must go back."""
        self.findings.append(finding)
        if self._test is None:
            self._test = Recovery(situation.seen)
        self._test.also(_columns_to_test(situation, finding, position))

    def continued_by(
        self, situation: Situation, segment: dict[str, str] | None, decisive: Sequence[FeatureChange]
    ) -> Finding | None:
        """The finding, if any, whose change goes on in these changes: the same features moved on the same way."""
        if situation.seen - self._last_step > GOES_ON:
            return None
        table = situation.original.segments
        for known in self.findings:
            wide = all(table.share(*pair) >= MIN_SHARE_MISTAKEN_FOR_ALL for pair in (known.segment or {}).items())
            reported = [classify.is_reported_by(known, change, situation.context.specs) for change in decisive]
            # One of them may have moved by chance.
            if (wide or known.segment == segment) and reported[0] and 2 * sum(reported) >= len(reported):
                return known
        return None

    # On the way back

    def is_returning(self, situation: Situation, rows: int, changed: Set[str]) -> bool:
        """Whether the last rows, which departed from a provisional reference, are on their way to the original.

        Both in what the findings named and in the features that changed now: another change is no way back. A few rows
        rarely lie exactly at either reference: they are on their way back if they are much nearer to where they came
        from than to where they were.
        """
        if not self.findings or situation.active is situation.original:
            return False
        if not self._differ(situation, rows, ERRORS_OF_A_DEPARTURE, changed):
            return True
        there, here = (
            self._distance(situation, normal.reference, rows, changed)
            for normal in (situation.original, situation.active)
        )
        return there < RETURNING_BELOW * here

    def _distance(self, situation: Situation, reference: Reference, rows: int, also: Set[str]) -> float:
        """How far the last rows are from a reference in what the findings named, and also these, in effect floors."""
        moved = shift(reference, situation.scores(reference, situation.last(rows)))
        effect = feature_changes.effects(reference, moved, situation.context.settings.floors)
        return float(np.abs(effect[_columns_named(reference, self._names() | also)]).sum())

    def _names(self) -> set[str]:
        return {change.name for finding in self.findings for change in finding.tested}

    def _differ(self, situation: Situation, rows: int, errors: float, also: Set[str] = frozenset()) -> bool:
        """Whether the last rows differ from the original by a floor and by these standard errors, in what was named."""
        reference, floors = situation.original.reference, situation.context.settings.floors
        y = situation.scores(reference, situation.last(rows))
        moved = shift(reference, y)
        effect = np.abs(feature_changes.effects(reference, moved, floors))
        names = self._names() | also
        if bool((_columns_named(reference, names) & (effect >= 1.0) & moved.certain(errors)).any()):
            return True
        spread = np.abs(feature_changes.spread_effects(reference, y, floors, errors))
        return any(spread[j] >= 1.0 for j, name in enumerate(reference.layout.numbers) if f"{name}{SPREAD}" in names)

    # Ending

    def take(self, situation: Situation, rows: int) -> list[Finding] | None:
        """These rows came; what is resolved if the change of all findings has ended, else None."""
        if not self.findings:
            return None
        self._rows_since_last += rows
        test = self._fed(situation)
        window = situation.context.settings.recovery
        shown = self.rows_shown(situation)
        if self._rows_since_last < window or len(situation.history) < shown:
            return None
        if not all(_is_gone(column, situation.history, shown) for column in not_back(test.columns)):
            return None
        if self._differ(situation, shown, MAX_ERRORS_WHEN_RECOVERED):
            return None
        return self._recovered(situation, test, shown)

    def seems_over(self) -> bool:
        """Whether the test of recovery sees the change as over now: the last rows say nothing of the changed state."""
        return self._test is not None and self._test.back_for() >= ROWS_WITHOUT_THE_CHANGE

    @staticmethod
    def rows_shown(situation: Situation) -> int:
        """The last rows that must be within the floor: as many as the setting asks for and as are kept at most."""
        return min(situation.context.settings.recovery, LENGTH)

    def _fed(self, situation: Situation) -> Recovery:
        """The test of recovery, fed with the rows that came since."""
        history, held = situation.history, len(situation.history)
        test = self._test
        if test is None:
            test = self._test = Recovery(situation.seen)
            for finding in self.findings:
                test.also(_columns_to_test(situation, finding, situation.last(ROWS_FOR_A_LOST_TEST)))
        test.taken = max(test.taken, situation.seen - held)
        while situation.seen - test.taken >= PIECE_ROWS:
            start = held - (situation.seen - test.taken)
            of: dict[Segment | None, Array] = {}
            for column in test.columns:
                if column.segment not in of:
                    of[column.segment] = _scores_of_segment(situation, column.segment, start, start + PIECE_ROWS)
                test.add(column, of[column.segment][:, column.place], situation.original.reference)
            test.taken += PIECE_ROWS
            if not test.back_for():
                test.changed_until = finite(float(history.times[start + PIECE_ROWS - 1]))
        return test

    def _recovered(self, situation: Situation, test: Recovery, shown: int) -> list[Finding]:
        """Close all findings: the features are back, and each finding says where they are now."""
        history = situation.history
        back = test.back_for() + situation.seen - test.taken if test.columns else shown
        held = min(back, len(history))
        until = test.changed_until if back > held else finite(float(history.times[len(history) - held - 1]))
        index, time = int(history.indices[-1]), finite(float(history.times[-1]))
        return [
            resolved(
                finding,
                Resolution(
                    how=Ended.RECOVERED,
                    why=_words_of_return(situation, finding, test, back, held),
                    index=index,
                    time=time,
                    back_events=back,
                ),
                until,
            )
            for finding in self._close()
        ]

    def resolve(self, why: Resolution) -> list[Finding]:
        """Close all findings; those that fired, as resolved."""
        return [resolved(finding, why) for finding in self._close()]

    def _close(self) -> list[Finding]:
        """Nothing is open any more; the findings that fired."""
        firing = [finding for finding in self.findings if finding.state is State.FIRING]
        self.findings, self._test = [], None
        return firing

    # State

    def to_state(self) -> OpenFindingsState:
        """For a snapshot."""
        test = None if self._test is None else self._test.to_state()
        return OpenFindingsState(self.findings, test, self._rows_since_last, self._last_step)

    @classmethod
    def from_state(cls, state: OpenFindingsState) -> OpenFindings:
        """What `state` described."""
        held = cls()
        held.findings = state.findings
        held._test = None if state.recovery is None else Recovery.from_state(state.recovery)
        held._rows_since_last, held._last_step = state.rows_since_last, state.last_step
        return held


def _columns_named(reference: Reference, names: Set[str]) -> NDArray[np.bool_]:
    """The columns (d) that findings call by one of these names."""
    return np.asarray(
        [name in names for name in reference.layout.numbers]
        + [f.feature in names or f"{f.feature}{ENDINGS.get(f.kind, '')}" in names for f in reference.layout.flags],
        dtype=bool,
    )


def _columns_to_test(situation: Situation, finding: Finding, position: int) -> list[Column]:
    """The columns whose return ends a finding, by the rows kept from a position on."""
    reference, floors = situation.original.reference, situation.context.settings.floors
    segment = None
    if finding.driver is not Driver.MIX and finding.segment and len(finding.segment) == 1:
        segment = next(iter(finding.segment.items()))
    y = _scores_of_segment(situation, segment, position, len(situation.history))
    moved = shift(reference, y)
    effect = feature_changes.effects(reference, moved, floors)
    names = {change.name for change in finding.tested}
    # What a finding names against a provisional reference may be back where the original is.
    errors = ERRORS_OF_A_DEPARTURE if situation.active is situation.original else ERRORS_OF_A_SECOND_DEPARTURE
    named = _columns_named(reference, names) & (np.abs(effect) >= 1.0) & moved.certain(errors)
    columns = columns_of_change(reference, y, moved, effect, named, segment)
    spread = [j for j, name in enumerate(reference.layout.numbers) if f"{name}{SPREAD}" in names]
    return columns + columns_of_spread(reference, y, spread, floors.spread, segment)


def _scores_of_segment(situation: Situation, segment: Segment | None, start: int, stop: int) -> Array:
    """Scores (n, d) by the original of rows kept, as if the segment's mean were that of all; all rows for None."""
    y = situation.scores(situation.original.reference, start, stop)
    if segment is None:
        return y
    y = y[[segment in pairs for pairs in situation.history.segments[start:stop]]]
    return situation.original.without_segment_mean(y, segment)


def _is_gone(column: Column, history: RecentRows, rows: int) -> bool:
    """Whether a column is of a segment that none of the last rows has, as a version that was rolled back."""
    own = column.segment
    return own is not None and not any(own in pairs for pairs in history.segments[-rows:])


def _words_of_return(situation: Situation, finding: Finding, test: Recovery, back: int, held: int) -> str:
    """Where the feature that a finding is about is now: by the tested rows, else by the last rows kept."""
    reference, history, specs = situation.original.reference, situation.history, situation.context.specs
    lead = next(iter(naming.named(finding.features, specs)), None)
    now = None
    for column in test.columns:
        if lead is not None and column.waiting[0] and feature_changes.is_shown_by(reference.layout, column.place, lead):
            now = column.waiting[1] / column.waiting[0]
            break
    if now is None and lead is not None and not lead.name.endswith((SPREAD, TAIL)):
        now = feature_changes.median_of(reference, lead, history.numbers[len(history) - held :], specs)
    if lead is None or now is None:
        return f"what it named is within the effect floor of the reference again for {back:,} events"
    return wording.back(lead, now, specs, back)
