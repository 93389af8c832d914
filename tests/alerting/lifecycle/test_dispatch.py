"""What people are told, and when: windows, snoozes, flapping, and what they say themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from monitor.alerting.alert import Alert
from monitor.alerting.alert import encode as encode_alert
from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.annotation import Annotation, AnnotationAction, decode_record, encode
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.budget import spent
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.alerting.lifecycle.flapping import FlapDamping
from monitor.alerting.lifecycle.incident_fanout import Audience, Notification
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.lifecycle.responses import DeferralReason, FalseAlarm
from monitor.alerting.lifecycle.transitions import is_acknowledgement
from monitor.alerting.rendering.alert_facts import resolved_because
from monitor.alerting.rendering.plain_text import block
from monitor.alerting.rendering.samples import sample_finding
from monitor.detection.records.finding import State

T = datetime(2026, 11, 23, 3, 0, tzinfo=UTC).timestamp()
HOUR = 3_600.0


def alert(number: int = 0, state: State = State.FIRING, stream: str = "bot/answer") -> Alert:
    """The `number`th alert of one cause in a stream."""
    finding = sample_finding(state, stream=stream, time=T)
    return from_finding(msgspec.structs.replace(finding, id=f"{stream}-{number}"))


def say(action: AnnotationAction, time: float, number: int = 0, until: float | None = None) -> Annotation:
    return Annotation(fingerprint=f"bot/answer-{number}", action=action, time=time, by="ada", until=until)


def dispatch(*windows: MaintenanceWindow, after: int = 3) -> Dispatch:
    return Dispatch(AlertBook(), windows, FlapDamping(after=after, within=HOUR))


def window(start: float, end: float, match: str = "*") -> MaintenanceWindow:
    return MaintenanceWindow(
        match=match, start=datetime.fromtimestamp(start, UTC), end=datetime.fromtimestamp(end, UTC)
    )


def told(tellings: list[Notification]) -> list[str]:
    assert {telling.to for telling in tellings} <= {Audience.EVERYONE}
    return [telling.alert.transition for telling in tellings]


def test_without_any_of_it_everything_is_told_at_once_and_once() -> None:
    desk = dispatch()
    assert told(desk.alert(alert(), T)) == ["bot/answer-0:firing"]
    assert desk.alert(alert(), T) == []
    assert told(desk.standing()) == ["bot/answer-0:firing"]
    assert told(desk.alert(alert(state=State.RESOLVED), T)) == ["bot/answer-0:resolved"]
    assert desk.firing() == []
    assert desk.due(T + 1e9) == []


def test_what_fires_in_a_window_is_told_when_it_ends() -> None:
    desk = dispatch(window(T, T + HOUR, "bot/*"))
    assert desk.alert(alert(), T) == []
    assert desk.deferred(T) == {DeferralReason.MAINTENANCE: 1}
    assert desk.firing() == []
    assert told(desk.alert(alert(stream="other"), T)) == ["other-0:firing"]
    assert told(desk.alert(alert(state=State.RESOLVED, stream="other"), T)) == ["other-0:resolved"]
    assert desk.due(T + HOUR - 1) == []
    assert told(desk.due(T + HOUR)) == ["bot/answer-0:firing"]
    assert desk.due(T + HOUR + 1) == []
    assert told(desk.alert(alert(state=State.RESOLVED), T + 2 * HOUR)) == ["bot/answer-0:resolved"]


def test_what_comes_and_goes_in_a_window_is_never_told() -> None:
    desk = dispatch(window(T, T + HOUR))
    assert desk.alert(alert(), T + 1) == []
    assert desk.alert(alert(state=State.RESOLVED), T + 2) == []
    assert desk.due(T + 2 * HOUR) == []


def test_what_was_told_before_a_window_is_resolved_in_it() -> None:
    desk = dispatch(window(T, T + HOUR))
    desk.alert(alert(), T - 1)
    assert told(desk.alert(alert(state=State.RESOLVED), T + 1)) == ["bot/answer-0:resolved"]


def test_a_snooze_keeps_the_cause_quiet_and_tells_it_again_at_its_end() -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    assert desk.annotation(say(AnnotationAction.SNOOZE, T + 1, until=T + 2 * HOUR)) == []
    assert desk.due(T + 2 * HOUR - 1) == []
    assert told(desk.due(T + 2 * HOUR)) == [f"bot/answer-0:firing:{int(T + 2 * HOUR)}"]
    assert desk.due(T + 3 * HOUR) == []


def test_the_same_trouble_again_during_a_snooze_waits_for_its_end() -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    desk.annotation(say(AnnotationAction.SNOOZE, T + 1, until=T + 2 * HOUR))
    assert told(desk.alert(alert(state=State.RESOLVED), T + 2)) == ["bot/answer-0:resolved"]
    assert desk.alert(alert(1), T + 3) == []
    assert desk.deferral("bot/answer-1", T + 4) is DeferralReason.SNOOZE
    assert told(desk.due(T + 2 * HOUR)) == ["bot/answer-1:firing"]


def test_a_snooze_that_somebody_takes_over_is_not_reminded_of() -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    desk.annotation(say(AnnotationAction.ACK, T + 1))
    desk.annotation(say(AnnotationAction.SNOOZE, T + 2, until=T + HOUR))
    assert len(desk.due(T + HOUR)) == 1  # acknowledged before: who snoozes wants to hear of it
    desk.annotation(say(AnnotationAction.SNOOZE, T + HOUR + 1, until=T + 2 * HOUR))
    desk.annotation(say(AnnotationAction.ACK, T + HOUR + 2))
    assert desk.due(T + 2 * HOUR) == []


def test_a_snooze_can_be_ended() -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    desk.annotation(say(AnnotationAction.SNOOZE, T, until=T + 9 * HOUR))
    desk.annotation(say(AnnotationAction.SNOOZE, T + 5, until=T + 5))
    assert told(desk.due(T + 6)) == [f"bot/answer-0:firing:{int(T + 5)}"]


def test_taking_an_alert_is_told_to_those_who_call_people() -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    ((one, _),) = map(astuple, desk.annotation(say(AnnotationAction.ACK, T + 1)))
    assert is_acknowledgement(one)
    assert one.fingerprint == "bot/answer-0"
    assert desk.response("bot/answer-0").acked_by == "ada"
    assert not is_acknowledgement(alert())


def test_a_false_alarm_is_over_at_once_and_counted_once() -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    ((over, _),) = map(astuple, desk.annotation(say(AnnotationAction.FALSE_ALARM, T + 1)))
    assert over.transition == "bot/answer-0:resolved"
    assert resolved_because(over) == "marked a false alarm by ada"
    assert "marked a false alarm by ada" in block(over)
    assert desk.annotation(say(AnnotationAction.FALSE_ALARM, T + 2)) == []
    assert desk.alert(alert(state=State.RESOLVED), T + 3) == []
    assert desk.firing() == []
    assert desk.false_alarms == {"bot/answer-0": FalseAlarm("bot/answer", "silent_update", T + 1)}


def test_an_alert_that_has_resolved_can_still_be_called_false() -> None:
    desk = dispatch()
    desk.alert(alert(), T)
    desk.alert(alert(state=State.RESOLVED), T + 1)
    assert desk.annotation(say(AnnotationAction.FALSE_ALARM, T + 2)) == []
    assert len(desk.false_alarms) == 1


def cycle(desk: Dispatch, number: int, time: float) -> list[str]:
    return [*told(desk.alert(alert(number), time)), *told(desk.alert(alert(number, State.RESOLVED), time + 60))]


def test_what_comes_and_goes_is_one_alert_after_the_third_time() -> None:
    desk = dispatch()
    for number in range(3):
        assert len(cycle(desk, number, T + 600 * number)) == 2
    ((flapping, _),) = map(astuple, desk.alert(alert(3), T + 1_800))
    assert flapping.title.startswith("Flapping: ")
    assert flapping.labels == {
        **alert(3).labels,
        "incident": flapping.labels["incident"],
    }  # a receiver knows it by them
    assert desk.alert(alert(3, State.RESOLVED), T + 1_860) == []
    for number in range(4, 20):
        assert cycle(desk, number, T + 600 * number) == []
    assert told(desk.standing()) == ["bot/answer-3:firing"]
    last = T + 600 * 19 + 60
    assert desk.due(last + HOUR - 1) == []
    ((over, _),) = map(astuple, desk.due(last + HOUR))
    assert over.transition == "bot/answer-3:resolved"
    assert desk.firing() == []
    # And then it starts afresh.
    assert len(cycle(desk, 30, last + 3 * HOUR)) == 2


def test_what_fires_while_flapping_is_not_over_however_long() -> None:
    desk = dispatch(after=1)
    cycle(desk, 0, T)
    desk.alert(alert(1), T + 100)
    desk.alert(alert(1, State.RESOLVED), T + 200)
    desk.alert(alert(2), T + 300)
    assert desk.deferred(T + 300) == {DeferralReason.FLAPPING: 1}
    assert desk.due(T + 99 * HOUR) == []
    assert desk.alert(alert(2, State.RESOLVED), T + 100 * HOUR) == []
    assert told(desk.due(T + 101 * HOUR)) == ["bot/answer-1:resolved"]


def test_coming_and_going_slowly_is_no_flapping() -> None:
    desk = dispatch()
    for number in range(9):
        assert len(cycle(desk, number, T + 0.5 * HOUR * number)) == 2


def test_what_fired_before_the_flapping_began_is_told_to_be_over() -> None:
    desk = dispatch(after=1)
    desk.alert(alert(7), T)
    cycle(desk, 0, T + 1)
    assert told(desk.alert(alert(1), T + 100)) == ["bot/answer-1:firing"]
    assert told(desk.alert(alert(7, State.RESOLVED), T + 200)) == ["bot/answer-7:resolved"]
    desk.alert(alert(1, State.RESOLVED), T + 300)
    assert told(desk.due(T + 300 + HOUR)) == ["bot/answer-1:resolved"]
    assert desk.firing() == []


def test_calling_the_flapping_alert_false_ends_it() -> None:
    desk = dispatch(after=1)
    cycle(desk, 0, T)
    desk.alert(alert(1), T + 100)
    assert told(desk.annotation(say(AnnotationAction.FALSE_ALARM, T + 200, 1))) == ["bot/answer-1:resolved"]
    assert desk.firing() == []
    assert told(desk.alert(alert(2), T + 300)) == ["bot/answer-2:firing"]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["fire", "resolve", "ack", "snooze", "false"]), st.integers(0, 5), st.floats(1, 2_000),
    ),
    max_size=40,
)  # fmt: skip


def replayed(events: list[tuple[str, int, float]], *, ask: bool) -> tuple[set[str], Dispatch, float]:
    desk = dispatch(window(T + 3_000, T + 6_000), after=2)
    said: list[Notification] = []
    now = T
    for what, number, wait in events:
        if ask:
            for part in range(1, 4):
                said += desk.due(now + wait * part / 4)
        now += wait
        if what in ("fire", "resolve"):
            said += desk.alert(alert(number, State.FIRING if what == "fire" else State.RESOLVED), now)
        else:
            action = {
                "ack": AnnotationAction.ACK,
                "snooze": AnnotationAction.SNOOZE,
                "false": AnnotationAction.FALSE_ALARM,
            }[what]
            said += desk.annotation(say(action, now, number, until=now + 1_500))
    said += desk.due(now + 1)
    return set(told(said)), desk, now


@given(EVENTS)
@settings(max_examples=200, deadline=None)
def test_a_restart_that_reads_it_all_at_once_knows_the_same(events: list[tuple[str, int, float]]) -> None:
    asked, one, now = replayed(events, ask=True)
    unasked, other, _ = replayed(events, ask=False)
    assert told(one.standing()) == told(other.standing())
    # Asked late, a reminder or release of what has gone meanwhile is rightly not told.
    assert unasked <= asked
    assert one.deferred(now) == other.deferred(now)


@given(EVENTS)
@settings(max_examples=200, deadline=None)
def test_whatever_was_told_is_told_to_be_over_in_the_end(events: list[tuple[str, int, float]]) -> None:
    asked, desk, now = replayed(events, ask=True)
    for number in range(6):
        asked |= set(told(desk.alert(alert(number, State.RESOLVED), now + 2)))
    asked |= set(told(desk.due(now + 1e6)))
    assert desk.firing() == []
    fired = {key.split(":")[0] for key in asked if ":firing" in key}
    assert {f"{key}:resolved" for key in fired} <= asked


def test_a_record_of_the_log_is_an_alert_or_an_annotation() -> None:
    said = say(AnnotationAction.SNOOZE, T, until=T + 1)
    assert decode_record(encode(said)) == said
    assert decode_record(encode_alert(alert())) == alert()
    for junk in (b"", b"[]", b"{}", b'{"record": "annotation"}', b'{"record": 7}', b"\xff"):
        with pytest.raises(msgspec.DecodeError):
            decode_record(junk)


def test_the_budget_counts_its_latest_period() -> None:
    alarms = [FalseAlarm("a", "drift", T), FalseAlarm("a", "drift", T - 5), FalseAlarm("b", "drift", T - 99)]
    budgets = {"a": (4.0, 10.0), "b": (1.0, 50.0)}
    assert spent(alarms, budgets.__getitem__, T) == {"a": 0.5, "b": 0.0}
    assert spent([], budgets.__getitem__, T) == {}
