"""Revisions of an alert: same identity, to those who had it, and at a time when they may be sent."""

from __future__ import annotations

import msgspec
import pytest

from monitor.alerting import alert as alerts
from monitor.alerting.alert import SEVERITY_NOW, Alert, Revised, is_grave_update, is_update
from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.annotation import Annotation, AnnotationAction
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.alerting.lifecycle.flapping import FlapDamping
from monitor.alerting.lifecycle.incident_fanout import Audience, Notification
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.rendering.samples import sample_finding
from monitor.detection.records.finding import Finding, Severity, State
from tests.alerting.lifecycle.test_dispatch import HOUR, T, window

ID = "bot/answer-0"


def finding(revision: int = 0, state: State = State.FIRING, stream: str = "bot/answer", **changed: object) -> Finding:
    made = sample_finding(state, stream=stream, time=T)
    events = 100 * revision if revision else None
    made = msgspec.structs.replace(made, id=f"{stream}-0", revision=revision, measured_events=events)
    return msgspec.structs.replace(made, **{"severity": Severity.WARNING, "segment": None, **changed})


def alert(revision: int = 0, state: State = State.FIRING, stream: str = "bot/answer", **changed: object) -> Alert:
    return from_finding(finding(revision, state, stream, **changed))


def dispatch(*windows: MaintenanceWindow, after: int = 3) -> Dispatch:
    return Dispatch(AlertBook(), windows, FlapDamping(after=after, within=HOUR))


def keys(sent: list[Notification]) -> list[str]:
    return [one.alert.transition for one in sent]


def test_a_revision_is_sent_once_under_a_key_that_is_its_alone() -> None:
    desk = dispatch()
    assert keys(desk.alert(alert(), T)) == [f"{ID}:firing"]
    (sent,) = desk.alert(alert(1), T + 60)
    assert sent.alert.transition == f"{ID}:firing:revision-1"
    assert (sent.to, sent.alert.labels) == (Audience.EVERYONE, desk.firing()[0].labels)
    assert is_update(sent.alert)
    assert desk.alert(alert(1), T + 61) == []
    assert desk.alert(alert(), T + 62) == []
    # What stands is the newest, and the outbox knows it by its first transition.
    assert [(one.revision, one.transition) for one in desk.firing()] == [(1, f"{ID}:firing")]
    assert keys(desk.alert(alert(1, State.RESOLVED), T + 70)) == [f"{ID}:resolved"]
    assert desk.alert(alert(2), T + 80) == []


def test_an_alert_that_was_never_seen_is_no_revision() -> None:
    """Its first transition is no longer in the log, or it was not reported before."""
    (sent,) = dispatch().alert(alert(2), T)
    assert sent.alert.transition == f"{ID}:firing"
    assert not is_update(sent.alert)


def test_information_that_fires_later_is_no_revision() -> None:
    desk = dispatch()
    desk.alert(alert(state=State.INFO), T)
    assert keys(desk.alert(alert(1), T + 1)) == [f"{ID}:firing"]


def test_what_changed_is_named() -> None:
    def revised(**changed: object) -> Alert:
        book = AlertBook()
        book.apply(alert())
        news = book.apply(alert(1, **changed))
        assert news is not None
        return news

    assert revised().revised == []
    assert revised(title="bot/answer: latency rose from 1 to 2 s").revised == [Revised.CAUSE]
    assert is_grave_update(revised(title="bot/answer: latency rose from 1 to 2 s"))
    known = finding().title
    figures = "".join("7" if letter.isdigit() else letter for letter in known)
    assert Revised.CAUSE not in revised(title=figures).revised
    assert not is_grave_update(revised(title=figures))
    assert revised(segment={"model.version": "b"}).revised == [Revised.SEGMENT]
    critical = revised(severity=Severity.CRITICAL)
    assert critical.revised == [Revised.SEVERITY]
    assert is_grave_update(critical)
    assert critical.labels["severity"] == "critical"
    assert critical.previous_labels == {**critical.labels, "severity": "warning"}


def test_a_lower_severity_is_said_and_changes_no_label() -> None:
    """Who was called for a critical alert must get its end."""
    book = AlertBook()
    book.apply(alert(severity=Severity.CRITICAL))
    news = book.apply(alert(1, severity=Severity.WARNING))
    assert news is not None
    assert (news.severity, news.labels["severity"]) == (Severity.CRITICAL, "critical")
    assert news.annotations[SEVERITY_NOW] == "warning"
    assert news.previous_labels is None
    assert not is_grave_update(news)


def test_another_segment_makes_no_other_alert_of_it() -> None:
    """Snoozes and flapping know a cause by its first segment: also at its end."""
    desk = dispatch(after=1)
    desk.alert(alert(), T)
    desk.alert(alert(1, segment={"model.version": "b"}), T + 1)
    desk.alert(alert(1, State.RESOLVED, segment={"model.version": "b"}), T + 2)
    again = msgspec.structs.replace(alert(), fingerprint="again", transition="again:firing")
    (sent,) = desk.alert(again, T + 3)
    assert sent.alert.title.startswith("Flapping: ")


def test_what_is_not_sent_yet_is_sent_as_the_revision_says_and_once() -> None:
    desk = dispatch(window(T, T + HOUR))
    assert desk.alert(alert(), T) == []
    assert desk.alert(alert(1), T + 60) == []
    (sent,) = desk.due(T + HOUR)
    assert (sent.alert.transition, sent.alert.revision) == (f"{ID}:firing", 1)
    assert desk.due(T + HOUR + 60) == []


def test_revisions_wait_for_the_end_of_a_window_or_a_snooze_and_come_as_one() -> None:
    desk = dispatch(window(T + 10, T + HOUR))
    assert keys(desk.alert(alert(), T)) == [f"{ID}:firing"]
    assert desk.alert(alert(1, severity=Severity.CRITICAL), T + 60) == []
    assert [one.severity for one in desk.firing()] == [Severity.WARNING]  # as receivers know it
    assert desk.alert(alert(2, severity=Severity.CRITICAL), T + 120) == []
    (sent,) = desk.due(T + HOUR)
    assert sent.alert.transition == f"{ID}:firing:revision-2"
    assert Revised.SEVERITY in sent.alert.revised
    assert sent.alert.previous_labels is not None
    assert sent.alert.previous_labels["severity"] == "warning"
    assert desk.due(T + HOUR + 60) == []


def test_what_ends_before_its_revision_was_sent_ends_under_the_labels_that_were_sent() -> None:
    desk = dispatch(window(T + 10, T + HOUR))
    desk.alert(alert(), T)
    desk.alert(alert(1, severity=Severity.CRITICAL), T + 60)
    (end,) = desk.alert(alert(1, State.RESOLVED, severity=Severity.CRITICAL), T + 70)
    assert end.alert.labels["severity"] == "warning"
    assert desk.due(T + HOUR) == []


def test_a_snooze_ends_with_the_newest_figures() -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    snooze = Annotation(fingerprint=ID, action=AnnotationAction.SNOOZE, time=T + 1, by="ada", until=T + HOUR)
    desk.annotation(snooze)
    assert desk.alert(alert(1), T + 60) == []
    sent = desk.due(T + HOUR)
    assert {one.alert.revision for one in sent} == {1}


def test_a_flapping_alert_is_not_sent_again() -> None:
    desk = dispatch(after=1)
    desk.alert(alert(), T)
    desk.alert(alert(state=State.RESOLVED), T + 1)
    flaps = msgspec.structs.replace(finding(), id="bot/answer-1")
    (sent,) = desk.alert(from_finding(flaps), T + 2)
    assert sent.alert.title.startswith("Flapping: ")
    newer = from_finding(msgspec.structs.replace(flaps, revision=1, measured_events=100))
    assert desk.alert(newer, T + 3) == []
    assert [one.title.startswith("Flapping: ") for one in desk.firing()] == [True]


@pytest.mark.parametrize("leads", [True, False])
def test_in_many_streams_people_get_revisions_of_the_alert_that_they_know(leads: bool) -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    desk.alert(alert(stream="other"), T + 1)
    sent = desk.alert(alert(1, stream="bot/answer" if leads else "other"), T + 2)
    assert [one.to for one in sent] == [Audience.EVERYONE if leads else Audience.EACH]
    worse = desk.alert(alert(2, stream="bot/answer" if leads else "other", severity=Severity.CRITICAL), T + 3)
    assert {one.to for one in worse} & {Audience.EVERYONE, Audience.INCIDENT}
    assert all(one.alert.severity is Severity.CRITICAL for one in worse)


def test_readers_of_before_take_a_revision_for_a_repetition() -> None:
    """They know `firing`, and that an alert enters each state once; fields that they do not know are left out."""
    record = msgspec.json.decode(alerts.encode(alert(1)))
    assert record["state"] == "firing"
    for field in ("revision", "measured_events", "revised", "previous_labels"):
        record.pop(field)
    assert alerts.decode(msgspec.json.encode(record)).revision == 0
