"""`Lateness`: how far the times of a stream's events lie behind the clock of the log.

The clock is the time of the last tick before a row. Times lie far behind it in a backfill (old events that are
published now), where an application's clock is set to another time zone, where events come without a time through a
topic that keeps old Kafka timestamps (a mirror), and while a queue before the monitor is long. How often such events
come says nothing about how often they come now: they are counted for neither volume nor silence, and the stream's
status reports how far behind its times lie.

The reader moves a time that lies more than 24 hours before its Kafka timestamp to that limit. So a backfill that is
published with timestamps of now lies 24 hours behind at most, one with old timestamps as far as they say: both are far
behind, and are recognised. The times of the former show how fast the backfill was published, so a stream that learns
from them takes no rate of events from them either (`at_limit`).

What it finds depends on the rows and ticks alone, not on how rows were cut into batches. Pure. May import nothing from
this project.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

BEHIND_S = 900.0
"""A time that lies further behind the clock is late. Longer than queues and retries of a healthy pipeline take, shorter
than the half hour by which time zones differ at least."""
LIMIT_S = 86_400.0
"""How far before its Kafka timestamp a time lies at most: the reader moves earlier ones there."""
FEWEST_LATE = 5
"""Late events in a row that make a stream late which was on time before: a few are stragglers."""
GAP_S = 120.0
"""Time without an event on time, while late ones come, after which the stretch is not judged: a quarter of the shortest
block of windows that can tell a fall of a busy stream."""


class LatenessState(StateRecord):
    """Of `Lateness`."""

    on_time: float
    late: int
    skipped: int
    lag: float
    clock: float
    offsets: tuple[float, float]


class Lateness:
    """Whether the times of one stream lie far behind the log's clock. `VolumeMonitor` asks it about each row."""

    def __init__(self) -> None:
        self._on_time = math.nan  # the clock when the last event came that was on time; NaN: none was yet
        self._late = 0  # late events since then
        self._skipped = 0  # those of them that were not counted
        self._lag = 0.0  # how far the latest of them lies behind the clock
        self._clock = math.nan  # when it came
        self._offsets = (math.nan, math.nan)  # how far the last two counted events lay behind the clock

    @property
    def on_hold(self) -> bool:
        """Whether the last event was late: whether any come that are on time cannot be said now."""
        return self._late > 0

    @property
    def behind_s(self) -> float | None:
        """How far the stream's times lie behind, in seconds; None: they do not, or it is not known."""
        return self._lag if self._is_behind() else None

    @property
    def at_limit(self) -> bool:
        """Whether times lie as far behind as the reader moves them: they show when events came, not their own times."""
        return self._late > 0 and -GAP_S <= self._lag - LIMIT_S <= BEHIND_S

    @property
    def lag(self) -> float:
        """How far the time of the last late event lies behind the clock, in seconds."""
        return self._lag

    @property
    def last_came(self) -> float:
        """The clock when the last late event came."""
        return self._clock

    def _is_behind(self) -> bool:
        if not self._late:
            return False
        lasting = self._late >= FEWEST_LATE and self._clock - self._on_time > BEHIND_S
        return math.isnan(self._on_time) or lasting

    def take(self, times: Array, clock: float, reached: float, last: float) -> tuple[Array, list[tuple[int, float]]]:
        """Look at rows (n times; NaN where unknown) that come at `clock` (NaN: not known).

        `reached` and `last` are the latest time that counts as reached, and the last one that was counted, as `Windows`
        has them. Returns the times that count (n; NaN where they do not), and the rows before which to go on at another
        time, as if nothing had been between: where times are on time again after some that did not count, and where
        they jump ahead though the clock does not.
        """
        if math.isnan(clock) or not len(times):
            return times, []
        # As nearly always; where a time or what is reached is not known, one of these is false.
        if (
            not self._late
            and clock - float(times.min()) <= BEHIND_S
            and not float(times.max()) - reached > GAP_S
            and not math.isnan(reached)
        ):
            self._on_time = clock
            before = self._offsets[1] if len(times) == 1 else clock - float(times[-2])
            self._offsets = (before, clock - float(times[-1]))
            return times, []
        counted, jumps = times.copy(), list[tuple[int, float]]()
        for row, time in enumerate(times.tolist()):
            if math.isnan(time):
                continue
            if clock - time > BEHIND_S:
                self._late += 1
                self._lag, self._clock = clock - time, clock
                if self._is_behind() or time < reached - BEHIND_S:
                    self._skipped += 1
                    counted[row] = math.nan
                    continue
                again = False
            else:
                again = self._is_behind() or (self._skipped >= FEWEST_LATE and clock - self._on_time > GAP_S)
                self._on_time, self._late, self._skipped = clock, 0, 0
            now = float(np.fmax(reached, np.fmin(time, last)))
            offset = clock - time
            if again:
                jumps.append((row, time))
            elif now - reached > GAP_S and self._offsets[0] - offset > (now - reached) / 2:
                jumps.append((row, now))
            self._offsets = (self._offsets[1], offset)
            reached, last = now, time
        return counted, jumps

    def first_clock(self, clock: float, last_time: float) -> None:
        """The first tick of the log comes, after events of which the latest is of `last_time`."""
        if not math.isnan(self._on_time) or self._late or not math.isfinite(last_time):
            return
        if clock - last_time > BEHIND_S:
            self._late, self._lag, self._clock = 1, clock - last_time, clock
        else:
            self._on_time = last_time

    def to_state(self) -> LatenessState:
        """For a snapshot."""
        return LatenessState(self._on_time, self._late, self._skipped, self._lag, self._clock, self._offsets)

    @classmethod
    def from_state(cls, state: LatenessState) -> Lateness:
        """What `state` described."""
        late = cls()
        late._on_time, late._late, late._skipped = state.on_time, state.late, state.skipped
        late._lag, late._clock, late._offsets = state.lag, state.clock, state.offsets
        return late
