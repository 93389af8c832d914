"""What the parts of this package need of each other, and of kafka-python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from monitor.events import OutputEvent


class Publishing(Protocol):
    """The part of `OutputPublisher` that a recording needs."""

    strict: bool
    """Whether errors are raised in the application."""
    clock: Callable[[], float]
    """Monotonic seconds."""

    def publish(self, event: OutputEvent) -> bool:
        """Hand over an event; returns whether it was taken into the buffer."""
        ...

    def report_bug(self, what: str) -> None:
        """Log the exception being handled; for errors in the measuring itself."""
        ...


class Future(Protocol):
    """What a producer returns for a message: calls back once, from any thread."""

    def add_callback(self, function: Callable[[Any], Any], /) -> Any:
        """Call with the metadata of the confirmed message."""
        ...

    def add_errback(self, function: Callable[[BaseException], Any], /) -> Any:
        """Call with the error of a message that failed for good."""
        ...


class Producer(Protocol):
    """The part of kafka-python's `KafkaProducer` that is used here."""

    def send(self, topic: str, *, value: bytes, key: bytes, timestamp_ms: int | None) -> Future:
        """Queue a message; may block for metadata, raises what kafka-python raises."""
        ...

    def flush(self, timeout: float | None = None) -> None:
        """Block until everything queued is confirmed or has failed."""
        ...

    def close(self, timeout: float | None = None) -> None:
        """Flush, then let go of connections and threads."""
        ...


ProducerFactory: TypeAlias = Callable[[], Producer]
