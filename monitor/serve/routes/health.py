"""`GET /healthz` and `/readyz`: for what starts, stops and balances processes. Open to everyone."""

from __future__ import annotations

import msgspec

from monitor.ledger.base import LedgerError
from monitor.serve.context import Context
from monitor.serve.route import Answer, Route
from monitor.serve.sweeper import LATE_S, Sweeper


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it is so, and if not, why."""

    ok: bool
    reason: str


def healthz(_: Context, __: None) -> Answer:
    """The process answers; it does not ask the database, whose failure a restart would not mend."""
    return Answer(200, Health(ok=True, reason="ok"))


def readyz(ctx: Context, _: None) -> Answer:
    """The ledger answers, and what is due was looked for lately. The reason names no address: everyone may ask."""
    late_s = ctx.part(Sweeper).late_s
    reason = "ok"
    try:
        ctx.ledger.outbox_waiting()
    except LedgerError:
        reason = "the ledger's database does not answer"
    else:
        if late_s > LATE_S:
            reason = f"nothing has expired for {late_s:.0f} s: the ledger's database is slow, or was away"
    return Answer(200 if reason == "ok" else 503, Health(ok=reason == "ok", reason=reason))


ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        scope=None,
        summary="Whether the process lives",
        handler=healthz,
        responses={200: Health},
        blocking=False,
    ),
    Route(
        method="GET",
        path="/readyz",
        scope=None,
        summary="Whether the process does its work",
        handler=readyz,
        responses={200: Health, 503: Health},
    ),
)
