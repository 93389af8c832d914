"""Builds the ASGI application from the table of routes."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.serve.context import Services
from monitor.serve.endpoint import Endpoint, Limits, problem_response, request_id_of
from monitor.serve.openapi import document
from monitor.serve.problem import Problem
from monitor.serve.route import Answer, Route
from monitor.serve.routes import ROUTES

log = logging.getLogger(__name__)


def build_app(services: Services, routes: Sequence[Route] = ROUTES) -> ASGIApp:
    """The application. Its start starts the parts of `services`, its end closes them and `services`."""
    routes = (*routes, _openapi(routes))
    limits = Limits.of(services)
    by_path: dict[str, dict[str, Endpoint]] = {}
    for route in routes:
        endpoints = by_path.setdefault(route.path, {})
        if route.method in endpoints:
            raise ValueError(f"two routes are {route.method} {route.path}")
        endpoints[route.method] = Endpoint(route, services, limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        threads = anyio.to_thread.current_default_thread_limiter()
        threads.total_tokens = limits.threads
        started = []
        try:
            for part in services.parts.values():
                await anyio.to_thread.run_sync(part.start)
                started.append(part)
            # What is loaded by now stays: looking through all of it again and again held up requests for 70 ms.
            gc.collect()
            gc.freeze()
            yield
        finally:
            gc.unfreeze()
            for part in reversed(started):
                await anyio.to_thread.run_sync(part.close)
            await anyio.to_thread.run_sync(services.close)

    app = Starlette(
        routes=[StarletteRoute(path, _ByMethod(of), methods=list(of)) for path, of in by_path.items()],
        exception_handlers={HTTPException: _refused, Exception: _failed},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return _EncodedPaths(app)


def _openapi(routes: Sequence[Route]) -> Route:
    """The route of the document that describes the others."""
    described = msgspec.json.encode(document(routes, version("output-quality-monitor")))
    return Route(
        method="GET",
        path="/openapi.json",
        scope=None,
        summary="This description of the API",
        handler=lambda ctx, body: Answer(200, described, {"Content-Type": "application/json"}),
        responses={},
        blocking=False,
    )


class _ByMethod:
    """The endpoints of one path."""

    def __init__(self, endpoints: dict[str, Endpoint]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        response = await self._endpoints[method](Request(scope, receive))
        await response(scope, receive, send)


class _EncodedPaths:
    """Routes are matched on the path as it was sent, still percent-encoded: a key may hold a slash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path") is not None:
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await self._app(scope, receive, send)


async def _refused(request: Request, error: Exception) -> Response:
    """What Starlette refuses: a path or method that does not exist."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        problem = Problem(404, "no-such-path", "There is nothing at this path; see /openapi.json.")
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"This path takes {', '.join(sorted(allowed.split(', ')))}."
        problem = Problem(405, "method-not-allowed", detail, headers=error.headers)
    else:
        problem = Problem(error.status_code, "refused", str(error.detail), headers=error.headers)
    return problem_response(problem, request_id_of(request))


async def _failed(request: Request, error: Exception) -> Response:
    """An error of ours. Starlette raises it again afterwards, so that the server logs it with its traceback."""
    request_id = request_id_of(request)
    log.error("request %s (%s %s) failed: %s", request_id, request.method, request.url.path, type(error).__name__)
    detail = "The server failed; its log has the reason under this request id. Nothing is known of the outcome."
    return problem_response(Problem(500, "internal-error", detail), request_id)
