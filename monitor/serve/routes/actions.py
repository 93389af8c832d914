"""Claim an action, and look at actions: `POST /v1/actions/{key}/claim`, `GET /v1/actions` and `/v1/actions/{key}`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from monitor.actions.states import Claim, ClaimAnswer, Outcome, State
from monitor.serve.action_view import ActionView, raw, view
from monitor.serve.context import Context
from monitor.serve.idempotency import HEADER, attempt_of
from monitor.serve.problem import Problem, ProblemDetail
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope

MAX_LEASE_S = 86_400.0  # a day: longer, and a claimant that died is noticed too late to matter
Lease = Annotated[float, Meta(gt=0, le=MAX_LEASE_S, description="For how long the claim holds, in seconds.")]
Hash = Annotated[str, Meta(max_length=200)]


class ClaimBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the claimant is about to do, as it was proposed. `attempt`: the same one again is the same claim."""

    kind: Annotated[str, Meta(min_length=1, max_length=256)]
    fingerprint: Hash
    text_hash: Hash = ""
    policy_version: Hash = ""
    attempt: Annotated[str, Meta(max_length=256)] = ""
    lease_s: Lease = 60.0


class Claimed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a claim: `mine` (act now, then say how it ended, with this fence), `replay` or `held`."""

    outcome: Outcome
    action: ActionView
    fence: int = 0
    lease_until: float | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def claim(ctx: Context, body: ClaimBody) -> Answer:
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
            mine = Claimed(
                outcome=answer.outcome, action=action, fence=answer.fence, lease_until=answer.lease_until
            )
            return Answer(201, mine)
        case Outcome.REPLAY:
            replay = Claimed(outcome=answer.outcome, action=action, result=raw(answer.result or b""))
            return Answer(200, replay, {"Idempotency-Replayed": "true"})
        case Outcome.HELD:
            return Answer(202, Claimed(outcome=answer.outcome, action=action))
        case Outcome.IN_FLIGHT:
            wait = max(1.0, (answer.lease_until or now) - now)
            detail = "Another claim is live; ask again when its lease is over, or when its outcome is known."
            raise Problem(409, "action-in-flight", detail, retry_after_s=wait, action=action)
        case Outcome.UNKNOWN:
            detail = "The last claimant did not say how it ended: find out, then `resolve` it as done or failed."
            raise Problem(409, "action-unknown", detail, action=action)
        case Outcome.REJECTED:
            raise Problem(410, "action-rejected", f"A person has rejected it: {action.why or 'no reason'}.", action=action)
        case Outcome.EXPIRED:
            instead = f" Its kind says what to do instead: {action.on_timeout}." if action.on_timeout else ""
            detail = f"Nobody decided in time, or it was not claimed in time.{instead}"
            raise Problem(410, "action-expired", detail, action=action)
        case Outcome.UNDONE:
            raise Problem(410, "action-undone", "It was done, and undone since: name another occasion.", action=action)
        case Outcome.MISMATCH:
            detail = f"The key belongs to an action that differs in: {answer.differs}. Use another key for another action."
            raise Problem(422, "action-mismatch", detail, differs=answer.differs, action=action)


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
    before: Annotated[int, Meta(ge=1)] | None = None
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
        description=f"At most one claim is live at a time. The header `{HEADER}` (a quoted string, as in the IETF draft) "
        "stands for `attempt`: a request that is sent again after its answer was lost gets the same claim.",
        handler=claim,
        request=ClaimBody,
        responses={
            201: Claimed,
            200: Claimed,
            202: Claimed,
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
