"""`AlertBook`: the life of alerts and the incidents they belong to.

    firing -> resolved        info is sent once; info that crosses its floor later becomes firing

An alert enters each state once, whatever is delivered again; its labels and incident are those of its first
transition, because a receiver recognizes it by them. While it fires, revisions with a higher number are news, too. Of
the labels a revision may only raise the severity: what became critical must reach those who are called for critical
alerts. A lower one is said in an annotation, since who was called must get the end as well.

Pure: time comes with the alerts. May import `monitor.detection` and below.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import msgspec

from monitor.alerting.alert import SEVERITY_NOW, Alert, Revised
from monitor.alerting.lifecycle.transitions import Cause, cause_of, first_transition
from monitor.detection.records.finding import Severity, State
from monitor.detection.records.finding_kinds import KINDS

_ALSO_IN = 10
"""Other streams of the incident that an alert names: a message with hundreds is not read; `streams` counts all."""
_FIGURE = re.compile(r"\d")
_RANK = {State.INFO: 0, State.FIRING: 1, State.RESOLVED: 2}
"""An alert only ever moves to a state of higher rank."""


class Incident(msgspec.Struct, kw_only=True):
    """Alerts of one cause that were raised close together, over any number of streams.

    One cause is the same driver, model and segment, and kinds that group as one (`finding_kinds`).

    `first` and `last` are event times of raising in seconds since 1970, None in a replay without times.
    """

    id: str
    key: str
    first: float | None
    last: float | None
    streams: dict[str, int] = {}  # alerts of each stream, in order of first appearance
    open: dict[str, str] = {}  # alerts that fire: fingerprint and stream, oldest first


class _Record(msgspec.Struct, kw_only=True):
    """One alert: its latest transition, and the labels, incident and cause of its first."""

    alert: Alert
    labels: dict[str, str]
    incident: str
    cause: Cause


class AlertBook:
    """Takes transitions as they come and says which are news.

    Parameters
    ----------
    group_window_s
        An alert joins the latest incident of its cause where that incident's last alert was raised at most this many
        seconds of event time from it; else it opens one.
    capacity
        How many closed alerts are remembered, so that their redelivery is known; the oldest are forgotten first.
        Alerts that fire are never forgotten.
    """

    def __init__(self, group_window_s: float = 1_800.0, capacity: int = 20_000) -> None:
        if group_window_s <= 0 or capacity < 1:
            raise ValueError("group_window_s must be > 0 and capacity >= 1")
        self.group_window_s = group_window_s
        self.capacity = capacity
        self._full_at = capacity
        self._records: dict[str, _Record] = {}
        self._incidents: dict[str, Incident] = {}
        self._latest: dict[str, str] = {}  # incident that an alert of this group would join

    def apply(self, alert: Alert) -> Alert | None:
        """The transition as it should be delivered, or None where it is no news (known before, or out of order).

        What is returned has the labels and the incident of the alert's first transition.
        """
        known = self._records.get(alert.fingerprint)
        update = known is not None and alert.state is known.alert.state is State.FIRING
        if known is not None and _RANK[alert.state] <= _RANK[known.alert.state]:
            newer = update and alert.revision > known.alert.revision
            if not newer:
                return None
        if known is None:
            incident = self._join(alert)
            labels = {**alert.labels, "incident": incident.id}
            known = _Record(alert=alert, labels=labels, incident=incident.id, cause=cause_of(alert))
        else:
            incident = self._incidents[known.incident]
            if known.alert.state is State.INFO and alert.state is State.FIRING:
                # Information opened nothing at receivers: its label may still become the severity that pages.
                known.labels = {**known.labels, "severity": alert.severity.value}
        if update:
            alert = _revised(known.alert, alert)
            known.labels = {**known.labels, "severity": alert.severity.value}
        others = [stream for stream in incident.streams if stream != alert.stream]
        news = msgspec.structs.replace(
            alert,
            # What is reported first is no revision of anything that a receiver knows.
            transition=alert.transition if update else first_transition(alert),
            labels=known.labels,
            severity=Severity(known.labels["severity"]),
            route=known.labels["route"],
            incident=incident.id,
            also_in=others[:_ALSO_IN],
            streams=len(others) + 1,
        )
        known.alert = news
        # Last in the order of keys: what changed last is forgotten last.
        self._records.pop(alert.fingerprint, None)
        self._records[alert.fingerprint] = known
        if alert.state is State.FIRING:
            incident.open[alert.fingerprint] = alert.stream
        else:
            incident.open.pop(alert.fingerprint, None)
        self._forget()
        return news

    def restate(self, alert: Alert) -> None:
        """Other words for an alert that fires; identity and labels stay, and no revision is counted."""
        known = self._records[alert.fingerprint]
        known.alert = msgspec.structs.replace(alert, transition=known.alert.transition, revised=known.alert.revised)

    def firing(self) -> list[Alert]:
        """The latest transition of every alert that fires now."""
        return [record.alert for record in self._records.values() if record.alert.state is State.FIRING]

    def alerts(self) -> list[Alert]:
        """The latest transition of every alert that is known, the latest change last."""
        return [record.alert for record in self._records.values()]

    def get(self, fingerprint: str) -> Alert | None:
        """The latest transition of this alert, where it is known."""
        record = self._records.get(fingerprint)
        return record.alert if record else None

    def cause(self, alert: Alert) -> Cause:
        """What an alert is a repetition by, as of its first transition: a revision may name another segment."""
        record = self._records.get(alert.fingerprint)
        return cause_of(alert) if record is None else record.cause

    def incident(self, alert: Alert) -> Incident:
        """The incident of an alert that has been applied. Raises `KeyError` for one that is not known."""
        return self._incidents[self._records[alert.fingerprint].incident]

    def incidents(self) -> Iterator[Incident]:
        """Incidents with at least one alert that fires, oldest first."""
        return (incident for incident in self._incidents.values() if incident.open)

    def __len__(self) -> int:
        return len(self._records)

    def _join(self, alert: Alert) -> Incident:
        segment = sorted((alert.segment or {}).items())
        cause = KINDS[alert.kind].groups_as or alert.kind.value
        key = repr((cause, alert.driver.value if alert.driver else "", alert.model or "", segment))
        time = alert.raised_at.time
        incident = self._incidents.get(self._latest.get(key, ""))
        near = (
            incident is not None
            and time is not None
            and incident.last is not None
            and incident.first is not None
            and incident.first - self.group_window_s <= time <= incident.last + self.group_window_s
        )
        if incident is None or not near:
            # A function of the first alert only, so that every worker gives the incident the same id.
            digest = hashlib.blake2b(f"{key}\x1f{alert.fingerprint}".encode("utf-8", "surrogatepass"), digest_size=8)
            incident = Incident(id=digest.hexdigest(), key=key, first=time, last=time, streams={}, open={})
            self._incidents[incident.id] = incident
            self._latest[key] = incident.id
        elif time is not None and incident.first is not None and incident.last is not None:
            incident.first, incident.last = min(incident.first, time), max(incident.last, time)
        incident.streams[alert.stream] = incident.streams.get(alert.stream, 0) + 1
        return incident

    def _forget(self) -> None:
        if len(self._records) <= self._full_at:
            return
        closed = [f for f, record in self._records.items() if record.alert.state in (State.RESOLVED, State.INFO)]
        # A tenth at a time: forgetting single alerts would walk all records for every alert.
        tenth = max(1, self.capacity // 10)
        for fingerprint in closed[: len(self._records) - self.capacity + tenth]:
            del self._records[fingerprint]
        self._full_at = max(self.capacity, len(self._records) + tenth)  # more than capacity where that many fire
        used = {record.incident for record in self._records.values()}
        self._incidents = {i: incident for i, incident in self._incidents.items() if i in used}
        self._latest = {key: i for key, i in self._latest.items() if i in used}


def _revised(known: Alert, alert: Alert) -> Alert:
    """A revision of a known alert, with what a reader sees changed; its severity is at least the known one."""
    revised = [Revised.FIGURES] if _figures(alert) != _figures(known) else []
    if alert.segment != known.segment:
        revised.append(Revised.SEGMENT)
    if _what_is_named(alert) != _what_is_named(known):
        revised.append(Revised.CAUSE)
    if alert.judged != known.judged:
        revised.append(Revised.JUDGED)
    if alert.followed != known.followed:
        revised.append(Revised.FOLLOWED)
    if is_at_least(known.severity, alert.severity):
        lower = {} if alert.severity is known.severity else {SEVERITY_NOW: alert.severity.value}
        return msgspec.structs.replace(
            alert, severity=known.severity, revised=revised, annotations={**alert.annotations, **lower}
        )
    revised.append(Revised.SEVERITY)
    return msgspec.structs.replace(alert, revised=revised, previous_labels=known.labels)


def _figures(alert: Alert) -> list[tuple[str, str, str]]:
    return [(change.name, change.before_text, change.after_text) for change in alert.changes]


def _what_is_named(alert: Alert) -> str:
    """The title up to its first figure: the kind, what changed, and in which direction."""
    return _FIGURE.split(alert.title, maxsplit=1)[0]


def is_at_least(severity: Severity, least: Severity) -> bool:
    """Whether `severity` is `least` or higher."""
    order = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)
    return order.index(severity) >= order.index(least)
