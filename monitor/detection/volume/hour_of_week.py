"""`HourOfWeek`: how many events a stream usually has, by hour of the week.

The shape starts flat, becomes daily and then weekly as history allows: an hour of the week that was not seen yet is
taken to be like that hour of other days, and an hour of the day not seen yet like the stream as a whole (shrinkage
towards the coarser mean; Efron and Morris 1975). What is usual is given as a band over the hour and its neighbours, so
that neither the slope of a day nor summer time, nor a nightly job that is late, is a change. The band's upper edge is
at least the highest rate that these hours had for a while, so that neither is a job that is over within the hour.
Hours are UTC.

Pure. May import `monitor.detection.state.snapshot_codec` only.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

HOUR_S = 3600.0  # seconds
DAY_S = 24 * HOUR_S
WEEK_HOURS = 168  # 7 x 24
MONDAY_S = 4 * DAY_S
"""1970 began on a Thursday; the first Monday came four days later."""
FORGET = 0.6
"""What an hour's past weeks count for when it comes again: the last three weeks make 80 % of what is usual."""
PRIOR_S = 1.0
"""Exposure that the coarser mean counts for. A single visit of an hour (3,600 s) replaces it: a stream that rests at
weekends would otherwise be missed on each of its Saturdays."""
LEAST_USUAL_SHARE = 0.1
"""Share of a stream's mean rate that is usual at most even where there was less: a few events at night are no rise."""


class Usual(msgspec.Struct, frozen=True, array_like=True):
    """What is usual for some hours, in events a second.

    `typical` is the mean of these hours; `least` and `most` are over them and the same ones an hour earlier and later.
    """

    typical: float
    least: float
    most: float


class HourOfWeekState(StateRecord):
    """Of `HourOfWeek`: count, exposure and peak of each hour (3, 168), and those of each hour that is not over."""

    values: Array32
    fresh: list[tuple[int, float, float, float]]


class HourOfWeek:
    """Counts, exposure (seconds) and peak rate of each hour of the week, of the last weeks."""

    def __init__(self) -> None:
        self._count, self._exposure, self._peak = np.zeros((3, WEEK_HOURS), dtype=np.float32)
        self._fresh: dict[int, tuple[float, float, float]] = {}

    def learn(self, hour: int, hours: int, span: float, count: float, peak: float) -> None:
        """`count` events came in `span` seconds of these `hours`, the first of which is `hour` (`hour_of`).

        `peak` is a rate (events a second) that lasted for a while until then. An hour counts from two hours later on:
        what it brings is not yet usual in it, nor in the next.
        """
        for each in range(hour, hour + hours):
            seen, exposure, highest = self._fresh.get(each, (0.0, 0.0, 0.0))
            self._fresh[each] = (seen + count / hours, exposure + span / hours, max(highest, peak))
        for past in [each for each in self._fresh if each < hour - 1]:
            cell = past % WEEK_HOURS
            seen, exposure, highest = self._fresh.pop(past)
            self._count[cell] = FORGET * self._count[cell] + seen
            self._exposure[cell] = FORGET * self._exposure[cell] + exposure
            self._peak[cell] = max(FORGET * self._peak[cell], highest)

    def flat(self) -> float:
        """Events a second, over all hours."""
        exposure = float(self._exposure.sum())
        return float(self._count.sum()) / exposure if exposure > 0 else 0.0

    def learned(self) -> float:
        """Events that were learned from, older weeks counting less."""
        return float(self._count.sum()) + sum(seen for seen, _, _ in self._fresh.values())

    def least_by_week(self, hours: int) -> Array:
        """What is usual at least for `hours` from each hour of the week on (168; `usual(..., weekly=True).least`)."""
        daily = (7, 24)
        days = _rates(self._count.reshape(daily).sum(0), self._exposure.reshape(daily).sum(0), self.flat())
        rates = _rates(self._count, self._exposure, np.tile(days, 7))
        means = np.mean([np.roll(rates, -shift) for shift in range(hours)], axis=0)
        return np.asarray(np.minimum(np.minimum(np.roll(means, 1), means), np.roll(means, -1)), dtype=np.float64)

    def usual(self, hour: int, hours: int, *, weekly: bool) -> Usual:
        """What is usual for these `hours`, the first of which is `hour`, on this day of the week or on any day."""
        flat = self.flat()
        cells = np.arange(hour - 1, hour + hours + 1)
        of_day = np.arange(7)[:, None] * 24 + cells % 24
        days = _rates(self._count[of_day].sum(0), self._exposure[of_day].sum(0), flat)
        if weekly:
            cells = cells % WEEK_HOURS
            rates, peaks = _rates(self._count[cells], self._exposure[cells], days), self._peak[cells]
        else:
            rates, peaks = days, self._peak[of_day]
        means = [float(rates[shift : shift + hours].mean()) for shift in range(3)]
        most = max(*means, *(float(days[shift : shift + hours].mean()) for shift in range(3)), LEAST_USUAL_SHARE * flat)
        return Usual(means[1], min(means), max(most, float(peaks.max())))

    def to_state(self) -> HourOfWeekState:
        """For a snapshot."""
        fresh = [(hour, *values) for hour, values in self._fresh.items()]
        return HourOfWeekState(np.stack((self._count, self._exposure, self._peak)), fresh)

    @classmethod
    def from_state(cls, state: HourOfWeekState) -> HourOfWeek:
        """The shape that `state` described; it goes on bit for bit."""
        shape = cls()
        shape._count, shape._exposure, shape._peak = state.values
        shape._fresh = {hour: (count, exposure, peak) for hour, count, exposure, peak in state.fresh}
        return shape


def _rates(count: Array32, exposure: Array32, coarser: Array | float) -> Array:
    return np.asarray((count + PRIOR_S * coarser) / (exposure + PRIOR_S), dtype=np.float64)


def hour_of(time: float) -> int:
    """The hour that a time (seconds since 1970) falls into, counted from a Monday's first."""
    return math.floor((time - MONDAY_S) / HOUR_S)
