"""Runs of the monitor over drawn streams, as every table of the detection benchmark makes them.

The configuration is the default in every row. Streams carry no times unless a row says so, so that 30 days count as
100,000 events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpora import drawn
from monitor.detection import Finding, State, StreamMonitor
from monitor.features.batch import FeatureBatch

SEED = 1
BEFORE = 800
"""Events before a change: the warm-up and calm ones, so that the reference is no longer young."""
AFTER = 800
"""Events after it within which it must be found."""
ASKED = 1e5
"""Mean run length that the default budget asks for on a stream without times."""
CHUNK = 64
"""Rows handed over at once where a run may end early; blocks do not depend on it."""


@dataclass(frozen=True)
class Plan:
    """How much to run."""

    data: Path
    runs: int
    quick: bool
    events: int
    """Of each kind of traffic without a change."""


def seeded(*parts: object) -> np.random.Generator:
    """A generator that depends on the seed and on these names alone, not on what ran before."""
    return np.random.default_rng([SEED, *(crc32(str(part).encode()) for part in parts)])


class AskedMonitor(StreamMonitor):
    """A `StreamMonitor` of default settings that is asked for this mean run length, below what a budget may ask too."""

    asked: float = 1e5

    def mean_run_length(self) -> float:
        """Events between false alarms asked for."""
        return self.asked


def monitor(asked: float | None = None) -> StreamMonitor:
    """A fresh monitor of the default configuration, or one that is asked for another mean run length."""
    if asked is None:
        return StreamMonitor("benchmark")
    fresh = AskedMonitor("benchmark")
    fresh.asked = asked
    return fresh


@dataclass
class Heard:
    """What a monitor said of a stream until it first fired: the firing finding, if any, and information before it."""

    fired: Finding | None = None
    infos: list[Finding] = field(default_factory=list)


def listen(
    watching: StreamMonitor,
    batch: FeatureBatch,
    rows: NDArray[np.intp],
    tag: str,
    segments: Sequence[dict[str, str]] | None = None,
    times: NDArray[np.float64] | None = None,
) -> Heard:
    """Feed these rows until something fires; the rows after it in its chunk are seen too, the rest is not."""
    heard = Heard()
    for chunk in chunks(batch, rows, tag, segments, times):
        if _hear(heard, watching.observe(chunk)):
            return heard
    _hear(heard, watching.close())
    return heard


def chunks(
    batch: FeatureBatch,
    rows: NDArray[np.intp],
    tag: str,
    segments: Sequence[dict[str, str]] | None = None,
    times: NDArray[np.float64] | None = None,
    size: int = CHUNK,
) -> Iterator[FeatureBatch]:
    """These rows of a corpus as new events, so many at a time."""
    for start in range(0, len(rows), size):
        own = None if segments is None else segments[start : start + size]
        when = None if times is None else times[start : start + size]
        yield drawn(batch, rows[start : start + size], f"{tag}{start}-", own, when)


def _hear(heard: Heard, findings: Sequence[Finding]) -> bool:
    for finding in findings:
        if finding.opens:
            heard.fired = finding
            return True
        if finding.state is State.INFO:
            heard.infos.append(finding)
    return False


@dataclass
class Alarms:
    """False alarms of a monitor that starts afresh after each, and how many events it watched outside warm-up."""

    events: int = 0
    fired: list[Finding] = field(default_factory=list)
    infos: list[Finding] = field(default_factory=list)

    def add(self, other: Alarms) -> None:
        """Count another stream's."""
        self.events += other.events
        self.fired += other.fired
        self.infos += other.infos


def alarms(
    batch: FeatureBatch,
    rows: NDArray[np.intp],
    make: Callable[[], StreamMonitor] = monitor,
    segments: Sequence[dict[str, str]] | None = None,
    times: NDArray[np.float64] | None = None,
) -> Alarms:
    """Watch rows in which nothing changes."""
    out = Alarms()
    start = 0
    while start < len(rows):
        watching = make()
        told = None if segments is None else segments[start:]
        when = None if times is None else times[start:]
        heard = listen(watching, batch, rows[start:], f"{start}/", told, when)
        end = heard.fired.raised_at.index + 1 if heard.fired else len(rows) - start
        out.events += max(0, end - watching.settings.warmup)
        out.infos += heard.infos
        if heard.fired:
            out.fired.append(heard.fired)
        start += end
    return out


def heard_all(
    watching: StreamMonitor,
    batch: FeatureBatch,
    rows: NDArray[np.intp],
    tag: str,
    segments: Sequence[dict[str, str]] | None = None,
) -> list[Finding]:
    """Everything that a monitor finds in these rows of a corpus."""
    return [found for chunk in chunks(batch, rows, tag, segments, size=256) for found in watching.observe(chunk)]
