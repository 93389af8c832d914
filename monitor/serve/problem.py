"""Errors of the HTTP service as problem details (RFC 9457, `application/problem+json`)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from monitor.errors import OqmError

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:oqm:problem:"


_RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Names of RFC 9110, which Python has from 3.13 on."""


def phrase(status: int) -> str:
    """The name of a status, the same whatever Python runs."""
    return _RENAMED.get(status) or HTTPStatus(status).phrase


class ProblemDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not done, and what to change.

    `type` says which problem it is, for programs; `detail` says it for people. `pointer` names the field of the body
    that is wrong (a JSON path), `differs` what of an action is not as before (kind, fields, text, policy),
    `retry_after_s` after how many seconds the same request may succeed, `action` the action as it is now, and
    `request_id` finds the request in the server's log.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str = ""
    pointer: str = ""
    differs: str = ""
    retry_after_s: float | None = None
    action: Any = None


class Problem(OqmError):
    """A request that is answered with an error.

    Parameters
    ----------
    status
        HTTP status.
    code
        Which problem, for programs: lower case with hyphens, stable.
    detail
        One sentence that says what to change.
    headers
        Further headers of the answer, such as `Retry-After`.
    more
        Further fields of `ProblemDetail`.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more
        if (wait := more.get("retry_after_s")) is not None:
            # Whole seconds, rounded up: who comes back earlier is refused once more.
            self.headers.setdefault("Retry-After", str(max(1, -int(-wait // 1))))

    def as_detail(self, request_id: str) -> ProblemDetail:
        """The body of the answer."""
        return ProblemDetail(
            type=TYPE_PREFIX + self.code,
            title=phrase(self.status),
            status=self.status,
            detail=self.detail,
            request_id=request_id,
            **self.more,
        )
