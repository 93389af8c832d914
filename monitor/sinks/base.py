"""What a sink is, and the part that every sink with a configuration shares.

May import `monitor.alerting` and below.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TextIO, TypeVar, runtime_checkable

from monitor.alerting.alert import Alert
from monitor.sinks.config import PeopleSinkConfig, Per, SinkConfig

C = TypeVar("C", bound=SinkConfig)


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

        Raises `RetryableDelivery` where trying again may help (with the time that the receiver asks to wait), and
        `PermanentDelivery` where it will not. Takes at most the sink's time-out. Nothing else is raised.
        """
        ...

    async def close(self) -> None:
        """Release connections and files. May be called twice; nothing is sent afterwards."""
        ...


@runtime_checkable
class KeepsAlive(Protocol):
    """A sink whose receiver forgets an alert that is not repeated."""

    @property
    def keep_alive_s(self) -> float:
        """How often `keep_alive` is to be called, in seconds."""
        ...

    async def keep_alive(self, firing: Sequence[Alert]) -> None:
        """Repeat the alerts that still fire. Raises as `send` does; the next round makes up for a failed one."""
        ...


@runtime_checkable
class NotifiesPeople(Protocol):
    """A sink that can send one message per incident; others take every alert."""

    @property
    def per(self) -> Per:
        """`incident`: the incident's first alert, how it spread and its end; `alert`: each alert."""
        ...


@runtime_checkable
class CannotReplace(Protocol):
    """A sink whose messages stand as they were sent, as in a chat or a mailbox.

    Of the revisions of an alert it gets only those that change what a person does (`is_grave_update`), each as one more
    message. Other sinks get all of them: their receivers show the newest state of the alert.
    """

    @property
    def cannot_replace(self) -> bool:
        """Always true; by it such sinks are recognized."""
        ...


@runtime_checkable
class Acknowledges(Protocol):
    """A sink whose receiver keeps calling people until somebody takes the alert."""

    async def acknowledge(self, alert: Alert, key: str) -> None:
        """Report that somebody has taken this alert; `key` is constant for it. Raises as `send` does."""
        ...


class Resources(NamedTuple):
    """What a sink may use of the process that runs it.

    `clock` gives seconds since 1970; `stream` is where sinks that write text write it, standard output where None.
    """

    clock: Callable[[], float] = time.time
    stream: TextIO | None = None

    @property
    def output(self) -> TextIO:
        """The stream to write to."""
        return self.stream if self.stream is not None else sys.stdout


class ConfiguredSink(Generic[C]):
    """Base of the sinks that are made from a configuration: all of `Sink` but `send`.

    Parameters
    ----------
    config
        Which alerts, and where they go.
    resources
        Clock and output stream.
    """

    def __init__(self, config: C, resources: Resources | None = None) -> None:
        self._config = config
        self._resources = resources or Resources()

    @property
    def name(self) -> str:
        """The name from the configuration."""
        return self._config.name

    @property
    def per(self) -> Per:
        """Whether it gets one message per incident, or one per alert."""
        return self._config.per if isinstance(self._config, PeopleSinkConfig) else "alert"

    def takes(self, alert: Alert) -> bool:
        """Whether route and severity are for this sink."""
        return self._config.takes(alert)

    async def close(self) -> None:
        """Nothing to release, unless a subclass opens something."""
