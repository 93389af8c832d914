"""`Alert`: one transition of a finding, as people and receivers get it, and as it travels on `oqm.alerts`.

An alert carries everything that any receiver needs, so that sinks only translate. Its labels identify it and never
change (Alertmanager takes other labels for another alert); what changes between transitions, such as scores, is in its
annotations. Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.detection.records.finding import (
    BeganAt,
    Driver,
    Examples,
    Excerpt,
    FindingKind,
    RaisedAt,
    Resolution,
    Severity,
    State,
)

SCHEMA_VERSION = 1
"""Of the JSON on `oqm.alerts`; new fields do not change it."""

RESOLVED_BECAUSE = "resolved"
"""Annotation with the reason why an alert is over: recovered, accepted, a deploy, a false alarm, ..."""

SEVERITY_NOW = "severity_now"
"""Annotation with the severity by the latest figures, where that is lower than the one that the alert fired with."""

LASTED = "lasted"
"""Annotation with the duration of what the alert is about."""


class ChangedFeature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature before and after, as values and as text.

    `effect` is in multiples of the effect floor, signed. `before_text`, `after_text` and `difference` are what people
    read; `difference` is empty where there is none (words, unknown sides).
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
    """URLs from the operator's templates; without one, `runbook` is the runbook's file in `config/`."""

    runbook: str
    dashboard: str | None = None
    trace: str | None = None


class Revised(StrEnum):
    """What a revision of an alert says otherwise than the one before."""

    SEVERITY = "severity"  # more severe; less is in the annotation `severity_now`
    SEGMENT = "segment"
    CAUSE = "cause"  # another feature comes first
    FIGURES = "figures"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of an alert.

    `fingerprint` is the finding's id and the same for all transitions of one alert; (`fingerprint`, `state`) is the
    transition, which every sink delivers under the constant key `transition`. An alert that fires is measured again
    when more events have come: it fires still, `revision` is one higher, `measured_events` says on how many events, and
    `revised` what a reader sees changed (`Revised`); `previous_labels` are those under which receivers know it, where
    its severity has risen since. `streams` counts the streams of the same
    incident that were known when this was made, and `also_in` names at most ten of the others. `model` is what most of
    the changed events came from.
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
    changes: list[ChangedFeature]
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
    revision: int = 0
    measured_events: int | None = None
    revised: list[Revised] = []
    previous_labels: dict[str, str] | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def id(self) -> str:
        """The key on `oqm.alerts`: the fingerprint."""
        return self.fingerprint


def transition_key(fingerprint: str, state: State, revision: int = 0) -> str:
    """The constant key of one transition of one alert, in the outbox and at receivers."""
    key = f"{fingerprint}:{state.value}"
    return f"{key}{_REVISION}{revision}" if revision and state is State.FIRING else key


_REVISION = ":revision-"


def is_update(alert: Alert) -> bool:
    """Whether this transition revises an alert that fires already: same alert, newer figures."""
    return _REVISION in alert.transition


def is_grave_update(alert: Alert) -> bool:
    """Whether an update changes what a person does: it became critical, or another cause or segment is named."""
    critical = Revised.SEVERITY in alert.revised and alert.severity is Severity.CRITICAL
    return critical or Revised.SEGMENT in alert.revised or Revised.CAUSE in alert.revised


def encode(alert: Alert) -> bytes:
    """The alert as JSON, as it stands on `oqm.alerts`."""
    return _ENCODER.encode(alert)


def decode(data: bytes) -> Alert:
    """The alert in JSON bytes; raises `msgspec.DecodeError` for anything else. Unknown fields are ignored."""
    return _DECODER.decode(data)


_ENCODER = msgspec.json.Encoder()

_DECODER = msgspec.json.Decoder(Alert)
