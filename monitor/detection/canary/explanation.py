"""What a difference between two versions is: which features, what drives it, when it began, in which words.

Called by a comparison when its evidence crosses. Pure: the same functions as for a change in time
(`monitor.detection.diagnosis`), with the old version in the place of the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.canary.difference import VersionDifference
from monitor.detection.columns.flags import FlagKind
from monitor.detection.columns.normal_scores import expand
from monitor.detection.columns.recent_rows import RecentRows
from monitor.detection.diagnosis import attribution, classify, feature_changes, naming
from monitor.detection.diagnosis.change_point import credible_interval
from monitor.detection.diagnosis.finding_builder import Certainty, Quoted, build
from monitor.detection.diagnosis.rounding import rounded
from monitor.detection.diagnosis.sentences import joined, sentence
from monitor.detection.diagnosis.shift import Shift
from monitor.detection.records.context import Context
from monitor.detection.records.finding import (
    EXAMPLES,
    BeganAt,
    Driver,
    Examples,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
)
from monitor.detection.records.plain_numbers import finite
from monitor.detection.reference.learned_reference import LearnedReference
from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.reference import Reference
from monitor.features.base import FeatureSpec, Kind


class Basis(NamedTuple):
    """What a stream's rows are compared by: its context, the reference that scores them, and the last rows kept."""

    context: Context
    normal: LearnedReference
    history: RecentRows

    @property
    def reference(self) -> Reference:
        """The reference's statistics."""
        return self.normal.reference


class Gain(NamedTuple):
    """What a piece of rows added to the log of the evidence, and the stream index of its first row."""

    start: int
    gain: float


class Compared(NamedTuple):
    """Two versions, from which row on the new one came, and what was summed of their rows since they differ.

    `gains` are those of the latest pieces, oldest first.
    """

    attribute: str
    old: str
    new: str
    first: int
    difference: VersionDifference
    gains: Sequence[Gain]


class Differing(NamedTuple):
    """How they differ: the shift of the new version, its largest changes, and what drives them."""

    moved: Shift
    changes: list[FeatureChange]
    driver: Driver


def differing(basis: Basis, compared: Compared, sureties: Sequence[float]) -> Differing:
    """How two versions differ: by the first of these sureties (standard errors) at which a feature is large enough."""
    moved = compared.difference.shift(basis.reference)
    changes = _changes(basis, compared, moved, sureties)
    driver = _driver(basis, compared, moved, changes)
    sure = naming.sureties(basis.reference, moved)
    return Differing(moved, naming.placed(changes, sure, driver, basis.context.specs), driver)


def finding(
    basis: Basis, compared: Compared, found: Differing, raised: RaisedAt, certainty: Certainty, *, fires: bool
) -> Finding:
    """The finding that two versions differ, whose segment is the new version."""
    began = _began(compared, basis.history, raised.index)
    history, held = basis.history, basis.history.first_excerpt
    examples = _examples(basis, compared)
    return build(
        basis.context.stream,
        FindingKind.CANARY,
        _words(basis.context, compared, found, began.index),
        (raised, began),
        fires=fires,
        driver=found.driver,
        changes=found.changes,
        features=basis.context.specs,
        segment={compared.attribute: compared.new},
        quoted=Quoted(
            Examples(*([history.event_id(at) for at in side] for side in examples)),
            *([history.excerpt(at) for at in side if at >= held] for side in examples),
        ),
        certainty=certainty,
    )


def _changes(basis: Basis, compared: Compared, moved: Shift, sureties: Sequence[float]) -> list[FeatureChange]:
    context, reference, history = basis.context, basis.reference, basis.history
    effect = np.where(reference.is_input, 0.0, feature_changes.effects(reference, moved, context.settings.floors))
    kept = _kept(compared, history)

    def sides(j: int) -> feature_changes.Sides:
        return _sides(context.specs.get(reference.layout.name(j)), basis, compared, kept, j)

    changes: list[FeatureChange] = []
    for sure in sureties:
        changes = feature_changes.changed_features(
            reference, moved, effect, history.numbers, history.flag_values(), context.specs, sure=sure, sides=sides
        )
        if changes:
            break
    return changes


def _kept(compared: Compared, history: RecentRows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions among the rows that the stream holds, of the old version and of the new one."""
    values = [dict(segments).get(compared.attribute) for segments in history.segments]
    since = history.indices >= compared.difference.since
    old, new = (
        np.flatnonzero(since & np.asarray([value == own for value in values], dtype=bool))
        for own in (compared.old, compared.new)
    )
    return old, new


def _sides(
    spec: FeatureSpec | None,
    basis: Basis,
    compared: Compared,
    kept: tuple[NDArray[np.intp], NDArray[np.intp]],
    j: int,
) -> feature_changes.Sides:
    """Column j of the old version and of the new one: medians of what is kept, or rates of all that came."""
    layout, k = basis.reference.layout, basis.reference.moments.numbers
    if j < k:
        medians = [_median(basis.history, rows, j) for rows in kept]
        if spec is None or spec.kind is not Kind.COUNT:
            return feature_changes.Sides(medians[0], medians[1])
        whole = [None if median is None else feature_changes.of_count(median) for median in medians]
        nonzero = layout.flag_place(layout.numbers[j], FlagKind.NONZERO)
        if whole[0] != whole[1] or nonzero is None:
            return feature_changes.Sides(whole[0], whole[1])
        j = k + nonzero
    old, new = compared.difference.rates(j)
    return feature_changes.Sides(rounded(old), rounded(new), *feature_changes.what_rates_are(layout.flags[j - k]))


def _median(history: RecentRows, rows: NDArray[np.intp], column: int) -> float | None:
    values = expand(history.numbers[rows, column])
    values = values[np.isfinite(values)]
    return rounded(float(np.median(values))) if len(values) else None


def _driver(basis: Basis, compared: Compared, moved: Shift, changes: Sequence[FeatureChange]) -> Driver:
    """The routing drives it if the inputs differ and the outputs no further than such inputs make them.

    Faults, which are few, do not show in how far the means of outputs moved.
    """
    reference, specs = basis.reference, basis.context.specs
    joints = reference.outputs.joints
    decisive = classify.decisive(reference, moved, changes, specs)
    faults = any(classify.is_fault(change, specs.get(change.name)) for change in decisive)
    if not faults and attribution.inputs_moved(reference, moved) and reference.inputs.joints and len(joints) > 1:
        views = (reference.inputs.joints[0], joints[1], joints[0])
        if attribution.moved_no_further(*(compared.difference.length(joint) for joint in views)):
            return Driver.INPUT
    return classify.driver_of(decisive, specs)


def _began(compared: Compared, history: RecentRows, raised: int) -> BeganAt:
    """From the new version's first row on, unless the versions had agreed for a while; with a 90 % interval."""
    gains = compared.gains or [Gain(compared.first, 0.0)]
    total = np.cumsum(np.asarray([each.gain for each in gains])[::-1])[::-1]
    low, high = (gains[place].start for place in credible_interval(total))
    index = max(compared.difference.since, compared.first)
    place = np.flatnonzero(history.indices == index)
    time = finite(history.times[place[0]]) if len(place) else None
    return BeganAt(index, min(low, index), min(max(high, index), raised), time)


def _words(context: Context, compared: Compared, found: Differing, began: int) -> tuple[str, str]:
    """Title and cause."""
    attribute, old, new, *_ = compared
    changes = naming.named(found.changes, context.specs)
    if not changes:
        parts = ["no single feature differs by its floor, many do together"]
    else:
        parts = [sentence(change, context.specs) for change in changes[: classify.FIRST]]
    rest = len(changes) - classify.FIRST
    more = f"; and {rest} more {'thing' if rest == 1 else 'things'} with them" if rest > 0 else ""
    why = "The two had the same traffic at the same time."
    if found.driver is Driver.INPUT:
        why = "But they are not asked the same, which explains it: look at how requests are routed."
    title = f"{context.stream}: {attribute}={new} differs from {old}: {joined(parts[:1])}"
    return title, f"Since event {began}, {attribute}={new} beside {old}: {joined(parts)}{more}. {why}"


def _examples(basis: Basis, compared: Compared) -> tuple[list[int], list[int]]:
    """Rows that the stream holds: of the old version the most usual, of the new one those furthest from it."""
    reference, history = basis.reference, basis.history
    old, new = _kept(compared, history)
    mean = compared.difference.old_mean()
    shift = np.clip(compared.difference.shift(reference).size, -CLIP, CLIP)
    chosen = []
    for rows, usual in ((old, True), (new, False)):
        with_excerpt = rows[rows >= history.first_excerpt]
        rows = with_excerpt if len(with_excerpt) >= EXAMPLES else rows[rows >= history.first_id]
        y = reference.scores(
            history.numbers[rows], history.flag_values()[rows], [history.segments[row] for row in rows]
        )
        z = np.clip((y - mean) / reference.sd, -CLIP, CLIP)
        far = np.abs(z).mean(1) if usual else -(z @ shift)
        chosen.append([int(rows[at]) for at in np.sort(np.argsort(far, kind="stable")[:EXAMPLES])])
    return chosen[0], chosen[1]
