"""Which alerts no sink takes, and why: by the settings, or by the sinks that a worker runs.

Called by notify (to count them), by `oqm alert list` and by the checks of the settings.
May import `monitor.alerting` and below.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import msgspec

from monitor.alerting.alert import Alert
from monitor.detection.records.finding import Severity, State


class Takes(Protocol):
    """A sink, or the configuration of one."""

    def takes(self, alert: Alert) -> bool:
        """Whether route and severity of the alert are for this sink."""
        ...


class Unrouted(StrEnum):
    """Why an alert is sent to nobody; the value is a label of the metrics."""

    ROUTE = "route"
    SEVERITY = "severity"


def unrouted(alert: Alert, sinks: Iterable[Takes]) -> Unrouted | None:
    """Why none of `sinks` takes the alert; None where one does, or where nobody needs to hear of it.

    Information that is below the least severity of every sink of its route is left out: that is what a least severity
    is for. A resolution goes where its alert went.
    """
    takers = list(sinks)
    if alert.state not in (State.FIRING, State.INFO) or any(sink.takes(alert) for sink in takers):
        return None
    most_severe = msgspec.structs.replace(alert, severity=Severity.CRITICAL)
    if not any(sink.takes(most_severe) for sink in takers):
        return Unrouted.ROUTE
    return Unrouted.SEVERITY if alert.state is State.FIRING else None


def in_words(alert: Alert, why: Unrouted) -> str:
    """`sent to nobody: no sink takes route suport`."""
    if why is Unrouted.ROUTE:
        return f"sent to nobody: no sink takes route {alert.route}"
    return f"sent to nobody: no sink of route {alert.route} takes severity {alert.severity.value}"
