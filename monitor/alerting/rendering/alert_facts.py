"""What every rendering of an alert needs, in the same words: state, beginning, segment, largest changes, commands, end.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from monitor.alerting.alert import LASTED, RESOLVED_BECAUSE, SEVERITY_NOW, Alert, ChangedFeature, is_update
from monitor.alerting.rendering.moments import moment, span
from monitor.alerting.rendering.terminal_text import plain
from monitor.detection.records.finding import State


def state_words(alert: Alert) -> str:
    """`FIRING warning`, `UPDATE warning`, `RESOLVED`, `INFO`."""
    if is_update(alert):
        return f"UPDATE {alert.severity.value}"
    if alert.state is State.FIRING:
        return f"FIRING {alert.severity.value}"
    return alert.state.value.upper()


def since(alert: Alert) -> str:
    """When the change began: `2025-11-23 09:38:00 UTC, at event 1,204 (90 %: 1,197 to 1,209)`."""
    began = alert.began_at
    when = f"{moment(began.time)}, at event {began.index:,}" if began.time is not None else f"event {began.index:,}"
    return when + (f" (90 %: {began.low:,} to {began.high:,})" if began.low != began.high else "")


def noticed(alert: Alert) -> str:
    """How much later it was found: `38 events or 3 min later, at event 1,242`."""
    began, raised = alert.began_at, alert.raised_at
    delay = f"{max(0, raised.index - began.index):,} events"
    if began.time is not None and raised.time is not None:
        delay += f" or {span(raised.time - began.time)}"
    return f"{delay} later, at event {raised.index:,}"


def commands(alert: Alert) -> list[tuple[str, str]]:
    """What a person can do about an alert, and the command for it; empty where it does not fire."""
    if alert.state is not State.FIRING:
        return []
    return [
        ("Acknowledge", f"oqm alert ack {alert.fingerprint}"),
        ("Snooze", f"oqm alert snooze {alert.fingerprint} --for 2h"),
        ("False alarm", f"oqm alert false-alarm {alert.fingerprint}"),
    ]


def resolved_because(alert: Alert) -> str:
    """Why an alert is over, for people: it recovered, or who decided so."""
    known = alert.annotations.get(RESOLVED_BECAUSE)
    if known is not None:
        return known
    # An alert of an earlier version has it at the end of its cause.
    _, separator, why = alert.cause.rpartition(" Resolved: ")
    return why.removesuffix(".") if separator else "over; the reason is not recorded"


def resolved_in_full(alert: Alert) -> str:
    """Why an alert is over and how long it lasted, in one sentence without its full stop."""
    long = alert.annotations.get(LASTED)
    return resolved_because(alert) + (f"; it lasted {long}" if long else "")


def refined(alert: Alert) -> str:
    """That the figures are newer than the alert, and on how many events; empty where they are its first."""
    if not alert.revision or alert.measured_events is None:
        return ""
    words = f"measured again on {alert.measured_events:,} events since the change"
    lower = None if alert.judged is not None else alert.annotations.get(SEVERITY_NOW)
    return words + (f"; by these it is {lower}, it fired as {alert.severity.value}" if lower else "")


def judged(alert: Alert) -> str:
    """Whether outputs became worse, by verdicts on outputs before and after; empty where none were judged."""
    if alert.judged is None:
        return ""
    lower = alert.annotations.get(SEVERITY_NOW)
    said = plain(alert.judged.text)
    return said + (f" With this it is {lower}, it fired as {alert.severity.value}." if lower else "")


def followed(alert: Alert) -> str:
    """How many outputs and actions followed from its outputs, and how to see them; empty where that is not known."""
    return "" if alert.followed is None else f"{alert.followed.text}: oqm cascade {alert.id}"


def cause_alone(alert: Alert) -> str:
    """The cause without the reason of the end, for renderings that show that in another place."""
    return alert.cause.partition(" Resolved: ")[0]


def also_in(alert: Alert) -> list[str]:
    """The other streams of its incident that the alert names, and how many more there are."""
    more = alert.streams - 1 - len(alert.also_in)
    return [*(plain(stream) for stream in alert.also_in), *([f"and {more} more"] if more > 0 else [])]


def unit_beside(change: ChangedFeature) -> str:
    """The unit, empty where the change's meaning or its values contain it already."""
    shown = f"{change.meaning} {change.before_text} {change.after_text}".lower()
    return "" if re.search(rf"\b{re.escape(change.unit.lower())}\b", shown) or "%" in shown else change.unit


def largest(changes: Sequence[ChangedFeature], count: int) -> list[ChangedFeature]:
    """The `count` changes of largest effect, in falling order; ties in the order given."""
    return sorted(changes, key=lambda change: -abs(change.effect))[:count]


def segment_text(segment: Mapping[str, str]) -> str:
    """`model.version = 2024-11, attributes.tenant = acme`, in the order of names."""
    return ", ".join(f"{plain(name)} = {plain(value)}" for name, value in sorted(segment.items()))
