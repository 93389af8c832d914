"""`Dispatch`: which transitions people are told, and when.

Between the log of alerts and the sinks stand, in this order: the `AlertBook` (what is news at all), maintenance windows
and snoozes (not now), flap damping (once, not each time), what people said of alerts, and the fleets of one cause in
many streams (once, to those whom it wakes). What is held back and still fires when its time comes is told then; what
has resolved by then is never told; that something told is over always is.

All of it is a function of the log's records, their times and the time that is asked for, so a restart that reads the
same log knows the same. Pure: time is an argument. May import `monitor.detection` and below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from monitor.alerting.alert import RESOLVED_BECAUSE, Alert, transition_key
from monitor.alerting.lifecycle.annotation import Annotation, AnnotationAction
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.flapping import FlapDamping, Flaps
from monitor.alerting.lifecycle.incident_fanout import Audience, IncidentFanout, Telling
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.rendering.terminal_text import plain
from monitor.detection.records.finding import State

Cause: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]
"""What makes a later alert the same trouble again: stream, kind, driver and segment."""

_ACKNOWLEDGED = "acknowledged"


class Held(StrEnum):
    """Why an alert that fires is not told now."""

    MAINTENANCE = "maintenance"
    SNOOZE = "snooze"
    FLAPPING = "flapping"


class Said(msgspec.Struct):
    """What people said of one alert, each the latest; times in seconds since 1970."""

    acked_by: str | None = None
    acked_at: float = 0.0
    snoozed_until: float | None = None
    snoozed_by: str | None = None
    snoozed_at: float = 0.0
    false_by: str | None = None
    reminded: bool = True


class _Open(msgspec.Struct):
    """An alert that fires for the people: as it is to be told, whether it was, and with what it makes a fleet."""

    alert: Alert
    told: bool
    fleet: tuple[str, str, int]


class FalseAlarm(msgspec.Struct, frozen=True):
    """An alert that a person marked false; `time` is when it was marked."""

    stream: str
    kind: str
    time: float


class Dispatch:
    """Takes records of the alerts' log as they come and says what to tell.

    Parameters
    ----------
    book
        The life of the alerts.
    windows
        Maintenance windows.
    damping
        When an alert is flapping.
    """

    def __init__(
        self, book: AlertBook, windows: Sequence[MaintenanceWindow] = (), damping: FlapDamping | None = None
    ) -> None:
        self.book = book
        self.false_alarms: dict[str, FalseAlarm] = {}
        self._windows = windows
        self._damping = damping or FlapDamping()
        self._open: dict[str, _Open] = {}
        self._said: dict[str, Said] = {}
        self._snoozed: dict[Cause, float] = {}
        self._flaps: dict[Cause, Flaps] = {}
        self._told_as_flapping: dict[Cause, str] = {}
        self._fleets: dict[tuple[str, str, int], IncidentFanout] = {}
        self._fleet_of: dict[str, IncidentFanout] = {}

    def use_windows(self, windows: Sequence[MaintenanceWindow]) -> None:
        """Other maintenance windows from now on; what they no longer hold back is due at once."""
        self._windows = windows

    def alert(self, alert: Alert, time: float) -> list[Telling]:
        """What to tell of a transition that entered the log at `time` (seconds since 1970)."""
        # What was due before comes first, whether anybody asked in between or a restart reads it all at once.
        return [*self.due(time), *self._entered(alert, time)]

    def annotation(self, said: Annotation) -> list[Telling]:
        """What to tell because a person said something: an acknowledgement, or that a false alarm is over."""
        return [*self.due(said.time), *self._annotated(said)]

    def due(self, now: float) -> list[Telling]:
        """What to tell because its time has come: held back and firing still, put off until now, spread, or calm."""
        return [*self._calmed(now), *self._released(now), *self._reminders(now), *self._spread(now)]

    def firing(self) -> list[Alert]:
        """What people were told and were not told to be over: what receivers that forget are reminded of."""
        return [telling.alert for telling in self.standing()]

    def standing(self) -> list[Telling]:
        """As `firing`, and who was told."""
        return [
            Telling(entry.alert, self._audience(fingerprint)) for fingerprint, entry in self._open.items() if entry.told
        ]

    def said(self, fingerprint: str) -> Said:
        """What people said of this alert."""
        return self._said.get(fingerprint, Said())

    def held(self, fingerprint: str, now: float) -> Held | None:
        """Why this alert, which fires, is not told; None where it was, or is about to be."""
        alert = self.book.get(fingerprint)
        if alert is None or alert.state is not State.FIRING:
            return None
        entry = self._open.get(fingerprint)
        if entry is None:
            return Held.FLAPPING
        return None if entry.told else self._quiet(alert, now)

    def held_back(self, now: float) -> Counter[Held]:
        """How many alerts fire that nobody is told of now, by reason."""
        reasons = (self.held(alert.fingerprint, now) for alert in self.book.firing())
        return Counter(reason for reason in reasons if reason is not None)

    def is_flapping(self, fingerprint: str) -> bool:
        """Whether this is the alert that stands for one that comes and goes."""
        return fingerprint in self._told_as_flapping.values()

    def _entered(self, alert: Alert, time: float) -> list[Telling]:
        told = self.book.apply(alert)
        if told is None:
            return []
        if told.state is State.FIRING:
            return self._fired(told, time)
        if told.state is State.RESOLVED:
            return self._resolved(told, time)
        return [] if self._quiet(told, time) else [Telling(told)]

    def _annotated(self, said: Annotation) -> list[Telling]:
        known = self.book.get(said.fingerprint)
        entry = self._said.setdefault(said.fingerprint, Said())
        match said.action:
            case AnnotationAction.ACK:
                entry.acked_by, entry.acked_at = said.by, said.time
                opened = self._open.get(said.fingerprint)
                return self._acknowledged(opened.alert) if opened is not None and opened.told else []
            case AnnotationAction.SNOOZE:
                entry.snoozed_until, entry.snoozed_by, entry.snoozed_at = said.until, said.by, said.time
                entry.reminded = False
                if known is not None and said.until is not None:
                    self._snoozed[cause_of(known)] = said.until
                return []
            case AnnotationAction.FALSE_ALARM:
                entry.false_by = said.by
                if known is None:
                    return []
                self.false_alarms.setdefault(said.fingerprint, FalseAlarm(known.stream, known.kind.value, said.time))
                return self._refuted(known, said)

    def _acknowledged(self, alert: Alert) -> list[Telling]:
        """Who takes one alert of an incident has taken what those who take one an incident know of it."""
        fleet = self._fleet_of[alert.fingerprint]
        if fleet.audience(alert.fingerprint) is Audience.EVERYONE:
            return [Telling(_as_acknowledged(alert))]
        lead = Telling(_as_acknowledged(fleet.lead), Audience.INCIDENT)
        return [Telling(_as_acknowledged(alert), Audience.EACH), lead]

    def _fired(self, alert: Alert, time: float) -> list[Telling]:
        cause = cause_of(alert)
        flaps = self._flaps.setdefault(cause, Flaps(self._damping))
        if flaps.fired(alert.fingerprint, time):
            alert = _as_flapping(alert, self._damping)
            self._told_as_flapping[cause] = alert.fingerprint
        elif flaps.flapping:
            return []
        told = self._quiet(alert, time) is None
        incident = self.book.incident(alert)
        # A second change in the same stream is not of the first one's fleet: it is told, with others that are second.
        fleet = (incident.id, alert.route, incident.streams[alert.stream])
        self._open[alert.fingerprint] = entry = _Open(alert, told, fleet)
        return self._told(entry, time) if told else []

    def _told(self, entry: _Open, time: float) -> list[Telling]:
        """It fires, and people hear of it: of itself, or as one of a fleet."""
        fleet = self._fleets.get(entry.fleet)
        if fleet is not None and not fleet.over:
            self._fleet_of[entry.alert.fingerprint] = fleet
            return fleet.joins(entry.alert, time)
        self._fleets[entry.fleet] = self._fleet_of[entry.alert.fingerprint] = IncidentFanout(entry.alert, time)
        return [Telling(entry.alert)]

    def _over(self, alert: Alert, entry: _Open | None) -> list[Telling]:
        """`alert` says that `entry` is over; nobody hears of it who did not hear of the entry."""
        if entry is None:
            return [Telling(alert)]
        if not entry.told:
            return []
        fleet = self._fleet_of.pop(alert.fingerprint)
        told = fleet.ends(alert)
        if fleet.over:
            self._fleets = {key: other for key, other in self._fleets.items() if other is not fleet}
        return told

    def _audience(self, fingerprint: str) -> Audience:
        fleet = self._fleet_of.get(fingerprint)
        return Audience.EVERYONE if fleet is None else fleet.audience(fingerprint)

    def _resolved(self, alert: Alert, time: float) -> list[Telling]:
        flaps = self._flaps.get(cause_of(alert))
        if flaps is not None:
            flaps.resolved(alert.fingerprint, time)
            stands_for_all = self._told_as_flapping.get(cause_of(alert)) == alert.fingerprint
            if flaps.flapping and (stands_for_all or alert.fingerprint not in self._open):
                return []  # it may come back: told when it is calm
        return self._over(alert, self._open.pop(alert.fingerprint, None))

    def _refuted(self, alert: Alert, said: Annotation) -> list[Telling]:
        """A false alarm is over for everybody, and what it stood for, too."""
        cause = cause_of(alert)
        over = _as_resolved(alert, f"marked a false alarm by {plain(said.by)}")
        self.book.apply(over)
        entry = self._open.pop(alert.fingerprint, None)
        flaps = self._flaps.get(cause)
        if flaps is not None:
            flaps.resolved(alert.fingerprint, said.time)
            if self._told_as_flapping.get(cause) == alert.fingerprint:
                del self._flaps[cause], self._told_as_flapping[cause]
        return self._over(over, entry) if entry is not None else []

    def _calmed(self, now: float) -> Iterator[Telling]:
        for cause, flaps in list(self._flaps.items()):
            if not flaps.calm(now):
                continue
            del self._flaps[cause]
            entry = self._open.pop(self._told_as_flapping.pop(cause, ""), None)
            if entry is not None:
                within = f"{self._damping.within / 60:g} minutes"
                yield from self._over(_as_resolved(entry.alert, f"it has not fired for {within}"), entry)

    def _spread(self, now: float) -> Iterator[Telling]:
        for fleet in self._fleets.values():
            if self._quiet(fleet.lead, now) is None and (telling := fleet.spread(now)) is not None:
                yield telling

    def _released(self, now: float) -> Iterator[Telling]:
        for entry in self._open.values():
            if not entry.told and self._quiet(entry.alert, now) is None:
                entry.told = True
                self._said.setdefault(entry.alert.fingerprint, Said()).reminded = True
                yield from self._told(entry, now)

    def _reminders(self, now: float) -> Iterator[Telling]:
        """Who put an alert off wants to hear of it again, unless somebody has taken it since."""
        for fingerprint, said in self._said.items():
            until = said.snoozed_until
            if said.reminded or until is None or now < until:
                continue
            entry = self._open.get(fingerprint)
            if entry is not None and self._quiet(entry.alert, now) is not None:
                continue
            said.reminded = True
            if entry is not None and entry.told and said.acked_at < said.snoozed_at:
                again = f"{transition_key(fingerprint, State.FIRING)}:{int(until)}"
                yield Telling(msgspec.structs.replace(entry.alert, transition=again), self._audience(fingerprint))

    def _quiet(self, alert: Alert, now: float) -> Held | None:
        if any(window.covers(alert.stream, now) for window in self._windows):
            return Held.MAINTENANCE
        return Held.SNOOZE if now < self._snoozed.get(cause_of(alert), 0.0) else None


def cause_of(alert: Alert) -> Cause:
    """What the alert is about, whichever time it fires."""
    segment = tuple(sorted((alert.segment or {}).items()))
    return alert.stream, alert.kind.value, alert.driver.value if alert.driver else "", segment


def is_acknowledgement(alert: Alert) -> bool:
    """Whether this says no more than that somebody has taken the alert."""
    return alert.transition.endswith(f":{_ACKNOWLEDGED}")


def _as_acknowledged(alert: Alert) -> Alert:
    return msgspec.structs.replace(alert, transition=f"{alert.fingerprint}:{_ACKNOWLEDGED}")


def _as_resolved(alert: Alert, why: str) -> Alert:
    return msgspec.structs.replace(
        alert,
        state=State.RESOLVED,
        transition=transition_key(alert.fingerprint, State.RESOLVED),
        annotations={**alert.annotations, RESOLVED_BECAUSE: why},
    )


def _as_flapping(alert: Alert, damping: FlapDamping) -> Alert:
    title = f"Flapping: {alert.title}"
    said = f"It fired and resolved {damping.after} times before; this is told once, until it stays away."
    cause = f"{said} {alert.cause}"
    annotations = {**alert.annotations, "summary": title, "cause": cause, "flapping": "true"}
    return msgspec.structs.replace(alert, title=title, cause=cause, annotations=annotations)
