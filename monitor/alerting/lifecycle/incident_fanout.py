"""`IncidentFanout`: one cause in many streams is one incident to receivers that notify people.

A provider's update shows in two hundred streams within a minute. Receivers that take every alert (Alertmanager, a
webhook) get two hundred and group them by the label `incident`. Receivers that notify people (Slack, PagerDuty, mail)
get the first alert at once, without waiting for others, one more message when the spread has settled, and the end when
the last stream has recovered. Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.alerting.alert import RESOLVED_BECAUSE, Alert, transition_key
from monitor.alerting.lifecycle.book import is_at_least
from monitor.detection.records.finding import Severity, State

SPREAD_SETTLED_S = 60.0
"""An incident that spread is sent again, with all of its streams, after this long without another stream: an update of
a provider reaches most streams within a minute."""
_ALSO_IN = 10
"""Other streams that the message names, as in the alerts themselves; `streams` counts all."""


class Audience(StrEnum):
    """Which receivers a transition is for."""

    EVERYONE = "everyone"
    EACH = "each"  # those that take every alert
    INCIDENT = "incident"  # those that take one alert an incident


class Notification(msgspec.Struct, frozen=True):
    """A transition, and the receivers that get it."""

    alert: Alert
    to: Audience = Audience.EVERYONE


class IncidentFanout:
    """Alerts of one incident and route, one per stream, as receivers that get one message per incident know them.

    They know it by its lead, the first alert that they got: its id stays the incident's id there when the lead itself
    has resolved and others have not.

    Parameters
    ----------
    lead
        The first alert sent.
    time
        When, in seconds since 1970.
    """

    def __init__(self, lead: Alert, time: float) -> None:
        self.lead = lead
        self._open = {lead.fingerprint}
        self._streams = {lead.stream: None}
        self._streams_sent = 1
        self._joined_at = time

    @property
    def over(self) -> bool:
        """Whether none of its alerts fires any more."""
        return not self._open

    def joins(self, alert: Alert, time: float) -> list[Notification]:
        """One stream more; sent to people at once only where it is more severe than what they got."""
        self._open.add(alert.fingerprint)
        self._streams[alert.stream] = None
        self._joined_at = time
        sent = [Notification(alert, Audience.EACH)]
        if not is_at_least(self.lead.severity, alert.severity):
            sent.append(self._worsens(alert))
        return sent

    def updates(self, update: Alert, alert: Alert) -> list[Notification]:
        """A revision of one of its alerts; `alert` is that alert as it stands now, under its first transition.

        Receivers that get one message an incident get the revisions of the alert that they know it by.
        """
        if alert.fingerprint != self.lead.fingerprint:
            sent = [Notification(update, Audience.EACH)]
            return sent if is_at_least(self.lead.severity, alert.severity) else [*sent, self._worsens(alert)]
        severity = self.lead.severity if is_at_least(self.lead.severity, alert.severity) else alert.severity
        self.lead = _worse(alert, severity)
        if self._streams_sent == 1:
            return [Notification(update)]
        suffix = update.transition.removeprefix(f"{update.fingerprint}:")
        whole = _spread(_worse(update, severity), list(self._streams), suffix)
        return [Notification(update, Audience.EACH), Notification(whole, Audience.INCIDENT)]

    def _worsens(self, alert: Alert) -> Notification:
        """One of its alerts is more severe than what people got."""
        self.lead = _worse(self.lead, alert.severity)
        self._streams_sent = len(self._streams)
        worse = _spread(self.lead, list(self._streams), f"{State.FIRING.value}:{alert.severity.value}")
        return Notification(worse, Audience.INCIDENT)

    def ends(self, over: Alert) -> list[Notification]:
        """`over` ends one of its alerts; people get the end of the last one."""
        self._open.discard(over.fingerprint)
        leads = over.fingerprint == self.lead.fingerprint
        if self._open:
            return [Notification(over, Audience.EACH)]
        if len(self._streams) == 1:
            return [Notification(over)]
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
        return [Notification(over, Audience.EACH), Notification(last, Audience.INCIDENT)]

    def spread(self, now: float) -> Notification | None:
        """The incident again, once its spread has settled in at least twice as many streams as were sent."""
        if self.over or len(self._streams) < 2 * self._streams_sent or now - self._joined_at < SPREAD_SETTLED_S:
            return None
        self._streams_sent = len(self._streams)
        return Notification(
            _spread(self.lead, list(self._streams), f"{State.FIRING.value}:{len(self._streams)}-streams"),
            Audience.INCIDENT,
        )

    def audience(self, fingerprint: str) -> Audience:
        """The receivers that got this alert."""
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
