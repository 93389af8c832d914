"""Makes the `Alert` of a finding: title, labels, annotations, links and the texts of its changes.

Called by notify and by replays. Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from monitor.alerting.alert import (
    FOLLOWED,
    JUDGED,
    LASTED,
    RESOLVED_BECAUSE,
    Alert,
    ChangedFeature,
    Links,
    transition_key,
)
from monitor.alerting.rendering import moments, number_format
from monitor.alerting.rendering.alert_facts import largest, segment_text
from monitor.alerting.rendering.links import LinkTemplates, fill
from monitor.alerting.rendering.next_steps import next_steps
from monitor.alerting.rendering.terminal_text import clip, plain
from monitor.detection.diagnosis.naming import is_internal
from monitor.detection.records.finding import (
    ANY,
    PRESENT,
    TAIL,
    FeatureChange,
    Finding,
    FindingKind,
    base_name,
    ended_by,
    lasted,
)
from monitor.detection.records.finding_kinds import KINDS
from monitor.features.base import FeatureSpec, Kind
from monitor.features.families.keyed_templates import spec_of

_LINK_MARGIN_S = 3_600.0
"""Links to dashboards show an hour on each side of the change, so that before and after are both seen."""

_TITLE_COLUMNS = 160
"""A title is one line of a chat and the subject of a mail: about two lines of a phone."""

_MEANING_COLUMNS = 60
"""Longer meanings do not fit into a title beside the values; the feature's name stands there instead."""

_MAX_EFFECT = 1e6
"""Written in place of infinity, which JSON lacks: far above any effect that is measured."""

_KINDS = {kind.value for kind in FindingKind}


def from_finding(
    finding: Finding,
    *,
    owner: str = "",
    route: str = "default",
    links: LinkTemplates | None = None,
    specs: Mapping[str, FeatureSpec] | None = None,
) -> Alert:
    """The alert of `finding`, for people and receivers.

    Parameters
    ----------
    owner, route
        Of the stream, from its settings.
    links
        URL templates; none give no links but the runbook's file.
    specs
        The features' declarations by name: units, meanings and kinds for the wording. A feature that is not among
        them is shown as a plain number.
    """
    finding = msgspec.structs.replace(
        finding,
        began_at=msgspec.structs.replace(finding.began_at, time=_finite(finding.began_at.time)),
        raised_at=msgspec.structs.replace(finding.raised_at, time=_finite(finding.raised_at.time)),
    )
    title = _title(finding, specs or {})
    runbook = PurePosixPath(finding.runbook or finding.kind.value).stem
    changes = [
        _change(change, _spec(change, specs or {}))
        for change in finding.features
        if not is_internal(change.name, _declared(base_name(change.name), specs or {}))
    ]
    return Alert(
        fingerprint=finding.id,
        state=finding.state,
        transition=transition_key(finding.id, finding.state, finding.revision),
        stream=finding.stream,
        kind=finding.kind,
        driver=finding.driver,
        severity=finding.severity,
        title=title,
        cause=plain(finding.cause),
        began_at=finding.began_at,
        raised_at=finding.raised_at,
        segment=finding.segment,
        changes=changes,
        examples=finding.examples,
        excerpts_before=finding.excerpts_before,
        excerpts_after=finding.excerpts_after,
        next_steps=[plain(step) for step in next_steps(_guide(finding.kind, runbook), finding.stream)],
        links=_links(finding, runbook, owner, links or LinkTemplates()),
        owner=owner,
        route=route,
        labels=_labels(finding, owner, route),
        annotations=_annotations(finding, title, changes),
        model=finding.model,
        resolution=finding.resolution,
        revision=finding.revision,
        measured_events=finding.measured_events,
        judged=finding.judged,
        followed=finding.followed,
    )


def _title(finding: Finding, specs: Mapping[str, FeatureSpec]) -> str:
    """`Answers are longer: 38 to 133 words since 09:41 UTC`.

    A sentence, which begins with a capital, stands by itself. Before other titles (those of earlier versions, of
    objectives and volume) stands the kind, with words in place of a feature's name, and the stream only where nothing
    else is known.
    """
    stream, headline = plain(finding.stream), KINDS[finding.kind].headline
    what = plain(finding.title).removeprefix(f"{stream}: ")
    for change in finding.features:
        name = base_name(change.name)
        spec = _declared(name, specs)
        if spec is not None and what.startswith(name):
            what = short_meaning(spec) + what.removeprefix(name).replace("=", ": ", 1)
            break
    if not what:
        what = f"{headline} in {stream}"
    elif not what[0].isupper() and not what.lower().startswith(headline.lower()):
        what = f"{headline}: {what}"
    began = moments.clock(finding.began_at.time)
    since = f" since {began}" if began and " since " not in what else ""
    return clip(what, _TITLE_COLUMNS - len(since)) + since


def short_meaning(spec: FeatureSpec) -> str:
    """What a feature measures in a few words, for a title: its meaning up to the first comma, colon or bracket."""
    words = re.split(r"[,:;(]", spec.meaning)[0].strip()
    return words if 0 < len(words) <= _MEANING_COLUMNS else spec.name


def _guide(kind: FindingKind, runbook: str) -> FindingKind:
    """The kind whose steps are shown: that of the runbook, which may be narrower than the finding's."""
    return FindingKind(runbook) if runbook in _KINDS else kind


def _declared(name: str, specs: Mapping[str, FeatureSpec]) -> FeatureSpec | None:
    """A feature's declaration; those of single dependencies are known by their names."""
    return specs.get(name) or spec_of(name)


def _spec(change: FeatureChange, specs: Mapping[str, FeatureSpec]) -> FeatureSpec | None:
    """The declaration of a change's feature, its meaning with the category or the start of the tail that changed."""
    spec = _declared(change.name, specs)
    name = base_name(change.name)
    tail = _declared(name, specs) if change.name.endswith(TAIL) else None
    if tail is not None:
        return FeatureSpec(change.name, Kind.FLAG, f"{tail.meaning}: {plain(change.value or 'long')}", worse=tail.worse)
    if spec is not None and change.statistic:
        other = f"other than {plain(change.value or 'before')} {spec.unit}".rstrip()
        what = {ANY: "any", PRESENT: "has a value"}.get(change.statistic, other)
        return msgspec.structs.replace(spec, kind=Kind.FLAG, unit="", meaning=f"{short_meaning(spec)}: {what}")
    if spec is not None and change.value is not None:
        return msgspec.structs.replace(spec, meaning=f"{short_meaning(spec)}: {plain(change.value)}")
    return spec


def _change(change: FeatureChange, spec: FeatureSpec | None) -> ChangedFeature:
    before_text, after_text = number_format.sides(change.before, change.after, spec)
    return ChangedFeature(
        name=change.name,
        meaning=spec.meaning if spec else "",
        unit=spec.unit if spec else "",
        before=change.before if isinstance(change.before, str) else _finite(change.before),
        after=change.after if isinstance(change.after, str) else _finite(change.after),
        # JSON knows no infinity, and a floor of 0 makes one.
        effect=0.0 if math.isnan(change.effect) else min(max(change.effect, -_MAX_EFFECT), _MAX_EFFECT),
        before_text=before_text,
        after_text=after_text,
        difference=number_format.difference(change.before, change.after, spec),
    )


def _finite(value: float | None) -> float | None:
    """`value`, None for infinity and NaN, which JSON lacks."""
    return value if value is not None and math.isfinite(value) else None


def _labels(finding: Finding, owner: str, route: str) -> dict[str, str]:
    """What identifies the alert and what receivers route by: constant over its life, without numbers."""
    labels = {
        "alertname": "".join(word.capitalize() for word in finding.kind.value.split("_")),
        "fingerprint": finding.id,
        "stream": finding.stream,
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "route": route,
    }
    if finding.driver is not None:
        labels["driver"] = finding.driver.value
    if owner:
        labels["owner"] = owner
    return labels


def _annotations(finding: Finding, title: str, changes: list[ChangedFeature]) -> dict[str, str]:
    """What may differ between transitions: words and scores."""
    annotations = {
        "summary": title,
        "cause": plain(finding.cause),
        "began": moments.moment(finding.began_at.time),
    }
    if finding.segment:
        annotations["segment"] = segment_text(finding.segment)
    if changes:
        annotations["changes"] = "; ".join(f"{c.name} {c.before_text} -> {c.after_text}" for c in largest(changes, 5))
    if finding.evidence is not None:
        annotations["evidence"] = f"{finding.evidence:.2f}"
    if finding.threshold is not None:
        annotations["threshold"] = f"{finding.threshold:.2f}"
    if finding.judged is not None:
        annotations[JUDGED] = plain(finding.judged.text)
    if finding.followed is not None:
        annotations[FOLLOWED] = plain(finding.followed.text)
    if finding.resolution is not None:
        annotations[RESOLVED_BECAUSE] = plain(ended_by(finding.resolution))
        if long := lasted(finding.resolution):
            annotations[LASTED] = long
    return annotations


def _links(finding: Finding, runbook: str, owner: str, templates: LinkTemplates) -> Links:
    times = [t for t in (finding.began_at.time, finding.raised_at.time) if t is not None]
    values = {
        "stream": finding.stream,
        "kind": finding.kind.value,
        "id": finding.id,
        "runbook": runbook,
        "owner": owner,
        "from_ms": str(round(1000 * (min(times) - _LINK_MARGIN_S))) if times else "",
        "to_ms": str(round(1000 * (max(times) + _LINK_MARGIN_S))) if times else "",
        "event_id": finding.examples.after[0] if finding.examples.after else "",
    }
    return Links(
        runbook=fill(templates.runbook, values) or f"config/runbooks/{runbook}.md",
        dashboard=fill(templates.dashboard, values),
        trace=fill(templates.trace, values),
    )
