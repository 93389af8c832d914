"""Ticks: what a tick and an event cost detect where times lag, and where most streams are idle.

    python -m benchmarks.ticks                        # this version
    python -m benchmarks.ticks --before ../other      # beside another checkout, in the same run

Many streams with 650 events a second between them, and a tick every 5 s, as a detect partition's log holds them. The
streams are still learning, so what is measured is the cost of an event and a tick themselves, without judging blocks.
`--fewer` measures the other checkout on a part of its streams and multiplies: where each tick visits each stream, and
each visit takes as long as its gap, all of them would take hours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from monitor.detection import DetectionSettings, PartitionMonitor
from monitor.features.base import FeatureSpec, Kind
from monitor.features.batch import FeatureBatch

NOW = 1_700_000_000.0
RATE = 650
TICK_S = 5.0
BATCH = 256
LAGS = {"0": 0.0, "an hour": 3600.0, "a day": 86_400.0, "a month": 30 * 86_400.0}
STREAMS = 3_000
MANY, BUSY = 20_000, 1_000
SPECS = (FeatureSpec("output.length.chars", Kind.NUMBER, "characters of the output", "characters"),)


class Log:
    """A detect partition's log, and what applying it costs."""

    def __init__(self, streams: int) -> None:
        settings = DetectionSettings(warmup=5000, mature=5000)  # no stream gets so far here
        self.monitor = PartitionMonitor(lambda _stream: settings, SPECS)
        self.names = [f"service-{each}/answer" for each in range(streams)]
        self.rng = np.random.default_rng(1)
        self.offset = self.events = self.ticks = 0
        self.event_s = self.tick_s = 0.0
        self.worst_s = 0.0

    def rows(self, streams: np.ndarray, times: np.ndarray) -> None:
        """Append and apply a message with one row each of these streams (n indices) at these times (n)."""
        n = len(times)
        offsets = np.arange(self.events, self.events + n, dtype=np.int64)
        batch = FeatureBatch(
            names=(SPECS[0].name,),
            values=self.rng.normal(400.0, 50.0, (n, 1)).astype(np.float32),
            streams=[self.names[each] for each in streams.tolist()],
            ids=[f"event-{each}" for each in offsets.tolist()],
            times=times,
            digests=offsets.astype(np.uint64),
            source="outputs",
            source_partitions=np.zeros(n, dtype=np.int32),
            source_offsets=offsets,
            segments=[{}] * n,
            input_excerpts=[""] * n,
            output_excerpts=[""] * n,
        )
        began = time.process_time()
        self.monitor.apply(batch, self.offset)
        self.event_s += time.process_time() - began
        self.offset += 1
        self.events += n

    def tick(self, now: float) -> None:
        """Append and apply a tick."""
        began = time.process_time()
        self.monitor.tick(now, self.offset)
        took = time.process_time() - began
        self.tick_s += took
        self.worst_s = max(self.worst_s, took)
        self.offset += 1
        self.ticks += 1

    def traffic(self, streams: int, rate: float, start: float, ticks: int, lag: float) -> None:
        """The first `streams` have `rate` events a second between them, with times that lie `lag` behind the ticks."""
        now = start
        for _ in range(ticks):
            times = np.sort(self.rng.uniform(now, now + TICK_S, max(int(rate * TICK_S), 1)))
            for first in range(0, len(times), BATCH):
                part = times[first : first + BATCH]
                self.rows(self.rng.integers(0, streams, len(part)), part - lag)
            now += TICK_S
            self.tick(now)

    def reset(self) -> None:
        """Count from here on."""
        self.ticks = 0
        self.event_s = self.tick_s = self.worst_s = 0.0


def measured(fewer: int, ticks: int) -> dict[str, tuple[float, float, float]]:
    """Per scene microseconds an event, and milliseconds a tick: mean and longest, scaled to all streams."""
    found = {}
    for name, lag in LAGS.items():
        log = Log(STREAMS // fewer)
        log.tick(NOW)
        log.traffic(len(log.names), RATE / fewer, NOW, 1, lag)
        log.reset()
        events = log.events
        log.traffic(len(log.names), RATE / fewer, NOW + TICK_S, ticks, lag)
        found[f"{STREAMS:,} streams, lag {name}"] = _figures(log, log.events - events, fewer)
    log = Log(MANY // fewer)
    log.tick(NOW)
    every = np.tile(np.arange(len(log.names)), 10)
    spread = np.linspace(NOW, NOW + 600.0, len(every))
    for first in range(0, len(every), 5 * BATCH):
        log.rows(every[first : first + 5 * BATCH], spread[first : first + 5 * BATCH])
    log.tick(NOW + 600.0)
    log.reset()
    events = log.events
    start = NOW + 1800.0
    log.traffic(BUSY // fewer, RATE / fewer, start, ticks, 0.0)
    found[f"{MANY:,} streams, {MANY - BUSY:,} of them idle"] = _figures(log, log.events - events, fewer)
    return found


def _figures(log: Log, events: int, fewer: int) -> tuple[float, float, float]:
    return 1e6 * log.event_s / events, 1e3 * fewer * log.tick_s / log.ticks, 1e3 * fewer * log.worst_s


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ticks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="another checkout of the project, measured first")
    parser.add_argument("--fewer", type=int, default=300, help="of its streams one in this many is measured")
    parser.add_argument("--ticks", type=int, default=12, help="ticks a scene")
    parser.add_argument("--figures", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.figures:
        print(json.dumps(measured(given.fewer, given.ticks)))
        return
    rows: dict[str, dict[str, tuple[float, float, float]]] = {}
    if given.before is not None:
        command = [sys.executable, str(Path(__file__).resolve()), "--figures", "--fewer", str(given.fewer)]
        environment = {**os.environ, "PYTHONPATH": str(given.before.resolve())}
        # One tick is enough: each of them steps through all windows of the gap again.
        done = subprocess.run([*command, "--ticks", "1"], env=environment, capture_output=True, text=True, check=True)
        rows[f"before (1 stream in {given.fewer})"] = json.loads(done.stdout)
    rows["this version"] = measured(1, given.ticks)
    print(f"{'':36s} {'':24s} us an event   ms a tick   longest tick")
    for version, scenes in rows.items():
        for scene, (event, tick, worst) in scenes.items():
            print(f"{scene:36s} {version:24s} {event:11.0f} {tick:11.1f} {worst:14.1f}")


if __name__ == "__main__":
    main()
