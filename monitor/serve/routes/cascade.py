"""`GET /v1/cascade/{id}`: what followed from an output, a finding or an action, and what can still be undone."""

from __future__ import annotations

from msgspec.structs import replace

from monitor.cascade.origin import find_origin
from monitor.cascade.report import Report, report
from monitor.serve.context import Context
from monitor.serve.problem import Problem, ProblemDetail
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope


def cascade(ctx: Context, _: None) -> Answer:
    """What followed. Of the actions of other apps than the token's only the number is told."""
    identity, scope = ctx.path["id"], ctx.scopes_of(None)
    with ctx.traces.reading() as store:
        origin = find_origin(store, ctx.ledger, identity)
        found = None if origin is None else report(store, ctx.ledger, origin)
    if found is None:
        raise Problem(404, "no-such-origin", "No output, finding or action has this id.")
    if scope is not None:
        found = replace(found, acted=[one for one in found.acted if one.scope == scope])
    return Answer(200, found)


ROUTES = (
    Route(
        method="GET",
        path="/v1/cascade/{id}",
        scope=Scope.READ,
        summary="What followed from an output, a finding or an action",
        handler=cascade,
        responses={200: Report, 404: ProblemDetail},
    ),
)
