"""A finding in words: its title, its cause, and the sentences that some findings add.

Called by whoever builds a finding, with changes that `feature_changes` measured and `classify` put into order. Each
function says one thing, so that one wording can be changed without reading the others. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.normal_scores import expand
from monitor.detection.columns.watched_columns import ANY_FAILURE, FlagKind
from monitor.detection.diagnosis.attribution import Attribution
from monitor.detection.diagnosis.classify import FIRST, in_order
from monitor.detection.diagnosis.rounding import number, rounded
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import FAMILY_MISSING, SPREAD, TAIL, Driver, FeatureChange, base_name
from monitor.detection.records.finding_kinds import FindingKind
from monitor.detection.reference.reference import Reference
from monitor.features.base import FeatureSpec, Kind
from monitor.features.families.dependencies import is_keyed

MOST_TIMES_AS_MUCH = 10
"""A relative change is given up to this multiple; beyond, the value before was next to nothing, and a percentage of it
would say nothing."""
MOST_TIMED_FEATURES = 2
"""Features whose quantiles a finding gives, at most."""
FEWEST_TIMED_ROWS = 8
"""Rows from which it gives them: of fewer, the 95th percentile is the largest."""
TIME_QUANTILES = (0.5, 0.95)

# A change


def phrase(change: FeatureChange, specs: Mapping[str, FeatureSpec]) -> str:
    """One change: `output.length.chars rose from 812 to 1,903 characters (+134%)`.

    The first of `_PHRASES` that has something to say is taken.
    """
    spec = specs.get(base_name(change.name))
    return next(filter(None, (say(change, spec) for say in _PHRASES)), f"{change.name} changed")


def _tail_became_longer(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    if not (change.name.endswith(TAIL) and isinstance(change.before, float) and isinstance(change.after, float)):
        return None
    sides = f"in {change.after:.1%} of {_events(change)}, in {change.before:.1%} before"
    return f"{base_name(change.name)} {change.value}: {sides}"


def _spread_changed(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    if not (change.name.endswith(SPREAD) and isinstance(change.before, float) and isinstance(change.after, float)):
        return None
    verb = "widened" if change.effect > 0 else "narrowed"
    middle = f"the middle half spans {number(change.after)}{_unit(spec)} where it was {number(change.before)}"
    return f"{change.name} {verb}: {middle}"


def _side_is_unknown(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    known = isinstance(change.before, float) and isinstance(change.after, float)
    return None if known else f"{change.name} changed"


def _median_stayed(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    if change.before != change.after or not isinstance(change.before, float):
        return None
    return f"{change.name} {'rose' if change.effect > 0 else 'fell'} (median still {number(change.before)})"


def _meaning_moved(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    """A direction of meaning, by what it is of: which way it moved tells a person nothing."""
    before, after = _both(change)
    if spec is None or not spec.opaque:
        return None
    return f"{spec.meaning.partition(',')[0]} moved ({change.name} from {number(before)} to {number(after)})"


def _value_became_more_frequent(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    return None if change.value is None else f"{change.name}={change.value} {_rate_moved(change)}"


def _count_is_seldom_zero(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    """A count that is mostly zero, by how often it is not."""
    if not _is_rate_of_any(change, spec):
        return None
    before, after = _both(change)
    return f"{change.name}: any in {before:.1%} of events before, in {after:.1%} since"


def _flag_became_more_frequent(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    rate = spec is not None and spec.kind in (Kind.FLAG, Kind.CATEGORY)
    if not (rate or change.name.endswith(FAMILY_MISSING) or change.name == ANY_FAILURE):
        return None
    return f"{change.name} {_rate_moved(change)}"


def _number_moved(change: FeatureChange, spec: FeatureSpec | None) -> str | None:
    before, after = _both(change)
    relative = f" ({(after - before) / before:+.0%})" if before > 0 and after < MOST_TIMES_AS_MUCH * before else ""
    return f"{change.name} {_verb(change)} from {number(before)} to {number(after)}{_unit(spec)}{relative}"


_PHRASES: tuple[Callable[[FeatureChange, FeatureSpec | None], str | None], ...] = (
    _tail_became_longer,
    _spread_changed,
    _side_is_unknown,
    _median_stayed,
    _meaning_moved,
    _value_became_more_frequent,
    _count_is_seldom_zero,
    _flag_became_more_frequent,
    _number_moved,
)
"""Ways to say a change, the most specific first; from the fourth on both sides are known numbers that differ."""


def _both(change: FeatureChange) -> tuple[float, float]:
    """Both sides, for phrasings behind `_side_is_unknown`."""
    assert isinstance(change.before, float)
    assert isinstance(change.after, float)
    return change.before, change.after


def _verb(change: FeatureChange) -> str:
    before, after = _both(change)
    return "rose" if after > before else "fell"


def _rate_moved(change: FeatureChange) -> str:
    before, after = _both(change)
    return f"{_verb(change)} from {before:.1%} to {after:.1%} of {_events(change)}"


def _events(change: FeatureChange) -> str:
    return "the events that call it" if is_keyed(base_name(change.name)) else "events"


def _unit(spec: FeatureSpec | None) -> str:
    return f" {spec.unit}" if spec is not None and spec.unit else ""


def _has_fraction(change: FeatureChange) -> bool:
    return any(isinstance(side, float) and side != int(side) for side in (change.before, change.after))


def _is_rate_of_any(change: FeatureChange, spec: FeatureSpec | None) -> bool:
    """Whether both sides of a count are shares of events in which it is not zero, rather than medians."""
    return spec is not None and spec.kind is Kind.COUNT and _has_fraction(change)


# A finding


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
    """Title (one line) and cause (a few sentences, the last ones being `more`) of a finding.

    `began` is the stream index of the first changed event.
    """
    changes = in_order(changes, kind, specs)
    where = _where(attribution)
    cause = f"Since event {began}{where}: {_what(changes, specs)}. {_why(kind, driver, attribution)}"
    return f"{stream}: {_lead(changes, specs)}{where}", " ".join([cause, *filter(None, more)])


def _where(attribution: Attribution) -> str:
    """` in task=billing`; empty for the whole stream."""
    if not attribution.segment:
        return ""
    return " in " + ", ".join(f"{k}={v}" for k, v in attribution.segment.items())


def _lead(changes: Sequence[FeatureChange], specs: Mapping[str, FeatureSpec]) -> str:
    """What a title says moved."""
    return phrase(changes[0], specs) if changes else "many features moved a little, together"


def _what(changes: Sequence[FeatureChange], specs: Mapping[str, FeatureSpec]) -> str:
    """What a cause says moved: the first changes, and how many more there are."""
    if not changes:
        return "no single feature moved by its floor, many did together"
    rest = len(changes) - FIRST
    more = f"; and {rest} more features moved with them" if rest > 0 else ""
    return "; ".join(phrase(change, specs) for change in changes[:FIRST]) + more


def _why(kind: FindingKind, driver: Driver, attribution: Attribution) -> str:
    """What the change came with, and what it did not come with."""
    why = _came_with(kind, driver, attribution)
    if attribution.perhaps:
        why += f" Perhaps only in {'='.join(attribution.perhaps)}: too few events to be sure."
    return why


def _came_with(kind: FindingKind, driver: Driver, attribution: Attribution) -> str:
    if driver is Driver.INPUT:
        return "The inputs changed, and the outputs are as this stream gives them for such inputs."
    if driver is Driver.MIX:
        return "The shares of its segments moved; within each segment outputs are as before."
    if attribution.new_versions:
        named = ", ".join(f"{k}={v}" for k, v in attribution.new_versions.items())
        return f"It came with a new version: {named}."
    if kind is FindingKind.SILENT_UPDATE:
        return "No version or fingerprint changed with it: a silent update, or something around the model."
    if driver is Driver.CALL:
        return "The call around the model changed, not what it says."
    return "The inputs did not change with it."


# What some findings add


def times(
    reference: Reference,
    numbers: NDArray[np.float16],
    changes: Sequence[FeatureChange],
    specs: Mapping[str, FeatureSpec],
) -> str:
    """The times that moved, by their median and 95th percentile before and since.

    `numbers` (n, k) are the rows after the change, before ranking.
    """
    said: list[str] = []
    for name in dict.fromkeys(base_name(change.name) for change in changes):
        if reference.layout.flag_place(name, FlagKind.TAIL) is None or len(said) == MOST_TIMED_FEATURES:
            continue
        column = reference.layout.numbers.index(name)
        seen = expand(numbers[:, column])
        seen = seen[np.isfinite(seen)]
        if len(seen) >= FEWEST_TIMED_ROWS:
            unit = specs[name].unit
            sides = (
                f"p{100 * q:.0f} {number(rounded(reference.ranks.quantile(column, q)))} {unit} before, "
                f"{number(rounded(float(np.quantile(seen, q))))} {unit} since"
                for q in TIME_QUANTILES
            )
            said.append(f"{name}: {'; '.join(sides)}.")
    return " ".join(said)


def back(change: FeatureChange, now: float, specs: Mapping[str, FeatureSpec], events: int) -> str:
    """`output.tone.refusal is back at 0.1% (0.1% before, 3.4% while it lasted) for 412 events`."""
    spec = specs.get(base_name(change.name))
    is_number = spec is not None and spec.kind not in (Kind.FLAG, Kind.CATEGORY) and change.value is None
    rate = not is_number or _is_rate_of_any(change, spec)
    unit = "" if rate else _unit(spec)

    def written(side: float | str | None) -> str:
        if not isinstance(side, float):
            return "none" if side is None else side
        return f"{side:.1%}" if rate else number(rounded(side))

    name = f"{change.name}={change.value}" if change.value is not None else change.name
    sides = f"{written(change.before)} before, {written(change.after)} while it lasted"
    return f"{name} is back at {written(now)}{unit} ({sides}) for {events:,} events"
