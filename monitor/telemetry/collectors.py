"""Turns the plain numbers that a worker keeps into metrics at the moment Prometheus asks for them.

Nothing is counted twice and nothing is spent per event: the stages write numbers, these collectors read them. Values
of streams are read from the statuses that this worker owns, so a stream that another worker takes over vanishes here.
May import `monitor.detection` and below.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from monitor.detection.records.status import StreamState, StreamStatus
from monitor.telemetry.metric import Metric, MetricKind, Samples, samples_of
from monitor.telemetry.stream_metrics import STREAM_METRICS, Per, capped_series
from monitor.telemetry.worker_stats import WorkerStats

BUILD = Metric("oqm_build_info", MetricKind.GAUGE, "Always 1; the labels say what runs.", ("version", "python"))
READY = Metric(
    "oqm_worker_ready",
    MetricKind.GAUGE,
    "1 while partitions are assigned, their state is restored and Kafka answers.",
)
STREAMS = Metric("oqm_streams", MetricKind.GAUGE, "Streams owned here, by state; none is left out.", ("state",))
STREAMS_LEFT_OUT = Metric(
    "oqm_unexported_streams", MetricKind.GAUGE, "Streams owned here without series of their own (the cap)."
)
SERIES_LEFT_OUT = Metric(
    "oqm_unexported_series", MetricKind.GAUGE, "Series of features and segments left out by the caps."
)
STREAMS_BEHIND = Metric(
    "oqm_times_behind_streams",
    MetricKind.GAUGE,
    "Streams owned here whose times lie too far behind to judge volume and silence; none is left out.",
)
_URGENCY = {
    StreamState.DRIFT: 0,
    StreamState.SILENT: 1,
    StreamState.UNKNOWN: 2,
    StreamState.WARMING: 3,
    StreamState.STABLE: 3,
}
"""Which streams have series where there are more than the cap: lowest first."""


class WorkerCollector(Collector):
    """Exports what a worker counts.

    Parameters
    ----------
    stats
        Where to read.
    version
        Of this package, for `oqm_build_info`.
    """

    def __init__(self, stats: WorkerStats, version: str) -> None:
        self._stats = stats
        self._version = version

    def collect(self) -> Iterator[Family]:
        """One family per metric of the worker itself."""
        yield build_info(self._version)
        yield family(READY, [((), float(self._stats.ready))])
        for metric, samples in samples_of(self._stats):
            yield family(metric, samples)

    def describe(self) -> Iterator[Family]:
        """Nothing: so that registering reads no numbers."""
        return iter(())


class StreamCollector(Collector):
    """Exports the streams that a worker owns, a bounded number of them.

    Where there are more streams than the cap, those that drift come first, then the silent and unknown, then by name:
    a stream that needs attention is never left out in favour of a stable one, and the choice does not flicker.

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
        """One family per metric of streams, alerts, features and segments."""
        statuses = dict(self._statuses())
        by_state = dict.fromkeys(StreamState, 0)
        for status in statuses.values():
            by_state[status.state] += 1
        yield family(STREAMS, (((state.value,), count) for state, count in by_state.items()))

        shown = sorted(statuses.values(), key=lambda status: (_URGENCY[status.state], status.stream))
        shown = shown[: self._max_streams]
        room, detailed = self._max_series, 0
        for status in shown:
            if capped_series(status) > room:  # a stream is exported with all of its features and segments or with none
                break
            room -= capped_series(status)
            detailed += 1
        every = sum(capped_series(status) for status in statuses.values())
        yield family(STREAMS_LEFT_OUT, [((), len(statuses) - len(shown))])
        yield family(SERIES_LEFT_OUT, [((), every - (self._max_series - room))])
        behind = sum(status.behind_s is not None for status in statuses.values())
        yield family(STREAMS_BEHIND, [((), behind)])
        for each in STREAM_METRICS:
            streams = shown[:detailed] if each.per in (Per.FEATURE, Per.SEGMENT) else shown
            yield family(each.metric, (sample for status in streams for sample in each.samples(status)))

    def describe(self) -> Iterator[Family]:
        """Nothing: so that registering reads no numbers."""
        return iter(())


def build_info(version: str) -> Family:
    """`oqm_build_info` for this version of the package."""
    return family(BUILD, [((version, platform.python_version()), 1.0)])


def family(metric: Metric, samples: Samples) -> Family:
    """The family with its samples; one that is not a number is left out: a missing value is missing, never zero."""
    match metric.kind:
        case MetricKind.COUNTER:
            counter = CounterMetricFamily(metric.name.removesuffix("_total"), metric.meaning, labels=metric.labels)
            for labels, value in samples:
                counter.add_metric(labels, value)
            return counter
        case MetricKind.GAUGE:
            gauge = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
            for labels, value in samples:
                if value == value:
                    gauge.add_metric(labels, value)
            return gauge
        case MetricKind.HISTOGRAM:
            family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
            for labels, histogram in samples:
                family.add_metric(labels, buckets=histogram.buckets(), sum_value=histogram.total)
            return family
