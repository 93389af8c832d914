"""`GET /metrics`: for Prometheus. Open to everyone who reaches the port: it names kinds of actions and no contents."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from monitor.actions.states import FINAL
from monitor.ledger.base import LedgerError
from monitor.ledger.reviews import ReviewQueue
from monitor.ledger.tables import action
from monitor.serve.context import Context
from monitor.serve.process_counts import ProcessCounts
from monitor.serve.route import Answer, Route
from monitor.telemetry.collectors import build_info, family
from monitor.telemetry.metric import samples_of
from monitor.telemetry.serve_stats import LedgerCounts, ServeStats

log = logging.getLogger(__name__)


class ServeCollector(Collector):
    """Exports what all processes have answered, and what the ledger holds."""

    def __init__(self, stats: ServeStats, counts: LedgerCounts | None) -> None:
        self._sources: list[Any] = [stats, *([counts] if counts is not None else [])]

    def collect(self) -> Iterator[Family]:
        """One family per metric."""
        yield build_info(version("output-quality-monitor"))
        for source in self._sources:
            for metric, samples in samples_of(source):
                yield family(metric, samples)

    def describe(self) -> Iterator[Family]:
        """Nothing: so that registering reads no numbers."""
        return iter(())


def metrics(ctx: Context, _: None) -> Answer:
    """All metrics as text. While the ledger does not answer, what it holds is missing rather than zero."""
    try:
        counts = ledger_counts(ctx)
    except LedgerError as error:
        log.warning("metrics without what the ledger holds: %s", error)
        counts = None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServeCollector(ctx.part(ProcessCounts).total(), counts))
    return Answer(200, generate_latest(registry), {"Content-Type": CONTENT_TYPE_LATEST})


def ledger_counts(ctx: Context) -> LedgerCounts:
    """What the ledger holds. Raises `LedgerError`."""
    open_states = select(action.c.kind, action.c.state, func.count(), func.min(action.c.changed_at)).where(
        action.c.state.not_in([state.value for state in FINAL])
    )
    rows = ctx.ledger.read(
        lambda connection: connection.execute(open_states.group_by(action.c.kind, action.c.state)).all()
    )
    counts = LedgerCounts()
    counts.actions = {(kind, state): count for kind, state, count, _ in rows}
    counts.oldest_s = {(kind, state): max(0.0, ctx.now - oldest) for kind, state, _, oldest in rows}
    counts.duplicates = Counter({(one.kind, one.what.value): one.count for one in ctx.ledger.duplicates()})
    waiting = ReviewQueue(ctx.ledger).oldest()
    counts.reviews = {kind: count for kind, (count, _) in waiting.items()}
    counts.oldest_review_s = {kind: max(0.0, ctx.now - since) for kind, (_, since) in waiting.items()}
    counts.outbox = ctx.ledger.outbox_waiting()
    return counts


ROUTES = (
    Route(
        method="GET",
        path="/metrics",
        scope=None,
        summary="Metrics in the text format of Prometheus",
        handler=metrics,
        responses={200: str},
    ),
)
