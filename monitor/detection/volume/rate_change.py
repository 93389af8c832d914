"""`Volume`: whether a stream carries as many events as it usually does at this hour, from event times alone.

Events are counted in windows of event time, of a minute or as long as it takes for `EVENTS_A_WINDOW` of them. As each
window is closed, the last 4 to 64 windows together are compared with what is usual: a change is reported where they
have less than half of it (or more than twice: the effect floor) and a negative-binomial count with the dispersion
that this stream's own blocks of that length have shown (`monitor.detection.volume.dispersion`) would stray as far
less than once in ten times the alert budget's period, all lengths and both sides together. Looking back over a few
fixed lengths loses little against the best sequential test (window-limited likelihood ratios: Lai 1995; of
negative-binomial counts: Hoehle and Paul 2008) and, other than a sum tempered for correlation, finds by itself the
time scale on which a rate is steady.

What is usual:

- from the second week on: the same hour of the week (`monitor.detection.volume.hour_of_week`);
- from the second day on: the same hour of other days *or* the windows just before, whichever explains more, since
  nobody knows yet what a weekend looks like;
- on the first day: the windows just before. Nobody knows the night yet, so only what is sudden is reported: a rate that
  halves within an hour is no change. But a sharp end of the first working day looks as an outage does, and is
  reported as one, once; to miss the outage of a new stream would be worse. Streams of less than `FIRST_DAY_EVENTS`
  events a window wait for their second day.

A rise must last: a window counts for `BURST_CAP` times the edge at most, and the shortest block is longer. A gap in
which it becomes certain that events have stopped is reported as silence (`stopped`), and no habit once a week is
known. Windows in doubt are learned from when the doubt is gone, and never if it is not.

State is a function of the rows alone, of a few KiB. Pure. May import `monitor.detection.volume.hour_of_week`,
`dispersion`, `event_windows`, `closed_windows` and `snapshot_codec` only.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from monitor.detection.state.snapshot_codec import StateRecord
from monitor.detection.volume.closed_windows import ClosedWindows, Window
from monitor.detection.volume.dispersion import SCALES, Dispersion, DispersionState
from monitor.detection.volume.event_windows import EventWindows, EventWindowsState
from monitor.detection.volume.hour_of_week import (
    DAY_S,
    HOUR_S,
    MONDAY_S,
    WEEK_HOURS,
    HourOfWeek,
    HourOfWeekState,
    Usual,
    hour_of,
)

Array = NDArray[np.float64]

WIDTHS_S = (60.0, 300.0, 900.0, 3600.0, 21600.0)
"""Widths of a window in seconds; the narrowest that holds enough events is taken."""
EVENTS_A_WINDOW = 5.0
"""Events that an average window holds: one width up otherwise."""
SHARE_OF_BUDGET = 0.1
"""Of the alert budget that volume may use up."""
NIGHT_S = DAY_S + HOUR_S
"""Age of a stream from which on a day is known: one, and an hour of the next."""
WEEK_S = 8 * DAY_S
"""Age from which on a week is known: one, and a day of the next."""
RECENT_WINDOWS = 30
"""Windows just before, that say what is usual as long as no week is known."""
WINDOWS_TO_JUDGE, WINDOWS_TO_LEARN = 10, 5
"""How many there must be of them to judge by, and to learn from."""
FIRST_DAY_EVENTS = 30.0
"""Events a window from which a stream is judged on its first day, by a rate that ten windows have shown."""
LEAST_EVENTS_LEARNED = 0.5
"""Events that a block must promise to be learned from."""
SHORTEST_BLOCK = {60.0: (8, 16), 300.0: (4, 8)}
"""Windows of the shortest block that can show a fall and a rise: by their width, 4 where they are wider. A stall of
less than five minutes, or a burst of less than ten, is nothing to wake anybody for."""
WINDOWS_TO_STOP = 4
"""Windows without an event in which a stream can be found to have stopped, at least."""
BURST_CAP = 1.3
"""Multiple of the edge of a rise up to which one window counts: a burst of one window is then no rise of four."""
PEAK_S = 900.0
"""For how long a rate must last to be one that an hour may have."""
CHANCE_IN_DOUBT = 1e-2
"""Windows that end a block which strays as one in a hundred does are in doubt."""
MAX_WINDOWS_IN_DOUBT = 64
"""Windows that may wait in doubt. After as many without a change they are learned from after all."""
WINDOWS_BACK, EVENTS_BACK = 10, 40.0
"""Windows over which a rate must be near the usual one again (half the effect floor off, on a log scale), and events
that they must promise."""
MOST_EMPTY = 10_080
"""Windows without an event among which one is searched in which a stop becomes certain: a week of minutes."""
PAUSE_S = 7 * DAY_S
"""A gap of this length, and of `SCALES[-1]` windows, is a pause: longer than any habit that a week can show. Nothing is
learned from it, it does not count as time in which the stream was watched, and its windows are not visited."""
FIRST_EVENTS = 30.0
"""Events that must have been learned in the first week before a rise above the hour's usual rate is reported. Without
them one test event, sent days before a service goes live, would make its first hour a rise."""
STOP_SLACK = 1e-4
"""Relative slack of the quick test for windows in which a stop can be certain: above the rounding of 32-bit rates."""
MOST_WINDOWS = RECENT_WINDOWS + SCALES[-1]
"""Windows that are kept: the longest block, and those before it that say what is usual."""


class Direction(StrEnum):
    """Which way the rate went."""

    FELL = "fell"
    ROSE = "rose"


class Change(msgspec.Struct, frozen=True):
    """A rate that changed, found when the window that ends at `found` was closed (times in seconds since 1970).

    `count` events came since `since` where `usual` are usual at least (a fall) or at most (a rise). `before` is the
    usual rate then, in events a second. `first` is the stream index of the first event since, give or take the `about`
    events of a window, and `last` of the last one before it was found. `known_s`: how long the stream has been seen.
    """

    direction: Direction
    since: float
    found: float
    count: float
    usual: float
    before: float
    first: int
    about: int
    last: int
    known_s: float


class _Ahead(msgspec.Struct):
    """How things would stand before window `place` if no event came any more, and when that became certain.

    `possible` are the later windows in which a stop can be certain once a week is known, in order; None: not known yet.
    """

    place: int
    windows: ClosedWindows
    pending: list[float]
    stopped: float | None = None
    possible: NDArray[np.int64] | None = None


class VolumeState(StateRecord):
    """Of `Volume`. `last` are the closed windows (n, 7), `spreads` those of falls and of rises, `held` what is learned
    once it is not in doubt: start, events, peak and blocks of each window."""

    open: Change | None
    windows: EventWindowsState
    last: Array
    shape: HourOfWeekState
    spreads: tuple[DispersionState, DispersionState]
    held: list[tuple[float, float, float, list[tuple[int, int, float, float]]]]


class Volume:
    """Counts a stream's events and reports when their rate changed, and when it is as usual again.

    Attributes
    ----------
    open
        The change that holds now.
    """

    def __init__(self) -> None:
        self.open: Change | None = None
        self.ended: list[float] = []  # times at which changes ended within the last call of `observe`
        self._asked = (0.5, (1.0, 30 * DAY_S))
        self._windows = EventWindows(WIDTHS_S[0])
        self._last = ClosedWindows.none()
        self._shape = HourOfWeek()
        self._spreads = {-1: Dispersion(-1), 1: Dispersion(1)}
        self._held: list[tuple[float, float, float, list[tuple[int, int, float, float]]]] = []
        self._ahead: _Ahead | None = None

    def ask(self, floor: float, budget: tuple[float, float]) -> None:
        """What counts: the share of usual events that must be lost, and the budget (alerts, period in seconds)."""
        if (floor, budget) != self._asked:
            self._asked, self._ahead = (floor, budget), None

    @property
    def reached(self) -> tuple[float, float]:
        """The latest time that counts as reached, and that of the last row that was counted (NaN before the first)."""
        return self._windows.reached, self._windows.last

    # Input

    def observe(self, times: Array, first: int) -> list[Change | None]:
        """Take rows in stream order with their times (n; NaN where unknown); `first` is the stream index of the first.

        What is returned in order: a `Change` begins, None: the open one has ended.
        """
        self.ended.clear()
        if np.isfinite(times).any():
            self._ahead = None
        return [change for time in self._windows.take(times, first) for change in self._advance(time)]

    def stopped(self, time: float) -> float | None:
        """When it became certain that events have stopped, if none has come until `time`; None: it has not.

        A window is computed only where a stop can be certain in it, so what a call costs does not grow with the gap:
        at most some 80 windows while no week is known, and `SCALES[-1]` afterwards.
        """
        if time < self.stops_after():
            return None
        if self._ahead is None:
            self._ahead = _Ahead(self._windows.place - 1, self._last, self._windows.counts[::-1])
        ahead, width = self._ahead, self._windows.width
        end = min(math.floor(time / width), self._windows.place + MOST_EMPTY)
        while ahead.stopped is None and self._next_possible(ahead) < end:
            count = ahead.pending.pop(0) if ahead.pending else 0.0
            start = ahead.place * width
            if self._windows.whole(ahead.place):
                ahead.windows = self._and_one(ahead.windows, start, count)
                silent = not ahead.windows.last(WINDOWS_TO_STOP).events.any()
                if silent and self._chances(ahead.windows, -1, start)[0] < self._rare():
                    ahead.stopped = start + width
            ahead.place += 1
        return ahead.stopped

    def stops_after(self) -> float:
        """A time before which `stopped` finds nothing unless events come; infinite: it never will. Costs little."""
        windows, ahead = self._windows, self._ahead
        if math.isnan(windows.reached):
            return math.inf
        if ahead is None:
            newest, before = windows.counts
            # Four windows without an event, after the newest one that has any.
            empty = (
                windows.place + WINDOWS_TO_STOP + 1
                if newest
                else windows.place + WINDOWS_TO_STOP
                if before
                else windows.place
            )
            return empty * windows.width
        if ahead.stopped is not None:
            return ahead.stopped
        place = self._next_possible(ahead)
        return (place + 1) * windows.width if place < windows.place + MOST_EMPTY else math.inf

    def _next_possible(self, ahead: _Ahead) -> int:
        """The next window in which a stop can be certain, or that must be computed before one.

        Moves `ahead` on to the first window that such a one depends on.
        """
        windows = self._windows
        end = windows.place + MOST_EMPTY
        if ahead.pending:
            return ahead.place
        if self.age(ahead.place * windows.width) < WEEK_S:
            if not self._nothing_expected(ahead):
                return ahead.place
            week = math.ceil((windows.began + WEEK_S) / windows.width)
            if week >= end:
                return end
            if week - ahead.place < 2 * SCALES[-1]:
                return ahead.place
            ahead.place, ahead.windows = week, ClosedWindows.without_events(SCALES[-1])
        if ahead.possible is None:
            ahead.possible = ahead.place + self._possible(ahead)
        later = ahead.possible[np.searchsorted(ahead.possible, ahead.place) :]
        if not len(later) or later[0] >= end:
            return end
        first = int(later[0]) - SCALES[-1] + 1  # no block that ends with `later[0]` reaches further back
        if first > ahead.place:
            ahead.place, ahead.windows = first, ClosedWindows.none()
        return int(later[0])

    def _nothing_expected(self, ahead: _Ahead) -> bool:
        """Whether windows without an event can prove no stop until a week is known.

        So it is where on the first day fewer events come than are judged then, and the first day goes on for longer
        than blocks and the windows just before them reach back; and else when nothing is usual by those windows any
        more, and the blocks that reach back to when something was are not rare enough either.
        """
        last, width = ahead.windows, self._windows.width
        before = last.last(RECENT_WINDOWS).capped
        if (
            self.age((ahead.place + RECENT_WINDOWS + SCALES[-1]) * width) < NIGHT_S
            and before.max(initial=0.0) < FIRST_DAY_EVENTS
        ):
            return bool(last.last(SCALES[-1]).least.max(initial=0.0) < FIRST_DAY_EVENTS)
        if len(before) < WINDOWS_TO_LEARN or 2 * np.count_nonzero(before) >= len(before):  # their median is above 0
            return False
        last = last.newest_first(SCALES[-1])
        count, usual = last.events.cumsum(), last.least.cumsum()
        for scale, shape in self._shapes():
            n, e = count[:scale], usual[:scale]
            if (betainc(shape, n + 1.0, shape / (shape + e)) < self._rare() * (1.0 + STOP_SLACK)).any():
                return False
        return True

    def _possible(self, ahead: _Ahead) -> NDArray[np.int64]:
        """Which windows, counted from `ahead.place` on, can prove a stop if no event comes: those that expect enough.

        What is usual repeats after a week, and so does the answer.
        """
        width = self._windows.width
        ahead_of = min(MOST_EMPTY, math.ceil(WEEK_S / width)) + 2 * SCALES[-1]
        starts = (ahead.place + np.arange(ahead_of)) * width
        hours = np.floor((starts - MONDAY_S) / HOUR_S).astype(np.int64)
        least = self._shape.least_by_week(max(1, round(width / HOUR_S)))[hours % WEEK_HOURS] * width
        before = ahead.windows.last(SCALES[-1]).least
        sums = np.concatenate([[0.0], before, least]).cumsum()
        places = len(before) + 1 + np.arange(ahead_of)  # sums[place] is that of all windows up to this one
        possible = np.zeros(ahead_of, dtype=bool)
        for scale, shape in self._shapes():
            # Of n events where e are usual, betainc(shape, n + 1, ...) is least for n = 0, where it is this power.
            enough = shape * (self._rare() ** (-1.0 / shape) - 1.0)
            possible |= sums[places] - sums[np.maximum(places - scale, 0)] >= enough * (1.0 - STOP_SLACK)
        return np.flatnonzero(possible)

    def _shapes(self) -> list[tuple[int, float]]:
        """Lengths of blocks that can show a fall, each with the shape of its negative-binomial count."""
        dispersions = self._spreads[-1].dispersions().tolist()
        return [(n, 1.0 / each) for n, each in zip(SCALES, dispersions, strict=True) if n >= self._shortest(-1)]

    def usual(self, time: float) -> Usual:
        """What is usual at `time`: by its hour where a day is known, by the last windows otherwise."""
        if self.age(time) >= NIGHT_S:
            return self._by_hour(time)
        rates = self._last.last(RECENT_WINDOWS).events / self._windows.width
        rate = float(rates.mean()) if len(rates) else 0.0
        return Usual(rate, rate, rate)

    def age(self, time: float) -> float:
        """Seconds until `time` since the first event, or since its rate was accepted."""
        return time - self._windows.began

    def accept(self) -> None:
        """The rate that it has now is the usual one: what came before says nothing of it."""
        self.open = None
        self._restart()
        self._shape = HourOfWeek()
        self._windows.began = self._windows.reached

    # Windows

    def _advance(self, time: float) -> list[Change | None]:
        """`time` is reached: close the windows that are over, all but the last."""
        found: list[Change | None] = []
        windows = self._windows
        if time >= (windows.place + WINDOWS_TO_STOP) * windows.width:
            if time >= windows.place * windows.width + max(PAUSE_S, SCALES[-1] * windows.width):
                self.resume(time)
                return found
            if self.stopped(time) is not None:
                self._skip(time)
                return found
        while (windows.place + 1) * windows.width <= time:
            whole = windows.whole(windows.place - 1)
            start, count = windows.close()
            if whole:
                found += self._close(start, count)
            if (start + windows.width) % DAY_S == 0:
                self._fit(start, time)
        self._ahead = None
        return found

    def _skip(self, time: float) -> None:
        """Nothing came until `time`, which is reported as silence; it may be a habit as long as no week is known."""
        before = self._windows.place
        self._windows.jump(time)
        width, place = self._windows.width, self._windows.place
        if self.age(before * width) < WEEK_S:
            for empty in range(max(before, place - MOST_EMPTY), place):
                self._learn_hour(empty * width, 0.0, 0.0)
        self._restart()

    def resume(self, time: float) -> None:
        """Go on at `time` after a stretch that was not watched: it says nothing, and makes the stream no older."""
        before = self._windows.place
        if math.isnan(self._windows.reached) or time < before * self._windows.width:
            return
        self._windows.jump(time)
        self._windows.began += (self._windows.place - before) * self._windows.width
        self._restart()

    def _fit(self, start: float, time: float) -> None:
        """A day is over: take another width where windows hold too few events, or far too many."""
        rate, now = self._shape.flat(), self._windows.width
        width = next((wide for wide in WIDTHS_S if rate * wide >= EVENTS_A_WINDOW), WIDTHS_S[-1])
        better = rate * now < EVENTS_A_WINDOW / 2 if width > now else rate * width > 2 * EVENTS_A_WINDOW
        if width == now or not better or self._held or self.open is not None or self.age(start) < DAY_S:
            return
        self._windows.width = width
        self._windows.jump(time)
        self._spreads = {-1: Dispersion(-1), 1: Dispersion(1)}
        self._restart()

    def _close(self, start: float, count: float) -> list[Change | None]:
        """A window is over: what it says, and what is learned from it."""
        self._last = self._and_one(self._last, start, count)
        young = self.age(start) < WEEK_S
        if self.open is not None:
            if young:
                self._learn_hour(start, count, 0.0)  # it may be what evenings and weekends are like
            if not self._is_back(start, self.open):
                return []
            self.open = None
            self.ended.append(start + self._windows.width)
            self._restart()
            return [None]
        chances = {side: self._chances(self._last, side, start) for side in self._spreads}
        for side, (chance, _) in chances.items():
            if chance < self._rare():
                self.open = self._change(side, start)
                for held in self._held if young else []:
                    self._learn_hour(*held[:3])
                self._restart()
                return [self.open]
        self._learn(start, doubt=any(chance < CHANCE_IN_DOUBT for _, chance in chances.values()))
        return []

    def _and_one(self, last: ClosedWindows, start: float, count: float) -> ClosedWindows:
        """The last windows and one more, with what is usual in it.

        Where nothing is known yet, less than nothing and more than everything are usual: no block is beyond that.
        """
        width, age = self._windows.width, self.age(start)
        least, typical, most = math.inf, 0.0, 0.0
        recent_least, recent_most = 0.0, math.inf
        if age >= WEEK_S:  # only the hour of the week counts
            recent_least, recent_most = math.inf, 0.0
        elif len(last) >= WINDOWS_TO_LEARN:
            before = last.last(RECENT_WINDOWS).capped
            mean, median = float(before.mean()), float(np.median(before))
            recent_least, typical, recent_most = min(mean, median), mean, max(mean, median)
        if age >= NIGHT_S:
            usual = self._by_hour(start)
            least, typical, most = usual.least * width, usual.typical * width, usual.most * width
        edge = max(most, recent_most, EVENTS_A_WINDOW)
        capped = min(count, BURST_CAP / (1.0 - self._asked[0]) * edge)
        window = Window(count, capped, min(least, recent_least), typical, most, recent_least, recent_most)
        return last.and_one(window, MOST_WINDOWS)

    def _by_hour(self, start: float) -> Usual:
        hours = max(1, round(self._windows.width / HOUR_S))
        return self._shape.usual(hour_of(start), hours, weekly=self.age(start) >= WEEK_S)

    # Judgement

    def _chances(self, last: ClosedWindows, side: int, start: float) -> tuple[float, float]:
        """How likely blocks as strange as the strangest of the last ones are: of those that count, and of all lengths.

        1 where none is beyond the effect floor.
        """
        counting = any_length = 1.0
        count, usual = _blocks(last, side)
        spans = self._strange(last, side, start, count, usual)
        if not len(spans):
            return counting, any_length
        for scale, dispersion in zip(SCALES, self._spreads[side].dispersions(), strict=True):
            if scale not in spans:
                continue
            n, e, shape = count[scale - 1], usual[scale - 1], 1.0 / dispersion
            tail = betainc(shape, n + 1.0, shape / (shape + e)) if side < 0 else betainc(n, shape, e / (shape + e))
            any_length = min(any_length, float(tail))
            if scale >= self._shortest(side):
                counting = min(counting, float(tail))
        return counting, any_length

    def _strange(self, last: ClosedWindows, side: int, start: float, count: Array, usual: Array) -> NDArray[np.intp]:
        """Lengths of the last blocks that can be judged and are beyond the effect floor."""
        age, floor = self.age(start), self._asked[0]
        most = len(count) if age >= WEEK_S else min(len(count), len(last) - WINDOWS_TO_JUDGE)
        length = np.arange(1, max(most, 0) + 1)
        n, e = count[: len(length)], usual[: len(length)]
        beyond = n <= (1.0 - floor) * e if side < 0 else n * (1.0 - floor) >= e
        night_known = age - (length - 1) * self._windows.width >= NIGHT_S
        beyond &= night_known | (e >= FIRST_DAY_EVENTS * length)
        if side > 0 and NIGHT_S <= age < WEEK_S and beyond.any() and self._shape.learned() < FIRST_EVENTS:
            beyond &= False
        return length[beyond & (e > 0)]

    def _shortest(self, side: int) -> int:
        fall, rise = SHORTEST_BLOCK.get(self._windows.width, (4, 4))
        return fall if side < 0 else rise

    def _rare(self) -> float:
        """Chance below which a block is a change."""
        alerts, period = self._asked[1]
        tests = sum(scale >= self._shortest(side) for side in self._spreads for scale in SCALES)
        return SHARE_OF_BUDGET * alerts * self._windows.width / (period * tests)

    def _change(self, side: int, start: float) -> Change:
        """The change that is certain now; it began where the Poisson likelihood ratio of what came since is largest."""
        count, usual = _blocks(self._last, side)
        spans = self._strange(self._last, side, start, count, usual)
        n, e = count[spans - 1], usual[spans - 1]
        span = int(spans[np.argmax(n * np.log(np.maximum(n, 1e-9) / e) + e - n)])
        windows, width = self._last.last(span), self._windows.width
        if self.age(start) >= WEEK_S:
            before = self._by_hour(start).typical
        else:
            before = float((windows.recent_least if side < 0 else windows.recent_most)[0]) / width
        seen = float(windows.events.sum())
        return Change(
            direction=Direction.FELL if side < 0 else Direction.ROSE,
            since=start - (span - 1) * width,
            found=start + width,
            count=seen,
            usual=float(usual[span - 1]),
            before=before,
            first=max(self._windows.taken - int(seen + sum(self._windows.counts)), 0),
            about=int(before * width) + 1,
            last=max(self._windows.taken - 1, 0),
            known_s=self.age(start + width),
        )

    def _is_back(self, start: float, change: Change) -> bool:
        """Whether the last windows, enough of them to decide, are near the usual rate."""
        width, near = self._windows.width, math.sqrt(1.0 - self._asked[0])
        fell = change.direction is Direction.FELL
        count = usual = 0.0
        for place, seen in enumerate(self._last.events[::-1].tolist()):
            at = start - place * width
            rates = [change.before] if self.age(start) < WEEK_S else []
            if self.age(start) >= NIGHT_S:
                hour = self._by_hour(at)
                rates.append(hour.least if fell else hour.most)
            count += seen
            usual += width * (min(rates) if fell else max(rates))
            if place + 1 >= WINDOWS_BACK and usual >= EVENTS_BACK:
                return bool(count >= near * usual if fell else count * near <= usual)
        return False

    # Learning

    def _learn(self, start: float, *, doubt: bool) -> None:
        """Learn from a window and the blocks that it ends, once they are not in doubt."""
        age, width = self.age(start), self._windows.width
        blocks = []
        for place, scale in enumerate(SCALES):
            block = self._last.last(scale)
            if len(block) == scale and (start / width + 1) % scale == 0:
                usual = float(block.typical.sum()) if age >= NIGHT_S else scale * float(block.typical[0])
                if usual >= LEAST_EVENTS_LEARNED:
                    blocks.append((-1, place, float(block.events.sum()), usual))
                    blocks.append((1, place, float(block.capped.sum()), usual))
        newest = self._last.last(max(1, round(PEAK_S / width)))
        lasting = newest.events if age < NIGHT_S else newest.capped
        peak = float(lasting.mean()) / width if len(lasting) * width >= PEAK_S else 0.0
        self._held.append((start, float(lasting[-1]), peak, blocks))
        if doubt and len(self._held) <= MAX_WINDOWS_IN_DOUBT:
            return
        for at, count, peak_then, ended in self._held:
            self._learn_hour(at, count, peak_then)
            for side, place, seen, expected in ended:
                self._spreads[side].take(place, seen, expected)
        self._held = []

    def _learn_hour(self, start: float, count: float, peak: float) -> None:
        width = self._windows.width
        self._shape.learn(hour_of(start), max(1, round(width / HOUR_S)), width, count, peak)

    def _restart(self) -> None:
        """What came until now is no part of any block any more."""
        self._last, self._held, self._ahead = ClosedWindows.none(), [], None

    # State

    def to_state(self) -> VolumeState:
        """For a snapshot."""
        return VolumeState(
            open=self.open,
            windows=self._windows.to_state(),
            last=self._last.rows,
            shape=self._shape.to_state(),
            spreads=(self._spreads[-1].to_state(), self._spreads[1].to_state()),
            held=self._held,
        )

    @classmethod
    def from_state(cls, state: VolumeState) -> Volume:
        """The volume that `state` described; it goes on bit for bit once it is asked the same."""
        volume = cls()
        volume.open = state.open
        volume._windows, volume._last = EventWindows.from_state(state.windows), ClosedWindows(state.last)
        volume._shape = HourOfWeek.from_state(state.shape)
        volume._spreads = {
            side: Dispersion.from_state(spread) for side, spread in zip((-1, 1), state.spreads, strict=True)
        }
        volume._held = state.held
        return volume


def _blocks(last: ClosedWindows, side: int) -> tuple[Array, Array]:
    """Events of the last 1 to 64 windows (m), and what is usual for them at least (side -1) or at most (1)."""
    last = last.newest_first(SCALES[-1])
    length = np.arange(1, len(last) + 1)
    if side < 0:
        return last.events.cumsum(), np.minimum(last.least.cumsum(), length * last.recent_least)
    return last.capped.cumsum(), np.maximum(last.most.cumsum(), length * last.recent_most)
