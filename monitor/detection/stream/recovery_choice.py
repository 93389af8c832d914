"""Which columns of a finding must return before it is resolved, and where their tests start. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.diagnosis.shift import Shift
from monitor.detection.reference.reference import Reference
from monitor.detection.stream.recovery_evidence import (
    CHOSEN_ROWS_LOG_RATIO,
    MIN_ERRORS_TESTED,
    MIN_VARIANCE_RATIO,
    SPREAD_VARIANCE_FACTOR,
    Column,
    Measure,
)

Array = NDArray[np.float64]

TRUSTED_SHARE_OF_A_RATE = 0.3
TRUSTED_ROWS_OF_A_RATE = 128
"""Until other rows have come, this share of a rate's change is believed, as if the rows that raised it had been at
least this many: a rate of 1 % is found by a burst of several faults, and the change is taken to begin with the first of
them, so that two faults in two rows would be a rate of 100 %."""
MIN_EVENTS_FOR_AUTOCORRELATION = 30.0
"""Events of a flag that the reference must have seen for its autocorrelation to be known. Of rarer ones it is taken to
be that of the reference's numbers, on average: where those come in runs, failures and refusals do so, too."""
MIN_SHARE_OF_FLOOR_TESTED = 0.25
"""Share of the effect floor below which no change is tested for: it would take tens of thousands of rows."""
MAX_SHARE_OF_CHANGE_TESTED = {Measure.LEVEL: 0.8, Measure.RATE: 0.5, Measure.SPREAD: 0.8}
"""Share of the change that was found which is tested for, however unsure the reference is. Of rates it is less, since
those that raise a finding exceed what lasts by more."""
MAX_COLUMNS = 8
"""Columns that are tested: the surest of a finding's. All must be back, and more would only wait for the weakest."""
MIN_SHARE_OF_SUREST = 0.7
"""Share of the surest column's standard errors from which on another column is tested, too: noise, of which there is
always some among the changes, has less (as for the decisive changes of a finding)."""


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
    surest = np.argsort(-size, kind="stable")[:MAX_COLUMNS]
    chosen = [int(j) for j in surest if size[j] >= MIN_SHARE_OF_SUREST * size.max()]
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
    chosen = [int(j) for j in np.argsort(-size, kind="stable")[:MAX_COLUMNS] if size[j] > 0]
    columns: list[Column] = []
    for j in chosen:
        if size[j] >= MIN_SHARE_OF_SUREST * size.max():
            column = _column(j, Measure.LEVEL, None, 0.0, float(distance[j]), 0.0, float(floors[j]), 1.0)
            column.changed = column.sign * max(
                abs(column.least), column.bound(weight, weight * float(distance[j]), CHOSEN_ROWS_LOG_RATIO)
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
        ratio, slow = float((z * z).mean()), SPREAD_VARIANCE_FACTOR * long_run[j]
        error = math.sqrt(2 * slow / reference.effective)
        column = _column(j, Measure.SPREAD, segment, 1.0, ratio, error, 2 * math.log1p(floor), slow)
        columns.append(_started(column, len(y), ratio))
    return columns


def _column(
    place: int, measure: Measure, segment: tuple[str, str] | None, usual: float, now: float, error: float,
    floor: float, long_run: float,
) -> Column:  # fmt: skip
    distance = math.log(max(now, MIN_VARIANCE_RATIO)) if measure is Measure.SPREAD else now - usual
    sign = 1.0 if distance >= 0 else -1.0
    size = abs(distance)
    least = max(MIN_SHARE_OF_FLOOR_TESTED * min(floor, size), MIN_ERRORS_TESTED * error)
    least = min(least, MAX_SHARE_OF_CHANGE_TESTED[measure] * size)
    return Column(place, measure, segment, usual, sign, sign * least, error, floor, sign * least, long_run)


def _started(column: Column, n: int, mean: float) -> Column:
    """The column with the level that the n rows that raised the finding leave no doubt of."""
    level = column.bound(float(n), n * mean, CHOSEN_ROWS_LOG_RATIO)
    if column.measure is Measure.RATE:
        level = min(level, TRUSTED_SHARE_OF_A_RATE * abs(mean - column.usual) * min(1.0, n / TRUSTED_ROWS_OF_A_RATE))
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
        out[k:] = np.where(seen < MIN_EVENTS_FOR_AUTOCORRELATION, np.maximum(out[k:], out[:k].mean()), out[k:])
    return [float(value) for value in out]
