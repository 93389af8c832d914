"""A tick visits the streams that are due and no others, and finds what asking each of them would find."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.detection import Control, ControlAction, Finding, PartitionMonitor, StreamMonitor
from monitor.detection.settings import Objective
from monitor.detection.stream.due_times import SPARE, DueTimes
from monitor.features.batch import FeatureBatch, concat
from tests.detection.arrivals import DAY_MINUTES, MINUTE_S, START
from tests.detection.streams import LATENCY, SETTINGS, SPECS, Traffic, calm
from tests.detection.volume.test_rate_change import arriving

TICK_S = 5.0


class EachAsked(PartitionMonitor):
    """Asks each stream at each tick, as the definition of a tick says."""

    def tick(self, time: float, offset: int) -> list[Finding]:
        found: list[Finding] = []
        self._reach(time, offset)
        for stream, owned in self._owned.items():
            if offset > owned.applied and owned.monitor.waits_for(time):
                found += owned.monitor.tick(time)
                owned.applied = offset
                self._changed.add(stream)
        return found


def test_streams_are_taken_in_the_order_of_their_first_report_and_once() -> None:
    due = DueTimes()
    for stream, time in (("c", 3.0), ("a", 1.0), ("b", math.inf), ("d", -math.inf), ("c", 2.0), ("a", 5.0)):
        due.report(stream, time)
    assert due.take(0.5) == ["d"]
    assert due.take(2.0) == ["c", "a"]
    assert due.take(1e12) == []
    due.report("a", 7.0)
    due.report("b", 6.0)
    assert due.take(6.5) == ["b"]
    due.forget("a")
    assert due.take(8.0) == []


def test_entries_stay_as_few_as_streams() -> None:
    due = DueTimes()
    for round_ in range(1000):
        for stream in ("a", "b", "c"):
            due.report(stream, 10_000.0 - round_)
    assert len(due._heap) <= 2 * 3 + SPARE
    assert due.take(10_000.0) == ["a", "b", "c"]


def _traffic(stream: str, times: np.ndarray, seed: int) -> Traffic:
    traffic = calm(len(times), seed, stream=stream, embeddings=False)
    traffic.times = times
    traffic.ids = [f"{stream}-{i}" for i in range(len(times))]
    return traffic


def _log() -> list[tuple[float, FeatureBatch | Control | None]]:
    """Streams of all sorts with the times at which their rows come; None is a tick."""
    busy = arriving("steady", 90 / DAY_MINUTES, 40.0)
    streams = {
        "busy": (busy, 0.0),
        "stops": (busy[busy < START + 40 * MINUTE_S], 0.0),
        "stops-and-goes-on": (busy[(busy < START + 30 * MINUTE_S) | (busy > START + 60 * MINUTE_S)], 0.0),
        "slow": (busy[::40], 0.0),
        "late": (busy[::2], 86_400.0),
        "without-times": (busy[::7], math.nan),
    }
    found: list[tuple[float, FeatureBatch | Control | None]] = []
    for seed, (name, (comes, lag)) in enumerate(streams.items()):
        traffic = _traffic(name, comes - lag, seed)
        traffic[LATENCY][:] = np.where((comes > START + 1200.0) & (comes < START + 2400.0), 9.0, 0.5)
        for start in range(0, len(comes), 16):
            batch = traffic.batch(start, min(start + 16, len(comes)))
            batch.source = name
            found.append((float(comes[min(start + 16, len(comes)) - 1]), batch))
    found += [(time, None) for time in np.arange(START, START + 9000.0, TICK_S).tolist()]
    shorter = Control(action=ControlAction.SETTINGS, stream="slow", data={"silence_after": 600.0})
    found.append((START + 3000.0, shorter))
    found.append((START + 5000.0, Control(action=ControlAction.DEPLOY, stream="busy")))
    return sorted(found, key=lambda each: each[0])


LOG = _log()
OWN = SETTINGS.model_copy(update={"slo": (Objective(name="fast", objective=0.95, latency_s=2.0),)})


def _pass(monitor: PartitionMonitor, restart_every: int = 0) -> tuple[list[Finding], dict[str, bytes]]:
    found: list[Finding] = []
    written: dict[str, bytes] = {}
    for offset, (time, content) in enumerate(LOG):
        if content is None:
            found += monitor.tick(time, offset)
        elif isinstance(content, Control):
            found += monitor.control(content, offset)
        else:
            found += monitor.apply(content, offset)
        if restart_every and offset % restart_every == 0:
            written |= monitor.changed()
            clock, monitor = monitor.clock, PartitionMonitor(lambda _stream: OWN, SPECS)
            for stream, snapshot in written.items():
                monitor.restore(stream, snapshot)
            monitor.clock = clock
    return found, {name: each.snapshot() for name, each in sorted(monitor.streams.items())}


ALL = _pass(EachAsked(lambda _stream: OWN, SPECS))


def test_the_log_has_silences_burns_and_waiting_rows() -> None:
    kinds = {finding.kind.value for finding in ALL[0]}
    assert {"silence", "latency"} <= kinds
    assert {finding.stream for finding in ALL[0]} >= {"stops", "stops-and-goes-on", "slow", "busy"}
    assert not [f for f in ALL[0] if f.stream == "late" and f.kind.value in ("silence", "volume")]


@pytest.mark.parametrize("restart_every", [0, 97])
def test_visiting_those_that_are_due_finds_what_asking_all_finds(restart_every: int) -> None:
    found, states = _pass(PartitionMonitor(lambda _stream: OWN, SPECS), restart_every)
    if restart_every:  # streams of one tick are in the order in which they were restored
        assert sorted(map(repr, found)) == sorted(map(repr, ALL[0]))
    else:
        assert found == ALL[0]
    assert states == ALL[1]


@pytest.mark.parametrize("lag", [0.0, 3600.0, 86_400.0, 30 * 86_400.0])
def test_idle_streams_and_gaps_are_not_visited(monkeypatch: pytest.MonkeyPatch, lag: float) -> None:
    """400 streams of which 380 fall idle: over four hours each of these is visited a few times, not 2,880 times."""
    names = [f"stream-{i}" for i in range(400)]
    monitor = PartitionMonitor(lambda _stream: SETTINGS, SPECS)
    assert monitor.tick(START, 0) == []
    offset, comes = 1, START
    for _ in range(10):
        batches = [_traffic(name, np.array([comes - lag]), 1).batch() for name in names]
        for name, batch in zip(names, batches, strict=True):
            batch.source = f"{name} at {comes}"
            batch.ids = [f"{name} {comes}"]
        monitor.apply(concat(batches), offset)
        monitor.tick(comes + 1.0, offset + 1)
        offset, comes = offset + 2, comes + 30.0
    asked: list[str] = []
    waits_for = StreamMonitor.waits_for

    def counted(self: StreamMonitor, time: float) -> bool:
        asked.append(self.stream)
        return waits_for(self, time)

    monkeypatch.setattr(StreamMonitor, "waits_for", counted)
    for tick in range(2880):
        monitor.tick(comes + tick * TICK_S, offset + tick)
    assert len(asked) <= 3 * len(names)


def test_a_tick_that_comes_again_leaves_a_stream_due() -> None:
    """A stream whose snapshot is further on than the log's position keeps its place among those that are due."""
    times = arriving("steady", 30 / DAY_MINUTES, 60.0)
    monitor = PartitionMonitor(lambda _stream: SETTINGS, SPECS)
    monitor.tick(START, 0)
    monitor.apply(_traffic("s", times, 1).batch(), 5)
    end = float(times[-1])
    assert [monitor.tick(end + 60.0 * minute, 4) for minute in range(30)] == [[]] * 30
    found = [finding for tick in range(60) for finding in monitor.tick(end + 60.0 * (30 + tick), 6 + tick)]
    assert [finding.kind.value for finding in found] == ["silence"]
