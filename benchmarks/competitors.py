"""Detectors of other libraries at their defaults, fed row by row with the same features in the same runs.

River's ADWIN, Page-Hinkley and KSWIN, and a rolling Kolmogorov-Smirnov test at p < 0.05 as dashboards have it. Each is
run on the log of the output's length alone, where they are at their best, and on all numeric features, where an alarm
of any of them counts. Features are scaled by mean and standard deviation of the warm-up, kinder than river's own
examples: Page-Hinkley's threshold of 50 knows no units.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from river import drift
from scipy.special import kolmogorov

from benchmarks.corpora import LENGTH
from monitor.features.batch import FeatureBatch

WARMUP = 400
Floats = NDArray[np.float64]


class Watcher(Protocol):
    """A detector over rows of k columns."""

    def feed(self, x: Floats) -> list[int]:
        """Take rows x (n, k), NaN for missing; the positions of alarms among them. Starts afresh after each by itself.

        The first `WARMUP` rows are never an alarm.
        """
        ...


def adwin() -> Any:
    """River's ADWIN at its defaults."""
    make: Any = drift.ADWIN  # river declares no types for it
    return make()


class River:
    """One river detector a column; an alarm of any is an alarm of all."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._detectors: list[Any] = []
        self._held: list[Floats] = []
        self._centre: Floats = np.empty(0)
        self._scale: Floats = np.empty(0)

    def _fresh(self) -> Any:
        if self._name == "ADWIN":
            return adwin()
        return drift.PageHinkley() if self._name == "Page-Hinkley" else drift.KSWIN(seed=1)

    def feed(self, x: Floats) -> list[int]:
        """See `Watcher`."""
        first = 0
        if not self._detectors:
            missing = WARMUP - sum(map(len, self._held))
            self._held.append(x[:missing])
            if len(x) < missing:
                return []
            warm = np.concatenate(self._held)
            self._held = []
            seen = np.isfinite(warm)
            count = np.maximum(seen.sum(0), 1)
            self._centre = np.where(seen, warm, 0).sum(0) / count
            sd = np.sqrt((np.where(seen, warm - self._centre, 0) ** 2).sum(0) / count)
            self._scale = np.where(sd > 0, sd, 1.0)
            self._detectors = [self._fresh() for _ in range(warm.shape[1])]
            self._advance(warm)
            first = missing
        return [first + at for at in self._advance(x[first:])]

    def _advance(self, x: Floats) -> list[int]:
        found: set[int] = set()
        scaled = (x - self._centre) / self._scale
        for detector, column in zip(self._detectors, scaled.T, strict=True):
            update = detector.update
            # One NaN blinds ADWIN and Page-Hinkley for good.
            for row in np.flatnonzero(np.isfinite(column)).tolist():
                update(float(column[row]))
                if detector.drift_detected:
                    found.add(row)
        return sorted(found)


class RollingKS:
    """The last 100 rows against the first 400, tested every 10 rows, p < 0.05 in any column."""

    window = 100
    every = 10
    level = 0.05

    def __init__(self) -> None:
        self._reference: Floats | None = None
        self._rows: list[Floats] = []
        self._seen = 0

    def feed(self, x: Floats) -> list[int]:
        """See `Watcher`."""
        found = []
        for position, row in enumerate(x):
            self._rows.append(row)
            self._seen += 1
            if self._reference is None:
                if len(self._rows) == WARMUP:
                    self._reference = np.stack(self._rows)
                    self._rows = []
                continue
            if len(self._rows) > self.window:
                del self._rows[0]
            if len(self._rows) == self.window and self._seen % self.every == 0 and self._differs():
                found.append(position)
                self._rows = []
        return found

    def _differs(self) -> bool:
        assert self._reference is not None
        window = np.stack(self._rows)
        for before, now in zip(self._reference.T, window.T, strict=True):
            before, now = before[np.isfinite(before)], now[np.isfinite(now)]
            if len(before) and len(now) and ks_p_value(before, now) < self.level:
                return True
        return False


def ks_p_value(x: Floats, y: Floats) -> float:
    """Asymptotic p-value of the two-sample Kolmogorov-Smirnov test."""
    x, y = np.sort(x), np.sort(y)
    at = np.concatenate([x, y])
    apart = np.searchsorted(x, at, "right") / len(x) - np.searchsorted(y, at, "right") / len(y)
    return float(kolmogorov(np.abs(apart).max() * np.sqrt(len(x) * len(y) / (len(x) + len(y)))))


NAMES = ("ADWIN", "Page-Hinkley", "KSWIN", "rolling KS")


def watcher(name: str) -> Watcher:
    """A fresh one."""
    return RollingKS() if name == "rolling KS" else River(name)


def length(batch: FeatureBatch) -> Floats:
    """Log of the output's length (n, 1)."""
    chars = batch.values[:, batch.names.index(LENGTH)].astype(np.float64)
    return np.log1p(chars)[:, None]


def features(batch: FeatureBatch) -> Floats:
    """All numbers, counts and flags (n, k), NaN for missing; the first is the output's length."""
    return batch.values.astype(np.float64)
