"""What people and deployments tell a stream, and what it does with it."""

from __future__ import annotations

import pytest

from monitor.detection import Control, ControlAction, Finding, State, StreamMonitor, StreamState
from monitor.errors import InvalidEvent
from tests.detection.streams import (
    CHARS,
    LATENCY,
    SENTIMENT,
    SETTINGS,
    WARMUP,
    WORDS,
    Traffic,
    calm,
    fired,
    named,
    replay,
    watch,
)


def commanded(monitor: StreamMonitor, action: ControlAction, **data: object) -> list[Finding]:
    found = monitor.control(Control(action=action, stream="s", time=1_000_000.0, by="test", data=data))
    return [finding for finding in found if not finding.is_update]


def longer(n: int, at: int, seed: int = 11) -> Traffic:
    traffic = calm(n, seed)
    traffic[CHARS][at:] *= 2
    traffic[WORDS][at:] *= 2
    return traffic


@pytest.mark.parametrize("stop", [600, 620, 700, 900])
def test_accepting_makes_what_fires_the_new_normal(stop: int) -> None:
    """At once, while the new normal is still being learned, and long after."""
    traffic = longer(2300, 500)
    traffic[LATENCY][1800:] *= 1.7
    monitor = watch()
    found = replay(monitor, traffic, 0, stop)
    assert len(fired(found)) == 1
    resolved = commanded(monitor, ControlAction.ACCEPT)
    assert [f.state for f in resolved] == [State.RESOLVED]
    assert resolved[0].id == found[0].id
    assert "accepted" in resolved[0].cause
    assert monitor.status().state is StreamState.STABLE
    assert replay(monitor, traffic, stop, 1800) == []
    later = fired(replay(monitor, traffic, 1800))
    assert [named(f) for f in later] == [{LATENCY}]
    assert 1800 <= later[0].raised_at.index < 1860
    if stop == 900:
        assert monitor.status().features[CHARS].reference == pytest.approx(1330, rel=0.2)


def test_going_back_to_what_was_normal_before_accepting_fires() -> None:
    traffic = longer(1800, 500)
    traffic[CHARS][1200:] /= 2
    traffic[WORDS][1200:] /= 2
    monitor = watch()
    replay(monitor, traffic, 0, 900)
    commanded(monitor, ControlAction.ACCEPT)
    found = fired(replay(monitor, traffic, 900))
    assert len(found) == 1
    assert 1200 <= found[0].raised_at.index < 1260
    assert {CHARS, WORDS} <= named(found[0])


def test_accepting_a_calm_stream_changes_nothing() -> None:
    traffic = calm(1500, 11)
    ordered, left_alone = watch(), watch()
    for monitor in (ordered, left_alone):
        replay(monitor, traffic, 0, 896)
    assert WARMUP + 32 * 21 + 24 == 896  # rows wait, which accepting judges first
    assert commanded(ordered, ControlAction.ACCEPT) == left_alone.close() == []
    assert ordered.snapshot() == left_alone.snapshot()
    assert replay(ordered, traffic, 896) == []


@pytest.mark.parametrize("action", [ControlAction.DEPLOY, ControlAction.PIN])
def test_a_deploy_or_a_pin_learns_anew_from_the_next_event_on(action: ControlAction) -> None:
    traffic = longer(1500, 605)
    traffic[LATENCY][1200:] *= 1.7
    monitor = watch()
    assert replay(monitor, traffic, 0, 605) == []
    assert commanded(monitor, action) == []
    assert monitor.status().state is StreamState.WARMING
    assert replay(monitor, traffic, 605, 605 + WARMUP - 1) == []
    assert monitor.status().state is StreamState.WARMING
    assert replay(monitor, traffic, 605 + WARMUP - 1, 1200) == []
    assert monitor.status().state is StreamState.STABLE
    assert monitor.status().features[CHARS].reference == pytest.approx(1330, rel=0.2)
    found = fired(replay(monitor, traffic, 1200))
    assert [named(f) for f in found] == [{LATENCY}]
    assert monitor.status().events == 1500


@pytest.mark.parametrize("action", [ControlAction.DEPLOY, ControlAction.PIN, ControlAction.ACCEPT])
def test_a_decision_resolves_what_fires(action: ControlAction) -> None:
    monitor = watch()
    found = fired(replay(monitor, longer(700, 500), 0, 700))
    assert monitor.status().firing == [found[0].id]
    resolved = commanded(monitor, action)
    assert [(f.id, f.state) for f in resolved] == [(found[0].id, State.RESOLVED)]
    assert monitor.status().firing == []


def test_a_decision_judges_the_rows_before_it_first() -> None:
    traffic = longer(626, 617)  # a block ends with 615; the next is not full
    traffic[CHARS][617:] *= 10
    traffic[WORDS][617:] *= 10
    monitor = watch()
    assert replay(monitor, traffic) == []
    states = [f.state for f in commanded(monitor, ControlAction.DEPLOY)]
    assert states == [State.FIRING, State.RESOLVED]


def test_a_pinned_reference_never_matures() -> None:
    """So evidence of a pinned stream does not depend on what a longer reference would have learned."""
    traffic = calm(1400, 13)

    def evidence(action: ControlAction, mature: int) -> float:
        monitor = watch(SETTINGS.model_copy(update={"mature": mature}))
        commanded(monitor, action)
        replay(monitor, traffic)
        return monitor.status().log_evidence

    assert evidence(ControlAction.PIN, 2000) == evidence(ControlAction.PIN, 0) == evidence(ControlAction.DEPLOY, 0)
    assert evidence(ControlAction.DEPLOY, 2000) != evidence(ControlAction.PIN, 2000)


def test_settings_apply_from_where_they_stand_and_leave_the_others_alone() -> None:
    traffic = calm(1600, 14)
    traffic[LATENCY][700:] *= 2
    monitor = watch()
    assert replay(monitor, traffic, 0, 700) == []
    before = monitor.settings
    assert commanded(monitor, ControlAction.SETTINGS, alert_on=["output"], alert_budget="1 per 60d") == []
    assert monitor.settings.alert_on == ("output",)
    assert monitor.settings.alert_budget == (1.0, 60 * 86400.0)
    assert monitor.settings.warmup == before.warmup
    found = replay(monitor, traffic, 700)
    assert fired(found) == []
    assert any(f.state is State.INFO and LATENCY in named(f) for f in found)
    twin = watch()
    assert fired(replay(twin, traffic))


def test_settings_that_ask_for_more_within_the_warm_up_begin_it_anew() -> None:
    """While a stream warms up it holds what is watched and no more."""
    traffic = calm(1600, 14)
    traffic[SENTIMENT][900:] -= 0.8
    narrow, wide = (watch(SETTINGS.model_copy(update={"features": of})) for of in ((CHARS, WORDS), ("*",)))
    for monitor in (narrow, wide):
        replay(monitor, traffic, 0, 150)
    assert len(narrow.snapshot()) < len(wide.snapshot())
    commanded(narrow, ControlAction.SETTINGS, features=["*"])
    assert narrow.status().state is StreamState.WARMING
    replay(narrow, traffic, 150, 150 + WARMUP - 1)
    assert narrow.status().state is StreamState.WARMING
    found = fired(replay(narrow, traffic, 150 + WARMUP - 1))
    assert SENTIMENT in named(found[0])
    assert found[0].raised_at.index >= 900


def test_settings_survive_a_snapshot() -> None:
    monitor = watch()
    commanded(monitor, ControlAction.SETTINGS, silence_after=30, alert_budget="0.12345678901 per 1234567.25s")
    restored = watch()
    restored.restore(monitor.snapshot())
    assert restored.settings == monitor.settings


def test_settings_that_make_no_sense_are_refused_and_change_nothing() -> None:
    """Neither do they swallow what waits: a row that fires behind such a message fires all the same."""
    traffic = longer(626, 617)
    for name in (CHARS, WORDS):
        traffic[name][617:] *= 10
    monitor = watch()
    replay(monitor, traffic)
    before = monitor.snapshot()
    for data in ({"warmup": 5}, {"alert_budget": "often"}, {"no_such": 1}):
        with pytest.raises(InvalidEvent, match="wrong_settings"):
            commanded(monitor, ControlAction.SETTINGS, **data)
    assert monitor.snapshot() == before
    assert fired(monitor.close())
