"""Claim an action, and look at actions: `POST /v1/actions/{key}/claim`, `GET /v1/actions` and `/v1/actions/{key}`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from monitor.actions.messages import ClaimGranted, ClaimRequest
from monitor.actions.states import Claim, ClaimAnswer, Outcome, State
from monitor.serve.action_view import ActionView, raw, view
from monitor.serve.context import Context
from monitor.serve.idempotency import HEADER, attempt_of
from monitor.serve.problem import Problem, ProblemDetail
from monitor.serve.route import Answer, Number, Route
from monitor.serve.scopes import Scope

Hash = Annotated[str, Meta(max_length=200)]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The action waits for people; ask again, or look at it from time to time."""

    key: str
    action: ActionView


def claim(ctx: Context, body: ClaimRequest) -> Answer:
    """The ledger's answer, as a status."""
    asked = Claim(
        scope=ctx.action_scope,
        key=ctx.path["key"],
        kind=body.kind,
        fingerprint=body.fingerprint,
        claimant=ctx.requester.identity,
        lease_s=body.lease_s,
        text_hash=body.text_hash,
        policy_version=body.policy_version,
        attempt=attempt_of(ctx.headers, body.attempt),
    )
    return answered(ctx.ledger.claim(asked, ctx.now), ctx.now)


def answered(answer: ClaimAnswer, now: float) -> Answer:
    """The answer of HTTP to a claim. Raises `Problem` where the claimant may not act."""
    action = view(answer.action)
    match answer.outcome:
        case Outcome.MINE:
            until = answer.lease_until or now
            return Answer(201, ClaimGranted(key=action.key, fence=answer.fence, lease_until=until))
        case Outcome.REPLAY:
            replayed = {"Idempotency-Replayed": "true", "Content-Type": "application/json"}
            return Answer(200, bytes(raw(answer.result or b"")), replayed)
        case Outcome.HELD:
            return Answer(202, Held(key=action.key, action=action))
        case Outcome.IN_FLIGHT:
            wait = max(1.0, (answer.lease_until or now) - now)
            detail = "Another claim is live; ask again when its lease is over, or when its outcome is known."
            raise Problem(409, "in-flight", detail, retry_after_s=wait, action=action)
        case Outcome.UNKNOWN:
            detail = "The last claimant did not say how it ended: find out, then `resolve` it as done or failed."
            raise Problem(409, "unknown", detail, action=action)
        case Outcome.REJECTED:
            raise Problem(410, "rejected", f"A person has rejected it: {action.why or 'no reason'}.", action=action)
        case Outcome.EXPIRED:
            instead = f" Its kind says what to do instead: {action.on_timeout}." if action.on_timeout else ""
            detail = f"Nobody decided in time, or it was not claimed in time.{instead}"
            raise Problem(410, "expired", detail, action=action)
        case Outcome.UNDONE:
            raise Problem(410, "undone", "It was done, and undone since: name another occasion.", action=action)
        case Outcome.MISMATCH:
            detail = (
                f"The key belongs to an action that differs in: {answer.differs}. Use another key for another action."
            )
            raise Problem(422, "mismatch", detail, differs=answer.differs, action=action)


class ActionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which action, for tokens of every app."""

    app: str | None = None


class ActionsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which actions; `before`: the `next_before` of the page before."""

    state: State | None = None
    kind: str | None = None
    stream: str | None = None
    event: str | None = None
    app: str | None = None
    before: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Actions(msgspec.Struct, frozen=True, kw_only=True):
    """Actions, the newest first; `next_before` is null on the last page."""

    actions: list[ActionView]
    next_before: int | None


def listed(ctx: Context, _: None) -> Answer:
    """One page."""
    query: ActionsQuery = ctx.query
    return Answer(200, page(ctx, query))


def page(ctx: Context, query: ActionsQuery) -> Actions:
    """The actions that the query asks for, as far as the token may see them."""
    found = ctx.ledger.list(
        scope=ctx.scopes_of(query.app),
        state=query.state,
        kind=query.kind,
        stream=query.stream,
        event=query.event,
        before=query.before,
        limit=query.limit,
    )
    more = found[-1].number if len(found) == query.limit else None
    return Actions(actions=[view(action) for action in found], next_before=more)


def shown(ctx: Context, _: None) -> Answer:
    """One action with its votes."""
    return Answer(200, view(ctx.ledger.get(ctx.scope_of(ctx.query.app), ctx.path["key"])))


ROUTES = (
    Route(
        method="POST",
        path="/v1/actions/{key}/claim",
        scope=Scope.ACT,
        summary="Ask to carry out an action that was proposed",
        description=f"At most one claim is live at a time. The header `{HEADER}` (a quoted string, as in the IETF "
        "draft) stands for `attempt`: a request that is sent again after its answer was lost gets the same claim. "
        "200: it was done before, and the body is its result, byte for byte as it was given.",
        handler=claim,
        request=ClaimRequest,
        responses={
            201: ClaimGranted,
            200: Any,
            202: Held,
            404: ProblemDetail,
            409: ProblemDetail,
            410: ProblemDetail,
            422: ProblemDetail,
        },
        headers={
            200: {"Idempotency-Replayed": "`true`: it was done before, and this is its result."},
            409: {"Retry-After": "Seconds until the live claim's lease is over."},
        },
    ),
    Route(
        method="GET",
        path="/v1/actions",
        scope=(Scope.READ, Scope.ACT, Scope.APPROVE),
        summary="Actions, the newest first",
        handler=listed,
        query=ActionsQuery,
        responses={200: Actions},
    ),
    Route(
        method="GET",
        path="/v1/actions/{key}",
        scope=(Scope.READ, Scope.ACT, Scope.APPROVE),
        summary="One action with its votes",
        handler=shown,
        query=ActionQuery,
        responses={200: ActionView, 404: ProblemDetail},
    ),
)
