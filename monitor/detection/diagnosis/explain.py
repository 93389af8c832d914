"""A finding in words: which features moved together, of what kind that is, and one line for whoever is woken."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.normal_scores import expand
from monitor.detection.columns.rare_categories import is_value, shown
from monitor.detection.columns.watched_columns import ANY_FAILURE, FlagKind, WatchedColumns
from monitor.detection.diagnosis.attribution import Attribution
from monitor.detection.diagnosis.change_point import Shift, widening
from monitor.detection.records.declared_features import DeclaredFeatures, side_of
from monitor.detection.records.finding import (
    FAMILY_MISSING,
    SPREAD,
    TAIL,
    Driver,
    FeatureChange,
    Finding,
    FindingKind,
    Severity,
    base_name,
)
from monitor.detection.reference.reference import Reference
from monitor.detection.settings import Floors
from monitor.events.content import TOOL_FINISHES
from monitor.features.base import FeatureSpec, Kind, Role, Worse
from monitor.features.families.dependencies import is_keyed

Array = NDArray[np.float64]

MOST_FEATURES = 12
WHOLE = 4.0
"""Floors by which a number must move for its tail to have moved with it; less is what a longer tail alone does."""
Sides: TypeAlias = tuple[float | None, float | None]
"""A column before and after."""
CALL_KINDS = {
    Role.DEPENDENCY: FindingKind.DEPENDENCY,
    Role.ERROR: FindingKind.ERRORS,
    Role.FINISH: FindingKind.ERRORS,
    Role.CONTEXT: FindingKind.CONTEXT,
    Role.SESSION: FindingKind.CONTEXT,
    Role.LATENCY: FindingKind.LATENCY,
}
"""Kind of a change around the model, by the role of what moved."""
UPSTREAM = (Role.DEPENDENCY, Role.ERROR, Role.FINISH)
"""What breaks these breaks outputs too, so outputs that moved with them are their consequence; causes come first."""
NEARLY = 0.7
"""Share of the surest change's standard errors that a change has which decides on driver and kind, too: noise, of which
there is always some among the changes, has less."""
CAUSE = 3.5
"""Standard errors that are enough for a dependency or an error to decide: by chance once in 2,000."""
ORDINARY_FINISHES = TOOL_FINISHES | {
    "none",
    "stop",
    "end_turn",
    "eos",
    "eos_token",
    "stop_sequence",
    "complete",
    "completed",
}
"""What providers call an end without a fault, or `none` where they say nothing. Where a fault makes these fewer, its
own value rises, and says so."""
SIZES = frozenset({Role.LENGTH, Role.EMPTY})
"""What says how long outputs are."""
SHAPES = frozenset({Role.FORMAT, Role.LAYOUT, Role.TRUNCATION, Role.CONTENT_FAULT})
"""What the runbook for a changed format covers."""
UNPARSED = 0.2
"""Share of the events that a program no longer reads, from which on that is what happened, whatever is surer."""
MOST_TIMES_AS_MUCH = 10
"""From there on a share of what was there before, which was next to nothing, is not told."""
MOST_TIMES = 2
"""Times whose quantiles a finding tells."""
FEWEST_TIMES = 8
"""Rows from which they are told."""
LEADS = {
    FindingKind.DEPENDENCY: (Role.DEPENDENCY,),
    FindingKind.ERRORS: (Role.ERROR, Role.FINISH),
    FindingKind.CONTEXT: (Role.CONTEXT,),
    FindingKind.LATENCY: (Role.LATENCY,),
    FindingKind.FORMAT: (Role.FORMAT,),
    FindingKind.REFUSAL: (Role.REFUSAL,),
    # More tool calls, where these two are the kind: outputs that hold no text are what follows from them.
    FindingKind.DRIFT: (Role.FINISH,),
    FindingKind.SILENT_UPDATE: (Role.FINISH,),
}
"""Roles that a finding of a kind names first, in the order of their features' `lead`: what names the cause."""
_TAIL_PLACE, _REST_PLACE, _OPAQUE_PLACE, _MISSING_PLACE = -1, 1_000, 1_001, 1_002
"""Places in what a finding says, around those by `lead`."""


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
    watched = ~reference.is_input[: len(size)] & ~reference.is_keyed
    return np.asarray(np.where((np.abs(surety) > sure) & watched, effect, 0.0))


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
    sides: Callable[[int], Sides] | None = None,
    others: Callable[[str], tuple[str, int] | None] | None = None,
) -> list[FeatureChange]:
    """What moved, largest first: features whose shift is sure and at least their floor.

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
            found[name] = FeatureChange(name, *both(int(j)), round(float(effect[j]), 2), value)
    for name in [name for name in found if name.endswith(TAIL)]:
        whole = found.get(name.removesuffix(TAIL))
        if whole is not None and abs(whole.effect) >= WHOLE:  # its tail moved with it
            del found[name]
    return list(found.values())[:MOST_FEATURES]


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
    told = risen if effect[risen] >= 1.0 else j
    flag = layout.flags[told - k]
    before, after = both(told)
    value = shown(flag.value) if flag.kind is FlagKind.VALUE else None
    if value is None and others is not None and effect[told] > 0:
        common = others(name)
        known = int(np.isfinite(flags[:, told - k]).sum())
        if common is not None and known:
            value, after = common[0], rounded(common[1] / known)
    return FeatureChange(name, before, after, round(float(effect[told]), 2), value)


def _sides(
    reference: Reference, j: int, numbers: NDArray[np.float16], flags: Array, specs: Mapping[str, FeatureSpec]
) -> Sides:
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


def decisive(
    reference: Reference, moved: Shift, changes: Sequence[FeatureChange], features: DeclaredFeatures
) -> list[FeatureChange]:
    """The changes that are nearly as sure as the surest: what a finding is about, without what came along by chance."""
    sure: dict[str, float] = {}
    for j, size in enumerate(np.abs(moved.surety).tolist()):
        name = reference.layout.name(j)
        sure[name] = max(size, sure.get(name, 0.0))
    most = max((sure.get(change.name, 0.0) for change in changes), default=0.0)
    return [
        change
        for change in changes
        if sure.get(change.name, most)
        >= (min(CAUSE, NEARLY * most) if features.role(change.name) in UPSTREAM else NEARLY * most)
    ]


def driver_of(decisive: Sequence[FeatureChange], features: DeclaredFeatures) -> Driver:
    """Whether outputs or the call around them moved.

    Latency, tokens and cost follow outputs, so they are the driver only where no output moved, or a single one that is
    less sure and says nothing of length; errors and dependencies come first.
    """
    if any(features.role(change.name) in UPSTREAM and not _ends_ordinarily(change, features) for change in decisive):
        return Driver.CALL
    moved = [change for change in decisive if side_of(change.name) == "output"]
    output = len(moved) > 1 or any(c is decisive[0] or features.role(c.name) in SIZES for c in moved)
    return Driver.OUTPUT if output or not decisive else Driver.CALL


def kind_of(
    changes: Sequence[FeatureChange],
    decisive: Sequence[FeatureChange],
    driver: Driver,
    attribution: Attribution,
    features: DeclaredFeatures,
) -> FindingKind:
    """The kind of a finding from what moved, what of it is decisive, and whether a version did."""
    if driver is Driver.INPUT:
        return FindingKind.INPUT_DRIFT
    if driver is Driver.MIX:
        return FindingKind.MIX_SHIFT
    if driver is Driver.CALL:
        faults = [features.role(change.name) for change in changes if not _ends_ordinarily(change, features)]
        surest = {features.role(change.name) for change in decisive if not _ends_ordinarily(change, features)}
        upstream = (role for role in UPSTREAM if role in surest)
        found = next((role for role in chain(upstream, faults) if role in CALL_KINDS), None)
        if found is not None:
            return CALL_KINDS[found]
    if any(_refuses(change, features) for change in changes[:3]):
        return FindingKind.REFUSAL
    if any(features.role(change.name) is Role.FORMAT for change in decisive) or any(
        _breaks(change, features) for change in changes
    ):
        return FindingKind.FORMAT
    if attribution.known_versions and not attribution.new_versions:
        return FindingKind.SILENT_UPDATE
    return FindingKind.DRIFT


def _ends_ordinarily(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a change says only that more or fewer calls ended as they should: with an answer, or with a tool call."""
    return features.role(change.name) is Role.FINISH and str(change.value).lower() in ORDINARY_FINISHES


def _refuses(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether the share of refusals changed: a flag says so, a score that moved within its range does not."""
    spec = features.get(change.name)
    return spec is not None and spec.role is Role.REFUSAL and spec.kind is Kind.FLAG


def _breaks(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether many more events than before cannot be parsed: flags alone say how many (a shape may be a new one)."""
    spec = features.get(change.name)
    if spec is None:
        return False
    worse = -1 if spec.worse is Worse.DOWN else 1
    return (
        spec.role is Role.FORMAT
        and spec.kind is Kind.FLAG
        and isinstance(change.before, float)
        and isinstance(change.after, float)
        and worse * (change.after - change.before) >= UNPARSED
    )


def told_in(known: Finding, change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a finding told of this change already: the same feature, or another of its kind, moved the same way."""
    name = base_name(change.name)
    same = [other for other in known.features if base_name(other.name) == name]
    role = features.role(name)
    if not same and role is not None and CALL_KINDS.get(role) is known.kind:
        same = known.features[:1]
    return any(other.effect * change.effect > 0 for other in same)


def is_failure_or_missing(change: FeatureChange) -> bool:
    """Whether a change only says that something failed or is missing."""
    return change.name == ANY_FAILURE or change.name.endswith(FAMILY_MISSING)


def runbook_of(kind: FindingKind, changes: Sequence[FeatureChange], features: DeclaredFeatures | None = None) -> str:
    """Path of the runbook: of the kind, or of what broke where that says more."""
    roles = [] if features is None else [features.role(change.name) for change in changes[:3]]
    if kind in (FindingKind.DRIFT, FindingKind.SILENT_UPDATE) and sum(role in SHAPES for role in roles) >= 2:
        return "runbooks/format.md"
    if kind is FindingKind.INPUT_DRIFT and Role.NOISE in roles:
        return "runbooks/prompt_brittleness.md"
    return f"runbooks/{kind.value}.md"


def times(
    reference: Reference,
    numbers: NDArray[np.float16],
    changes: Sequence[FeatureChange],
    specs: Mapping[str, FeatureSpec],
) -> str:
    """The times that moved, by their median and 95th percentile before and since (rows after the change, (n, k))."""
    told: list[str] = []
    for name in dict.fromkeys(base_name(change.name) for change in changes):
        if reference.layout.flag_place(name, FlagKind.TAIL) is None or len(told) == MOST_TIMES:
            continue
        column = reference.layout.numbers.index(name)
        seen = expand(numbers[:, column])
        seen = seen[np.isfinite(seen)]
        if len(seen) >= FEWEST_TIMES:
            unit = specs[name].unit
            sides = (
                f"p{100 * q:.0f} {number(rounded(reference.ranks.quantile(column, q)))} {unit} before, "
                f"{number(rounded(float(np.quantile(seen, q))))} {unit} since"
                for q in (0.5, 0.95)
            )
            told.append(f"{name}: {'; '.join(sides)}.")
    return " ".join(told)


def is_fault(change: FeatureChange, spec: FeatureSpec | None) -> bool:
    """Whether a change says that a failure became more frequent, by more than its floor."""
    return spec is not None and spec.failure and change.effect > 1


def severity_of(changes: Sequence[FeatureChange], specs: Mapping[str, FeatureSpec]) -> Severity:
    """Critical where a failure flag rose or something moved by eight floors in the direction that hurts."""
    for change in changes:
        spec = specs.get(change.name)
        if spec is None:
            continue
        if is_fault(change, spec):
            return Severity.CRITICAL
        hurts = (spec.worse is Worse.UP and change.effect > 0) or (spec.worse is Worse.DOWN and change.effect < 0)
        if hurts and abs(change.effect) >= 8:
            return Severity.CRITICAL
    return Severity.WARNING


def phrase(change: FeatureChange, specs: Mapping[str, FeatureSpec]) -> str:
    """`output.length.chars rose from 812 to 1,903 characters (+134 %)`."""
    spec = specs.get(base_name(change.name))
    events = "the events that call it" if is_keyed(base_name(change.name)) else "events"
    if change.name.endswith(TAIL) and isinstance(change.before, float) and isinstance(change.after, float):
        sides = f"in {change.after:.1%} of {events}, in {change.before:.1%} before"
        return f"{base_name(change.name)} {change.value}: {sides}"
    if change.name.endswith(SPREAD) and isinstance(change.before, float) and isinstance(change.after, float):
        verb = "widened" if change.effect > 0 else "narrowed"
        unit = f" {spec.unit}" if spec is not None and spec.unit else ""
        middle = f"the middle half spans {number(change.after)}{unit} where it was {number(change.before)}"
        return f"{change.name} {verb}: {middle}"
    rate = spec is not None and spec.kind in (Kind.FLAG, Kind.CATEGORY)
    rate = rate or change.name.endswith(FAMILY_MISSING) or change.name == ANY_FAILURE
    some = (
        spec is not None
        and spec.kind is Kind.COUNT
        and any(isinstance(side, float) and side != int(side) for side in (change.before, change.after))
    )
    if not isinstance(change.before, float) or not isinstance(change.after, float):
        return f"{change.name} changed"
    if change.before == change.after:
        return f"{change.name} {'rose' if change.effect > 0 else 'fell'} (median still {number(change.before)})"
    if spec is not None and spec.opaque:
        sides = f"from {number(change.before)} to {number(change.after)}"
        return f"{spec.meaning.partition(',')[0]} moved ({change.name} {sides})"
    verb = "rose" if change.after > change.before else "fell"
    if change.value is not None:
        return f"{change.name}={change.value} {verb} from {change.before:.1%} to {change.after:.1%} of {events}"
    if some:
        return f"{change.name}: any in {change.before:.1%} of events before, in {change.after:.1%} since"
    if rate:
        return f"{change.name} {verb} from {change.before:.1%} to {change.after:.1%} of {events}"
    unit = f" {spec.unit}" if spec is not None and spec.unit else ""
    relative = ""
    if change.before > 0 and change.after < MOST_TIMES_AS_MUCH * change.before:
        relative = f" ({(change.after - change.before) / change.before:+.0%})"
    return f"{change.name} {verb} from {number(change.before)} to {number(change.after)}{unit}{relative}"


def is_shown_by(layout: WatchedColumns, j: int, change: FeatureChange) -> bool:
    """Whether the rate of column j is what a change says of its feature before and after."""
    flag = layout.flag(j)
    if flag is None or layout.name(j) != change.name:
        return False
    if flag.kind is FlagKind.NONZERO:
        return any(isinstance(side, float) and side != int(side) for side in (change.before, change.after))
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
    median = _medians(reference, reference.layout.numbers.index(change.name), numbers)[1]
    spec = specs.get(change.name)
    counted = spec is not None and spec.kind is Kind.COUNT and median is not None
    return float(round(median)) if counted and median is not None else median


def back(change: FeatureChange, now: float, specs: Mapping[str, FeatureSpec], events: int) -> str:
    """`output.tone.refusal is back at 0.1% (0.1% before, 3.4% while it lasted) for 412 events`."""
    spec = specs.get(base_name(change.name))
    number_of_its_own = spec is not None and spec.kind not in (Kind.FLAG, Kind.CATEGORY) and change.value is None
    some = any(isinstance(side, float) and side != int(side) for side in (change.before, change.after))
    rate = not number_of_its_own or (spec is not None and spec.kind is Kind.COUNT and some)
    unit = f" {spec.unit}" if spec is not None and spec.unit and not rate else ""

    def written(side: float | str | None) -> str:
        if not isinstance(side, float):
            return "none" if side is None else side
        return f"{side:.1%}" if rate else number(rounded(side))

    name = f"{change.name}={change.value}" if change.value is not None else change.name
    sides = f"{written(change.before)} before, {written(change.after)} while it lasted"
    return f"{name} is back at {written(now)}{unit} ({sides}) for {events:,} events"


def in_order(changes: Sequence[FeatureChange], kind: FindingKind, features: DeclaredFeatures) -> list[FeatureChange]:
    """The changes as a finding of this kind tells them: what names the cause first, then the surest."""
    return sorted(changes, key=lambda change: _place(change, kind, features))


def _place(change: FeatureChange, kind: FindingKind, features: DeclaredFeatures) -> int:
    """Where a change is told: first what names the cause, then directions of meaning, last what is only a failure or
    missing."""
    spec = features.spec(change.name)
    if kind is FindingKind.LATENCY and spec is not None and spec.role is Role.LATENCY and change.name.endswith(TAIL):
        return _TAIL_PLACE
    if is_failure_or_missing(change):
        return _MISSING_PLACE
    if spec is not None and spec.opaque:
        return _OPAQUE_PLACE
    leads = spec is not None and spec.lead is not None and spec.role in LEADS.get(kind, ())
    return spec.lead if leads and spec is not None and spec.lead is not None else _REST_PLACE


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
    specs: DeclaredFeatures,
    more: Sequence[str] = (),
) -> tuple[str, str]:
    """Title (one line) and cause (a few sentences, at the end what there is `more` to say)."""
    where = ""
    if attribution.segment:
        where = " in " + ", ".join(f"{k}={v}" for k, v in attribution.segment.items())
    changes = in_order(changes, kind, specs)
    lead = phrase(changes[0], specs) if changes else "many features moved a little, together"
    title = f"{stream}: {lead}{where}"
    parts = [phrase(c, specs) for c in changes[:3]] or ["no single feature moved by its floor, many did together"]
    rest = len(changes) - 3
    sentence = "; ".join(parts) + (f"; and {rest} more features moved with them" if rest > 0 else "")
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
    if attribution.perhaps:
        why += f" Perhaps only in {'='.join(attribution.perhaps)}: too few events to be sure."
    return title, " ".join([f"Since event {began}{where}: {sentence}. {why}", *filter(None, more)])
