"""The table of routes: each module exports its own as `ROUTES`. A new one is a module and a line here."""

from __future__ import annotations

from monitor.serve.route import Route
from monitor.serve.routes import health, whoami

ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *whoami.ROUTES,
)
