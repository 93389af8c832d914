"""Times far behind the log's clock are recognised and reported; they make no silence and no volume finding."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.detection import DetectionSettings, Finding, FindingKind, PartitionMonitor, State
from monitor.detection.state import migration
from monitor.detection.volume.lateness import BEHIND_S, FEWEST_LATE, Lateness
from monitor.detection.volume.rate_change import Volume
from tests.detection.arrivals import DAY_MINUTES, MINUTE_S, START
from tests.detection.streams import SETTINGS, SPECS, Traffic, calm, decoded, read_again, recoded
from tests.detection.volume.test_rate_change import arriving

Array = NDArray[np.float64]
TICK_S = 5.0
HOUR_S, DAY_S = 3600.0, 86_400.0


class Log:
    """A detect partition's log of one stream: rows at the time at which they come, a tick every 5 s."""

    def __init__(self, own: DetectionSettings = SETTINGS) -> None:
        self.settings = own
        self.monitor = PartitionMonitor(lambda _stream: own, SPECS)
        self.offset = 0
        self.rows = 0
        self.restarts = False

    def pass_(self, comes: Array, times: Array, until: float | None = None) -> list[Finding]:
        """What is found: rows come at `comes` (n, ascending) and have these times (n); ticks go on `until` then."""
        found: list[Finding] = []
        traffic: Traffic = calm(len(times), 5, embeddings=False)
        traffic.times = times
        traffic.ids = [f"event-{self.rows + i}" for i in range(len(times))]
        batch = traffic.batch()
        batch.source_offsets = batch.source_offsets + self.rows
        self.rows += len(times)
        end = float(comes[-1]) if until is None else until
        start = 0
        for now in np.arange(float(comes[0]), end + TICK_S, TICK_S).tolist():
            stop = int(np.searchsorted(comes, now, side="right"))
            if stop > start:
                found += self.monitor.apply(batch.rows(start, stop), self.offset)
                start, self.offset = stop, self.offset + 1
            if self.restarts and self.offset % 50 == 0:
                self.restart()
            found += self.monitor.tick(now, self.offset)
            self.offset += 1
        return found

    def ticks(self, start: float, end: float) -> list[Finding]:
        """Nothing comes; what was found."""
        found: list[Finding] = []
        for now in np.arange(start, end, TICK_S).tolist():
            found += self.monitor.tick(now, self.offset)
            self.offset += 1
        return found

    def restart(self) -> None:
        """Go on from a checkpoint."""
        clock, restored = self.monitor.clock, PartitionMonitor(lambda _stream: self.settings, SPECS)
        for stream, owned in self.monitor._owned.items():
            self.monitor._changed.add(stream)
            assert owned.applied >= 0
        for stream, snapshot in self.monitor.changed().items():
            restored.restore(stream, snapshot)
        restored.clock = clock
        self.monitor = restored

    @property
    def behind(self) -> float | None:
        return self.monitor.streams["s"].status().behind_s


MINUTES = 30
LIVE = arriving("steady", MINUTES / DAY_MINUTES, 60.0)
"""Half an hour of an event a second: enough for a stop to be certain within minutes."""
END = START + MINUTES * MINUTE_S


def test_a_stream_that_is_on_time_and_stops_is_silent() -> None:
    log = Log()
    assert log.pass_(LIVE, LIVE) == []
    assert log.behind is None
    [silence] = log.ticks(END, END + HOUR_S)
    assert silence.kind is FindingKind.SILENCE


@pytest.mark.parametrize("lag", [HOUR_S, 5.5 * HOUR_S, DAY_S, 30 * DAY_S, 365 * DAY_S])
def test_a_clock_in_another_zone_is_reported_and_makes_no_finding(lag: float) -> None:
    log = Log()
    rare = LIVE[::90]  # gaps longer than a minute, in which a silence would be confirmed
    for times in (LIVE, rare + MINUTES * MINUTE_S):
        assert log.pass_(times, times - lag, float(times[-1]) + 1000.0) == []
        assert log.behind == pytest.approx(lag, abs=2 * TICK_S)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("span", [7 * DAY_S, 400 * DAY_S])
def test_a_backfill_in_bulk_makes_no_finding_and_volume_learns_when_times_catch_up(span: float, restarts: bool) -> None:
    """A quarter of the old events is missing after their middle, and half of the time nothing came at all."""
    log = Log()
    log.restarts = restarts
    old = np.sort(np.random.default_rng(1).uniform(START - span, START - DAY_S, 6000))
    old = np.concatenate([old[:2000], old[2000:4000:4], old[5000:]])
    comes = np.linspace(START - 300.0, START, len(old))
    assert log.pass_(comes, old, START + 1200.0) == []
    assert log.behind == pytest.approx(START - float(old[-1]), abs=2 * TICK_S)
    assert log.pass_(LIVE + 1200.0, LIVE + 1200.0) == []
    assert log.behind is None
    [silence] = log.ticks(END + 1200.0, END + 2 * HOUR_S)
    assert silence.kind is FindingKind.SILENCE
    assert "where 3,6" in silence.cause
    assert re.search("watched for (29|30) min", silence.cause)


def test_a_backfill_of_which_all_comes_before_the_first_tick_is_recognised_at_that() -> None:
    log = Log()
    log.pass_(np.full(len(LIVE), START), LIVE - DAY_S, START)
    assert log.ticks(START, START + 2 * HOUR_S) == []
    assert log.behind == pytest.approx(START - float(LIVE[-1]) + DAY_S, abs=TICK_S)


def test_a_backfill_into_a_stream_that_goes_on_is_not_counted_and_hides_no_silence_later() -> None:
    log = Log()
    assert log.pass_(LIVE, LIVE) == []
    live = LIVE + MINUTES * MINUTE_S
    old = np.sort(np.random.default_rng(2).uniform(START - 20 * DAY_S, START - 2 * DAY_S, 10 * len(live)))
    comes = np.concatenate([live, np.linspace(float(live[0]), float(live[-1]), len(old))])
    order = np.argsort(comes, kind="stable")
    assert log.pass_(comes[order], np.concatenate([live, old])[order]) == []
    assert log.behind is None
    later = live[:50] + (MINUTES + 1) * MINUTE_S
    assert log.pass_(later, later, float(later[-1]) + 5.0) == []
    assert [f.kind for f in log.ticks(float(later[-1]) + 10.0, float(later[-1]) + HOUR_S)] == [FindingKind.SILENCE]


@pytest.mark.parametrize("jump", [-30 * DAY_S, -5 * HOUR_S, -HOUR_S, -600.0, 240.0, 5 * HOUR_S])
@pytest.mark.parametrize("minutes", [8, MINUTES])
def test_times_that_jump_and_come_back_make_no_finding(jump: float, minutes: int) -> None:
    log = Log()
    assert log.pass_(LIVE, LIVE) == []
    away = LIVE[: int(np.searchsorted(LIVE, START + minutes * MINUTE_S))] + MINUTES * MINUTE_S
    assert log.pass_(away, away + jump) == []
    back = LIVE + (MINUTES + minutes) * MINUTE_S
    assert log.pass_(back, back) == []
    assert log.behind is None


def test_silence_that_is_set_counts_from_when_a_late_event_came() -> None:
    log = Log(SETTINGS.model_copy(update={"silence_after": 600.0}))
    times = LIVE[:300]
    last = float(times[-1])
    assert log.pass_(times, times - DAY_S, last + 590.0) == []
    [silence] = log.ticks(last + 600.0, last + 700.0)
    assert silence.kind is FindingKind.SILENCE
    assert "No event for 6" in silence.cause


def test_events_that_end_a_silence_but_lie_far_behind_say_so() -> None:
    log = Log()
    log.pass_(LIVE, LIVE)
    assert [f.state for f in log.ticks(END, END + HOUR_S)] == [State.FIRING]
    late = np.linspace(END + HOUR_S + 10.0, END + HOUR_S + 20.0, 10)
    [end] = log.pass_(late, late - 3 * DAY_S)
    assert end.state is State.RESOLVED
    assert "behind" in end.cause
    assert log.behind is not None


def test_a_few_stragglers_change_nothing() -> None:
    lateness, later = Lateness(), START + 10 * BEHIND_S
    lateness.take(np.array([START]), START, math.nan, math.nan)
    times, jumps = lateness.take(np.full(FEWEST_LATE - 1, START - DAY_S), later, START, START)
    assert np.isnan(times).all()
    assert jumps == []
    assert lateness.behind_s is None
    times, jumps = lateness.take(np.array([later]), later, START, START)
    assert jumps == []
    assert not lateness.on_hold


@settings(max_examples=60)
@given(
    lags=st.lists(
        st.sampled_from([-5000.0, -300.0, 0.0, 30.0, 1000.0, 5000.0, 1e6, float("nan")]), min_size=1, max_size=60
    ),
    cuts=st.lists(st.integers(1, 59), max_size=6),
)
def test_cuts_and_restarts_change_nothing(lags: list[float], cuts: list[int]) -> None:
    clocks = START + 400.0 * (np.arange(len(lags)) // 4)
    times = clocks - np.asarray(lags)

    def taken(edges: list[int]) -> tuple[list[float], list[tuple[int, float]], str]:
        lateness, volume = Lateness(), Volume()
        counted, jumps = list[float](), list[tuple[int, float]]()
        for start, stop in pairwise(edges):
            part, found = lateness.take(times[start:stop], float(clocks[start]), *volume.reached)
            volume.observe(part, start)
            counted += part.tolist()
            jumps += [(start + row, time) for row, time in found]
            lateness = Lateness.from_state(read_again(lateness.to_state()))
        return counted, jumps, repr(lateness.to_state())

    ticks = list(range(0, len(lags), 4))
    whole = sorted({*ticks, len(lags)})
    assert repr(taken(whole)) == repr(taken(sorted({*whole, *(cut for cut in cuts if cut < len(lags))})))


def test_a_snapshot_from_before_lateness_was_watched_goes_on_as_on_time() -> None:
    log = Log()
    log.pass_(LIVE, LIVE)
    stream = log.monitor.streams["s"]
    state = decoded(stream.snapshot())
    state["volume"] = migration.volume(state["volume"][:4], state["last_time"])
    state["clock"] = math.nan
    stream.restore(recoded(state))
    assert log.pass_(LIVE[:100] + MINUTES * MINUTE_S, LIVE[:100] + MINUTES * MINUTE_S) == []
    assert log.behind is None
    late = LIVE[:600] + (MINUTES + 10) * MINUTE_S
    assert log.pass_(late, late - DAY_S) == []
    assert log.behind is not None


@pytest.mark.parametrize(("lag", "known"), [(0.0, True), (DAY_S, False), (3 * DAY_S, True)])
def test_times_that_the_reader_moved_say_nothing_of_how_often_events_come(lag: float, known: bool) -> None:
    """Old events published now lie a day behind, whatever their own times were."""
    log = Log()
    comes = START + 10.0 + np.arange(600) / 10.0
    log.ticks(START, START + 10.0)
    log.pass_(comes, comes - lag)
    expected = log.monitor.streams["s"].mean_run_length()
    assert (expected > 1e6) == known
    assert known or expected == 100_000
