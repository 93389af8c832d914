"""`WorkerStats`: plain numbers that the agents keep and telemetry exports; and nothing that knows of Prometheus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.detection.records.status import StreamStatus
from monitor.telemetry.histogram import BATCH_BOUNDS, CALL_BOUNDS, DELAY_BOUNDS, Histogram


class CircuitState(StrEnum):
    """Whether deliveries go out."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(slots=True)
class WorkerStats:
    """What one worker has done and where it stands. Written by the event loop only; safe to read from any thread.

    Attributes
    ----------
    events
        Events featurized.
    clamped
        Events whose time was too far off Kafka's and was moved to the limit.
    time_units
        Events whose time was a number of milliseconds, microseconds or nanoseconds and was read so, by that unit.
    rejects
        Messages written to the dead-letter topic, by reason.
    call_errors
        Events whose call ended in an error.
    call_seconds
        Seconds until the whole output was there, of the events that say it.
    dependencies
        Dependencies that have numbers of their own.
    dependency_calls
        Calls to dependencies by (name, `ok` | `failed`).
    dependency_seconds
        Seconds of those calls, by name.
    stream_failures
        Exceptions in the monitor of one stream, by the call that raised (observe, tick, control, ...).
    unjudged
        Rows that detect wrote to the dead-letter topic, by reason.
    newcomers
        Stream names with too few events to be judged.
    feature_failures
        Events for which a family of features failed, by family.
    messages
        Messages applied, by stage (`featurize`, `detect`, `notify`).
    batches
        Batches processed, by stage.
    busy_s
        CPU seconds of the worker thread, by stage.
    batch_seconds
        CPU seconds of the worker thread per batch, by stage.
    delay
        Seconds from an event's time to its being applied by detect.
    findings
        Transitions found, by state.
    deliveries
        Deliveries of alerts, by (sink, `delivered` | `retried` | `failed`).
    pending_deliveries
        Transitions that wait for their receiver.
    circuits
        Where the circuit breaker of each sink stands, by sink, at the owner of alerts.
    held_back
        Alerts that fire and are not told now, by reason (`maintenance`, `snooze`, `flapping`).
    unrouted
        Alerts that no sink takes, by (route, `route` | `severity`: what of it no sink takes).
    unrouted_firing
        The same, of alerts that fire now.
    false_alarms
        Alerts that people marked false, as far as the log goes back, by kind.
    budget_spent
        Per stream with a false alarm: those of its budget's latest period over those it may raise.
    lost
        Messages that the log no longer held when their turn came, by topic.
    repairs
        How often the flow was set back to the offset expected, by topic.
    working_s
        Wall seconds with a batch in hand, by stage.
    behind_s
        Age in seconds of the oldest message that has come and is not applied, by stage; 0 where none waits.
    lag
        Messages not yet applied, by (topic, partition) that this worker owns.
    statuses
        Status of each stream that this worker owns, as of the last change.
    assigned
        Whether partitions are assigned and their state restored.
    kafka_silent
        Whether Kafka has not answered for longer than it takes to restart.
    progress_at
        Clock time of the last batch applied, or of the last moment with nothing to do.
    """

    events: int = 0
    clamped: int = 0
    time_units: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    call_errors: int = 0
    call_seconds: Histogram = field(default_factory=lambda: Histogram(CALL_BOUNDS))
    dependencies: set[str] = field(default_factory=set)
    dependency_calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    dependency_seconds: defaultdict[str, Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(CALL_BOUNDS))
    )
    stream_failures: Counter[str] = field(default_factory=Counter)
    unjudged: Counter[str] = field(default_factory=Counter)
    newcomers: int = 0
    feature_failures: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    busy_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    batch_seconds: defaultdict[str, Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(BATCH_BOUNDS))
    )
    delay: Histogram = field(default_factory=lambda: Histogram(DELAY_BOUNDS))
    findings: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[tuple[str, str]] = field(default_factory=Counter)
    pending_deliveries: int = 0
    circuits: Mapping[str, CircuitState] = field(default_factory=dict)
    held_back: Mapping[str, int] = field(default_factory=dict)
    unrouted: Counter[tuple[str, str]] = field(default_factory=Counter)
    unrouted_firing: Mapping[tuple[str, str], int] = field(default_factory=dict)
    false_alarms: Mapping[str, int] = field(default_factory=dict)
    budget_spent: Mapping[str, float] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    working_s: Mapping[str, float] = field(default_factory=dict)
    behind_s: Mapping[str, float] = field(default_factory=dict)
    lag: Mapping[tuple[str, int], int] = field(default_factory=dict)
    statuses: Mapping[str, StreamStatus] = field(default_factory=dict)
    assigned: bool = False
    kafka_silent: bool = False
    progress_at: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether the worker watches its streams: assigned, restored, and Kafka answers."""
        return self.assigned and not self.kafka_silent
