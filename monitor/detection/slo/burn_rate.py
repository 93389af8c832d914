"""How fast a service level objective spends its error budget, over several windows of event time at once.

An objective allows a share of bad events. The burn rate of a window is its share of bad events over the allowed one:
at 1 the budget lasts exactly its period. An alert needs a long window, so that little is not reported, and a short
one, so that what is over is not reported (multi-window, multi-burn-rate alerts: Beyer et al., *The Site Reliability
Workbook*, chapter 5). Counts are kept by minute and, for long windows, by hour, so state is bounded whatever the
traffic. Time is that of events and ticks; a row that comes late is counted in its own minute.

Pure. May import nothing from this project.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord

MINUTE_S, HOUR_S = 60.0, 3600.0  # seconds
FEWEST_BAD = 10
"""Bad events in the long window below which nothing is reported: one of three at night is no rate."""
FEWEST_BAD_LATELY = 2
"""The same in the short window."""


class Rule(NamedTuple):
    """Burns at least `rate` times too fast over both windows (seconds)."""

    rate: float
    long: float
    short: float
    pages: bool


RULES = (
    Rule(14.4, HOUR_S, 5 * MINUTE_S, True),
    Rule(6.0, 6 * HOUR_S, 30 * MINUTE_S, True),
    Rule(1.0, 72 * HOUR_S, 6 * HOUR_S, False),
)
"""The workbook's, gravest first: 2 % of a budget of 30 days within an hour, 5 % within six, 10 % within three days."""
MINUTES = int(6 * HOUR_S / MINUTE_S)
"""Minutes kept: the longest window that is counted by the minute."""


class Window(NamedTuple):
    """Events and bad ones of a window, and the burn rate (0 where there are none)."""

    events: int
    bad: int
    burn: float


class BudgetState(StateRecord):
    """Of `Budget`: of each minute and hour its number, events and bad events."""

    allowed: float
    period: float
    first: float
    minute: int | None
    minutes: list[tuple[int, int, int]]
    hours: list[tuple[int, int, int]]


class Budget:
    """Counts of one objective.

    Parameters
    ----------
    allowed
        The share of bad events that it allows.
    period
        What its budget is for, in seconds.

    """

    def __init__(self, allowed: float, period: float) -> None:
        self.allowed = allowed
        self.period = period
        self._first = math.inf  # hour of the first event
        self._minute: int | None = None  # the latest minute, which is not over
        self._minutes: dict[int, list[int]] = {}
        self._hours: dict[int, list[int]] = {}

    @property
    def now(self) -> float:
        """End of the last minute that is over, in seconds since 1970; NaN before there is one."""
        return math.nan if self._minute is None else self._minute * MINUTE_S

    def observe(self, times: NDArray[np.float64], bad: NDArray[np.bool_]) -> Iterator[int]:
        """Take rows in log order: times (n) in seconds, and whether each is bad (n).

        Yields, each time that a minute is over, the position of the row that ended it, before that row is counted.
        Rows without a time are left out.
        """
        minutes = np.floor(times / MINUTE_S)
        known = np.flatnonzero(np.isfinite(minutes))
        if not len(known):
            return
        latest = np.maximum.accumulate(minutes[known])
        edges = np.flatnonzero(np.diff(latest, prepend=-np.inf))
        for start, stop in zip(edges, [*edges[1:], len(known)], strict=True):
            if self._ends(int(latest[start])):
                yield int(known[start])
            rows = known[start:stop]
            self._count(minutes[rows].astype(np.int64), bad[rows])

    def advance(self, time: float) -> bool:
        """Event time has reached `time`; whether a minute is over by that."""
        return self._ends(math.floor(time / MINUTE_S))

    def _ends(self, minute: int) -> bool:
        before = self._minute
        if before is not None and minute <= before:
            return False
        self._minute = minute
        if before is None or minute // 60 > before // 60:  # an hour is over
            self._minutes = {m: held for m, held in self._minutes.items() if m >= minute - MINUTES}
            self._hours = {h: held for h, held in self._hours.items() if h >= self._oldest_hour()}
        return before is not None

    def _oldest_hour(self) -> int:
        assert self._minute is not None
        return self._minute // 60 - math.ceil(self.period / HOUR_S)

    def _count(self, minutes: NDArray[np.int64], bad: NDArray[np.bool_]) -> None:
        assert self._minute is not None
        values, places = np.unique(minutes, return_inverse=True)
        events = np.bincount(places, minlength=len(values)).tolist()
        failed = np.bincount(places, weights=bad, minlength=len(values)).astype(int).tolist()
        for minute, n, b in zip(values.tolist(), events, failed, strict=True):
            if minute >= self._minute - MINUTES:
                _add(self._minutes, minute, n, b)
            if minute // 60 >= self._oldest_hour():
                _add(self._hours, minute // 60, n, b)
                self._first = min(self._first, minute * MINUTE_S)

    def window(self, seconds: float) -> Window:
        """The last `seconds` up to `now`: by whole minutes, or by whole hours and this one where it is longer."""
        assert self._minute is not None
        if seconds <= MINUTES * MINUTE_S:
            first = self._minute - round(seconds / MINUTE_S)
            held = [counts for minute, counts in self._minutes.items() if first <= minute < self._minute]
        else:
            first = self._minute // 60 - round(seconds / HOUR_S) + 1
            held = [counts for hour, counts in self._hours.items() if hour >= first]
        events, bad = (sum(counts[side] for counts in held) for side in (0, 1))
        return Window(events, bad, bad / events / self.allowed if events else 0.0)

    def burning(self, rule: Rule) -> bool:
        """Whether a rule's alert holds: both windows burn too fast, by enough events, and as long as the short one."""
        if self.now - self._first < rule.short:
            return False
        lately, window = self.window(rule.short), self.window(rule.long)
        enough = window.bad >= FEWEST_BAD and lately.bad >= FEWEST_BAD_LATELY
        return enough and min(lately.burn, window.burn) >= rule.rate

    def calm(self, rule: Rule) -> bool:
        """Whether a rule's alert is over: the short window burns slowly enough."""
        return self.window(rule.short).burn < rule.rate

    def spent(self) -> float:
        """The share of the period's budget that is spent, if events come as often as they did so far."""
        seen = min(max(self.now - self._first, 0.0), self.period)
        return self.window(self.period).burn * seen / self.period

    def lasts(self, burn: float) -> float:
        """Seconds until the budget is spent if it goes on burning at this rate; 0 where it is spent."""
        return max(1.0 - self.spent(), 0.0) * self.period / burn

    def to_state(self) -> BudgetState:
        """For a snapshot."""
        minutes, hours = (
            [(key, events, bad) for key, (events, bad) in sorted(held.items())] for held in (self._minutes, self._hours)
        )
        return BudgetState(self.allowed, self.period, self._first, self._minute, minutes, hours)

    @classmethod
    def from_state(cls, state: BudgetState) -> Budget:
        """The counts that `state` described; they go on bit for bit."""
        budget = cls(state.allowed, state.period)
        budget._first, budget._minute = state.first, state.minute
        budget._minutes = {minute: [events, bad] for minute, events, bad in state.minutes}
        budget._hours = {hour: [events, bad] for hour, events, bad in state.hours}
        return budget


def _add(counts: dict[int, list[int]], key: int, events: int, bad: int) -> None:
    held = counts.setdefault(key, [0, 0])
    held[0] += events
    held[1] += bad
