"""Error budgets: exact burn rates, alerts by two windows, ends, one cause reported once, however rows were cut."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.detection import Control, ControlAction, DetectionSettings, Finding, FindingKind, State, StreamMonitor
from monitor.detection.diagnosis import alert_correlation
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import BeganAt, Ended, Examples, FeatureChange, RaisedAt, Severity
from monitor.detection.settings import Objective
from monitor.detection.slo.burn_rate import HOUR_S, MINUTE_S, RULES, Budget
from monitor.features.base import FeatureSpec, Kind, Role, Worse
from monitor.features.registry import default_extractors
from tests.detection.streams import ASKED, CHARS, LATENCY, SPECS, WORDS, Traffic, calm

DAY_S = 24 * HOUR_S
START = 1_000_000 * MINUTE_S
ERROR = "call.outcome.error"
FAILED = FeatureSpec(ERROR, Kind.FLAG, "", worse=Worse.UP, failure=True, role=Role.ERROR, lead=0)
WITH_ERRORS = (*SPECS, FAILED)
DECLARED = DeclaredFeatures(spec for family in default_extractors() for spec in family.features)
FAST = {"name": "fast", "latency_s": 4.0, "objective": 0.99}
SERVED = {"name": "served", "errors": True, "objective": 0.99}


def fed(
    budget: Budget, rates: list[tuple[float, float]], every: float = 1.0, look: float = MINUTE_S
) -> list[tuple[float, list[bool]]]:
    """Spans of (seconds, share of bad events), events evenly spread; which rules burn at every `look` seconds."""
    reported: list[tuple[float, list[bool]]] = []
    at = START
    for seconds, share in rates:
        n = int(seconds / every)
        times = at + every * np.arange(n)
        bad = np.floor(np.arange(1, n + 1) * share) > np.floor(np.arange(n) * share)
        minutes = budget.observe(times, bad)
        reported.extend(
            (budget.now - START, [budget.burning(rule) for rule in RULES])
            for _ in minutes
            if (budget.now - START) % look == 0
        )
        at += seconds
    return reported


def test_a_burn_rate_is_the_share_of_bad_events_over_the_allowed_one() -> None:
    budget = Budget(0.01, 30 * DAY_S)
    fed(budget, [(2 * HOUR_S, 0.0), (HOUR_S, 0.1), (MINUTE_S, 0.0)])
    assert budget.window(HOUR_S) == (3600, 360, pytest.approx(10.0))
    assert budget.window(5 * MINUTE_S) == (300, 30, pytest.approx(10.0))
    assert budget.window(6 * HOUR_S) == (3 * 3600, 360, pytest.approx(10 / 3))
    assert budget.window(72 * HOUR_S).bad == 360
    # An hour at ten times the rate, of 720 hours.
    assert budget.spent() == pytest.approx(10 / 720, rel=0.01)
    assert budget.lasts(10.0) == pytest.approx((1 - 10 / 720) * 72 * HOUR_S, rel=0.01)


def test_the_rules_are_those_of_the_workbook() -> None:
    assert [tuple(rule) for rule in RULES] == [
        (14.4, 3_600.0, 300.0, True),
        (6.0, 21_600.0, 1_800.0, True),
        (1.0, 259_200.0, 21_600.0, False),
    ]


@pytest.mark.parametrize(("lately", "burns"), [(1, False), (2, True)])
def test_one_bad_event_lately_is_no_rate(lately: int, burns: bool) -> None:
    """Twenty of twenty events within an hour are bad, and of the few of the last five minutes one or two."""
    budget = Budget(0.01, 30 * DAY_S)
    times = START + np.r_[150.0 * np.arange(20), 3_590.0 - np.arange(lately)]
    list(budget.observe(np.sort(times), np.ones(len(times), dtype=bool)))
    budget.advance(START + HOUR_S)
    assert budget.window(5 * MINUTE_S).bad == lately
    assert budget.burning(RULES[0]) == burns


@pytest.mark.parametrize(("ago", "counted"), [(70, True), (71, True), (72, False)])
def test_a_window_of_days_has_whole_hours_with_the_present_one(ago: int, counted: bool) -> None:
    budget = Budget(0.01, 30 * DAY_S)
    hour = HOUR_S * np.floor(START / HOUR_S)
    list(budget.observe(np.array([hour + 30.0]), np.array([True])))
    budget.advance(hour + ago * HOUR_S + 60.0)
    assert budget.window(72 * HOUR_S).bad == counted


def test_hours_are_kept_for_the_period_and_minutes_for_the_longest_window_of_minutes() -> None:
    budget = Budget(0.01, 100 * HOUR_S)
    hour = HOUR_S * np.floor(START / HOUR_S)
    list(budget.observe(np.array([hour + 30.0]), np.array([True])))
    budget.advance(hour + 6 * HOUR_S)
    assert budget.window(6 * HOUR_S).bad == 1
    budget.advance(hour + 99 * HOUR_S)
    assert budget.window(100 * HOUR_S).bad == 1
    assert len(budget.to_state().minutes) == 0
    budget.advance(hour + 101 * HOUR_S)
    assert budget.to_state().hours == []


def test_a_budget_that_is_spent_lasts_no_longer() -> None:
    budget = Budget(0.01, 10 * HOUR_S)
    fed(budget, [(5 * HOUR_S, 0.5), (MINUTE_S, 0.5)])
    assert budget.spent() > 1
    assert budget.lasts(50.0) == 0.0


@pytest.mark.parametrize(("share", "rule"), [(0.15, 0), (1.0, 0), (0.07, 1), (0.13, 1), (0.012, 2), (0.055, 2)])
def test_the_rule_that_fires_is_that_of_the_burn_rate(share: float, rule: int) -> None:
    reported = fed(
        Budget(0.01, 30 * DAY_S), [(80 * HOUR_S, 0.0), (80 * HOUR_S, share), (MINUTE_S, share)], 20.0, HOUR_S
    )
    assert not any(any(rules) for at, rules in reported if at <= 80 * HOUR_S)
    last = reported[-1][1]
    assert last.index(True) == rule


@pytest.mark.parametrize("share", [0.0, 0.005, 0.0095])
def test_within_the_objective_nothing_burns(share: float) -> None:
    assert not any(any(rules) for _, rules in fed(Budget(0.01, 30 * DAY_S), [(100 * HOUR_S, share)], 20.0, HOUR_S / 4))


def test_what_is_over_is_not_reported_though_the_long_window_still_burns() -> None:
    budget = Budget(0.01, 30 * DAY_S)
    reported = fed(budget, [(6 * HOUR_S, 0.0), (HOUR_S, 0.5), (10 * MINUTE_S, 0.0)])
    assert reported[-1][1] == [False, True, True]
    assert budget.window(HOUR_S).burn > 14.4
    assert budget.calm(RULES[0])
    assert not budget.calm(RULES[1])


def test_few_events_are_no_rate() -> None:
    """Three calls an hour, all of them bad for three hours."""
    assert not any(any(rules) for _, rules in fed(Budget(0.01, 30 * DAY_S), [(DAY_S, 0.0), (3 * HOUR_S, 1.0)], 1200.0))


def test_a_stream_is_not_judged_before_the_short_window_has_passed() -> None:
    reported = fed(Budget(0.01, 30 * DAY_S), [(30 * MINUTE_S, 0.03)])
    assert not any(any(rules) for _, rules in reported)


def test_state_is_bounded_and_survives() -> None:
    budget = Budget(0.01, 30 * DAY_S)
    fed(budget, [(31 * DAY_S, 0.01)], every=1200.0)
    fed(budget, [(7 * HOUR_S, 0.01)], every=60.0)
    state = budget.to_state()
    assert len(state.minutes) <= 6 * 60 + 60
    assert len(state.hours) <= 30 * 24 + 1
    assert Budget.from_state(state).to_state() == state


@given(st.integers(0, 50), st.lists(st.integers(1, 400), max_size=6))
def test_neither_the_cut_nor_late_rows_change_the_counts(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    times = START + np.sort(rng.uniform(0, 3000, 400))
    times[rng.integers(0, 400, 40)] -= rng.uniform(0, 600, 40)  # late, as far as ten minutes
    times[rng.integers(0, 400, 5)] = np.nan
    bad = rng.random(400) < 0.2
    whole, parts = Budget(0.01, 30 * DAY_S), Budget(0.01, 30 * DAY_S)
    ends = list(whole.observe(times, bad))
    edges = [0, *sorted(set(cuts) - {400}), 400]
    found = []
    for start, stop in pairwise(edges):
        found += [start + end for end in parts.observe(times[start:stop], bad[start:stop])]
    assert parts.to_state() == whole.to_state()
    assert found == ends
    ordered = Budget(0.01, 30 * DAY_S)
    known = np.isfinite(times)
    order = np.argsort(times[known], kind="stable")
    list(ordered.observe(times[known][order], bad[known][order]))
    assert ordered.window(HOUR_S) == whole.window(HOUR_S)


# As findings


def traffic(n: int = 9000, every: float = 2.0) -> Traffic:
    """Five hours at one event in two seconds."""
    made = calm(n, seed=2, every=every)
    made.columns[ERROR] = np.zeros(n)
    made[LATENCY][:] = np.clip(made[LATENCY], 0, 3.5)
    return made


def watch(*slo: dict[str, Any]) -> StreamMonitor:
    settings = DetectionSettings(features=(ASKED,), slo=tuple(Objective.model_validate(each) for each in slo))
    return StreamMonitor("s", settings, WITH_ERRORS)


def shown(monitor: StreamMonitor, made: Traffic, start: int = 0, stop: int = 9000, size: int = 250) -> list[Finding]:
    """What was found, but for revisions of it and for what is too little to be drift."""
    found = [
        f for first in range(start, stop, size) for f in monitor.observe(made.batch(first, min(first + size, stop)))
    ]
    found = [f for f in found if not f.is_update]
    return [f for f in found if f.state is not State.INFO or "It belongs to what is already reported" in f.cause]


def every_nth(made: Traffic, n: int, start: int, stop: int) -> np.ndarray:
    rows = np.zeros(len(made), dtype=bool)
    rows[start:stop:n] = True
    return rows


def test_errors_that_burn_the_budget_are_reported_and_end() -> None:
    made = traffic()
    made[ERROR][every_nth(made, 4, 5000, 6800)] = 1.0  # an hour
    for row in range(9000):
        made.segments[row] = {"model.name": "large" if made[ERROR][row] else "small"}
    fired, resolved = shown(watch(SERVED), made)
    assert (fired.state, resolved.state) == (State.FIRING, State.RESOLVED)
    assert (fired.kind, fired.severity, fired.runbook) == (FindingKind.ERRORS, Severity.CRITICAL, "runbooks/errors.md")
    assert fired.id == resolved.id
    assert fired.model == "large"
    assert fired.began_at.index == 5000
    assert 5000 < fired.raised_at.index < 6800
    assert "within the objective's rate again. It lasted " in resolved.cause
    assert resolved.resolution is not None
    assert (resolved.resolution.how, resolved.resolution.by) == (Ended.RECOVERED, "")
    assert resolved.resolution.lasted_events is not None
    assert 1800 <= resolved.resolution.lasted_events < 2600
    assert " of it is spent, at this rate the rest in " in fired.cause
    assert fired.title == (
        "s: served: 14.4% of events ended in an error within 1 h: its error budget burns 14.4 times too fast"
    )
    [change] = fired.features
    assert (change.name, change.before) == (ERROR, 0.01)
    assert change.effect == pytest.approx(14.4, abs=0.1)
    assert set(fired.examples.after) <= {made.ids[row] for row in range(5000, 6800, 4)}


def test_slow_calls_that_burn_the_budget_are_reported_as_latency() -> None:
    made = traffic()
    made[LATENCY][every_nth(made, 4, 5000, 9000)] = 9.0
    fired = shown(watch(FAST), made)[0]
    assert (fired.kind, fired.features[0].name, fired.features[0].value) == (
        FindingKind.LATENCY,
        f"{LATENCY}.tail",
        "above 4 s",
    )
    assert "took longer than 4 s" in fired.title
    # A call that failed is no slow call.
    made[ERROR][every_nth(made, 4, 5000, 9000)] = 1.0
    assert shown(watch(FAST), made) == []


def test_within_the_objective_nothing_is_reported() -> None:
    made = traffic()
    made[ERROR][every_nth(made, 125, 0, 9000)] = 1.0
    made[LATENCY][every_nth(made, 125, 3, 9000)] = 9.0
    assert shown(watch(FAST, SERVED), made) == []


def test_a_slow_burn_that_becomes_a_fast_one_is_reported_again_and_graver() -> None:
    made = traffic(14_000, every=6.0)
    made[ERROR][every_nth(made, 50, 0, 14_000)] = 1.0
    made[ERROR][every_nth(made, 3, 12_000, 14_000)] = 1.0
    found = shown(watch(SERVED), made, stop=14_000)
    assert [(f.state, f.severity) for f in found] == [
        (State.FIRING, Severity.WARNING),
        (State.RESOLVED, Severity.WARNING),
        (State.FIRING, Severity.CRITICAL),
    ]


def test_it_ends_when_no_more_events_come() -> None:
    made = traffic()
    made[ERROR][every_nth(made, 2, 5000, 6000)] = 1.0
    monitor = watch(SERVED)
    [fired] = shown(monitor, made, stop=6000)
    end = float(made.times[5999])
    assert monitor.status().firing == [fired.id]
    found = [
        f for minute in range(1, 60) if monitor.waits_for(end + 60 * minute) for f in monitor.tick(end + 60 * minute)
    ]
    assert [f.state for f in found] == [State.RESOLVED]
    assert monitor.status().firing == []
    assert not monitor.waits_for(end + 7200)


def test_an_objective_that_is_taken_back_ends_its_finding() -> None:
    made = traffic()
    made[ERROR][every_nth(made, 2, 5000, 6000)] = 1.0
    monitor = watch(SERVED)
    shown(monitor, made, stop=6000)
    monitor.control(Control(stream="s", action=ControlAction.SETTINGS, data={"slo": []}))
    [ended] = shown(monitor, made, 6000, 6100)
    assert ended.state is State.RESOLVED


def test_ticks_that_are_ahead_of_a_stream_that_lags_end_nothing() -> None:
    """Events of an hour ago, as after a stop of their publisher; a tick between them says what the clock says."""
    made = traffic()
    made[ERROR][every_nth(made, 2, 5000, 6400)] = 1.0
    monitor = watch(SERVED)
    [fired] = shown(monitor, made, stop=6000)
    for start in range(6000, 6400, 20):
        now = float(made.times[start]) + 3600
        assert monitor.waits_for(now)
        assert monitor.tick(now) + shown(monitor, made, start, start + 20) == []
    last = float(made.times[6399]) + 3600
    assert monitor.tick(last + 5) + monitor.tick(last + 1200) == []
    [ended] = monitor.tick(last + 2400)
    assert (ended.id, ended.state) == (fired.id, State.RESOLVED)


# One cause, reported once


INSENSITIVE = {"failure": 0.3, "flag": 0.3, "number": 1.0}
"""Floors above what burns an objective here, until it gets worse."""


def cared_for(*slo: dict[str, Any], features: tuple[str, ...] = (LATENCY, ERROR), **more: Any) -> StreamMonitor:
    """A stream of which the drift of latency and errors is watched as well."""
    given = {"warmup": 200, "mature": 200, "features": features, "slo": slo, **more}
    return StreamMonitor("s", DetectionSettings.model_validate(given), WITH_ERRORS)


def reported(found: list[Finding]) -> list[tuple[State, Severity, str]]:
    """State, severity and whether it was a burn."""
    return [(f.state, f.severity, "burn" if "error budget burns" in f.title else "drift") for f in found]


def drift_first() -> Traffic:
    made = traffic(1400, every=6.0)
    made[ERROR][every_nth(made, 4, 300, 900)] = 1.0
    return made


def burn_first() -> Traffic:
    """Calls that hang; then all slower as well, which lasts for longer and ends."""
    made = traffic(2200, every=6.0)
    made[LATENCY][700:1700] = np.minimum(2 * made[LATENCY][700:1700], 3.9)
    made[LATENCY][every_nth(made, 8, 300, 1200)] = 9.0
    return made


def test_a_burn_whose_drift_is_reported_is_information() -> None:
    made, monitor = drift_first(), cared_for(SERVED)
    found = shown(monitor, made, stop=900)
    drift, burn = found
    assert reported(found) == [
        (State.FIRING, Severity.CRITICAL, "drift"),
        (State.INFO, Severity.INFO, "burn"),
    ]
    assert re.search(
        r"Of the \d+ events since then \d+ miss the objective served, whose error budget burns", drift.cause
    )
    assert burn.cause.endswith(f"It belongs to what is already reported: {drift.title.removeprefix('s: ')}.")
    assert monitor.status().firing == [drift.id]
    # Both end: only what fired says so.
    [ended] = shown(monitor, made, 900, 1400)
    assert (ended.state, ended.id) == (State.RESOLVED, drift.id)
    assert monitor.status().firing == []


def test_a_burn_graver_than_its_drift_says_both_and_then_a_drift_as_grave_is_information() -> None:
    made = traffic(2000, every=6.0)
    made[LATENCY][every_nth(made, 10, 500, 1500)] = 9.0
    made[LATENCY][1200:1500] = 9.0
    monitor = cared_for(FAST, warmup=400, mature=400)  # a young reference cannot tell one slow call in ten
    found = shown(monitor, made, stop=1500)
    drift, burn, grown = found
    assert reported(found) == [
        (State.FIRING, Severity.WARNING, "drift"),
        (State.FIRING, Severity.CRITICAL, "burn"),
        (State.INFO, Severity.INFO, "drift"),
    ]
    assert burn.cause.endswith(f"It belongs to what is already reported: {drift.title.removeprefix('s: ')}.")
    assert monitor.status().firing == [drift.id, burn.id]
    ended = shown(monitor, made, 1500, 2000)
    assert {f.state for f in ended} == {State.RESOLVED}
    assert sorted(f.id for f in ended) == sorted([drift.id, burn.id])
    assert grown.id not in {f.id for f in ended}


def test_a_burn_that_outlasts_its_drift_fires_then() -> None:
    made, monitor = drift_first(), cared_for(SERVED)
    drift, burn = shown(monitor, made, stop=600)
    [ended] = monitor.control(Control(stream="s", action=ControlAction.ACCEPT))
    assert (ended.id, ended.state) == (drift.id, State.RESOLVED)
    assert monitor.status().firing == []
    [fired] = shown(monitor, made, 600, 940)
    assert (fired.id, fired.state, fired.severity) == (burn.id, State.FIRING, Severity.CRITICAL)
    assert fired.raised_at == burn.raised_at  # its identity; what it says is of now
    assert fired.title != burn.title
    assert "It goes with" not in fired.cause
    assert monitor.status().firing == [burn.id]
    over = [f for f in shown(monitor, made, 940, 1400) if f.id == burn.id]
    assert [f.state for f in over] == [State.RESOLVED]


def test_a_drift_whose_burn_is_reported_is_information_and_fires_when_it_outlasts_it() -> None:
    made, monitor = burn_first(), cared_for(FAST, floors=INSENSITIVE)
    found = shown(monitor, made, stop=1200)
    burn, drift = found
    assert reported(found) == [(State.FIRING, Severity.CRITICAL, "burn"), (State.INFO, Severity.INFO, "drift")]
    assert drift.cause.endswith(f"It belongs to what is already reported: {burn.title.removeprefix('s: ')}.")
    assert monitor.status().firing == [burn.id]
    ended, fired, over = shown(monitor, made, 1200, 2200)
    assert (ended.id, ended.state) == (burn.id, State.RESOLVED)
    assert (fired.id, fired.state, fired.severity) == (drift.id, State.FIRING, Severity.WARNING)
    assert "It goes with" not in fired.cause
    assert (over.id, over.state) == (drift.id, State.RESOLVED)


def test_a_drift_that_ends_with_its_burn_never_fires() -> None:
    made = burn_first()
    made[LATENCY][1200:1700] = calm(500, seed=9)[LATENCY]
    found = shown(cared_for(FAST, floors=INSENSITIVE), made, stop=1600)
    assert reported(found) == [
        (State.FIRING, Severity.CRITICAL, "burn"),
        (State.INFO, Severity.INFO, "drift"),
        (State.RESOLVED, Severity.CRITICAL, "burn"),
    ]


def test_a_drift_of_more_than_what_burns_fires() -> None:
    made = burn_first()
    for name in (CHARS, WORDS):
        made[name][700:1700] *= 4
    found = shown(cared_for(FAST, features=(LATENCY, CHARS, WORDS), floors=INSENSITIVE), made, stop=1200)
    assert [(f.state, f.kind) for f in found] == [
        (State.FIRING, FindingKind.LATENCY),
        (State.FIRING, FindingKind.SILENT_UPDATE),
    ]


def one(kind: FindingKind, severity: Severity, began: int, raised: int, *changes: tuple[str, float]) -> Finding:
    """A finding of an event a second."""
    return Finding(
        stream="s",
        state=State.FIRING,
        id=f"{kind}-{raised}",
        kind=kind,
        cause="",
        driver=None,
        raised_at=RaisedAt(None, raised, float(raised)),
        began_at=BeganAt(began, began, began, float(began)),
        features=[FeatureChange(name, 0.0, 1.0, effect) for name, effect in changes],
        segment=None,
        examples=Examples([], []),
        title="",
        severity=severity,
        runbook="",
    )


WARNED, PAGED = Severity.WARNING, Severity.CRITICAL


@pytest.mark.parametrize(
    ("severity", "began", "changes", "goes"),
    [
        (PAGED, 600, [(LATENCY, 1.2)], True),
        (PAGED, 600, [(CHARS, 9.0), ("call.latency.first_token_s.tail", 1.2)], True),
        (PAGED, 600, [(LATENCY, -1.2)], False),
        (PAGED, 600, [(CHARS, 9.0), (ERROR, 9.0)], False),
        (PAGED, 2200, [(LATENCY, 1.2)], True),
        (PAGED, 9000, [(LATENCY, 1.2)], False),
        (WARNED, 9000, [(LATENCY, 1.2)], True),
    ],
)
def test_a_burn_goes_with_a_drift_of_what_it_counts_that_was_just_reported(
    severity: Severity, began: int, changes: list[tuple[str, float]], goes: bool
) -> None:
    drift = one(FindingKind.DRIFT, WARNED, 400, 500, *changes)
    burn = one(FindingKind.LATENCY, severity, began, began + 100, (f"{LATENCY}.tail", 9.0))
    assert (alert_correlation.drift_beside(burn, [drift], DECLARED) is drift) == goes
    graver = msgspec.structs.replace(drift, severity=PAGED)
    assert alert_correlation.drift_beside(burn, [drift, graver, drift], DECLARED) is (graver if goes else None)


@pytest.mark.parametrize(
    ("severity", "began", "changes", "said"),
    [
        (WARNED, 600, [(ERROR, 9.0)], True),
        (PAGED, 600, [(ERROR, 9.0)], False),
        (WARNED, 9000, [(ERROR, 9.0)], False),
        (WARNED, 600, [(ERROR, -9.0)], False),
        (WARNED, 600, [(ERROR, 9.0), ("output.length.missing", 4.0), ("output.tone.missing", 4.0)], True),
        (WARNED, 600, [(ERROR, 9.0), (CHARS, 1.0)], True),
        (WARNED, 600, [(ERROR, 9.0), (CHARS, 1.0), (WORDS, 1.0)], False),
        (WARNED, 600, [(CHARS, 1.0), ("call.outcome.finish_reason", 5.0)], True),
        (WARNED, 600, [(CHARS, 1.0)], False),
        (WARNED, 600, [], False),
    ],
)
def test_a_drift_is_said_by_a_burn_that_is_as_grave_and_leaves_little_unsaid(
    severity: Severity, began: int, changes: list[tuple[str, float]], said: bool
) -> None:
    burn = one(FindingKind.ERRORS, WARNED, 400, 500, (ERROR, 9.0))
    drift = one(FindingKind.ERRORS, severity, began, began + 100, *changes)
    assert (alert_correlation.burn_that_covers(drift, [burn], DECLARED) is burn) == said


# Cuts and snapshots


@pytest.mark.parametrize("order", [drift_first, burn_first])
@pytest.mark.parametrize("size", [7, 64, 3000])
def test_neither_the_cut_of_batches_nor_snapshots_change_anything(order: Callable[[], Traffic], size: int) -> None:
    made = order()
    floors = INSENSITIVE if order is burn_first else {}
    whole, first = cared_for(SERVED, FAST, floors=floors), cared_for(SERVED, FAST, floors=floors)
    expected = whole.observe(made.batch())
    found: list[Finding] = []
    for start in range(0, len(made), size):
        found += first.observe(made.batch(start, start + size))
        if start % 35 == 0:
            second = watch()
            second.restore(first.snapshot())
            first = second
    assert found == expected
    assert {f.state for f in expected} == {State.FIRING, State.INFO, State.RESOLVED}
    assert first.snapshot() == whole.snapshot()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x", "objective": 0.99},
        {"name": "x", "objective": 0.99, "errors": True, "latency_s": 1.0},
        {"name": "x", "objective": 1.0, "errors": True},
        {"name": "x", "objective": 0.4, "errors": True},
        {"name": "", "objective": 0.99, "errors": True},
        {"name": "x", "objective": 0.99, "latency_s": 0},
        {"name": "x", "objective": 0.99, "errors": True, "period": "1h"},
    ],
)
def test_an_objective_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DetectionSettings.model_validate({"slo": [wrong]})


def test_names_are_unique_and_the_period_is_a_duration() -> None:
    with pytest.raises(ValidationError, match="same name"):
        DetectionSettings.model_validate({"slo": [FAST, {**SERVED, "name": "fast"}]})
    [objective] = DetectionSettings.model_validate({"slo": [{**FAST, "period": "7d"}]}).slo
    assert objective.period == 7 * DAY_S
