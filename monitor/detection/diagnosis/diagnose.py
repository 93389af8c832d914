"""What changed: from the last rows, after evidence crossed its threshold, to one `Diagnosis`.

`diagnose` places the change point, finds the rows that show the change (all of them, or those of one segment), lists
the features that moved and decides what drives the change. It is a pure function of the rows kept, the reference they
are judged against and what the evidence says. It changes nothing and decides nothing about alerts; that follows from
the diagnosis in `monitor.detection.stream.verdict`.

Called by `monitor.detection.stream.reference_monitor`. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.rare_categories import RareCategories
from monitor.detection.columns.recent_rows import LENGTH, RecentRows, Segments
from monitor.detection.diagnosis import attribution, change_point, classify, feature_changes, naming
from monitor.detection.diagnosis.shift import Shift, shift, surest_flag, widening
from monitor.detection.diagnosis.some_outputs import OfSome, of_some
from monitor.detection.records.context import Context
from monitor.detection.records.finding import BeganAt, Driver, FeatureChange, Finding, FindingKind, base_name
from monitor.detection.records.plain_numbers import finite
from monitor.detection.reference.learned_reference import LearnedReference
from monitor.detection.reference.reference import Reference
from monitor.features.base import Role

Array = NDArray[np.float64]
Segment = tuple[str, str]

MIN_ROWS_TO_CALL_A_SHIFT_SMALL = 64
"""Up to this many rows the standard error of a mean (an eighth of a standard deviation) is half the effect floor of a
number, so a shift that seems smaller than its floor may well be larger."""
ERRORS_TO_NAME_A_FEATURE = (2.5, 1.5, 0.0)
"""Standard errors by which a feature must have moved to be named, tried in turn while there are few rows: together they
may be certain of a change of which no single feature is."""
LEAST_ERRORS_OF_A_SPREAD = 1.5
"""Standard errors by which the spread of a number must have changed, whatever is asked of the means: among forty
numbers some spread looks different by one."""
MIN_LOG_RATIO_OF_FLAGS = {"rate": 7.0, "failure": 4.5}
"""Log likelihood ratio (`surest_flag`) from which a change that only bets on flags report is believed.
Other questions to the same model change rates although no mean moves; those of faults less often than the rest."""
MIN_LOG_RATIO_OF_A_DETECTOR = 7.0
"""Log likelihood ratio of a number's shift from which its own detector is believed; as for flags. KSWIN, which finds
drift in every other window of calm rows, fired in none of 32,000 with it."""


class View(StrEnum):
    """Which features evidence is collected on."""

    OUTPUTS = "outputs"  # what the model answered, and the call around it
    INPUTS = "inputs"  # what it was asked


@dataclass(frozen=True)
class Crossing:
    """What reached its threshold with the last row.

    Attributes
    ----------
    view
        Whose evidence; for a detector of one number, the side that the number is of.
    kinds, strongest
        Kinds of evidence with a part of it, and the one with most (`Evidence.active_kinds`, `Evidence.strongest_kind`).
    carrier
        The segment (attribute, value) whose own bets hold most of the evidence, if there is one.
    total
        The evidence.
    column
        Column of the number whose own detector found drift; None where evidence crossed.
    """

    view: View
    kinds: frozenset[str]
    strongest: str | None
    carrier: Segment | None
    total: float
    column: int | None = None

    @property
    def of_detector(self) -> bool:
        """Whether a detector of one number found drift, rather than the evidence."""
        return self.column is not None


@dataclass(frozen=True)
class Diagnosis:
    """What changed, since when, and how sure that is.

    Attributes
    ----------
    kind, driver, changes, attribution, began
        As a finding reports them; `changes` may be empty where no single feature moved by its floor.
    said
        What moved, without a limit to their number, with the places of what is published (`naming.placed`).
    decisive
        Of the changes those that are nearly as sure as the surest.
    reference
        The reference that the rows were compared with.
    rows
        Positions (n) among the rows kept, of those that show the change: all since it began, or one segment's.
    position
        Position among the rows kept at which the change began.
    rows_since
        Rows kept since then, whatever their segment.
    undecided
        Whether inputs moved together with the outputs, and the rows are too few to tell which drives the change.
    unconfirmed
        Whether only bets on flags report a change, and no rate moved further than two samples of one rate may differ.
    """

    kind: FindingKind
    driver: Driver
    changes: list[FeatureChange]
    said: list[FeatureChange]
    decisive: list[FeatureChange]
    attribution: attribution.Attribution
    began: BeganAt
    reference: LearnedReference
    rows: NDArray[np.intp]
    position: int
    rows_since: int
    undecided: bool
    unconfirmed: bool

    @property
    def too_few_rows(self) -> bool:
        """Whether more rows may still show a feature that moved by its floor."""
        return not self.changes and len(self.rows) <= MIN_ROWS_TO_CALL_A_SHIFT_SMALL


class _Population(NamedTuple):
    """Rows that are compared with the reference: their positions (n) among the rows examined, and scores (n, d)."""

    rows: NDArray[np.intp]
    y: Array

    def since(self, position: int) -> Array:
        """Scores of the rows from a position on."""
        return self.y[self.rows >= position]


class _Located(NamedTuple):
    """Where the change is: its change point, the rows compared, their shift since then, and what carries it."""

    point: change_point.ChangePoint
    population: _Population
    moved: Shift
    attribution: attribution.Attribution


def diagnose(
    context: Context,
    crossing: Crossing,
    history: RecentRows,
    start: int,
    normal: LearnedReference,
    rare: RareCategories,
) -> Diagnosis:
    """What changed among the rows kept from position `start` on, with which the evidence was collected.

    Parameters
    ----------
    context
        Settings (effect floors) and declarations of the stream.
    crossing
        What the evidence says.
    history
        The last rows of the population; a change point is placed among those from `start` on.
    normal
        The reference that they are judged against.
    rare
        Values of categories that have no flag in the reference, for the name of one that became common.
    """
    reference = normal.reference
    numbers, flags, segments = history.read(start)
    y = reference.scores(numbers, flags, segments)
    located = _locate(normal, crossing, y, segments)
    point, moved = located.point, located.moved
    inputs = crossing.view is View.INPUTS
    effect = feature_changes.effects(reference, moved, context.settings.floors)
    effect = np.where(reference.is_input == inputs, effect, 0.0)
    changed = located.population.since(point.position)
    rows = start + located.population.rows[located.population.rows >= point.position]
    spreads = changed if (crossing.of_detector or "single" in crossing.kinds) and not inputs else None
    everything = _changes(context, reference, moved, effect, _Rows(history, rows, rare), spreads)
    changes = _deciding(context, everything)
    if crossing.column is not None and not _is_confirmed(reference, crossing.column, changes, moved, changed):
        changes = everything = []
    decisive = classify.decisive(reference, moved, changes, context.specs)
    after = y[point.position :]
    driver = _driver(context, reference, crossing, after, decisive, located.attribution)
    undecided = not inputs and _is_undecided(reference, crossing, driver, located.attribution, after)
    asked = context.specs.input_length
    unconfirmed = (
        not crossing.of_detector and not inputs and _is_unconfirmed(reference, crossing, history, rows, changed, asked)
    )
    sure = naming.sureties(reference, moved)
    expected = classify.expected_roles(changes, decisive, driver, context.specs)
    some = _of_some(context, reference, numbers[rows - start], everything, sure, driver, located.attribution)
    said = _said(context, everything, some, sure, driver, expected)
    lead = next(iter(naming.named(said, context.specs)), None)
    return Diagnosis(
        kind=classify.kind_of(lead, driver, located.attribution, context.specs),
        driver=driver,
        changes=changes,
        said=said,
        decisive=decisive,
        attribution=located.attribution,
        began=_began(history, start, point),
        reference=normal,
        rows=rows,
        position=start + point.position,
        rows_since=len(after),
        undecided=undecided,
        unconfirmed=unconfirmed,
    )


def diagnose_again(
    context: Context,
    crossing: Crossing,
    history: RecentRows,
    start: int,
    normal: LearnedReference,
    rare: RareCategories,
    known: Finding,
) -> Diagnosis:
    """What the rows kept from position `start` on, all since its change point, say of a finding that fires.

    Called when more rows have come than it was raised with (`monitor.detection.stream.revision`). Kind, driver and
    beginning stay: they identify the finding. Changes and segment are measured again as `diagnose` measures them.
    """
    reference = normal.reference
    numbers, flags, segments = history.read(start)
    y = reference.scores(numbers, flags, segments)
    carrier = None if crossing.view is View.INPUTS or crossing.of_detector else crossing.carrier
    population = _population(normal, y, segments, carrier)
    moved = shift(reference, population.y)
    found = attribution.attribute(reference, normal.segments, y, segments, moved, carrier)
    segment = None if found.mix or not found.segment else next(iter(found.segment.items()))
    if segment != carrier:
        population = _population(normal, y, segments, segment)
        moved = shift(reference, population.y)
    inputs = crossing.view is View.INPUTS
    effect = feature_changes.effects(reference, moved, context.settings.floors)
    effect = np.where(reference.is_input == inputs, effect, 0.0)
    spreads = population.y if (crossing.of_detector or "single" in crossing.kinds) and not inputs else None
    rows = start + population.rows
    everything = _changes(context, reference, moved, effect, _Rows(history, rows, rare), spreads)
    changes = _deciding(context, everything)
    decisive = classify.decisive(reference, moved, changes, context.specs)
    driver = known.driver or Driver.OUTPUT
    expected = classify.expected_roles(changes, decisive, driver, context.specs)
    sure = naming.sureties(reference, moved)
    some = _of_some(context, reference, numbers[population.rows], everything, sure, driver, found)
    return Diagnosis(
        kind=known.kind,
        driver=driver,
        changes=changes,
        said=_said(context, everything, some, sure, driver, expected),
        decisive=decisive,
        attribution=found,
        began=known.began_at,
        reference=normal,
        rows=rows,
        position=start,
        rows_since=len(y),
        undecided=False,
        unconfirmed=False,
    )


def _of_some(
    context: Context,
    reference: Reference,
    numbers: NDArray[np.float16],
    everything: list[FeatureChange],
    sure: Mapping[str, float],
    driver: Driver,
    found: attribution.Attribution,
) -> OfSome:
    """What changed in a part of the outputs; `numbers` (n, k) are the rows that show the change, before ranking.

    Nothing where outputs are not what changed, and nothing within a segment, whose outputs may always lie at an edge.
    """
    if driver is not Driver.OUTPUT or found.segment or not everything:
        return OfSome([], {})
    return of_some(reference, numbers, context.specs, everything, sure)


def _said(
    context: Context,
    everything: list[FeatureChange],
    some: OfSome,
    sure: Mapping[str, float],
    driver: Driver,
    expected: frozenset[Role],
) -> list[FeatureChange]:
    """The changes with their places; a change of a part of the outputs stands in for the level of its feature."""
    replaced = {base_name(change.name) for change in some.changes}
    levels = [change for change in everything if change.name not in replaced]
    placed = naming.placed([*levels, *some.changes], {**sure, **some.sureties}, driver, context.specs, expected)
    return placed + [msgspec.structs.replace(each, place=-1) for each in everything if each.name in replaced]


def _deciding(context: Context, everything: list[FeatureChange]) -> list[FeatureChange]:
    """The changes that kind, driver and severity follow from: the largest, and every failure that became more frequent.

    Where calls end in an error, many features of their outputs move further than the rate of errors.
    """
    most = feature_changes.MOST_FEATURES
    faults = [change for change in everything[most:] if classify.is_fault(change, context.specs.get(change.name))]
    return everything[:most] + faults


def _locate(normal: LearnedReference, crossing: Crossing, y: Array, segments: Sequence[Segments]) -> _Located:
    """Change point and carrier of a change among rows y (n, d).

    The change point is first placed among the rows of the segment whose bets crossed. Where the attribution names
    another segment, or the whole stream, it is placed again among those rows.
    """
    carrier = None if crossing.view is View.INPUTS or crossing.of_detector else crossing.carrier
    population = _population(normal, y, segments, carrier)
    point = _point(normal.reference, crossing, population)
    moved = shift(normal.reference, population.since(point.position))
    found = attribution.attribute(
        normal.reference, normal.segments, y[point.position :], segments[point.position :], moved, carrier
    )
    segment = None if found.mix or not found.segment else next(iter(found.segment.items()))
    if segment != carrier:
        population = _population(normal, y, segments, segment)
        if carrier is not None:
            point = _point(normal.reference, crossing, population)
        moved = shift(normal.reference, population.since(point.position))
    return _Located(point, population, moved, found)


def _population(
    normal: LearnedReference, y: Array, segments: Sequence[Segments], segment: Segment | None
) -> _Population:
    """Rows y (n, d) of a segment as if its mean in the reference were that of all rows; all rows for None."""
    if segment is None:
        return _Population(np.arange(len(y)), y)
    rows = np.flatnonzero([segment in pairs for pairs in segments])
    return _Population(rows, normal.without_segment_mean(y[rows], segment))


def _point(reference: Reference, crossing: Crossing, population: _Population) -> change_point.ChangePoint:
    """The change point, as positions among all rows examined, by the rows of a population."""
    if crossing.column is None:
        view = reference.inputs if crossing.view is View.INPUTS else reference.outputs
        point = change_point.change_point(reference, view, population.y, crossing.kinds)
    else:
        columns = np.asarray([crossing.column], dtype=np.intp)
        point = change_point.column_change_point(reference, columns, population.y)
    position, low, high = (int(population.rows[place]) for place in (point.position, point.low, point.high))
    return change_point.ChangePoint(position, low, high)


class _Rows(NamedTuple):
    """Rows kept (their positions, n) that show a change, with the rare values of their categories."""

    history: RecentRows
    positions: NDArray[np.intp]
    rare: RareCategories


def _changes(
    context: Context,
    reference: Reference,
    moved: Shift,
    effect: Array,
    rows: _Rows,
    spreads: Array | None,
) -> list[FeatureChange]:
    """The features that moved; where none did, those whose spread changed by these scores (n, d), if they are given."""
    numbers, flags = rows.history.numbers[rows.positions], rows.history.flag_values()[rows.positions]
    indices = frozenset(rows.history.indices[rows.positions].tolist())

    def others(feature: str) -> tuple[str, int] | None:
        return rows.rare.commonest(feature, indices)

    changes: list[FeatureChange] = []
    for sure in ERRORS_TO_NAME_A_FEATURE:
        changes = feature_changes.changed_features(
            reference, moved, effect, numbers, flags, context.specs, sure=sure, others=others, most=len(effect)
        )
        if not changes and spreads is not None:
            surely = max(sure, LEAST_ERRORS_OF_A_SPREAD)
            spread = feature_changes.spread_effects(reference, spreads, context.settings.floors, surely)
            changes = feature_changes.spread_changes(reference, spread, numbers, context.specs)
        if changes or moved.rows > MIN_ROWS_TO_CALL_A_SHIFT_SMALL:
            break
    return changes


def _driver(
    context: Context,
    reference: Reference,
    crossing: Crossing,
    after: Array,
    decisive: list[FeatureChange],
    found: attribution.Attribution,
) -> Driver:
    """What drives the change; `after` (n, d) are the scores of all rows since it began."""
    if crossing.view is View.INPUTS:
        return Driver.INPUT
    if found.mix:
        return Driver.MIX
    # Faults are rare, and how far the means moved shows nothing of them.
    compared = not found.new_versions and crossing.strongest != "failure"
    if compared and attribution.explained_by_inputs(reference, after):
        return Driver.INPUT
    return classify.driver_of(decisive, context.specs)


def _is_undecided(
    reference: Reference, crossing: Crossing, driver: Driver, found: attribution.Attribution, after: Array
) -> bool:
    """Whether other inputs came with the changed outputs, and it is too early to tell which of them drives the change.

    A new version or a fault needs no comparison with the inputs.
    """
    return (
        len(after) < attribution.COMPARED
        and driver in (Driver.INPUT, Driver.OUTPUT)
        and not found.new_versions
        and "failure" not in crossing.kinds
        and attribution.inputs_moved_together(reference, after, attribution.PERHAPS)
    )


def _is_unconfirmed(
    reference: Reference, crossing: Crossing, history: RecentRows, rows: NDArray[np.intp], y: Array, asked: str | None
) -> bool:
    """Whether only bets on flags report a change, and no flag moved further than two samples of one rate may differ.

    `y` (n, d) are the scores of these rows kept (n); `asked` is the feature that has a value exactly where an event has
    an input.
    """
    kind = next(iter(crossing.kinds)) if len(crossing.kinds) == 1 else None
    if kind not in MIN_LOG_RATIO_OF_FLAGS:
        return False
    names = reference.layout.numbers
    place = names.index(asked) if asked is not None and asked in names else None
    # Where inputs are not published, the same words may well answer different questions.
    has_inputs = place is not None and bool(np.isfinite(history.numbers[rows, place]).all())
    distinct = len(np.unique(history.marks[rows])) if has_inputs else len(rows)
    surest = surest_flag(reference, y, distinct, faults=kind == "failure")
    return surest < MIN_LOG_RATIO_OF_FLAGS[kind]


def _is_confirmed(reference: Reference, column: int, changes: Sequence[FeatureChange], moved: Shift, y: Array) -> bool:
    """Whether the number in this column, in which its own detector found drift, moved or spreads by its floor, surely.

    By as much as `MIN_LOG_RATIO_OF_A_DETECTOR` asks of two samples, less what rows that were chosen as the start of a
    change are worth (`surest_flag`). Otherwise the detector reacts to noise, and whatever else lies far
    does so by chance. `y` (n, d) are the scores of the changed rows, `moved` their shift.
    """
    name = reference.layout.name(column)
    if all(base_name(each.name) != name for each in changes):
        return False
    surety = max(abs(float(moved.surety[column])), abs(float(widening(reference, y)[1][column])))
    chosen = math.log(max(LENGTH / max(len(y), 1), 1.0))
    return surety * surety / 2 - chosen >= MIN_LOG_RATIO_OF_A_DETECTOR


def _began(history: RecentRows, start: int, point: change_point.ChangePoint) -> BeganAt:
    """The change point, found among the rows from `start` on, with stream indices and time."""
    at, low, high = (int(history.indices[start + place]) for place in (point.position, point.low, point.high))
    return BeganAt(at, low, high, finite(history.times[start + point.position]))
