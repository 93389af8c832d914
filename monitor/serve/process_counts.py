"""Counts of all processes that share a port: Prometheus reaches one of them, and must get the sum.

Each process writes its numbers to a file of its own, once a second and before it answers a scrape. Files of processes
that have ended stay, so that a counter never falls.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import msgspec

from monitor.serve.context import Services
from monitor.telemetry.histogram import Histogram
from monitor.telemetry.serve_stats import REQUEST_BOUNDS, ServeStats

FOLDER_VARIABLE = "OQM_SERVE_COUNTS"
"""Set by the parent of several processes: the folder for their files."""
GONE_AFTER_S = 10.0
"""A file that was not written for this long, ten times its interval, is of a process that has ended: nothing is in
flight there."""


class _Written(msgspec.Struct, array_like=True):
    requests: list[tuple[str, str, int]]
    seconds: dict[str, tuple[list[int], float]]
    in_flight: int
    sweep_failures: int
    gate_answers: list[tuple[str, str, int]]


class ProcessCounts:
    """The counts of this process, and the sums with those of the others."""

    def __init__(self, services: Services) -> None:
        self._stats = services.stats
        folder = os.environ.get(FOLDER_VARIABLE)
        self._file = Path(folder) / f"{uuid.uuid4().hex}.json" if folder else None

    def start(self) -> None:
        """Nothing: the file is written by `write`."""

    def close(self) -> None:
        """The last numbers, with nothing in flight."""
        self._stats.in_flight = 0
        self.write()

    def write(self) -> None:
        """Write this process's numbers where the others read them."""
        if self._file is None:
            return
        stats = self._stats
        written = _Written(
            requests=[(*labels, count) for labels, count in dict(stats.requests).items()],
            seconds={route: (histogram.counts(), histogram.total) for route, histogram in dict(stats.seconds).items()},
            in_flight=stats.in_flight,
            sweep_failures=stats.sweep_failures,
            gate_answers=[(*labels, count) for labels, count in dict(stats.gate_answers).items()],
        )
        # Renamed, so that no reader sees half of it.
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(written))
        new.rename(self._file)

    def total(self) -> ServeStats:
        """The sums over all processes."""
        if self._file is None:
            return self._stats
        self.write()
        total = ServeStats()
        for file in self._file.parent.glob("*.json"):
            written = msgspec.json.decode(file.read_bytes(), type=_Written)
            for route, status, count in written.requests:
                total.requests[route, status] += count
            for route, (counts, seconds) in written.seconds.items():
                total.seconds.setdefault(route, Histogram(REQUEST_BOUNDS)).add(counts, seconds)
            for kind, answer, count in written.gate_answers:
                total.gate_answers[kind, answer] += count
            total.sweep_failures += written.sweep_failures
            if time.time() - file.stat().st_mtime < GONE_AFTER_S:
                total.in_flight += written.in_flight
        return total
