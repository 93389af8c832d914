"""Ticks from event times: what a replay has in place of the 5 s ticks that a detect partition's owner appends.

Where ticks fall depends on the rows alone, never on how they were cut into batches, so a replay in one process and one
through a broker conclude the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from monitor.detection.wire import Tick
from monitor.features.batch import FeatureBatch

TICK_EVERY_S = 5.0
# A week without events has 121,000 ticks of 5 s. In a pause each tick comes a quarter later than the one before, so
# silence is found at most a quarter late, and the pause costs 50.
_GROWTH = 1.25


class EventTimeTicks:
    """Puts ticks between rows: before the row whose time shows that 5 s have passed since the last tick."""

    def __init__(self) -> None:
        self._now = math.nan  # running maximum of the rows' times
        self._ticked = math.nan

    def interleave(self, batch: FeatureBatch) -> Iterator[FeatureBatch | Tick]:
        """The batch's rows in their order, as parts, with the ticks that are due between them."""
        times = batch.times
        if not np.isfinite(times).any():
            yield batch
            return
        start = 0
        for row, time in enumerate(times.tolist()):
            due = list(self._due(time))
            if due:
                if row > start:
                    yield batch.take(np.arange(start, row))
                    start = row
                yield from due
        yield batch if start == 0 else batch.take(np.arange(start, len(batch)))

    def _due(self, time: float) -> Iterator[Tick]:
        if not math.isfinite(time) or time <= self._now:
            return
        self._now = time
        if math.isnan(self._ticked):
            self._ticked = time
            return
        wait = TICK_EVERY_S
        while self._ticked + wait <= time:
            self._ticked += wait
            wait *= _GROWTH
            yield Tick(self._ticked)
