"""`Dispatch`: which transitions are sent to receivers, and when.

Between the log of alerts and the sinks, in this order: the `AlertBook` (what is new), maintenance windows and snoozes
(not now), flap damping (once, not each time), what people did about alerts, and one cause in many streams (once, to
receivers that notify people). An alert that waits and still fires at the end of its wait is sent then; one that has
resolved by then is never sent; the end of an alert that was sent always is.

All of it is a function of the log's records, their times and the time of the question, so a restart that reads the
same log comes to the same result. Pure: time is an argument. May import `monitor.detection` and below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from monitor.alerting.alert import Alert, is_update, transition_key
from monitor.alerting.lifecycle.annotation import Annotation, AnnotationAction
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.evaluator_changes import EvaluatorChanges
from monitor.alerting.lifecycle.flapping import FlapDamping, FlapHistory
from monitor.alerting.lifecycle.incident_fanout import Audience, IncidentFanout, Notification
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.lifecycle.responses import DeferralReason, FalseAlarm, OperatorResponse
from monitor.alerting.lifecycle.transitions import Cause, as_acknowledged, as_flapping, as_resolved, merged
from monitor.alerting.rendering.terminal_text import plain
from monitor.detection.records.finding import State


class _Open(msgspec.Struct):
    """An alert that fires: as it is to be sent, whether it was, and the group of streams that it belongs to.

    `update` is a revision that waits for the end of a maintenance window or a snooze.
    """

    alert: Alert
    sent: bool
    group: tuple[str, str, int]
    update: Alert | None = None


class Dispatch:
    """Takes records of the log of alerts in order, and returns what to send.

    Made by notify, and by `oqm alert list` to show what notify knows.

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
        self._responses: dict[str, OperatorResponse] = {}
        self._snoozed: dict[Cause, float] = {}
        self._flaps: dict[Cause, FlapHistory] = {}
        self._flapping_alert: dict[Cause, str] = {}
        self._groups: dict[tuple[str, str, int], IncidentFanout] = {}
        self._group_of: dict[str, IncidentFanout] = {}
        self._evaluators = EvaluatorChanges()

    def use_windows(self, windows: Sequence[MaintenanceWindow]) -> None:
        """Use other maintenance windows from now on; what waits for none of them is due at once."""
        self._windows = windows

    def alert(self, alert: Alert, time: float) -> list[Notification]:
        """What to send for a transition that entered the log at `time` (seconds since 1970)."""
        # What was due before comes first, so that a restart, which reads all at once, gives the same order.
        return [*self.due(time), *self._entered(alert, time)]

    def annotation(self, note: Annotation) -> list[Notification]:
        """What to send because of a person's action: an acknowledgement, or the end of a false alarm."""
        return [*self.due(note.time), *self._annotated(note)]

    def due(self, now: float) -> list[Notification]:
        """What to send because its time has come: ends of waits and snoozes, of a spread, of a flapping."""
        return [*self._flapping_over(now), *self._released(now), *self._reminders(now), *self._spread(now)]

    def firing(self) -> list[Alert]:
        """The alerts that were sent and whose end was not: repeated to receivers that forget."""
        return [one.alert for one in self.standing()]

    def standing(self) -> list[Notification]:
        """As `firing`, with the receivers that got each."""
        return [
            Notification(entry.alert, self._audience(fingerprint))
            for fingerprint, entry in self._open.items()
            if entry.sent
        ]

    def response(self, fingerprint: str) -> OperatorResponse:
        """What people did about this alert."""
        return self._responses.get(fingerprint, OperatorResponse())

    def deferral(self, fingerprint: str, now: float) -> DeferralReason | None:
        """Why this alert, which fires, is not sent; None where it was, is about to be, or does not fire."""
        alert = self.book.get(fingerprint)
        if alert is None or alert.state is not State.FIRING:
            return None
        entry = self._open.get(fingerprint)
        if entry is None:
            return DeferralReason.FLAPPING
        return None if entry.sent else self._deferred_by(alert, now)

    def deferred(self, now: float) -> Counter[DeferralReason]:
        """How many alerts fire and are not sent now, by reason."""
        reasons = (self.deferral(alert.fingerprint, now) for alert in self.book.firing())
        return Counter(reason for reason in reasons if reason is not None)

    def is_flapping(self, fingerprint: str) -> bool:
        """Whether this is the alert that stands for all of a flapping cause."""
        return fingerprint in self._flapping_alert.values()

    def _entered(self, alert: Alert, time: float) -> list[Notification]:
        open_ = [entry.alert for entry in self._open.values()]
        sent = self._transition(self._evaluators.annotated(alert, open_), time)
        for update in self._evaluators.concerns(alert, open_):
            self.book.restate(update)
            sent += self._updated(update, time)
        return sent

    def _transition(self, alert: Alert, time: float) -> list[Notification]:
        news = self.book.apply(alert)
        if news is None:
            return []
        if is_update(news):
            return self._updated(news, time)
        if news.state is State.FIRING:
            return self._fired(news, time)
        if news.state is State.RESOLVED:
            return self._resolved(news, time)
        return [] if self._deferred_by(news, time) else [Notification(news)]

    def _annotated(self, note: Annotation) -> list[Notification]:
        known = self.book.get(note.fingerprint)
        entry = self._responses.setdefault(note.fingerprint, OperatorResponse())
        match note.action:
            case AnnotationAction.ACK:
                entry.acked_by, entry.acked_at = note.by, note.time
                opened = self._open.get(note.fingerprint)
                return self._acknowledged(opened.alert) if opened is not None and opened.sent else []
            case AnnotationAction.SNOOZE:
                entry.snoozed_until, entry.snoozed_by, entry.snoozed_at = note.until, note.by, note.time
                entry.reminded = False
                if known is not None and note.until is not None:
                    self._snoozed[self.book.cause(known)] = note.until
                return []
            case AnnotationAction.FALSE_ALARM:
                entry.false_by = note.by
                if known is None:
                    return []
                self.false_alarms.setdefault(note.fingerprint, FalseAlarm(known.stream, known.kind.value, note.time))
                return self._marked_false(known, note)

    def _acknowledged(self, alert: Alert) -> list[Notification]:
        """To receivers that get one message per incident, taking one of its alerts is taking the incident."""
        group = self._group_of[alert.fingerprint]
        if group.audience(alert.fingerprint) is Audience.EVERYONE:
            return [Notification(as_acknowledged(alert))]
        lead = Notification(as_acknowledged(group.lead), Audience.INCIDENT)
        return [Notification(as_acknowledged(alert), Audience.EACH), lead]

    def _fired(self, alert: Alert, time: float) -> list[Notification]:
        cause = self.book.cause(alert)
        flaps = self._flaps.setdefault(cause, FlapHistory(self._damping))
        if flaps.fired(alert.fingerprint, time):
            alert = as_flapping(alert, self._damping)
            self._flapping_alert[cause] = alert.fingerprint
        elif flaps.flapping:
            return []
        sent = self._deferred_by(alert, time) is None
        incident = self.book.incident(alert)
        # A second change in the same stream is not of the first one's group: it joins others that are second.
        group = (incident.id, alert.route, incident.streams[alert.stream])
        self._open[alert.fingerprint] = entry = _Open(alert, sent, group)
        return self._announce(entry, time) if sent else []

    def _updated(self, alert: Alert, time: float) -> list[Notification]:
        """A revision: to those who had the alert. What was not sent yet is sent as the revision says, and once."""
        entry = self._open.get(alert.fingerprint)
        if entry is None:
            return []  # one of a flapping cause
        if not entry.sent or self.is_flapping(alert.fingerprint):
            flapping = self.is_flapping(alert.fingerprint)
            newest = as_flapping(alert, self._damping) if flapping else alert
            entry.alert = msgspec.structs.replace(newest, transition=entry.alert.transition)
            return []
        if entry.update is not None:
            alert = merged(entry.update, alert)
        entry.update = alert
        return [] if self._deferred_by(alert, time) else self._update(entry)

    def _update(self, entry: _Open) -> list[Notification]:
        """Send the revision that waits; from now on it is what the alert says."""
        update = entry.update
        if update is None:
            return []
        # The alert keeps the key of its first transition: by it the outbox knows that it was sent.
        entry.alert = msgspec.structs.replace(update, transition=entry.alert.transition, previous_labels=None)
        entry.update = None
        return self._group_of[update.fingerprint].updates(update, entry.alert)

    def _announce(self, entry: _Open, time: float) -> list[Notification]:
        """Send that it fires: by itself, or as one of a group of streams."""
        group = self._groups.get(entry.group)
        if group is not None and not group.over:
            self._group_of[entry.alert.fingerprint] = group
            return group.joins(entry.alert, time)
        self._groups[entry.group] = self._group_of[entry.alert.fingerprint] = IncidentFanout(entry.alert, time)
        return [Notification(entry.alert)]

    def _end(self, alert: Alert, entry: _Open | None) -> list[Notification]:
        """Send that `entry` is over, by `alert`, to the receivers that got the entry."""
        if entry is None:
            return [Notification(alert)]
        if not entry.sent:
            return []
        # Receivers know it by the labels that they got: a revision that waited may have raised the severity.
        alert = msgspec.structs.replace(alert, labels=entry.alert.labels, severity=entry.alert.severity)
        group = self._group_of.pop(alert.fingerprint)
        sent = group.ends(alert)
        if group.over:
            self._groups = {key: other for key, other in self._groups.items() if other is not group}
        return sent

    def _audience(self, fingerprint: str) -> Audience:
        group = self._group_of.get(fingerprint)
        return Audience.EVERYONE if group is None else group.audience(fingerprint)

    def _resolved(self, alert: Alert, time: float) -> list[Notification]:
        flaps = self._flaps.get(self.book.cause(alert))
        if flaps is not None:
            flaps.resolved(alert.fingerprint, time)
            stands_for_all = self._flapping_alert.get(self.book.cause(alert)) == alert.fingerprint
            if flaps.flapping and (stands_for_all or alert.fingerprint not in self._open):
                return []  # it may come back: sent when the flapping is over
        return self._end(alert, self._open.pop(alert.fingerprint, None))

    def _marked_false(self, alert: Alert, note: Annotation) -> list[Notification]:
        """A false alarm is over for all receivers, and so is the flapping that it stood for."""
        cause = self.book.cause(alert)
        over = as_resolved(alert, f"marked a false alarm by {plain(note.by)}")
        self.book.apply(over)
        entry = self._open.pop(alert.fingerprint, None)
        flaps = self._flaps.get(cause)
        if flaps is not None:
            flaps.resolved(alert.fingerprint, note.time)
            if self._flapping_alert.get(cause) == alert.fingerprint:
                del self._flaps[cause], self._flapping_alert[cause]
        return self._end(over, entry) if entry is not None else []

    def _flapping_over(self, now: float) -> Iterator[Notification]:
        for cause, flaps in list(self._flaps.items()):
            if not flaps.calm(now):
                continue
            del self._flaps[cause]
            entry = self._open.pop(self._flapping_alert.pop(cause, ""), None)
            if entry is not None:
                within = f"{self._damping.within / 60:g} minutes"
                yield from self._end(as_resolved(entry.alert, f"it has not fired for {within}"), entry)

    def _spread(self, now: float) -> Iterator[Notification]:
        for group in self._groups.values():
            if self._deferred_by(group.lead, now) is None and (notification := group.spread(now)) is not None:
                yield notification

    def _released(self, now: float) -> Iterator[Notification]:
        for entry in self._open.values():
            if entry.update is not None and self._deferred_by(entry.update, now) is None:
                yield from self._update(entry)
            if not entry.sent and self._deferred_by(entry.alert, now) is None:
                entry.sent = True
                self._responses.setdefault(entry.alert.fingerprint, OperatorResponse()).reminded = True
                yield from self._announce(entry, now)

    def _reminders(self, now: float) -> Iterator[Notification]:
        """At the end of a snooze the alert is sent again, unless somebody has taken it since."""
        for fingerprint, response in self._responses.items():
            until = response.snoozed_until
            if response.reminded or until is None or now < until:
                continue
            entry = self._open.get(fingerprint)
            if entry is not None and self._deferred_by(entry.alert, now) is not None:
                continue
            response.reminded = True
            if entry is not None and entry.sent and response.acked_at < response.snoozed_at:
                again = f"{transition_key(fingerprint, State.FIRING)}:{int(until)}"
                yield Notification(msgspec.structs.replace(entry.alert, transition=again), self._audience(fingerprint))

    def _deferred_by(self, alert: Alert, now: float) -> DeferralReason | None:
        if any(window.covers(alert.stream, now) for window in self._windows):
            return DeferralReason.MAINTENANCE
        return DeferralReason.SNOOZE if now < self._snoozed.get(self.book.cause(alert), 0.0) else None
