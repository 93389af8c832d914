"""`GET /v1/whoami`: what the token of the request may do; the first thing to try with a new one."""

from __future__ import annotations

import msgspec

from monitor.serve.context import Context
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope


class Whoami(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token's name and rights; `app` is whose actions it is for, `person` who decides with it."""

    name: str
    scopes: list[str]
    app: str
    person: str = ""
    expires_at: float | None = None


def whoami(ctx: Context, _: None) -> Answer:
    """The token of the request."""
    token = ctx.requester
    return Answer(
        200,
        Whoami(
            name=token.name,
            scopes=sorted(token.scopes),
            app=token.app,
            person=token.person,
            expires_at=token.expires_at,
        ),
    )


ROUTES = (
    Route(
        method="GET",
        path="/v1/whoami",
        scope=tuple(Scope),
        summary="What this token may do",
        handler=whoami,
        responses={200: Whoami},
        blocking=False,
    ),
)
