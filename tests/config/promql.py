"""Which of our metrics a PromQL expression names."""

from __future__ import annotations

import re

from monitor.telemetry.metrics import METRICS, SERVE_METRICS, MetricKind

_NAME = re.compile(r"(?<![\w:])oqm_[a-z0-9_]+(?![\w:])")
KNOWN = {metric.name for metric in (*METRICS, *SERVE_METRICS)} | {
    metric.name + suffix
    for metric in (*METRICS, *SERVE_METRICS)
    if metric.kind is MetricKind.HISTOGRAM
    for suffix in ("_bucket", "_sum", "_count")
}


def unknown_metrics(expression: str) -> set[str]:
    """Names in the expression that no worker exports."""
    return set(_NAME.findall(expression)) - KNOWN


def test_it_sees_names_but_not_recorded_series() -> None:
    assert unknown_metrics("rate(oqm_eventz_total[5m]) / oqm_events_total + job:oqm_x:rate5m") == {"oqm_eventz_total"}
    assert unknown_metrics("oqm_event_delay_seconds_bucket") == set()
