"""`EventWindows`: rows of a stream counted in windows of event time, from their times alone.

Two windows are open at a time. Rows that are later still count for the older of the two, so that rows out of order lose
no event; and a time counts as reached when the row before has reached it, too, so that a single time far ahead opens no
window. Rows without a time count for none.

Pure. May import nothing from this project.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord


class EventWindowsState(StateRecord):
    """Of `EventWindows`."""

    width: float
    began: float
    reached: float
    last: float
    place: int
    counts: list[float]
    taken: int
    whole: int


class EventWindows:
    """Windows of `width` seconds, aligned to 1970.

    Attributes
    ----------
    began, reached
        The first time, and the latest one that counts as reached (seconds since 1970; NaN before the first row).
    last
        The last row's time.
    place
        The newest window: its start is `place * width`.
    counts
        Events of that window and of the one before.
    taken
        Rows seen, with or without a time.
    """

    def __init__(self, width: float) -> None:
        self.width = width
        self.began = self.reached = self.last = math.nan
        self.place = 0
        self.counts = [0.0, 0.0]
        self.taken = 0
        self._whole = 0  # the first window that was not entered half-way

    def take(self, times: NDArray[np.float64], first: int) -> Iterator[float]:
        """Count rows (n times; NaN where unknown), `first` being the stream index of the first.

        Yields the time that is reached whenever it lies beyond the newest window; the caller moves on up to it
        (`close`, `jump`) before the next row is counted.
        """
        known = np.flatnonzero(np.isfinite(times))
        if len(known):
            seen = times[known]
            if math.isnan(self.began):
                self.began = self.reached = self.last = float(seen[0])
                self.jump(self.began)
            reached = np.minimum(seen, np.concatenate([[self.last], seen[:-1]]))
            reached = np.maximum.accumulate(np.maximum(reached, self.reached))
            start = 0
            while start < len(seen):
                stop = int(np.searchsorted(reached, (self.place + 1) * self.width, side="left"))
                if stop > start:
                    late = int((np.floor(seen[start:stop] / self.width) < self.place).sum())
                    self.counts[0] += stop - start - late
                    self.counts[1] += late
                    start = stop
                if start < len(seen):
                    self.taken = first + int(known[start])
                    yield float(reached[start])
            self.reached, self.last = float(reached[-1]), float(seen[-1])
        self.taken = first + len(times)

    def whole(self, place: int) -> bool:
        """Whether a window was open from its start on."""
        return place >= self._whole

    def close(self) -> tuple[float, float]:
        """Close the older of the two and open a new one: start and events of the one that is closed."""
        start, count = (self.place - 1) * self.width, self.counts[1]
        self.place += 1
        self.counts = [0.0, self.counts[0]]
        return start, count

    def jump(self, time: float) -> None:
        """Go on with the window of `time`, which is not whole, and forget what was counted in those that are open."""
        self.place = math.floor(time / self.width)
        self._whole = self.place + 1
        self.counts = [0.0, 0.0]

    def to_state(self) -> EventWindowsState:
        """For a snapshot."""
        return EventWindowsState(
            self.width, self.began, self.reached, self.last, self.place, self.counts, self.taken, self._whole
        )

    @classmethod
    def from_state(cls, state: EventWindowsState) -> EventWindows:
        """The windows that `state` described; they go on bit for bit."""
        windows = cls(state.width)
        windows.began, windows.reached, windows.last = state.began, state.reached, state.last
        windows.place, windows.counts = state.place, state.counts
        windows.taken, windows._whole = state.taken, state.whole
        return windows
