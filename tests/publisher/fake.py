"""A producer without a broker, whose every answer the test decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from monitor.events import OutputEvent


class FakeFuture:
    """Settles at once with what it is given, or later by `confirm` and `fail`."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Any], Any]] = []
        self._errbacks: list[Callable[[BaseException], Any]] = []
        self._outcome: tuple[bool, Any] | None = None

    def add_callback(self, function: Callable[[Any], Any]) -> None:
        self._callbacks.append(function)
        if self._outcome and self._outcome[0]:
            function(self._outcome[1])

    def add_errback(self, function: Callable[[BaseException], Any]) -> None:
        self._errbacks.append(function)
        if self._outcome and not self._outcome[0]:
            function(self._outcome[1])

    def confirm(self) -> None:
        self._outcome = (True, None)
        for function in self._callbacks:
            function(None)

    def fail(self, error: BaseException) -> None:
        self._outcome = (False, error)
        for function in self._errbacks:
            function(error)


class FakeProducer:
    """Confirms everything at once, unless `hold` is set or `on_send` raises or fails the future."""

    def __init__(self, hold: bool = False, on_send: Callable[[FakeFuture, dict[str, Any]], None] | None = None) -> None:
        self.hold = hold
        self.on_send = on_send
        self.sent: list[dict[str, Any]] = []
        self.futures: list[FakeFuture] = []
        self.closed = False
        self.arrived = threading.Condition()

    def send(self, topic: str, *, value: bytes, key: bytes, timestamp_ms: int | None) -> FakeFuture:
        future = FakeFuture()
        message = {"topic": topic, "value": value, "key": key, "timestamp_ms": timestamp_ms}
        if self.on_send is not None:
            self.on_send(future, message)
        with self.arrived:
            self.sent.append(message)
            self.futures.append(future)
            self.arrived.notify_all()
        if not self.hold and future._outcome is None:
            future.confirm()
        return future

    def flush(self, timeout: float | None = None) -> None:
        pass

    def close(self, timeout: float | None = None) -> None:
        self.closed = True

    def wait_for(self, n: int) -> None:
        """Block until `n` messages have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.sent) >= n, 30), f"{len(self.sent)} of {n} messages arrived"

    @property
    def events(self) -> list[OutputEvent]:
        return [msgspec.json.decode(message["value"], type=OutputEvent) for message in self.sent]


class Clock:
    """Time that moves when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
