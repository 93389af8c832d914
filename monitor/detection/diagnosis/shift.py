"""How far some rows lie from the reference, column by column: in level, in rate, and in spread.

Called with the rows after a change point; sizes are in standard deviations of the reference or in rates, sureties in
standard errors. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from monitor.detection.columns.recent_rows import LENGTH
from monitor.detection.reference.reference import Reference

Array = NDArray[np.float64]

FEWEST_ROWS_FOR_VARIANCE = 5
"""Rows from which their own variance is estimated; of fewer, the reference's is taken."""
FEWEST_ROWS_FOR_SPREAD = 8
"""Rows from which a spread is compared: the standard deviation of fewer has a relative error above a quarter."""
LEAST_VARIANCE, LEAST_SD = 1e-6, 1e-3
"""Below these a column is constant, and any change of it infinitely sure."""
HEAVY_TAILS = 1.3
"""By how much the error of a standard deviation is larger than a normal sample's, since scores have heavier tails."""


@dataclass(frozen=True)
class Shift:
    """How each watched column moved between the reference and some rows.

    `size` is in standard deviations of the reference for numbers and absolute for flags (d); `surety` how many standard
    errors that is, of either sign. For flags it is the signed root of the likelihood ratio: a fault seen four times in
    eighty events where the reference had none is certain, which its standard error would deny.
    """

    size: Array
    surety: Array
    rows: int

    def certain(self, times: float = 3.0) -> NDArray[np.bool_]:
        """Where the shift exceeds this many standard errors."""
        return np.abs(self.surety) > times


def shift(reference: Reference, y: Array) -> Shift:
    """Shift of rows y (n, d) from the reference."""
    k = reference.moments.numbers
    n = max(len(y), 1)
    usual = reference.mean.astype(np.float64)
    mean = y.mean(0) if len(y) else usual
    size = mean - usual
    variance = reference.variance[:k]
    spread = np.maximum(y[:, :k].var(0), variance) if len(y) >= FEWEST_ROWS_FOR_VARIANCE else variance
    error = np.sqrt(np.maximum(spread, LEAST_VARIANCE) * (1 / n + 1 / reference.effective))
    surety = np.concatenate([size[:k] / error, rate_sureties(mean[k:], n, usual[k:], reference.effective)])
    size[:k] /= reference.sd[:k]
    return Shift(size, surety, len(y))


def surest_flag(reference: Reference, y: Array, distinct: int, *, faults: bool) -> float:
    """How sure it is that some flag moved between the reference and rows y (n, d), `distinct` of them different events.

    It is the largest log likelihood ratio of two rates against one, among the faults or among the other flags that bets
    are on. Bets hold rows against a bound of the usual rate; here both rates are of samples. Rows that were chosen as
    the start of a change might have been chosen elsewhere, the sooner the fewer they are: that is worth
    log(`LENGTH` / n), the penalty of a scan over intervals (Duembgen and Spokoiny 2001).
    """
    columns = (reference.outputs.failures if faults else reference.outputs.rates).columns
    if not len(columns) or not len(y):
        return 0.0
    usual = reference.mean.astype(np.float64)[columns]
    root = rate_sureties(y[:, columns].mean(0), distinct, usual, reference.effective)
    return float((root * root).max() / 2 - np.log(max(LENGTH / len(y), 1.0)))


def widening(reference: Reference, y: Array) -> tuple[Array, Array]:
    """How much wider numbers of rows y (n, d) spread than in the reference: log ratio (k), and in standard errors.

    The error is that of a normal sample's, a third wider, since scores have heavier tails than that. Where a number
    moved by a standard deviation or more nothing is said (0): scores end where the reference ended and crowd there.
    """
    k = reference.moments.numbers
    n = max(len(y), 1)
    if n < FEWEST_ROWS_FOR_SPREAD:
        return np.zeros(k), np.zeros(k)
    sd = np.maximum(y[:, :k].std(0), LEAST_SD)
    before = np.sqrt(np.maximum(reference.variance[:k], LEAST_VARIANCE))
    moved = np.abs(y[:, :k].mean(0) - reference.mean[:k]) >= before
    size = np.where(moved, 0.0, np.log(sd / before))
    return size, size / (HEAVY_TAILS * np.sqrt(0.5 * (1 / n + 1 / reference.effective)))


def rate_sureties(rate: Array, n: float, before: Array, of: float) -> Array:
    """Signed root of the log likelihood ratio of two rates, seen in n and in `of` events, against one for both (m)."""
    # Rows of a segment are moved by what its mean differs from that of all, which may take a rate past 0 or 1.
    rate = np.clip(rate, 0, 1)
    before = (before * of + 0.5) / (of + 1)
    both = (rate * n + before * of) / (n + of)

    def log_likelihood(seen: Array, events: float, p: Array) -> Array:
        return np.asarray(events * (xlogy(seen, p) + xlogy(1 - seen, 1 - p)))

    ratio = log_likelihood(rate, n, rate) + log_likelihood(before, of, before)
    ratio -= log_likelihood(rate, n, both) + log_likelihood(before, of, both)
    return np.asarray(np.sign(rate - before) * np.sqrt(2 * np.maximum(ratio, 0)))
