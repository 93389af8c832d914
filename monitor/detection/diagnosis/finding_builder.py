"""`build`: the one place that makes a finding.

Called by everything that finds something: the reference monitor, comparisons of versions, objectives, volume and the
check of the warm-up. What follows from the kind (severity, runbook) comes from the table of kinds; what identifies the
finding is a function of the log. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from monitor.detection.diagnosis.classify import runbook_of, severity_of
from monitor.detection.diagnosis.excerpt_window import windows
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import (
    BeganAt,
    Driver,
    Examples,
    Excerpt,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Severity,
    State,
    finding_id,
)
from monitor.detection.records.finding_kinds import KINDS, SeverityRule

NO_FEATURES = DeclaredFeatures([])


class Certainty(NamedTuple):
    """Evidence and its threshold, both as log10."""

    evidence: float
    threshold: float


class Quoted(NamedTuple):
    """Example events from both sides of a change: their ids, and the excerpts of those that still have one."""

    ids: Examples
    before: Sequence[Excerpt] = ()
    after: Sequence[Excerpt] = ()

    @classmethod
    def of(cls, before: Sequence[Excerpt], after: Sequence[Excerpt]) -> Quoted:
        """Examples that all have excerpts."""
        ids = Examples([each.event_id for each in before], [each.event_id for each in after])
        return cls(ids, before, after)


def build(
    stream: str,
    kind: FindingKind,
    words: tuple[str, str],
    at: tuple[RaisedAt, BeganAt],
    *,
    fires: bool,
    driver: Driver | None = None,
    changes: Sequence[FeatureChange] = (),
    features: DeclaredFeatures = NO_FEATURES,
    segment: dict[str, str] | None = None,
    named: dict[str, str] | None = None,
    severity: Severity | None = None,
    quoted: Quoted | None = None,
    certainty: Certainty | None = None,
    model: str | None = None,
) -> Finding:
    """A finding's first transition.

    Parameters
    ----------
    words
        Title (one line, that begins with the stream) and cause (a few sentences).
    at
        When it was raised, and when the change began.
    fires
        Whether it fires; else it is information.
    features
        Declarations, by which severity and runbook follow from the changes.
    segment
        The segment that carries it; None: the whole stream.
    named
        What tells it from others of its kind in the same stream, in place of the segment: an objective's name.
    severity
        Of a firing finding, where something else decides than what its kind says (how fast an objective burns).
    model
        Name of the model that most of the changed events came from.
    """
    raised, began = at
    title, cause = words
    quoted = quoted or Quoted(Examples([], []))
    before, after = windows(quoted.before, quoted.after, changes)
    return Finding(
        stream=stream,
        state=State.FIRING if fires else State.INFO,
        id=finding_id(stream, kind, driver, segment if named is None else named, raised.index),
        kind=kind,
        cause=cause,
        driver=driver,
        raised_at=raised,
        began_at=began,
        features=list(changes),
        segment=segment,
        examples=quoted.ids,
        title=title,
        severity=(severity or _severity(kind, changes, features)) if fires else Severity.INFO,
        runbook=runbook_of(kind, _in_published_order(changes), features),
        evidence=None if certainty is None else round(certainty.evidence, _DECIMALS),
        threshold=None if certainty is None else round(certainty.threshold, _DECIMALS),
        excerpts_before=before,
        excerpts_after=after,
        model=model,
    )


_DECIMALS = 2
"""Of log10 of the evidence: a hundredth is 2 % of it."""


def _in_published_order(changes: Sequence[FeatureChange]) -> list[FeatureChange]:
    return sorted((change for change in changes if change.place >= 0), key=lambda change: change.place)


def _severity(kind: FindingKind, changes: Sequence[FeatureChange], features: DeclaredFeatures) -> Severity:
    rule = KINDS[kind].severity
    if rule is SeverityRule.CHANGES:
        return severity_of(changes, features)
    return Severity.WARNING if rule is SeverityRule.WARNING else Severity.INFO
