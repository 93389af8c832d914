"""The review queue: `POST /v1/reviews/next` and what is done with the item, `GET /v1/reviews`, `POST /v1/reviews`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated

import msgspec
from msgspec import Meta

from monitor.actions.review import Kind
from monitor.review.desk import Desk
from monitor.review.records import Ask, Decide, Decided, Extend, Flag, Flagged, Listed, Release, ReviewedItem
from monitor.serve.context import EVERY_APP, Context
from monitor.serve.problem import Problem, ProblemDetail
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope


class ReviewsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which items: every field narrows. `stream` is a name, or a beginning followed by *."""

    kind: Kind | None = None
    stream: str | None = None
    criterion: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Extended(msgspec.Struct, frozen=True, kw_only=True):
    """Until when the item is kept, seconds since 1970."""

    leased_until: float


@contextmanager
def _desk(ctx: Context, by: str) -> Iterator[Desk]:
    """The desk of whose request it is. The texts are opened first: an item is not leased to be shown without them."""
    may_approve = Scope.APPROVE in ctx.requester.scopes
    app = None if ctx.requester.app == EVERY_APP else ctx.action_scope
    with nullcontext() if ctx.services.traces is None else ctx.traces.reading() as store:
        yield Desk(ctx.settings, ctx.ledger, store, by, lambda: ctx.now, may_approve=may_approve, app=app)


def _person(ctx: Context) -> str:
    """Who reviews. Raises `Problem` 403 for a token without a person: a label is a person's."""
    if not ctx.requester.person:
        detail = f"The token {ctx.requester.name} names no person: make one with `oqm token create --person NAME`."
        raise Problem(403, "not-a-person", detail)
    return ctx.requester.person


def next_item(ctx: Context, body: Ask) -> Answer:
    """The most urgent item, leased."""
    with _desk(ctx, _person(ctx)) as desk:
        found = desk.next(body)
    return Answer(204) if found is None else Answer(200, found)


def decide(ctx: Context, body: Decide) -> Answer:
    """A person's label."""
    with _desk(ctx, _person(ctx)) as desk:
        return Answer(200, desk.decide(ctx.path["id"], body))


def release(ctx: Context, body: Release) -> Answer:
    """Given back."""
    with _desk(ctx, _person(ctx)) as desk:
        desk.release(ctx.path["id"], body)
    return Answer(204)


def extend(ctx: Context, body: Extend) -> Answer:
    """Kept longer."""
    with _desk(ctx, _person(ctx)) as desk:
        return Answer(200, Extended(leased_until=desk.extend(ctx.path["id"], body)))


def listed(ctx: Context, _: None) -> Answer:
    """What waits."""
    query: ReviewsQuery = ctx.query
    with _desk(ctx, ctx.requester.identity) as desk:
        found = desk.list(kind=query.kind, stream=query.stream, criterion=query.criterion, limit=query.limit)
    return Answer(200, found)


def flag(ctx: Context, body: Flag) -> Answer:
    """An output that people shall look at."""
    with _desk(ctx, ctx.requester.identity) as desk:
        found = desk.flag(body)
    return Answer(201 if found.new else 200, found)


_REFUSED = {403: ProblemDetail, 404: ProblemDetail, 409: ProblemDetail, 410: ProblemDetail}

ROUTES = (
    Route(
        method="POST",
        path="/v1/reviews/next",
        scope=Scope.REVIEW,
        summary="The most urgent item of the review queue, leased to this person",
        description="204: nothing waits for this person. Sampled outputs and second opinions come without verdicts. "
        "Held actions come to tokens that have the scope approve as well.",
        handler=next_item,
        request=Ask,
        optional_body=True,
        responses={200: ReviewedItem, 204: None, 403: ProblemDetail},
    ),
    Route(
        method="POST",
        path="/v1/reviews/{id}/decide",
        scope=Scope.REVIEW,
        summary="Say whether an item passes",
        description="Counts with the fence of the latest lease alone; else 409 `stale-lease`. The same decision again "
        "is the same answer. Of a held action, pass approves it and fail rejects it.",
        handler=decide,
        request=Decide,
        responses={200: Decided, **_REFUSED},
    ),
    Route(
        method="POST",
        path="/v1/reviews/{id}/release",
        scope=Scope.REVIEW,
        summary="Give an item back",
        handler=release,
        request=Release,
        responses={204: None, **_REFUSED},
    ),
    Route(
        method="POST",
        path="/v1/reviews/{id}/extend",
        scope=Scope.REVIEW,
        summary="Keep an item longer",
        handler=extend,
        request=Extend,
        responses={200: Extended, **_REFUSED},
    ),
    Route(
        method="GET",
        path="/v1/reviews",
        scope=(Scope.REVIEW, Scope.READ),
        summary="What waits for people, the most urgent first",
        handler=listed,
        query=ReviewsQuery,
        responses={200: Listed},
    ),
    Route(
        method="POST",
        path="/v1/reviews",
        scope=(Scope.REVIEW, Scope.FEEDBACK),
        summary="Ask people to look at an output",
        handler=flag,
        request=Flag,
        responses={200: Flagged, 201: Flagged},
    ),
)
