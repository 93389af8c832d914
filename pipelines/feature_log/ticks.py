"""Ticks from event times: what a replay has in place of the 5 s ticks that a detect partition's owner appends.

Each stream has its own ticks, which follow from its own rows alone: not from other streams' rows, not from how rows
were cut into batches, and there is none after a stream's last row. So a replay finds the same in a stream alone and
beside others, in one process and through a broker, and the end of a file is not taken for silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from monitor.detection.records.log_format import Tick
from monitor.features.batch import FeatureBatch

TICK_EVERY_S = 5.0  # silence and the end of a window are noticed within it; what ticks cost: see `_GROWTH`
# A week without events has 121,000 ticks of 5 s. In a pause each tick comes a quarter later than the one before, so
# silence is found at most a quarter late, and the pause costs 50.
_GROWTH = 1.25


@dataclass(slots=True)
class _Clock:
    """Where one stream's event time stands: the running maximum of its rows' times, and its last tick."""

    now: float = math.nan
    ticked: float = math.nan

    def due(self, time: float) -> list[float]:
        """Times of the ticks that come before a row of this time."""
        if not math.isfinite(time) or time <= self.now:
            return []
        self.now = time
        if math.isnan(self.ticked):
            self.ticked = time
            return []
        ticks = []
        wait = TICK_EVERY_S
        while self.ticked + wait <= time:
            self.ticked += wait
            wait *= _GROWTH
            ticks.append(self.ticked)
        return ticks


class EventTimeTicks:
    """Puts a stream's ticks before the row whose time shows that 5 s have passed since the stream's last tick."""

    def __init__(self) -> None:
        self._clocks: dict[str, _Clock] = {}

    def __copy__(self) -> EventTimeTicks:
        """The same state, to go back to where a batch has to be taken again."""
        other = EventTimeTicks()
        other._clocks = {stream: replace(clock) for stream, clock in self._clocks.items()}
        return other

    def interleave(self, batch: FeatureBatch) -> Iterator[FeatureBatch | Tick]:
        """The batch's rows as parts, with the ticks that are due between them.

        Rows of one stream keep their order. Streams without a tick in this batch come first, as one part; then the
        others, one after another.
        """
        due: dict[str, list[tuple[int, list[float]]]] = {}
        if np.isfinite(batch.times).any():
            for row, (stream, time) in enumerate(zip(batch.streams, batch.times.tolist(), strict=True)):
                clock = self._clocks.get(stream)
                if clock is None:
                    clock = self._clocks[stream] = _Clock()
                ticks = clock.due(time)
                if ticks:
                    due.setdefault(stream, []).append((row, ticks))
        if not due:
            yield batch
            return
        rows_of: dict[str, list[int]] = {}
        rest = []
        for row, stream in enumerate(batch.streams):
            if stream in due:
                rows_of.setdefault(stream, []).append(row)
            else:
                rest.append(row)
        if rest:
            yield batch.take(np.asarray(rest, dtype=np.intp))
        for stream, rows in rows_of.items():
            own = np.asarray(rows, dtype=np.intp)
            start = 0
            for row, ticks in due[stream]:
                stop = int(np.searchsorted(own, row))
                if stop > start:
                    yield batch.take(own[start:stop])
                    start = stop
                for time in ticks:
                    yield Tick(time, stream)
            yield batch.take(own[start:])
