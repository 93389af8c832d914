"""What a handler works with: the services of the process, and the request it answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from monitor.actions.states import Token
from monitor.ledger.base import Ledger
from monitor.serve.problem import Problem
from monitor.serve.traces import Traces
from monitor.telemetry.serve_stats import ServeStats

if TYPE_CHECKING:
    from monitor.publisher import OutputPublisher
    from monitor.settings import Settings

T = TypeVar("T")

DEFAULT_APP = "default"
EVERY_APP = "*"
"""The app of a token of a person who looks at, or decides on, the actions of all applications."""


class Part(Protocol):
    """Something that a process keeps beside the requests, such as a cache that a thread refreshes."""

    def start(self) -> None:
        """Called once, before the first request."""
        ...

    def close(self) -> None:
        """Called once, after the last request."""
        ...


@dataclass
class Services:
    """What all requests of a process share; opened before the first one, closed after the last.

    Attributes
    ----------
    settings
        All settings.
    ledger
        The ledger of actions.
    traces
        The trace store, None where the settings have none.
    publisher
        Where feedback goes, None without Kafka.
    clock
        Seconds since 1970.
    stats
        What this process counts.
    parts
        Parts of other owners by their class: `services.part(StreamStates)`.
    """

    settings: Settings
    ledger: Ledger
    traces: Traces | None = None
    publisher: OutputPublisher | None = None
    clock: Callable[[], float] = time.time
    stats: ServeStats = field(default_factory=ServeStats)
    parts: dict[type, Any] = field(default_factory=dict)

    def part(self, kind: type[T]) -> T:
        """The part of this class; the service is built with it (`PARTS` of `monitor.serve.parts`)."""
        found: T = self.parts[kind]
        return found

    def close(self) -> None:
        """Hand over what waits, and release connections and files."""
        if self.publisher is not None:
            self.publisher.close()
        if self.traces is not None:
            self.traces.close()
        self.ledger.close()


@dataclass(frozen=True, slots=True)
class Context:
    """One request.

    Attributes
    ----------
    services
        See `Services`.
    token
        Whose request it is; None only in routes without scope.
    path, query, headers
        Path parameters, decoded; the Struct of the query (None where the route has none); headers, names in lower case.
    now
        When it came, seconds since 1970.
    request_id
        Its identifier in the log.
    """

    services: Services
    token: Token | None
    path: Mapping[str, str]
    query: Any
    headers: Mapping[str, str]
    now: float
    request_id: str

    @property
    def settings(self) -> Settings:
        """All settings."""
        return self.services.settings

    @property
    def ledger(self) -> Ledger:
        """The ledger of actions."""
        return self.services.ledger

    @property
    def traces(self) -> Traces:
        """The trace store, `with ctx.traces.reading() as store`; raises `Problem` where the settings have none."""
        if self.services.traces is None:
            raise Problem(501, "no-trace-store", "This installation has no trace store: set store.location.")
        return self.services.traces

    @property
    def requester(self) -> Token:
        """The token, in a route that needs one."""
        if self.token is None:
            raise LookupError("this route is open to everyone: it has no token")
        return self.token

    @property
    def action_scope(self) -> str:
        """The scope (application) of the actions that this token proposes and claims: its own, whatever is asked."""
        if self.requester.app == EVERY_APP:
            raise Problem(403, "no-app", f"The token {self.requester.name} is for every app, so it acts for none.")
        return self.requester.app

    def scope_of(self, asked: str | None) -> str:
        """The scope of an action that a person looks at or decides on; `asked`: the app that the request names."""
        return self.scopes_of(asked) or DEFAULT_APP

    def scopes_of(self, asked: str | None) -> str | None:
        """The same for lists; None: those of all apps. Raises `Problem` 403 for an app that is not the token's."""
        own = self.requester.app
        if own == EVERY_APP or asked in (None, own):
            return asked if own == EVERY_APP else own
        raise Problem(403, "other-app", f"The token {self.requester.name} is for the app {own}, not for another one.")

    def part(self, kind: type[T]) -> T:
        """A part of another owner: see `Services.part`."""
        return self.services.part(kind)
