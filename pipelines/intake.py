"""`Intake`: the messages of one topic, in order and without a gap, from a Faust agent to the code that applies them.

Why Faust's own order and acknowledgements are not enough (0.15.3, seen): on a plain rebalance a message that was in
flight when the flow stopped is delivered afterwards; Faust takes the offsets between the committed one and this one
for a gap in the log, marks them acknowledged (`Consumer._add_gap`) and drops them when they come. An event skipped for
its old generation is acknowledged too. Nothing crashed, and events are gone. So the position is ours: a partition's
next offset is known here, lower offsets are skipped, and a higher one means that messages are missing: nothing is taken
from that partition until the expected one comes (`on_gap` sees to that).

Not safe for threads: everything is called from the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Message(Protocol):
    """What is used of `faust.types.tuples.Message` and of aiokafka's `ConsumerRecord`."""

    partition: int
    offset: int
    timestamp: float
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages in order per partition, and the assignment (`epoch`) that they were taken under."""

    epoch: int
    messages: list[Message]

    def positions(self) -> dict[int, int]:
        """Per partition the offset after the last message: the position once all are applied."""
        return {message.partition: message.offset + 1 for message in self.messages}


class Intake:
    """Buffer between an agent and its processing, bounded in messages and in bytes.

    Parameters
    ----------
    batch
        Most messages in one batch.
    linger_s
        Longest wait for a batch to fill, counted from the moment it is asked for with a message there.
    on_gap
        Called with partition and offset when a later offset than the expected one arrives.
    max_bytes
        Bytes of values in a batch; the buffer holds two batches.
    """

    def __init__(
        self,
        batch: int,
        linger_s: float,
        on_gap: Callable[[int, int], None],
        max_bytes: int = 4 * 2**20,
    ) -> None:
        self.epoch = 0
        self.next: dict[int, int] = {}
        self.skipped = 0
        self._batch = batch
        self._linger_s = linger_s
        self._on_gap = on_gap
        self._max_bytes = max_bytes
        self._held: deque[Message] = deque()
        self._bytes = 0
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._some = asyncio.Event()

    def assign(self, positions: Mapping[int, int]) -> None:
        """The partitions owned from now on and the next offset of each; what was held is dropped."""
        self.epoch += 1
        self.next = dict(positions)
        self._held.clear()
        self._bytes = 0
        self._note_level()

    def revoke(self) -> None:
        """Own nothing until the next `assign`."""
        self.assign({})

    @property
    def full(self) -> bool:
        """Whether the agent should wait (`room`) before it offers more."""
        return not self._room.is_set()

    @property
    def idle(self) -> bool:
        """Whether nothing is held."""
        return not self._held

    async def room(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    def offer(self, message: Message) -> None:
        """Take a message where it is the next one of its partition; skip it where it is an earlier one."""
        expected = self.next.get(message.partition)
        if expected is None:
            return
        offset = message.offset
        if offset == expected:
            self.next[message.partition] = offset + 1
            self._held.append(message)
            self._bytes += len(message.value or b"")
            self._note_level()
        elif offset < expected:
            self.skipped += 1
        else:
            self._on_gap(message.partition, offset)

    def _note_level(self) -> None:
        held, size = len(self._held), self._bytes
        if held:
            self._some.set()
        else:
            self._some.clear()
        if held >= self._batch or size >= self._max_bytes:
            self._enough.set()
            if held >= 2 * self._batch or size >= 2 * self._max_bytes:
                self._room.clear()
            else:
                self._room.set()
        else:
            self._enough.clear()
            self._room.set()

    async def take(self) -> Batch:
        """The next batch, as soon as one is full or `linger_s` has passed with something there."""
        while True:
            await self._some.wait()
            if not self._enough.is_set() and self._linger_s:
                try:
                    async with asyncio.timeout(self._linger_s):
                        await self._enough.wait()
                except TimeoutError:
                    pass
            if self._held:
                break
        messages: list[Message] = []
        size = 0
        while self._held and len(messages) < self._batch and (size < self._max_bytes or not messages):
            message = self._held.popleft()
            size += len(message.value or b"")
            messages.append(message)
        self._bytes -= size
        self._note_level()
        return Batch(self.epoch, messages)
