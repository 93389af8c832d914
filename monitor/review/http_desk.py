"""`HttpDesk`: a reviewer's desk over HTTP, spoken to `oqm serve`."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from monitor.actions.review import InvalidReview, Kind, NoSuchItem, NotYours, ReviewError, StaleLease
from monitor.errors import OqmError
from monitor.review.records import Ask, Decide, Decided, Extend, Flag, Flagged, Listed, Release, ReviewedItem

TIMEOUT_S = 30.0  # the service answers in milliseconds; a restart of its database takes seconds

_ERRORS: dict[str, type[ReviewError]] = {
    "no-such-item": NoSuchItem,
    "stale-lease": StaleLease,
    "not-yours": NotYours,
    "invalid-review": InvalidReview,
}
"""By the last part of a problem's type."""

T = TypeVar("T")


class ServiceError(OqmError):
    """The service does not answer, or refuses; the message says what to change."""


class _Problem(msgspec.Struct):
    type: str = ""
    detail: str = ""


class HttpDesk:
    """`monitor.review.desk.Reviewer` over HTTP.

    Parameters
    ----------
    url
        Of the service, such as https://oqm.example.
    token
        With the scope review; its person is who reviews.
    transport
        For tests: speaks to an application without a network.
    """

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, transport=transport
        )

    def next(self, ask: Ask) -> ReviewedItem | None:
        """See `Reviewer`."""
        answer = self._send("POST", "/v1/reviews/next", ask)
        return None if answer.status_code == httpx.codes.NO_CONTENT else _read(answer, ReviewedItem)

    def decide(self, item: str, decision: Decide) -> Decided:
        """See `Reviewer`."""
        return _read(self._send("POST", f"{_item(item)}/decide", decision), Decided)

    def release(self, item: str, given: Release) -> None:
        """See `Reviewer`."""
        self._send("POST", f"{_item(item)}/release", given)

    def extend(self, item: str, given: Extend) -> float:
        """See `Reviewer`."""
        found: dict[str, float] = _read(self._send("POST", f"{_item(item)}/extend", given), dict[str, float])
        return found["leased_until"]

    def list(self, *, kind: Kind | None, stream: str | None, criterion: str | None, limit: int) -> Listed:
        """See `Reviewer`."""
        asked = {"kind": kind, "stream": stream, "criterion": criterion, "limit": limit}
        known = {name: str(value) for name, value in asked.items() if value is not None}
        return _read(self._send("GET", "/v1/reviews", params=known), Listed)

    def flag(self, flag: Flag) -> Flagged:
        """See `Reviewer`."""
        return _read(self._send("POST", "/v1/reviews", flag), Flagged)

    def close(self) -> None:
        """Release the connection."""
        self._client.close()

    def _send(
        self, method: str, path: str, body: msgspec.Struct | None = None, params: dict[str, str] | None = None
    ) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            answer = self._client.request(method, path, content=content, headers=headers, params=params)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServiceError(f"{self._url}: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer
        problem = _problem(answer)
        known = _ERRORS.get(problem.type.rpartition(":")[2])
        if known is not None:
            raise known(problem.detail)
        raise ServiceError(f"{self._url}: {answer.status_code}: {problem.detail or answer.reason_phrase}")


def _problem(answer: httpx.Response) -> _Problem:
    try:
        return msgspec.json.decode(answer.content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Problem()  # not from the service: a proxy before it


def _read(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ServiceError(f"{answer.url}: the answer is not one of this service: {error}") from error


def _item(item: str) -> Any:
    return f"/v1/reviews/{quote(item, safe='')}"
