"""What a sink is: one verb, a name, a life cycle.

May import `monitor.alerting` and below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from monitor.alerting.alert import Alert
from monitor.sinks.config import Per


class Sink(Protocol):
    """Hands alerts to one receiver.

    Called from one event loop. `send` may be called again for the same transition after any failure, and after a
    crash even after a success: deliveries are at least once. Every delivery of a transition carries the same
    idempotency key, `alert.transition`, so that a receiver can drop repetitions.
    """

    @property
    def name(self) -> str:
        """The name from the configuration: label of metrics, and part of the key in the outbox."""
        ...

    def takes(self, alert: Alert) -> bool:
        """Whether this alert's route and severity are for this sink. Constant over an alert's life."""
        ...

    async def send(self, alert: Alert) -> None:
        """Deliver one transition; returning means that the receiver has accepted it.

        Raises `RetryableDelivery` where trying again may help (with the receiver's own wish for when), and
        `PermanentDelivery` where it will not. Takes at most the sink's time-out. Nothing else is raised.
        """
        ...

    async def close(self) -> None:
        """Free what the sink holds. May be called twice; nothing is sent afterwards."""
        ...


@runtime_checkable
class KeepsAlive(Protocol):
    """A sink whose receiver forgets an alert that is not repeated."""

    @property
    def keep_alive_s(self) -> float:
        """How often `keep_alive` shall be called, in seconds."""
        ...

    async def keep_alive(self, firing: Sequence[Alert]) -> None:
        """Tell the receiver which of its alerts fire still. Raises as `send` does; the next round mends a lost one."""
        ...


@runtime_checkable
class TellsPeople(Protocol):
    """A sink that can be told once an incident; others take every alert."""

    @property
    def per(self) -> Per:
        """`incident`: told once, of the incident's first alert, how it spread and its end; `alert`: of each alert."""
        ...


@runtime_checkable
class Acknowledges(Protocol):
    """A sink whose receiver goes on calling people until somebody takes the alert."""

    async def acknowledge(self, alert: Alert, key: str) -> None:
        """Tell the receiver that somebody has taken this alert; `key` is constant for it. Raises as `send` does."""
        ...
