"""`Volume`: whether a stream carries as many events as it usually does at this hour, from event times alone.

Events are counted in windows of event time, of a minute or as long as it takes for `ENOUGH` of them. As each window is
closed, the last 4 to 64 windows together are held against what is usual: a change is told where they have less than
half of it (or more than twice: the effect floor) and a negative-binomial count with the dispersion that this stream's
own blocks of that length have shown (`monitor.detection.spread`) would stray as far less than once in ten times the
alert budget's period, all lengths and both sides together. Looking back over a few fixed lengths loses little against
the best sequential test (window-limited likelihood ratios: Lai 1995; of negative-binomial counts: Hoehle and Paul
2008) and, other than a sum that was tempered for correlation, asks for the time scale on which the rate is steady.

What is usual (`monitor.detection.hours`):

- from the second week on: the same hour of the week;
- from the second day on: the same hour of other days *or* the half hour before the change, whichever explains more,
  since nobody knows yet what a weekend looks like;
- on the first day: the half hour before the change. Nobody knows the night yet, so only what is sudden is told: a rate
  that halves within an hour is no change. But a sharp end of the first working day looks as an outage does, and is told
  as one, once; to miss the outage of a new stream would be worse. Streams of less than `EARLY` events a window wait for
  their second day.

A rise must last: a window counts for `BURST` times the edge at most, and a quarter of an hour is the shortest block. A
gap in which it becomes certain that events have stopped is left to silence (`stopped`), and none of it is learned.
Windows in doubt are learned from once the doubt is gone.

Two windows are open at a time, and rows that are later still count for the older of the two: rows out of order lose no
event, and a single time that is far ahead opens no window. State is a function of the rows alone, of a few KiB.

Pure. May import `monitor.detection.hours`, `spread` and `plain` only.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from monitor.detection.hours import DAY_S, HOUR_S, HourOfWeek, Usual, hour_of
from monitor.detection.plain import pack, unpack
from monitor.detection.spread import SCALES, Spread

Array = NDArray[np.float64]

WIDTHS_S = (60.0, 300.0, 900.0, 3600.0, 21600.0)
ENOUGH = 5.0
"""Events that an average window holds: one width up otherwise."""
SHARE = 0.1
"""Of the alert budget that volume may use up."""
NIGHT_S = DAY_S + HOUR_S
"""Age of a stream from which on a day is known: one, and an hour of the next."""
WEEK_S = 8 * DAY_S
RECENT = 30
"""Windows before a block that say what was usual just before."""
BEFORE, FEWEST_BEFORE = 10, 5
"""Windows that must stand before a block for it to be judged, and to be learned from."""
EARLY = 30.0
LEAST_USUAL = 0.5
"""Events that a block must promise to be learned from."""
SHORTEST = {-1: 4, 1: 16}
"""Windows of the shortest block that tells a fall (-1) and a rise (1)."""
BURST = 1.3
PEAK_S = 900.0
"""For how long a rate must be held to count as one that an hour may have."""
DOUBT = 1e-2
"""Blocks that stray as far as one in a thousand are in doubt, and not learned from yet."""
HELD = 64
"""Windows that may wait to be learned from."""
BACK = 10
"""Windows over which a rate must be near the usual one again, by half the effect floor (on a log scale)."""
MOST = 10_080
"""Windows without an event that are looked at one by one: a week of minutes."""
COUNT, CAPPED, LEAST, MIDDLE, MOST_USUAL, RECENT_LEAST, RECENT_MOST = range(7)
"""Columns of the last windows: events, events without bursts, and what is usual by the hour and by those before."""


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
    """How things would stand at window `place` if no event came any more, and since when that would be certain."""

    place: int
    ring: Array
    pending: list[float]
    stopped: float | None = None


class Volume:
    """Counts a stream's events and tells when their rate changed, and when it is as usual again.

    Attributes
    ----------
    open
        The change that holds now.
    floor, budget
        Share of the usual rate that must be lost; alerts and the period in seconds.
    """

    def __init__(self) -> None:
        self.open: Change | None = None
        self.floor = 0.5
        self.budget = (1.0, 30 * DAY_S)
        self._width = WIDTHS_S[0]
        self._began = self._frontier = self._last = math.nan
        self._place = self._from = 0  # window of the frontier; the first whole one
        self._counts = [0.0, 0.0]  # of that window and the one before
        self._taken = 0  # events seen, with or without a time
        self._shape = HourOfWeek()
        self._ring: Array = np.empty((0, 7))
        self._spreads = {-1: Spread(-1), 1: Spread(1)}
        self._held: list[tuple[float, float, float, list[tuple[int, int, float, float]]]] = []
        self._ahead: _Ahead | None = None

    # Input

    def observe(self, times: Array, first: int) -> list[Change | None]:
        """Take rows in stream order with their times (n; NaN where unknown); `first` is the stream index of the first.

        What is returned in order: a `Change` begins, None: the open one has ended.
        """
        told: list[Change | None] = []
        known = np.flatnonzero(np.isfinite(times))
        if len(known):
            self._ahead = None
            seen = times[known]
            if math.isnan(self._frontier):
                self._began = self._frontier = self._last = float(seen[0])
                self._place = math.floor(self._frontier / self._width)
                self._from = self._place + 1
            # A time counts as reached when the row before has reached it, too.
            reached = np.minimum(seen, np.concatenate([[self._last], seen[:-1]]))
            frontier = np.maximum.accumulate(np.maximum(reached, self._frontier))
            start = 0
            while start < len(seen):
                stop = int(np.searchsorted(frontier, (self._place + 1) * self._width, side="left"))
                if stop > start:
                    early = int((np.floor(seen[start:stop] / self._width) < self._place).sum())
                    self._counts[0] += stop - start - early
                    self._counts[1] += early
                    start = stop
                if start < len(seen):
                    self._taken = first + int(known[start])
                    told += self._advance(float(frontier[start]))
            self._frontier, self._last = float(frontier[-1]), float(seen[-1])
        self._taken = first + len(times)
        return told

    def stopped(self, time: float) -> float | None:
        """When it became certain that events have stopped, if none has come until `time`; None: it has not."""
        if math.isnan(self._frontier):
            return None
        if self._ahead is None:
            self._ahead = _Ahead(self._place - 1, self._ring, self._counts[::-1])
        ahead = self._ahead
        last = min(math.floor(time / self._width), self._place + MOST)
        while ahead.stopped is None and ahead.place < last:
            count = ahead.pending.pop(0) if ahead.pending else 0.0
            start = ahead.place * self._width
            ahead.place += 1
            if ahead.place <= self._from:
                continue
            ahead.ring = self._appended(ahead.ring, start, count)
            if not ahead.ring[-SHORTEST[-1] :, COUNT].any() and self._chance(ahead.ring, -1, start, SHORTEST[-1]) < self._rare():
                ahead.stopped = ahead.place * self._width
        return ahead.stopped

    def usual(self, time: float) -> Usual:
        """What is usual at `time`: by its hour where a day is known, by the last windows otherwise."""
        if time - self._began >= NIGHT_S:
            return self._by_hour(time)
        rates = self._ring[-RECENT:, COUNT] / self._width
        rate = float(rates.mean()) if len(rates) else 0.0
        return Usual(rate, rate, rate)

    def accept(self) -> None:
        """The rate that it has now is the usual one: what came before says nothing of it."""
        self.open = self._ahead = None
        self._restart()
        self._shape = HourOfWeek()
        self._began = self._frontier

    def restart(self) -> None:
        """The open change is over by decision; what is usual stays."""
        self.open = None
        self._restart()

    # Windows

    def _advance(self, time: float) -> list[Change | None]:
        """The frontier moves on to `time`: close the windows that are over, all but the last."""
        told: list[Change | None] = []
        if time >= (self._place + SHORTEST[-1]) * self._width:
            over = math.floor(time / self._width) - self._place > MOST
            if over or self.stopped(time) is not None:
                self._skip(time)
                return told
        while (self._place + 1) * self._width <= time:
            start = (self._place - 1) * self._width
            if self._place > self._from:
                told += self._close(start, self._counts[1])
            self._place += 1
            self._counts = [0.0, self._counts[0]]
            if (start + self._width) % DAY_S == 0 and self._fits_better(start):
                self._place = math.floor(time / self._width)
                self._from = self._place + 1
                self._counts = [0.0, 0.0]
        self._ahead = None
        return told

    def _skip(self, time: float) -> None:
        """Nothing came until `time`, which is silence's to tell; it is learned as long as it may be a habit."""
        place, self._place = self._place, math.floor(time / self._width)
        if not self._weekly(place * self._width):
            for empty in range(max(place, self._place - MOST), self._place):
                self._learn_hour(empty * self._width, 0.0, 0.0)
        self._from = self._place + 1
        self._counts = [0.0, 0.0]
        self._restart()

    def _fits_better(self, start: float) -> bool:
        """A day is over: take another width where windows hold too few events, or far too many."""
        flat = self._shape.flat()
        width = next((wide for wide in WIDTHS_S if flat * wide >= ENOUGH), WIDTHS_S[-1])
        wider = width > self._width and flat * self._width < ENOUGH / 2
        narrower = width < self._width and flat * width > 2 * ENOUGH
        if not (wider or narrower) or self._held or self.open is not None or start - self._began < DAY_S:
            return False
        self._width = width
        self._spreads = {-1: Spread(-1), 1: Spread(1)}
        self._restart()
        return True

    def _close(self, start: float, count: float) -> list[Change | None]:
        """A window is over: what it says, and what is learned from it."""
        self._ring = self._appended(self._ring, start, count)
        if self.open is not None:
            if not self._weekly(start):
                self._learn_hour(start, count, 0.0)  # it may be what evenings and weekends are like
            if not self._is_back(start):
                return []
            self.open = None
            self._restart()
            return [None]
        chances = {side: self._chance(self._ring, side, start, SHORTEST[side]) for side in self._spreads}
        for side, chance in chances.items():
            if chance < self._rare():
                self.open = self._change(side, start)
                if not self._weekly(start):
                    for held in self._held:
                        self._learn_hour(*held[:3])
                self._restart()
                return [self.open]
        self._keep_in_mind(start, doubt=min(self._chance(self._ring, side, start) for side in self._spreads) < DOUBT)
        return []

    def _appended(self, ring: Array, start: float, count: float) -> Array:
        """The last windows and one more, with what is usual in it."""
        row = np.array([count, count, math.inf, 0.0, 0.0, 0.0, math.inf])
        if self._weekly(start):
            row[[RECENT_LEAST, RECENT_MOST]] = math.inf, 0.0
        elif len(ring) >= FEWEST_BEFORE:
            before = ring[-RECENT:, CAPPED]
            mean, median = float(before.mean()), float(np.median(before))
            row[[RECENT_LEAST, MIDDLE, RECENT_MOST]] = min(mean, median), mean, max(mean, median)
        if start - self._began >= NIGHT_S:
            usual = self._by_hour(start)
            row[[LEAST, MOST_USUAL]] = usual.least * self._width, usual.most * self._width
            if self._weekly(start):
                row[MIDDLE] = usual.typical * self._width
        row[LEAST] = min(row[LEAST], row[RECENT_LEAST])
        row[CAPPED] = min(count, BURST / (1.0 - self.floor) * max(row[MOST_USUAL], row[RECENT_MOST], ENOUGH))
        return np.vstack([ring[1 - RECENT - SCALES[-1] :], row])

    def _by_hour(self, start: float) -> Usual:
        hours = max(1, round(self._width / HOUR_S))
        return self._shape.usual(hour_of(start), hours, weekly=self._weekly(start))

    def _weekly(self, start: float) -> bool:
        return start - self._began >= WEEK_S

    # Judgement

    def _chance(self, ring: Array, side: int, start: float, first: int = 1) -> float:
        """How likely a block as strange as the strangest of the last ones is; 1 where none is beyond the floor."""
        count, usual = _blocks(ring, side)
        chance = 1.0
        for place, scale in enumerate(SCALES):
            if not first <= scale <= self._whole(ring, start) or not self._strays(side, count, usual, scale):
                continue
            n, e = count[scale - 1], usual[scale - 1]
            if start - self._began < NIGHT_S and e < EARLY * scale:
                continue
            shape = 1.0 / self._spreads[side].dispersions()[place]
            tail = betainc(shape, n + 1.0, shape / (shape + e)) if side < 0 else betainc(n, shape, e / (shape + e))
            chance = min(chance, float(tail))
        return chance

    def _whole(self, ring: Array, start: float) -> int:
        """Windows of the longest block that can be judged."""
        return min(len(ring) if self._weekly(start) else len(ring) - BEFORE, SCALES[-1])

    def _strays(self, side: int, count: Array, usual: Array, scale: int) -> bool:
        """Whether a block's rate is beyond the effect floor."""
        n, e = count[scale - 1], usual[scale - 1]
        return bool(n <= (1.0 - self.floor) * e) if side < 0 else bool(n * (1.0 - self.floor) >= e > 0)

    def _rare(self) -> float:
        """Chance below which a block is a change."""
        alerts, period = self.budget
        return SHARE * alerts * self._width / (period * sum(s >= least for least in SHORTEST.values() for s in SCALES))

    def _change(self, side: int, start: float) -> Change:
        """The change that is certain now; it began where the Poisson likelihood ratio of what came since is largest."""
        count, usual = _blocks(self._ring, side)
        spans = [s for s in range(1, self._whole(self._ring, start) + 1) if self._strays(side, count, usual, s)]
        n, e = count[np.array(spans) - 1], usual[np.array(spans) - 1]
        span = spans[int(np.argmax(n * np.log(np.maximum(n, 1e-9) / e) + e - n))]
        windows = self._ring[-span:]
        before = self._by_hour(start).typical
        if not self._weekly(start):
            before = float(windows[0, RECENT_LEAST if side < 0 else RECENT_MOST]) / self._width
        seen = float(windows[:, COUNT].sum())
        return Change(
            direction=Direction.FELL if side < 0 else Direction.ROSE,
            since=start - (span - 1) * self._width,
            found=start + self._width,
            count=seen,
            usual=float(usual[span - 1]),
            before=before,
            first=max(self._taken - int(seen + self._counts[0]), 0),
            about=int(before * self._width) + 1,
            last=max(self._taken - 1, 0),
            known_s=start + self._width - self._began,
        )

    def _is_back(self, start: float) -> bool:
        """Whether the last windows are near the usual rate."""
        assert self.open is not None
        if len(self._ring) < BACK:
            return False
        last = self._ring[-BACK:]
        was = math.nan if self._weekly(start) else self.open.before * self._width
        near = math.sqrt(1.0 - self.floor)
        count = float(last[:, COUNT].sum())
        if self.open.direction is Direction.FELL:
            return count >= near * float(np.fmin(last[:, LEAST], was).sum())
        return count * near <= float(np.fmax(last[:, MOST_USUAL], was).sum())

    # Learning

    def _keep_in_mind(self, start: float, *, doubt: bool) -> None:
        """Learn from a window and the blocks that it ends, once they are not in doubt."""
        blocks = []
        for place, scale in enumerate(SCALES):
            block = self._ring[-scale:]
            if len(block) < scale or (start / self._width + 1) % scale:
                continue
            usual = float(block[:, MIDDLE].sum()) if self._weekly(start) else scale * float(block[0, MIDDLE])
            if usual >= LEAST_USUAL:
                blocks += [(-1, place, float(block[:, COUNT].sum()), usual)]
                blocks += [(1, place, float(block[:, CAPPED].sum()), usual)]
        lasting = self._ring[-max(1, round(PEAK_S / self._width)) :, COUNT]
        peak = float(lasting.mean()) / self._width if len(lasting) * self._width >= PEAK_S else 0.0
        young = start - self._began < NIGHT_S
        self._held.append((start, float(self._ring[-1, COUNT if young else CAPPED]), peak, blocks))
        if not doubt or len(self._held) > HELD:
            for at, count_then, peak_then, ended in self._held:
                self._learn_hour(at, count_then, peak_then)
                for side, place, seen, expected in ended:
                    self._spreads[side].take(place, seen, expected)
            self._held = []

    def _learn_hour(self, start: float, count: float, peak: float) -> None:
        self._shape.learn(hour_of(start), max(1, round(self._width / HOUR_S)), self._width, count, peak)

    def _restart(self) -> None:
        """What came until now is no part of any block any more."""
        self._ring, self._held, self._ahead = np.empty((0, 7)), [], None

    # State

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [
            None if self.open is None else msgspec.to_builtins(self.open),
            [self._width, self._began, self._frontier, self._last],
            [self._place, self._from, self._taken, *self._counts],
            self._shape.plain(),
            pack(self._ring),
            [spread.plain() for spread in self._spreads.values()],
            self._held,
        ]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Volume:
        """The volume that `plain` described; it goes on bit for bit."""
        volume = cls()
        change, moments, places, shape, ring, spreads, held = plain
        volume.open = None if change is None else msgspec.convert(change, Change)
        volume._width, volume._began, volume._frontier, volume._last = moments
        volume._place, volume._from, volume._taken, *volume._counts = places
        volume._shape, volume._ring = HourOfWeek.from_plain(shape), unpack(ring)
        volume._spreads = {side: Spread.from_plain(spread) for side, spread in zip((-1, 1), spreads, strict=True)}
        volume._held = [(at, count, peak, [tuple(b) for b in blocks]) for at, count, peak, blocks in held]
        return volume


def _blocks(ring: Array, side: int) -> tuple[Array, Array]:
    """Events of the last 1 to 64 windows (m), and what is usual for them at least (side -1) or at most (1)."""
    last = ring[: -SCALES[-1] - 1 : -1]
    length = np.arange(1, len(last) + 1)
    if side < 0:
        return last[:, COUNT].cumsum(), np.minimum(last[:, LEAST].cumsum(), length * last[:, RECENT_LEAST])
    return last[:, CAPPED].cumsum(), np.maximum(last[:, MOST_USUAL].cumsum(), length * last[:, RECENT_MOST])
