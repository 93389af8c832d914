"""When a change began, and how large it is.

The change point maximises the log likelihood ratio of "shifted from here on" against "as in the reference" over the
rows held (Page 1954; for the posterior over change points Shiryaev 1963): normal with a shifted mean on the whitened
scores, Bernoulli on the flags. The size of the shift is estimated from the rows after the point, and both are iterated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detection.moments import CLIP
from monitor.detection.reference import Reference, View

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ChangePoint:
    """Positions among the rows given: first changed row, and the ends of its 90 % interval."""

    position: int
    low: int
    high: int


def change_point(reference: Reference, view: View, y: Array) -> ChangePoint:
    """Estimate from rows y (n, d), oldest first, the last of which are certainly changed, by what the view bets on."""
    n = len(y)
    centred = y - reference.mean
    parts = []
    if view.joints:
        joint = view.joints[0]
        parts.append((np.clip(centred[:, : len(joint.project)] @ joint.project, -CLIP, CLIP), joint.long_run))
    flags = y[:, view.rates.columns]
    usual = np.clip(reference.mean[view.rates.columns], 0.002, 0.998)
    start = _first_guess(parts, n)
    total = np.zeros(n)
    for _ in range(4):
        ratio = np.zeros(n)
        size = n - start
        for u, long_run in parts:
            shift = u[start:].mean(0)
            noise = np.sqrt(long_run / size)
            shift = np.sign(shift) * np.maximum(np.abs(shift) - noise, 0)
            ratio += ((u * shift - 0.5 * shift * shift) / long_run).sum(1)
        if flags.shape[1]:
            now = (flags[start:].sum(0) + usual) / (size + 1)
            now = np.clip(now, 0.002, 0.998)
            gain = flags * np.log(now / usual) + (1 - flags) * np.log((1 - now) / (1 - usual))
            telling = (gain[start:].sum(0) / view.rates.long_run) > 3.0
            ratio += (gain / view.rates.long_run)[:, telling].sum(1)
        total = np.cumsum(ratio[::-1])[::-1]
        best = int(np.argmax(total))
        if best == start:
            break
        start = best
    return _interval(total, start)


def _first_guess(parts: list[tuple[Array, Array]], n: int) -> int:
    best, score = max(0, n - 8), -np.inf
    width = 8
    while width <= 2 * n:
        w = min(width, n)
        gain = 0.0
        for u, long_run in parts:
            mean = u[n - w :].mean(0)
            gain += float((np.maximum(w * mean * mean / long_run - 1.0, 0)).sum())
        gain -= 2 * np.sqrt(gain + 1)
        if gain > score:
            best, score = n - w, gain
        width *= 2
    return best


@dataclass(frozen=True)
class Shift:
    """How each watched column moved between the reference and some rows.

    `size` is in standard deviations of the reference for numbers and absolute for flags (d); `error` its standard error
    in the same unit.
    """

    size: Array
    error: Array
    rows: int

    def certain(self, times: float = 3.0) -> NDArray[np.bool_]:
        """Where the shift exceeds this many standard errors."""
        return np.abs(self.size) > times * self.error


def column_change_point(reference: Reference, columns: NDArray[np.intp], y: Array) -> ChangePoint:
    """The same by some columns alone, for a detector that watches only these."""
    u = (y[:, columns] - reference.mean[columns]) / reference.sd[columns]
    n = len(y)
    start = _first_guess([(u, np.ones(len(columns)))], n)
    total = np.zeros(n)
    for _ in range(4):
        size = u[start:].mean(0)
        total = np.cumsum((u * size - 0.5 * size * size).sum(1)[::-1])[::-1]
        best = int(np.argmax(total))
        if best == start:
            break
        start = best
    return _interval(total, start)


def _interval(total: Array, start: int) -> ChangePoint:
    weight = np.exp(np.maximum(total - total.max(), -700))
    share = np.cumsum(weight) / weight.sum()
    low, high = (int(np.searchsorted(share, q)) for q in (0.05, 0.95))
    return ChangePoint(start, min(low, start), max(high, start))


def shift(reference: Reference, y: Array) -> Shift:
    """Shift of rows y (n, d) from the reference."""
    k = reference.moments.numbers
    n = max(len(y), 1)
    size = y.mean(0) - reference.mean if len(y) else np.zeros(y.shape[1])
    variance = reference.variance
    spread = np.maximum(y.var(0), variance) if len(y) > 4 else variance
    error = np.sqrt(np.maximum(spread, 1e-6) * (1 / n + 1 / reference.effective))
    size, error = size.copy(), error.copy()
    size[:k] /= reference.sd[:k]
    error[:k] /= reference.sd[:k]
    return Shift(size, error, len(y))
