"""What the demo reads off the worker's /metrics, as Prometheus would."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from monitor.demo.screen import FeatureRow
from monitor.telemetry import stream_metrics
from monitor.telemetry.metric import declared_in
from monitor.telemetry.worker_stats import WorkerStats

_TOLD_FIRST = (
    "output.length.chars",
    "output.tone.hedging",
    "output.tone.enthusiasm",
    "output.tone.reading_grade",
    "output.format.json_valid",
    "call.latency.total_s",
    "call.dependency.errors",
    "call.context.share",
)
"""Of features that are equally calm, those that say most to somebody who sees them for the first time."""


@dataclass(slots=True)
class WorkerMetrics:
    """One scrape. Streams that the worker does not own yet are `unknown`."""

    lines: list[str] = field(default_factory=list)
    _states: dict[str, str] = field(default_factory=dict)
    _events: dict[str, int] = field(default_factory=dict)
    _features: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> WorkerMetrics:
        """From the text of /metrics; an empty one gives an empty scrape."""
        states: dict[str, str] = {}
        events: dict[str, int] = {}
        features: defaultdict[str, defaultdict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        of_features = {
            one.name
            for one in (
                stream_metrics.FEATURE_REFERENCE,
                stream_metrics.FEATURE_CURRENT,
                stream_metrics.FEATURE_EVIDENCE,
            )
        }
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                stream = sample.labels.get("stream", "")
                if sample.name == stream_metrics.STREAM_STATE.name and sample.value == 1:
                    states[stream] = sample.labels["state"]
                elif sample.name == stream_metrics.STREAM_EVENTS.name:
                    events[stream] = int(sample.value)
                elif sample.name in of_features:
                    features[stream][sample.labels["feature"]][sample.name] = sample.value
        return cls([line for line in text.splitlines() if not line.startswith("#")], states, events, dict(features))

    def state(self, stream: str) -> str:
        """State of the stream; `unknown` before the worker has seen it."""
        return self._states.get(stream, "unknown")

    def events(self, stream: str) -> int:
        """Events applied to the stream; 0 before the worker has seen it."""
        return self._events.get(stream, 0)

    def features(self, stream: str) -> list[FeatureRow]:
        """Features of the stream, those with the most evidence first."""
        rows = [
            FeatureRow(
                name,
                _number(values.get(stream_metrics.FEATURE_REFERENCE.name)),
                _number(values.get(stream_metrics.FEATURE_CURRENT.name)),
                values.get(stream_metrics.FEATURE_EVIDENCE.name, 0.0),
            )
            for name, values in self._features.get(stream, {}).items()
        ]
        told_first = {name: place for place, name in enumerate(_TOLD_FIRST)}
        return sorted(rows, key=lambda row: (-round(row.evidence), told_first.get(row.name, len(told_first)), row.name))

    def excerpt(self, stream: str, features: Sequence[str] = ()) -> list[str]:
        """The few lines of the scrape that show what happened: events processed, findings, features that moved."""
        counted = declared_in(WorkerStats)
        wanted = (
            counted["events"],
            counted["rejects"],
            counted["findings"],
            counted["deliveries"],
            stream_metrics.STREAM_STATE,
            stream_metrics.STREAM_EVENTS,
            stream_metrics.STREAM_EVIDENCE,
            stream_metrics.STREAM_THRESHOLD,
        )
        chosen = [line for metric in wanted for line in self.lines if line.split("{")[0].split(" ")[0] == metric.name]
        chosen += [
            line
            for name in features
            for metric in (stream_metrics.FEATURE_REFERENCE, stream_metrics.FEATURE_CURRENT)
            for line in self.lines
            if line.startswith(metric.name + "{") and f'stream="{stream}"' in line and f'feature="{name}"' in line
        ]
        return chosen


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
