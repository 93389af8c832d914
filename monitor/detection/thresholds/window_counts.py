"""`WindowCounts`: what a threshold needs to know of the values in its window, in bounded memory.

A window is cut into `SECTIONS` equal sections, of events or of event time, and is looked at when a section ends. So the
window that a look sees is exact at that moment, the state is a few counts for each section whatever the traffic, and
when anything is found follows from the log alone, however rows were cut into batches.

Whether a value is outside its limit is decided exactly, quantiles too: the nearest-rank q-quantile of n values is the
value of rank ceil(q n) (Hyndman and Fan 1996, definition 1), so it is beyond a limit exactly where enough values are.
Only the quantile that is *shown* comes from a histogram with bins of 1 % (the idea of DDSketch: Masson, Rim and Lee
2019), and is within 0.5 % of the exact one.

Called by `monitor.detection.thresholds.threshold_monitor`. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.config_values.thresholds import SECONDS_PER, SHARES, Limit, Statistic, Threshold, window_of
from monitor.detection.state.snapshot_codec import StateRecord

SECTIONS = 20
"""Of a window: a look comes at most a twentieth of the window after what it sees."""
BIN_RATIO = 1.01
"""Upper over lower edge of a bin of the histogram: what is shown has two or three digits."""
_SMALLEST = 1e-9
"""Magnitudes below this are zero in the histogram: a nanosecond, a thousand-millionth of a dollar."""
_LOG_RATIO = math.log(BIN_RATIO)


class SectionState(StateRecord):
    """Of one section; `first` is index and time of its first value beyond the limit."""

    number: int
    values: int
    beyond: int
    near: int
    total: float
    low: float
    high: float
    first: tuple[int, float] | None
    bins: dict[int, int]


class _Section:
    """Counts of one section."""

    __slots__ = ("beyond", "bins", "first", "high", "low", "near", "total", "values")

    def __init__(self) -> None:
        self.values = self.beyond = self.near = 0
        self.total = 0.0
        self.low, self.high = math.inf, -math.inf
        self.first: tuple[int, float] | None = None
        self.bins: dict[int, int] = {}


class Reading(NamedTuple):
    """What a look sees.

    Attributes
    ----------
    values
        Values in the window.
    value
        The statistic; None where there is none.
    known
        Whether there is enough to judge it.
    outside, recovered
        Whether it is beyond the limit; whether it is inside by the margin that ends an alert.
    beyond
        Values that are themselves beyond the limit; of a share, events that count against it.
    """

    values: int
    value: float | None
    known: bool
    outside: bool
    recovered: bool
    beyond: int


class WindowCounts:
    """The values of one threshold's window.

    Parameters
    ----------
    threshold
        Which statistic of what is limited, and how.
    """

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold
        self.statistic = threshold.statistic
        self.limit = threshold.limit
        self._recovered = self.limit.recovered_at(threshold.margin)
        window = window_of(threshold.window)
        self.by_time = window.seconds > 0
        self.length = window.seconds / SECTIONS if self.by_time else math.ceil(window.events / SECTIONS)
        self._span = window.seconds
        self.number: int | None = None  # of the section that is not over; of events: how many were counted, in sections
        self.counted = 0
        self.since: float | None = None  # the first time that was seen
        self._sections: dict[int, _Section] = {}
        # A share is judged by its value alone; of other statistics each value is held against the limit.
        self._of_values = self.limit if self.statistic is not Statistic.SHARE else None

    @property
    def holds(self) -> bool:
        """Whether anything is in the window, so that the passing of time may change it."""
        return bool(self._sections)

    @property
    def now(self) -> float:
        """End of the last section that is over, in seconds since 1970; NaN before there is one, and for events."""
        return math.nan if self.number is None or not self.by_time else self.number * self.length

    def by_events(self, room: int) -> int:
        """How many of the next `room` values belong to the section of events that is not over."""
        return min(room, int(self.length) - self.counted % int(self.length))

    def advance(self, time: float) -> Iterator[None]:
        """Event time has reached `time`; yields once for each look that is due, before values after it are counted.

        After a pause there are two: at the end of the section that had the last values, and now.
        """
        number = math.floor(time / self.length)
        if self.since is None:
            self.since = time
        if self.number is None:
            self.number = number
        if number <= self.number:
            return
        if number > self.number + 1:
            self._reach(self.number + 1)
            yield
        self._reach(number)
        yield

    def _reach(self, number: int) -> None:
        self.number = number
        for old in [each for each in self._sections if each < number - SECTIONS]:
            del self._sections[old]

    def count(self, values: NDArray[np.float32], indices: NDArray[np.int64], times: NDArray[np.float64]) -> None:
        """Take values (n) with their stream indices (n) and times (n), in log order.

        Of events, all of one section; of time, of any: values from before the window are left out.
        """
        if not self.by_time:
            number = self.counted // int(self.length)
            self.counted += len(values)
            self._add(number, values, indices, times)
            self._reach(self.counted // int(self.length))
            return
        assert self.number is not None
        numbers = np.floor(times / self.length).astype(np.int64)
        for number in np.unique(numbers).tolist():
            if number >= self.number - SECTIONS:
                rows = numbers == number
                self._add(number, values[rows], indices[rows], times[rows])

    def _add(
        self, number: int, values: NDArray[np.float32], indices: NDArray[np.int64], times: NDArray[np.float64]
    ) -> None:
        section = self._sections.get(number)
        if section is None:
            section = self._sections[number] = _Section()
        section.values += len(values)
        # Summed value by value, so that the sum does not depend on how rows were cut into batches.
        section.total = float(np.cumsum(np.concatenate([[section.total], values.astype(np.float64)]))[-1])
        section.low = min(section.low, float(values.min()))
        section.high = max(section.high, float(values.max()))
        beyond = self.beyond(values)
        section.beyond += int(beyond.sum())
        section.near += int(_beyond(self._recovered, values).sum())
        if section.first is None and beyond.any():
            row = int(np.argmax(beyond))
            section.first = int(indices[row]), float(times[row])
        if self.statistic.value in SHARES:
            for place, count in zip(
                *(each.tolist() for each in np.unique(_bins(values), return_counts=True)), strict=True
            ):
                section.bins[place] = section.bins.get(place, 0) + count

    def beyond(self, values: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which values (n) count against the limit."""
        if self._of_values is None:
            return np.asarray((values > 0) == self.limit.upper)
        if self.statistic is Statistic.RATE:
            return np.asarray((values != 0) & self.limit.upper)
        return _beyond(self._of_values, values)

    def read(self, *, open_section: bool = False) -> Reading:
        """The window up to the end of the last section, or with `open_section` up to the last value."""
        sections = [section for _, section in self._window(open_section=open_section)]
        values = sum(section.values for section in sections)
        beyond = sum(section.beyond for section in sections)
        known = values >= self.threshold.needed
        if self.statistic is Statistic.RATE:
            known = self._rate_known(sections)
        elif not values:
            return Reading(0, None, False, False, False, 0)
        if self.statistic.value in SHARES:
            return self._quantile(sections, values, beyond, known=known)
        value = self._value(sections, values)
        if self.statistic in (Statistic.MIN, Statistic.MAX):
            near = sum(section.near for section in sections)
            return Reading(values, value, known, beyond > 0, near == 0, beyond)
        if self.statistic is Statistic.SHARE:
            outside, near_it = self.limit.is_beyond(value), self._recovered.is_beyond(value)
        else:
            outside, near_it = (
                bool(_beyond(limit, np.asarray(value, dtype=np.float32))) for limit in (self.limit, self._recovered)
            )
        return Reading(values, value, known, outside, not near_it, beyond)

    def _window(self, *, open_section: bool) -> list[tuple[int, _Section]]:
        if self.number is None:
            return []
        last = self.number - (not open_section)
        return [(n, self._sections[n]) for n in sorted(self._sections) if last - SECTIONS < n <= last]

    def _rate_known(self, sections: list[_Section]) -> bool:
        """A sum that is too large already is known; one that is too small only when a whole window has passed."""
        if self.since is None or self.number is None:
            return False
        whole = self.now - self.since >= self._span
        return whole or (self.limit.upper and bool(sections))

    def _value(self, sections: list[_Section], values: int) -> float:
        if self.statistic is Statistic.MAX:
            return max(section.high for section in sections)
        if self.statistic is Statistic.MIN:
            return min(section.low for section in sections)
        total = sum(section.total for section in sections)
        if self.statistic is Statistic.RATE:
            return total / self._span * SECONDS_PER[self.limit.per]
        return total / values

    def _quantile(self, sections: list[_Section], values: int, beyond: int, *, known: bool) -> Reading:
        rank = math.ceil(round(SHARES[self.statistic.value] * values, 9))
        near = sum(section.near for section in sections)
        outside = values - beyond < rank if self.limit.upper else beyond >= rank
        recovered = values - near >= rank if self.limit.upper else near < rank
        bins: dict[int, int] = {}
        for section in sections:
            for place, count in section.bins.items():
                bins[place] = bins.get(place, 0) + count
        shown = _of_rank(bins, rank)
        low, high = min(section.low for section in sections), max(section.high for section in sections)
        shown = min(max(shown, low), high)
        if outside != self.limit.is_beyond(shown):  # within the bin's width of the limit: the exact count decides
            shown = self.limit.value
        return Reading(values, shown, known, outside, recovered, beyond)

    def began(self) -> tuple[int, float] | None:
        """Index and time of the first value beyond the limit since the window turned bad; None where none is.

        That is where the sum of what exceeds the limit's allowance was least (CUSUM: Page 1954).
        """
        level = lowest = 0.0
        found: tuple[int, float] | None = None
        for _, section in self._window(open_section=True):
            if found is None and section.first is not None:
                found = section.first
            level += self._excess(section)
            if level <= lowest:
                lowest, found = level, None
        return found

    def _excess(self, section: _Section) -> float:
        """By how much a section exceeds what the limit allows it, in units that suit the statistic."""
        sign = 1.0 if self.limit.upper else -1.0
        if self.statistic.value in SHARES:
            share = SHARES[self.statistic.value]
            allowed = 1.0 - share if self.limit.upper else share
            return section.beyond - allowed * section.values
        if self.statistic in (Statistic.MIN, Statistic.MAX):
            return float(section.beyond)
        if self.statistic is Statistic.RATE:
            return sign * (section.total - self.limit.value * self.length / SECONDS_PER[self.limit.per])
        return sign * (section.total - self.limit.value * section.values)

    def to_state(self) -> list[SectionState]:
        """The sections, for a snapshot."""
        return [
            SectionState(n, s.values, s.beyond, s.near, s.total, s.low, s.high, s.first, s.bins)
            for n, s in sorted(self._sections.items())
        ]

    def restore(self, sections: list[SectionState]) -> None:
        """Take over the sections that `to_state` wrote."""
        for state in sections:
            section = self._sections[state.number] = _Section()
            section.values, section.beyond, section.near = state.values, state.beyond, state.near
            section.total, section.low, section.high = state.total, state.low, state.high
            section.first, section.bins = state.first, dict(state.bins)


def _beyond(limit: Limit, values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which values are outside a limit, in the precision that values travel in: 0.1 is at most 0.1 there as well."""
    at = np.float32(limit.value)
    if limit.upper:
        return values > at if limit.inclusive else values >= at
    return values < at if limit.inclusive else values <= at


def _bins(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number of each value's bin: 0 for zero, positive for positive values, negative for negative ones."""
    size = np.abs(values.astype(np.float64))
    place = np.floor(np.log(np.maximum(size, _SMALLEST) / _SMALLEST) / _LOG_RATIO).astype(np.int64) + 1
    return np.where(size <= _SMALLEST, 0, np.sign(values).astype(np.int64) * place)


def _of_rank(bins: dict[int, int], rank: int) -> float:
    """The value of a rank, from 1, as the middle of its bin."""
    passed = 0
    for place in sorted(bins):
        passed += bins[place]
        if passed >= rank:
            break
    if place == 0:
        return 0.0
    return math.copysign(_SMALLEST * BIN_RATIO ** (abs(place) - 0.5), place)
