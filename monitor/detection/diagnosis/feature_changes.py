"""Which features changed, by how much, and what they were before and after.

Called with the shift of some rows against a reference; what comes out are the `FeatureChange`s of a finding, the surest
first. What they mean is for `classify`, how they are said for `wording`. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.flags import Flag, FlagKind
from monitor.detection.columns.normal_scores import expand
from monitor.detection.columns.rare_categories import is_value, shown
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.diagnosis.rounding import number, rounded
from monitor.detection.diagnosis.shift import Shift, widening
from monitor.detection.records.finding import ANY, DIFFERS, PRESENT, SPREAD, TAIL, FeatureChange
from monitor.detection.reference.reference import Reference
from monitor.detection.settings import Floors
from monitor.features.base import FeatureSpec, Kind

Array = NDArray[np.float64]


class Sides(NamedTuple):
    """A column before and after: the two values, what they are (`FeatureChange.statistic`), the value that a share of
    differing events differs from, and how many events are behind the second."""

    before: float | None
    after: float | None
    statistic: str = ""
    value: str | None = None
    events: int | None = None


MOST_FEATURES = 12
"""Changes that a finding lists, at most: more than a person reads, and few enough for a message."""
TAIL_MOVES_WITH_NUMBER = 4.0
"""Floors by which a number must move for its tail to have moved with it; less is what a longer tail alone does."""
SURE = 2.5
"""Standard errors from which the change of one feature is believed, once the evidence of all together has crossed its
threshold: by chance 1 % of the features that did not change pass it."""
SMALLEST_FLOOR = 1e-9
"""In place of a floor of 0, which settings may ask for: everything is then beyond it."""


def effects(reference: Reference, moved: Shift, floors: Floors) -> Array:
    """Shift of each watched column in multiples of its effect floor, signed (d).

    The floor of a number whose level wanders in the reference itself is at least as far as that.
    """
    k = reference.moments.numbers
    out = moved.size.copy()
    out[:k] /= np.maximum(max(floors.number, SMALLEST_FLOOR), reference.wander[:k])
    for m, flag in enumerate(reference.layout.flags):
        if flag.kind in (FlagKind.VALUE, FlagKind.OTHER):
            floor = floors.category
        elif flag.failure:
            floor = floors.failure
        else:
            floor = floors.flag
        out[k + m] /= max(floor, SMALLEST_FLOOR)
    return out


def spread_effects(reference: Reference, y: Array, floors: Floors, sure: float) -> Array:
    """How much the spread of each number of rows y (n, d) changed, in floors (k); 0 where that is not sure."""
    size, surety = widening(reference, y)
    effect = size / np.log1p(max(floors.spread, SMALLEST_FLOOR))
    watched = ~reference.is_input[: len(size)] & ~reference.is_keyed
    return np.asarray(np.where((np.abs(surety) > sure) & watched, effect, 0.0))


def spread_changes(
    reference: Reference, effect: Array, numbers: NDArray[np.float16], specs: Mapping[str, FeatureSpec]
) -> list[FeatureChange]:
    """Numbers that spread wider or narrower by their floor, most first.

    They are called `<feature>.spread`; before and after are interquartile ranges, of counts whole or halves.
    """
    found = []
    for j in np.argsort(-np.abs(effect)):
        name = reference.layout.numbers[int(j)]
        if abs(effect[j]) < 1.0:
            break
        values = expand(numbers[:, j])
        values = values[np.isfinite(values)]
        before = rounded(reference.ranks.middle_half(int(j)))
        spec = specs.get(name)
        if spec is not None and spec.kind is Kind.COUNT:
            before = of_count(before)  # between two counts there is none, which quantiles of knots do not know
        after = rounded(float(np.subtract(*np.quantile(values, [0.75, 0.25])))) if len(values) else before
        if (after - before) * effect[j] > 0:
            found.append(FeatureChange(f"{name}{SPREAD}", before, after, round(float(effect[j]), 2)))
    return found[:MOST_FEATURES]


def changed_features(
    reference: Reference,
    moved: Shift,
    effect: Array,
    numbers: NDArray[np.float16],
    flags: Array,
    specs: Mapping[str, FeatureSpec],
    *,
    sure: float = SURE,
    sides: Callable[[int], Sides] | None = None,
    others: Callable[[str], tuple[str, int] | None] | None = None,
    most: int = MOST_FEATURES,
) -> list[FeatureChange]:
    """What moved, surest first, `most` at most: features whose shift is sure and at least their floor.

    numbers (n, k) and flags (n, m) are the rows after the change, before ranking. `sides` gives a column before and
    after where before is not the reference. `others` gives, for a category, which of the values without a flag of their
    own came most, and in how many of the rows.
    """

    def both(j: int) -> Sides:
        return sides(j) if sides else _sides(reference, j, numbers, flags, specs)

    certain = moved.certain(sure)
    surety = np.abs(moved.surety)
    found: dict[str, FeatureChange] = {}
    for j in np.argsort(-surety):
        if abs(effect[j]) < 1.0 or not certain[j]:
            continue
        name = reference.layout.name(int(j))
        if name in found:
            continue
        flag = reference.layout.flag(int(j))
        if flag is not None and is_value(flag.kind):
            found[name] = _value_change(reference, int(j), moved, effect, flags, both, others)
        else:
            value = None
            if flag is not None and flag.kind is FlagKind.TAIL and isinstance(flag.value, float):
                unit = specs[flag.feature].unit if flag.feature in specs else ""
                value = f"above {number(rounded(math.expm1(flag.value)))} {unit}".rstrip()
            side = both(int(j))
            found[name] = FeatureChange(
                name, side.before, side.after, round(float(effect[j]), 2),
                side.value if value is None else value, side.statistic, side.events,
            )  # fmt: skip
    for name in [name for name in found if name.endswith(TAIL)]:
        whole = found.get(name.removesuffix(TAIL))
        if whole is not None and abs(whole.effect) >= TAIL_MOVES_WITH_NUMBER:  # its tail moved with it
            del found[name]
    return list(found.values())[:most]


def _value_change(
    reference: Reference,
    j: int,
    moved: Shift,
    effect: Array,
    flags: Array,
    both: Callable[[int], Sides],
    others: Callable[[str], tuple[str, int] | None] | None,
) -> FeatureChange:
    """A category's change by the value whose share rose most; by that of column j where none rose by the floor."""
    layout, k = reference.layout, reference.moments.numbers
    name = layout.name(j)
    values = [k + m for m, flag in enumerate(layout.flags) if flag.feature == name and is_value(flag.kind)]
    risen = max(values, key=lambda column: float(moved.size[column]))
    named = risen if effect[risen] >= 1.0 else j
    flag = layout.flags[named - k]
    before, after, *_, events = both(named)
    value = shown(flag.value) if flag.kind is FlagKind.VALUE else None
    if value is None and others is not None and effect[named] > 0:
        common = others(name)
        known = int(np.isfinite(flags[:, named - k]).sum())
        if common is not None and known:
            value, after = common[0], rounded(common[1] / known)
    most = max((c for c in values if layout.flags[c - k].kind is FlagKind.VALUE), key=lambda c: reference.mean[c],
                 default=None)  # fmt: skip
    usual = None if most is None else shown(layout.flags[most - k].value)
    return FeatureChange(
        name, before, after, round(float(effect[named]), 2), value, events=events,
        usual=None if usual == value else usual,
    )  # fmt: skip


def _sides(
    reference: Reference, j: int, numbers: NDArray[np.float16], flags: Array, specs: Mapping[str, FeatureSpec]
) -> Sides:
    """A column before and after: medians of a number, rates of a flag.

    Of a count whose median stays the same it is how often it is not zero, where that is watched.
    """
    k = reference.moments.numbers
    layout = reference.layout
    name = layout.name(j)
    spec = specs.get(name)
    if spec is not None and spec.kind is Kind.COUNT and name in layout.numbers:
        column = layout.numbers.index(name)
        medians = _medians(reference, column, numbers)
        whole = [None if median is None else of_count(median) for median in medians[:2]]
        nonzero = layout.flag_place(name, FlagKind.NONZERO)
        if whole[0] != whole[1] or nonzero is None:
            return Sides(whole[0], whole[1], events=medians.events)
        j = k + nonzero
    if j < k:
        return _medians(reference, j, numbers)
    seen = flags[:, j - k]
    seen = seen[np.isfinite(seen)]
    after = rounded(float(seen.mean())) if len(seen) else None
    return Sides(rounded(float(reference.mean[j])), after, *what_rates_are(layout.flags[j - k]), len(seen))


def what_rates_are(flag: Flag) -> tuple[str, str | None]:
    """What the rates of a flag are of: `FeatureChange.statistic`, and the value that events differ from.

    A feature that never varied in the reference has a flag that says so of an event; where that one value is zero the
    flag says that there is any, and where there was never a value that there is one.
    """
    if flag.kind is FlagKind.DIFFERS and flag.value is None:
        return PRESENT, None
    if flag.kind is FlagKind.NONZERO or (flag.kind is FlagKind.DIFFERS and not flag.value):
        return ANY, None
    if flag.kind is not FlagKind.DIFFERS:
        return "", None
    return DIFFERS, number(rounded(math.expm1(float(flag.value or 0))))


def _medians(reference: Reference, column: int, numbers: NDArray[np.float16]) -> Sides:
    values = expand(numbers[:, column])
    values = values[np.isfinite(values)]
    after = rounded(float(np.median(values))) if len(values) else None
    return Sides(rounded(reference.ranks.median(column)), after, events=len(values))


def of_count(median: float) -> float:
    """The median of a count, a whole or a half: values are kept in half precision."""
    return round(2 * median) / 2


def is_shown_by(layout: WatchedColumns, j: int, change: FeatureChange) -> bool:
    """Whether the rate of column j is what a change says of its feature before and after."""
    flag = layout.flag(j)
    if flag is None or layout.name(j) != change.name:
        return False
    if flag.kind is FlagKind.NONZERO:
        return change.statistic == ANY
    if is_value(flag.kind) and change.value is not None:
        values = [shown(f.value) for f in layout.flags if f.feature == flag.feature and f.kind is FlagKind.VALUE]
        return flag.kind is FlagKind.OTHER if change.value not in values else shown(flag.value) == change.value
    return True


def median_of(
    reference: Reference, change: FeatureChange, numbers: NDArray[np.float16], specs: Mapping[str, FeatureSpec]
) -> float | None:
    """The median of a change's feature in rows (n, k) before ranking; None where it is no number or has no value."""
    if change.name not in reference.layout.numbers:
        return None
    median = _medians(reference, reference.layout.numbers.index(change.name), numbers).after
    spec = specs.get(change.name)
    counted = spec is not None and spec.kind is Kind.COUNT and median is not None
    return of_count(median) if counted and median is not None else median
