"""What a handler works with: the services of the process, and the request it answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from monitor.serve.problem import Problem

if TYPE_CHECKING:
    from monitor.settings import Settings
    from monitor.store.base import TraceStore

T = TypeVar("T")


class TokenLike(Protocol):
    """A token that was found by its secret."""

    @property
    def name(self) -> str: ...  # noqa: D102  see the class
    @property
    def scopes(self) -> Any: ...  # noqa: D102
    @property
    def app(self) -> str | None: ...  # noqa: D102
    @property
    def person(self) -> str | None: ...  # noqa: D102


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
    parts
        Parts of other owners by their class: `services.part(StreamStates)`.
    """

    settings: Settings
    ledger: Any
    traces: TraceStore | None = None
    publisher: Any = None
    clock: Callable[[], float] = time.time
    parts: dict[type, Any] = field(default_factory=dict)

    def part(self, kind: type[T]) -> T:
        """The part of this class; the service is built with it (`monitor.serve.parts`)."""
        found: T = self.parts[kind]
        return found


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
    token: TokenLike | None
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
    def ledger(self) -> Any:
        """The ledger of actions."""
        return self.services.ledger

    @property
    def traces(self) -> TraceStore:
        """The trace store; raises `Problem` where the settings have none."""
        if self.services.traces is None:
            raise Problem(501, "no-trace-store", "This installation has no trace store: set store.location.")
        return self.services.traces

    @property
    def requester(self) -> TokenLike:
        """The token, in a route that needs one."""
        if self.token is None:
            raise LookupError("this route is open to everyone: it has no token")
        return self.token

    @property
    def action_scope(self) -> str:
        """The scope (application) of the actions that this token proposes and claims."""
        return self.requester.app or "default"

    def part(self, kind: type[T]) -> T:
        """A part of another owner: see `Services.part`."""
        return self.services.part(kind)
