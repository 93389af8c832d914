"""When a change began.

The change point maximises the log likelihood ratio of "shifted from here on" against "as in the reference" over the
rows kept (Page 1954; for the posterior over change points Shiryaev 1963): normal with a shifted mean on the whitened
scores, Bernoulli on the flags. The size of the shift is estimated from the rows after the point, and both are iterated.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.reference import Reference
from monitor.detection.reference.views import View

Array = NDArray[np.float64]

ITERATIONS = 4
"""Rounds in which the shift is estimated behind the point and the point by the shift, at most: they end as soon as the
point stays where it is."""
TEMPER = 0.2
"""Power of the likelihood in the interval of the change point. The shift is estimated from the very rows that it then
judges, so the likelihood claims more than it may."""
LEAST_LOG_WEIGHT = -700.0
"""The exponential of less is zero in double precision."""
LEAST_RATE, LEAST_GAIN = 0.002, 3.0
"""Rates of flags are kept this far from 0 and 1, where one event would decide; a flag counts from this gain of its log
likelihood on, which without a change one flag of 70 reaches (twice the ratio is a chi-square variable)."""


@dataclass(frozen=True)
class ChangePoint:
    """Positions among the rows given: first changed row, and the ends of its 90 % interval."""

    position: int
    low: int
    high: int


def change_point(reference: Reference, view: View, y: Array, active: Set[str]) -> ChangePoint:
    """Estimate from rows y (n, d), oldest first, the last of which are certainly changed, by what the view bets on.

    Only the `active` kinds of evidence, which crossed the threshold, are looked at: the others are noise here.
    """
    rates = [r for kind, r in (("rate", view.rates), ("failure", view.failures)) if kind in active]
    by_scores = not rates or bool(active - {"rate", "failure"})
    centred = y - reference.mean
    core = reference.moments.core
    scores: list[tuple[Array, Array]] = [
        (np.clip(centred[:, :core] @ joint.project, -CLIP, CLIP), joint.long_run.astype(np.float64))
        for joint in view.joints[:1]
        if by_scores
    ]
    columns = np.concatenate([r.columns for r in rates] or [np.empty(0, dtype=np.intp)])
    flags = y[:, columns]
    usual = np.clip(reference.mean[columns], LEAST_RATE, 1 - LEAST_RATE)
    long_run_of_flags = np.concatenate([np.empty(0), *(r.long_run for r in rates)])

    def log_ratio(start: int) -> Array:
        ratio = np.zeros(len(y))
        size = len(y) - start
        for u, long_run in scores:
            ratio += _shifted(u, start, long_run)
        if flags.shape[1]:
            now = np.clip((flags[start:].sum(0) + usual) / (size + 1), LEAST_RATE, 1 - LEAST_RATE)
            gain = flags * np.log(now / usual) + (1 - flags) * np.log((1 - now) / (1 - usual))
            gain /= long_run_of_flags
            ratio += gain[:, gain[start:].sum(0) > LEAST_GAIN].sum(1)
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
    low, high = credible_interval(total)
    return ChangePoint(start, min(low, start), max(high, start))


def credible_interval(log_likelihood: Array) -> tuple[int, int]:
    """First and last place of the 90 % interval of a change point, by the log likelihood of each place (n).

    Places are equally likely beforehand (Shiryaev 1963); the likelihood is tempered (`TEMPER`).
    """
    weight = np.exp(np.maximum((log_likelihood - log_likelihood.max()) * TEMPER, LEAST_LOG_WEIGHT))
    share = np.cumsum(weight) / weight.sum()
    low, high = (min(int(np.searchsorted(share, q)), len(log_likelihood) - 1) for q in (0.05, 0.95))
    return low, high
