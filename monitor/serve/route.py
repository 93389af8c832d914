"""What a route declares: from it come the endpoint, its checks, and its part of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from monitor.serve.context import Context
from monitor.serve.scopes import Scope

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A number of an entry in a query: within what a database holds."""


class Answer(NamedTuple):
    """What a handler returns; a plain tuple of three does as well.

    `body` is a Struct (sent as JSON), `bytes` (sent as they are, with the content type of the headers), or None.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


Handler: TypeAlias = Callable[[Context, Any], "Answer | tuple[int, Any, Mapping[str, str]]"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation of the API.

    Attributes
    ----------
    method, path
        `POST`, `/v1/actions/{key}/claim`. A part in braces reaches the handler as `ctx.path["key"]`, percent-decoded:
        it may hold a slash.
    scope
        Which scope the token must have; several: any one of them; None: everyone may, without a token.
    summary, description
        For people who read the OpenAPI document.
    handler
        Called with the context and the decoded body (None where `request` is None), in a thread: it may block. Raises
        `Problem` for what it refuses.
    responses
        By status: the Struct that is sent, `str` for plain text, None for no body. Of the problems only those which
        are this route's own; the ones that any route can have are added.
    request, query
        Struct of the body, and of the query parameters; unknown fields are refused, values of the query converted.
    blocking
        False: the handler never waits and runs in the event loop.
    optional_body
        An empty body is read as `{}`.
    """

    method: str
    path: str
    scope: Scope | tuple[Scope, ...] | None
    summary: str
    handler: Handler
    responses: Mapping[int, Any]
    request: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    description: str = ""
    blocking: bool = True
    optional_body: bool = False
    headers: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """By status: headers of the answer with their meaning, for the OpenAPI document."""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes of which the token needs one; none: no token is needed."""
        if self.scope is None:
            return ()
        return self.scope if isinstance(self.scope, tuple) else (self.scope,)

    @property
    def name(self) -> str:
        """Identifier of the operation, and label of its metrics: `post_v1_actions_key_claim`."""
        parts = [part.strip("{}").replace(".", "_") for part in self.path.split("/") if part]
        return "_".join([self.method.lower(), *parts])
