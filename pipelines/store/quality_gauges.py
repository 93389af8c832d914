"""Estimates of quality as metrics: made by one worker of the role `store`, now and then.

The worker that reads partition 0 of the outputs makes them all: the database has the counts of every worker, so a
second one would export the same numbers again.
"""

from __future__ import annotations

from collections.abc import Callable

from monitor.judgment.quality import Method, Quality
from monitor.ledger.base import Ledger
from monitor.ledger.labels import labels
from monitor.settings import Settings
from monitor.store.base import TraceStore
from monitor.store.estimating import default_window, estimates
from monitor.telemetry.worker_stats import WorkerStats

EVERY_S = 60.0  # verdicts come by the minute, and Prometheus seldom looks more often
BUSY_SHARE = 0.05  # of the writer's time that the queries may take at most: with many cells they come less often


class QualityGauges:
    """Keeps the gauges of quality up to date.

    Parameters
    ----------
    settings
        Which criteria are judged; `metrics.max_streams` bounds how many estimates are exported.
    stats
        Where the gauges are.
    clock
        Seconds since 1970.
    """

    def __init__(self, settings: Settings, stats: WorkerStats, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._stats = stats
        self._clock = clock
        self._due = 0.0

    def due(self, *, mine: bool) -> bool:
        """Whether it is time to measure. `mine`: this worker is the one that does; else its gauges are emptied."""
        if not mine or not self._settings.criteria:
            if self._stats.quality_rate or self._stats.quality_judged:
                self._export([])
            return False
        return self._clock() >= self._due

    def measure(self, store: TraceStore, ledger: Ledger | None = None) -> None:
        """Make the estimates of the default window and export them; people's labels are in the ledger.

        Raises `StoreError` and `LedgerError`.
        """
        began = self._clock()
        judged = self._settings.criteria_of
        window = default_window(began)
        people = labels(ledger, *window.period) if ledger is not None else None
        found = estimates(
            store, window, lambda stream: [one.name for one in judged(stream) if one.judged], labels=people
        )
        self._export(_newest(found))
        took = self._clock() - began
        self._due = began + max(EVERY_S, took / BUSY_SHARE)
        self._stats.quality_at = began

    def _export(self, found: list[Quality]) -> None:
        most = self._settings.metrics.max_streams
        shown = sorted(found, key=_urgency)[:most]
        stats = self._stats
        keys = [((one.stream, one.criterion), one) for one in shown]
        stats.quality_rate = {key: one.rate for key, one in keys if one.rate is not None}
        stats.quality_low = {key: one.low for key, one in keys if one.low is not None}
        stats.quality_high = {key: one.high for key, one in keys if one.high is not None}
        corrected = [(key, one.corrected) for key, one in keys if one.corrected is not None]
        stats.quality_corrected = {key: rate.rate for key, rate in corrected}
        stats.quality_corrected_low = {key: rate.low for key, rate in corrected}
        stats.quality_corrected_high = {key: rate.high for key, rate in corrected}
        stats.quality_people = {key: one.people for key, one in keys if one.method is Method.SAMPLE}
        stats.quality_judged = {key: one.judged for key, one in keys}
        stats.quality_missing = {key: one.missing for key, one in keys}
        stats.quality_seen = {key: one.seen for key, one in keys}
        stats.quality_left_out = len(found) - len(shown)


def _newest(found: list[Quality]) -> list[Quality]:
    """One estimate for each stream and criterion: of several evaluators, the one that judges now."""
    newest: dict[tuple[str, str], Quality] = {}
    for one in found:
        known = newest.setdefault((one.stream, one.criterion), one)
        if (one.until, one.since) > (known.until, known.since):
            newest[one.stream, one.criterion] = one
    return list(newest.values())


def _urgency(one: Quality) -> tuple[bool, float, str, str]:
    """What is exported where there is too much: judged criteria before checks, which drift detection watches as well;
    then the lowest rates."""
    return one.method is not Method.SAMPLE, one.rate if one.rate is not None else -1.0, one.stream, one.criterion
