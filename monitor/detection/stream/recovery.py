"""`Recovery`: the test of whether a change that fires has ended, with a stated error.

`ReferenceMonitor` starts one when a finding fires, and feeds it every row from then on. For each column that the
finding is about it compares two hypotheses row by row: "back at the original reference" and "still changed, by at
least as much as the changed rows show". The likelihood ratio of the two adds up over all rows since the change was
last seen (a Shiryaev-Roberts sum over every moment at which the change may have ended), so a low rate gets as many
rows as it takes: about log(threshold) / KL divergence. In traffic that stays changed, the sum less the number of
pieces is a supermartingale, so by Doob's inequality at most `WRONG` of such alerts resolve within `WITHIN` events.

What is known of a column:

- a rate (flag, value of a category): Bernoulli; the level of a number: normal with the reference's variance; its
  spread: the variance of a normal.
- The level that counts as still changed is the lower confidence bound of the changed rows. At first these are the rows
  that raised the finding, which were chosen for being extreme, so their bound is wide (`CHOSEN`). Rows since then are
  not chosen; once there are `ENOUGH` they alone decide (`SURE`). Rows count as changed when the log ratio since then,
  counted from the last such moment, is below 0 (a CUSUM that starts again).
- "Back" is the reference, as surely as it is known itself, and what lies within the effect floor of it, but at most a
  third of the way to the changed level.
- Autocorrelated rows say less than independent ones: log likelihoods are divided by the long-run variance over the
  marginal one, that of the reference or that seen since the finding, whichever is larger.

Rows are taken in pieces of `PIECE`, whatever the blocks they come in, so cuts change nothing. The state is some twenty
floats a column. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.diagnosis.shift import Shift
from monitor.detection.reference.reference import Reference

Array = NDArray[np.float64]

PIECE = 32
"""Rows that are added at once, and after which the change may have ended. Smaller pieces need a higher threshold (more
moments to choose from), larger ones lose up to a piece of rows."""
WRONG = 0.05
WITHIN = 20_000
"""Of alerts whose change lasts, at most this share resolves within this many events."""


def limit(piece: int) -> float:
    """Log of the threshold for pieces of so many rows.

    By Doob's inequality a supermartingale with WITHIN / piece steps of mean 1 crosses WITHIN / piece / WRONG with
    probability WRONG at most.
    """
    return math.log(WITHIN / piece / WRONG)


LIMIT = limit(PIECE)
BESIDE = math.log(1 / WRONG)
"""The same for levels and spreads that a finding names beside its surest column: some moved by chance and have nothing
to return from, and where the reference is off by a standard error they would take thousands of rows to show it."""
HARDLY = 0.25
"""Share of the rows in which some column counted as changed, below which another one has not changed with it."""
CHOSEN = 5.0
"""Log likelihood ratio within which the changed level may lie below that of the rows that raised the finding: with it
the bound of a normal mean is a third of what those rows show, which covers the bias of having chosen them."""
TRUSTED = 0.3
AT_LEAST = 128
"""Until other rows have come, this share of a rate's change is believed, as if the rows that raised it had been at
least so many: a rate of 1 % is found by a burst of several faults, and the change is taken to begin with the first of
them, so that two faults in two rows would be a rate of 100 %."""
SURE = 2.0
"""The same for rows since then, which nobody chose: a one-sided 98 % bound."""
ENOUGH = 64
"""Rows since the finding from which on they alone say how large the change is."""
SETTLED = 256
"""Rows until which a rate is bounded as widely as by chosen rows (`CHOSEN`): events of a low rate that come in clusters
are a handful of clusters until then, and a finding is raised in the first of them."""
RARELY = 30.0
"""Events of a flag that the reference must have seen for its autocorrelation to be known. Of rarer ones it is taken to
be that of the reference's numbers, on average: where those come in runs, failures and refusals do so, too."""
MEMORY = 2_048.0
"""Rows that the changed level is estimated from, about; older ones fade, as the level of a change may move."""
SMALLEST = 0.25
"""Share of the effect floor below which no change is tested for: it would take tens of thousands of rows."""
SURELY_MORE = 3.0
"""Standard errors of the reference below which no change is tested for, and half of which count as back: the usual
level is not known better, and what is back must not fire for ever."""
STEADY = 8.0
"""Pieces of ordinary scatter that are mixed in, so that a few pieces do not make a wild estimate of the scatter."""
MOST_COLUMNS = 8
"""Columns that are tested: the surest of a finding's. All must be back, and more would only wait for the weakest."""
NEARLY = 0.7
"""Share of the surest column's standard errors from which on another column is tested, too (as
`classify.DECISIVE_SHARE`)."""
HEAVY_TAILS = 1.69
"""By which the variance of a spread is larger than a normal's, as scores have heavier tails (`shift.widening`)."""
LEAST_RATE = 1e-5
"""Rates are kept this far from 0 and 1, where a logarithm has no value."""


class Measure(StrEnum):
    """What of a column is tested."""

    LEVEL = "level"
    RATE = "rate"
    SPREAD = "spread"


AT_MOST = {Measure.LEVEL: 0.8, Measure.RATE: 0.5, Measure.SPREAD: 0.8}
"""Share of the change that was found which is tested for, however unsure the reference is. Of rates it is less, since
those that raise a finding exceed what lasts by more."""


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
            self.evidence[i] = gain + (math.log1p(math.exp(held)) if held < 30.0 else held)
        self._note_scatter(n, total)
        self.waiting = [self.waiting[0] + n, self.waiting[1] + total]
        if max(self.lead) <= 0.0:
            self._still_changed()

    def _still_changed(self) -> None:
        """The rows that waited are of the change: it is estimated with them."""
        n, total = self.seen[0] + self.waiting[0], self.seen[1] + self.waiting[1]
        fade = min(1.0, MEMORY / n)
        self.seen, self.waiting = [n * fade, total * fade], [0.0, 0.0]
        if n >= ENOUGH:
            within = CHOSEN if self.measure is Measure.RATE and n < SETTLED else SURE
            self.changed = self.sign * max(abs(self.least), self.bound(self.seen[0], self.seen[1], within))

    def bound(self, n: float, total: float, within: float) -> float:
        """How far from the reference the changed rows are at least, in the direction of the change (0: not at all)."""
        distance = self.sign * self._distance(total / n)
        if distance <= 0:
            return 0.0
        weight = n / max(self.long_run, self._inflation())
        best = self._log_likelihood(1.0, total / n, self._value(self.sign * distance))
        low, high = 0.0, distance
        for _ in range(30):
            middle = (low + high) / 2
            behind = best - self._log_likelihood(1.0, total / n, self._value(self.sign * middle))
            low, high = (middle, high) if weight * behind > within else (low, middle)
        return low

    def _backs(self) -> tuple[float, float]:
        """The distances that count as back: none, and what the reference or the effect floor leaves room for."""
        gap = abs(self.changed)
        room = min(max(SURELY_MORE / 2 * self.error, min(self.floor, gap / 3)), gap / 2)
        return 0.0, self.sign * room

    def _value(self, distance: float) -> float:
        """The parameter at a distance from the usual one."""
        if self.measure is Measure.SPREAD:
            return math.exp(distance)
        value = self.usual + distance
        return min(max(value, LEAST_RATE), 1 - LEAST_RATE) if self.measure is Measure.RATE else value

    def _distance(self, value: float) -> float:
        if self.measure is Measure.SPREAD:
            return math.log(max(value, 1e-6))
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
            rate = min(max(mean, LEAST_RATE), 1 - LEAST_RATE)
            variance = rate * (1 - rate)
        else:
            variance = 2 * HEAVY_TAILS * mean * mean if self.measure is Measure.SPREAD else 1.0
        residual = (total - n * mean) / math.sqrt(n * max(variance, 1e-9))
        pieces, squares, last = self.scatter
        if not math.isnan(last):
            fade = min(1.0, MEMORY / PIECE / (pieces + 1))
            pieces, squares = (pieces + 1) * fade, (squares + (residual - last) ** 2 / 2) * fade
        self.scatter = [pieces, squares, residual]

    def _inflation(self) -> float:
        pieces, squares, _ = self.scatter
        return (squares + STEADY * self.long_run) / (pieces + STEADY)


class Recovery:
    """The columns of the open findings, and whether all of them are back.

    Attributes
    ----------
    columns
        What is tested. Empty where nothing moved surely: then the effect floor alone decides.
    taken
        Rows of the track up to which it was fed.
    changed_until
        Time of the last of them that count as changed, None where unknown.
    """

    def __init__(self, taken: int, columns: Sequence[Column] = (), changed_until: float | None = None) -> None:
        self.taken = taken
        self.changed_until = changed_until
        self.columns = list(columns)

    def also(self, columns: Sequence[Column]) -> None:
        """Test these, too; one that is tested already begins again only if it has moved the other way.

        One that moved further is known by all its rows since the first finding, and follows them.
        """
        for column in columns:
            known = next((held for held in self.columns if held.same_as(column)), None)
            if known is None:
                self.columns.append(column)
            elif column.sign != known.sign:
                self.columns[self.columns.index(known)] = column

    def add(self, column: Column, y: Array, reference: Reference) -> None:
        """Values y of one column (n) in a piece of rows, scored by the reference."""
        if column.measure is Measure.RATE:
            column.add(len(y), float(y.sum()))
            return
        j = column.place
        scaled = (y - float(reference.mean[j])) / float(reference.sd[j])
        column.add(len(y), float(scaled.sum() if column.measure is Measure.LEVEL else (scaled * scaled).sum()))

    def back_for(self) -> int:
        """Rows since the change was last seen in any tested column."""
        return int(min((column.waiting[0] for column in self.columns), default=0.0))

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [self.taken, [msgspec.to_builtins(column) for column in self.columns], self.changed_until]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Recovery:
        """The test that `plain` described; it goes on bit for bit."""
        taken, columns, changed_until = plain
        return cls(taken, [msgspec.convert(column, Column) for column in columns], changed_until)


def not_back(columns: Sequence[Column], bar: float = LIMIT) -> list[Column]:
    """The columns that are not surely back; `bar` is what rates and the surest column of a finding must reach.

    What was hardly ever seen changed since the finding, while another column was, had moved by chance: `BESIDE` is
    enough for it. Where the surest column is such a one, the others must reach the bar in its place.
    """
    most = max((column.seen[0] for column in columns), default=0.0)
    by_chance = [column.seen[0] < HARDLY * most for column in columns]
    all_asked = all(chance for column, chance in zip(columns, by_chance, strict=True) if column.surest)

    def asked(column: Column, chance: bool) -> float:
        strict = not chance and (column.surest or all_asked or column.measure is Measure.RATE)
        return bar if strict else min(bar, BESIDE)

    return [c for c, chance in zip(columns, by_chance, strict=True) if c.total() < asked(c, chance)]


def columns_of_change(
    reference: Reference,
    y: Array,
    moved: Shift,
    effect: Array,
    named: NDArray[np.bool_],
    segment: tuple[str, str] | None = None,
) -> list[Column]:
    """The columns to test after rows y (n, d) raised a finding, by the original reference.

    Parameters
    ----------
    moved, effect
        How far each column is from the reference, and that in multiples of its effect floor (d).
    named
        The columns that the finding names (d).
    segment
        Attribute and value of the rows, where only these changed.
    """
    size = np.where(named, np.abs(moved.surety), 0.0)
    floors = np.abs(moved.size / np.where(effect == 0, 1.0, effect))
    if not len(y) or not size.max(initial=0.0) > 0:
        return []
    chosen = [int(j) for j in np.argsort(-size, kind="stable")[:MOST_COLUMNS] if size[j] >= NEARLY * size.max()]
    long_run, numbers = _long_run(reference), reference.moments.numbers
    columns: list[Column] = []
    for j in chosen:
        if j < numbers:
            mean = float((y[:, j].mean() - reference.mean[j]) / reference.sd[j])
            error = math.sqrt(long_run[j] / reference.effective) + float(reference.wander[j])
            column = _column(j, Measure.LEVEL, segment, 0.0, mean, error, float(floors[j]), long_run[j])
        else:
            usual = (float(reference.mean[j]) * reference.effective + 0.5) / (reference.effective + 1)
            rate = min(max(float(y[:, j].mean()), 0.0), 1.0)
            error = math.sqrt(usual * (1 - usual) * long_run[j] / reference.effective)
            error += float(reference.wander[j]) * math.sqrt(usual * (1 - usual))
            column = _column(j, Measure.RATE, segment, usual, rate, error, float(floors[j]), long_run[j])
        column.surest = not columns
        columns.append(_started(column, len(y), mean if j < numbers else rate))
    return columns


def columns_of_difference(
    distance: Array, surety: Array, floors: Array, named: NDArray[np.bool_], weight: float
) -> list[Column]:
    """The columns to test after two samples were found to differ by these distances (d), in standard deviations.

    `weight` is n1 n2 / (n1 + n2): that of a difference of two means, as n is that of a mean. What is added to the
    columns are such weights, and weights times differences. `named` are the columns that the finding names (d).
    """
    size = np.where(named, np.abs(surety), 0.0)
    chosen = [int(j) for j in np.argsort(-size, kind="stable")[:MOST_COLUMNS] if size[j] > 0]
    columns: list[Column] = []
    for j in chosen:
        if size[j] >= NEARLY * size.max():
            column = _column(j, Measure.LEVEL, None, 0.0, float(distance[j]), 0.0, float(floors[j]), 1.0)
            column.changed = column.sign * max(
                abs(column.least), column.bound(weight, weight * float(distance[j]), CHOSEN)
            )
            column.surest = not columns
            columns.append(column)
    return columns


def columns_of_spread(
    reference: Reference, y: Array, places: Sequence[int], floor: float, segment: tuple[str, str] | None = None
) -> list[Column]:
    """The same for numbers (at these places) whose spread changed; `floor` is relative, of a standard deviation."""
    long_run = _long_run(reference)
    columns: list[Column] = []
    for j in places:
        z = (y[:, j] - float(reference.mean[j])) / float(reference.sd[j])
        ratio, slow = float((z * z).mean()), HEAVY_TAILS * long_run[j]
        error = math.sqrt(2 * slow / reference.effective)
        column = _column(j, Measure.SPREAD, segment, 1.0, ratio, error, 2 * math.log1p(floor), slow)
        columns.append(_started(column, len(y), ratio))
    return columns


def _column(
    place: int, measure: Measure, segment: tuple[str, str] | None, usual: float, now: float, error: float,
    floor: float, long_run: float,
) -> Column:  # fmt: skip
    distance = math.log(max(now, 1e-6)) if measure is Measure.SPREAD else now - usual
    sign = 1.0 if distance >= 0 else -1.0
    least = min(max(SMALLEST * min(floor, abs(distance)), SURELY_MORE * error), AT_MOST[measure] * abs(distance))
    return Column(place, measure, segment, usual, sign, sign * least, error, floor, sign * least, long_run)


def _started(column: Column, n: int, mean: float) -> Column:
    """The column with the level that the n rows that raised the finding leave no doubt of."""
    level = column.bound(float(n), n * mean, CHOSEN)
    if column.measure is Measure.RATE:
        level = min(level, TRUSTED * abs(mean - column.usual) * min(1.0, n / AT_LEAST))
    column.changed = column.sign * max(abs(column.least), level)
    return column


def _long_run(reference: Reference) -> list[float]:
    """Long-run over marginal variance of each column (d), as the reference knows it; 1 where no bet asks for it."""
    out = np.ones(len(reference.mean))
    for view in (reference.outputs, reference.inputs):
        columns = view.singles.columns
        alone = np.maximum(view.singles.error - reference.wander[columns], 0.0)
        out[columns] = np.maximum(alone * alone * reference.effective, 1.0)
        for rates in (view.rates, view.failures):
            out[rates.columns] = np.maximum(rates.long_run, 1.0)
    k = reference.moments.numbers
    if k:
        seen = np.minimum(reference.mean[k:], 1 - reference.mean[k:]) * reference.effective
        out[k:] = np.where(seen < RARELY, np.maximum(out[k:], out[:k].mean()), out[k:])
    return [float(value) for value in out]
