"""A histogram as plain numbers: one bisection per value, read by the collector when Prometheus asks.

prometheus-client's own `observe()` takes a lock and updates each bucket as an object; this is written by one thread and
needs neither. May import nothing from this project.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

BATCH_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of computation per batch."""
CALL_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
"""Seconds of a call: of a dependency that answers in milliseconds, and of a model that thinks for a minute."""
DELAY_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0)
"""Seconds from an event to its being applied: a healthy worker is left of 5, a catching-up one far right."""


class Histogram:
    """Counts of values up to each bound, and their sum.

    Written by one thread; another may read at any time and sees each value in full or not yet.
    """

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Iterable[float]) -> None:
        self.bounds = tuple(bounds)
        if not self.bounds or any(a >= b for a, b in zip(self.bounds, self.bounds[1:], strict=False)):
            raise ValueError("bounds must rise")
        self._counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count `value`, `times` over; NaN is not counted."""
        if value == value:  # not NaN
            self._counts[bisect_left(self.bounds, value)] += times
            self.total += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound, `+Inf` last: what Prometheus' text format lists."""
        counts, reached, rows = list(self._counts), 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
            reached += count
            rows.append((bound, float(reached)))
        return rows

    def counts(self) -> list[int]:
        """Counts by bucket, not cumulative, the one above the last bound at the end."""
        return list(self._counts)

    def add(self, counts: Iterable[int], total: float) -> None:
        """Add what another histogram with the same bounds has counted."""
        self._counts = [own + other for own, other in zip(self._counts, counts, strict=True)]
        self.total += total
