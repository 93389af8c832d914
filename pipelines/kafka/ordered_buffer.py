"""`OrderedBuffer`: a topic's messages, in order and without a gap, from a Faust agent to the code that applies them.

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
import contextlib
import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Message(Protocol):
    """What is used of aiokafka's `ConsumerRecord`. `timestamp` is in milliseconds since 1970."""

    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages oldest first and in order per partition, and the assignment (`epoch`) that they were taken under."""

    epoch: int
    messages: list[Message]

    def positions(self) -> dict[int, int]:
        """Per partition the offset after the last message: the position once all are applied."""
        return {message.partition: message.offset + 1 for message in self.messages}


class OrderedBuffer:
    """Buffer between an agent and its processing, bounded in messages and in bytes.

    Batches are taken oldest first over all partitions. A worker that catches up gets hours of each partition at a time.
    Taken partition by partition, a stream's events would be in the features log by partition and not by time, and a
    change would be hidden in the mixture.

    Parameters
    ----------
    batch
        Most messages in one batch.
    linger_s
        Longest wait of a message for more to come, counted from the first that came to an empty buffer.
    on_gap
        Called with partition and offset when a later offset than the expected one arrives.
    clock
        Seconds that only rise.
    capacity, max_bytes
        Messages and bytes of values after which the agent waits for `room`; a batch has a quarter of the bytes.
    """

    def __init__(
        self,
        batch: int,
        linger_s: float,
        on_gap: Callable[[int, int], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = 4096,
        max_bytes: int = 16 * 2**20,
    ) -> None:
        self.epoch = 0
        self.next: dict[int, int] = {}
        """Per partition owned, the next offset to take."""
        self._batch = batch
        self._linger_s = linger_s
        self._on_gap = on_gap
        self._clock = clock
        self._capacity = max(capacity, batch)
        self._max_bytes = max_bytes
        self._held: dict[int, deque[tuple[int, Message]]] = {}
        self._latest: dict[int, int] = {}
        self._count = 0
        self._bytes = 0
        self._since = 0.0
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def assign(self, positions: Mapping[int, int]) -> None:
        """The partitions owned from now on and the next offset of each; what was kept is dropped."""
        self.epoch += 1
        self.next = dict(positions)
        self._held = {partition: deque() for partition in positions}
        self._latest = dict.fromkeys(positions, 0)
        self._count = self._bytes = 0
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
        """Whether nothing is kept."""
        return not self._count

    def held(self, partition: int) -> int:
        """Messages of a partition that wait here."""
        return len(self._held.get(partition, ()))

    @property
    def oldest_ms(self) -> int | None:
        """Kafka's time of the oldest message kept, in ms since 1970; None where none is."""
        return min((queue[0][1].timestamp for queue in self._held.values() if queue), default=None)

    async def room(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    def offer(self, messages: Iterable[Message]) -> None:
        """Take the messages that are the next ones of their partitions; skip earlier ones; later ones are gaps."""
        following, latest, before = self.next, self._latest, self._count
        for message in messages:
            partition, offset = message.partition, message.offset
            expected = following.get(partition)
            if offset == expected:
                following[partition] = offset + 1
                # The latest time so far stands for a message's own: a partition's order is never changed.
                at = latest[partition]
                if message.timestamp > at:
                    at = latest[partition] = message.timestamp
                self._held[partition].append((at, message))
                self._count += 1
                self._bytes += len(message.value or b"")
            elif expected is not None and offset > expected:
                self._on_gap(partition, offset)
        if not before and self._count:
            self._since = self._clock()
        self._note_level()

    def _note_level(self) -> None:
        share = max(self._count / self._capacity, self._bytes / self._max_bytes)
        enough = share >= 0.5 or self._count >= self._batch
        for event, reached in ((self._some, self._count > 0), (self._enough, enough), (self._room, share < 1)):
            if reached:
                event.set()
            else:
                event.clear()

    async def take(self) -> Batch:
        """The next batch, once its first message has waited `linger_s` here, or it is full, or the buffer half full.

        Also right after another batch: a batch costs far more than an event, and a worker that took what came
        meanwhile would fill its time with batches of one.
        """
        while True:
            await self._some.wait()
            wait = self._since + self._linger_s - self._clock()
            if wait > 0 and not self._enough.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._enough.wait()
            if self._count:
                break
        batch = Batch(self.epoch, self._oldest())
        self._note_level()
        return batch

    def _oldest(self) -> list[Message]:
        heads = [(queue[0][0], partition) for partition, queue in self._held.items() if queue]
        heapq.heapify(heads)
        messages: list[Message] = []
        size, most = 0, self._max_bytes // 4
        while heads and len(messages) < self._batch and size < most:
            _, partition = heads[0]
            queue = self._held[partition]
            _, message = queue.popleft()
            messages.append(message)
            size += len(message.value or b"")
            if queue:
                heapq.heapreplace(heads, (queue[0][0], partition))
            else:
                heapq.heappop(heads)
        self._count -= len(messages)
        self._bytes -= size
        return messages
