"""`GET /v1/policies`: the gate's policy, which clients keep so that they decide alike while the monitor is down."""

from __future__ import annotations

from monitor.actions.policy import Policy
from monitor.serve.context import Context
from monitor.serve.gatekeeper import Gatekeeper
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope


def policies(ctx: Context, _: None) -> Answer:
    """The policy, or that it is still the one the client has."""
    policy = ctx.part(Gatekeeper).policy
    etag = f'"{policy.version}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    given = [one.strip().removeprefix("W/") for one in ctx.headers.get("if-none-match", "").split(",")]
    if etag in given or "*" in given:
        return Answer(304, None, headers)
    return Answer(200, policy, headers)


ROUTES = (
    Route(
        method="GET",
        path="/v1/policies",
        scope=(Scope.GATE, Scope.READ),
        summary="What the gate decides by, for each kind of action",
        handler=policies,
        responses={200: Policy, 304: None},
        headers={200: {"ETag": "The policy's version; sent as `If-None-Match`, an unchanged policy is 304."}},
    ),
)
