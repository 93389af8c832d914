"""`ReferenceMonitor`: monitors one population of rows against one reference.

Every stream has one. When traffic from a segment that is absent from the reference appears (for example a new task),
the stream creates another for that segment. New traffic is then not reported as drift and does not hide drift in
existing segments. A row is judged by exactly one monitor, so together they keep the stream's alert budget.

After a firing finding the monitor learns a *provisional reference* from the changed rows and tests against it, so
further changes are still detected. The finding resolves when the test of recovery is sure that the change has ended and
the last `recovery` rows are within the effect floor of the original reference. A shift of the inputs that explains the
outputs is information, but handled alike.

    rows -> columns -> scores -> evidence -> crossing? -> diagnose -> decide -> act on the verdict

Called by `monitor.detection.stream.stream_monitor` and `late_features`. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.categories import Categories
from monitor.detection.columns.duplicates import Repetitions, RepetitionsState
from monitor.detection.columns.rare_categories import RareCategories, RareCategoriesState
from monitor.detection.columns.recent_rows import RecentRows, RecentRowsState, Segments, segments_of
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.columns.watched_columns import WatchedColumns, watched
from monitor.detection.detectors.chosen import Alone, AloneState
from monitor.detection.diagnosis import attribution, classify, feature_changes, naming
from monitor.detection.diagnosis.diagnose import Crossing, Diagnosis, View, diagnose
from monitor.detection.diagnosis.examples import like, showing, typical
from monitor.detection.diagnosis.shift import shift
from monitor.detection.evidence.shiryaev_roberts import EvidenceState
from monitor.detection.records.context import Context
from monitor.detection.records.cooldown import Cooldown
from monitor.detection.records.finding import Driver, Excerpt, Finding, Resolution, Severity, State
from monitor.detection.records.plain_numbers import log10
from monitor.detection.records.status import FeatureStatus, SegmentShare
from monitor.detection.reference.learned_reference import LearnedReference, LearnedReferenceState, marks_of
from monitor.detection.reference.moments import UNIT
from monitor.detection.settings import DetectionSettings
from monitor.detection.stream.drift_finding import drift_finding
from monitor.detection.stream.maturing import Maturing
from monitor.detection.stream.open_findings import OpenFindings, OpenFindingsState, Situation
from monitor.detection.stream.population_status import RECENT_ROWS, feature_statuses, segment_shares
from monitor.detection.stream.revision import Revisions, RevisionsState
from monitor.detection.stream.verdict import Decision, Verdict, decide
from monitor.detection.stream.view_evidence import ScoredRows, ViewEvidence
from monitor.features.families.dependencies import SHAPE
from monitor.features.keyed import has_key

Array = NDArray[np.float64]

MIN_MEASURED_SHARE = 0.5
"""Share of a reference's rows in which a feature must be measured to be part of it: with fewer, its own standard error
is more than 1.4 times what the reference says of all. Others come late (`monitor.detection.stream.late_features`)."""
PROVISIONAL_REFERENCE_ROWS = 200
"""Rows of a provisional reference, and of a segment's: the shortest warm-up that the settings advise, so a second
change is detected as well as a first one in a young stream."""
ROWS_UNTIL_ANOTHER_LOOK = 64
"""Rows after which evidence is examined again while rows return to the original: two blocks. The way back takes a
while, and another change may come with it."""
ROWS_BETWEEN_STORED_EXAMPLES = 1024
"""Rows after which typical examples are stored, for a change that is found when the rows before it are no longer kept:
four of the largest blocks."""


class _Block(NamedTuple):
    """Rows (n) with their stream indices (n), and as the reference reads them: numbers (n, k), flags (n, m)."""

    rows: StreamRows
    indices: NDArray[np.int64]
    numbers: NDArray[np.float16]
    flags: Array
    segments: list[Segments]

    @classmethod
    def read(cls, layout: WatchedColumns, rows: StreamRows, indices: NDArray[np.int64]) -> _Block:
        """Rows read as a layout's columns."""
        return cls(rows, indices, *rows.read_as(layout), segments_of(rows.segments))

    def part(self, start: int, stop: int) -> _Block:
        """The rows from `start` to `stop`."""
        if start == 0 and stop >= len(self.rows):
            return self
        cut = slice(start, stop)
        return _Block(
            self.rows.part(start, stop), self.indices[cut], self.numbers[cut], self.flags[cut], self.segments[cut]
        )


class _Alarm(NamedTuple):
    """The row of a block at which something crossed: whose view, and the column of a number's own detector, if any."""

    row: int
    view: View
    column: int | None


class ReferenceMonitorState(msgspec.Struct, frozen=True, kw_only=True):
    """Of `ReferenceMonitor`; `active` is None where the original reference is in use."""

    pinned: bool
    views: tuple[View, ...]
    seen: int
    version: int
    evidence_from: int
    normal_from: int
    calm: int
    original: LearnedReferenceState
    active: LearnedReferenceState | None
    learning: bool
    repetitions: RepetitionsState
    history: RecentRowsState
    evidence: tuple[EvidenceState, EvidenceState]
    alone: AloneState
    open: OpenFindingsState
    rare: RareCategoriesState
    cooldowns: dict[View, Cooldown]
    examples: list[tuple[str, str, str]]
    revisions: RevisionsState | None = None


class ReferenceMonitor:
    """Judges rows against a reference; made by `learn`, or by `from_state` from a snapshot.

    Parameters
    ----------
    normal
        The reference.
    pinned
        Whether the reference stays as first learned, instead of maturing with calm rows.
    inputs
        Whether there are bets on the inputs; none where another monitor of the same rows has them
        (`monitor.detection.stream.late_features`).

    Attributes
    ----------
    seen
        Rows taken, those of the reference included.
    original
        What is normal: the reference as learned or accepted, not a provisional one.
    history
        The last rows.
    new_segments
        Segments (attribute, value) that are absent from the reference and came; the caller empties the list.
    """

    def __init__(self, normal: LearnedReference, *, pinned: bool = False, inputs: bool = True) -> None:
        layout = normal.reference.layout
        self.pinned = pinned
        self.seen = 0
        self.original = normal
        self.history = RecentRows(len(layout.numbers), len(layout.flags))
        self.new_segments: list[tuple[str, str]] = []
        self._views = (View.OUTPUTS, View.INPUTS) if inputs else (View.OUTPUTS,)
        self._active = normal  # the original, or a provisional reference
        self._version = normal.version  # references learned so far
        self._learning = False  # whether rows are gathered for a provisional reference
        self._evidence_from = 0  # row at which evidence began from zero, or gathering began
        self._normal_from = 0  # row from which on rows are as the active reference says
        self._evidence = ViewEvidence(normal, self._views)
        self._detectors = Alone()
        self._cooldowns = {View.OUTPUTS: Cooldown(), View.INPUTS: Cooldown()}
        self._findings = OpenFindings()
        self._maturing = Maturing()
        self._examples: list[Excerpt] = []
        self._repetitions = Repetitions()
        self._rare = RareCategories()
        self._revisions = Revisions()

    @classmethod
    def learn(
        cls,
        context: Context,
        rows: StreamRows,
        indices: NDArray[np.int64],
        *,
        pinned: bool = False,
        inputs: bool = True,
    ) -> ReferenceMonitor:
        """A monitor whose reference is learned from these rows, with their stream indices (n)."""
        used = [
            spec
            for spec in watched(context.declared, context.settings.features, context.settings.exclude)
            if has_key(spec.name) or spec.name == SHAPE or rows.measured(spec).mean() >= MIN_MEASURED_SHARE
        ]
        layout = WatchedColumns.learn(used, rows.values, rows.names, Categories(rows.categories))
        block = _Block.read(layout, rows, indices)
        excluded = Alone.excluded(layout.numbers, context.settings)
        normal = LearnedReference.learn(
            layout, block.numbers, block.flags, block.segments, marks_of(rows.digests), 1, excluded
        )
        monitor = cls(normal, pinned=pinned, inputs=inputs)
        monitor._keep(block)
        monitor._examples = typical(normal.reference, monitor.history, len(monitor.history))
        monitor._begin_evidence(context.settings, len(monitor.history))
        return monitor

    @property
    def open(self) -> list[Finding]:
        """Findings that hold now, oldest first: firing ones, and information about shifted inputs."""
        return self._findings.findings

    @property
    def settled(self) -> bool:
        """Whether no finding is open and no reference is being learned."""
        return not self.open and not self._learning

    def features_known(self) -> frozenset[str]:
        """Names of the features that the reference says something of."""
        return self.original.reference.layout.features()

    # Rows

    def judge(self, context: Context, rows: StreamRows, indices: NDArray[np.int64]) -> tuple[list[Finding], int]:
        """Take a block's rows with their stream indices; the findings, and how many rows were taken.

        Rows behind one that showed new segments are left: some of them no longer belong to this monitor.
        """
        findings: list[Finding] = []
        start = 0
        while start < len(rows) and not self.new_segments:
            found, taken = self._judge_until_alarm(context, rows.part(start), indices[start:])
            findings += found
            start += taken
        if self._revisions.due(self.seen) and not self._findings.seems_over():
            findings += self._revisions.measure(self._situation(context), self._rare)
        return findings, start

    def _judge_until_alarm(
        self, context: Context, rows: StreamRows, indices: NDArray[np.int64]
    ) -> tuple[list[Finding], int]:
        """Judge rows up to the first alarm; the findings, and how many were taken."""
        reference = self._active.reference
        block = _Block.read(reference.layout, rows, indices)
        if self._learning:
            return self._gather(context, block), len(rows)
        scored = ScoredRows(
            reference.scores(block.numbers, block.flags, block.segments),
            self._repetitions.counts(rows.digests, rows.present(context.specs.input_length)),
            block.segments,
            ~np.isfinite(block.numbers),
        )
        before = self._evidence.state()
        paths = self._evidence.take(scored)
        alarm = self._first_alarm(context, block, paths)
        if alarm is None:
            return self._take_without_alarm(context, block, scored.y, paths), len(rows)
        taken = alarm.row + 1
        if taken < len(rows):
            self._evidence.rewind(before)
            self._evidence.take(scored.first(taken))
        self._keep(block.part(0, taken))
        findings = self._examine(context, alarm.view, alarm.column)
        if alarm.column is None or self._learning:
            self._maturing.reset()
            return findings, taken
        # A detector of one number whose drift is not confirmed does not keep the reference from maturing.
        calm = not any(_is_loud(context, path[:taken]).any() for path in paths.values())
        if self._mature(context, taken, calm=calm):
            self._renew(context)
        return findings + self._recover(context, taken), taken

    def _first_alarm(self, context: Context, block: _Block, paths: Mapping[View, Array]) -> _Alarm | None:
        """The first row of a block at which evidence crosses, or a detector of one number finds drift.

        At the same row evidence on outputs comes first, then that on inputs.
        """
        place = self.seen + np.arange(len(block.rows))
        alarms: list[_Alarm] = []
        for view, path in paths.items():
            crossed = np.flatnonzero((path >= context.threshold) & (place >= self._cooldowns[view].until))
            if len(crossed):
                alarms.append(_Alarm(int(crossed[0]), view, None))
        until = min((alarm.row for alarm in alarms), default=len(block.rows)) + 1
        reference = self._active.reference
        drift = self._detectors.first_drift(reference.layout.numbers, block.numbers[:until], self.seen)
        if drift is not None:
            row, column = drift
            alarms.append(_Alarm(row, View.INPUTS if reference.is_input[column] else View.OUTPUTS, column))
        return min(alarms, key=lambda alarm: alarm.row, default=None)

    def _take_without_alarm(
        self, context: Context, block: _Block, y: Array, paths: Mapping[View, Array]
    ) -> list[Finding]:
        """Take rows, with their scores y (n, d) and the evidence after each, among which there is no alarm."""
        rows = len(block.rows)
        loud = _is_loud(context, np.max(list(paths.values()), axis=0))
        # While it matures rows are taken in pieces, so that those that are due are still kept.
        size = UNIT if self._active.grows(context.settings.mature) else rows
        grown = False
        for first in range(0, rows, size):
            piece = block.part(first, first + size)
            self._keep(piece)
            grown |= self._mature(context, len(piece.rows), calm=not loud[first : first + size].any())
        if grown:
            self._renew(context)
        findings = self._recover(context, rows)
        if not loud.any() and self.seen // ROWS_BETWEEN_STORED_EXAMPLES > (
            (self.seen - rows) // ROWS_BETWEEN_STORED_EXAMPLES
        ):
            self._examples = typical(self._active.reference, self.history, len(self.history), y)
        return findings

    def _keep(self, block: _Block) -> None:
        """Rows are taken: they are the last ones kept."""
        rows, indices, flags = block.rows, block.indices, block.flags
        marks = marks_of(rows.digests)
        self.history.append(indices, block.numbers, flags, rows.times, marks, rows.ids, block.segments, rows.excerpts)
        self._rare.observe(self.original.reference.layout, flags, rows.categories, indices)
        self._rare.forget(self.history.first_index)
        self._repetitions.remember(rows.digests)
        self.seen += len(rows)

    # Detectors, evidence and the reference

    def choose(self, settings: DetectionSettings) -> None:
        """Detectors of single numbers as changed settings say, from the next row on (`.detectors.chosen`)."""
        self._detectors.choose(self._active.reference, settings, self._usual_numbers())

    def _usual_numbers(self) -> NDArray[np.float16]:
        """Numbers (n, k) of the rows kept that are as the active reference says, or are judged against it."""
        return self.history.numbers[max(0, len(self.history) - (self.seen - self._normal_from)) :]

    def _begin_evidence(self, settings: DetectionSettings, rows: int) -> None:
        """Evidence from zero against the active reference, from the next row on; so the detectors of single numbers.

        The last `rows` rows are as that reference says.
        """
        self._normal_from = self.seen - rows
        self._detectors.begin(self._active.reference, settings, self._usual_numbers())
        self._evidence = ViewEvidence(self._active, self._views)
        self._evidence_from = self.seen

    def _restart_evidence(self) -> None:
        """What evidence crossed over was reported, or is no reason to page: begin from zero."""
        self._evidence.restart()
        self._evidence_from = self.seen

    def _mature(self, context: Context, rows: int, *, calm: bool) -> bool:
        """The last rows were taken; whether the reference grew. One that is pinned does not."""
        if not calm or (self.pinned and self._active is self.original):
            self._maturing.reset()
            return False
        return self._maturing.take(self._active, self.history, rows, context.settings.mature)

    def _renew(self, context: Context) -> None:
        """The reference grew: what is derived from it, and the bets."""
        self._active.renew(context.settings.mature)
        self._evidence.renew(self._active)

    # Findings

    def _examine(self, context: Context, view: View, column: int | None) -> list[Finding]:
        """An alarm with the last row kept: what is reported of it."""
        crossing = self._evidence.crossing(view, column)
        start = max(0, len(self.history) - (self.seen - self._evidence_from))
        found = diagnose(context, crossing, self.history, start, self._active, self._rare)
        may_wait = column is not None and self._detectors.may_look_again(self._name(column))
        decision = decide(self._situation(context), crossing, found, self._findings, may_wait=may_wait)
        return self._act(context, crossing, found, decision)

    def _situation(self, context: Context) -> Situation:
        return Situation(context, self.original, self._active, self.history, self.seen)

    def _name(self, column: int) -> str:
        return self._active.reference.layout.name(column)

    def _act(self, context: Context, crossing: Crossing, found: Diagnosis, decision: Decision) -> list[Finding]:
        """Carry out a verdict; the findings."""
        cooldown = self._cooldowns[crossing.view]
        if decision.verdict is Verdict.WAIT:
            if crossing.column is not None:
                self._detectors.look_again(self._name(crossing.column), self.seen + decision.wait_rows)
            else:
                cooldown.postpone(self.seen + decision.wait_rows)
            return []
        if crossing.column is not None:
            self._detectors.judged(self._name(crossing.column))
        if decision.verdict is Verdict.CONTINUES and decision.known is not None:
            return self._continue(context, crossing, found, decision.known)
        if decision.verdict is Verdict.NEW_SEGMENT:
            self.new_segments.extend(found.attribution.new_segments)
            self._restart_evidence()
            return [self._finding(context, crossing, found, fires=False)]
        if decision.verdict is Verdict.FIRE:
            finding = self._finding(context, crossing, found, fires=decision.fires)
            self._findings.add(self._situation(context), finding, found.position)
            self._revisions.fired(self._situation(context), finding, crossing, found)
            cooldown.reset()
            self._learn_from(found.position)
            return [finding]
        if decision.verdict is Verdict.RETURNING:
            if not crossing.of_detector:
                cooldown.postpone(self.seen + ROWS_UNTIL_ANOTHER_LOOK)
                self._restart_evidence()
            return []
        return self._inform(context, crossing, found)

    def _inform(self, context: Context, crossing: Crossing, found: Diagnosis) -> list[Finding]:
        """Information, unless such was reported a short while ago."""
        if crossing.column is not None:
            if not self._detectors.tells(self.seen):
                return []
            finding = self._finding(context, crossing, found, fires=False)
            if not found.changes:
                finding = self._detectors.unconfirmed(self._name(crossing.column), finding)
            return [finding]
        first = self._cooldowns[crossing.view].back_off(self.seen)
        if crossing.view is View.OUTPUTS:
            self._restart_evidence()
        return [self._finding(context, crossing, found, fires=False)] if first else []

    def _finding(self, context: Context, crossing: Crossing, found: Diagnosis, *, fires: bool) -> Finding:
        """The finding that the last row raised."""
        reference = self._active.reference
        before = typical(reference, self.history, found.position) or self._examples
        after = showing(reference, self.history, found.position)
        before = like(self.history, found.position, before, after)
        return drift_finding(
            context, self.history, found, fires=fires, evidence=crossing.total, before=before, after=after
        )

    def _continue(self, context: Context, crossing: Crossing, found: Diagnosis, known: Finding) -> list[Finding]:
        """A change that was reported goes on: it is not reported again, except once when it has become critical.

        What fires then is measured against the original reference, as all of the change is one.
        """
        self._cooldowns[View.OUTPUTS].reset()
        self._learn_from(found.position)
        if known.state is not State.FIRING or any(f.severity is Severity.CRITICAL for f in self.open):
            return []
        situation, history, reference = self._situation(context), self.history, self.original.reference
        chosen = np.arange(found.position, len(history))
        moved = shift(reference, situation.scores(reference, found.position))
        effect = np.where(reference.is_input, 0.0, feature_changes.effects(reference, moved, context.settings.floors))
        changes = feature_changes.changed_features(
            reference, moved, effect, history.numbers[chosen], history.flag_values()[chosen], context.specs
        )
        if classify.severity_of(changes, context.specs) is not Severity.CRITICAL:
            return []
        driver = Driver(known.driver or Driver.CALL)
        whole = replace(
            found,
            said=naming.placed(changes, naming.sureties(reference, moved), driver, context.specs),
            kind=known.kind,
            driver=driver,
            changes=changes,
            attribution=attribution.Attribution(known.segment),
            began=known.began_at,
            reference=self.original,
            rows=np.flatnonzero(history.indices >= known.began_at.index),
        )
        grown = self._finding(context, crossing, whole, fires=True)
        self._findings.add(situation, grown, found.position)
        self._revisions.fired(situation, grown, crossing, whole)
        return [grown]

    # The provisional reference, and the way back

    def _learn_from(self, position: int) -> None:
        """The rows kept from a position on, with those that follow, become a provisional reference."""
        self._learning = True
        self._evidence_from = self.seen - (len(self.history) - position)
        self._findings.note_step(self.seen)

    def _gather(self, context: Context, block: _Block) -> list[Finding]:
        """Gather changed rows until they make a provisional reference."""
        self._keep(block)
        findings = self._recover(context, len(block.rows))
        gathered = min(self.seen - self._evidence_from, len(self.history))
        if not self._learning or gathered < PROVISIONAL_REFERENCE_ROWS:
            return findings
        layout = self._active.reference.layout
        numbers, flags, segments = self.history.read(-gathered)
        excluded = Alone.excluded(layout.numbers, context.settings)
        marks = self.history.marks[-gathered:]
        self._version += 1
        self._active = LearnedReference.learn(layout, numbers, flags, segments, marks, self._version, excluded)
        if not self.open:  # accepted while it was being learned
            self.original = self._active
        self._learning = False
        self._begin_evidence(context.settings, gathered)
        return findings

    def _recover(self, context: Context, rows: int) -> list[Finding]:
        """The last rows came; the findings that they resolve, after which the original reference is in use again."""
        situation = self._situation(context)
        findings = self._findings.take(situation, rows)
        if findings is None:
            return []
        self._active = self.original
        self._learning = False
        for cooldown in self._cooldowns.values():
            cooldown.reset()
        self._begin_evidence(context.settings, self._findings.rows_shown(situation))
        return self._revisions.ended(findings)

    def resolve(self, why: Resolution) -> list[Finding]:
        """Close what is open; the firing ones are reported as resolved."""
        return self._revisions.ended(self._findings.resolve(why))

    def accept(self) -> None:
        """What is normal now becomes the reference; where it is still being learned, learning goes on."""
        self.original = self._active

    # Status

    def log_evidence(self) -> float:
        """log10 of the evidence on outputs."""
        return log10(self._evidence.of(View.OUTPUTS).total())

    def features(self) -> dict[str, FeatureStatus]:
        """Each number's median and each declared flag's rate: in the reference, and lately."""
        reference = self.original.reference
        alone = self._evidence.of(View.OUTPUTS).by_column(len(reference.mean))
        return feature_statuses(reference, self.history, alone)

    def recent(self) -> list[tuple[int, Segments]]:
        """Stream index and segments of the last `RECENT_ROWS` rows, oldest first."""
        history = self.history
        return list(zip(history.indices[-RECENT_ROWS:].tolist(), history.segments[-RECENT_ROWS:], strict=True))

    def shares(self, recent: Sequence[Segments]) -> list[SegmentShare]:
        """Values of attributes by how much of the traffic they carry, in the reference or among these recent rows."""
        return segment_shares(self.original.segments, recent)

    # State

    def to_state(self) -> ReferenceMonitorState:
        """For a snapshot."""
        return ReferenceMonitorState(
            pinned=self.pinned,
            views=self._views,
            seen=self.seen,
            version=self._version,
            evidence_from=self._evidence_from,
            normal_from=self._normal_from,
            calm=self._maturing.calm,
            original=self.original.to_state(),
            active=None if self._active is self.original else self._active.to_state(),
            learning=self._learning,
            repetitions=self._repetitions.to_state(),
            history=self.history.to_state(),
            evidence=self._evidence.to_state(),
            alone=self._detectors.to_state(),
            open=self._findings.to_state(),
            rare=self._rare.to_state(),
            cooldowns=self._cooldowns,
            examples=[(e.event_id, e.input, e.output) for e in self._examples],
            revisions=self._revisions.to_state(),
        )

    @classmethod
    def from_state(cls, state: ReferenceMonitorState, settings: DetectionSettings) -> ReferenceMonitor:
        """The monitor that `state` described; it goes on bit for bit.

        Detectors of single numbers are those that the settings choose, whatever `state` says of others.
        """
        original = LearnedReference.from_state(state.original)
        monitor = cls(original, pinned=state.pinned, inputs=View.INPUTS in state.views)
        monitor.seen, monitor._version = state.seen, state.version
        monitor._evidence_from, monitor._normal_from = state.evidence_from, state.normal_from
        monitor._maturing = Maturing(state.calm)
        monitor._active = original if state.active is None else LearnedReference.from_state(state.active)
        monitor._learning = state.learning
        monitor._repetitions = Repetitions.from_state(state.repetitions)
        monitor.history = RecentRows.from_state(state.history)
        monitor._evidence = ViewEvidence(monitor._active, monitor._views)
        monitor._evidence.restore(state.evidence)
        monitor._detectors.restore(state.alone, monitor._active.reference, settings, monitor._usual_numbers())
        monitor._findings = OpenFindings.from_state(state.open)
        monitor._rare = RareCategories.from_state(state.rare)
        monitor._cooldowns = state.cooldowns
        monitor._examples = [Excerpt(*parts) for parts in state.examples]
        monitor._revisions = Revisions.from_state(state.revisions)
        return monitor


def _is_loud(context: Context, evidence: Array) -> NDArray[np.bool_]:
    """Where evidence (n) is more than halfway, in logarithms, to what the alert budget asks for: such rows, and those
    before them, may be the beginning of a change and do not mature the reference."""
    return np.asarray(evidence >= math.sqrt(context.threshold))
