"""Transitions that notify makes itself: an acknowledgement, a resolution, an alert that stands for a flapping one.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from monitor.alerting.alert import RESOLVED_BECAUSE, Alert, Revised, transition_key
from monitor.alerting.lifecycle.flapping import FlapDamping
from monitor.detection.records.finding import State

Cause: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]
"""What makes a later alert a repetition of an earlier one: stream, kind, driver and segment."""

_ACKNOWLEDGED = "acknowledged"


def cause_of(alert: Alert) -> Cause:
    """What the alert is about: the same for each time that it fires."""
    segment = tuple(sorted((alert.segment or {}).items()))
    return alert.stream, alert.kind.value, alert.driver.value if alert.driver else "", segment


def first_transition(alert: Alert) -> str:
    """The key of the transition into the alert's state, whichever revision this is."""
    return transition_key(alert.fingerprint, alert.state)


def is_acknowledgement(alert: Alert) -> bool:
    """Whether this transition only reports that somebody has taken the alert."""
    return alert.transition.endswith(f":{_ACKNOWLEDGED}")


def as_acknowledged(alert: Alert) -> Alert:
    """The transition that reports that somebody has taken `alert`."""
    return msgspec.structs.replace(alert, transition=f"{alert.fingerprint}:{_ACKNOWLEDGED}")


def as_resolved(alert: Alert, why: str) -> Alert:
    """The resolution of `alert`, with `why` for people."""
    return msgspec.structs.replace(
        alert,
        state=State.RESOLVED,
        transition=transition_key(alert.fingerprint, State.RESOLVED),
        annotations={**alert.annotations, RESOLVED_BECAUSE: why},
    )


def merged(waiting: Alert, newer: Alert) -> Alert:
    """The newer of two revisions that are sent as one, with what both say otherwise than the alert that was sent."""
    revised = [what for what in Revised if what in waiting.revised or what in newer.revised]
    previous = waiting.previous_labels or newer.previous_labels
    return msgspec.structs.replace(newer, revised=revised, previous_labels=previous)


def as_flapping(alert: Alert, damping: FlapDamping) -> Alert:
    """`alert` as the one that stands for all that follow while its cause is flapping."""
    title = f"Flapping: {alert.title}"
    repeated = f"It fired and resolved {damping.after} times before; this is sent once, until it stays away."
    cause = f"{repeated} {alert.cause}"
    annotations = {**alert.annotations, "summary": title, "cause": cause, "flapping": "true"}
    return msgspec.structs.replace(alert, title=title, cause=cause, annotations=annotations)
