"""What the demo reads off /metrics, from the very collectors that the worker exports with."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from monitor.demo.metrics import WorkerMetrics
from monitor.detection.records.status import FeatureStatus, StreamState, StreamStatus
from monitor.telemetry.collectors import StreamCollector


def scrape() -> WorkerMetrics:
    features = {
        "output.tone.courtesy": FeatureStatus(reference=0.5, current=0.51, evidence=0.1),
        "output.length.chars": FeatureStatus(reference=210.0, current=212.0, evidence=0.2),
        "call.cost.usd": FeatureStatus(reference=None, current=None, evidence=0.0),
        "input.noise.score": FeatureStatus(reference=0.1, current=0.4, evidence=4.2),
    }
    status = StreamStatus("a/b", StreamState.DRIFT, 1234, 1.7e9, ["id"], 0, 0, 2.5, 8.0, features)
    registry = CollectorRegistry()
    registry.register(StreamCollector(lambda: {"a/b": status}, max_streams=10, max_series=1000))
    return WorkerMetrics.parse(generate_latest(registry).decode())


def test_states_and_features_are_read() -> None:
    metrics = scrape()
    assert metrics.state("a/b") == "drift"
    assert metrics.state("c") == "unknown"
    assert (metrics.events("a/b"), metrics.events("c")) == (1234, 0)
    rows = metrics.features("a/b")
    # What speaks loudest first; among the calm, what says most to a newcomer.
    assert [row.name for row in rows][:2] == ["input.noise.score", "output.length.chars"]
    assert (rows[0].reference, rows[0].current) == ("0.1", "0.4")
    assert metrics.features("c") == []


def test_the_excerpt_names_what_was_reported() -> None:
    lines = scrape().excerpt("a/b", ["output.length.chars"])
    assert 'oqm_stream_state{state="drift",stream="a/b"} 1.0' in lines
    assert 'oqm_feature_reference{feature="output.length.chars",stream="a/b"} 210.0' in lines
    assert not any("courtesy" in line for line in lines)


def test_before_the_worker_answers_everything_is_unknown() -> None:
    metrics = WorkerMetrics.parse("")
    assert metrics.state("a/b") == "unknown"
    assert metrics.features("a/b") == []
    assert metrics.excerpt("a/b") == []
