"""A finding in words: which features moved together, of what kind that is, and one line for whoever is woken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.attribution import Attribution
from monitor.detection.change import Shift, widening
from monitor.detection.finding import Driver, FeatureChange, FindingKind, Severity
from monitor.detection.layout import FlagKind
from monitor.detection.ranks import expand
from monitor.detection.reference import Reference
from monitor.detection.settings import Floors
from monitor.features.base import FeatureSpec, Kind, Worse

Array = NDArray[np.float64]

MOST_FEATURES = 12
SPREAD = ".spread"
"""Ends the name of a number that moved in spread."""
CALL_KINDS = {
    "call.dependency": FindingKind.DEPENDENCY,
    "call.outcome": FindingKind.ERRORS,
    "call.context": FindingKind.CONTEXT,
    "call.session": FindingKind.CONTEXT,
    "call.latency": FindingKind.LATENCY,
}
"""Kind by family, causes before consequences."""
UPSTREAM = ("call.dependency", "call.outcome")
"""What breaks these breaks outputs too, so outputs that moved with them are their consequence."""


def effects(reference: Reference, moved: Shift, floors: Floors) -> Array:
    """Shift of each watched column in multiples of its effect floor, signed (d).

    The floor of a number whose level wanders in the reference itself is at least as far as that.
    """
    k = reference.moments.numbers
    out = moved.size.copy()
    out[:k] /= np.maximum(max(floors.number, 1e-9), reference.wander[:k])
    for m, flag in enumerate(reference.layout.flags):
        if flag.kind in (FlagKind.VALUE, FlagKind.OTHER):
            floor = floors.category
        elif flag.failure:
            floor = floors.failure
        else:
            floor = floors.flag
        out[k + m] /= max(floor, 1e-9)
    return out


def spread_effects(reference: Reference, y: Array, floors: Floors, sure: float) -> Array:
    """How much the spread of each number of rows y (n, d) changed, in floors (k); 0 where that is not sure."""
    size, surety = widening(reference, y)
    effect = size / np.log1p(max(floors.spread, 1e-9))
    return np.asarray(np.where((np.abs(surety) > sure) & ~reference.is_input[: len(size)], effect, 0.0))


def spread_changes(reference: Reference, effect: Array, numbers: NDArray[np.float16]) -> list[FeatureChange]:
    """Numbers that spread wider or narrower by their floor, most first.

    They are called `<feature>.spread`; before and after are interquartile ranges.
    """
    found = []
    for j in np.argsort(-np.abs(effect)):
        name = reference.layout.numbers[int(j)]
        if abs(effect[j]) < 1.0:
            break
        values = expand(numbers[:, j])
        values = values[np.isfinite(values)]
        before = rounded(reference.ranks.middle_half(int(j)))
        after = rounded(float(np.subtract(*np.quantile(values, [0.75, 0.25])))) if len(values) else before
        if (after - before) * effect[j] > 0:
            found.append(FeatureChange(f"{name}{SPREAD}", before, after, round(float(effect[j]), 2)))
    return found[:MOST_FEATURES]


def feature_changes(
    reference: Reference,
    moved: Shift,
    effect: Array,
    numbers: NDArray[np.float16],
    flags: Array,
    specs: Mapping[str, FeatureSpec],
    *,
    sure: float = 2.5,
    sides: Callable[[int], tuple[float | None, float | None]] | None = None,
) -> list[FeatureChange]:
    """What moved, largest first: features whose shift is sure and at least their floor.

    numbers (n, k) and flags (n, m) are the rows after the change, before ranking. `sides` gives a column before and
    after where before is not the reference.
    """
    certain = moved.certain(sure)
    surety = np.abs(moved.surety)
    found: dict[str, FeatureChange] = {}
    for j in np.argsort(-surety):
        if abs(effect[j]) < 1.0 or not certain[j]:
            continue
        name = reference.layout.name(int(j))
        if name not in found:
            before, after = sides(int(j)) if sides else _sides(reference, int(j), numbers, flags, specs)
            found[name] = FeatureChange(name, before, after, round(float(effect[j]), 2))
    return list(found.values())[:MOST_FEATURES]


def _sides(
    reference: Reference, j: int, numbers: NDArray[np.float16], flags: Array, specs: Mapping[str, FeatureSpec]
) -> tuple[float | None, float | None]:
    """A column before and after: medians of a number, rates of a flag.

    A count whose median stays the same is told by how often it is not zero, where that is watched.
    """
    k = reference.moments.numbers
    layout = reference.layout
    name = layout.name(j)
    spec = specs.get(name)
    if spec is not None and spec.kind is Kind.COUNT and name in layout.numbers:
        column = layout.numbers.index(name)
        medians = _medians(reference, column, numbers)
        sides = tuple(None if median is None else float(round(median)) for median in medians)
        nonzero = layout.flag_place(name, FlagKind.NONZERO)
        if sides[0] != sides[1] or nonzero is None:
            return sides[0], sides[1]
        j = k + nonzero
    if j < k:
        return _medians(reference, j, numbers)
    seen = flags[:, j - k]
    seen = seen[np.isfinite(seen)]
    return rounded(float(reference.mean[j])), rounded(float(seen.mean())) if len(seen) else None


def _medians(reference: Reference, column: int, numbers: NDArray[np.float16]) -> tuple[float, float | None]:
    values = expand(numbers[:, column])
    values = values[np.isfinite(values)]
    return rounded(reference.ranks.median(column)), rounded(float(np.median(values))) if len(values) else None


def rounded(value: float) -> float:
    """Four significant digits: more would claim what a sample cannot tell."""
    return float(f"{value:.4g}")


def driver_of(changes: Sequence[FeatureChange]) -> Driver:
    """Whether outputs or the call around them moved.

    Latency, tokens and cost follow the length of outputs, so they are the driver only where no output moved; errors and
    dependencies come first where they are among the surest changes.
    """
    if any(c.name.startswith(UPSTREAM) for c in changes[:4]):
        return Driver.CALL
    moved = [c for c in changes if c.name.startswith("output.")]
    return Driver.OUTPUT if moved or not changes else Driver.CALL


def kind_of(changes: Sequence[FeatureChange], driver: Driver, attribution: Attribution) -> FindingKind:
    """The kind of a finding from what moved and whether a version did."""
    if driver is Driver.INPUT:
        return FindingKind.INPUT_DRIFT
    if driver is Driver.MIX:
        return FindingKind.MIX_SHIFT
    if driver is Driver.CALL:
        for family, kind in CALL_KINDS.items():
            if any(change.name.startswith(family) for change in changes):
                return kind
    if attribution.known_versions and not attribution.new_versions:
        return FindingKind.SILENT_UPDATE
    return FindingKind.DRIFT


def runbook_of(kind: FindingKind, changes: Sequence[FeatureChange]) -> str:
    """Path of the runbook: of the kind, or of what broke where that says more."""
    if kind in (FindingKind.DRIFT, FindingKind.SILENT_UPDATE) and changes:
        top = [c.name for c in changes[:3]]
        if any(name == "output.tone.refusal" for name in top):
            return "runbooks/refusal.md"
        if sum(name.startswith("output.format.") for name in top) >= 2:
            return "runbooks/format.md"
    if kind is FindingKind.INPUT_DRIFT and any(c.name.startswith("input.noise.") for c in changes[:3]):
        return "runbooks/prompt_brittleness.md"
    return f"runbooks/{kind.value}.md"


def severity_of(changes: Sequence[FeatureChange], specs: Mapping[str, FeatureSpec]) -> Severity:
    """Critical where a failure flag rose or something moved by eight floors in the direction that hurts."""
    for change in changes:
        spec = specs.get(change.name)
        if spec is None:
            continue
        if spec.failure and change.effect > 1:
            return Severity.CRITICAL
        hurts = (spec.worse is Worse.UP and change.effect > 0) or (spec.worse is Worse.DOWN and change.effect < 0)
        if hurts and abs(change.effect) >= 8:
            return Severity.CRITICAL
    return Severity.WARNING


def phrase(change: FeatureChange, specs: Mapping[str, FeatureSpec]) -> str:
    """`output.length.chars rose from 812 to 1,903 characters (+134 %)`."""
    spec = specs.get(change.name.removesuffix(SPREAD))
    if change.name.endswith(SPREAD) and isinstance(change.before, float) and isinstance(change.after, float):
        verb = "widened" if change.effect > 0 else "narrowed"
        unit = f" {spec.unit}" if spec is not None and spec.unit else ""
        middle = f"the middle half spans {number(change.after)}{unit} where it was {number(change.before)}"
        return f"{change.name} {verb}: {middle}"
    rate = spec is not None and spec.kind in (Kind.FLAG, Kind.CATEGORY)
    rate = rate or change.name.endswith(".missing")
    some = (
        spec is not None
        and spec.kind is Kind.COUNT
        and any(isinstance(side, float) and side != int(side) for side in (change.before, change.after))
    )
    if not isinstance(change.before, float) or not isinstance(change.after, float):
        return f"{change.name} changed"
    if change.before == change.after:
        return f"{change.name} {'rose' if change.effect > 0 else 'fell'} (median still {number(change.before)})"
    verb = "rose" if change.after > change.before else "fell"
    if some:
        return f"{change.name}: any in {change.before:.1%} of events before, in {change.after:.1%} since"
    if rate:
        return f"{change.name} {verb} from {change.before:.1%} to {change.after:.1%} of events"
    unit = f" {spec.unit}" if spec is not None and spec.unit else ""
    relative = ""
    if change.before > 0:
        relative = f" ({(change.after - change.before) / change.before:+.0%})"
    return f"{change.name} {verb} from {number(change.before)} to {number(change.after)}{unit}{relative}"


def number(value: float) -> str:
    """A number as a person writes it."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def words(
    stream: str,
    kind: FindingKind,
    driver: Driver,
    changes: Sequence[FeatureChange],
    attribution: Attribution,
    began: int,
    specs: Mapping[str, FeatureSpec],
) -> tuple[str, str]:
    """Title (one line) and cause (one or two sentences)."""
    where = ""
    if attribution.segment:
        where = " in " + ", ".join(f"{k}={v}" for k, v in attribution.segment.items())
    lead = phrase(changes[0], specs) if changes else "many features moved a little, together"
    title = f"{stream}: {lead}{where}"
    parts = [phrase(c, specs) for c in changes[:3]] or ["no single feature moved by its floor, many did together"]
    more = len(changes) - 3
    sentence = "; ".join(parts) + (f"; and {more} more features moved with them" if more > 0 else "")
    if driver is Driver.INPUT:
        why = "The inputs changed, and the outputs are as this stream gives them for such inputs."
    elif driver is Driver.MIX:
        why = "The shares of its segments moved; within each segment outputs are as before."
    elif attribution.new_versions:
        named = ", ".join(f"{k}={v}" for k, v in attribution.new_versions.items())
        why = f"It came with a new version: {named}."
    elif kind is FindingKind.SILENT_UPDATE:
        why = "No version or fingerprint changed with it: a silent update, or something around the model."
    elif driver is Driver.CALL:
        why = "The call around the model changed, not what it says."
    else:
        why = "The inputs did not change with it."
    return title, f"Since event {began}{where}: {sentence}. {why}"
