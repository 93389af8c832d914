"""One operation at work: who asks, how often, with what; then its handler, and the answer."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from monitor.actions.states import Token
from monitor.errors import OqmError
from monitor.serve.auth import allow, identified, secret_of
from monitor.serve.body import decode_body, decode_path, decode_query, read_body, rest_has_come
from monitor.serve.context import Context, Services
from monitor.serve.problem import CONTENT_TYPE, Problem
from monitor.serve.rate_limit import RateLimit
from monitor.serve.refusals import problem_of
from monitor.serve.route import Answer, Route

log = logging.getLogger(__name__)

JSON = "application/json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ALWAYS = {
    "Cache-Control": "no-store",  # answers are of one moment and of one token
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Limits:
    """What a request may cost, from the settings' section `serve`; shared by all routes."""

    body_bytes: int
    body_timeout_s: float
    threads: int
    rate: RateLimit
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, services: Services) -> Limits:
        """Those of the settings."""
        limits = services.settings.serve.limits
        return cls(
            body_bytes=limits.body_bytes,
            body_timeout_s=limits.body_timeout,
            threads=limits.threads,
            rate=RateLimit(limits.requests_per_second, limits.burst),
        )


class Endpoint:
    """Answers the requests of one route."""

    def __init__(self, route: Route, services: Services, limits: Limits) -> None:
        self._route = route
        self._services = services
        self._limits = limits

    async def __call__(self, request: Request) -> Response:
        """The answer; problems are answers too, and only errors of ours are raised."""
        stats, began = self._services.stats, self._limits.clock()
        stats.in_flight += 1
        status = 500
        try:
            response = await self._answered(request)
            status = response.status_code
        finally:
            took_s = self._limits.clock() - began
            stats.in_flight -= 1
            stats.requests[self._route.name, str(status)] += 1
            stats.seconds[self._route.name].observe(took_s)
            log.debug("request %s (%s): %d in %.1f ms", request_id_of(request), self._route.name, status, took_s * 1e3)
        return response

    async def _answered(self, request: Request) -> Response:
        request_id = request_id_of(request)
        body_begun = False
        try:
            token = await self._token(request)
            body = None
            if self._route.request is not None:
                body_begun = True
                received = await read_body(request, self._limits.body_bytes, self._limits.body_timeout_s)
                body = decode_body(received, self._route.request, optional=self._route.optional_body)
            context = self._context(request, token, request_id)
            handler = self._route.handler
            if self._route.blocking:
                answer = Answer(*await anyio.to_thread.run_sync(handler, context, body))
            else:
                answer = Answer(*handler(context, body))
            response = _response(answer, request_id)
        except OqmError as error:
            problem = problem_of(error)
            if problem is None:
                raise
            if problem.status == 503:
                log.error("request %s (%s): %s", request_id, self._route.name, error)
            response = problem_response(problem, request_id)
        if not body_begun and _has_body(request) and not await rest_has_come(request, self._limits.body_bytes):
            # Nobody reads it any more: without this, a client could keep the connection for ever by sending slowly.
            response.headers["Connection"] = "close"
        return response

    async def _token(self, request: Request) -> Token | None:
        if not self._route.scopes:
            return None
        secret = secret_of(request.headers.getlist("authorization"))
        token = await anyio.to_thread.run_sync(identified, self._services.ledger, secret, self._services.clock())
        wait_s = self._limits.rate.take(token.name, self._limits.clock())
        if wait_s:
            detail = f"The token {token.name} makes more requests than it may."
            raise Problem(429, "rate-limited", detail, retry_after_s=round(wait_s, 3))
        allow(token, self._route.scopes)
        return token

    def _context(self, request: Request, token: Token | None, request_id: str) -> Context:
        query = None
        if self._route.query is not None:
            query = decode_query(request.scope["query_string"], self._route.query)
        return Context(
            services=self._services,
            token=token,
            path={name: decode_path(value) for name, value in request.path_params.items()},
            query=query,
            headers=request.headers,
            now=self._services.clock(),
            request_id=request_id,
        )


def request_id_of(request: Request) -> str:
    """The client's `X-Request-Id` where it is harmless in a log, else a new one; the same for all of one request."""
    state: dict[str, Any] = request.scope.setdefault("state", {})
    if "request_id" not in state:
        given = request.headers.get("x-request-id", "")
        state["request_id"] = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    found: str = state["request_id"]
    return found


def problem_response(problem: Problem, request_id: str) -> Response:
    """A problem as `application/problem+json`."""
    content = msgspec.json.encode(problem.as_detail(request_id))
    headers = {**_ALWAYS, **problem.headers, "X-Request-Id": request_id}
    return Response(content, problem.status, headers=headers, media_type=CONTENT_TYPE)


def _response(answer: Answer, request_id: str) -> Response:
    headers = {**_ALWAYS, **answer.headers, "X-Request-Id": request_id}
    if answer.body is None or isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, headers=headers)
    return Response(msgspec.json.encode(answer.body), answer.status, headers=headers, media_type=JSON)


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
