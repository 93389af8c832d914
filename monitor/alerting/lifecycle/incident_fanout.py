"""`IncidentFanout`: one cause seen in many streams is one incident to those whom it wakes.

A provider's update shows in two hundred streams within a minute. Receivers that take every alert (Alertmanager, a
webhook) get two hundred and group them by the label `incident`. Receivers that reach people (Slack, PagerDuty, mail)
get one: the first alert at once, so that a fleet is no reason to wait, then one message more when it has spread and
comes to rest, and its end when the last stream is well. Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.alerting.alert import RESOLVED_BECAUSE, Alert, transition_key
from monitor.alerting.lifecycle.book import is_at_least
from monitor.detection.records.finding import Severity, State

SETTLED_S = 60.0
"""Without another stream for so long, an incident that spread is told again with all of its streams."""
_ALSO_IN = 10


class Audience(StrEnum):
    """Which receivers something is for."""

    EVERYONE = "everyone"
    EACH = "each"  # those that take every alert
    INCIDENT = "incident"  # those that take one alert an incident


class Telling(msgspec.Struct, frozen=True):
    """A transition, and whom to tell."""

    alert: Alert
    to: Audience = Audience.EVERYONE


class IncidentFanout:
    """Alerts of one incident and route, one of each stream, as receivers that take one an incident know them.

    They know it by its lead, the first alert that they were told of: its id stays the incident's id there when the lead
    itself has resolved and others have not.

    Parameters
    ----------
    lead
        The first alert told.
    time
        When, in seconds since 1970.
    """

    def __init__(self, lead: Alert, time: float) -> None:
        self.lead = lead
        self._open = {lead.fingerprint}
        self._streams = {lead.stream: None}
        self._told_of = 1
        self._joined_at = time

    @property
    def over(self) -> bool:
        """Whether nothing of it fires any more."""
        return not self._open

    def joins(self, alert: Alert, time: float) -> list[Telling]:
        """One stream more; told to people at once only where it is worse than what they know."""
        self._open.add(alert.fingerprint)
        self._streams[alert.stream] = None
        self._joined_at = time
        told = [Telling(alert, Audience.EACH)]
        if not is_at_least(self.lead.severity, alert.severity):
            self.lead = _worse(self.lead, alert.severity)
            self._told_of = len(self._streams)
            worse = _spread(self.lead, list(self._streams), f"{State.FIRING.value}:{alert.severity.value}")
            told.append(Telling(worse, Audience.INCIDENT))
        return told

    def ends(self, over: Alert) -> list[Telling]:
        """`over` says that one of its alerts is; people hear of it when it was the last."""
        self._open.discard(over.fingerprint)
        leads = over.fingerprint == self.lead.fingerprint
        if self._open:
            return [Telling(over, Audience.EACH)]
        if len(self._streams) == 1:
            return [Telling(over)]
        lead = over if leads else self.lead
        last = msgspec.structs.replace(
            lead,
            state=State.RESOLVED,
            transition=transition_key(lead.fingerprint, State.RESOLVED),
            severity=self.lead.severity,
            annotations={**lead.annotations, RESOLVED_BECAUSE: f"it fires in none of its {len(self._streams)} streams"},
            streams=len(self._streams),
            also_in=self._others(),
        )
        return [Telling(over, Audience.EACH), Telling(last, Audience.INCIDENT)]

    def spread(self, now: float) -> Telling | None:
        """The incident anew, once it has come to rest in at least twice as many streams as were told of."""
        if self.over or len(self._streams) < 2 * self._told_of or now - self._joined_at < SETTLED_S:
            return None
        self._told_of = len(self._streams)
        return Telling(
            _spread(self.lead, list(self._streams), f"{State.FIRING.value}:{len(self._streams)}-streams"),
            Audience.INCIDENT,
        )

    def audience(self, fingerprint: str) -> Audience:
        """Who knows this alert of it."""
        return Audience.EVERYONE if fingerprint == self.lead.fingerprint else Audience.EACH

    def _others(self) -> list[str]:
        return [stream for stream in self._streams if stream != self.lead.stream][:_ALSO_IN]


def _worse(lead: Alert, severity: Severity) -> Alert:
    return msgspec.structs.replace(lead, severity=severity, labels={**lead.labels, "severity": severity.value})


def _spread(lead: Alert, streams: list[str], transition: str) -> Alert:
    count = len(streams)
    shared = f", which all use {lead.model}" if lead.model else ""
    title = f"{count} streams: {lead.title}"
    cause = f"The same kind of change in {count} streams{shared}: look for one cause. In {lead.stream}: {lead.cause}"
    return msgspec.structs.replace(
        lead,
        title=title,
        cause=cause,
        transition=f"{lead.fingerprint}:{transition}",
        annotations={**lead.annotations, "summary": title, "cause": cause},
        streams=count,
        also_in=[stream for stream in streams if stream != lead.stream][:_ALSO_IN],
    )
