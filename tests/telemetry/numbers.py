"""What a worker counts, made up."""

from __future__ import annotations

from collections import Counter, defaultdict

from monitor.detection.records.status import FeatureStatus, OpenAlert, SegmentShare, StreamState, StreamStatus
from monitor.telemetry.histogram import BATCH_BOUNDS, CALL_BOUNDS, Histogram
from monitor.telemetry.worker_stats import CircuitState, WorkerStats


def status(
    stream: str, state: StreamState = StreamState.STABLE, features: int = 2, evidence: float = 1.5, segments: int = 0
) -> StreamStatus:
    return StreamStatus(
        stream=stream,
        state=state,
        events=100,
        last_event_time=1_700_000_000.0,
        firing=["a"] if state is StreamState.DRIFT else [],
        duplicates=3,
        id_conflicts=1,
        log_evidence=evidence,
        log_threshold=5.0,
        open=[OpenAlert("a", "drift", 1_699_999_000.0, 5.5)] if state is StreamState.DRIFT else [],
        segments=[SegmentShare("model.name", f"m{i}", 0.5, 0.25) for i in range(segments)],
        behind_s=86_400.0 if state is StreamState.DRIFT else None,
        features={f"output.length.f{i}": FeatureStatus(10.0 + i, 12.0, 0.5) for i in range(features)},
    )


def busy() -> WorkerStats:
    """Every number is there, so that every metric has a series."""
    numbers = WorkerStats(
        events=12,
        clamped=1,
        time_units=Counter(milliseconds=2),
        rejects=Counter(not_json=2),
        feature_failures=Counter(tone=1),
        stream_failures=Counter(observe=1),
        unjudged=Counter(stream_failed=3),
        newcomers=2,
        call_errors=1,
        dependency_calls=Counter({("orders", "ok"): 5, ("orders", "failed"): 1}),
        dependency_seconds=defaultdict(lambda: Histogram(CALL_BOUNDS)),
        messages=Counter(featurize=12, detect=3),
        batches=Counter(featurize=2, detect=1),
        busy_s=defaultdict(float, featurize=0.5),
        batch_seconds=defaultdict(lambda: Histogram(BATCH_BOUNDS)),
        findings=Counter(firing=1),
        deliveries=Counter({("log", "delivered"): 1}),
        judgments=Counter({("main", "pass"): 9, ("main", "unreadable"): 1}),
        judgments_cached=Counter(main=2),
        judgments_left_out=Counter(main=3),
        evaluator_tokens=Counter(main=900),
        evaluator_cost=defaultdict(float, main=0.25),
        evaluator_seconds=defaultdict(lambda: Histogram(CALL_BOUNDS), main=Histogram(CALL_BOUNDS)),
        evaluators_down={"main": 0},
        evaluator_scale={"main": 0.5},
        evaluator_spent={"main": 0.7},
        quality_rate={("a/b", "helpful"): 0.9},
        quality_low={("a/b", "helpful"): 0.8},
        quality_high={("a/b", "helpful"): 0.95},
        quality_corrected={("a/b", "helpful"): 0.85},
        quality_corrected_low={("a/b", "helpful"): 0.7},
        quality_corrected_high={("a/b", "helpful"): 0.93},
        quality_people={("a/b", "helpful"): 60},
        quality_judged={("a/b", "helpful"): 100},
        quality_missing={("a/b", "helpful"): 2},
        quality_seen={("a/b", "helpful"): 5_000},
        pending_deliveries=4,
        circuits={"log": CircuitState.CLOSED},
        held_back={"snooze": 1},
        unrouted=Counter({("suport", "route"): 1}),
        unrouted_firing={("suport", "route"): 1},
        false_alarms={"drift": 2},
        budget_spent={"a/b": 0.5},
        lost=Counter({"oqm.outputs": 1}),
        repairs=Counter({"oqm.features": 1}),
        lag={("oqm.outputs", 0): 7},
        working_s={"featurize": 0.7},
        behind_s={"featurize": 0.2},
        assigned=True,
        progress_at=1_700_000_000.0,
        statuses={
            "a/b": status("a/b", segments=1),
            'quote"\\\n': status('quote"\\\n', StreamState.DRIFT),
        },
    )
    numbers.batch_seconds["featurize"].observe(0.004)
    numbers.call_seconds.observe(1.5)
    numbers.evaluator_seconds["main"].observe(0.8)
    numbers.dependency_seconds["orders"].observe(0.02)
    numbers.delay.observe(2.0, times=3)
    return numbers
