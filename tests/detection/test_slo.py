"""Error budgets: exact burn rates, alerts by two windows, ends, and nothing that depends on how rows were cut."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.detection import Action, Control, DetectionSettings, Finding, FindingKind, State, StreamMonitor
from monitor.detection.finding import Severity
from monitor.detection.settings import Objective
from monitor.detection.slo import HOUR_S, MINUTE_S, RULES, Budget
from monitor.features.base import FeatureSpec, Kind, Worse
from tests.detection.streams import ASKED, LATENCY, SPECS, Traffic, calm

DAY_S = 24 * HOUR_S
START = 1_000_000 * MINUTE_S
ERROR = "call.outcome.error"
WITH_ERRORS = (*SPECS, FeatureSpec(ERROR, Kind.FLAG, "the call ended in an error", worse=Worse.UP, failure=True))
FAST = {"name": "fast", "latency_s": 4.0, "objective": 0.99}
SERVED = {"name": "served", "errors": True, "objective": 0.99}


def fed(budget: Budget, rates: list[tuple[float, float]], every: float = 1.0) -> list[tuple[float, list[bool]]]:
    """Spans of (seconds, share of bad events), events evenly spread; which rules burn at the end of each minute."""
    told: list[tuple[float, list[bool]]] = []
    at = START
    for seconds, share in rates:
        n = int(seconds / every)
        times = at + every * np.arange(n)
        bad = np.floor(np.arange(1, n + 1) * share) > np.floor(np.arange(n) * share)
        minutes = budget.observe(times, bad)
        told.extend((budget.now - START, [budget.burning(rule) for rule in RULES]) for _ in minutes)
        at += seconds
    return told


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


@pytest.mark.parametrize(("share", "rule"), [(0.15, 0), (1.0, 0), (0.07, 1), (0.13, 1), (0.012, 2), (0.055, 2)])
def test_the_rule_that_fires_is_that_of_the_burn_rate(share: float, rule: int) -> None:
    told = fed(Budget(0.01, 30 * DAY_S), [(80 * HOUR_S, 0.0), (80 * HOUR_S, share), (MINUTE_S, share)], every=10.0)
    assert not any(any(rules) for at, rules in told if at <= 80 * HOUR_S)
    last = told[-1][1]
    assert last.index(True) == rule


@pytest.mark.parametrize("share", [0.0, 0.005, 0.0095])
def test_within_the_objective_nothing_burns(share: float) -> None:
    assert not any(any(rules) for _, rules in fed(Budget(0.01, 30 * DAY_S), [(100 * HOUR_S, share)], every=10.0))


def test_what_is_over_is_not_told_though_the_long_window_still_burns() -> None:
    budget = Budget(0.01, 30 * DAY_S)
    told = fed(budget, [(6 * HOUR_S, 0.0), (HOUR_S, 0.5), (10 * MINUTE_S, 0.0)])
    assert told[-1][1] == [False, True, True]
    assert budget.window(HOUR_S).burn > 14.4
    assert budget.calm(RULES[0])
    assert not budget.calm(RULES[1])


def test_few_events_are_no_rate() -> None:
    """Three calls an hour, all of them bad for three hours."""
    assert not any(any(rules) for _, rules in fed(Budget(0.01, 30 * DAY_S), [(DAY_S, 0.0), (3 * HOUR_S, 1.0)], 1200.0))


def test_a_stream_is_not_judged_before_the_short_window_has_passed() -> None:
    told = fed(Budget(0.01, 30 * DAY_S), [(30 * MINUTE_S, 0.03)])
    assert not any(any(rules) for _, rules in told)


def test_state_is_bounded_and_survives() -> None:
    budget = Budget(0.01, 30 * DAY_S)
    fed(budget, [(31 * DAY_S, 0.01)], every=1200.0)
    fed(budget, [(7 * HOUR_S, 0.01)], every=60.0)
    plain = budget.plain()
    assert len(plain[4]) <= 6 * 60 + 60
    assert len(plain[5]) <= 30 * 24 + 1
    assert Budget.from_plain(plain).plain() == plain


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
    assert parts.plain() == whole.plain()
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
    return [
        f for first in range(start, stop, size) for f in monitor.observe(made.batch(first, min(first + size, stop)))
    ]


def every_nth(made: Traffic, n: int, start: int, stop: int) -> np.ndarray:
    rows = np.zeros(len(made), dtype=bool)
    rows[start:stop:n] = True
    return rows


def test_errors_that_burn_the_budget_are_told_and_end() -> None:
    made = traffic()
    made[ERROR][every_nth(made, 4, 5000, 6800)] = 1.0  # an hour
    fired, resolved = shown(watch(SERVED), made)
    assert (fired.state, resolved.state) == (State.FIRING, State.RESOLVED)
    assert (fired.kind, fired.severity, fired.runbook) == (FindingKind.ERRORS, Severity.CRITICAL, "runbooks/errors.md")
    assert fired.id == resolved.id
    assert fired.began_at.index == 5000
    assert 5000 < fired.raised_at.index < 6800
    assert resolved.cause.endswith("within the objective's rate again.")
    assert " of it is spent, at this rate the rest in " in fired.cause
    assert fired.title == (
        "s: served: 14.4% of events ended in an error within 1 h: its error budget burns 14.4 times too fast"
    )
    [change] = fired.features
    assert (change.name, change.before) == (ERROR, 0.01)
    assert change.effect == pytest.approx(14.4, abs=0.1)
    assert set(fired.examples.after) <= {made.ids[row] for row in range(5000, 6800, 4)}


def test_slow_calls_that_burn_the_budget_are_told_as_latency() -> None:
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


def test_within_the_objective_nothing_is_told() -> None:
    made = traffic()
    made[ERROR][every_nth(made, 125, 0, 9000)] = 1.0
    made[LATENCY][every_nth(made, 125, 3, 9000)] = 9.0
    assert shown(watch(FAST, SERVED), made) == []


def test_a_slow_burn_that_becomes_a_fast_one_is_told_anew_and_graver() -> None:
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


def test_an_objective_that_is_taken_back_ends_its_finding() -> None:
    made = traffic()
    made[ERROR][every_nth(made, 2, 5000, 6000)] = 1.0
    monitor = watch(SERVED)
    shown(monitor, made, stop=6000)
    monitor.control(Control(stream="s", action=Action.SETTINGS, data={"slo": []}))
    [ended] = shown(monitor, made, 6000, 6100)
    assert ended.state is State.RESOLVED


@pytest.mark.parametrize("size", [7, 64, 3000])
def test_neither_the_cut_of_batches_nor_snapshots_change_anything(size: int) -> None:
    made = traffic()
    made[ERROR][every_nth(made, 4, 5000, 6800)] = 1.0
    whole, first = watch(SERVED, FAST), watch(SERVED, FAST)
    expected = shown(whole, made)
    found: list[Finding] = []
    for start in range(0, 9000, size):
        found += first.observe(made.batch(start, start + size))
        if start % 35 == 0:
            second = watch()
            second.restore(first.snapshot())
            first = second
    assert found == expected
    assert len(expected) == 2
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
