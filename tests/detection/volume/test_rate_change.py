"""Volume: ordinary arrivals raise nothing; what fell, rose or ended is reported; cuts of batches change nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.detection import (
    Control,
    ControlAction,
    Finding,
    FindingKind,
    State,
    StreamMonitor,
    StreamState,
)
from monitor.detection.settings import Floors
from monitor.detection.state.snapshot_codec import encode, squeeze
from monitor.detection.volume.rate_change import Change, Direction, Volume
from tests.azure_trace import read_traces
from tests.detection import arrivals
from tests.detection.arrivals import DAY_MINUTES, KINDS, MINUTE_S, START
from tests.detection.streams import SETTINGS, Traffic, calm, read_again, replay, watch
from tests.shared_data import shared

Array = NDArray[np.float64]
BLOCK = 256


def reported(times: Array, volume: Volume | None = None, first: int = 0) -> list[Change | None]:
    """What a stream with these event times brings to light, its rows taken in blocks."""
    volume = volume or Volume()
    found: list[Change | None] = []
    for start in range(0, len(times), BLOCK):
        found += volume.observe(times[start : start + BLOCK], first + start)
    return found


def arriving(kind: str, days: float, mean: float, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    return arrivals.times_of(rng, KINDS[kind](rng, int(days * DAY_MINUTES), mean))


def bent(kind: str, days: float, mean: float, factor: float, *, after: float = 1.0, seed: int = 1) -> Array:
    """`days` as usual, and then `after` days at `factor` times the rate."""
    rng = np.random.default_rng(seed)
    at = int(days * DAY_MINUTES)
    counts = KINDS[kind](rng, at + int(after * DAY_MINUTES), mean)
    return arrivals.times_of(rng, arrivals.changed(rng, counts, at, factor))


# Ordinary traffic


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_year_of_ordinary_arrivals_raises_nothing(kind: str) -> None:
    assert reported(arriving(kind, 365, 0.1)) == []


@pytest.mark.parametrize("kind", ["wandering"])
def test_five_days_of_a_busy_stream_raise_nothing(kind: str) -> None:
    assert reported(arriving(kind, 5, 15.0)) == []


def _azure(service: str) -> Array:
    [trace] = [t for t in read_traces(shared("azure_llm_trace_2023.jsonl.gz").parent) if t.service == service]
    assert len(trace.times) > 5000
    return trace.times


@pytest.mark.parametrize("service", ["conv", "code"])
def test_a_real_hour_raises_nothing(service: str) -> None:
    times = _azure(service)
    assert reported(times) == []


@pytest.mark.parametrize("service", ["conv", "code"])
def test_a_real_hour_again_and_again_raises_nothing(service: str) -> None:
    """What is bursty within the hour is so in each of them."""
    times = _azure(service)
    hours = np.concatenate([times + 3600.0 * hour for hour in range(36)])
    assert reported(np.sort(hours)) == []


@pytest.mark.parametrize("step", [60.0, 3600.0, 86400.0])
def test_coarse_times_raise_nothing(step: float) -> None:
    times = np.floor(arriving("daily", 60, 0.3) / step) * step
    assert reported(times) == []


def test_times_in_any_order_raise_nothing() -> None:
    assert reported(np.random.default_rng(3).permutation(arriving("daily", 20, 1.0))) == []


@pytest.mark.parametrize("times", [np.full(5000, np.nan), np.full(5000, START)])
def test_without_times_there_is_nothing_to_tell(times: Array) -> None:
    volume = Volume()
    assert reported(times, volume) == []
    assert volume.stopped(START + 1e6) is None


# Changes

FACTORS = [(0.1, Direction.FELL), (0.3, Direction.FELL), (3, Direction.ROSE), (10, Direction.ROSE)]


def stop_of(times: Array, last: float) -> float | None:
    """When a stream that ends at `last` is found to have stopped, looking every 5 s for an hour."""
    volume = Volume()
    assert reported(times, volume) == []
    assert volume.stopped(last + 2 * MINUTE_S) is None
    return next((volume.stopped(last + t) for t in range(0, 3600, 5) if volume.stopped(last + t) is not None), None)


@pytest.mark.parametrize(("kind", "days"), [("steady", 0.014), ("steady", 2), ("bursty", 9)])
def test_a_full_stop_of_a_busy_stream_is_found_within_minutes(kind: str, days: float) -> None:
    times = arriving(kind, days, 60.0)
    last = float(times[-1])
    found = stop_of(times, last)
    assert found is not None
    assert found - last <= (8 if kind != "bursty" else 40) * MINUTE_S


def test_a_stream_at_rest_has_not_stopped() -> None:
    """The office closes as it does every day; nobody comes on Saturday."""
    times = arriving("office", 18, 5.0)
    volume = Volume()
    reported(times, volume)
    for hours in range(14):  # it ends on a Saturday at noon
        assert volume.stopped(float(times[-1]) + 3600.0 * hours) is None


@pytest.mark.parametrize(("factor", "direction"), FACTORS)
@pytest.mark.parametrize("days", [20 / DAY_MINUTES, 2])
def test_a_rate_that_changed_is_reported(days: float, factor: float, direction: Direction) -> None:
    times = bent("steady", days, 60.0, factor, after=0.05)
    change = reported(times)[0]
    assert change is not None
    assert change.direction is direction
    at = START + MINUTE_S * int(days * DAY_MINUTES)
    assert at - 2 * MINUTE_S <= change.since <= at + 3 * MINUTE_S
    assert change.found - at <= (10 if factor < 1 else 15) * MINUTE_S
    assert change.before == pytest.approx(1.0, rel=0.15)
    index = int(np.searchsorted(times, at))
    assert abs(change.first - index) <= 3 * change.about * max(factor, 1)
    assert change.last < len(times)


@pytest.mark.parametrize("kind", ["weekly"])
def test_a_fall_is_reported_where_the_shape_of_the_week_is_known(kind: str) -> None:
    times = bent(kind, 14.96, 60.0, 0.1, after=0.1)
    [change] = [c for c in reported(times) if c is not None and c.known_s > 8 * 86400]
    assert change.direction is Direction.FELL
    assert abs(change.since - (START + 14.96 * 86400)) <= 600


def test_a_stall_or_a_burst_of_minutes_is_not_reported() -> None:
    rng = np.random.default_rng(12)
    counts = KINDS["steady"](rng, 10 * DAY_MINUTES, 60.0)
    for day in (0.1, 2.2, 9.3):
        at = int(day * DAY_MINUTES)
        counts[at : at + 2] = 0
        counts[at + 200 : at + 207] *= 30
    assert reported(arrivals.times_of(rng, counts)) == []


def test_a_slow_stream_is_not_judged_on_its_first_day() -> None:
    times = bent("steady", 0.3, 20.0, 0.1, after=0.3)
    volume = Volume()
    assert reported(times, volume) == []
    assert volume.stopped(float(times[-1]) + 10 * 3600) is None


def test_less_than_the_floor_is_not_reported() -> None:
    assert reported(bent("steady", 9, 1.0, 0.7, after=5)) == []
    assert reported(bent("steady", 9, 1.0, 1.5, after=5)) == []


def test_growth_that_is_slow_is_not_reported() -> None:
    rng = np.random.default_rng(5)
    counts = rng.poisson(0.2 * np.exp(np.linspace(0, np.log(4.0), 90 * DAY_MINUTES)))
    assert reported(arrivals.times_of(rng, counts)) == []


def test_it_ends_when_events_come_as_usual_again() -> None:
    rng = np.random.default_rng(6)
    counts = KINDS["daily"](rng, 14 * DAY_MINUTES, 4.0)
    at = 12 * DAY_MINUTES
    counts[at : at + 120] = rng.binomial(counts[at : at + 120], 0.1)
    found = reported(arrivals.times_of(rng, counts))
    assert [change is None for change in found] == [False, True]


def test_an_outage_of_one_week_is_no_change_of_the_next() -> None:
    rng = np.random.default_rng(7)
    counts = KINDS["daily"](rng, 30 * DAY_MINUTES, 2.0)
    at = 15 * DAY_MINUTES
    counts[at : at + 300] = 0
    assert reported(arrivals.times_of(rng, counts)) == [], "the gap is silence's to tell"


def test_a_burst_of_one_week_is_no_change_of_the_next() -> None:
    rng = np.random.default_rng(8)
    counts = KINDS["daily"](rng, 30 * DAY_MINUTES, 1.0)
    at = 15 * DAY_MINUTES
    counts[at : at + 180] *= 30
    found = reported(arrivals.times_of(rng, counts))
    assert [None if change is None else change.direction for change in found] == [Direction.ROSE, None]


def test_rows_out_of_order_and_a_clock_that_is_ahead_change_nothing() -> None:
    rng = np.random.default_rng(9)
    times = arriving("steady", 1.5, 60.0)
    shuffled = times[np.argsort(times + rng.exponential(20.0, len(times)))]
    skewed = rng.random(len(times)) < 0.3
    shuffled[skewed] += 240.0
    shuffled[rng.integers(0, len(times), 20)] += 86400.0
    assert reported(shuffled) == []


def test_a_rate_that_is_accepted_is_the_usual_one() -> None:
    times = bent("daily", 12, 4.0, 0.2, after=12)
    at = int(np.searchsorted(times, START + 12.5 * 86400))
    volume = Volume()
    [change] = reported(times[:at], volume)
    assert change is not None
    volume.accept()
    assert reported(times[at:], volume, at) == []


# Gaps


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Starts of the windows that were computed."""
    starts: list[float] = []
    and_one = Volume._and_one

    def counted(self: Volume, last: Array, start: float, count: float) -> Array:
        starts.append(start)
        return and_one(self, last, start, count)

    monkeypatch.setattr(Volume, "_and_one", counted)
    return starts


@pytest.mark.parametrize("gap", [3600.0, 86_400.0, 6.9 * 86_400, 7 * 86_400.0, 30 * 86_400.0, 116 * 86_400.0, 1e9])
def test_rows_with_long_gaps_take_few_windows(stepped: list[float], gap: float) -> None:
    volume = Volume()
    assert reported(START + gap * np.arange(30), volume) == []
    # Two days of minutes at most, until the width is that of a slow stream; then by windows of six hours.
    assert len(stepped) <= 2 * DAY_MINUTES + 30 * (100 + 7 * 4)


@pytest.mark.parametrize("days", [0.02, 0.5, 3, 9])
@pytest.mark.parametrize("gap", [3600.0, 86_400.0, 30 * 86_400.0, 1e9])
def test_looking_for_a_stop_takes_few_windows_however_long_the_gap(
    stepped: list[float], days: float, gap: float
) -> None:
    times = arriving("daily", days, 2.0)
    volume = Volume()
    reported(times, volume)
    stepped.clear()
    last = float(times[-1])
    for share in np.linspace(0.0, 1.0, 200):
        volume.stopped(last + share * gap)
    assert len(stepped) <= 2 * 64 + 100


@pytest.mark.parametrize("kind", ["steady", "daily", "weekly", "office", "bursty"])
@pytest.mark.parametrize(("days", "mean"), [(0.1, 60.0), (1.5, 5.0), (4, 0.2), (9, 20.0), (16, 0.5)])
def test_a_stop_is_found_where_stepping_through_all_windows_finds_it(
    monkeypatch: pytest.MonkeyPatch, kind: str, days: float, mean: float
) -> None:
    times = arriving(kind, days, mean)
    last = float(times[-1])
    volume, stepping = Volume(), Volume()
    reported(times, volume)
    reported(times, stepping)
    gaps = np.geomspace(30.0, 3 * 86_400.0, 12)
    found = [volume.stopped(last + gap) for gap in gaps]
    assert all(volume.stops_after() <= stop for stop in found if stop is not None)
    monkeypatch.setattr(Volume, "_next_possible", lambda self, ahead: ahead.place)
    monkeypatch.setattr(Volume, "stops_after", lambda self: -np.inf)
    assert [stepping.stopped(last + gap) for gap in gaps] == found


@pytest.mark.parametrize("first", [0.0, -62_135_596_800.0, START - 60 * 86_400.0, START - 3 * 86_400.0])
@pytest.mark.parametrize("strays", [1, 2])
def test_a_first_row_long_before_the_others_does_not_make_their_rate_a_rise(first: float, strays: int) -> None:
    """A default of 1970 or of year 1, or a test event long before a service goes live."""
    times = np.concatenate([first + np.arange(strays), arriving("steady", 0.3, 6.0), arriving("steady", 0.3, 6.0)])
    times[len(times) // 2 :] += 0.3 * 86_400.0
    assert reported(np.concatenate([times[:strays], np.sort(times[strays:])])) == []


# Laws


def _eventful() -> Array:
    """Ten days with an outage, a burst, times that are unknown and rows that are late."""
    rng = np.random.default_rng(11)
    counts = KINDS["daily"](rng, 11 * DAY_MINUTES, 0.4)
    counts[9 * DAY_MINUTES : 9 * DAY_MINUTES + 700] = 0
    counts[9 * DAY_MINUTES + 50 :: 100][:7] = 1
    counts[10 * DAY_MINUTES : 10 * DAY_MINUTES + 600] *= 20
    times = arrivals.times_of(rng, counts)
    late = rng.integers(1000, len(times), 300)
    times[late] -= rng.exponential(200.0, 300)
    times[rng.integers(1, len(times), 300)] = np.nan
    return times


EVENTFUL = _eventful()


def _cut(times: Array, cuts: list[int], *, restore: bool) -> tuple[list[Change | None], bytes]:
    volume = Volume()
    found: list[Change | None] = []
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(times)), len(times)]
    for start, stop in pairwise(edges):
        if restore:
            volume = Volume.from_state(read_again(volume.to_state()))
        found += volume.observe(times[start:stop], start)
    return found, encode(volume.to_state())


WHOLE = _cut(EVENTFUL, [], restore=False)


def test_the_eventful_stream_is_eventful() -> None:
    assert [None if change is None else change.direction for change in WHOLE[0]] == ["fell", None, "rose", None]


@settings(max_examples=4, deadline=None)
@given(cuts=st.lists(st.integers(1, len(EVENTFUL) - 1), max_size=12), restore=st.booleans())
def test_neither_cuts_nor_a_restart_change_anything(cuts: list[int], restore: bool) -> None:
    assert _cut(EVENTFUL, cuts, restore=restore) == WHOLE


def test_one_row_at_a_time_changes_nothing() -> None:
    assert _cut(EVENTFUL, list(range(len(EVENTFUL))), restore=False) == WHOLE


def test_looking_ahead_leaves_no_trace() -> None:
    """A stop is found at the same moment whether ticks are dense or rare, and its gap is reported by nothing else."""
    times = arriving("daily", 9.3, 10.0)
    last = float(times[-1])
    seen, unseen = Volume(), Volume()
    reported(times, seen)
    reported(times, unseen)
    dense = [seen.stopped(last + t) for t in range(0, 40_000, 7)][-1]
    assert dense is not None
    assert dense == unseen.stopped(last + 40_000)
    assert encode(seen.to_state()) == encode(unseen.to_state())
    assert reported(times + 86400.0, seen, len(times)) == reported(times + 86400.0, unseen, len(times))


def test_state_is_small() -> None:
    volume = Volume()
    reported(arriving("daily", 9, 2.0), volume)
    assert len(squeeze(volume.to_state())) <= 4096


# As findings of a stream


def _traffic(times: Array, name: str = "s") -> Traffic:
    traffic = calm(len(times), 5, embeddings=False)
    traffic.times = times
    traffic.ids = [f"{name}-{i}" for i in range(len(times))]
    return traffic


def _ticked(monitor: StreamMonitor, start: float, seconds: float) -> list[Finding]:
    found: list[Finding] = []
    for time in np.arange(start, start + seconds, 5.0).tolist():
        if monitor.waits_for(time):
            found += monitor.tick(time)
    return found


TWENTY_MINUTES = 20 / DAY_MINUTES


def test_a_stream_that_stops_is_silent_until_it_speaks_again() -> None:
    times = arriving("steady", TWENTY_MINUTES, 60.0)
    monitor = watch()
    assert replay(monitor, _traffic(times)) == []
    last = float(times[-1])
    [finding] = _ticked(monitor, last, 600)
    assert (finding.kind, finding.state) == (FindingKind.SILENCE, State.FIRING)
    assert finding.runbook == "runbooks/silence.md"
    assert finding.raised_at.index == len(times) - 1
    assert finding.began_at.time == last
    assert "where 3,6" in finding.cause
    assert "watched for 2" in finding.cause
    assert (monitor.status().state, monitor.status().firing) == (StreamState.SILENT, [finding.id])
    assert _ticked(monitor, last + 600, 3600) == []
    other = watch()
    other.restore(monitor.snapshot())
    assert other.snapshot() == monitor.snapshot()
    later = _traffic(times + 7200, "later")
    [end] = replay(monitor, later)
    assert (end.id, end.state) == (finding.id, State.RESOLVED)
    assert replay(other, later) == [end]
    assert other.snapshot() == monitor.snapshot()
    assert monitor.status().state is StreamState.STABLE


def test_rows_that_wait_for_a_monitor_that_was_down_are_no_silence() -> None:
    times = arriving("steady", 0.1, 60.0)
    half = len(times) // 2
    traffic = _traffic(times)
    monitor = watch()
    replay(monitor, traffic, 0, half)
    now = float(times[-1])
    found = []
    for start in range(half, len(times), 250):  # an hour late, within a quarter of an hour
        assert monitor.tick(now) == []
        found += replay(monitor, traffic, start, min(start + 250, len(times)))
        now += 50.0
    assert found == []


def test_a_setting_of_silence_holds_alone() -> None:
    times = arriving("steady", TWENTY_MINUTES, 60.0)
    monitor = watch(SETTINGS.model_copy(update={"silence_after": 1800.0}))
    last = float(times[-1])
    assert replay(monitor, _traffic(times)) == _ticked(monitor, last, 1800) == []
    assert [f.kind for f in _ticked(monitor, last + 1800, 60)] == [FindingKind.SILENCE]
    assert {f.kind for f in replay(monitor, _traffic(times + 7200, "later"))} == {FindingKind.SILENCE}


def test_a_fall_says_how_many_came_how_many_are_usual_and_since_when() -> None:
    [finding] = replay(watch(), _traffic(bent("steady", TWENTY_MINUTES, 60.0, 0.1, after=0.02)))
    assert (finding.kind, finding.state, finding.driver) == (FindingKind.VOLUME, State.FIRING, None)
    assert finding.runbook == "runbooks/volume.md"
    assert finding.title.startswith("s: events fell from 3,")
    assert finding.cause.startswith("Since 2023-11-14 12:2")
    assert "events, where at least" in finding.cause
    [change] = finding.features
    assert (change.name, change.before) == ("stream.events_per_hour", pytest.approx(3600, rel=0.1))
    assert change.after == pytest.approx(360, rel=0.5)
    assert change.effect < -2
    assert finding.began_at.low <= finding.began_at.index <= finding.began_at.high <= finding.raised_at.index


@pytest.mark.parametrize(
    ("change", "state"),
    [({}, State.FIRING), ({"alert_on": ("output", "call")}, State.INFO), ({"floors": Floors(volume=0.9)}, None)],
)
def test_settings_say_what_pages(change: dict[str, object], state: State | None) -> None:
    monitor = watch(SETTINGS.model_copy(update=change))
    found = replay(monitor, _traffic(bent("steady", TWENTY_MINUTES, 60.0, 0.25, after=0.02)))
    assert [f.state for f in found] == ([] if state is None else [state])
    assert monitor.status().firing == ([found[0].id] if state is State.FIRING else [])


@pytest.mark.parametrize("action", [ControlAction.ACCEPT, ControlAction.DEPLOY])
def test_decisions_make_the_new_rate_the_usual_one(action: ControlAction) -> None:
    times = bent("steady", TWENTY_MINUTES, 60.0, 0.2, after=0.2)
    at = int(np.searchsorted(times, START + 40 * MINUTE_S))
    monitor = watch()
    traffic = _traffic(times)
    [finding] = replay(monitor, traffic, 0, at)
    [end] = monitor.control(Control(action=action, stream="s"))
    assert (end.id, end.state) == (finding.id, State.RESOLVED)
    assert monitor.status().firing == []
    assert replay(monitor, traffic, at) == []
