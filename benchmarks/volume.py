"""Volume: false alarms on ordinary arrivals, and how soon a fall, a rise or a stop is found.

    python -m benchmarks.volume                       # 4 streams of 30 days a kind, 8 changes each
    python -m benchmarks.volume --rate 1 --streams 8  # events a minute

False alarms are counted for the first day, the rest of the first week, and later. Delays are minutes of event time from
the change to the row that showed it, or to the tick that found the stream silent.
"""

from __future__ import annotations

import argparse
import math
from statistics import median

import numpy as np
from numpy.typing import NDArray

from monitor.detection.volume.hour_of_week import DAY_S
from monitor.detection.volume.rate_change import NIGHT_S, WEEK_S, Volume
from monitor.detection.volume.volume_monitor import CONFIRM_S
from tests.detection.arrivals import DAY_MINUTES, KINDS, MINUTE_S, START, changed, times_of

Array = NDArray[np.float64]

BATCH = 256
GAP_S = 180.0
"""Pauses in which a tick may find a stream silent."""
FACTORS = (0.0, 0.1, 0.3, 3.0, 5.0, 10.0)
AGES = {"20 min": 20 / DAY_MINUTES, "3 days": 3.0, "15 days": 15.0}
WATCHED_MINUTES = 240


def reported(volume: Volume, times: Array) -> list[float]:
    """When changes were reported (seconds since 1970), silences among them."""
    found: list[float] = []
    edges = [*(np.flatnonzero(np.diff(times) > GAP_S) + 1).tolist(), len(times)]
    start = 0
    for edge in edges:
        while start < edge:
            stop = min(start + BATCH, edge)
            found += [change.found for change in volume.observe(times[start:stop], start) if change is not None]
            start = stop
        if edge < len(times):
            silent = volume.stopped(float(times[edge]) - CONFIRM_S)
            found += [] if silent is None else [silent]
    return found


def false_alarms(kind: str, rate: float, days: int, streams: int) -> list[int]:
    """Alarms of the first day, the first week and later, over all streams."""
    counts = [0, 0, 0]
    for seed in range(streams):
        rng = np.random.default_rng([seed, 7])
        times = times_of(rng, KINDS[kind](rng, days * DAY_MINUTES, rate))
        for at in reported(Volume(), times):
            age = at - float(times[0])
            counts[0 if age < NIGHT_S else 1 if age < WEEK_S else 2] += 1
    return counts


def delay(kind: str, rate: float, days: float, factor: float, seed: int) -> float:
    """Minutes from a change to its finding; infinite where it was not found."""
    rng = np.random.default_rng([seed, 11])
    minutes = int(days * DAY_MINUTES)
    counts = KINDS[kind](rng, minutes + WATCHED_MINUTES, rate)
    times = times_of(rng, changed(rng, counts, minutes, factor))
    at = START + minutes * MINUTE_S
    volume = Volume()
    late = [found for found in reported(volume, times) if found > at]
    if factor == 0.0:
        silent = volume.stopped(at + WATCHED_MINUTES * MINUTE_S)
        return math.inf if silent is None else (silent + CONFIRM_S - at) / MINUTE_S
    return (late[0] + MINUTE_S - at) / MINUTE_S if late else math.inf


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.volume", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=60.0, help="events a minute")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--streams", type=int, default=4, help="streams a kind")
    parser.add_argument("--runs", type=int, default=8, help="runs of each change")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    given = parser.parse_args()
    months = given.streams * given.days * DAY_S / (30 * DAY_S)
    print(
        f"False alarms at {given.rate:g} events a minute, {months:g} stream-months a kind: first day, first week, later"
    )
    for kind in given.kinds:
        first, week, later = false_alarms(kind, given.rate, given.days, given.streams)
        print(f"  {kind:10s} {first:4d} {week:4d} {later:4d}", flush=True)
    print("Minutes to a finding, median (found of runs), rate times " + ", ".join(f"{factor:g}" for factor in FACTORS))
    for kind in given.kinds[:3]:
        for age, days in AGES.items():
            cells = []
            for factor in FACTORS:
                delays = [delay(kind, given.rate, days, factor, seed) for seed in range(given.runs)]
                hits = sum(math.isfinite(each) for each in delays)
                cells.append(f"{median(delays):.0f} ({hits}/{given.runs})")
            print(f"  {kind:10s} after {age:8s} " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
