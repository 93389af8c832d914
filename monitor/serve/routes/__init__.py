"""The table of routes: each module exports its own as `ROUTES`. A new one is a module and a line here."""

from __future__ import annotations

from monitor.serve.route import Route
from monitor.serve.routes import (
    actions,
    approvals,
    audit,
    cascade,
    feedback,
    gate,
    health,
    metrics,
    outcomes,
    policies,
    quality,
    reviews,
    traces,
    whoami,
)

ROUTES: tuple[Route, ...] = (
    *gate.ROUTES,
    *policies.ROUTES,
    *actions.ROUTES,
    *outcomes.ROUTES,
    *approvals.ROUTES,
    *reviews.ROUTES,
    *quality.ROUTES,
    *traces.ROUTES,
    *cascade.ROUTES,
    *feedback.ROUTES,
    *audit.ROUTES,
    *whoami.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
)
