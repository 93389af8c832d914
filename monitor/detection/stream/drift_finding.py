"""A diagnosis as a finding: its words, its examples, and what else is known of the changed rows. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np

from monitor.detection.columns.flags import FlagKind
from monitor.detection.columns.normal_scores import expand
from monitor.detection.columns.recent_rows import RecentRows, Segments
from monitor.detection.diagnosis import classify, trend_forecast, wording
from monitor.detection.diagnosis.diagnose import Diagnosis
from monitor.detection.diagnosis.finding_builder import Certainty, Quoted, build
from monitor.detection.records.context import Context
from monitor.detection.records.finding import (
    Excerpt,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Severity,
)
from monitor.detection.records.finding_kinds import KINDS, SeverityRule
from monitor.detection.records.plain_numbers import finite
from monitor.detection.slo.slo_monitor import cost, counted_features
from monitor.features.base import Role

LEAST_EVIDENCE = 1e-300
"""In place of no evidence, as a detector of one number may find drift without any: its logarithm is a number."""
MODEL = "model.name"
"""The attribute of events that names the model."""


def drift_finding(
    context: Context,
    history: RecentRows,
    found: Diagnosis,
    *,
    fires: bool,
    evidence: float,
    before: list[Excerpt],
    after: list[Excerpt],
) -> Finding:
    """The finding of a diagnosis, raised by the last row kept.

    `before` and `after` are its examples, from `monitor.detection.diagnosis.examples`.
    """
    index = int(history.indices[-1])
    kind, driver, changes, attribution = found.kind, found.driver, found.said, found.attribution
    more = _more(context, history, found)
    return build(
        context.stream,
        kind,
        wording.words(context.stream, kind, driver, changes, attribution, found.began.index, context.specs, more),
        (RaisedAt(history.event_id(-1), index, finite(history.times[-1])), found.began),
        fires=fires,
        driver=driver,
        changes=_recorded(found),
        features=context.specs,
        severity=_severity(found, context),
        segment=attribution.segment,
        quoted=Quoted.of(before, after),
        certainty=Certainty(math.log10(max(evidence, LEAST_EVIDENCE)), math.log10(context.threshold)),
        model=_majority(history.segments[found.position :], MODEL),
    )


def _severity(found: Diagnosis, context: Context) -> Severity | None:
    """By the changes that decide, where severity follows from changes; else as the kind says."""
    follows = KINDS[found.kind].severity is SeverityRule.CHANGES
    return classify.severity_of(found.changes, context.specs) if follows else None


def _recorded(found: Diagnosis) -> list[FeatureChange]:
    """What a finding carries within detection: the changes that decide, and those that are only reported."""
    decide = {change.name for change in found.changes}
    return [
        change if change.name in decide else msgspec.structs.replace(change, tested=False)
        for change in found.said
        if change.name in decide or change.place >= 0
    ]


def _more(context: Context, history: RecentRows, found: Diagnosis) -> list[str]:
    """What else is said of the changed rows: quantiles of times, when a context is full, what an objective pays."""
    reference = found.reference.reference
    layout = reference.layout
    numbers, names = history.numbers[found.rows], layout.numbers
    more: list[str] = []
    if found.kind in (FindingKind.LATENCY, FindingKind.DEPENDENCY):
        changes = classify.in_order(found.changes, found.kind, context.specs)
        more.append(wording.times(reference, numbers, changes, context.specs))
    elif found.kind is FindingKind.CONTEXT:
        share, turn = (
            expand(numbers[:, names.index(name)]) if name in names else np.full(len(numbers), np.nan)
            for name in (context.specs.leading(Role.CONTEXT), context.specs.leading(Role.SESSION))
        )
        more.append(trend_forecast.words(share, np.round(turn), history.times[found.rows]))
    if context.settings.slo:
        # An objective counts every row, whichever segment changed.
        since = slice(int(found.rows[0]), None)
        timed, failed = counted_features(context.specs)
        place = None if failed is None else layout.flag_place(failed, FlagKind.DECLARED)
        latency = history.numbers[since, names.index(timed)] if timed in names else None
        error = None if place is None else history.flag_values()[since, place]
        more += cost(context.settings.slo, found.changes, len(history) - since.start, latency, error, context.specs)
    return more


def _majority(segments: Sequence[Segments], attribute: str) -> str | None:
    """The attribute's value that more than half of the rows have, if any."""
    values = Counter(value for pairs in segments for name, value in pairs if name == attribute)
    for value, count in values.most_common(1):
        return value if 2 * count > len(segments) else None
    return None
