"""`WorkerStats`: what a worker counts, each number declared as the metric that it is exported as.

The stages write the fields (`stats.events += 1`); `monitor.telemetry.collectors` reads them when Prometheus asks. A new
metric is a field here and the line that counts.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.detection.records.finding import State
from monitor.detection.records.status import StreamStatus
from monitor.telemetry.histogram import BATCH_BOUNDS, CALL_BOUNDS, DELAY_BOUNDS, Histogram
from monitor.telemetry.metric import Samples, counter, gauge, histogram

MAX_BUDGETS = 1_000
"""Streams whose budget is exported, the most overspent first: each is a time series in Prometheus."""


class CircuitState(StrEnum):
    """Whether deliveries go out."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


def _only_when_known(time: float) -> Samples:
    """No sample for 0, which stands for a time before the first progress."""
    return [((), time)] if time else []


def _one_per_state(states: Mapping[str, str]) -> Samples:
    return (((name, state), 1.0) for name, state in states.items())


def _most_overspent(ratios: Mapping[str, float]) -> Samples:
    worst = heapq.nlargest(MAX_BUDGETS, ratios.items(), key=lambda item: (item[1], item[0]))
    return (((stream,), ratio) for stream, ratio in worst)


@dataclass(slots=True)
class WorkerStats:
    """What one worker has done and where it stands. Written by the event loop only; safe to read from any thread."""

    progress_at: float = gauge(
        "oqm_worker_progress_timestamp_seconds",
        "When the worker last applied a batch, or had nothing to do.",
        read=_only_when_known,
    )
    events: int = counter("oqm_events_total", "Output events turned into features.")
    rejects: Counter[str] = counter(
        "oqm_rejects_total", "Messages written to the dead-letter topic, by reason.", "reason"
    )
    feature_failures: Counter[str] = counter(
        "oqm_feature_failures_total", "Events for which a family of features failed and is missing.", "family"
    )
    stream_failures: Counter[str] = counter(
        "oqm_judging_failures_total", "Exceptions in the monitor of one stream, by the call that raised.", "call"
    )
    unjudged: Counter[str] = counter(
        "oqm_unjudged_events_total", "Events that detect wrote to the dead-letter topic, by reason.", "reason"
    )
    newcomers: int = gauge("oqm_new_streams", "Stream names with too few events to be judged: at most four.")
    call_errors: int = counter("oqm_event_errors_total", "Output events whose call ended in an error.")
    call_seconds: Histogram = histogram(
        "oqm_call_seconds",
        "Time until the whole output was there, of the events that report it.",
        default=lambda: Histogram(CALL_BOUNDS),
    )
    dependency_calls: Counter[tuple[str, str]] = counter(
        "oqm_dependency_calls_total",
        "Calls that the events made to each dependency, ok or failed; beyond the cap all are (other).",
        "dependency",
        "outcome",
    )
    dependency_seconds: defaultdict[str, Histogram] = histogram(
        "oqm_dependency_seconds",
        "Time of the calls that the events made to each dependency.",
        "dependency",
        default=lambda: defaultdict(lambda: Histogram(CALL_BOUNDS)),
    )
    sampled: int = counter("oqm_sampled_events_total", "Output events drawn for an evaluation model.")
    clamped: int = counter(
        "oqm_clamped_times_total", "Events whose time was too far off Kafka's and was moved to its limit."
    )
    time_units: Counter[str] = counter(
        "oqm_times_in_other_units_total",
        "Events whose time was a number of milliseconds, microseconds or nanoseconds and was read so, by that unit.",
        "unit",
        from_start=("milliseconds", "microseconds", "nanoseconds"),
    )
    messages: Counter[str] = counter("oqm_messages_total", "Kafka messages applied, by stage.", "stage")
    batches: Counter[str] = counter("oqm_batches_total", "Batches processed, by stage.", "stage")
    busy_s: defaultdict[str, float] = counter(
        "oqm_busy_seconds_total",
        "Time spent in computation, by stage.",
        "stage",
        default=lambda: defaultdict(float),
    )
    working_s: Mapping[str, float] = counter(
        "oqm_working_seconds_total",
        "Time with a batch in hand, by stage; a saturated stage nears 1 s a second.",
        "stage",
    )
    behind_s: Mapping[str, float] = gauge(
        "oqm_behind_seconds", "Age of the oldest message that has come and is not applied, by stage.", "stage"
    )
    batch_seconds: defaultdict[str, Histogram] = histogram(
        "oqm_batch_seconds",
        "Computation per batch, by stage.",
        "stage",
        default=lambda: defaultdict(lambda: Histogram(BATCH_BOUNDS)),
    )
    delay: Histogram = histogram(
        "oqm_event_delay_seconds",
        "From an event's time to its being applied by detect.",
        default=lambda: Histogram(DELAY_BOUNDS),
    )
    findings: Counter[str] = counter(
        "oqm_findings_total",
        "Transitions of findings, by the state entered.",
        "state",
        from_start=(State.FIRING.value, State.RESOLVED.value, State.INFO.value),
    )
    deliveries: Counter[tuple[str, str]] = counter(
        "oqm_deliveries_total", "Deliveries of alerts: delivered, retried, or failed for good.", "sink", "outcome"
    )
    stored: int = counter("oqm_stored_events_total", "Output events written to the trace store.")
    store_unreadable: int = counter(
        "oqm_store_unreadable_total", "Messages that the trace store could not read; featurize reports such outputs."
    )
    store_busy_s: float = counter("oqm_store_busy_seconds_total", "Time spent in writing the trace store.")
    store_away: int = gauge(
        "oqm_store_away", "1 while the trace store does not answer and its outputs wait in the log."
    )
    store_error: str | None = None
    """Why the trace store does not answer; for /readyz."""
    judgments: Counter[tuple[str, str]] = counter(
        "oqm_judgments_total",
        "Judgments of drawn outputs: pass, fail, or why the verdict is missing (timeout, unreadable, blocked, ...).",
        "evaluator",
        "outcome",
    )
    judgments_cached: Counter[str] = counter(
        "oqm_judgments_cached_total", "Judgments that repeat the verdict on an equal text.", "evaluator"
    )
    judgments_left_out: Counter[str] = counter(
        "oqm_judgments_left_out_total",
        "Drawn outputs that were not asked about, as the budget or the rate limit lowered the draw.",
        "evaluator",
    )
    evaluator_tokens: Counter[str] = counter(
        "oqm_evaluator_tokens_total", "Tokens that evaluators used, of requests and answers.", "evaluator"
    )
    evaluator_cost: defaultdict[str, float] = counter(
        "oqm_evaluator_cost_usd_total",
        "US dollars that evaluators cost, by the prices of the settings.",
        "evaluator",
        default=lambda: defaultdict(float),
    )
    evaluator_seconds: defaultdict[str, Histogram] = histogram(
        "oqm_evaluator_seconds",
        "Time of the answers of evaluators.",
        "evaluator",
        default=lambda: defaultdict(lambda: Histogram(CALL_BOUNDS)),
    )
    evaluators_down: Mapping[str, int] = gauge(
        "oqm_evaluator_down", "1 while the evaluator gives no verdicts: blocked, away, or unreadable.", "evaluator"
    )
    evaluator_scale: Mapping[str, float] = gauge(
        "oqm_evaluator_draw_ratio",
        "Factor of the draw's probabilities; below 1 the budget or the rate limit lowers the draw.",
        "evaluator",
    )
    evaluator_spent: Mapping[str, float] = gauge(
        "oqm_evaluator_budget_spent_ratio", "Part of this worker's budget of the day that is spent.", "evaluator"
    )
    judge_in_hand: int = gauge("oqm_judge_waiting_messages", "Drawn outputs that wait for their judgments here.")
    sampled_unreadable: int = counter(
        "oqm_sampled_unreadable_total", "Messages of drawn outputs that could not be read."
    )
    evaluators_away: Mapping[str, str] = field(default_factory=dict)
    """Evaluators that are down, with the reason; for /readyz."""
    quality_rate: Mapping[tuple[str, str], float] = gauge(
        "oqm_quality_ratio",
        "Share of the outputs of the last 7 days that pass the criterion, estimated from those judged; none where "
        "nothing was judged.",
        "stream",
        "criterion",
    )
    quality_low: Mapping[tuple[str, str], float] = gauge(
        "oqm_quality_low_ratio",
        "Lower bound of oqm_quality_ratio: of an interval that holds at 95 % at all looks together.",
        "stream",
        "criterion",
    )
    quality_high: Mapping[tuple[str, str], float] = gauge(
        "oqm_quality_high_ratio", "Upper bound of oqm_quality_ratio.", "stream", "criterion"
    )
    quality_corrected: Mapping[tuple[str, str], float] = gauge(
        "oqm_quality_corrected_ratio",
        "Share that passes by people's measure: oqm_quality_ratio corrected by what people say; from 30 labels on.",
        "stream",
        "criterion",
    )
    quality_corrected_low: Mapping[tuple[str, str], float] = gauge(
        "oqm_quality_corrected_low_ratio", "Lower bound of oqm_quality_corrected_ratio.", "stream", "criterion"
    )
    quality_corrected_high: Mapping[tuple[str, str], float] = gauge(
        "oqm_quality_corrected_high_ratio", "Upper bound of oqm_quality_corrected_ratio.", "stream", "criterion"
    )
    quality_people: Mapping[tuple[str, str], int] = gauge(
        "oqm_quality_labelled_outputs", "Judged outputs that people have labelled.", "stream", "criterion"
    )
    quality_judged: Mapping[tuple[str, str], int] = gauge(
        "oqm_quality_judged_outputs", "Outputs with a verdict that oqm_quality_ratio rests on.", "stream", "criterion"
    )
    quality_missing: Mapping[tuple[str, str], int] = gauge(
        "oqm_quality_missing_outputs", "Outputs that were drawn and got no verdict.", "stream", "criterion"
    )
    quality_seen: Mapping[tuple[str, str], int] = gauge(
        "oqm_quality_seen_outputs", "Outputs of the window, judged or not.", "stream", "criterion"
    )
    quality_left_out: int = gauge(
        "oqm_unexported_quality_estimates", "Estimates of quality without series: beyond metrics.max_streams."
    )
    quality_at: float = gauge(
        "oqm_quality_timestamp_seconds", "When the estimates of quality were made; 0 on workers that make none."
    )
    pending_deliveries: int = gauge("oqm_pending_deliveries", "Transitions that wait for their receiver.")
    circuits: Mapping[str, CircuitState] = gauge(
        "oqm_sink_circuit_state",
        "1 for the state of the sink's circuit breaker: closed, open (left alone), half_open (being probed).",
        "sink",
        "state",
        read=_one_per_state,
    )
    held_back: Mapping[str, int] = gauge(
        "oqm_held_back_alerts", "Alerts that fire and are not sent now, by reason.", "reason"
    )
    unrouted: Counter[tuple[str, str]] = counter(
        "oqm_unrouted_alerts_total",
        "Alerts that were sent to nobody, as no sink takes their route (reason route) or their severity (severity).",
        "route",
        "reason",
    )
    unrouted_firing: Mapping[tuple[str, str], int] = gauge(
        "oqm_unrouted_firing_alerts",
        "Alerts that fire now and are sent to nobody, by reason.",
        "route",
        "reason",
    )
    false_alarms: Mapping[str, int] = gauge(
        "oqm_false_alarms", "Alerts that people marked false, as far back as the log of alerts goes.", "kind"
    )
    budget_spent: Mapping[str, float] = gauge(
        "oqm_stream_budget_spent_ratio",
        "Alerts marked false in the budget's latest period over those the stream may raise; above 1 it is overspent.",
        "stream",
        read=_most_overspent,
    )
    lost: Counter[str] = counter(
        "oqm_lost_messages_total", "Messages that the log no longer had when their turn came.", "topic"
    )
    repairs: Counter[str] = counter(
        "oqm_flow_repairs_total", "How often the flow was set back to the offset expected.", "topic"
    )
    lag: Mapping[tuple[str, int], int] = gauge(
        "oqm_lag_messages", "Messages not yet applied, of partitions owned here.", "topic", "partition"
    )

    dependencies: set[str] = field(default_factory=set)
    """Dependencies with series of their own, in `dependency_calls` and `dependency_seconds`."""
    statuses: Mapping[str, StreamStatus] = field(default_factory=dict)
    """Status of each stream that this worker owns, as of the last change; replaced as a whole."""
    assigned: bool = False
    """Whether partitions are assigned and their state restored."""
    kafka_silent: bool = False
    """Whether Kafka has not answered for longer than it takes to restart."""

    @property
    def ready(self) -> bool:
        """Whether the worker watches its streams: assigned, restored, and Kafka answers."""
        return self.assigned and not self.kafka_silent
