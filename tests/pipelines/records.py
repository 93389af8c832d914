"""Kafka records, and what stages share, for tests that need no Kafka."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from monitor.settings import DeadLetters, Settings
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.kafka.dead_letters import DeadLetterWriter
from pipelines.kafka.topics import TopicMap
from pipelines.stages.base import StageServices


@dataclass
class Record:
    partition: int
    offset: int
    value: bytes | None = b"x"
    timestamp: int = 1_700_000_000_000
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    timestamp_type: int = 0
    topic: str = "oqm.outputs"

    @property
    def serialized_value_size(self) -> int:
        return len(self.value or b"")


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def services(
    topics: TopicMap, producer: Any, stats: WorkerStats, clock: Clock, letters: DeadLetterWriter | None = None
) -> StageServices:
    """What the stages of a worker share, with a producer that is the test's."""
    letters = letters or DeadLetterWriter(Settings().broker, topics.deadletter.name, DeadLetters(), stats)
    return StageServices(topics, producer, letters, stats, ThreadPoolExecutor(1), clock)
