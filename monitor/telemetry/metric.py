"""What a metric is, and how one is declared beside the number that it exports.

Names follow Prometheus' rules (https://prometheus.io/docs/practices/naming/): one prefix, base units as suffix,
`_total` for counters. Labels are bounded: by configuration (sink, topic, stage), by code (reason, family, state), or
by the caps of `monitor.telemetry.collectors` (stream, feature). May import `monitor.telemetry.histogram` only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeAlias

from monitor.telemetry.histogram import Histogram

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], Any]]
"""Values of one metric, each with the values of its labels: numbers, or `Histogram`s for a histogram."""


class MetricKind(StrEnum):
    """Prometheus' kinds, as far as they are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """Declaration of one metric.

    Attributes
    ----------
    name
        The exported name, with `_total` where it is a counter.
    kind, meaning, labels
        Its type, help text and label names.
    from_start
        Values of the only label that are exported as 0 before anything is counted: an increase can be seen only from
        a value that was there before.
    """

    name: str
    kind: MetricKind
    meaning: str
    labels: tuple[str, ...] = ()
    from_start: tuple[str, ...] = ()


_DECLARED = "metric"
_READ = "read"


def counter(
    name: str,
    meaning: str,
    *labels: str,
    from_start: tuple[str, ...] = (),
    default: Callable[[], Any] | None = None,
) -> Any:
    """A field that only grows: a number, or with labels a `Counter` (or what `default` makes) by their values."""
    factory = default or (Counter if labels else int)
    return _declared(Metric(name, MetricKind.COUNTER, meaning, labels, from_start), factory, None)


def gauge(name: str, meaning: str, *labels: str, read: Callable[[Any], Samples] | None = None) -> Any:
    """A field that may also fall: a number, or with labels a mapping by their values.

    `read` makes the samples where they are not the field's value itself.
    """
    return _declared(Metric(name, MetricKind.GAUGE, meaning, labels), dict if labels else int, read)


def histogram(name: str, meaning: str, *labels: str, default: Callable[[], Any]) -> Any:
    """A field that holds a `Histogram`, or with labels a mapping of them by the labels' values."""
    return _declared(Metric(name, MetricKind.HISTOGRAM, meaning, labels), default, None)


def _declared(metric: Metric, default: Callable[[], Any], read: Callable[[Any], Samples] | None) -> Any:
    return field(default_factory=default, metadata={_DECLARED: metric, _READ: read})


def declared_in(owner: Any) -> dict[str, Metric]:
    """The metrics that the fields of a dataclass (or an instance of one) declare, by field."""
    return {each.name: each.metadata[_DECLARED] for each in fields(owner) if _DECLARED in each.metadata}


def samples_of(stats: Any) -> Iterable[tuple[Metric, Samples]]:
    """Each metric that the fields of `stats` declare, with its values now. `stats` may be written meanwhile."""
    for each in fields(stats):
        if _DECLARED in each.metadata:
            metric, read, value = each.metadata[_DECLARED], each.metadata[_READ], getattr(stats, each.name)
            # A copy in one step: the writer may add a key while this is read.
            value = dict(value) if isinstance(value, Mapping) else value
            yield metric, read(value) if read is not None else _samples(metric, value)


def _samples(metric: Metric, value: Any) -> Samples:
    if not isinstance(value, dict):
        return [((), value if isinstance(value, Histogram) else float(value))]
    known = dict.fromkeys(metric.from_start, 0) | value
    return ((tuple(map(str, key)) if isinstance(key, tuple) else (str(key),), one) for key, one in known.items())
