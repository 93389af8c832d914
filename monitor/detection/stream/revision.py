"""`Revisions`: a finding that fires is measured again when more rows of the changed state have come.

The first figures come from the few rows that were enough to be sure that something changed, and the largest chance
deviations are found first, so they are too high on average ("4 of 7 events"). A finding is therefore measured again at
`STAGES` rows since its change point, against the reference that it fired against. What comes out is a transition of the
same finding: same id, same `raised_at` and `began_at`, `revision` one higher. It does not change when anything is
raised or resolved: what a monitor decides by stays as it was at the firing.

One finding of a monitor waits at a time, the latest: a second one says that the state has changed once more, and the
rows since would say nothing about the first. Called by `monitor.detection.stream.reference_monitor`. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from monitor.detection.columns.rare_categories import RareCategories
from monitor.detection.columns.recent_rows import LENGTH
from monitor.detection.diagnosis.diagnose import Crossing, Diagnosis, View, diagnose_again
from monitor.detection.diagnosis.examples import showing, side_by_side
from monitor.detection.records.finding import Driver, FeatureChange, Finding, State
from monitor.detection.reference.learned_reference import LearnedReference, LearnedReferenceState
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.detection.stream.drift_finding import drift_finding
from monitor.detection.stream.open_findings import Situation

STAGES = (64, 200, 800)
"""Rows since the change point at which a finding is measured again. With 64 the error of a rate is a third of that with
7; 200 make a provisional reference; at 800 the last `LENGTH` rows that are kept say how the change goes on."""
NARROWER = 1 / 3
"""Share by which the interval of the figures must have become narrower to be sent again although no word changed. The
width of an interval falls with the square root of the rows, so this takes 2.25 times as many rows."""


class CrossingState(StateRecord):
    """Of `Crossing`: what the evidence said."""

    view: View
    kinds: list[str]
    strongest: str | None
    carrier: tuple[str, str] | None
    total: float
    column: int | None


class WaitingState(StateRecord):
    """Of the finding that is measured again."""

    finding: Finding
    crossing: CrossingState
    normal: LearnedReferenceState | None
    first_row: int
    measured: int
    stage: int


class RevisionsState(StateRecord):
    """Of `Revisions`."""

    latest: list[Finding]
    waiting: WaitingState | None


@dataclass
class _Waiting:
    """The finding that is measured again, as last reported, and what that takes.

    Attributes
    ----------
    finding
        As last reported.
    crossing
        What the evidence said when it fired.
    normal
        The reference that it fired against; None: the monitor's original, which does not change while it is open.
    first_row
        Rows that the monitor had taken before the change point.
    measured
        Rows that the figures last reported were measured on.
    stage
        How many of `STAGES` are past.
    """

    finding: Finding
    crossing: Crossing
    normal: LearnedReference | None
    first_row: int
    measured: int
    stage: int


class Revisions:
    """What is measured again in one monitor."""

    def __init__(self) -> None:
        self._waiting: _Waiting | None = None
        self._latest: dict[str, Finding] = {}  # of open findings that were revised, the latest revision

    def fired(self, situation: Situation, finding: Finding, crossing: Crossing, found: Diagnosis) -> None:
        """A finding opens. One that is only information is not measured again, but ends the wait of the one before."""
        self._waiting = None
        if finding.state is not State.FIRING:
            return
        first_row = situation.seen - (len(situation.history) - found.position)
        normal = None if found.reference is situation.original else found.reference
        since = situation.seen - first_row
        stage = sum(since >= rows for rows in STAGES)
        if stage < len(STAGES):
            self._waiting = _Waiting(finding, crossing, normal, first_row, len(found.rows), stage)

    def due(self, seen: int) -> bool:
        """Whether enough rows have come by now for the finding to be measured again."""
        waiting = self._waiting
        return waiting is not None and seen - waiting.first_row >= STAGES[waiting.stage]

    def measure(self, situation: Situation, rare: RareCategories) -> list[Finding]:
        """The revision that is due, where a reader sees something new in it."""
        waiting = self._waiting
        if waiting is None:
            return []
        since = situation.seen - waiting.first_row
        waiting.stage = sum(since >= rows for rows in STAGES)
        if waiting.stage == len(STAGES):
            self._waiting = None
        revised = _measured(situation, waiting, since, rare)
        if revised is None:
            return []
        finding, rows = revised
        narrower = waiting.measured <= rows * (1 - NARROWER) ** 2
        if not (narrower or _reads_differently(waiting.finding, finding)):
            return []
        waiting.finding, waiting.measured = finding, rows
        self._latest[finding.id] = finding
        return [finding]

    def ended(self, findings: Sequence[Finding]) -> list[Finding]:
        """All findings of the monitor end: these, in their latest revisions; nothing is measured again."""
        latest = [self._with_latest(finding) for finding in findings]
        self._waiting, self._latest = None, {}
        return latest

    def _with_latest(self, finding: Finding) -> Finding:
        """The end of a finding with what its latest revision says; the words of the end stay behind the cause."""
        known = self._latest.get(finding.id)
        if known is None:
            return finding
        end = finding.cause.rpartition(" Resolved: ")
        cause = f"{known.cause}{end[1]}{end[2]}" if end[1] else known.cause
        return msgspec.structs.replace(known, state=finding.state, cause=cause, resolution=finding.resolution)

    # State

    def to_state(self) -> RevisionsState:
        """For a snapshot."""
        waiting = self._waiting
        return RevisionsState(
            list(self._latest.values()),
            None
            if waiting is None
            else WaitingState(
                waiting.finding,
                _crossing_state(waiting.crossing),
                None if waiting.normal is None else waiting.normal.to_state(),
                waiting.first_row,
                waiting.measured,
                waiting.stage,
            ),
        )

    @classmethod
    def from_state(cls, state: RevisionsState | None) -> Revisions:
        """What `state` described; None, of a snapshot from before there were revisions: nothing waits."""
        revisions = cls()
        if state is None:
            return revisions
        revisions._latest = {finding.id: finding for finding in state.latest}
        if (waiting := state.waiting) is not None:
            revisions._waiting = _Waiting(
                waiting.finding,
                _crossing_of(waiting.crossing),
                None if waiting.normal is None else LearnedReference.from_state(waiting.normal),
                waiting.first_row,
                waiting.measured,
                waiting.stage,
            )
        return revisions


def _measured(situation: Situation, waiting: _Waiting, since: int, rare: RareCategories) -> tuple[Finding, int] | None:
    """The finding by the rows kept of those since its change point, and how many show the change.

    None where they say nothing more of it: no feature is beyond its floor, or only the mix of segments seems to differ.
    """
    context, history, known = situation.context, situation.history, waiting.finding
    start = situation.last(min(since, LENGTH))
    normal = waiting.normal or situation.original
    found = diagnose_again(context, waiting.crossing, history, start, normal, rare, known)
    if not found.changes or found.attribution.mix != (known.driver is Driver.MIX):
        return None
    after = showing(normal.reference, history, start)
    before = side_by_side(known.excerpts_before, known.excerpts_before, after)
    measured = drift_finding(context, history, found, fires=True, evidence=1.0, before=before, after=after)
    finding = msgspec.structs.replace(
        measured,
        id=known.id,
        raised_at=known.raised_at,
        evidence=known.evidence,
        threshold=known.threshold,
        revision=known.revision + 1,
        measured_events=len(found.rows),
    )
    return finding, len(found.rows)


def _reads_differently(known: Finding, now: Finding) -> bool:
    """Whether a reader of both sees another severity, segment, or list of features.

    Titles hold figures and counts, which differ each time: whether those are worth sending again says their interval.
    """

    def seen(finding: Finding) -> tuple[object, ...]:
        return finding.severity, finding.segment, [_name(change) for change in finding.features]

    return seen(known) != seen(now)


def _name(change: FeatureChange) -> tuple[str, str | None]:
    return change.name, change.value


def _crossing_state(crossing: Crossing) -> CrossingState:
    return CrossingState(
        crossing.view, sorted(crossing.kinds), crossing.strongest, crossing.carrier, crossing.total, crossing.column
    )


def _crossing_of(state: CrossingState) -> Crossing:
    return Crossing(state.view, frozenset(state.kinds), state.strongest, state.carrier, state.total, state.column)
