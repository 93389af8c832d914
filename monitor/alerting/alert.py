"""`Alert`: one transition of a finding, as people and receivers get it, and as it travels on `oqm.alerts`.

An alert carries everything that any receiver needs, so that sinks only translate. Its labels identify it and never
change (Alertmanager takes other labels for another alert); what changes between transitions, such as scores, is in its
annotations. Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

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
from monitor.detection.records.followed import Followed
from monitor.detection.records.judged import Judged

SCHEMA_VERSION = 1
"""Of the JSON on `oqm.alerts`; new fields do not change it."""

RESOLVED_BECAUSE = "resolved"
"""Annotation with the reason why an alert is over: recovered, accepted, a deploy, a false alarm, ..."""

SEVERITY_NOW = "severity_now"
"""Annotation with the severity by the latest figures, where that is lower than the one that the alert fired with."""

JUDGED = "judged"
"""Annotation that says whether outputs became worse, by verdicts on outputs before and after."""

FOLLOWED = "followed"
"""Annotation that says how many outputs and actions followed from the outputs of the alert."""

LASTED = "lasted"
"""Annotation with the duration of what the alert is about."""


class ChangedFeature(msgspec.Struct, frozen=True, kw_only=True):
    """One feature before and after, as values and as text.

    `effect` is in multiples of the effect floor, signed. `before_text`, `after_text` and `difference` are what people
    read; `difference` is empty where there is none (words, unknown sides).
    """

    name: Annotated[str, Meta(description="The feature's name.")]
    meaning: Annotated[str, Meta(description="What it measures, in words.")]
    unit: Annotated[str, Meta(description="Its unit; empty for a pure number.")]
    before: Annotated[float | str | None, Meta(description="Its value before the change.")]
    after: Annotated[float | str | None, Meta(description="Its value since the change.")]
    effect: Annotated[float, Meta(description="Size of the change in multiples of the effect floor, signed.")]
    before_text: Annotated[str, Meta(description="`before` as people read it.")]
    after_text: Annotated[str, Meta(description="`after` as people read it.")]
    difference: Annotated[
        str, Meta(description="The difference as people read it; empty where there is none (words, unknown sides).")
    ]


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """URLs from the operator's templates; without one, `runbook` is the runbook's file in `config/`."""

    runbook: Annotated[str, Meta(description="What to do, step by step: a URL, or the file in `config/`.")]
    dashboard: Annotated[str | None, Meta(description="The stream's dashboard.")] = None
    trace: Annotated[str | None, Meta(description="The trace of the first changed example.")] = None


class Revised(StrEnum):
    """What a revision of an alert says otherwise than the one before."""

    SEVERITY = "severity"  # more severe; less is in the annotation `severity_now`
    SEGMENT = "segment"
    CAUSE = "cause"  # another feature comes first
    FIGURES = "figures"
    JUDGED = "judged"  # whether the change makes outputs worse
    FOLLOWED = "followed"  # how many outputs and actions followed


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

    fingerprint: Annotated[
        str, Meta(description="The alert's id: 16 hexadecimal digits, the same for all of its transitions.")
    ]
    state: Annotated[State, Meta(description="Which transition this is.")]
    transition: Annotated[str, Meta(description="Key of this transition; a repetition has the same key.")]
    stream: Annotated[str, Meta(description="The stream in which it was found.")]
    kind: Annotated[FindingKind, Meta(description="What sort of change it is.")]
    driver: Annotated[Driver | None, Meta(description="Where the change came from; null where that has no meaning.")]
    severity: Annotated[Severity, Meta(description="How urgent it is.")]
    title: Annotated[str, Meta(description="One line that says what changed.")]
    cause: Annotated[str, Meta(description="Sentences that say what changed, since when and by how much.")]
    began_at: Annotated[BeganAt, Meta(description="When the change began, with an interval.")]
    raised_at: Annotated[RaisedAt, Meta(description="The event at which it was found.")]
    segment: Annotated[
        dict[str, str] | None,
        Meta(description="The attribute and value that carry the change; null where all traffic does."),
    ]
    changes: Annotated[list[ChangedFeature], Meta(description="What changed, the most telling first.")]
    examples: Annotated[Examples, Meta(description="Ids of example events.")]
    excerpts_before: Annotated[list[Excerpt], Meta(description="Examples from before the change.")]
    excerpts_after: Annotated[list[Excerpt], Meta(description="Examples since the change.")]
    next_steps: Annotated[list[str], Meta(description="What to do first, in order.")]
    links: Annotated[Links, Meta(description="Where to read on.")]
    owner: Annotated[str, Meta(description="Who owns the stream, by the settings.")]
    route: Annotated[str, Meta(description="Which sinks get it, by the settings.")]
    labels: Annotated[
        dict[str, str], Meta(description="What identifies the alert at Alertmanager; only its severity may be revised.")
    ]
    annotations: Annotated[
        dict[str, str], Meta(description="Texts for Alertmanager; they may differ between transitions.")
    ]
    incident: Annotated[str | None, Meta(description="Id of the incident that it belongs to.")] = None
    also_in: Annotated[list[str], Meta(description="At most ten other streams of the same incident.")] = []
    streams: Annotated[int, Meta(description="Streams of the incident that were known when this was made.")] = 1
    model: Annotated[str | None, Meta(description="Model that most of the changed events came from.")] = None
    resolution: Annotated[Resolution | None, Meta(description="How it ended; only with the state `resolved`.")] = None
    revision: Annotated[
        int,
        Meta(
            description="0 when it fires, then higher as more changed events were measured, and as outputs were judged."
        ),
    ] = 0
    measured_events: Annotated[int | None, Meta(description="Changed events behind the figures.")] = None
    revised: Annotated[list[Revised], Meta(description="What this revision says otherwise than the one before.")] = []
    judged: Annotated[
        Judged | None, Meta(description="Whether it makes outputs worse, by verdicts on outputs before and after.")
    ] = None
    followed: Annotated[
        Followed | None, Meta(description="What followed from its outputs, where events and actions say so.")
    ] = None
    previous_labels: Annotated[
        dict[str, str] | None, Meta(description="Labels before, where the severity among them changed.")
    ] = None
    schema_version: Annotated[int, Meta(description="Version of this record.")] = SCHEMA_VERSION

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
    """Whether an update changes what a person does.

    It became critical, another cause or segment is named, or it is known whether outputs became worse.
    """
    critical = Revised.SEVERITY in alert.revised and alert.severity is Severity.CRITICAL
    return critical or not {Revised.SEGMENT, Revised.CAUSE, Revised.JUDGED}.isdisjoint(alert.revised)


def encode(alert: Alert) -> bytes:
    """The alert as JSON, as it stands on `oqm.alerts`."""
    return _ENCODER.encode(alert)


def decode(data: bytes) -> Alert:
    """The alert in JSON bytes; raises `msgspec.DecodeError` for anything else. Unknown fields are ignored."""
    return _DECODER.decode(data)


_ENCODER = msgspec.json.Encoder()

_DECODER = msgspec.json.Decoder(Alert)
