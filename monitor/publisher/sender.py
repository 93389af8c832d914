"""`Sender`: the background thread that connects to Kafka, sends what is in the buffer, and receives confirmations."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from monitor.publisher.buffer import EventBuffer, PendingEvent
from monitor.publisher.protocol import Producer, ProducerFactory
from monitor.publisher.undelivered import Undelivered, Warnings

log = logging.getLogger("monitor.publisher.client")

FIRST_PAUSE_S = 0.2
"""Between attempts to connect or to send, doubled up to `LONGEST_PAUSE_S`: a broker that restarts is found soon."""
LONGEST_PAUSE_S = 10.0
"""One attempt in ten seconds costs nothing, and this is how long a broker that is back waits for its events."""

# After these an idempotent producer refuses all further work. By name: kafka-python is imported only to connect.
_PRODUCER_IS_DONE = frozenset(
    (
        "ProducerFencedError",
        "OutOfOrderSequenceNumberError",
        "InvalidProducerEpochError",
        "InvalidProducerIdMappingError",
        "UnknownProducerIdError",
        "ClusterAuthorizationFailedError",
    )
)


class Sender:
    """Sends the events of one process.

    Parameters
    ----------
    topic
        Where events go.
    factory
        Makes the producer; again where one can do no more.
    buffer, warnings
        What is sent, and the log.
    clock
        Monotonic seconds, of the events' deadlines.
    connected
        Called after each new producer.
    """

    def __init__(
        self,
        topic: str,
        factory: ProducerFactory,
        buffer: EventBuffer,
        warnings: Warnings,
        clock: Callable[[], float],
        connected: Callable[[], None],
    ) -> None:
        self.producer: Producer | None = None
        self._topic = topic
        self._factory = factory
        self._buffer = buffer
        self._warnings = warnings
        self._clock = clock
        self._on_connected = connected
        self._renew = False  # set where the producer has reported that it can do no more
        self._thread: threading.Thread | None = None

    @property
    def started(self) -> bool:
        """Whether there has been an event to send."""
        return self._thread is not None

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread. Called once, with the buffer's lock held."""
        self._thread = threading.Thread(target=self._run, name="oqm-publisher", daemon=True)
        self._thread.start()

    def end(self, timeout_s: float, flush_s: Callable[[], float]) -> None:
        """Wait up to `timeout_s` for the thread, then close the producer, which may flush for `flush_s()`."""
        producer, thread = self.producer, self._thread
        if thread is not None:
            thread.join(timeout_s)
        if producer is not None:
            close_producer(producer, flush_s())

    def _run(self) -> None:
        pause = FIRST_PAUSE_S
        buffer = self._buffer
        while not buffer.closed:
            try:
                producer = self._connected()
                self._send_batch(producer, buffer.take(lambda: self._renew))
                pause = FIRST_PAUSE_S
            except Exception as error:  # whatever a client raises while its broker is away: log it, wait, try again
                self._warnings.warn("connection", f"cannot publish to {self._topic}: {type(error).__name__}: {error}")
                buffer.expire(self._clock())
                self._warnings.log_noted()
                with buffer.changed:
                    if not buffer.closed:
                        buffer.changed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _connected(self) -> Producer:
        """The producer; a new one where there is none or where it has given up."""
        with self._buffer.changed:
            producer, renew, self._renew = self.producer, self._renew, False
        if producer is not None and renew:
            self.producer = None
            close_producer(producer, 0.0)
            producer = None
        if producer is None:
            producer = self._factory()
            with self._buffer.changed:
                if not self._buffer.closed:
                    self.producer = producer
            if self.producer is None:
                close_producer(producer, 0.0)  # the publisher was closed meanwhile
            else:
                self._on_connected()
        return producer

    def _send_batch(self, producer: Producer, batch: deque[PendingEvent]) -> None:
        """Send what has been taken from the buffer; what could not be sent for now goes back to its front."""
        while batch and not self._buffer.closed:
            event = batch[0]
            try:
                if self._clock() >= event.deadline:
                    raise TimeoutError("not sent within the delivery time-out")
                topic = event.topic or self._topic
                future = producer.send(topic, value=event.value, key=event.key, timestamp_ms=event.time_ms)
            except Exception as error:
                if _is_final(error):
                    batch.popleft()
                    self._failed(event, error)
                    continue
                with self._buffer.changed:
                    self._buffer.give_back(batch)
                    self._renew = self._renew or not getattr(error, "retriable", False)
                raise
            batch.popleft()
            future.add_callback(partial(self._confirmed, event))
            future.add_errback(partial(self._failed, event))

    def _confirmed(self, event: PendingEvent, metadata: Any = None) -> None:
        self._buffer.settle(event, None)

    def _failed(self, event: PendingEvent, error: BaseException) -> None:
        name = type(error).__name__
        if "TooLarge" in name:
            reason = Undelivered.TOO_LARGE
        elif "Timeout" in name:
            reason = Undelivered.TIMEOUT
        else:
            reason = Undelivered.REFUSED
        with self._buffer.changed:
            self._buffer.settle(event, reason, f"{name}: {error}")
            self._renew = self._renew or name in _PRODUCER_IS_DONE
        self._warnings.log_noted()


def _is_final(error: Exception) -> bool:
    """Whether sending this event again can only fail again, whoever sends it."""
    return "TooLarge" in type(error).__name__ or isinstance(
        error, (TypeError, ValueError, AssertionError, TimeoutError)
    )


def close_producer(producer: Producer, timeout_s: float) -> None:
    """Close it; what fails in that is only logged: the events are counted already."""
    try:
        producer.close(timeout=timeout_s)
    except Exception as error:
        log.debug("closing the producer: %s", error)
