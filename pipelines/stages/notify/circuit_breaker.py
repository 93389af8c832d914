"""A circuit breaker for each receiver: one that fails is left alone for a while, then asked once, not by every alert.

    closed  --5 failures in a row, or a wish to be left alone-->  open  --its time is up-->  half open
    half open: one delivery goes out as a probe;  it arrives --> closed,  it fails --> open, for twice as long

Without it each alert that waits knocks by itself: a receiver that comes back meets thousands of attempts, and one that
asked for a minute of rest (`Retry-After`) hears from all alerts but the one it told. Pure: time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

from monitor.settings import Delivery
from monitor.telemetry.worker_stats import CircuitState

OPENS_AFTER = 5
"""Failures in a row, over all alerts: more than a receiver's restart behind a load balancer shows."""


LONGEST_WISH_S = 3_600.0
"""A wish to be left alone holds for all alerts for so long at most: one absurd header must not mute a receiver."""


SHARE_OF_GIVE_UP = 0.25
"""A single wait is at most this share of `give_up_after`, whoever asked for it: three more attempts fit in the rest."""


def wait_before(attempt: int, delivery: Delivery, asked_s: float | None, uniform: Callable[[], float]) -> float:
    """Seconds to wait before attempt `attempt` + 1: doubling with jitter, and as long as the receiver asked for.

    The jitter (half to all of the wait) keeps many workers from knocking at a recovering receiver together.
    No wait is longer than `SHARE_OF_GIVE_UP` allows, and no wish counts for more than `LONGEST_WISH_S`: otherwise one
    `Retry-After` beyond `give_up_after` would abandon the alert at its first failure.
    """
    doubled = min(delivery.longest_retry, delivery.first_retry * 2.0 ** min(attempt - 1, 30))
    wait = max(doubled * (0.5 + 0.5 * uniform()), min(asked_s or 0.0, LONGEST_WISH_S))
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
        """0 where a delivery may go out now, whose outcome must then be told; else the seconds to wait before asking.

        The delivery that is let through while it is half open is the probe: no other is until its outcome is known.
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
        """A delivery may succeed later; `asked_s`: the receiver's wish to be left alone for so long."""
        self._failures += 1
        if self._until is not None and now < self._until and not self._probing:
            # One of those that were under way when it opened: no news, unless it asks for a longer rest.
            if asked_s:
                self._until = max(self._until, now + wait_before(1, self._delivery, asked_s, self._uniform))
        elif self._probing or asked_s or self._failures >= OPENS_AFTER:
            self._opened += 1
            self._probing = False
            self._until = now + wait_before(self._opened, self._delivery, asked_s, self._uniform)

    def abandoned(self) -> None:
        """What was under way was broken off without an outcome: the next delivery may be the probe."""
        self._probing = False
