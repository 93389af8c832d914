"""Fixed thresholds of a stream: they alert as such, end by themselves, and say where they cannot tell."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detection import Control, ControlAction, DetectionSettings, Finding, FindingKind, State, StreamMonitor
from monitor.detection.records.finding import Ended, Severity
from monitor.detection.stream.newcomer import can_wait
from monitor.features.families.dependencies import Called
from tests.detection.streams import (
    LANGUAGE,
    LATENCY,
    REFUSAL,
    SPECS,
    Traffic,
    calm,
    decoded,
    fired,
    one_column,
    recoded,
    replay,
    watch,
)

FAST = {"name": "fast", "feature": LATENCY, "p95": "< 3s", "window": "500 events"}
REFUSED = {"name": "refused", "feature": REFUSAL, "share": "< 10%", "window": "15m"}


def limited(*thresholds: dict[str, Any], **more: Any) -> DetectionSettings:
    return DetectionSettings.model_validate({"warmup": 200, "mature": 600, "thresholds": thresholds, **more})


def of_thresholds(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.kind is FindingKind.THRESHOLD]


def slow(n: int = 3000, start: int = 1000, stop: int = 1400, seed: int = 1) -> Traffic:
    traffic = calm(n, seed=seed)
    traffic[LATENCY][start:stop] += 3.0
    return traffic


def test_it_fires_with_its_value_and_limit_and_ends_by_itself() -> None:
    found = of_thresholds(replay(watch(limited(FAST)), slow()))
    assert [f.state for f in found] == [State.FIRING, State.RESOLVED]
    first, last = found
    assert first.title.startswith("s: p95 latency ")
    assert first.title.endswith(", limit 3 s (last 500 events)")
    assert (first.severity, first.runbook) == (Severity.WARNING, "runbooks/threshold.md")
    assert 1000 <= first.began_at.index <= first.raised_at.index < 1060
    assert first.examples.after == [excerpt.event_id for excerpt in first.excerpts_after]
    assert last.resolution is not None
    assert last.resolution.how is Ended.RECOVERED
    assert "inside the limit of 3 s again" in last.resolution.why
    # By a tenth of the limit: 2.7 s, which the window reaches when hardly one slow call in twenty is in it.
    assert 1800 < last.raised_at.index + (last.resolution.lasted_events or 0) < 2000


def test_it_takes_nothing_of_the_budget_of_drift_and_hides_none() -> None:
    """The same drift, with and without thresholds: the same findings, beside those of the thresholds."""
    without = replay(watch(limited()), slow(stop=3000))
    both = replay(watch(limited(FAST, REFUSED)), slow(stop=3000))
    assert any(f.kind is FindingKind.LATENCY for f in without)
    assert [f for f in both if f.kind is not FindingKind.THRESHOLD] == without
    assert len(of_thresholds(both)) == 1


def test_it_is_judged_before_the_reference_is_learned() -> None:
    found = of_thresholds(replay(watch(limited(FAST)), slow(200, 0, 200)))
    assert [f.raised_at.index for f in found] == [49]  # the first look with the 40 events that it needs


def test_what_detection_leaves_out_is_limited_all_the_same() -> None:
    found = of_thresholds(replay(watch(limited(FAST, exclude=["call.*"])), slow()))
    assert [f.state for f in found] == [State.FIRING, State.RESOLVED]


@pytest.mark.parametrize("features", [(), ("output.nothing",)])
def test_with_too_few_events_it_says_that_it_cannot_tell(features: tuple[str, ...]) -> None:
    threshold = {**FAST, "feature": features[0]} if features else FAST
    monitor = watch(limited(threshold))
    assert not of_thresholds(replay(monitor, slow(30, 0, 30)))
    (status,) = monitor.status().thresholds
    assert (status.state, status.value) == ("unknown", None)
    assert "cannot tell" in status.words
    assert f"{0 if features else 30} of the 40 events that it needs" in status.words


def test_where_traffic_stops_an_alert_stays_open_and_is_called_unknown() -> None:
    monitor = watch(limited({**REFUSED, "at_least": 100}))
    traffic = calm(1000, seed=2)
    traffic[REFUSAL][:] = 1.0
    assert len(of_thresholds(replay(monitor, traffic))) == 1
    last = float(traffic.times[-1])
    found = [f for tick in range(5, 7200, 5) if monitor.waits_for(last + tick) for f in monitor.tick(last + tick)]
    assert not of_thresholds(found)
    assert [f.kind for f in monitor.firing() if f.kind is FindingKind.THRESHOLD]
    (status,) = monitor.status().thresholds
    assert (status.state, status.firing) == ("unknown", True)
    assert "cannot tell" in status.words
    assert "stays open" in status.words


def test_time_alone_ends_what_only_the_oldest_events_broke() -> None:
    monitor = watch(limited({"name": "many", "rate": "< 100 per min", "window": "10m"}))
    traffic = calm(3000, seed=2, every=0.5)
    (found,) = of_thresholds(replay(monitor, traffic))
    assert "limit 100 per min" in found.title
    last = float(traffic.times[-1])
    ended = [f for tick in range(5, 3600, 5) if monitor.waits_for(last + tick) for f in monitor.tick(last + tick)]
    assert [f.state for f in of_thresholds(ended)] == [State.RESOLVED]


def test_a_single_event_is_enough_for_an_extreme() -> None:
    traffic = calm(400, seed=3)
    traffic[LATENCY][123] = 30.0
    found = of_thresholds(replay(watch(limited({"name": "hangs", "feature": LATENCY, "max": "< 20s"})), traffic))
    assert [(f.state, f.raised_at.index) for f in found] == [(State.FIRING, 123)]
    assert "largest latency 30 s, limit 20 s (last 124 events)" in found[0].title


def test_shares_of_flags_categories_dependencies_and_attributes() -> None:
    traffic = calm(500, seed=4)
    traffic[REFUSAL][200:] = 1.0
    traffic.categories[LANGUAGE][200:] = ["de"] * 300
    traffic.calls = [{"orders": Called(5.0 if i >= 200 else 0.1, False, None)} for i in range(500)]
    for i in range(500):
        traffic.segments[i]["attributes.tenant"] = "acme" if i >= 200 else "other"
    thresholds = [
        {"name": "refused", "feature": REFUSAL, "share": "< 20%"},
        {"name": "german", "feature": LANGUAGE, "value": "de", "share": "< 40%"},
        {"name": "orders", "feature": "call.dependency.duration_s[orders]", "median": "< 1s"},
        {"name": "acme", "feature": "attributes.tenant", "value": "acme", "share": "< 40%"},
    ]
    found = {f.title for f in fired(of_thresholds(replay(watch(limited(*thresholds)), traffic)))}
    assert len(found) == 4
    assert any("time in orders 5 s, limit 1 s" in title for title in found)
    assert any("attribute tenant=acme in " in title for title in found)


def test_changing_it_ends_its_alert_and_only_its_own() -> None:
    monitor = watch(limited(FAST, {**FAST, "name": "faster", "p95": "< 2.9s"}))
    assert len(of_thresholds(replay(monitor, slow(), stop=1300))) == 2
    changed = limited({**FAST, "p95": "< 9s"}, {**FAST, "name": "faster", "p95": "< 2.9s"}).model_dump(mode="json")
    ended = of_thresholds(monitor.control(Control(action=ControlAction.SETTINGS, stream="s", data=changed, by="ada")))
    assert [(f.state, f.resolution.how) for f in ended if f.resolution] == [(State.RESOLVED, Ended.REPLACED)]
    assert len([f for f in monitor.firing() if f.kind is FindingKind.THRESHOLD]) == 1


@pytest.mark.parametrize("action", [ControlAction.ACCEPT, ControlAction.DEPLOY, ControlAction.PIN])
def test_what_is_accepted_as_normal_is_still_outside_of_a_fixed_limit(action: ControlAction) -> None:
    monitor = watch(limited(FAST))
    replay(monitor, slow(stop=3000), stop=1300)
    monitor.control(Control(action=action, stream="s", by="ada"))
    assert [f.kind for f in monitor.firing()] == [FindingKind.THRESHOLD]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 20), st.lists(st.integers(1, 1499), max_size=5), st.integers(1, 1499))
def test_neither_the_cut_of_batches_nor_a_snapshot_changes_what_is_found(seed: int, cuts: list[int], cut: int) -> None:
    traffic = slow(1500, 400, 800, seed)
    traffic.times[600:] += 5000.0  # a pause
    chosen = limited(FAST, REFUSED, {"name": "hangs", "feature": LATENCY, "max": "< 6s", "window": "100 events"})
    whole = watch(chosen).observe(traffic.batch())
    monitor, parts = watch(chosen), []
    for batch in traffic.batches([*cuts, cut]):
        parts += monitor.observe(batch)
        again = StreamMonitor("s", specs=SPECS)
        again.restore(monitor.snapshot())
        assert again.snapshot() == monitor.snapshot()
        monitor = again
    assert parts == whole
    assert of_thresholds(whole)


def test_a_snapshot_from_before_there_were_thresholds_restores() -> None:
    monitor = watch(limited())
    replay(monitor, slow(), stop=900)
    state = decoded(monitor.snapshot())
    del state["thresholds"], state["settings"]["thresholds"]
    old = StreamMonitor("s", specs=SPECS)
    old.restore(recoded(state))
    assert old.status() == monitor.status()


def test_a_name_with_a_few_events_waits_unless_they_may_decide() -> None:
    assert can_wait(limited(FAST))
    assert not can_wait(limited({"name": "hangs", "feature": LATENCY, "max": "< 20s"}))


def test_events_without_times_are_no_part_of_a_length_of_time() -> None:
    traffic = one_column(np.full(500, 9.0), LATENCY)
    traffic.times[:] = np.nan
    monitor = watch(limited({**FAST, "window": "30m"}, FAST | {"name": "counted"}))
    found = of_thresholds(replay(monitor, traffic))
    assert len(found) == 1
    assert [each.state for each in monitor.status().thresholds] == ["unknown", "outside"]
    assert msgspec.json.encode(found[0])
