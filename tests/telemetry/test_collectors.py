from __future__ import annotations

import math

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from monitor.detection.records.status import FeatureStatus, StreamState, StreamStatus
from monitor.telemetry.collectors import StreamCollector
from monitor.telemetry.histogram import Histogram
from monitor.telemetry.server import worker_registry
from monitor.telemetry.worker_stats import WorkerStats
from tests.telemetry.numbers import busy, status


def streams_of(registry: CollectorRegistry, name: str = "oqm_stream_state") -> list[str]:
    return [s.labels["stream"] for f in registry.collect() if f.name == name for s in f.samples]


def registry_of(statuses: dict[str, StreamStatus], *, max_streams: int, max_series: int) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StreamCollector(lambda: statuses, max_streams=max_streams, max_series=max_series))
    return registry


def test_numbers_come_out_as_they_stand() -> None:
    registry = worker_registry(busy(), version="1.2.3", max_streams=10, max_series=100)
    value = registry.get_sample_value
    assert value("oqm_events_total") == 12
    assert value("oqm_rejects_total", {"reason": "not_json"}) == 2
    assert value("oqm_deliveries_total", {"sink": "log", "outcome": "delivered"}) == 1
    assert value("oqm_lag_messages", {"topic": "oqm.outputs", "partition": "0"}) == 7
    assert value("oqm_batch_seconds_bucket", {"stage": "featurize", "le": "0.0025"}) == 0
    assert value("oqm_batch_seconds_bucket", {"stage": "featurize", "le": "0.005"}) == 1
    assert value("oqm_event_errors_total") == 1
    assert value("oqm_call_seconds_bucket", {"le": "1.0"}) == 0
    assert value("oqm_call_seconds_bucket", {"le": "2.0"}) == 1
    assert value("oqm_dependency_calls_total", {"dependency": "orders", "outcome": "failed"}) == 1
    assert value("oqm_dependency_seconds_count", {"dependency": "orders"}) == 1
    assert value("oqm_event_delay_seconds_count") == 3
    assert value("oqm_event_delay_seconds_sum") == 6
    assert value("oqm_stream_state", {"stream": "a/b", "state": "stable"}) == 1
    assert value("oqm_stream_state", {"stream": "a/b", "state": "drift"}) is None
    assert value("oqm_feature_reference", {"stream": "a/b", "feature": "output.length.f1"}) == 11


def test_a_stream_that_drifts_says_since_when_and_which_segments_carry_it() -> None:
    statuses = {
        "d": status("d", StreamState.DRIFT, segments=2),
        "s": status("s", segments=2),
    }
    value = registry_of(statuses, max_streams=10, max_series=1000).get_sample_value
    began = "oqm_alert_began_timestamp_seconds"
    assert value(began, {"stream": "d", "alert": "a", "kind": "drift"}) == 1_699_999_000.0
    assert value(began, {"stream": "s", "alert": "a", "kind": "drift"}) is None
    assert value("oqm_alert_evidence_log10", {"stream": "d", "alert": "a", "kind": "drift"}) == 5.5
    segment = {"stream": "d", "attribute": "model.name", "value": "m1"}
    assert value("oqm_segment_reference_ratio", segment) == 0.5
    assert value("oqm_segment_current_ratio", segment) == 0.25


def test_segments_count_against_the_cap_of_series() -> None:
    registry = registry_of({"a": status("a", segments=3), "b": status("b", segments=3)}, max_streams=9, max_series=20)
    exported = [s for f in registry.collect() if f.name.startswith(("oqm_feature_", "oqm_segment_")) for s in f.samples]
    assert {s.labels["stream"] for s in exported} == {"a"}
    assert len(exported) == 12
    assert registry.get_sample_value("oqm_unexported_series") == 12


def test_a_stream_given_back_vanishes_with_the_next_scrape() -> None:
    numbers = busy()
    registry = worker_registry(numbers, version="1", max_streams=10, max_series=100)
    assert len(streams_of(registry)) == 2
    numbers.statuses = {"kept": status("kept")}
    assert streams_of(registry) == ["kept"]
    numbers.statuses = {}
    assert streams_of(registry) == []
    assert registry.get_sample_value("oqm_streams", {"state": "stable"}) == 0


def test_the_streams_that_need_eyes_are_never_left_out() -> None:
    statuses = {f"s{i:03}": status(f"s{i:03}") for i in range(100)}
    statuses["z-drift"] = status("z-drift", StreamState.DRIFT)
    statuses["z-silent"] = status("z-silent", StreamState.SILENT)
    registry = registry_of(statuses, max_streams=3, max_series=300)
    assert streams_of(registry) == ["z-drift", "z-silent", "s000"]
    assert registry.get_sample_value("oqm_unexported_streams") == 99
    assert registry.get_sample_value("oqm_streams", {"state": "stable"}) == 100
    assert registry.get_sample_value("oqm_streams", {"state": "drift"}) == 1


def test_streams_whose_times_lie_far_behind_are_counted_and_dated() -> None:
    late = {f"s{i}": msgspec.structs.replace(status(f"s{i}"), behind_s=3600.0 * i) for i in range(1, 4)}
    registry = registry_of({"a": status("a"), **late}, max_streams=3, max_series=0)
    assert registry.get_sample_value("oqm_times_behind_streams") == 3
    assert registry.get_sample_value("oqm_stream_times_behind_seconds", {"stream": "s2"}) == 7200.0
    assert registry.get_sample_value("oqm_stream_times_behind_seconds", {"stream": "a"}) is None


@pytest.mark.parametrize(("max_series", "whole"), [(0, 0), (5, 0), (6, 1), (17, 2), (60, 10), (10_000, 10)])
def test_series_of_features_are_capped_in_whole_streams(max_series: int, whole: int) -> None:
    registry = registry_of({f"s{i}": status(f"s{i}") for i in range(10)}, max_streams=10, max_series=max_series)
    exported = [s for f in registry.collect() if f.name.startswith("oqm_feature_") for s in f.samples]
    assert len(exported) == 6 * whole <= max(max_series, 0)
    assert registry.get_sample_value("oqm_unexported_series") == 60 - len(exported)
    assert len(streams_of(registry)) == 10  # the streams themselves are all there


def test_what_is_not_known_is_missing_and_no_evidence_is_zero() -> None:
    unknown = StreamStatus(
        "s", StreamState.WARMING, 0, None, [], 0, 0, -math.inf, 5.0, {"f": FeatureStatus(None, None, -math.inf)}
    )
    registry = registry_of({"s": unknown}, max_streams=1, max_series=10)
    assert registry.get_sample_value("oqm_stream_last_event_timestamp_seconds", {"stream": "s"}) is None
    assert registry.get_sample_value("oqm_feature_reference", {"stream": "s", "feature": "f"}) is None
    assert registry.get_sample_value("oqm_stream_evidence_log10", {"stream": "s"}) == 0
    assert registry.get_sample_value("oqm_stream_events_total", {"stream": "s"}) == 0


def test_a_worker_that_has_done_nothing_exports_without_fault() -> None:
    text = generate_latest(worker_registry(WorkerStats(), version="1", max_streams=1, max_series=1)).decode()
    assert 'oqm_findings_total{state="firing"} 0.0' in text  # so that the first one is seen to rise
    assert "oqm_worker_ready 0.0" in text
    assert "oqm_worker_progress_timestamp_seconds 0" not in text


def test_histogram_counts_on_the_bound_and_drops_what_is_no_number() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5, math.nan, math.inf):
        histogram.observe(value)
    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 5.0)]


@pytest.mark.parametrize("bounds", [(), (1.0, 1.0), (2.0, 1.0)])
def test_a_histograms_bounds_must_rise(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        Histogram(bounds)
