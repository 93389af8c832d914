"""`Column`: the evidence that one column of a finding is back where the reference has it.

For each column row sums are compared under two hypotheses: "back at the original reference" and "still changed, by at
least as much as the changed rows show". The likelihood ratio of the two adds up over all rows since the change was last
seen (a Shiryaev-Roberts sum over every moment at which the change may have ended).

- A rate (flag, value of a category) is Bernoulli; the level of a number is normal with the reference's variance; its
  spread is the variance of a normal.
- The level that counts as still changed is the lower confidence bound of the changed rows. At first these are the rows
  that raised the finding. They were chosen for being extreme, so their bound is wide (`CHOSEN_ROWS_LOG_RATIO`). Rows
  since then were not chosen; once there are `MIN_LATER_ROWS` they alone decide (`LATER_ROWS_LOG_RATIO`). Rows count as
  changed when the log ratio, counted from the last such moment, is below 0 (a CUSUM that starts again).
- "Back" is the reference, as surely as it is known, and what lies within the effect floor of it, but at most a third of
  the way to the changed level.
- Autocorrelated rows carry less information than independent ones: log likelihoods are divided by the long-run variance
  over the marginal one, that of the reference or that seen since the finding, whichever is larger.

Pure.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

PIECE_ROWS = 32
"""Rows that are added at once, and after which the change may have ended. Smaller pieces need a higher threshold (more
moments to choose from), larger ones lose up to a piece of rows."""
CHOSEN_ROWS_LOG_RATIO = 5.0
"""Log likelihood ratio within which the changed level may lie below that of the rows that raised the finding: with it
the bound of a normal mean is a third of what those rows show, which covers the bias of having chosen them."""
LATER_ROWS_LOG_RATIO = 2.0
"""The same for rows since then, which nobody chose: a one-sided 98 % bound."""
MIN_LATER_ROWS = 64
"""Rows since the finding from which on they alone say how large the change is: two pieces, whose mean is known within
an eighth of a standard deviation."""
MIN_LATER_ROWS_OF_A_RATE = 256
"""Rows until which a rate is bounded as widely as by chosen rows: events of a low rate that come in clusters are a
handful of clusters until then, and a finding is raised in the first of them."""
MEMORY_ROWS = 2_048.0
"""Rows that the changed level is estimated from, about; older ones fade, as the level of a change may move."""
MIN_ERRORS_TESTED = 3.0
"""Standard errors of the reference below which no change is tested for, and half of which count as back: the usual
level is not known better, and what is back must not fire for ever."""
PIECES_OF_ORDINARY_SCATTER = 8.0
"""Pieces of ordinary scatter that are mixed in, so that a few pieces do not make a wild estimate of the scatter."""
SPREAD_VARIANCE_FACTOR = 1.69
"""By which the variance of a spread is larger than a normal's, as scores have heavier tails (`change_point.widening`:
a standard error a third wider)."""
MIN_RATE = 1e-5
"""Rates are kept this far from 0 and 1, where a logarithm has no value: one event in a hundred thousand."""
MIN_VARIANCE_RATIO = 1e-6
"""Ratios of variances are kept above this: a constant column has the logarithm of a thousandth of a deviation."""
MIN_VARIANCE = 1e-9
"""Below any variance that divides a residual."""
LOG_BESIDE_WHICH_ONE_IS_NOTHING = 30.0
"""Log evidence from which adding one row's start (1) no longer changes it in double precision."""
BISECTIONS = 30
"""Halvings of an interval, to a billionth of it."""


class Measure(StrEnum):
    """What of a column is tested."""

    LEVEL = "level"
    RATE = "rate"
    SPREAD = "spread"


class Column(msgspec.Struct):
    """One tested column: its hypotheses and its running sums.

    `place` is its position among the reference's columns. `usual` is its value in the reference: 0 for a level (in
    standard deviations), the rate, or 1 for a spread (ratio of variances). `changed` is the level that counts as still
    changed, `error` the reference's own standard error, `floor` the effect floor, `least` the smallest change that is
    tested; these four are distances from `usual` with the sign of the change, a spread's in log variance. `evidence`
    holds the log sums, one for each value that counts as back.
    """

    place: int
    measure: Measure
    segment: tuple[str, str] | None
    usual: float
    sign: float
    changed: float
    error: float
    floor: float
    least: float
    long_run: float
    surest: bool = True
    seen: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.0])  # rows that count as changed, and their sum
    waiting: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.0])  # the same of those that may be back
    evidence: list[float] = msgspec.field(default_factory=lambda: [-math.inf, -math.inf])
    lead: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.0])  # log ratios since they were last below 0
    scatter: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.0, math.nan])  # pieces, squares, last residual

    def same_as(self, other: Column) -> bool:
        """Whether another test is of the same quantity."""
        return (self.place, self.measure, self.segment) == (other.place, other.measure, other.segment)

    def total(self) -> float:
        """Log of the evidence that it is back."""
        top = max(self.evidence)
        if top == -math.inf:
            return top
        return top + math.log(sum(math.exp(one - top) for one in self.evidence) / len(self.evidence))

    def add(self, n: float, total: float) -> None:
        """A piece's n rows and their sum (of squares for a spread)."""
        if n <= 0:
            return
        weight = 1.0 / max(self.long_run, self._inflation())
        still = self._log_likelihood(n, total, self._value(self.changed))
        for i, back in enumerate(self._backs()):
            gain = weight * (self._log_likelihood(n, total, self._value(back)) - still)
            self.lead[i] = max(0.0, self.lead[i]) + gain
            held = self.evidence[i]
            self.evidence[i] = gain + (math.log1p(math.exp(held)) if held < LOG_BESIDE_WHICH_ONE_IS_NOTHING else held)
        self._note_scatter(n, total)
        self.waiting = [self.waiting[0] + n, self.waiting[1] + total]
        if max(self.lead) <= 0.0:
            self._still_changed()

    def _still_changed(self) -> None:
        """The rows that waited are of the change: it is estimated with them."""
        n, total = self.seen[0] + self.waiting[0], self.seen[1] + self.waiting[1]
        fade = min(1.0, MEMORY_ROWS / n)
        self.seen, self.waiting = [n * fade, total * fade], [0.0, 0.0]
        if n >= MIN_LATER_ROWS:
            clustered = self.measure is Measure.RATE and n < MIN_LATER_ROWS_OF_A_RATE
            within = CHOSEN_ROWS_LOG_RATIO if clustered else LATER_ROWS_LOG_RATIO
            self.changed = self.sign * max(abs(self.least), self.bound(self.seen[0], self.seen[1], within))

    def bound(self, n: float, total: float, within: float) -> float:
        """How far from the reference the changed rows are at least, in the direction of the change (0: not at all)."""
        distance = self.sign * self._distance(total / n)
        if distance <= 0:
            return 0.0
        weight = n / max(self.long_run, self._inflation())
        best = self._log_likelihood(1.0, total / n, self._value(self.sign * distance))
        low, high = 0.0, distance
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            behind = best - self._log_likelihood(1.0, total / n, self._value(self.sign * middle))
            low, high = (middle, high) if weight * behind > within else (low, middle)
        return low

    def _backs(self) -> tuple[float, float]:
        """The distances that count as back: none, and what the reference or the effect floor leaves room for."""
        gap = abs(self.changed)
        room = min(max(MIN_ERRORS_TESTED / 2 * self.error, min(self.floor, gap / 3)), gap / 2)
        return 0.0, self.sign * room

    def _value(self, distance: float) -> float:
        """The parameter at a distance from the usual one."""
        if self.measure is Measure.SPREAD:
            return math.exp(distance)
        value = self.usual + distance
        return min(max(value, MIN_RATE), 1 - MIN_RATE) if self.measure is Measure.RATE else value

    def _distance(self, value: float) -> float:
        if self.measure is Measure.SPREAD:
            return math.log(max(value, MIN_VARIANCE_RATIO))
        return value - self.usual

    def _log_likelihood(self, n: float, total: float, value: float) -> float:
        """Of n rows with this sum, up to what does not depend on the value."""
        if self.measure is Measure.LEVEL:
            return total * value - n * value * value / 2
        if self.measure is Measure.RATE:
            return total * math.log(value) + (n - total) * math.log1p(-value)
        return -0.5 * n * math.log(value) - total / (2 * value)

    def _note_scatter(self, n: float, total: float) -> None:
        """How far neighbouring pieces are from each other, against what independent rows show."""
        rows, whole = self.seen[0] + self.waiting[0] + n, self.seen[1] + self.waiting[1] + total
        mean = whole / rows
        if self.measure is Measure.RATE:
            rate = min(max(mean, MIN_RATE), 1 - MIN_RATE)
            variance = rate * (1 - rate)
        else:
            variance = 2 * SPREAD_VARIANCE_FACTOR * mean * mean if self.measure is Measure.SPREAD else 1.0
        residual = (total - n * mean) / math.sqrt(n * max(variance, MIN_VARIANCE))
        pieces, squares, last = self.scatter
        if not math.isnan(last):
            fade = min(1.0, MEMORY_ROWS / PIECE_ROWS / (pieces + 1))
            pieces, squares = (pieces + 1) * fade, (squares + (residual - last) ** 2 / 2) * fade
        self.scatter = [pieces, squares, residual]

    def _inflation(self) -> float:
        pieces, squares, _ = self.scatter
        return (squares + PIECES_OF_ORDINARY_SCATTER * self.long_run) / (pieces + PIECES_OF_ORDINARY_SCATTER)
