"""A circuit breaker for each receiver: one that fails gets no requests for a while, then a single one.

    closed  --5 failures in a row, or a Retry-After-->  open  --its time is over-->  half open
    half open: one delivery is sent as a probe;  it arrives --> closed,  it fails --> open, for twice as long

Without it every waiting alert is retried by itself: a receiver that comes back gets thousands of requests, and one that
asked for a minute's pause (`Retry-After`) gets requests for all other alerts. Pure: time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

from monitor.settings import Delivery
from monitor.telemetry.worker_stats import CircuitState

OPENS_AFTER = 5
"""Failures in a row, over all alerts: more than a receiver's restart behind a load balancer shows."""
MAX_RETRY_AFTER_S = 3_600.0
"""A `Retry-After` counts for all alerts, so it is limited: one absurd header must not stop a receiver's alerts."""
SHARE_OF_GIVE_UP = 0.25
"""A single wait is at most this share of `give_up_after`: three more attempts fit in the rest."""


def wait_before(attempt: int, delivery: Delivery, asked_s: float | None, uniform: Callable[[], float]) -> float:
    """Seconds to wait before attempt `attempt` + 1: doubling with jitter, and as long as the receiver asked for.

    With jitter (half to all of the wait), so that a recovering receiver does not get all retries at the same moment.
    No wait is longer than `SHARE_OF_GIVE_UP` allows, and no `Retry-After` counts for more than `MAX_RETRY_AFTER_S`:
    otherwise one `Retry-After` beyond `give_up_after` would abandon the alert at its first failure.
    """
    doubled = min(delivery.longest_retry, delivery.first_retry * 2.0 ** min(attempt - 1, 30))
    wait = max(doubled * (0.5 + 0.5 * uniform()), min(asked_s or 0.0, MAX_RETRY_AFTER_S))
    return min(wait, SHARE_OF_GIVE_UP * delivery.give_up_after)


class CircuitBreaker:
    """What is known of one receiver. All times in seconds of one clock."""

    def __init__(self, delivery: Delivery, uniform: Callable[[], float]) -> None:
        self._delivery = delivery
        self._uniform = uniform
        self._failures = 0
        self._opened = 0
        self._until: float | None = None
        self._probing = False

    def use(self, delivery: Delivery) -> None:
        """Other waits from the next failure on."""
        self._delivery = delivery

    def state(self, now: float) -> CircuitState:
        """Where it stands."""
        if self._until is None:
            return CircuitState.CLOSED
        return CircuitState.HALF_OPEN if self._probing or now >= self._until else CircuitState.OPEN

    def admit(self, now: float) -> float:
        """0 where a delivery may be sent now; its outcome must then be reported here. Else the seconds to wait.

        The delivery that is let through while it is half open is the probe: no other is sent until its outcome is
        known.
        """
        if self._until is None:
            return 0.0
        if now < self._until:
            return self._until - now
        if self._probing:
            return self._delivery.first_retry
        self._probing = True
        return 0.0

    def answered(self) -> None:
        """The receiver took a delivery, or refused it for good: it is there."""
        self._failures = self._opened = 0
        self._until = None
        self._probing = False

    def failed(self, now: float, asked_s: float | None) -> None:
        """A delivery failed and may succeed later; `asked_s`: the receiver's `Retry-After` in seconds."""
        self._failures += 1
        if self._until is not None and now < self._until and not self._probing:
            # One of those that were under way when it opened: nothing new, unless it asks for a longer pause.
            if asked_s:
                self._until = max(self._until, now + wait_before(1, self._delivery, asked_s, self._uniform))
        elif self._probing or asked_s or self._failures >= OPENS_AFTER:
            self._opened += 1
            self._probing = False
            self._until = now + wait_before(self._opened, self._delivery, asked_s, self._uniform)

    def abandoned(self) -> None:
        """What was under way was cancelled without an outcome: the next delivery may be the probe."""
        self._probing = False
