"""When a change began, and how large it is.

The change point maximises the log likelihood ratio of "shifted from here on" against "as in the reference" over the
rows held (Page 1954; for the posterior over change points Shiryaev 1963): normal with a shifted mean on the whitened
scores, Bernoulli on the flags. The size of the shift is estimated from the rows after the point, and both are iterated.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from monitor.detection.columns.recent_rows import LENGTH
from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.reference import Reference, View

Array = NDArray[np.float64]

ITERATIONS = 4
TEMPER = 0.2
"""The shift is estimated from the very rows that it then judges, so the likelihood is surer than it may be."""


@dataclass(frozen=True)
class ChangePoint:
    """Positions among the rows given: first changed row, and the ends of its 90 % interval."""

    position: int
    low: int
    high: int


def change_point(reference: Reference, view: View, y: Array, told: Set[str]) -> ChangePoint:
    """Estimate from rows y (n, d), oldest first, the last of which are certainly changed, by what the view bets on.

    Only what `told` of the change (kinds of evidence) is looked at: what did not is noise here.
    """
    rates = [r for kind, r in (("rate", view.rates), ("failure", view.failures)) if kind in told]
    by_scores = not rates or bool(told - {"rate", "failure"})
    centred = y - reference.mean
    core = reference.moments.core
    scores: list[tuple[Array, Array]] = [
        (np.clip(centred[:, :core] @ joint.project, -CLIP, CLIP), joint.long_run.astype(np.float64))
        for joint in view.joints[:1]
        if by_scores
    ]
    columns = np.concatenate([r.columns for r in rates] or [np.empty(0, dtype=np.intp)])
    flags = y[:, columns]
    usual = np.clip(reference.mean[columns], 0.002, 0.998)
    long_run_of_flags = np.concatenate([np.empty(0), *(r.long_run for r in rates)])

    def log_ratio(start: int) -> Array:
        ratio = np.zeros(len(y))
        size = len(y) - start
        for u, long_run in scores:
            ratio += _shifted(u, start, long_run)
        if flags.shape[1]:
            now = np.clip((flags[start:].sum(0) + usual) / (size + 1), 0.002, 0.998)
            gain = flags * np.log(now / usual) + (1 - flags) * np.log((1 - now) / (1 - usual))
            gain /= long_run_of_flags
            ratio += gain[:, gain[start:].sum(0) > 3.0].sum(1)
        return ratio

    return _search(len(y), log_ratio)


def column_change_point(reference: Reference, columns: NDArray[np.intp], y: Array) -> ChangePoint:
    """The same by some columns alone, for a detector that watches only these."""
    u = (y[:, columns] - reference.mean[columns]) / reference.sd[columns]
    return _search(len(y), lambda start: _shifted(u, start, np.ones(len(columns))))


def _shifted(u: Array, start: int, long_run: Array) -> Array:
    """Log likelihood ratio of each row (n) for the mean that the rows from `start` on have, less its own noise."""
    shift = u[start:].mean(0)
    shift = np.sign(shift) * np.maximum(np.abs(shift) - np.sqrt(long_run / (len(u) - start)), 0)
    ratio: Array = ((u * shift - 0.5 * shift * shift) / long_run).sum(1)
    return ratio


def _search(n: int, log_ratio: Callable[[int], Array]) -> ChangePoint:
    """The start with the highest total, from several first guesses: the likelihood has local maxima."""
    best: tuple[float, int, Array] | None = None
    width = 8
    while width < 2 * n:
        start = max(0, n - width)
        for _ in range(ITERATIONS):
            total = np.cumsum(log_ratio(start)[::-1])[::-1]
            peak = int(np.argmax(total))
            if peak == start:
                break
            start = peak
        if best is None or total[start] > best[0]:
            best = (float(total[start]), start, total)
        width *= 2
    if best is None:
        return ChangePoint(0, 0, max(0, n - 1))
    _, start, total = best
    weight = np.exp(np.maximum((total - total.max()) * TEMPER, -700))
    share = np.cumsum(weight) / weight.sum()
    low, high = (min(int(np.searchsorted(share, q)), n - 1) for q in (0.05, 0.95))
    return ChangePoint(start, min(low, start), max(high, start))


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
    spread = np.maximum(y[:, :k].var(0), variance) if len(y) > 4 else variance
    error = np.sqrt(np.maximum(spread, 1e-6) * (1 / n + 1 / reference.effective))
    surety = np.concatenate([size[:k] / error, _root(mean[k:], n, usual[k:], reference.effective)])
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
    root = _root(y[:, columns].mean(0), distinct, usual, reference.effective)
    return float((root * root).max() / 2 - np.log(max(LENGTH / len(y), 1.0)))


def widening(reference: Reference, y: Array) -> tuple[Array, Array]:
    """How much wider numbers of rows y (n, d) spread than in the reference: log ratio (k), and in standard errors.

    The error is that of a normal sample's, a third wider, since scores have heavier tails than that. Where a number
    moved by a standard deviation or more nothing is said (0): scores end where the reference ended and crowd there.
    """
    k = reference.moments.numbers
    n = max(len(y), 1)
    if n < 8:
        return np.zeros(k), np.zeros(k)
    sd = np.maximum(y[:, :k].std(0), 1e-3)
    before = np.sqrt(np.maximum(reference.variance[:k], 1e-6))
    moved = np.abs(y[:, :k].mean(0) - reference.mean[:k]) >= before
    size = np.where(moved, 0.0, np.log(sd / before))
    return size, size / (1.3 * np.sqrt(0.5 * (1 / n + 1 / reference.effective)))


def _root(rate: Array, n: float, before: Array, of: float) -> Array:
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
