from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitor.telemetry.metric import counter, declared_in
from monitor.telemetry.metrics import METRICS, SERVE_METRICS, Metric, MetricKind
from monitor.telemetry.server import worker_registry
from monitor.telemetry.worker_stats import WorkerStats
from tests.telemetry.numbers import busy

UNITS = (
    "seconds", "timestamp_seconds", "log10", "info", "messages", "streams", "series", "alerts", "alarms", "deliveries",
    "ratio", "outputs", "items", "estimates", "requests", "actions",
)  # fmt: skip
UNITLESS = {
    "oqm_evaluator_down",
    "oqm_evaluator_draw_scale",
    "oqm_store_away",
    "oqm_worker_ready",
    "oqm_sink_circuit_state",
    "oqm_stream_state",
    "oqm_feature_reference",
    "oqm_feature_current",
}
"""Truth values, a factor, and values in the unit of each feature."""


def exported() -> str:
    return generate_latest(worker_registry(busy(), version="1.2.3", max_streams=10, max_series=100)).decode()


@pytest.mark.parametrize("metric", [*METRICS, *SERVE_METRICS], ids=lambda m: m.name)
def test_names_follow_prometheus_rules(metric: Metric) -> None:
    assert re.fullmatch(r"oqm_[a-z][a-z0-9]*(_[a-z0-9]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert not re.search(r"_(count|sum|bucket|created)$", metric.name)  # suffixes that Prometheus itself appends
    assert not re.search(r"(milli|micro|_ms|minute|hour|percent)", metric.name)  # base units
    if metric.kind is not MetricKind.COUNTER and metric.name not in UNITLESS:
        assert metric.name.endswith(UNITS)
    assert metric.meaning.endswith(".")
    for label in metric.labels:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", label)
        assert label not in ("job", "instance", "le", "quantile")  # Prometheus' own


def test_no_name_is_declared_twice() -> None:
    assert len({metric.name for metric in (*METRICS, *SERVE_METRICS)}) == len(METRICS) + len(SERVE_METRICS)


def test_what_is_exported_is_what_is_declared() -> None:
    families = {f.name: f for f in text_string_to_metric_families(exported()) if f.name.startswith("oqm_")}
    assert list(families) == [metric.name.removesuffix("_total") for metric in METRICS]
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind.value, metric.meaning)
        assert family.samples
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


@dataclass
class WithToys(WorkerStats):
    toys: Counter[str] = counter("oqm_toys_total", "Toys that were found.", "colour", from_start=("blue",))


def test_a_new_metric_is_a_declaration_and_the_line_that_counts() -> None:
    stats = WithToys()
    stats.toys["red"] += 2
    value = worker_registry(stats, version="1", max_streams=1, max_series=1).get_sample_value
    assert value("oqm_toys_total", {"colour": "red"}) == 2
    assert value("oqm_toys_total", {"colour": "blue"}) == 0
    assert declared_in(stats)["toys"].meaning == "Toys that were found."


def test_promtool_finds_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: run scripts/install_servers.sh")
    ours = re.sub(r"(?m)^(# (HELP|TYPE) )?(?!oqm_|# )(process|python)_.*\n", "", exported())
    result = subprocess.run([promtool, "check", "metrics"], input=ours, text=True, capture_output=True, timeout=30)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
