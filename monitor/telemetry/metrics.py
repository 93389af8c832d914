"""Every metric that a worker exports: the one table of names, kinds, labels and meanings.

Names follow Prometheus' rules (https://prometheus.io/docs/practices/naming/): one prefix, base units as suffix,
`_total` for counters. Labels are bounded: by configuration (sink, topic, stage), by code (reason, family, state), or
by the caps of `monitor.telemetry.collectors` (stream, feature). May import nothing from this project.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class MetricKind(StrEnum):
    """Prometheus' kinds, as far as they are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """Declaration of one metric. `name` is the exported one, with `_total` where it is a counter."""

    name: str
    kind: MetricKind
    meaning: str
    labels: tuple[str, ...] = ()


_C, _G, _H = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM

BUILD = Metric("oqm_build_info", _G, "Always 1; the labels say what runs.", ("version", "python"))
READY = Metric("oqm_worker_ready", _G, "1 while partitions are assigned, their state is restored and Kafka answers.")
PROGRESS = Metric(
    "oqm_worker_progress_timestamp_seconds", _G, "When the worker last applied a batch, or had nothing to do."
)
EVENTS = Metric("oqm_events_total", _C, "Output events turned into features.")
REJECTS = Metric("oqm_rejects_total", _C, "Messages written to the dead-letter topic, by reason.", ("reason",))
FEATURE_FAILURES = Metric(
    "oqm_feature_failures_total", _C, "Events for which a family of features failed and is missing.", ("family",)
)
STREAM_FAILURES = Metric(
    "oqm_judging_failures_total", _C, "Exceptions in the monitor of one stream, by the call that raised.", ("call",)
)
UNJUDGED = Metric(
    "oqm_unjudged_events_total", _C, "Events that detect wrote to the dead-letter topic, by reason.", ("reason",)
)
NEWCOMERS = Metric("oqm_new_streams", _G, "Stream names with too few events to be judged: at most four.")
CALL_ERRORS = Metric("oqm_event_errors_total", _C, "Output events whose call ended in an error.")
CALL_SECONDS = Metric("oqm_call_seconds", _H, "Time until the whole output was there, of the events that say it.")
DEPENDENCY_CALLS = Metric(
    "oqm_dependency_calls_total",
    _C,
    "Calls that the events made to each dependency, ok or failed; beyond the cap all are (other).",
    ("dependency", "outcome"),
)
DEPENDENCY_SECONDS = Metric(
    "oqm_dependency_seconds", _H, "Time of the calls that the events made to each dependency.", ("dependency",)
)
CLAMPED = Metric("oqm_clamped_times_total", _C, "Events whose time was too far off Kafka's and was moved to its limit.")
TIME_UNITS = Metric(
    "oqm_times_in_other_units_total",
    _C,
    "Events whose time was a number of milliseconds, microseconds or nanoseconds and was read so, by that unit.",
    ("unit",),
)
MESSAGES = Metric("oqm_messages_total", _C, "Kafka messages applied, by stage.", ("stage",))
BATCHES = Metric("oqm_batches_total", _C, "Batches processed, by stage.", ("stage",))
BUSY = Metric("oqm_busy_seconds_total", _C, "Time spent in computation, by stage.", ("stage",))
WORKING = Metric(
    "oqm_working_seconds_total",
    _C,
    "Time with a batch in hand, by stage; a saturated stage nears 1 s a second.",
    ("stage",),
)
BEHIND = Metric(
    "oqm_behind_seconds", _G, "Age of the oldest message that has come and is not applied, by stage.", ("stage",)
)
BATCH_SECONDS = Metric("oqm_batch_seconds", _H, "Computation per batch, by stage.", ("stage",))
DELAY = Metric("oqm_event_delay_seconds", _H, "From an event's time to its being applied by detect.")
FINDINGS = Metric("oqm_findings_total", _C, "Transitions of findings, by the state entered.", ("state",))
DELIVERIES = Metric(
    "oqm_deliveries_total", _C, "Deliveries of alerts: delivered, retried, or failed for good.", ("sink", "outcome")
)
PENDING = Metric("oqm_pending_deliveries", _G, "Transitions that wait for their receiver.")
CIRCUIT = Metric(
    "oqm_sink_circuit_state",
    _G,
    "1 for the state of the sink's circuit breaker: closed, open (left alone), half_open (being probed).",
    ("sink", "state"),
)
HELD_BACK = Metric("oqm_held_back_alerts", _G, "Alerts that fire and are not told now, by reason.", ("reason",))
UNROUTED = Metric(
    "oqm_unrouted_alerts_total",
    _C,
    "Alerts that were sent to nobody, as no sink takes their route (reason route) or their severity (severity).",
    ("route", "reason"),
)
UNROUTED_FIRING = Metric(
    "oqm_unrouted_firing_alerts", _G, "Alerts that fire now and are sent to nobody, by reason.", ("route", "reason")
)
FALSE_ALARMS = Metric(
    "oqm_false_alarms", _G, "Alerts that people marked false, as far back as the log of alerts goes.", ("kind",)
)
BUDGET_SPENT = Metric(
    "oqm_stream_budget_spent_ratio",
    _G,
    "Alerts marked false in the budget's latest period over those the stream may raise; above 1 it is overspent.",
    ("stream",),
)
LOST = Metric("oqm_lost_messages_total", _C, "Messages that the log no longer held when their turn came.", ("topic",))
REPAIRS = Metric("oqm_flow_repairs_total", _C, "How often the flow was set back to the offset expected.", ("topic",))
LAG = Metric("oqm_lag_messages", _G, "Messages not yet applied, of partitions owned here.", ("topic", "partition"))
STREAMS = Metric("oqm_streams", _G, "Streams owned here, by state; none is left out.", ("state",))
STREAMS_LEFT_OUT = Metric("oqm_unexported_streams", _G, "Streams owned here without series of their own (the cap).")
SERIES_LEFT_OUT = Metric("oqm_unexported_series", _G, "Series of features and segments left out by the caps.")
STREAM_STATE = Metric("oqm_stream_state", _G, "1 for the state that the stream is in.", ("stream", "state"))
STREAM_EVENTS = Metric("oqm_stream_events_total", _C, "Events applied to the stream, once each.", ("stream",))
STREAM_DUPLICATES = Metric(
    "oqm_stream_duplicates_total", _C, "Events of the stream seen before and not applied.", ("stream",)
)
STREAM_CONFLICTS = Metric(
    "oqm_stream_id_conflicts_total", _C, "Events of the stream with a known id but other content.", ("stream",)
)
STREAM_FIRING = Metric("oqm_stream_firing_alerts", _G, "Alerts of the stream that fire now.", ("stream",))
STREAM_EVIDENCE = Metric(
    "oqm_stream_evidence_log10", _G, "Evidence of change, log10; 0 where there is none.", ("stream",)
)
STREAM_THRESHOLD = Metric(
    "oqm_stream_threshold_log10", _G, "Evidence at which the stream's alert fires, log10.", ("stream",)
)
STREAM_LAST_EVENT = Metric(
    "oqm_stream_last_event_timestamp_seconds", _G, "Time of the stream's latest event.", ("stream",)
)
STREAM_TIMES_BEHIND = Metric(
    "oqm_stream_times_behind_seconds",
    _G,
    "How far the times of the stream's events lie behind, where that is too far to judge volume and silence.",
    ("stream",),
)
STREAMS_BEHIND = Metric(
    "oqm_times_behind_streams",
    _G,
    "Streams owned here whose times lie too far behind to judge volume and silence; none is left out.",
)
FEATURE_REFERENCE = Metric(
    "oqm_feature_reference", _G, "The feature in the reference: median or rate, in its own unit.", ("stream", "feature")
)
FEATURE_CURRENT = Metric(
    "oqm_feature_current", _G, "The feature lately: median or rate, in its own unit.", ("stream", "feature")
)
FEATURE_EVIDENCE = Metric(
    "oqm_feature_evidence_log10", _G, "Evidence for this feature alone, log10.", ("stream", "feature")
)

ALERT_BEGAN = Metric(
    "oqm_alert_began_timestamp_seconds",
    _G,
    "When the change behind an alert that fires began: the change point of dashboards.",
    ("stream", "alert", "kind"),
)
ALERT_EVIDENCE = Metric(
    "oqm_alert_evidence_log10", _G, "Evidence that raised an alert that fires, log10.", ("stream", "alert", "kind")
)
SEGMENT_REFERENCE = Metric(
    "oqm_segment_reference_ratio",
    _G,
    "Share of the stream's events with this value of an attribute, in the reference.",
    ("stream", "attribute", "value"),
)
SEGMENT_CURRENT = Metric(
    "oqm_segment_current_ratio",
    _G,
    "Share of the stream's events with this value of an attribute, lately.",
    ("stream", "attribute", "value"),
)

METRICS: tuple[Metric, ...] = (
    BUILD,
    READY,
    PROGRESS,
    EVENTS,
    REJECTS,
    FEATURE_FAILURES,
    STREAM_FAILURES,
    UNJUDGED,
    NEWCOMERS,
    CALL_ERRORS,
    CALL_SECONDS,
    DEPENDENCY_CALLS,
    DEPENDENCY_SECONDS,
    CLAMPED,
    TIME_UNITS,
    MESSAGES,
    BATCHES,
    BUSY,
    WORKING,
    BEHIND,
    BATCH_SECONDS,
    DELAY,
    FINDINGS,
    DELIVERIES,
    PENDING,
    CIRCUIT,
    HELD_BACK,
    UNROUTED,
    UNROUTED_FIRING,
    FALSE_ALARMS,
    BUDGET_SPENT,
    LOST,
    REPAIRS,
    LAG,
    STREAMS,
    STREAMS_LEFT_OUT,
    SERIES_LEFT_OUT,
    STREAM_STATE,
    STREAM_EVENTS,
    STREAM_DUPLICATES,
    STREAM_CONFLICTS,
    STREAM_FIRING,
    STREAM_EVIDENCE,
    STREAM_THRESHOLD,
    STREAM_LAST_EVENT,
    STREAM_TIMES_BEHIND,
    STREAMS_BEHIND,
    FEATURE_REFERENCE,
    FEATURE_CURRENT,
    FEATURE_EVIDENCE,
    ALERT_BEGAN,
    ALERT_EVIDENCE,
    SEGMENT_REFERENCE,
    SEGMENT_CURRENT,
)
"""All of them, in the order in which they are exported."""
