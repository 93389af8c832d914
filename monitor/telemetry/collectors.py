"""Turns the plain numbers that a worker keeps into metrics at the moment Prometheus asks for them.

Nothing is counted twice and nothing is spent per event: the agents keep numbers, these collectors read them. Values of
streams are read from the states that this worker owns, so what is given back to another worker vanishes here.
May import `monitor.detection` and below.
"""

from __future__ import annotations

import heapq
import math
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from monitor.detection.records.finding import State
from monitor.detection.records.status import FeatureStatus, SegmentShare, StreamState, StreamStatus
from monitor.telemetry import metrics
from monitor.telemetry.histogram import Histogram
from monitor.telemetry.metrics import Metric, MetricKind

_NO_TIME_UNITS = dict.fromkeys(("milliseconds", "microseconds", "nanoseconds"), 0)
"""Each unit has its number from the start, as states of findings have: a rate needs a value before the first rise."""
_MOST_BUDGETS = 1_000
"""Streams whose budget is exported: people marked that many false, and the most overspent come first."""

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


class WorkerNumbers(Protocol):
    """What a worker counts. One thread writes it, this module reads it from another."""

    @property
    def events(self) -> int:
        """Events featurized."""
        ...

    @property
    def clamped(self) -> int:
        """Events whose time was moved to the limit."""
        ...

    @property
    def time_units(self) -> Mapping[str, int]:
        """Events whose time was in another unit than seconds, by that unit."""
        ...

    @property
    def rejects(self) -> Mapping[str, int]:
        """Dead letters by reason."""
        ...

    @property
    def feature_failures(self) -> Mapping[str, int]:
        """Events by family of features that failed on them."""
        ...

    @property
    def stream_failures(self) -> Mapping[str, int]:
        """Exceptions in streams' monitors by call."""
        ...

    @property
    def unjudged(self) -> Mapping[str, int]:
        """Rows that detect wrote to the dead letters by reason."""
        ...

    @property
    def newcomers(self) -> int:
        """Stream names with too few events to be judged."""
        ...

    @property
    def call_errors(self) -> int:
        """Events whose call ended in an error."""
        ...

    @property
    def call_seconds(self) -> Histogram:
        """Seconds of the events' calls."""
        ...

    @property
    def dependency_calls(self) -> Mapping[tuple[str, str], int]:
        """Calls to dependencies by name and outcome."""
        ...

    @property
    def dependency_seconds(self) -> Mapping[str, Histogram]:
        """Seconds of calls to dependencies by name."""
        ...

    @property
    def messages(self) -> Mapping[str, int]:
        """Messages applied by stage."""
        ...

    @property
    def batches(self) -> Mapping[str, int]:
        """Batches by stage."""
        ...

    @property
    def busy_s(self) -> Mapping[str, float]:
        """Seconds of computation by stage."""
        ...

    @property
    def batch_seconds(self) -> Mapping[str, Histogram]:
        """Seconds of computation per batch by stage."""
        ...

    @property
    def delay(self) -> Histogram:
        """Seconds from events to their being applied."""
        ...

    @property
    def findings(self) -> Mapping[str, int]:
        """Transitions by state."""
        ...

    @property
    def deliveries(self) -> Mapping[tuple[str, str], int]:
        """Deliveries by sink and outcome."""
        ...

    @property
    def pending_deliveries(self) -> int:
        """Transitions that wait for their receiver."""
        ...

    @property
    def circuits(self) -> Mapping[str, str]:
        """State of the circuit breaker by sink."""
        ...

    @property
    def held_back(self) -> Mapping[str, int]:
        """Alerts that fire and are not told now, by reason."""
        ...

    @property
    def unrouted(self) -> Mapping[tuple[str, str], int]:
        """Alerts that were sent to nobody, by route and reason."""
        ...

    @property
    def unrouted_firing(self) -> Mapping[tuple[str, str], int]:
        """Alerts that fire now and are sent to nobody, by route and reason."""
        ...

    @property
    def false_alarms(self) -> Mapping[str, int]:
        """Alerts marked false by kind."""
        ...

    @property
    def budget_spent(self) -> Mapping[str, float]:
        """Share of the alert budget spent, by stream with a false alarm."""
        ...

    @property
    def lost(self) -> Mapping[str, int]:
        """Messages lost by topic."""
        ...

    @property
    def repairs(self) -> Mapping[str, int]:
        """Repairs of the flow by topic."""
        ...

    @property
    def lag(self) -> Mapping[tuple[str, int], int]:
        """Messages not yet applied by topic and partition."""
        ...

    @property
    def working_s(self) -> Mapping[str, float]:
        """Seconds with a batch in hand by stage."""
        ...

    @property
    def behind_s(self) -> Mapping[str, float]:
        """Age of the oldest message not applied by stage."""
        ...

    @property
    def assigned(self) -> bool:
        """Whether partitions are assigned and restored."""
        ...

    @property
    def kafka_silent(self) -> bool:
        """Whether Kafka has not answered for longer than it takes to restart."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the worker watches its streams."""
        ...

    @property
    def progress_at(self) -> float:
        """Clock time of the last progress, 0 before the first."""
        ...

    @property
    def statuses(self) -> Mapping[str, StreamStatus]:
        """The streams owned here; replaced as a whole when it changes."""
        ...


class WorkerCollector(Collector):
    """Exports what a worker counts.

    Parameters
    ----------
    numbers
        Where to read.
    version
        Of this package, for `oqm_build_info`.
    """

    def __init__(self, numbers: WorkerNumbers, version: str) -> None:
        self._numbers = numbers
        self._version = version

    def collect(self) -> Iterator[Family]:
        """One family per metric of the worker itself."""
        n = self._numbers
        yield _family(metrics.BUILD, [((self._version, platform.python_version()), 1.0)])
        yield _family(metrics.READY, [((), float(n.ready))])
        yield _family(metrics.PROGRESS, [((), n.progress_at)] if n.progress_at else [])
        yield _family(metrics.EVENTS, [((), n.events)])
        yield _family(metrics.REJECTS, _by_name(n.rejects))
        yield _family(metrics.FEATURE_FAILURES, _by_name(n.feature_failures))
        yield _family(metrics.STREAM_FAILURES, _by_name(n.stream_failures))
        yield _family(metrics.UNJUDGED, _by_name(n.unjudged))
        yield _family(metrics.NEWCOMERS, [((), n.newcomers)])
        yield _family(metrics.CALL_ERRORS, [((), n.call_errors)])
        yield _histogram(metrics.CALL_SECONDS, [((), n.call_seconds)])
        yield _family(metrics.DEPENDENCY_CALLS, dict(n.dependency_calls).items())
        yield _histogram(metrics.DEPENDENCY_SECONDS, (((name,), h) for name, h in dict(n.dependency_seconds).items()))
        yield _family(metrics.CLAMPED, [((), n.clamped)])
        yield _family(metrics.TIME_UNITS, _by_name({**_NO_TIME_UNITS, **n.time_units}))
        yield _family(metrics.MESSAGES, _by_name(n.messages))
        yield _family(metrics.BATCHES, _by_name(n.batches))
        yield _family(metrics.BUSY, _by_name(n.busy_s))
        yield _family(metrics.WORKING, _by_name(n.working_s))
        yield _family(metrics.BEHIND, _by_name(n.behind_s))
        yield _histogram(metrics.BATCH_SECONDS, (((stage,), h) for stage, h in dict(n.batch_seconds).items()))
        yield _histogram(metrics.DELAY, [((), n.delay)])
        # Each state has its number from the start: a series that appears with 1 has not risen.
        yield _family(metrics.FINDINGS, _by_name({**_NO_FINDINGS, **n.findings}))
        yield _family(metrics.DELIVERIES, ((key, count) for key, count in dict(n.deliveries).items()))
        yield _family(metrics.PENDING, [((), n.pending_deliveries)])
        yield _family(metrics.CIRCUIT, (((sink, state), 1.0) for sink, state in dict(n.circuits).items()))
        yield _family(metrics.HELD_BACK, _by_name(n.held_back))
        yield _family(metrics.UNROUTED, dict(n.unrouted).items())
        yield _family(metrics.UNROUTED_FIRING, dict(n.unrouted_firing).items())
        yield _family(metrics.FALSE_ALARMS, _by_name(n.false_alarms))
        worst = heapq.nlargest(_MOST_BUDGETS, dict(n.budget_spent).items(), key=lambda item: (item[1], item[0]))
        yield _family(metrics.BUDGET_SPENT, (((stream,), ratio) for stream, ratio in worst))
        yield _family(metrics.LOST, _by_name(n.lost))
        yield _family(metrics.REPAIRS, _by_name(n.repairs))
        yield _family(metrics.LAG, (((topic, str(p)), lag) for (topic, p), lag in dict(n.lag).items()))

    def describe(self) -> Iterator[Family]:
        """Nothing: so that registering reads no numbers."""
        return iter(())


class StreamCollector(Collector):
    """Exports the streams that a worker owns, a bounded number of them.

    Where there are more streams than the cap, those that drift come first, then the silent and unknown, then by name:
    a stream that needs eyes is never left out in favour of a quiet one, and the choice does not flicker.

    Parameters
    ----------
    statuses
        Gives the status of each stream owned now.
    max_streams
        Streams with series of their own.
    max_series
        Series of features and segments: three for each feature of a stream, two for each segment.
    """

    def __init__(
        self, statuses: Callable[[], Mapping[str, StreamStatus]], *, max_streams: int, max_series: int
    ) -> None:
        self._statuses = statuses
        self._max_streams = max_streams
        self._max_series = max_series

    def collect(self) -> Iterator[Family]:
        """One family per metric of streams and features."""
        statuses = dict(self._statuses())
        by_state = dict.fromkeys(StreamState, 0)
        for status in statuses.values():
            by_state[status.state] += 1
        yield _family(metrics.STREAMS, (((state.value,), count) for state, count in by_state.items()))

        shown = sorted(statuses.values(), key=lambda status: (_URGENCY[status.state], status.stream))
        shown = shown[: self._max_streams]
        features, segments = list[tuple[str, str, FeatureStatus]](), list[tuple[tuple[str, str, str], SegmentShare]]()
        room = self._max_series
        for status in shown:
            if _series(status) > room:  # a stream is exported with all of its features and segments or with none
                break
            room -= _series(status)
            features += [(status.stream, name, feature) for name, feature in status.features.items()]
            segments += [((status.stream, share.attribute, share.value), share) for share in status.segments]
        every = sum(_series(status) for status in statuses.values())
        yield _family(metrics.STREAMS_LEFT_OUT, [((), len(statuses) - len(shown))])
        yield _family(metrics.SERIES_LEFT_OUT, [((), every - (self._max_series - room))])

        yield _family(metrics.STREAM_STATE, (((s.stream, s.state.value), 1.0) for s in shown))
        yield _family(metrics.STREAM_EVENTS, (((s.stream,), s.events) for s in shown))
        yield _family(metrics.STREAM_DUPLICATES, (((s.stream,), s.duplicates) for s in shown))
        yield _family(metrics.STREAM_CONFLICTS, (((s.stream,), s.id_conflicts) for s in shown))
        yield _family(metrics.STREAM_FIRING, (((s.stream,), len(s.firing)) for s in shown))
        yield _family(metrics.STREAM_EVIDENCE, (((s.stream,), _evidence(s.log_evidence)) for s in shown))
        yield _family(metrics.STREAM_THRESHOLD, (((s.stream,), s.log_threshold) for s in shown))
        yield _family(metrics.STREAM_LAST_EVENT, (((s.stream,), _known(s.last_event_time)) for s in shown))
        yield _family(metrics.STREAM_TIMES_BEHIND, (((s.stream,), _known(s.behind_s)) for s in shown))
        behind = sum(status.behind_s is not None for status in statuses.values())
        yield _family(metrics.STREAMS_BEHIND, [((), behind)])
        yield _family(metrics.FEATURE_REFERENCE, (((s, name), _known(f.reference)) for s, name, f in features))
        yield _family(metrics.FEATURE_CURRENT, (((s, name), _known(f.current)) for s, name, f in features))
        yield _family(metrics.FEATURE_EVIDENCE, (((s, name), _evidence(f.evidence)) for s, name, f in features))

        yield _family(metrics.ALERT_BEGAN, (((s.stream, a.id, a.kind), _known(a.began)) for s in shown for a in s.open))
        yield _family(
            metrics.ALERT_EVIDENCE, (((s.stream, a.id, a.kind), _known(a.evidence)) for s in shown for a in s.open)
        )
        yield _family(metrics.SEGMENT_REFERENCE, ((labels, share.reference) for labels, share in segments))
        yield _family(metrics.SEGMENT_CURRENT, ((labels, share.current) for labels, share in segments))

    def describe(self) -> Iterator[Family]:
        """Nothing: so that registering reads no numbers."""
        return iter(())


def _series(status: StreamStatus) -> int:
    """Series of a stream's features and segments."""
    return 3 * len(status.features) + 2 * len(status.segments)


_NO_FINDINGS = {state.value: 0 for state in (State.FIRING, State.RESOLVED, State.INFO)}
_URGENCY = {
    StreamState.DRIFT: 0,
    StreamState.SILENT: 1,
    StreamState.UNKNOWN: 2,
    StreamState.WARMING: 3,
    StreamState.STABLE: 3,
}


def _by_name(counts: Mapping[str, float]) -> Samples:
    # A copy in one step: the writer may add a name while this is read.
    return (((name,), value) for name, value in dict(counts).items())


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _evidence(log10: float) -> float:
    """Evidence below 1 is none: minus infinity would only stretch the axis of a dashboard."""
    return max(0.0, log10)


def _family(metric: Metric, samples: Samples) -> Family:
    """The family with its samples; one that is not a number is left out: a missing value is missing, never zero."""
    if metric.kind is MetricKind.COUNTER:
        counter = CounterMetricFamily(metric.name.removesuffix("_total"), metric.meaning, labels=metric.labels)
        for labels, value in samples:
            counter.add_metric(labels, value)
        return counter
    gauge = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in samples:
        if value == value:
            gauge.add_metric(labels, value)
    return gauge


def _histogram(metric: Metric, samples: Iterable[tuple[tuple[str, ...], Histogram]]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, histogram in samples:
        family.add_metric(labels, buckets=histogram.buckets(), sum_value=histogram.total)
    return family
