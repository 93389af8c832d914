"""`GET /v1/audit`: the log of all changes, in order."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from monitor.actions.states import AuditEntry
from monitor.serve.context import EVERY_APP, Context
from monitor.serve.problem import Problem
from monitor.serve.route import Answer, Number, Route
from monitor.serve.scopes import Scope


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries: those after `after`, the `seq` of the last one that is known."""

    after: Number = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000


class AuditLog(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of the audit log. Each one's `hash` covers the one before it (`oqm audit verify`)."""

    entries: list[AuditEntry]


def audit(ctx: Context, _: None) -> Answer:
    """One page. The log is one chain over all apps, so it takes a token of every app."""
    if ctx.requester.app != EVERY_APP:
        raise Problem(403, "other-app", "The audit log is of all apps: it takes a token made with --app '*'.")
    return Answer(200, AuditLog(entries=list(ctx.ledger.audit(ctx.query.after, ctx.query.limit))))


ROUTES = (
    Route(
        method="GET",
        path="/v1/audit",
        scope=Scope.ADMIN,
        summary="The audit log",
        handler=audit,
        query=AuditQuery,
        responses={200: AuditLog},
    ),
)
