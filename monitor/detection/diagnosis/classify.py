"""What a change is: what drives it, which kind of finding it makes, how severe it is, what is named first.

Called with the `FeatureChange`s of a finding. All that differs from kind to kind stands in the table
`monitor.detection.records.finding_kinds`, and features are known by their roles. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monitor.detection.columns.flags import ANY_FAILURE
from monitor.detection.diagnosis.attribution import Attribution
from monitor.detection.diagnosis.naming import LIMIT_FINISHES, ORDINARY_FINISHES
from monitor.detection.diagnosis.shift import Shift
from monitor.detection.records.declared_features import DeclaredFeatures, side_of
from monitor.detection.records.finding import (
    FAMILY_MISSING,
    SPREAD,
    TAIL,
    Driver,
    FeatureChange,
    Finding,
    Severity,
    base_name,
)
from monitor.detection.records.finding_kinds import KINDS, FindingKind, Trigger, is_upstream, kind_of_call
from monitor.detection.reference.reference import Reference
from monitor.features.base import FeatureSpec, Kind, Role, Worse
from monitor.features.change_words import JSON_START

DECISIVE_SHARE = 0.7
"""Share of the surest change's standard errors that a change has which decides on driver and kind, too: noise, of which
there is always some among the changes, has less."""
DECISIVE_CAUSE = 3.5
"""Standard errors that are enough for a dependency or an error to decide: by chance once in 2,000."""
_TIMES = frozenset({Role.LATENCY, Role.DEPENDENCY})
"""What a slow dependency explains."""
SIZES = frozenset({Role.LENGTH, Role.EMPTY})
"""What says how long outputs are."""
MANY_UNPARSED = 0.2
"""Share of the events that a program no longer reads, from which on that is what happened, whatever is surer: at a
fifth, the program is broken for its users."""
FIRST = 3
"""Changes that a finding puts into words, and by which its kind and runbook are chosen."""
CRITICAL_EFFECT = 8.0
"""Floors in the direction that hurts from which a change is critical: with the default floors a number that moved by
two standard deviations, or a rate by a quarter."""
_TAIL_PLACE, _REST_PLACE, _OPAQUE_PLACE, _MISSING_PLACE = -1, 1_000, 1_001, 1_002
"""Places in what a finding says, around those by `lead`."""


def decisive(
    reference: Reference, moved: Shift, changes: Sequence[FeatureChange], features: DeclaredFeatures
) -> list[FeatureChange]:
    """The changes that are nearly as sure as the surest: what a finding is about, without what came along by chance."""
    sure: dict[str, float] = {}
    for j, size in enumerate(np.abs(moved.surety).tolist()):
        name = reference.layout.name(j)
        sure[name] = max(size, sure.get(name, 0.0))
    surest = max(changes, key=lambda change: sure.get(change.name, 0.0), default=None)
    most = 0.0 if surest is None else sure.get(surest.name, 0.0)
    slow = surest is not None and features.role(surest.name) in _TIMES

    def enough(change: FeatureChange) -> float:
        nearly = DECISIVE_SHARE * most
        if not _is_upstream(change, features):
            return nearly
        if slow or _is_fault_upstream(change, features):
            return min(DECISIVE_CAUSE, nearly)
        # A slow dependency explains slow answers and no other ones, so it decides where it is among the surest itself.
        return max(nearly, min(DECISIVE_CAUSE, most))

    return [change for change in changes if sure.get(change.name, most) >= enough(change)]


def driver_of(decisive: Sequence[FeatureChange], features: DeclaredFeatures) -> Driver:
    """Whether outputs or the call around them moved.

    Latency, tokens and cost follow outputs, so they are the driver only where no output moved, or a single one that is
    less sure and says nothing of length; errors and dependencies come first.
    """
    if any(_is_upstream(change, features) for change in decisive):
        return Driver.CALL
    moved = [change for change in decisive if side_of(change.name) == "output"]
    output = len(moved) > 1 or any(c is decisive[0] or features.role(c.name) in SIZES for c in moved)
    return Driver.OUTPUT if output or not decisive else Driver.CALL


def _is_upstream(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a change is of something in front of the model that broke, got slow or answers in another shape.

    Neither more of one dependency's calls, which follow from what is asked, nor that some count varies less.
    """
    role = features.role(change.name)
    return is_upstream(role) and _may_lead(change, features) and not change.name.endswith(SPREAD)


def _is_fault_upstream(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether outputs may have changed because of it: a failure or another shape, and no time that a call took."""
    spec = features.spec(change.name)
    return _is_upstream(change, features) and spec is not None and spec.kind is not Kind.NUMBER


def expected_roles(
    changes: Sequence[FeatureChange], decisive: Sequence[FeatureChange], driver: Driver, features: DeclaredFeatures
) -> frozenset[Role]:
    """Roles of which the lead must be, whatever is surer; empty where any may lead.

    Of a change of the call, those of what broke, or else those of the decisive changes. Where a program can no longer
    read a fifth of the outputs, those of the format.
    """
    if driver is Driver.CALL:
        found = _kind_of_call(decisive, features)
        if found is not None:
            return frozenset(KINDS[found].roles)
        return frozenset(role for each in decisive if (role := features.role(each.name)) is not None)
    formats = KINDS[FindingKind.FORMAT].roles
    if driver is Driver.OUTPUT and any(_breaks(change, formats, features) for change in changes):
        return frozenset(formats)
    return frozenset()


def kind_of(
    lead: FeatureChange | None, driver: Driver, attribution: Attribution, features: DeclaredFeatures
) -> FindingKind:
    """The kind of a finding from what leads it, and whether a version changed with it."""
    if driver is Driver.INPUT:
        return FindingKind.INPUT_DRIFT
    if driver is Driver.MIX:
        return FindingKind.MIX_SHIFT
    role = None if lead is None else features.role(lead.name)
    if lead is not None and role is Role.COST and side_of(lead.name) != "call":
        role = None  # reasoning that is written into the output costs, and is first of all another output
    if lead is not None and role is Role.LAYOUT and lead.usual == JSON_START:
        role = Role.FORMAT
    spec = None if lead is None else features.spec(lead.name)
    if role is Role.LANGUAGE and spec is not None and spec.kind is not Kind.CATEGORY:
        role = None  # a share of characters: other words, and perhaps no other language
    if lead is not None and role is Role.FINISH:
        if str(lead.value).lower() in LIMIT_FINISHES:
            return FindingKind.TRUNCATION
        if str(lead.value).lower() in ORDINARY_FINISHES:
            role = None
    for kind, info in KINDS.items():
        if info.trigger in (Trigger.CALL, Trigger.LEADS) and role in info.roles:
            explained = (other for name, other in info.instead_with_new.items() if name in attribution.new_versions)
            return next(explained, kind)
    if attribution.known_versions and not attribution.new_versions:
        return FindingKind.SILENT_UPDATE
    return FindingKind.DRIFT


def _ends_ordinarily(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a change says only that more or fewer calls ended as they should: with an answer, or with a tool call."""
    return features.role(change.name) is Role.FINISH and str(change.value).lower() in ORDINARY_FINISHES


def _kind_of_call(decisive: Sequence[FeatureChange], features: DeclaredFeatures) -> FindingKind | None:
    """The kind of a change of the call around the model: of the decisive changes an upstream one, else the first.

    More or fewer calls that end as they should are left out.
    """
    surest = {features.role(change.name) for change in decisive if _may_lead(change, features)}
    for kind, info in KINDS.items():
        if info.upstream and surest.intersection(info.roles):
            return kind
    named = (kind_of_call(features.role(each.name)) for each in decisive if _may_lead(each, features))
    return next((kind for kind in named if kind is not None), None)


def _may_lead(change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a change of the call says what broke: neither an ordinary end nor which dependency is called, which
    follows from the tool that the model chose."""
    spec = features.spec(change.name)
    chosen = spec is not None and spec.role is Role.DEPENDENCY and spec.lead is None
    return not chosen and not _ends_ordinarily(change, features)


def _is_flag(change: FeatureChange, roles: Sequence[Role], features: DeclaredFeatures) -> bool:
    """Whether the rate of a flag of these roles changed: a score that moved within its range does not count."""
    spec = features.get(change.name)
    return spec is not None and spec.role in roles and spec.kind is Kind.FLAG


def _breaks(change: FeatureChange, roles: Sequence[Role], features: DeclaredFeatures) -> bool:
    """Whether a flag of these roles became a fault in many more events: flags alone say in how many.

    A category that moved far, as the keys of a JSON output, may only have got a new value.
    """
    spec = features.get(change.name)
    if spec is None:
        return False
    worse = -1 if spec.worse is Worse.DOWN else 1
    return (
        _is_flag(change, roles, features)
        and isinstance(change.before, float)
        and isinstance(change.after, float)
        and worse * (change.after - change.before) >= MANY_UNPARSED
    )


def is_reported_by(known: Finding, change: FeatureChange, features: DeclaredFeatures) -> bool:
    """Whether a finding reports this change already: the same feature, or another of its kind, moved the same way."""
    name = base_name(change.name)
    same = [other for other in known.tested if base_name(other.name) == name]
    if not same and kind_of_call(features.role(name)) is known.kind:
        same = known.tested[:1]
    return any(other.effect * change.effect > 0 for other in same)


def is_failure_or_missing(change: FeatureChange) -> bool:
    """Whether a change only says that something failed or is missing."""
    return change.name == ANY_FAILURE or change.name.endswith(FAMILY_MISSING)


def runbook_of(kind: FindingKind, changes: Sequence[FeatureChange], features: DeclaredFeatures | None = None) -> str:
    """Path of the runbook: of the kind, or of what broke where that says more."""
    roles = [] if features is None else [features.role(change.name) for change in changes[:FIRST]]
    narrower = (each.name for each in KINDS[kind].narrower if sum(r in each.roles for r in roles) >= each.at_least)
    return f"runbooks/{next(narrower, kind.value)}.md"


def is_fault(change: FeatureChange, spec: FeatureSpec | None) -> bool:
    """Whether a change says that a failure became more frequent, by more than its floor."""
    return spec is not None and spec.failure and change.effect > 1


def severity_of(changes: Sequence[FeatureChange], specs: Mapping[str, FeatureSpec]) -> Severity:
    """Critical where a failure flag rose, or something moved far in the direction that hurts; else a warning."""
    for change in changes:
        spec = specs.get(change.name)
        if spec is None:
            continue
        if is_fault(change, spec):
            return Severity.CRITICAL
        hurts = (spec.worse is Worse.UP and change.effect > 0) or (spec.worse is Worse.DOWN and change.effect < 0)
        if hurts and abs(change.effect) >= CRITICAL_EFFECT:
            return Severity.CRITICAL
    return Severity.WARNING


def in_order(changes: Sequence[FeatureChange], kind: FindingKind, features: DeclaredFeatures) -> list[FeatureChange]:
    """The changes as a finding of this kind lists them: what names the cause first, then the surest."""
    return sorted(changes, key=lambda change: _place(change, kind, features))


def _place(change: FeatureChange, kind: FindingKind, features: DeclaredFeatures) -> int:
    """Where a change is listed: first what names the cause, then the rest, then directions of meaning, last what only
    says that something failed or is missing."""
    spec = features.spec(change.name)
    if kind is FindingKind.LATENCY and spec is not None and spec.role is Role.LATENCY and change.name.endswith(TAIL):
        return _TAIL_PLACE
    if is_failure_or_missing(change):
        return _MISSING_PLACE
    if spec is not None and spec.opaque:
        return _OPAQUE_PLACE
    leads = spec is not None and spec.lead is not None and spec.role in KINDS[kind].leads
    return spec.lead if leads and spec is not None and spec.lead is not None else _REST_PLACE
