"""`ReferenceMonitor`: rows of one kind held against one reference, from evidence to findings.

A stream has one track. It gets another when its traffic turns out to hold a segment that the reference never saw (a new
task, say): such rows are learned and judged apart, so that their coming is no change of behaviour, and a change of
behaviour among the others is seen as before. A row belongs to exactly one track, so together they keep one budget.

After a finding that fires, evidence starts from zero against a provisional reference, learned from the changed rows, so
the track is not deaf. It resolves when `monitor.detection.stream.recovery` is sure that the change has ended, and the
last `recovery` events are within the floor of the original reference. A shift of the inputs that explains the outputs
is information, but handled alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.duplicates import Repetitions
from monitor.detection.columns.normal_scores import expand
from monitor.detection.columns.rare_categories import RareCategories
from monitor.detection.columns.recent_rows import LENGTH, RecentRows, Segments, segments_of
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.columns.watched_columns import ENDINGS, Categories, FlagKind, WatchedColumns, watched
from monitor.detection.detectors.chosen import Alone
from monitor.detection.diagnosis import attribution, change_point, explain, trend_forecast
from monitor.detection.diagnosis.alert_correlation import GOES_ON
from monitor.detection.evidence.shiryaev_roberts import Evidence
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import (
    EXAMPLES,
    SPREAD,
    TAIL,
    BeganAt,
    Driver,
    Ended,
    Examples,
    Excerpt,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Resolution,
    Severity,
    State,
    base_name,
    finding_id,
    resolved,
)
from monitor.detection.records.status import FeatureStatus, SegmentShare
from monitor.detection.reference.learned_reference import LearnedReference, marks_of
from monitor.detection.reference.moments import UNIT
from monitor.detection.reference.reference import Reference
from monitor.detection.settings import DetectionSettings
from monitor.detection.slo.slo_monitor import cost, counted_features
from monitor.detection.stream.recovery import PIECE, Column, Recovery, columns_of_change, columns_of_spread, not_back
from monitor.features.base import FeatureSpec, Role
from monitor.features.families.dependencies import SHAPE
from monitor.features.keyed import has_key

ENOUGH = 0.5
"""Share of a reference's rows in which a feature must be measured to be part of it: with fewer, its own standard error
is more than 1.4 times what the reference says of all. Others come late (`monitor.detection.stream.late_features`)."""
RELEARN = 200
"""Rows of a provisional reference, and of a segment's own."""
FEW = 64
"""Rows up to which a shift is too uncertain to be called small."""
SURE_FLAG = {"rate": 7.0, "failure": 4.5}
"""`change.surest_flag` from which flags that alone told of a change are believed. Other questions to the same model set
rates apart that no mean shows, faults less often than the rest."""
SURE_ALONE = 7.0
"""How sure the shift of a number must be for its own detector to fire; as sure as flags that alone told of a change.
KSWIN that finds drift in every other window of calm rows fired in none of 32,000."""
AGAIN = 16
"""Rows after which flags that were not believed are looked at again."""
LOOKED = 288
"""Rows after the change at which that has gone on for long enough, and it is information: history holds few more."""
PATIENCE = 200
"""Rows for which a view is left alone after information that was no alert; doubled each time, to `PATIENCE_MOST`."""
PATIENCE_MOST = 12_800
DEPARTED = 2.0
"""Standard errors by which rows must differ from the original reference to be a second change and no way back."""
SECOND = 3.0
"""The same for a column that a second finding names, to be among those that must return: it was named against the
provisional reference, so that nothing but these rows says that it ever left the original."""
NEARER = 0.5
"""Share of the distance to the provisional reference below which rows are on their way back to the original."""
RECOVERED = 1.0
"""Standard errors beyond which rows are not yet as before. With 2, a lasting share of 5 % failures was called recovered
(and rang again) every 2,000 events, since 200 rows hold four of them now and then; with 1, once in 25,000."""
WIDE = 1 / 3
"""Share of a segment that a few rows may have named in place of the whole stream."""
DELAY = 128
"""Rows for which a row must have stayed calm before it matures the reference: several delays of a large change."""
TYPICAL_OF = 40
"""Rows before a change among which the typical examples are looked for."""
REMEMBER_EVERY = 1024
"""Rows after which typical examples are put by, for a change that is found when its eve is no longer held."""
RECENT = 64
"""Rows that say what features and segments are lately."""
MOST_SHARES = 24
LEAST_SHARE = 0.1
"""Segments whose share a status tells, and what one that is new must carry: a stream's metrics stay bounded whatever
attributes its events bring, ids of requests included."""

Array = NDArray[np.float64]


class _Quiet(msgspec.Struct):
    """A view whose evidence crossed without reason to page: not looked at again before row `until`."""

    until: int = 0
    wait: int = PATIENCE


class _Scope(NamedTuple):
    """Some of the rows held: their positions (n) and scores (n, d)."""

    rows: NDArray[np.intp]
    y: Array


class _Told(NamedTuple):
    """What a finding says: the changes against a reference, since when, and the rows held that show them (n)."""

    kind: FindingKind
    driver: Driver
    changes: list[FeatureChange]
    laid: attribution.Attribution
    began: BeganAt
    normal: LearnedReference
    rows: NDArray[np.intp]


@dataclass(frozen=True)
class Context:
    """What a track shares with its stream: name, settings, declarations, and the threshold of evidence."""

    stream: str
    settings: DetectionSettings
    declared: Sequence[FeatureSpec]
    specs: DeclaredFeatures
    threshold: float


class ReferenceMonitor:
    """Judges rows against a reference that it learned from `warm_up`.

    Parameters
    ----------
    pinned
        Whether the reference stays as first learned, instead of maturing with calm rows.
    inputs
        Whether there are bets on the inputs; none where another track of the same rows has them
        (`monitor.detection.stream.late_features`).

    Attributes
    ----------
    open
        Findings that hold now, oldest first: firing ones, and information about shifted inputs.
    strangers
        Segments that this track found new; whoever deals with them empties the list.
    """

    def __init__(self, *, pinned: bool = False, inputs: bool = True) -> None:
        self.pinned = pinned
        self._views = ("outputs", "inputs") if inputs else ("outputs",)
        self.seen = 0
        self.open: list[Finding] = []
        self.strangers: list[tuple[str, str]] = []
        self._version = 0
        self._original: LearnedReference | None = None
        self._active: LearnedReference | None = None
        self._learning = False
        self._history = RecentRows(0, 0)
        self._since = 0
        self._normal_from = 0
        self._outputs: Evidence | None = None
        self._inputs: Evidence | None = None
        self._alone = Alone()
        self._quiet = {"outputs": _Quiet(), "inputs": _Quiet()}
        self._examples: list[Excerpt] = []
        self._within = 0
        self._recovery: Recovery | None = None
        self._calm = 0
        self._repetitions = Repetitions()
        self._rare = RareCategories()
        self._stepped = 0

    @property
    def warm(self) -> bool:
        """Whether there is a reference."""
        return self._active is not None

    @property
    def settled(self) -> bool:
        """Whether no finding is open and no reference is being learned."""
        return not self.open and not self._learning

    @property
    def _stays(self) -> bool:
        """Whether the reference stays as it was learned: it is pinned, and not a provisional one."""
        return self.pinned and self._active is self._original

    @property
    def original(self) -> LearnedReference | None:
        """What is normal: the reference as learned or accepted, not a provisional one."""
        return self._original

    def features_known(self) -> frozenset[str]:
        """Names of the features that the reference says something of."""
        return frozenset() if self._original is None else self._original.reference.layout.features()

    @property
    def history(self) -> RecentRows:
        """The last rows."""
        return self._history

    # Rows

    def warm_up(self, context: Context, rows: StreamRows, indices: NDArray[np.int64]) -> None:
        """Learn the reference from these rows, whose stream indices are given (n)."""
        used = [
            spec
            for spec in watched(context.declared, context.settings.features, context.settings.exclude)
            if has_key(spec.name) or spec.name == SHAPE or rows.measured(spec).mean() >= ENOUGH
        ]
        layout = WatchedColumns.learn(used, rows.values, rows.names, Categories(rows.categories))
        numbers, flags = columns_of(layout, rows)
        excluded = Alone.excluded(layout.numbers, context.settings)
        self._version += 1
        where = segments_of(rows.segments)
        self._original = self._active = LearnedReference.learn(
            layout, numbers, flags, where, marks_of(rows.digests), self._version, excluded
        )
        self._history = RecentRows(len(layout.numbers), len(layout.flags))
        self._keep(rows, indices, numbers, flags, where)
        self._examples = self._typical(len(self._history))
        self._begin_evidence(context.settings, len(self._history))

    def judge(self, context: Context, rows: StreamRows, indices: NDArray[np.int64]) -> tuple[list[Finding], int]:
        """Take a block's rows with their stream indices; what they brought to light, and how many were taken.

        Rows behind one that brought strangers to light are left: some of them are no longer this track's.
        """
        findings: list[Finding] = []
        start = 0
        while start < len(rows) and not self.strangers:
            found, taken = self._block(context, rows.part(start), indices[start:])
            findings += found
            start += taken
        return findings, start

    def _block(self, context: Context, rows: StreamRows, indices: NDArray[np.int64]) -> tuple[list[Finding], int]:
        """Judge rows up to the first crossing; how many were taken."""
        assert self._active is not None
        reference = self._active.reference
        numbers, flags = columns_of(reference.layout, rows)
        if self._learning:
            return self._learn_on(context, rows, indices, numbers, flags), len(rows)
        assert self._outputs is not None
        assert self._inputs is not None
        where = segments_of(rows.segments)
        y = reference.scores(numbers, flags, where)
        counts = self._repetitions.counts(rows.digests, rows.present(context.specs.input_length))
        saved = (self._outputs.state(), self._inputs.state())
        missing = ~np.isfinite(numbers)
        evidences = {"outputs": self._outputs, "inputs": self._inputs}
        paths = {view: evidences[view].block(y, counts, where, missing) for view in self._views}
        place = self.seen + np.arange(len(rows))
        firsts = {}
        for view, path in paths.items():
            at = np.flatnonzero((path >= context.threshold) & (place >= self._quiet[view].until))
            if len(at):
                firsts[view] = int(at[0])
        until = min(firsts.values(), default=len(rows)) + 1
        alone = self._alone.first_drift(reference.layout.numbers, numbers[:until], self.seen)
        if alone is not None:
            firsts["alone"] = alone[0]
        if not firsts:
            loud = np.max(list(paths.values()), axis=0) >= math.sqrt(context.threshold)
            grown = False
            # While it matures in pieces, so that rows that are due are held.
            size = UNIT if self._active.grows(context.settings.mature) else len(rows)
            for first in range(0, len(rows), size):
                piece = slice(first, first + size)
                kept = rows.part(first, first + size) if len(rows) > size else rows
                self._keep(kept, indices[piece], numbers[piece], flags[piece], where[piece])
                calm = not loud[piece].any()
                grown |= self._mature(context, len(kept), calm and not self._stays)
            if grown:
                self._active.renew(context.settings.mature)
                self._renew_evidence()
            findings = self._recover(context, len(rows))
            if not loud.any() and self.seen // REMEMBER_EVERY > (self.seen - len(rows)) // REMEMBER_EVERY:
                self._examples = self._typical(len(self._history), y)
            return findings, len(rows)
        view = min(firsts, key=lambda name: (firsts[name], name != "outputs"))
        taken = firsts[view] + 1
        if taken < len(rows):
            for evidence, before in zip(evidences.values(), saved, strict=True):
                evidence.rewind(before)
            for weighed in self._views:
                evidences[weighed].block(y[:taken], counts[:taken], where[:taken], missing[:taken])
        self._keep(rows.part(0, taken), indices[:taken], numbers[:taken], flags[:taken], where[:taken])
        if alone is None or view != "alone":
            self._calm = 0
            return self._examine(context, view, None), taken
        findings = self._examine(context, view, np.asarray([alone[1]], dtype=np.intp))
        if self._learning:
            self._calm = 0
            return findings, taken
        # What a detector of one number says without being borne out keeps nothing from its way.
        loud = any((path[:taken] >= math.sqrt(context.threshold)).any() for path in paths.values())
        if self._mature(context, taken, not loud and not self._stays):
            self._active.renew(context.settings.mature)
            self._renew_evidence()
        return findings + self._recover(context, taken), taken

    def choose(self, settings: DetectionSettings) -> None:
        """Detectors of single numbers as changed settings say, from the next row on (`.detectors.chosen`)."""
        if self._active is not None:
            self._alone.choose(self._active.reference, settings, self._usual_numbers())

    def _usual_numbers(self) -> NDArray[np.float16]:
        """Numbers (n, k) of the rows still there that are as the active reference says, or are judged against it."""
        return self._history.numbers[max(0, len(self._history) - (self.seen - self._normal_from)) :]

    def _begin_evidence(self, settings: DetectionSettings, rows: int) -> None:
        """Evidence from zero against the active reference, from the next row on; so the detectors of single numbers.

        The last `rows` rows are as that reference says.
        """
        assert self._active is not None
        reference = self._active.reference
        self._normal_from = self.seen - rows
        self._alone.begin(reference, settings, self._usual_numbers())
        self._outputs = Evidence(reference.outputs, reference.mean, self._active.segments)
        self._inputs = Evidence(reference.inputs, reference.mean)
        self._since = self.seen

    def _mature(self, context: Context, taken: int, calm: bool) -> bool:
        """Rows that stayed calm for `DELAY` rows more are added to a young reference; whether there were any."""
        assert self._active is not None
        self._calm = self._calm + taken if calm else 0
        if self._calm < DELAY + UNIT or not self._active.grows(context.settings.mature):
            return False
        history = self._history
        start, stop = len(history) - self._calm, len(history) - self._calm + UNIT
        self._calm -= UNIT
        if start < 0:
            return False
        y = self._scores(self._active.reference, start, stop)
        self._active.add(y, history.segments[start:stop], history.marks[start:stop])
        return True

    def _renew_evidence(self) -> None:
        """The reference matured: the same sums go on, with the new bets."""
        assert self._active is not None
        assert self._outputs is not None
        assert self._inputs is not None
        reference = self._active.reference
        self._outputs = self._outputs.renewed(reference.outputs, reference.mean, self._active.segments)
        self._inputs = self._inputs.renewed(reference.inputs, reference.mean)

    def _keep(
        self,
        rows: StreamRows,
        indices: NDArray[np.int64],
        numbers: NDArray[np.float16],
        flags: Array,
        where: list[Segments],
    ) -> None:
        marks = marks_of(rows.digests)
        self._history.append(indices, numbers, flags, rows.times, marks, rows.ids, where, rows.excerpts)
        if self._original is not None:
            self._rare.observe(self._original.reference.layout, flags, rows.categories, indices)
            self._rare.forget(self._history.first_index)
        self._repetitions.remember(rows.digests)
        self.seen += len(rows)

    # Findings

    def _examine(self, context: Context, crossed: str, columns: NDArray[np.intp] | None) -> list[Finding]:
        """Evidence has crossed with the last row kept: say what happened, or that it is no reason to page."""
        assert self._active is not None
        reference = self._active.reference
        history = self._history
        held = max(0, len(history) - (self.seen - self._since))
        where = history.segments[held:]
        y = reference.scores(history.numbers[held:], history.flag_values(held), where)
        inputs = crossed == "inputs" or (columns is not None and bool(reference.is_input[columns].all()))
        alone = None if columns is None else reference.layout.name(int(columns[0]))
        evidence = self._inputs if inputs else self._outputs
        assert evidence is not None
        carrier = None if inputs or columns is not None else evidence.carrier()
        scope = self._scope(y, where, carrier)
        point = self._point(inputs, evidence, scope, columns)
        moved = change_point.shift(reference, scope.y[scope.rows >= point.position])
        after, later = y[point.position :], where[point.position :]
        laid = attribution.attribute(reference, self._active.segments, after, later, moved, carrier)
        segment = None if laid.mix or not laid.segment else next(iter(laid.segment.items()))
        if segment != carrier:
            # The whole stream changed after all, or another segment did.
            scope = self._scope(y, where, segment)
            if carrier is not None:
                point = self._point(inputs, evidence, scope, columns)
                after, later = y[point.position :], where[point.position :]
            moved = change_point.shift(reference, scope.y[scope.rows >= point.position])
        effect = explain.effects(reference, moved, context.settings.floors)
        effect = np.where(reference.is_input == inputs, effect, 0.0)
        since = scope.rows >= point.position
        chosen, changed = held + scope.rows[since], scope.y[since]
        spread = changed if (columns is not None or "single" in evidence.told()) and not inputs else None
        changes = self._changes(context, moved, effect, chosen, spread)
        if columns is not None and not self._borne_out(columns[0], changes, moved, changed):
            changes = []
        decisive = explain.decisive(reference, moved, changes, context.specs)
        driver = self._driver(context, inputs, after, decisive, laid, evidence)
        undecided = not inputs and self._undecided(driver, laid, evidence, after)
        if alone is not None and (undecided or not changes):
            if self._alone.look_again(alone, self.seen + (attribution.COMPARED - len(after) if undecided else FEW)):
                return []
        elif undecided:
            self._quiet["outputs"].until = self.seen + attribution.COMPARED - len(after)
            return []
        unsure = columns is None and not inputs and self._unsure(context, evidence, chosen, changed)
        if unsure and len(after) < LOOKED:
            self._quiet["outputs"].until = self.seen + AGAIN
            return []
        back = self._back_to_original(context, len(after), {change.name for change in changes})
        fires = bool(changes) and driver.value in context.settings.alert_on and not back and not unsure
        kind = explain.kind_of(changes, decisive, driver, laid, context.specs)
        position = held + point.position
        if alone is not None:
            self._alone.judged(alone)
        if fires and (known := self._grew(context, laid.segment, decisive)) is not None:
            return self._follow(context, known, position, evidence)
        began = self._began(held, point)
        state = State.FIRING if fires else State.INFO
        told = _Told(kind, driver, changes, laid, began, self._active, chosen)
        finding = self._finding(context, state, told, position, evidence)
        quiet = self._quiet["inputs" if inputs else "outputs"]
        if laid.strangers and not fires:
            self.strangers.extend(laid.strangers)
            self._restart()
            return [finding]
        if not back and (fires or (driver is Driver.INPUT and not inputs)):
            self._open(context, finding, position)
            quiet.wait, quiet.until = PATIENCE, 0
            self._relearn(position)
            return [finding]
        if alone is not None:
            if back or not self._alone.tells(self.seen):
                return []
            return [finding if changes else self._alone.unconfirmed(alone, finding)]
        if not changes and moved.rows <= FEW:
            # Certain together, and no feature large enough yet: a few rows more will tell.
            quiet.until = self.seen + FEW
            return []
        if back:
            # The way back takes a while; what else may come with it is asked again soon.
            quiet.until = self.seen + FEW
            self._restart()
            return []
        repeated = quiet.wait > PATIENCE
        quiet.until = self.seen + quiet.wait
        quiet.wait = min(2 * quiet.wait, PATIENCE_MOST)
        if not inputs:
            self._restart()
        return [] if repeated else [finding]

    def _scope(self, y: Array, where: Sequence[Segments], segment: tuple[str, str] | None) -> _Scope:
        """The rows (n, d) of a segment as if its mean in the reference were that of all; all rows for None."""
        assert self._active is not None
        if segment is None:
            return _Scope(np.arange(len(y)), y)
        rows = np.flatnonzero([segment in pairs for pairs in where])
        own = self._active.segments.mean(*segment)
        return _Scope(rows, y[rows] if own is None else y[rows] + (self._active.reference.mean - own))

    def _point(
        self, inputs: bool, evidence: Evidence, scope: _Scope, columns: NDArray[np.intp] | None
    ) -> change_point.ChangePoint:
        """The change point among all rows, by those in scope."""
        assert self._active is not None
        reference = self._active.reference
        if columns is None:
            view = reference.inputs if inputs else reference.outputs
            point = change_point.change_point(reference, view, scope.y, evidence.told())
        else:
            point = change_point.column_change_point(reference, columns, scope.y)
        position, low, high = (int(scope.rows[place]) for place in (point.position, point.low, point.high))
        return change_point.ChangePoint(position, low, high)

    def _restart(self) -> None:
        assert self._outputs is not None
        assert self._inputs is not None
        self._outputs.restart()
        self._inputs.restart()
        self._since = self.seen

    def _changes(
        self,
        context: Context,
        moved: change_point.Shift,
        effect: Array,
        chosen: NDArray[np.intp],
        y: Array | None,
    ) -> list[FeatureChange]:
        """What moved in the chosen rows held; where nothing did but the bets on single numbers told, what spreads.

        That is told from the rows' scores y (n, d).
        """
        assert self._active is not None
        reference = self._active.reference
        numbers, flags = self._history.numbers[chosen], self._history.flag_values()[chosen]
        indices = frozenset(self._history.indices[chosen].tolist())

        def others(feature: str) -> tuple[str, int] | None:
            return self._rare.commonest(feature, indices)

        changes: list[FeatureChange] = []
        for sure in (2.5, 1.5, 0.0):
            # Few rows may be certain together while none of their features is alone.
            changes = explain.feature_changes(
                reference, moved, effect, numbers, flags, context.specs, sure=sure, others=others
            )
            if not changes and y is not None:
                spread = explain.spread_effects(reference, y, context.settings.floors, max(sure, 1.5))
                changes = explain.spread_changes(reference, spread, numbers)
            if changes or moved.rows > FEW:
                break
        return changes

    def _driver(
        self,
        context: Context,
        inputs: bool,
        after: Array,
        decisive: list[FeatureChange],
        laid: attribution.Attribution,
        evidence: Evidence,
    ) -> Driver:
        assert self._active is not None
        reference = self._active.reference
        if inputs:
            return Driver.INPUT
        if laid.mix:
            return Driver.MIX
        # Faults are rare, and nothing of them shows in how far the means moved.
        compared = not laid.new_versions and evidence.foremost() != "failure"
        if compared and attribution.explained_by_inputs(reference, after):
            return Driver.INPUT
        return explain.driver_of(decisive, context.specs)

    def _undecided(self, driver: Driver, laid: attribution.Attribution, evidence: Evidence, after: Array) -> bool:
        """Whether other inputs came with the changed outputs, and it is too early to tell whose doing these are.

        What a new version or a fault says needs no comparison.
        """
        assert self._active is not None
        return (
            len(after) < attribution.COMPARED
            and driver in (Driver.INPUT, Driver.OUTPUT)
            and not laid.new_versions
            and "failure" not in evidence.told()
            and attribution.inputs_moved_together(self._active.reference, after, attribution.PERHAPS)
        )

    def _unsure(self, context: Context, evidence: Evidence, chosen: NDArray[np.intp], y: Array) -> bool:
        """Whether flags alone told of a change, and none moved further than in two samples of one rate it may.

        Of the chosen rows held the scores are y (n, d).
        """
        assert self._active is not None
        told = evidence.told()
        kind = next(iter(told)) if len(told) == 1 else None
        if kind not in SURE_FLAG:
            return False
        history, reference = self._history, self._active.reference
        names, asked = reference.layout.numbers, context.specs.input_length
        place = names.index(asked) if asked is not None and asked in names else None
        # Where inputs are not published, the same words may well answer different questions.
        known = place is not None and bool(np.isfinite(history.numbers[chosen, place]).all())
        distinct = len(np.unique(history.marks[chosen])) if known else len(chosen)
        return change_point.surest_flag(reference, y, distinct, faults=kind == "failure") < SURE_FLAG[kind]

    def _borne_out(self, column: int, changes: Sequence[FeatureChange], moved: change_point.Shift, y: Array) -> bool:
        """Whether the number in whose column a detector of its own found drift moved, or spreads, as it should have.

        By its floor, and surely: by as much as `SURE_ALONE` asks of two samples, less what rows that were chosen as the
        start of a change are worth (`change.surest_flag`). Otherwise the detector hears noise, and what else lies far
        does so by chance. `y` (n, d) are the scores of the changed rows, `moved` their shift.
        """
        assert self._active is not None
        reference = self._active.reference
        name = reference.layout.name(column)
        if all(base_name(each.name) != name for each in changes):
            return False
        surety = max(abs(float(moved.surety[column])), abs(float(change_point.widening(reference, y)[1][column])))
        return surety * surety / 2 - math.log(max(LENGTH / max(len(y), 1), 1.0)) >= SURE_ALONE

    def _began(self, held: int, point: change_point.ChangePoint) -> BeganAt:
        """The change point, found among the rows from `held` on, as a finding says it."""
        history = self._history
        at, low, high = (int(history.indices[held + place]) for place in (point.position, point.low, point.high))
        return BeganAt(at, low, high, finite(history.times[held + point.position]))

    def _finding(self, context: Context, state: State, told: _Told, position: int, evidence: Evidence) -> Finding:
        """The finding that the last row raised; rows from a position on are its examples."""
        history = self._history
        index = int(history.indices[-1])
        kind, driver, changes, laid = told.kind, told.driver, told.changes, told.laid
        more = self._more(context, told)
        title, cause = explain.words(context.stream, kind, driver, changes, laid, told.began.index, context.specs, more)
        before = self._typical(position) or self._examples
        after = self._telling(position)
        severity = explain.severity_of(changes, context.specs) if state is State.FIRING else Severity.INFO
        return Finding(
            stream=context.stream,
            state=state,
            id=finding_id(context.stream, kind, driver, laid.segment, index),
            kind=kind,
            cause=cause,
            driver=driver,
            raised_at=RaisedAt(history.event_id(-1), index, finite(history.times[-1])),
            began_at=told.began,
            features=changes,
            segment=laid.segment,
            examples=Examples([e.event_id for e in before], [e.event_id for e in after]),
            title=title,
            severity=severity,
            runbook=explain.runbook_of(kind, changes, context.specs),
            evidence=round(math.log10(max(evidence.total(), 1e-300)), 2),
            threshold=round(math.log10(context.threshold), 2),
            excerpts_before=before,
            excerpts_after=after,
            model=_common(history.segments[position:], "model.name"),
        )

    def _more(self, context: Context, told: _Told) -> list[str]:
        """What else is said of the changed rows: quantiles of times, when a context is full, what an objective pays."""
        layout = told.normal.reference.layout
        numbers, names = self._history.numbers[told.rows], layout.numbers
        more: list[str] = []
        if told.kind in (FindingKind.LATENCY, FindingKind.DEPENDENCY):
            changes = explain.in_order(told.changes, told.kind, context.specs)
            more.append(explain.times(told.normal.reference, numbers, changes, context.specs))
        elif told.kind is FindingKind.CONTEXT:
            share, turn = (
                expand(numbers[:, names.index(name)]) if name in names else np.full(len(numbers), np.nan)
                for name in (context.specs.leading(Role.CONTEXT), context.specs.leading(Role.SESSION))
            )
            more.append(trend_forecast.words(share, np.round(turn), self._history.times[told.rows]))
        if context.settings.slo:
            # An objective counts every row, whichever segment changed.
            since = slice(int(told.rows[0]), None)
            timed, failed = counted_features(context.specs)
            place = None if failed is None else layout.flag_place(failed, FlagKind.DECLARED)
            latency = self._history.numbers[since, names.index(timed)] if timed in names else None
            error = None if place is None else self._history.flag_values()[since, place]
            rows = len(self._history) - since.start
            more += cost(context.settings.slo, told.changes, rows, latency, error, context.specs)
        return more

    def _typical(self, before: int, y: Array | None = None) -> list[Excerpt]:
        """Of the rows before a position whose excerpts are still held, those nearest to the reference's centre.

        `y` (n, d) are the scores of the last rows before it, where they are at hand.
        """
        assert self._active is not None
        reference = self._active.reference
        start = max(self._history.first_excerpt, before - TYPICAL_OF)
        if before - start < EXAMPLES:
            return []
        if y is None or len(y) < before - start:
            y = self._scores(reference, start, before)
        far = (np.abs(y[start - before :] - reference.mean) / reference.sd).mean(1)
        nearest = start + np.sort(np.argsort(far, kind="stable")[:EXAMPLES])
        return [self._history.excerpt(int(position)) for position in nearest]

    def _telling(self, position: int) -> list[Excerpt]:
        """Of the rows from a position on, those that lie furthest in the direction of the change."""
        assert self._active is not None
        reference = self._active.reference
        y = self._scores(reference, position, len(self._history))
        z = np.clip((y - reference.mean) / reference.sd, -4, 4)
        start = max(0, self._history.first_excerpt - position)
        along = z[start:] @ z.mean(0)
        furthest = position + start + np.sort(np.argsort(-along, kind="stable")[:EXAMPLES])
        return [self._history.excerpt(int(place)) for place in furthest]

    def _scores(self, reference: Reference, start: int, stop: int) -> Array:
        history = self._history
        return reference.scores(
            history.numbers[start:stop], history.flag_values(start, stop), history.segments[start:stop]
        )

    # After a finding

    def _learn_on(
        self, context: Context, rows: StreamRows, indices: NDArray[np.int64], numbers: NDArray[np.float16], flags: Array
    ) -> list[Finding]:
        """Gather changed rows until they make a provisional reference."""
        assert self._active is not None
        self._keep(rows, indices, numbers, flags, segments_of(rows.segments))
        findings = self._recover(context, len(rows))
        gathered = min(self.seen - self._since, len(self._history))
        if not self._learning or gathered < RELEARN:
            return findings
        history = self._history
        self._version += 1
        reference = self._active.reference
        self._active = LearnedReference.learn(
            reference.layout,
            history.numbers[-gathered:],
            history.flag_values(-gathered),
            history.segments[-gathered:],
            history.marks[-gathered:],
            self._version,
            Alone.excluded(reference.layout.numbers, context.settings),
        )
        if not self.open:  # accepted while it was being learned
            self._original = self._active
        self._learning = False
        self._begin_evidence(context.settings, gathered)
        return findings

    def _relearn(self, position: int) -> None:
        """The rows held from a position on become a provisional reference, with those that follow."""
        self._learning = True
        self._since = self.seen - (len(self._history) - position)
        self._within = 0
        self._stepped = self.seen

    def _grew(
        self, context: Context, segment: dict[str, str] | None, decisive: Sequence[FeatureChange]
    ) -> Finding | None:
        """The open finding, if any, whose change goes on in this one: the same features moved on the same way."""
        assert self._original is not None
        if self.seen - self._stepped > GOES_ON:
            return None
        table = self._original.segments
        for known in self.open:
            wide = all(table.share(*pair) >= WIDE for pair in (known.segment or {}).items())
            told = [explain.told_in(known, change, context.specs) for change in decisive]
            # One of them may have moved by chance.
            if (wide or known.segment == segment) and told[0] and 2 * sum(told) >= len(told):
                return known
        return None

    def _follow(self, context: Context, known: Finding, position: int, evidence: Evidence) -> list[Finding]:
        """A change that was told goes on: it is not told again, but once it has become critical.

        What fires then is measured against the original reference, as all of the change is one.
        """
        assert self._original is not None
        history, reference = self._history, self._original.reference
        quiet = self._quiet["outputs"]
        quiet.wait, quiet.until = PATIENCE, 0
        self._relearn(position)
        if known.state is not State.FIRING or any(f.severity is Severity.CRITICAL for f in self.open):
            return []
        chosen = np.arange(position, len(history))
        moved = change_point.shift(reference, self._scores(reference, position, len(history)))
        effect = np.where(reference.is_input, 0.0, explain.effects(reference, moved, context.settings.floors))
        changes = explain.feature_changes(
            reference, moved, effect, history.numbers[chosen], history.flag_values()[chosen], context.specs
        )
        if explain.severity_of(changes, context.specs) is not Severity.CRITICAL:
            return []
        driver, laid = Driver(known.driver or Driver.CALL), attribution.Attribution(known.segment)
        since = np.flatnonzero(history.indices >= known.began_at.index)
        told = _Told(known.kind, driver, changes, laid, known.began_at, self._original, since)
        grown = self._finding(context, State.FIRING, told, position, evidence)
        self._open(context, grown, position)
        return [grown]

    def _back_to_original(self, context: Context, rows: int, changed: Set[str]) -> bool:
        """Whether the last rows, which departed from a provisional reference, are on their way to the original.

        Both in what the open findings named and in the features that changed now: another change is no way back.

        Few rows rarely lie exactly at either: they are on their way back if they are much nearer to where they came
        from than to where they were.
        """
        if not self.open or self._active is self._original:
            return False
        assert self._original is not None
        assert self._active is not None
        if not self._beyond_floor(context, rows, DEPARTED, changed):
            return True
        there, here = (
            self._distance(context, normal.reference, rows, changed) for normal in (self._original, self._active)
        )
        return there < NEARER * here

    def _distance(self, context: Context, reference: Reference, rows: int, also: Set[str]) -> float:
        """How far the last rows are from a reference in what the open findings named, and also these, in floors."""
        held = len(self._history)
        moved = change_point.shift(reference, self._scores(reference, max(0, held - rows), held))
        effect = explain.effects(reference, moved, context.settings.floors)
        return float(np.abs(effect[self._named(reference, also)]).sum())

    def _named(self, reference: Reference, also: Set[str]) -> NDArray[np.bool_]:
        """The columns (d) that the open findings named, and also these."""
        return self._of_names(reference, {f.name for finding in self.open for f in finding.features} | also)

    def _of_names(self, reference: Reference, named: Set[str]) -> NDArray[np.bool_]:
        """The columns (d) that findings call by one of these names."""
        return np.asarray(
            [name in named for name in reference.layout.numbers]
            + [f.feature in named or f"{f.feature}{ENDINGS.get(f.kind, '')}" in named for f in reference.layout.flags],
            dtype=bool,
        )

    def _beyond_floor(self, context: Context, rows: int, sure: float, also: Set[str] = frozenset()) -> bool:
        """Whether the last rows surely differ from the original in what the open findings named, and also these.

        `sure` is in standard errors.
        """
        assert self._original is not None
        reference = self._original.reference
        held = len(self._history)
        y = self._scores(reference, max(0, held - rows), held)
        moved = change_point.shift(reference, y)
        effect = np.abs(explain.effects(reference, moved, context.settings.floors))
        if bool((self._named(reference, also) & (effect >= 1.0) & moved.certain(sure)).any()):
            return True
        spread = np.abs(explain.spread_effects(reference, y, context.settings.floors, sure))
        told = {f.name for finding in self.open for f in finding.features} | also
        return any(spread[j] >= 1.0 for j, name in enumerate(reference.layout.numbers) if f"{name}{SPREAD}" in told)

    def _recover(self, context: Context, taken: int) -> list[Finding]:
        if not self.open:
            return []
        self._within += taken
        recovery = self._tested(context)
        window = context.settings.recovery
        shown = min(window, LENGTH)
        if self._within < window or len(self._history) < shown:
            return []
        if not all(self._gone(column, shown) for column in not_back(recovery.columns)):
            return []
        if self._beyond_floor(context, shown, RECOVERED):
            return []
        return self._end(context, shown)

    def _end(self, context: Context, shown: int) -> list[Finding]:
        """The changes are over, and the last `shown` rows are as before: the original reference is in use again."""
        findings = self._recovered(context, shown)
        self._active = self._original
        self._learning = False
        for quiet in self._quiet.values():
            quiet.wait, quiet.until = PATIENCE, 0
        self._begin_evidence(context.settings, shown)
        return findings

    def _open(self, context: Context, finding: Finding, position: int) -> None:
        """A finding holds from now on: the rows held from a position on, which raised it, say what must go back."""
        self.open.append(finding)
        if self._recovery is None:
            self._recovery = Recovery(self.seen)
        self._recovery.also(self._columns_to_test(context, finding, position))

    def _columns_to_test(self, context: Context, finding: Finding, position: int) -> list[Column]:
        """The columns whose return ends a finding, by the rows held from a position on."""
        assert self._original is not None
        reference = self._original.reference
        segment = None
        if finding.driver is not Driver.MIX and finding.segment and len(finding.segment) == 1:
            segment = next(iter(finding.segment.items()))
        y = self._of_segment(segment, position, len(self._history))
        floors = context.settings.floors
        moved = change_point.shift(reference, y)
        effect = explain.effects(reference, moved, floors)
        names = {f.name for f in finding.features}
        # What a finding names against a provisional reference may be back where the original is.
        sure = DEPARTED if self._active is self._original else SECOND
        named = self._of_names(reference, names) & (np.abs(effect) >= 1.0) & moved.certain(sure)
        columns = columns_of_change(reference, y, moved, effect, named, segment)
        spread = [j for j, name in enumerate(reference.layout.numbers) if f"{name}{SPREAD}" in names]
        return columns + columns_of_spread(reference, y, spread, floors.spread, segment)

    def _of_segment(self, segment: tuple[str, str] | None, start: int, stop: int) -> Array:
        """Scores (n, d) by the original of rows held, as if the segment's mean were that of all; all rows for None."""
        assert self._original is not None
        y = self._scores(self._original.reference, start, stop)
        if segment is None:
            return y
        y = y[[segment in pairs for pairs in self._history.segments[start:stop]]]
        own = self._original.segments.mean(*segment)
        return y if own is None else np.asarray(y + (self._original.reference.mean - own))

    def _tested(self, context: Context) -> Recovery:
        """The test of recovery, fed with the rows that came since."""
        assert self._original is not None
        recovery, held = self._recovery, len(self._history)
        if recovery is None:  # a snapshot from before the test: the last rows say what has changed
            recovery = self._recovery = Recovery(self.seen)
            for finding in self.open:
                recovery.also(self._columns_to_test(context, finding, max(0, held - RELEARN)))
        recovery.taken = max(recovery.taken, self.seen - held)
        while self.seen - recovery.taken >= PIECE:
            start = held - (self.seen - recovery.taken)
            of: dict[tuple[str, str] | None, Array] = {}
            for column in recovery.columns:
                if column.segment not in of:
                    of[column.segment] = self._of_segment(column.segment, start, start + PIECE)
                recovery.add(column, of[column.segment][:, column.place], self._original.reference)
            recovery.taken += PIECE
            if not recovery.back_for():
                recovery.changed_until = finite(float(self._history.times[start + PIECE - 1]))
        return recovery

    def _gone(self, column: Column, rows: int) -> bool:
        """Whether a column is of a segment that none of the last rows has, as a version that was rolled back."""
        own = column.segment
        return own is not None and not any(own in pairs for pairs in self._history.segments[-rows:])

    def _recovered(self, context: Context, shown: int) -> list[Finding]:
        """Close what is open: the features are back, and each finding says where they are now."""
        history, recovery = self._history, self._recovery
        assert recovery is not None
        back = recovery.back_for() + self.seen - recovery.taken if recovery.columns else shown
        held = min(back, len(history))
        until = recovery.changed_until if back > held else finite(float(history.times[len(history) - held - 1]))
        firing, index, time = self._close(), int(history.indices[-1]), finite(float(history.times[-1]))
        return [
            resolved(
                finding,
                Resolution(
                    how=Ended.RECOVERED,
                    why=self._back_words(context, finding, recovery, back, held),
                    index=index,
                    time=time,
                    back_events=back,
                ),
                until,
            )
            for finding in firing
        ]

    def _back_words(self, context: Context, finding: Finding, recovery: Recovery, back: int, held: int) -> str:
        """Where the feature that a finding is about is now: by the tested rows, else by the last rows held."""
        assert self._original is not None
        reference, history = self._original.reference, self._history
        lead = next(iter(explain.in_order(finding.features, finding.kind, context.specs)), None)
        now = None
        for column in recovery.columns:
            if lead is not None and column.waiting[0] and explain.is_shown_by(reference.layout, column.place, lead):
                now = column.waiting[1] / column.waiting[0]
                break
        if now is None and lead is not None and not lead.name.endswith((SPREAD, TAIL)):
            now = explain.median_of(reference, lead, history.numbers[len(history) - held :], context.specs)
        if lead is None or now is None:
            return f"what it named is within the effect floor of the reference again for {back:,} events"
        return explain.back(lead, now, context.specs, back)

    def resolve(self, why: Resolution) -> list[Finding]:
        """Close what is open; the firing ones are reported as resolved."""
        return [resolved(finding, why) for finding in self._close()]

    def _close(self) -> list[Finding]:
        """Nothing is open any more; the findings that fired."""
        firing = [finding for finding in self.open if finding.state is State.FIRING]
        self.open, self._recovery = [], None
        return firing

    def accept(self) -> None:
        """What is normal now becomes the reference; where it is still being learned, learning goes on."""
        self._original = self._active

    # Outside

    def log_evidence(self) -> float:
        """log10 of the evidence on outputs."""
        return log10(self._outputs.total()) if self._outputs is not None else -math.inf

    def features(self) -> dict[str, FeatureStatus]:
        """Each number's median and each declared flag's rate: in the reference, and over the last `RECENT` rows."""
        if self._active is None or self._outputs is None or self._original is None:
            return {}
        reference = self._original.reference
        layout = reference.layout
        recent = expand(self._history.numbers[-RECENT:])
        alone = self._outputs.by_column(len(reference.mean))
        out: dict[str, FeatureStatus] = {}
        for j, name in enumerate(layout.numbers):
            seen = recent[:, j][np.isfinite(recent[:, j])]
            out[name] = FeatureStatus(
                reference.ranks.median(j), float(np.median(seen)) if len(seen) else None, log10(alone[j])
            )
        flags = self._history.flag_values(-RECENT)
        for m, flag in enumerate(layout.flags):
            if flag.kind.value == "declared":
                j = len(layout.numbers) + m
                seen = flags[:, m][np.isfinite(flags[:, m])]
                out[flag.feature] = FeatureStatus(
                    float(reference.mean[j]), float(seen.mean()) if len(seen) else None, log10(alone[j])
                )
        return out

    def recent(self) -> list[tuple[int, Segments]]:
        """Stream index and segments of the last `RECENT` rows, oldest first."""
        history = self._history
        return list(zip(history.indices[-RECENT:].tolist(), history.segments[-RECENT:], strict=True))

    def shares(self, recent: Sequence[Segments]) -> list[SegmentShare]:
        """Values of attributes by how much of the traffic they carry, in the reference or among these recent rows.

        At most `MOST_SHARES`: what comes and goes is among them as long as it carries more than the rest.
        """
        if self._original is None:
            return []
        now = Counter(pair for pairs in recent for pair in pairs)
        table = self._original.segments
        known = {(a, v): table.share(a, v) for a in table.attributes() for v in table.values(a)}
        rows = max(1, len(recent))
        found = [
            SegmentShare(a, v, known.get((a, v), 0.0), now[a, v] / rows)
            for a, v in {**known, **now}
            if not table.is_wide(a) and ((a, v) in known or now[a, v] >= LEAST_SHARE * rows)
        ]
        found.sort(key=lambda share: (-max(share.reference, share.current), share.attribute, share.value))
        return found[:MOST_SHARES]

    # State

    def plain(self) -> dict[str, Any]:
        """Plain data for a snapshot."""
        same = self._original is self._active
        return {
            "pinned": self.pinned,
            "views": self._views,
            "counts": [self.seen, self._version, self._since, self._within, self._calm],
            "original": None if self._original is None else self._original.plain(),
            "active": None if same or self._active is None else self._active.plain(),
            "learning": self._learning,
            "repetitions": self._repetitions.plain(),
            "history": self._history.plain(),
            "evidence": [None if e is None else e.plain() for e in (self._outputs, self._inputs)],
            "alone": self._alone.plain(),
            "alone_waiting": self._alone.waiting(),
            "normal_from": self._normal_from,
            "open": [msgspec.to_builtins(f) for f in self.open],
            "rare": self._rare.plain(),
            "stepped": self._stepped,
            "recovery": None if self._recovery is None else self._recovery.plain(),
            "quiet": {name: [q.until, q.wait] for name, q in self._quiet.items()},
            "examples": [[e.event_id, e.input, e.output] for e in self._examples],
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any], settings: DetectionSettings) -> ReferenceMonitor:
        """The track that `plain` described; it goes on bit for bit.

        Detectors of single numbers are those that the settings choose, whatever `plain` says of others.
        """
        track = cls(pinned=plain["pinned"], inputs="inputs" in plain.get("views", ("inputs",)))
        track.seen, track._version, track._since, track._within, track._calm = plain["counts"]
        track._original = None if plain["original"] is None else LearnedReference.from_plain(plain["original"])
        track._active = track._original if plain["active"] is None else LearnedReference.from_plain(plain["active"])
        track._learning = plain["learning"]
        track._repetitions = Repetitions.from_plain(plain["repetitions"])
        track._history = RecentRows.from_plain(plain["history"])
        if track._active is not None:
            reference = track._active.reference
            track._outputs = Evidence(reference.outputs, reference.mean, track._active.segments)
            track._inputs = Evidence(reference.inputs, reference.mean)
            track._outputs.restore(plain["evidence"][0])
            track._inputs.restore(plain["evidence"][1])
            track._normal_from = plain.get("normal_from", track._since)
            waiting = plain.get("alone_waiting")
            track._alone.restore(plain["alone"], waiting, reference, settings, track._usual_numbers())
        track.open = [msgspec.convert(f, Finding) for f in plain["open"]]
        track._rare = RareCategories.from_plain(plain.get("rare", []))
        track._stepped = plain.get("stepped", 0)
        tested = plain.get("recovery")
        track._recovery = None if tested is None else Recovery.from_plain(tested)
        track._quiet = {name: _Quiet(until, wait) for name, (until, wait) in plain["quiet"].items()}
        track._examples = [Excerpt(*parts) for parts in plain["examples"]]
        return track


def _common(segments: Sequence[Segments], attribute: str) -> str | None:
    """The attribute's value that more than half of the rows have, if any."""
    values = Counter(value for pairs in segments for name, value in pairs if name == attribute)
    for value, count in values.most_common(1):
        return value if 2 * count > len(segments) else None
    return None


def columns_of(layout: WatchedColumns, rows: StreamRows) -> tuple[NDArray[np.float16], Array]:
    """Rows as a layout takes them: numbers (n, k) compressed, flags (n, m) with NaN for missing."""
    place = layout.number_columns(rows.names)
    numbers = rows.values[:, place]
    numbers[:, place < 0] = np.nan
    return numbers, layout.flag_rows(rows.values, rows.names, Categories(rows.categories))


def finite(value: float) -> float | None:
    """The value, or None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def log10(value: float) -> float:
    """log10, minus infinity for zero."""
    return math.log10(value) if value > 0 else -math.inf
