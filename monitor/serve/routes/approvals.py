"""What waits for people: `GET /v1/approvals`, `POST /v1/approvals/{key}/approve` and `reject`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from monitor.actions.states import State
from monitor.serve.action_view import ActionView, view
from monitor.serve.context import Context
from monitor.serve.problem import Problem, ProblemDetail
from monitor.serve.route import Answer, Number, Route
from monitor.serve.routes.actions import ActionQuery, Actions, ActionsQuery, Hash, page
from monitor.serve.scopes import Scope


class ApproveBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was seen: `fingerprint`, `text_hash` and `policy_version` of the action as it was shown."""

    fingerprint: Hash
    text_hash: Hash
    policy_version: Hash


class RejectBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it must not be done."""

    why: Annotated[str, Meta(min_length=1, max_length=4_000)]


class ApprovalsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of the held actions."""

    kind: str | None = None
    stream: str | None = None
    app: str | None = None
    before: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


def waiting(ctx: Context, _: None) -> Answer:
    """The held actions."""
    query: ApprovalsQuery = ctx.query
    return Answer(200, page(ctx, ActionsQuery(state=State.HELD, **msgspec.structs.asdict(query))))


def approve(ctx: Context, body: ApproveBody) -> Answer:
    """One person's yes."""
    action = ctx.ledger.approve(
        ctx.scope_of(ctx.query.app),
        ctx.path["key"],
        _person(ctx),
        body.fingerprint,
        body.text_hash,
        body.policy_version,
        ctx.now,
    )
    return Answer(200, view(action))


def reject(ctx: Context, body: RejectBody) -> Answer:
    """One person's no, which is final."""
    return Answer(
        200, view(ctx.ledger.reject(ctx.scope_of(ctx.query.app), ctx.path["key"], _person(ctx), body.why, ctx.now))
    )


def _person(ctx: Context) -> str:
    """Who decides. Raises `Problem` 403 for a token without a person: a program does not approve."""
    if not ctx.requester.person:
        detail = f"The token {ctx.requester.name} names no person: make one with `oqm token create --person NAME`."
        raise Problem(403, "not-a-person", detail)
    return ctx.requester.person


_REFUSED = {403: ProblemDetail, 404: ProblemDetail, 409: ProblemDetail, 410: ProblemDetail}

ROUTES = (
    Route(
        method="GET",
        path="/v1/approvals",
        scope=(Scope.APPROVE, Scope.READ),
        summary="Actions that wait for people, the newest first",
        handler=waiting,
        query=ApprovalsQuery,
        responses={200: Actions},
    ),
    Route(
        method="POST",
        path="/v1/approvals/{key}/approve",
        scope=Scope.APPROVE,
        summary="Allow an action as it was shown",
        description="The requester cannot approve, nobody counts twice, and an approval serves one claim.",
        handler=approve,
        request=ApproveBody,
        query=ActionQuery,
        responses={200: ActionView, **_REFUSED},
    ),
    Route(
        method="POST",
        path="/v1/approvals/{key}/reject",
        scope=Scope.APPROVE,
        summary="Reject an action for good",
        handler=reject,
        request=RejectBody,
        query=ActionQuery,
        responses={200: ActionView, **_REFUSED},
    ),
)
