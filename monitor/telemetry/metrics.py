"""Every metric of the worker and the HTTP service, collected from where each is declared: for documentation and tests.

Dashboards, alerting rules and `docs/reference/metrics.md` are checked against this table.
"""

from __future__ import annotations

from monitor.telemetry.collectors import BUILD, READY, SERIES_LEFT_OUT, STREAMS, STREAMS_BEHIND, STREAMS_LEFT_OUT
from monitor.telemetry.metric import Metric, MetricKind, declared_in
from monitor.telemetry.serve_stats import SERVE_METRICS
from monitor.telemetry.stream_metrics import STREAM_METRICS
from monitor.telemetry.worker_stats import WorkerStats

__all__ = ["METRICS", "SERVE_METRICS", "Metric", "MetricKind"]

METRICS: tuple[Metric, ...] = (
    BUILD,
    READY,
    *declared_in(WorkerStats).values(),
    STREAMS,
    STREAMS_LEFT_OUT,
    SERIES_LEFT_OUT,
    STREAMS_BEHIND,
    *(each.metric for each in STREAM_METRICS),
)
"""All of the worker, in the order in which they are exported. `SERVE_METRICS` has those of `oqm serve`."""
