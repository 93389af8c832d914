"""`EventBuffer`: encoded events between `publish` and their confirmation, bounded in events and bytes.

Application threads put events in, the sender's thread takes and settles them. Each event is settled once: confirmed, or
counted by the reason why it was not delivered.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

from monitor.errors import BrokerError
from monitor.publisher.undelivered import Dropped, Undelivered, Warnings


class PendingEvent:
    """An encoded event between `publish` and its confirmation. `topic`: where it goes; None: where outputs go."""

    __slots__ = ("deadline", "key", "settled", "time_ms", "topic", "value")

    def __init__(self, key: bytes, value: bytes, time_ms: int, deadline: float, topic: str | None = None) -> None:
        self.key = key
        self.value = value
        self.time_ms = time_ms
        self.deadline = deadline
        self.topic = topic
        self.settled = False


class EventBuffer:
    """The events of one process that are not confirmed yet.

    Parameters
    ----------
    max_events, max_bytes
        Bounds.
    warnings
        Notes lost events for the log.

    Attributes
    ----------
    changed
        Guards everything here, and wakes who waits for a change. Of an RLock: a signal handler may publish or close.
    closing, closed
        No event comes in any more; none goes out any more.
    delivered, undelivered
        Number of confirmed events; counts of the others by reason.
    """

    def __init__(self, max_events: int, max_bytes: int, warnings: Warnings) -> None:
        self.changed = threading.Condition()
        self.closing = False
        self.closed = False
        self.delivered = 0
        self.undelivered: Counter[str] = Counter()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._warnings = warnings
        self._queue: deque[PendingEvent] = deque()
        self._in_flight: set[PendingEvent] = set()
        self._bytes = 0

    def __len__(self) -> int:
        """Events taken but not confirmed yet."""
        return len(self._queue) + len(self._in_flight)

    # --- the application's side ---------------------------------------------------------------------------------

    def put(self, event: PendingEvent, wait_s: float, begin: Callable[[], None]) -> None:
        """Take an event, waiting up to `wait_s` for room. Raises `Dropped` where there is none, or after `close`.

        `begin` is called before the event can be sent; it starts the sender where that has not started yet.
        """
        size = len(event.value)
        with self.changed:
            if not self._has_room(size) and wait_s > 0:
                self.changed.wait_for(lambda: self.closing or self._has_room(size), wait_s)
            if self.closing:
                why = "the publisher is closed"
                raise Dropped(Undelivered.CLOSED, why, BrokerError(why))
            if not self._has_room(size):
                why = f"the buffer is full ({len(self):,} events, {self._bytes:,} bytes); is the broker there?"
                raise Dropped(Undelivered.BUFFER_FULL, why, BrokerError(why))
            self._bytes += size
            self._queue.append(event)
            begin()
            if len(self._queue) == 1:
                self.changed.notify_all()

    def _has_room(self, size: int) -> bool:
        # An event larger than the whole buffer passes alone, or it never would.
        return len(self) < self._max_events and (self._bytes + size <= self._max_bytes or not self._bytes)

    def count(self, reason: Undelivered, why: str, subject: str = "") -> None:
        """Count an event that was not delivered; `Warnings.log_noted` logs it."""
        with self.changed:
            self.undelivered[reason] += 1
            self._warnings.note(reason, why, subject)

    def wait_until_empty(self, timeout_s: float, is_sending: Callable[[], bool]) -> bool:
        """Whether everything was settled within `timeout_s`; False at once where nothing sends."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while len(self):
                left = deadline - time.monotonic()
                if left <= 0 or not is_sending():
                    return False
                self.changed.wait(left)
        return True

    def begin_closing(self) -> None:
        """Take no more events."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()

    def close(self) -> int:
        """Send nothing more; what is left counts as `closed`. Returns how many those were."""
        with self.changed:
            self.closed = True
            left = [*self._queue, *self._in_flight]
            self._queue.clear()
            for event in left:
                self.settle(event, Undelivered.CLOSED, "still unsent when the publisher was closed")
            self.changed.notify_all()
        return len(left)

    # --- the sender's side --------------------------------------------------------------------------------------

    def take(self, is_needed: Callable[[], bool]) -> deque[PendingEvent]:
        """All that waits to be sent. Waits for an event, for `close`, and until `is_needed` says to return at once."""
        with self.changed:
            while not self._queue and not self.closed and not is_needed():
                self.changed.wait()
            batch, self._queue = self._queue, deque()
            self._in_flight.update(batch)
            return batch

    def give_back(self, batch: Iterable[PendingEvent]) -> None:
        """Put what could not be sent for now back to the front."""
        events = list(batch)
        with self.changed:
            self._in_flight.difference_update(events)
            self._queue.extendleft(reversed(events))

    def expire(self, now: float) -> None:
        """Give up on waiting events whose deadline has passed."""
        with self.changed:
            while self._queue and self._queue[0].deadline <= now:
                self.settle(self._queue.popleft(), Undelivered.TIMEOUT, "no broker within the delivery time-out")

    def settle(self, event: PendingEvent, reason: Undelivered | None, why: str = "") -> None:
        """An event's outcome is known: confirmed (None) or not delivered. Only the first outcome counts."""
        with self.changed:
            if event.settled:
                return
            event.settled = True
            self._in_flight.discard(event)
            self._bytes -= len(event.value)
            if reason is None:
                self.delivered += 1
            else:
                self.count(reason, why)
            self.changed.notify_all()
