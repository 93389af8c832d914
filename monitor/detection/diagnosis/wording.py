"""A finding in words: its title, its cause, and the sentences that some findings add.

Called by whoever builds a finding, with changes that `feature_changes` measured and `classify` put into order. Each
function says one thing, so that one wording can be changed without reading the others. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.flags import FlagKind
from monitor.detection.columns.normal_scores import expand
from monitor.detection.diagnosis.attribution import Attribution
from monitor.detection.diagnosis.classify import FIRST
from monitor.detection.diagnosis.naming import named
from monitor.detection.diagnosis.rounding import number, rounded
from monitor.detection.diagnosis.sentences import joined, sentence, share
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import Driver, FeatureChange, base_name
from monitor.detection.records.finding_kinds import FindingKind
from monitor.detection.reference.reference import Reference
from monitor.features.base import FeatureSpec, Kind
from monitor.features.change_words import as_within

MOST_TIMED_FEATURES = 2
"""Features whose quantiles a finding gives, at most."""
FEWEST_TIMED_ROWS = 8
"""Rows from which it gives them: of fewer, the 95th percentile is the largest."""
TIME_QUANTILES = (0.5, 0.95)  # p50 and p95, the two that dashboards of latencies show

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
    shown = named(changes, specs)
    where = _where(attribution)
    cause = f"Since event {began:,}{where}: {_what(shown, specs)}. {_why(kind, driver, attribution)}"
    return f"{stream}: {_named(kind, _lead(shown, specs))}{where}", " ".join([cause, *filter(None, more)])


def _where(attribution: Attribution) -> str:
    """` in task=billing`; empty for the whole stream."""
    if not attribution.segment:
        return ""
    return " in " + ", ".join(f"{k}={v}" for k, v in attribution.segment.items())


def _lead(changes: Sequence[FeatureChange], specs: DeclaredFeatures) -> str:
    """What a title says moved."""
    return sentence(changes[0], specs) if changes else "Many features moved a little, together"


def _named(kind: FindingKind, lead: str) -> str:
    """What moved, after the name of what explains it, where the kind has one: the same fall reads as one of quality."""
    return f"Another evaluator: {as_within(lead)}" if kind is FindingKind.EVALUATOR_CHANGED else lead


def _what(changes: Sequence[FeatureChange], specs: DeclaredFeatures) -> str:
    """What a cause says moved: the first changes, and how many more there are."""
    if not changes:
        return "no single feature moved by its floor, many did together"
    rest = len(changes) - FIRST
    more = f"; and {rest} more {'thing' if rest == 1 else 'things'} changed with them" if rest > 0 else ""
    return joined([sentence(change, specs) for change in changes[:FIRST]]) + more


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


def back(change: FeatureChange, now: float, specs: DeclaredFeatures, events: int) -> str:
    """`output.tone.refusal is back at 0.1 % (0.1 % before, 3.4 % while it lasted) for 412 events`."""
    spec = specs.spec(change.name)
    is_number = spec is not None and spec.kind not in (Kind.FLAG, Kind.CATEGORY) and change.value is None
    rate = not is_number or bool(change.statistic)
    unit = f" {spec.unit}" if spec is not None and spec.unit and not rate else ""

    def written(side: float | str | None) -> str:
        if not isinstance(side, float | int):
            return "none" if side is None else side
        return share(side) if rate else number(rounded(side))

    name = f"{change.name}={change.value}" if change.value is not None else change.name
    sides = f"{written(change.before)} before, {written(change.after)} while it lasted"
    return f"{name} is back at {written(now)}{unit} ({sides}) for {events:,} events"
