"""What every rendering of an alert needs: its segment, its largest changes, why it is over, where else it is seen.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from monitor.alerting.alert import LASTED, RESOLVED_BECAUSE, SEVERITY_NOW, Alert, ChangedFeature
from monitor.alerting.rendering.terminal_text import plain


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
