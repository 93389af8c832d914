"""`watch_volume: false`: neither a change of the rate nor silence is found, and what was open ends."""

from __future__ import annotations

import math

import numpy as np

from monitor.detection import DetectionSettings
from monitor.detection.records.finding import State
from monitor.detection.volume.volume_monitor import VolumeMonitor

WATCHED = DetectionSettings(silence_after=60.0)
OFF = DetectionSettings(silence_after=60.0, watch_volume=False)
TIMES = 1.79e9 + np.arange(100.0)
LAST = float(TIMES[-1])


def silent() -> VolumeMonitor:
    volume = VolumeMonitor("s")
    assert volume.observe(TIMES, 0, WATCHED) == []
    [silence] = volume.tick(LAST + 100.0, LAST, 99, WATCHED)
    assert silence.state is State.FIRING
    return volume


def test_no_silence_is_due_or_found() -> None:
    volume = VolumeMonitor("s")
    assert volume.observe(TIMES, 0, OFF) == []
    assert volume.next_due(LAST, OFF) == math.inf
    assert volume.tick(LAST + 1e6, LAST, 99, OFF) == []


def test_what_is_open_ends_with_the_next_tick_or_event() -> None:
    for ends in (
        lambda volume: volume.tick(LAST + 101.0, LAST, 99, OFF),
        lambda volume: volume.observe(TIMES[-1:] + 200.0, 100, OFF),
    ):
        volume = silent()
        assert volume.due(LAST + 101.0, LAST, OFF)
        [ended] = ends(volume)
        assert ended.state is State.RESOLVED
        assert "no longer watched" in ended.cause
        assert not volume.due(LAST + 300.0, LAST, OFF)
