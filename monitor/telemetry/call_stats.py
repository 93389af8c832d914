"""What events report of the calls behind them, counted for the metrics: seconds, errors, and those of dependencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from monitor.events.schema import OutputEvent
from monitor.features.families.dependencies import failed
from monitor.telemetry.worker_stats import WorkerStats

MAX_DEPENDENCIES = 50
"""Dependencies with series each, which bounds the metrics; further ones are counted together as `OTHER`."""
OTHER = "(other)"
_MAX_NAME_CHARS = 64
"""A dependency's name is a label: longer ones come from mistakes, such as a URL with its query."""


@dataclass(slots=True)
class CallStats:
    """The calls of one batch of events.

    Attributes
    ----------
    errors
        Events whose call ended in an error.
    seconds
        Time until the whole output was there, of the events that say it.
    dependencies
        CallStats to dependencies by (name, failed).
    dependency_seconds
        Seconds of each such call that says it, by name.
    """

    errors: int = 0
    seconds: list[float] = field(default_factory=list)
    dependencies: Counter[tuple[str, bool]] = field(default_factory=Counter)
    dependency_seconds: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[OutputEvent]) -> CallStats:
        """Count the calls of `events`; may run in another thread than the one that writes the stats."""
        calls = cls()
        for event in events:
            calls.errors += event.error is not None
            if event.latency.total_s is not None:
                calls.seconds.append(event.latency.total_s)
            for call in event.calls:
                name = call.dependency[:_MAX_NAME_CHARS]
                calls.dependencies[name, failed(call)] += 1
                if call.duration_s is not None:
                    calls.dependency_seconds.setdefault(name, []).append(call.duration_s)
        return calls

    def add_to(self, stats: WorkerStats) -> None:
        """Add them to what the worker has counted so far."""
        stats.call_errors += self.errors
        for seconds in self.seconds:
            stats.call_seconds.observe(seconds)
        for (name, bad), count in self.dependencies.items():
            known = self._known(name, stats)
            stats.dependencies.add(known)
            stats.dependency_calls[known, "failed" if bad else "ok"] += count
        for name, every in self.dependency_seconds.items():
            histogram = stats.dependency_seconds[self._known(name, stats)]
            for seconds in every:
                histogram.observe(seconds)

    @staticmethod
    def _known(name: str, stats: WorkerStats) -> str:
        room = len(stats.dependencies) < MAX_DEPENDENCIES
        return name if name in stats.dependencies or room else OTHER
