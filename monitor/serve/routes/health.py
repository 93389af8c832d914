"""`GET /healthz` and `/readyz`: for what starts, stops and balances processes. Open to everyone."""

from __future__ import annotations

import msgspec

from monitor.serve.context import Context
from monitor.serve.route import Answer, Route


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it is so, and if not, why."""

    ok: bool
    reason: str


def healthz(_: Context, __: None) -> Answer:
    """The process answers; it does not ask the database, whose failure a restart would not mend."""
    return Answer(200, Health(ok=True, reason="ok"))


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
)
