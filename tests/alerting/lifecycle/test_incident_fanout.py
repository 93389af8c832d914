"""One cause in many streams: everything to those that take every alert, one incident to those whom it wakes."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerting.alert import Alert
from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.annotation import Annotation, AnnotationAction
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.alerting.lifecycle.incident_fanout import SPREAD_SETTLED_S, Audience, Notification
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.lifecycle.transitions import is_acknowledgement
from monitor.alerting.rendering.alert_facts import resolved_because
from monitor.alerting.rendering.plain_text import block
from monitor.alerting.rendering.samples import sample_finding
from monitor.detection.records.finding import FindingKind, Severity, State

T = datetime(2026, 11, 23, 3, 0, tzinfo=UTC).timestamp()
MANY = 200


def alert(
    stream: str,
    state: State = State.FIRING,
    *,
    number: int = 0,
    kind: FindingKind = FindingKind.SILENT_UPDATE,
    severity: Severity = Severity.WARNING,
    model: str | None = "gpt-x",
    route: str = "default",
    time: float = T,
) -> Alert:
    finding = sample_finding(state, stream=stream, time=time)
    finding = msgspec.structs.replace(
        finding, id=f"{stream}-{number}", kind=kind, severity=severity, model=model, segment=None
    )
    return from_finding(finding, route=route)


def heard(tellings: list[Notification], by: Audience) -> list[str]:
    """Transitions that a receiver of this sort is told."""
    return [one.alert.transition for one in tellings if one.to in (Audience.EVERYONE, by)]


class Ears:
    """Both sorts of receivers behind one dispatch."""

    def __init__(self, *windows: MaintenanceWindow) -> None:
        self.desk = Dispatch(AlertBook(), windows)
        self.each: list[str] = []
        self.people: list[str] = []
        self.latest: Alert | None = None

    def hear(self, tellings: list[Notification]) -> list[str]:
        """What people are told of these."""
        self.each += heard(tellings, Audience.EACH)
        news = heard(tellings, Audience.INCIDENT)
        self.people += news
        for telling in tellings:
            if telling.to is not Audience.EACH:
                self.latest = telling.alert
        return news

    def fire(self, stream: str, at: float = 0.0, **how: object) -> list[str]:
        return self.hear(self.desk.alert(alert(stream, time=T + at, **how), T + at))  # type: ignore[arg-type]

    def resolve(self, stream: str, at: float = 0.0, **how: object) -> list[str]:
        return self.hear(self.desk.alert(alert(stream, State.RESOLVED, **how), T + at))  # type: ignore[arg-type]

    def wait(self, until: float) -> list[str]:
        return self.hear(self.desk.due(T + until))

    def say(self, action: AnnotationAction, stream: str, at: float) -> list[str]:
        said = Annotation(fingerprint=f"{stream}-0", action=action, time=T + at, by="ada")
        return self.hear(self.desk.annotation(said))


def test_an_update_seen_in_two_hundred_streams_is_one_incident() -> None:
    ears = Ears()
    streams = [f"team-{i:03}/answer" for i in range(MANY)]
    assert ears.fire(streams[0]) == ["team-000/answer-0:firing"]
    for i, stream in enumerate(streams[1:], start=1):
        assert ears.fire(stream, 0.2 * i) == []
    last = 0.2 * (MANY - 1)
    assert ears.wait(last + SPREAD_SETTLED_S - 1) == []
    assert ears.wait(last + SPREAD_SETTLED_S) == ["team-000/answer-0:firing:200-streams"]
    assert ears.latest is not None
    assert ears.latest.title.startswith("200 streams: ")
    assert "200 streams, which all use gpt-x" in ears.latest.cause
    assert (ears.latest.streams, len(ears.latest.also_in)) == (200, 10)
    assert "and 189 more" in " ".join(block(ears.latest).split())
    assert ears.wait(last + 3_600) == []

    assert len(ears.each) == len(set(ears.each)) == MANY
    for i, stream in enumerate(streams):
        over = ears.resolve(stream, 4_000 + i)
        assert over == (["team-000/answer-0:resolved"] if i == MANY - 1 else [])
    assert "none of its 200 streams" in resolved_because(ears.latest)
    assert len(ears.each) == len(set(ears.each)) == 2 * MANY
    assert ears.desk.firing() == []
    # Had it been 200 streams with 200 pages, people had heard 400 messages; they heard:
    assert len(ears.people) == 3


@pytest.mark.parametrize("kind", [FindingKind.DRIFT, FindingKind.FORMAT, FindingKind.REFUSAL])
def test_one_update_has_many_faces(kind: FindingKind) -> None:
    ears = Ears()
    ears.fire("a")
    assert ears.fire("b", 1, kind=kind) == []


@pytest.mark.parametrize(
    "other",
    [
        {"model": "another"},
        {"kind": FindingKind.DEPENDENCY},
        {"route": "search"},  # other people
        {"at": 1_801.0},
    ],
)
def test_another_cause_or_other_people_are_told_of_their_own(other: dict[str, object]) -> None:
    ears = Ears()
    ears.fire("a")
    at = other.pop("at", 1.0)
    assert ears.fire("b", at, **other) == ["b-0:firing"]  # type: ignore[arg-type]


def test_a_second_change_in_the_same_stream_is_told() -> None:
    ears = Ears()
    ears.fire("a")
    ears.fire("b", 1)
    assert ears.fire("a", 2, number=1) == ["a-1:firing"]
    assert ears.fire("b", 3, number=1) == []  # and its fleet, too, once
    assert ears.resolve("b", 4, number=1) == []
    assert ears.resolve("a", 5, number=1) == ["a-1:resolved"]
    assert ears.resolve("a", 6) == []
    assert ears.resolve("b", 7) == ["a-0:resolved"]


def test_what_is_worse_than_what_people_know_is_told_at_once_under_the_same_id() -> None:
    ears = Ears()
    ears.fire("a")
    assert ears.fire("b", 1, severity=Severity.CRITICAL) == ["a-0:firing:critical"]
    assert ears.latest is not None
    assert (ears.latest.fingerprint, ears.latest.severity, ears.latest.labels["severity"]) == (
        "a-0",
        Severity.CRITICAL,
        "critical",
    )
    assert ears.fire("c", 2, severity=Severity.CRITICAL) == []
    for stream in "abc":
        ears.resolve(stream, 9)
    assert ears.people[-1] == "a-0:resolved"
    assert ears.latest.severity is Severity.CRITICAL  # a receiver of critical alerts alone hears that it is over


def test_an_incident_that_ended_and_comes_again_is_told_again() -> None:
    ears = Ears()
    ears.fire("a")
    ears.resolve("a", 1)
    assert ears.fire("b", 2) == ["b-0:firing"]


def test_it_spreads_in_doublings() -> None:
    ears = Ears()
    told = []
    for i in range(33):
        told += ears.fire(f"s{i:02}", 100.0 * i)
        told += ears.wait(100.0 * i + SPREAD_SETTLED_S)
    assert told == ["s00-0:firing", *(f"s00-0:firing:{count}-streams" for count in (2, 4, 8, 16, 32))]


def test_who_takes_one_alert_of_it_takes_the_incident() -> None:
    ears = Ears()
    ears.fire("a")
    ears.fire("b", 1)
    assert ears.say(AnnotationAction.ACK, "b", 2) == ["a-0:acknowledged"]
    assert "b-0:acknowledged" in ears.each
    assert ears.latest is not None
    assert is_acknowledgement(ears.latest)


def test_a_false_alarm_in_one_stream_leaves_the_others() -> None:
    ears = Ears()
    ears.fire("a")
    ears.fire("b", 1)
    assert ears.say(AnnotationAction.FALSE_ALARM, "a", 2) == []
    assert ears.each[-1] == "a-0:resolved"
    assert ears.say(AnnotationAction.FALSE_ALARM, "b", 3) == ["a-0:resolved"]


def test_a_stream_in_maintenance_does_not_lead() -> None:
    until = datetime.fromtimestamp(T + 3_000, UTC)
    ears = Ears(MaintenanceWindow(match="a", start=datetime.fromtimestamp(T - 1, UTC), end=until))
    assert ears.fire("a") == []
    assert ears.fire("b", 1) == ["b-0:firing"]
    assert ears.wait(2_999) == []
    assert ears.wait(3_000) == []  # released into an incident that people know
    assert ears.each == ["b-0:firing", "a-0:firing"]


SAID = ("fire", "resolve", "false", "ack")
EVENTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.sampled_from(SAID), st.floats(0, 900)), max_size=40
)


@given(EVENTS)
@settings(max_examples=200)
def test_both_hear_of_an_end_of_all_that_they_heard_of_once(events: list[tuple[str, int, str, float]]) -> None:
    ears, now = Ears(), 0.0
    for stream, number, what, wait in events:
        ears.wait(now + wait / 2)
        now += wait
        if what == "fire":
            ears.fire(stream, now, number=number)
        elif what == "resolve":
            ears.resolve(stream, now, number=number)
        else:
            ears.say({"false": AnnotationAction.FALSE_ALARM, "ack": AnnotationAction.ACK}[what], stream, now)
    for stream in "abcd":
        for number in range(3):
            ears.resolve(stream, now + 1, number=number)
    ears.wait(now + 1e6)
    assert ears.desk.firing() == []
    for heard_of in (ears.each, ears.people):
        assert len(set(heard_of)) == len(heard_of) or any(":acknowledged" in key for key in heard_of)
        fired = {key.split(":")[0] for key in heard_of if ":firing" in key}
        assert {f"{key}:resolved" for key in fired} <= set(heard_of)
    assert {key for key in ears.people if key.endswith(":firing")} <= set(ears.each)
