"""`Alert`: one transition of a finding, as people and receivers get it, and as it travels on `oqm.alerts`.

An alert carries everything that any receiver needs, so that sinks only translate. Its labels identify it and never
change while it lives (Alertmanager takes other labels for another alert); what moves, such as scores, is in its
annotations. Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

from monitor.alerting.rendering import number_format
from monitor.alerting.rendering.links import LinkTemplates, fill
from monitor.alerting.rendering.next_steps import next_steps
from monitor.alerting.rendering.terminal_text import clip, plain
from monitor.detection.records.finding import (
    TAIL,
    BeganAt,
    Driver,
    Examples,
    Excerpt,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Resolution,
    Severity,
    State,
    base_name,
    ended_by,
    lasted,
)
from monitor.detection.records.finding_kinds import KINDS
from monitor.features.base import FeatureSpec, Kind
from monitor.features.families.keyed_templates import spec_of

SCHEMA_VERSION = 1
_LINK_MARGIN_S = 3_600.0
"""Links to dashboards show an hour on each side of the change, so that before and after are both seen."""
_TITLE_COLUMNS = 160
_MEANING_COLUMNS = 60
_LARGEST_EFFECT = 1e6
RESOLVED_BECAUSE = "resolved"
"""The annotation that says why an alert is over: recovered, accepted, a deploy, a false alarm, ..."""
LASTED = "lasted"
"""The annotation that says how long what the alert is about lasted."""
_KINDS = {kind.value for kind in FindingKind}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One feature before and after, as values and as text.

    `effect` is in multiples of the effect floor, signed. `before_text`, `after_text` and `difference` are what people
    read; `difference` is empty where none can be told (words, unknown sides).
    """

    name: str
    meaning: str
    unit: str
    before: float | str | None
    after: float | str | None
    effect: float
    before_text: str
    after_text: str
    difference: str


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """URLs, where the operator has set templates for them; `runbook` is else the runbook's file in `config/`."""

    runbook: str
    dashboard: str | None = None
    trace: str | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of an alert.

    `fingerprint` is the finding's id and the same for all transitions of one alert; (`fingerprint`, `state`) is the
    transition, which every sink delivers under the constant key `transition`. `streams` counts the streams of the same
    incident that were known when this was made, and `also_in` names others than its own, at most ten. `model` is what
    most of the changed events came from.
    """

    fingerprint: str
    state: State
    transition: str
    stream: str
    kind: FindingKind
    driver: Driver | None
    severity: Severity
    title: str
    cause: str
    began_at: BeganAt
    raised_at: RaisedAt
    segment: dict[str, str] | None
    changes: list[Change]
    examples: Examples
    excerpts_before: list[Excerpt]
    excerpts_after: list[Excerpt]
    next_steps: list[str]
    links: Links
    owner: str
    route: str
    labels: dict[str, str]
    annotations: dict[str, str]
    incident: str | None = None
    also_in: list[str] = []
    streams: int = 1
    model: str | None = None
    resolution: Resolution | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def id(self) -> str:
        """The key on `oqm.alerts`: the fingerprint."""
        return self.fingerprint


def transition_key(fingerprint: str, state: State) -> str:
    """What names one transition of one alert for good, in the outbox and to receivers."""
    return f"{fingerprint}:{state.value}"


def from_finding(
    finding: Finding,
    *,
    owner: str = "",
    route: str = "default",
    links: LinkTemplates | None = None,
    specs: Mapping[str, FeatureSpec] | None = None,
) -> Alert:
    """The alert that says `finding` to people.

    Parameters
    ----------
    owner, route
        Of the stream, from its settings.
    links
        URL templates; none give no links but the runbook's file.
    specs
        The features' declarations by name: units, meanings and kinds for the wording. A feature that is not among
        them is told as a plain number.
    """
    finding = msgspec.structs.replace(
        finding,
        began_at=msgspec.structs.replace(finding.began_at, time=_finite(finding.began_at.time)),
        raised_at=msgspec.structs.replace(finding.raised_at, time=_finite(finding.raised_at.time)),
    )
    title = _title(finding, specs or {})
    runbook = PurePosixPath(finding.runbook or finding.kind.value).stem
    changes = [_change(change, _spec(change, specs or {})) for change in finding.features]
    return Alert(
        fingerprint=finding.id,
        state=finding.state,
        transition=transition_key(finding.id, finding.state),
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
    )


def resolved_because(alert: Alert) -> str:
    """Why an alert is over, for people: recovered, or by whose decision."""
    known = alert.annotations.get(RESOLVED_BECAUSE)
    if known is not None:
        return known
    # An alert of an earlier version says it at the end of its cause.
    _, separator, why = alert.cause.rpartition(" Resolved: ")
    return why.removesuffix(".") if separator else "over; the reason is not recorded"


def resolved_in_full(alert: Alert) -> str:
    """Why an alert is over and how long it lasted, in one sentence without its full stop."""
    long = alert.annotations.get(LASTED)
    return resolved_because(alert) + (f"; it lasted {long}" if long else "")


def cause_alone(alert: Alert) -> str:
    """The cause without how it ended, for where that stands beside it."""
    return alert.cause.partition(" Resolved: ")[0]


def also_in(alert: Alert) -> list[str]:
    """The other streams of its incident, as far as they are named, and how many more there are."""
    more = alert.streams - 1 - len(alert.also_in)
    return [*(plain(stream) for stream in alert.also_in), *([f"and {more} more"] if more > 0 else [])]


def unit_beside(change: Change) -> str:
    """The unit, where neither the change's meaning nor its values say it already."""
    said = f"{change.meaning} {change.before_text} {change.after_text}".lower()
    return "" if re.search(rf"\b{re.escape(change.unit.lower())}\b", said) or "%" in said else change.unit


def encode(alert: Alert) -> bytes:
    """The alert as JSON, as it stands on `oqm.alerts`."""
    return _ENCODER.encode(alert)


def decode(data: bytes) -> Alert:
    """The alert in JSON bytes; raises `msgspec.DecodeError` for anything else. Unknown fields are ignored."""
    return _DECODER.decode(data)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Alert)


def _title(finding: Finding, specs: Mapping[str, FeatureSpec]) -> str:
    """`Silent model update: length of the output rose from 38 to 133 words since 09:41 UTC`.

    The kind first, words in place of a feature's name, and the stream only where nothing else is known.
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
    elif not what.lower().startswith(headline.lower()):
        what = f"{headline}: {what}"
    began = number_format.clock(finding.began_at.time)
    since = f" since {began}" if began and " since " not in what else ""
    return clip(what, _TITLE_COLUMNS - len(since)) + since


def short_meaning(spec: FeatureSpec) -> str:
    """What a feature measures in a few words, for a title: its meaning up to the first comma, colon or bracket."""
    words = re.split(r"[,:;(]", spec.meaning)[0].strip()
    return words if 0 < len(words) <= _MEANING_COLUMNS else spec.name


def _guide(kind: FindingKind, runbook: str) -> FindingKind:
    """The kind whose steps are told: that of the runbook, which may be narrower than the finding's own."""
    return FindingKind(runbook) if runbook in _KINDS else kind


def _declared(name: str, specs: Mapping[str, FeatureSpec]) -> FeatureSpec | None:
    """A feature's declaration; those of single dependencies are known by their names."""
    return specs.get(name) or spec_of(name)


def _spec(change: FeatureChange, specs: Mapping[str, FeatureSpec]) -> FeatureSpec | None:
    """What is said of a change's feature: its declaration, with the value that is told or where its tail begins."""
    spec = _declared(change.name, specs)
    name = base_name(change.name)
    tail = _declared(name, specs) if change.name.endswith(TAIL) else None
    if tail is not None:
        return FeatureSpec(change.name, Kind.FLAG, f"{tail.meaning}: {plain(change.value or 'long')}", worse=tail.worse)
    if spec is not None and change.value is not None:
        return msgspec.structs.replace(spec, meaning=f"{short_meaning(spec)}: {plain(change.value)}")
    return spec


def _change(change: FeatureChange, spec: FeatureSpec | None) -> Change:
    before_text, after_text = number_format.sides(change.before, change.after, spec)
    return Change(
        name=change.name,
        meaning=spec.meaning if spec else "",
        unit=spec.unit if spec else "",
        before=change.before if isinstance(change.before, str) else _finite(change.before),
        after=change.after if isinstance(change.after, str) else _finite(change.after),
        # JSON knows no infinity, and a floor of 0 makes one.
        effect=0.0 if math.isnan(change.effect) else min(max(change.effect, -_LARGEST_EFFECT), _LARGEST_EFFECT),
        before_text=before_text,
        after_text=after_text,
        difference=number_format.difference(change.before, change.after, spec),
    )


def _finite(value: float | None) -> float | None:
    """`value`, None where JSON cannot say it."""
    return value if value is not None and math.isfinite(value) else None


def _labels(finding: Finding, owner: str, route: str) -> dict[str, str]:
    """What identifies the alert and what receivers route by: constant over its life, and no number in it."""
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


def _annotations(finding: Finding, title: str, changes: list[Change]) -> dict[str, str]:
    """What may be told differently by each transition: words and scores."""
    annotations = {
        "summary": title,
        "cause": plain(finding.cause),
        "began": number_format.moment(finding.began_at.time),
    }
    if finding.segment:
        annotations["segment"] = segment_text(finding.segment)
    if changes:
        annotations["changes"] = "; ".join(f"{c.name} {c.before_text} -> {c.after_text}" for c in largest(changes, 5))
    if finding.evidence is not None:
        annotations["evidence"] = f"{finding.evidence:.2f}"
    if finding.threshold is not None:
        annotations["threshold"] = f"{finding.threshold:.2f}"
    if finding.resolution is not None:
        annotations[RESOLVED_BECAUSE] = plain(ended_by(finding.resolution))
        if long := lasted(finding.resolution):
            annotations[LASTED] = long
    return annotations


def largest(changes: Sequence[Change], count: int) -> list[Change]:
    """The `count` changes of largest effect, in falling order; ties in the order given."""
    return sorted(changes, key=lambda change: -abs(change.effect))[:count]


def segment_text(segment: Mapping[str, str]) -> str:
    """`model.version = 2024-11, attributes.tenant = acme`, in the order of names."""
    return ", ".join(f"{plain(name)} = {plain(value)}" for name, value in sorted(segment.items()))


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
