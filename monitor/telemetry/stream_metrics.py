"""The metrics of streams: each declared with what it reads from a stream's status.

A new one is one declaration here. May import `monitor.detection` and below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from monitor.detection.records.status import FeatureStatus, OpenAlert, SegmentShare, StreamStatus
from monitor.telemetry.metric import Metric, MetricKind, Samples


class Per(Enum):
    """What of a stream has a series each; features and segments count against the cap of series."""

    STREAM = auto()
    ALERT = auto()
    FEATURE = auto()
    SEGMENT = auto()


@dataclass(frozen=True)
class StreamMetric:
    """A declaration, what has a series each, and the samples of one stream."""

    metric: Metric
    per: Per
    samples: Callable[[StreamStatus], Samples]

    @property
    def name(self) -> str:
        """The exported name."""
        return self.metric.name


def _per_stream(name: str, meaning: str, read: Callable[[StreamStatus], float | None]) -> StreamMetric:
    kind = MetricKind.COUNTER if name.endswith("_total") else MetricKind.GAUGE
    return StreamMetric(
        Metric(name, kind, meaning, ("stream",)), Per.STREAM, lambda status: [((status.stream,), _known(read(status)))]
    )


def _per_alert(name: str, meaning: str, read: Callable[[OpenAlert], float | None]) -> StreamMetric:
    def samples(status: StreamStatus) -> Samples:
        return (((status.stream, alert.id, alert.kind), _known(read(alert))) for alert in status.open)

    return StreamMetric(Metric(name, MetricKind.GAUGE, meaning, ("stream", "alert", "kind")), Per.ALERT, samples)


def _per_feature(name: str, meaning: str, read: Callable[[FeatureStatus], float | None]) -> StreamMetric:
    def samples(status: StreamStatus) -> Samples:
        return (((status.stream, feature), _known(read(value))) for feature, value in status.features.items())

    return StreamMetric(Metric(name, MetricKind.GAUGE, meaning, ("stream", "feature")), Per.FEATURE, samples)


def _per_segment(name: str, meaning: str, read: Callable[[SegmentShare], float]) -> StreamMetric:
    def samples(status: StreamStatus) -> Samples:
        return (((status.stream, share.attribute, share.value), read(share)) for share in status.segments)

    return StreamMetric(Metric(name, MetricKind.GAUGE, meaning, ("stream", "attribute", "value")), Per.SEGMENT, samples)


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _evidence(log10: float) -> float:
    """Evidence below 1 is none: minus infinity would only stretch the axis of a dashboard."""
    return max(0.0, log10)


STREAM_STATE = StreamMetric(
    Metric("oqm_stream_state", MetricKind.GAUGE, "1 for the state that the stream is in.", ("stream", "state")),
    Per.STREAM,
    lambda status: [((status.stream, status.state.value), 1.0)],
)
STREAM_EVENTS = _per_stream(
    "oqm_stream_events_total", "Events applied to the stream, once each.", lambda status: status.events
)
STREAM_DUPLICATES = _per_stream(
    "oqm_stream_duplicates_total",
    "Events of the stream seen before and not applied.",
    lambda status: status.duplicates,
)
STREAM_CONFLICTS = _per_stream(
    "oqm_stream_id_conflicts_total",
    "Events of the stream with a known id but other content.",
    lambda status: status.id_conflicts,
)
STREAM_FIRING = _per_stream(
    "oqm_stream_firing_alerts", "Alerts of the stream that fire now.", lambda status: len(status.firing)
)
STREAM_EVIDENCE = _per_stream(
    "oqm_stream_evidence_log10",
    "Evidence of change, log10; 0 where there is none.",
    lambda status: _evidence(status.log_evidence),
)
STREAM_THRESHOLD = _per_stream(
    "oqm_stream_threshold_log10",
    "Evidence at which the stream's alert fires, log10.",
    lambda status: status.log_threshold,
)
STREAM_LAST_EVENT = _per_stream(
    "oqm_stream_last_event_timestamp_seconds",
    "Time of the stream's latest event.",
    lambda status: status.last_event_time,
)
STREAM_TIMES_BEHIND = _per_stream(
    "oqm_stream_times_behind_seconds",
    "How far the times of the stream's events lie behind, where that is too far to judge volume and silence.",
    lambda status: status.behind_s,
)
FEATURE_REFERENCE = _per_feature(
    "oqm_feature_reference",
    "The feature in the reference: median or rate, in its own unit.",
    lambda feature: feature.reference,
)
FEATURE_CURRENT = _per_feature(
    "oqm_feature_current", "The feature lately: median or rate, in its own unit.", lambda feature: feature.current
)
FEATURE_EVIDENCE = _per_feature(
    "oqm_feature_evidence_log10",
    "Evidence for this feature alone, log10.",
    lambda feature: _evidence(feature.evidence),
)
ALERT_BEGAN = _per_alert(
    "oqm_alert_began_timestamp_seconds",
    "When the change behind an alert that fires began: the change point of dashboards.",
    lambda alert: alert.began,
)
ALERT_EVIDENCE = _per_alert(
    "oqm_alert_evidence_log10", "Evidence that raised an alert that fires, log10.", lambda alert: alert.evidence
)
SEGMENT_REFERENCE = _per_segment(
    "oqm_segment_reference_ratio",
    "Share of the stream's events with this value of an attribute, in the reference.",
    lambda share: share.reference,
)
SEGMENT_CURRENT = _per_segment(
    "oqm_segment_current_ratio",
    "Share of the stream's events with this value of an attribute, lately.",
    lambda share: share.current,
)

STREAM_METRICS: tuple[StreamMetric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, StreamMetric)
)
"""All of the above, in their order, which is the order of exporting."""

_FEATURE_METRICS = sum(each.per is Per.FEATURE for each in STREAM_METRICS)
_SEGMENT_METRICS = sum(each.per is Per.SEGMENT for each in STREAM_METRICS)


def capped_series(status: StreamStatus) -> int:
    """Series of a stream's features and segments, which the cap of series limits."""
    return _FEATURE_METRICS * len(status.features) + _SEGMENT_METRICS * len(status.segments)
