"""Forecasts of a full context window: exact where there is a trend, silent where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from monitor.detection import FindingKind
from monitor.detection.diagnosis.trend_forecast import trend, words
from monitor.features.base import FeatureSpec, Kind, Role, Worse
from tests.detection.streams import SPECS, calm, fired, replay, watch

SHARE, TURN = "call.context.share", "call.session.turn"
NONE = np.full(100, np.nan)
TURNS = np.tile(np.arange(1, 11), 10).astype(float)
TIMES = 1_700_000_000.0 + 6.0 * np.arange(100)


def test_growth_a_turn_is_reported_with_the_turn_at_which_the_window_is_full() -> None:
    assert words(0.256 + 0.031 * TURNS, TURNS, NONE) == "At +3.1 points a turn the window is full at turn 24."


def test_points_a_turn_are_per_cent_of_the_window() -> None:
    assert words(0.02 + 0.096 * TURNS, TURNS, NONE) == "At +9.6 points a turn the window is full at turn 11."


def test_a_window_that_is_full_from_the_start_is_full_at_turn_1() -> None:
    assert words(1.2 + 0.05 * TURNS, TURNS, NONE) == "At +5.0 points a turn the window is full at turn 1."


def test_rows_of_which_one_side_is_unknown_count_for_nothing() -> None:
    share, turns = 0.1 + 0.02 * TURNS, TURNS.copy()
    whole = trend(turns[10:90], share[10:90], 10.0)
    share[:10], turns[90:] = np.nan, np.nan
    assert trend(turns, share, 10.0) == whole is not None


def test_growth_over_time_is_reported_with_the_time_that_is_left() -> None:
    # From 0.2 on by a tenth every 300 s: at 594 s it is 0.398, and 1 at 2,400 s.
    share = 0.2 + (TIMES - TIMES[0]) / 3000
    assert words(share, NONE, TIMES) == "The window is full at the present rate in 30 min."


def test_both_are_reported() -> None:
    times = 1e9 + 60.0 * np.arange(200)
    turns = np.random.default_rng(1).integers(1, 11, 200).astype(float)
    share = 0.05 + 0.03 * turns + 0.0015 * np.arange(200)
    said = words(share, turns, times)
    assert said.startswith("At +3.")
    assert ", and at the present rate in " in said


def test_a_window_that_is_full_by_now_is_said_to_be() -> None:
    assert words(0.5 + (TIMES - TIMES[0]) / 1000, NONE, TIMES) == "The window is full at the present rate now."


@given(st.floats(0.001, 0.05), st.floats(0.05, 0.4), st.integers(0, 5))
def test_a_few_odd_rows_move_nothing(slope: float, start: float, seed: int) -> None:
    share = start + slope * TURNS
    odd = np.random.default_rng(seed).choice(100, 8, replace=False)
    share[odd] = 0.9
    found = trend(TURNS, share, 10.0)
    exact = (1 - start) / slope
    if exact > 95:
        assert found is None or found.full_at == pytest.approx(exact, rel=0.1)
    else:
        assert found is not None
        assert found.slope == pytest.approx(slope, rel=0.1)
        assert found.full_at == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(
    ("what", "share", "turns"),
    [
        ("flat", np.full(100, 0.6), TURNS),
        ("shrinking", 0.9 - 0.02 * TURNS, TURNS),
        ("too few", (0.1 + 0.02 * TURNS)[:19], TURNS[:19]),
        ("one turn only", 0.1 + 0.001 * np.arange(100), np.ones(100)),
        ("never within reach", 0.1 + 0.0001 * TURNS, TURNS),
        ("unknown", NONE, TURNS),
        ("no turns", 0.1 + 0.02 * TURNS, NONE),
    ],
)
def test_where_there_is_no_honest_forecast_there_is_none(what: str, share: np.ndarray, turns: np.ndarray) -> None:
    assert words(share, turns, np.full(len(share), np.nan)) == "", what


def test_noise_is_forecast_once_in_a_hundred_at_most() -> None:
    rng = np.random.default_rng(7)
    forecasts = sum(
        bool(words(rng.uniform(0.1, 0.9, 60), rng.integers(1, 9, 60).astype(float), NONE[:60])) for _ in range(400)
    )
    assert forecasts <= 4


def noisy(noise: float) -> np.ndarray:
    """Shares (100) that grow by a hundredth a turn, with noise of this size."""
    return np.asarray(0.1 + 0.01 * TURNS + noise * np.random.default_rng(3).normal(size=100))


def widest(share: np.ndarray) -> float:
    """How many times its lower end the upper end of the slope's 99 % interval is."""
    _, _, low, high = theilslopes(share, TURNS, 0.99)
    return float(high / low)


@pytest.mark.parametrize(("noise", "about", "forecast"), [(0.055, 3.7, True), (0.06, 4.4, False)])
def test_a_slope_is_believed_where_its_interval_spans_less_than_a_factor_of_four(
    noise: float, about: float, forecast: bool
) -> None:
    share = noisy(noise)
    assert widest(share) == pytest.approx(about, abs=0.1)
    assert (trend(TURNS, share, 100.0) is not None) == forecast


@pytest.mark.parametrize(("turns_away", "forecast"), [(44.0, True), (46.0, False)])
def test_a_window_that_fills_within_five_times_the_turns_seen_is_forecast(turns_away: float, forecast: bool) -> None:
    # Turns 1 to 10 were seen, a range of 9; the window is full `turns_away` turns after the 10th.
    slope = 0.5 / turns_away
    assert bool(words(0.5 + slope * (TURNS - 10), TURNS, NONE)) == forecast


@pytest.mark.parametrize(("ranges_away", "forecast"), [(19.5, True), (20.5, False)])
def test_a_window_that_fills_within_twenty_times_the_time_seen_is_forecast(ranges_away: float, forecast: bool) -> None:
    seen = TIMES[-1] - TIMES[0]
    share = 0.5 + 0.5 * (TIMES - TIMES[-1]) / (ranges_away * seen)
    assert bool(words(share, NONE, TIMES)) == forecast


def test_twenty_rows_make_a_forecast() -> None:
    assert trend(TURNS[:20], 0.1 + 0.02 * TURNS[:20], 5.0) is not None


def test_only_the_latest_256_rows_count() -> None:
    turns = np.tile(np.arange(1, 9), 100).astype(float)[:600]
    share = 0.1 + 0.03 * turns + 0.01 * np.random.default_rng(5).normal(size=600)
    share[: 600 - 256] = 0.5
    assert trend(turns, share, 10.0) == trend(turns[-256:], share[-256:], 10.0) is not None
    assert trend(turns, share, 10.0) != trend(turns[-255:], share[-255:], 10.0)


@pytest.mark.parametrize(("later", "forecast"), [(1, False), (2, False), (3, True)])
def test_one_odd_conversation_is_no_trend(later: int, forecast: bool) -> None:
    """All slopes between rows of one turn and of two later rows rise, however many rows there are."""
    turns = np.r_[np.ones(60), np.full(later, 5.0)]
    share = np.r_[0.1 + 0.0001 * np.arange(60), 0.4 + 0.01 * np.arange(later)]
    assert (trend(turns, share, 10.0) is not None) == forecast


def test_shares_that_are_nearly_all_the_same_are_no_trend_and_no_warning() -> None:
    turns = np.r_[np.ones(37), np.full(3, 5.0)]
    assert trend(turns, np.where(turns == 1, 0.1, 0.5), 10.0) is None


def test_a_finding_about_the_context_carries_the_forecast() -> None:
    rng = np.random.default_rng(3)
    traffic = calm(1400, seed=3)
    turn = rng.integers(1, 11, 1400).astype(float)
    traffic.columns[TURN] = turn
    traffic.columns[SHARE] = 0.05 + 0.01 * turn + rng.uniform(0.0, 0.06, 1400)
    traffic.columns[SHARE][1000:] = 0.03 + 0.03 * turn[1000:] + rng.uniform(-0.01, 0.01, 400)
    specs = (
        *SPECS,
        FeatureSpec(SHARE, Kind.NUMBER, "share of the window in use", worse=Worse.UP, role=Role.CONTEXT, lead=0),
        FeatureSpec(TURN, Kind.NUMBER, "turn of the conversation", "turns", role=Role.SESSION),
    )
    first, *_ = fired(replay(watch(specs=specs), traffic))
    assert first.kind is FindingKind.CONTEXT
    assert first.title.startswith("s: A larger share of the context is used: 0.1")
    assert first.cause.endswith(" At +3.0 points a turn the window is full at turn 33.")
