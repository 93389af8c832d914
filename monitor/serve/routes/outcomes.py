"""How an action ended: `POST /v1/actions/{key}/done`, `fail`, `extend`, `resolve` and `undo`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from monitor.actions.messages import DoneRequest, ExtendRequest, FailRequest, ResolveRequest
from monitor.actions.states import State
from monitor.serve.action_view import ActionView, view
from monitor.serve.context import Context
from monitor.serve.problem import Problem, ProblemDetail
from monitor.serve.route import Answer, Handler, Route
from monitor.serve.routes.actions import ActionQuery
from monitor.serve.scopes import Scope


class UndoBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is to be undone."""

    why: Annotated[str, Meta(min_length=1, max_length=4_000)]


def done(ctx: Context, body: DoneRequest) -> Answer:
    """It was carried out."""
    return Answer(
        200, view(ctx.ledger.done(ctx.action_scope, ctx.path["key"], body.fence, bytes(body.result), ctx.now))
    )


def fail(ctx: Context, body: FailRequest) -> Answer:
    """Nothing happened."""
    return Answer(200, view(ctx.ledger.failed(ctx.action_scope, ctx.path["key"], body.fence, body.why, ctx.now)))


def extend(ctx: Context, body: ExtendRequest) -> Answer:
    """A longer lease."""
    return Answer(200, view(ctx.ledger.extend(ctx.action_scope, ctx.path["key"], body.fence, body.lease_s, ctx.now)))


def resolve(ctx: Context, body: ResolveRequest) -> Answer:
    """How an unknown action ended, said by a person or by the application's own query."""
    if body.outcome not in (State.DONE, State.FAILED):
        raise Problem(422, "invalid-body", "outcome: must be done or failed.", pointer="$.outcome")
    if not body.why.strip():
        raise Problem(422, "invalid-body", "why: say how the outcome is known.", pointer="$.why")
    action = ctx.ledger.resolve(
        ctx.scope_of(ctx.query.app),
        ctx.path["key"],
        State(body.outcome),
        ctx.requester.identity,
        body.why,
        ctx.now,
        msgspec.json.encode(body.result),
    )
    return Answer(200, view(action))


def undo(ctx: Context, body: UndoBody) -> Answer:
    """The action that undoes it, to be claimed."""
    by = ctx.requester.identity
    return Answer(201, view(ctx.ledger.undo(ctx.scope_of(ctx.query.app), ctx.path["key"], by, body.why, ctx.now)))


def _route(verb: str, handler: Handler, request: type[msgspec.Struct], summary: str, **more: Any) -> Route:
    options: dict[str, Any] = {"scope": Scope.ACT, "responses": {200: ActionView}, **more}
    options["responses"] = {**options["responses"], 404: ProblemDetail, 409: ProblemDetail}
    path = f"/v1/actions/{{key}}/{verb}"
    return Route(method="POST", path=path, handler=handler, request=request, summary=summary, **options)


_PERSON_TOO = {"scope": (Scope.ACT, Scope.APPROVE), "query": ActionQuery}

ROUTES = (
    _route("done", done, DoneRequest, "Say that a claimed action was carried out"),
    _route("fail", fail, FailRequest, "Say that nothing happened, so that it may be claimed again"),
    _route("extend", extend, ExtendRequest, "Ask for a longer lease"),
    _route("resolve", resolve, ResolveRequest, "Say how an unknown action ended", **_PERSON_TOO),
    _route(
        "undo",
        undo,
        UndoBody,
        "Make the action `undo:KEY`, to be claimed like any other",
        responses={201: ActionView},
        **_PERSON_TOO,
    ),
)
