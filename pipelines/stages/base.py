"""What the three agents have in common: own a topic's partitions, take batches in order, continue after a rebalance.

A stage's life: `restore` (awaited before the flow resumes), `run` (a task for the worker's whole life), `settle`
(before partitions are given back: finish what is in hand, write positions).
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass

from monitor.telemetry.worker_stats import WorkerStats
from pipelines.kafka.dead_letters import DeadLetterWriter
from pipelines.kafka.ordered_buffer import Batch, OrderedBuffer
from pipelines.kafka.producer import LogProducer
from pipelines.kafka.topics import TopicFacts, TopicMap


@dataclass(frozen=True, slots=True)
class StageServices:
    """What all stages of a worker share.

    Attributes
    ----------
    topics
        The topics as they are in Kafka.
    producer, letters
        Write to the log and to the dead letters; started before the stages, stopped after them.
    stats
        What `/metrics` shows.
    pool
        One thread, for what computes: the event loop must answer Kafka meanwhile.
    clock
        Seconds since 1970.
    """

    topics: TopicMap
    producer: LogProducer
    letters: DeadLetterWriter
    stats: WorkerStats
    pool: Executor
    clock: Callable[[], float]


class Stage(ABC):
    """One agent's processing. Everything here runs in the event loop; `_lock` is held while a batch is in hand."""

    name: str

    def __init__(self, source: TopicFacts, buffer: OrderedBuffer, services: StageServices) -> None:
        self.source = source
        self.buffer = buffer
        self.done: dict[int, int] = {}
        """Per partition the position that has been written; what lag monitors see."""
        self.steps = 0
        """Rises whenever this stage takes a batch, ends one, or has restored; for the watchdog."""
        self.in_hand: Batch | None = None
        """The batch that is being applied."""
        self.working_s = 0.0
        """Seconds with a batch in hand, those of ended batches."""
        self._lock = asyncio.Lock()
        self._topics = services.topics
        self._producer = services.producer
        self._letters = services.letters
        self._stats = services.stats
        self._pool = services.pool
        self._clock = services.clock

    @property
    def restored(self) -> int:
        """Records that restores have read so far; for the watchdog."""
        return 0

    async def restore(self, partitions: Iterable[int]) -> None:
        """Own these partitions from their written positions on."""
        async with self._lock:
            self.done = await self._restored(sorted(partitions))
            self.buffer.assign(self.done)
            self.steps += 1

    @abstractmethod
    async def _restored(self, partitions: list[int]) -> dict[int, int]:
        """Read what was written, take it over, and return the positions."""

    async def settle(self) -> None:
        """Finish what is in hand, write positions, own nothing."""
        async with self._lock:
            # Own nothing first: what would still come belongs to the next owner.
            self.buffer.revoke()
            await self._write_positions()

    @abstractmethod
    async def _write_positions(self) -> None:
        """Make durable what has been applied. Called with the lock held."""

    async def run(self) -> None:
        """Process batches until cancelled. An error here ends the worker."""
        while True:
            self.in_hand = batch = await self.buffer.take()
            self.steps += 1
            began = time.monotonic()
            async with self._lock:
                if batch.epoch == self.buffer.epoch:
                    await self._process(batch)
            self.in_hand = None
            self.steps += 1
            self.working_s += time.monotonic() - began

    @property
    def oldest_ms(self) -> int | None:
        """Kafka's time of the oldest message that has come and is not applied, in ms since 1970; None where none is."""
        batch = self.in_hand
        return batch.messages[0].timestamp if batch is not None and batch.messages else self.buffer.oldest_ms

    @abstractmethod
    async def _process(self, batch: Batch) -> None:
        """Apply a batch. Called with the lock held."""

    async def idle(self) -> None:  # noqa: B027  most stages have nothing to do
        """Called every few seconds: write what is due although nothing comes; raise the error of a background task."""
