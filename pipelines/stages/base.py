"""What the three agents have in common: own a topic's partitions, take batches in order, go on after a rebalance.

A stage's life: `restore` (awaited before the flow resumes), `run` (a task for the worker's whole life), `settle`
(before partitions are given back: finish what is in hand, write positions).
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable

from pipelines.kafka.ordered_buffer import Batch, Intake
from pipelines.kafka.topics import TopicFacts


class Stage(ABC):
    """One agent's processing. Everything here runs in the event loop; `_lock` is held while a batch is in hand."""

    name: str

    def __init__(self, source: TopicFacts, intake: Intake) -> None:
        self.source = source
        self.intake = intake
        self.done: dict[int, int] = {}
        """Per partition the position that has been written; what lag monitors are told."""
        self.steps = 0
        """Rises whenever this stage takes a batch, ends one, or has restored; for the watchdog."""
        self.in_hand: Batch | None = None
        """The batch that is being applied."""
        self.working_s = 0.0
        """Seconds with a batch in hand, those of ended batches."""
        self._lock = asyncio.Lock()

    @property
    def restored(self) -> int:
        """Records that restores have read so far; for the watchdog."""
        return 0

    async def restore(self, partitions: Iterable[int]) -> None:
        """Own these partitions from their written positions on."""
        async with self._lock:
            self.done = await self._restored(sorted(partitions))
            self.intake.assign(self.done)
            self.steps += 1

    @abstractmethod
    async def _restored(self, partitions: list[int]) -> dict[int, int]:
        """Read what was written, take it over, and return the positions."""

    async def settle(self) -> None:
        """Finish what is in hand, write positions, own nothing."""
        async with self._lock:
            # Own nothing first: what would still come belongs to the next owner.
            self.intake.revoke()
            await self._write_positions()

    @abstractmethod
    async def _write_positions(self) -> None:
        """Make durable what has been applied. Called with the lock held."""

    async def run(self) -> None:
        """Process batches until cancelled. An error here ends the worker."""
        while True:
            self.in_hand = batch = await self.intake.take()
            self.steps += 1
            began = time.monotonic()
            async with self._lock:
                if batch.epoch == self.intake.epoch:
                    await self._process(batch)
            self.in_hand = None
            self.steps += 1
            self.working_s += time.monotonic() - began

    @property
    def oldest_ms(self) -> int | None:
        """Kafka's time of the oldest message that has come and is not applied, in ms since 1970; None where none is."""
        batch = self.in_hand
        return batch.messages[0].timestamp if batch is not None and batch.messages else self.intake.oldest_ms

    @abstractmethod
    async def _process(self, batch: Batch) -> None:
        """Apply a batch. Called with the lock held."""

    async def idle(self) -> None:  # noqa: B027  most stages have nothing to do
        """Called every few seconds: write what is due although nothing comes; raise what a task of its own met."""
