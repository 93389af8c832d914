"""`HttpSink`, the base of sinks that post: one HTTP exchange with a receiver, and what its outcome means.

An exchange is accepted, worth another try, or refused for good. May import `monitor.alerting` and below.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx

from monitor.errors import PermanentDelivery, RetryableDelivery
from monitor.sinks.base import ConfiguredSink, Resources
from monitor.sinks.config import HttpSinkConfig

H = TypeVar("H", bound=HttpSinkConfig)

USER_AGENT = "output-quality-monitor"
_RETRYABLE = {408, 425, 429}
"""Client errors after which the same request may succeed later (RFC 9110, RFC 8470, RFC 6585), as after any 5xx."""
_MAX_ANSWER_BYTES = 4_096
"""Only the first words of an answer are shown; reading stops after these bytes, however long it is."""
_MAX_SHOWN_CHARS = 200
"""Of an answer, in an error message: about two lines of a log."""


class HttpSink(ConfiguredSink[H]):
    """Base of the sinks that post: a subclass makes the body in `send` and hands it to `_post`.

    The client is made at the first post, in the event loop that sends, and closed by `close`.
    """

    def __init__(self, config: H, resources: Resources | None = None) -> None:
        super().__init__(config, resources)
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    def _auth(self) -> httpx.BasicAuth | None:
        """How the client proves who it is; by default it does not."""
        return None

    async def _post(self, url: str, body: bytes, key: str | None, headers: Mapping[str, str] | None = None) -> None:
        """POST JSON under the idempotency key `key`, within the sink's time-out; raises as `send` does.

        `headers` are added, and win where they name the content type.
        """
        if self._client is None:
            self._client = new_client(auth=self._auth())
        sent = {"Content-Type": "application/json", **(headers or {}), **({"Idempotency-Key": key} if key else {})}
        await post(self._client, url, body, sent, timeout_s=self._config.timeout)


def new_client(*, auth: httpx.BasicAuth | None = None) -> httpx.AsyncClient:
    """A client that follows no redirects: a redirected POST may arrive as a GET, without its body.

    Its pool has no limit, because notify limits the number of posts at the same time. A post that waits for a
    connection spends its time-out waiting; and where many posts are cancelled at once, httpcore (1.0.9) assigns
    connections to posts that have ended already and never takes them back: after eight of them a limited pool sent
    nothing more.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=2, keepalive_expiry=30)
    return httpx.AsyncClient(follow_redirects=False, limits=limits, auth=auth, headers={"User-Agent": USER_AGENT})


async def post(
    client: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float
) -> None:
    """POST `body`; returning means a 2xx answer within `timeout_s`, connecting and answer included.

    Raises `RetryableDelivery` or `PermanentDelivery`; messages name the host alone, as paths and queries of webhooks
    are often secrets.
    """
    where = _host(url)
    try:
        async with (
            asyncio.timeout(timeout_s),
            # The limit is for the whole exchange; httpx's own would start again with each byte.
            client.stream("POST", url, content=body, headers=dict(headers), timeout=None) as response,
        ):
            answer = await _first_words(response)
            if response.is_success:
                return
    except TimeoutError:
        raise RetryableDelivery(f"{where} did not answer within {timeout_s:g} s") from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
        raise PermanentDelivery(f"{where}: {error}") from None
    except httpx.HTTPError as error:
        raise RetryableDelivery(f"{where}: {error or type(error).__name__}") from None
    status = f"{where} answered {response.status_code}{answer}"
    if response.status_code in _RETRYABLE or response.status_code >= 500:
        raise RetryableDelivery(status, retry_after(response.headers))
    if response.is_redirect:
        raise PermanentDelivery(f"{status}; set the sink's url to where it redirects")
    raise PermanentDelivery(status)


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that `Retry-After` asks to wait (RFC 9110, 10.2.3), None where it is absent or unreadable.

    A date is taken relative to the answer's own `Date`, so that the two clocks need not agree.
    """
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
        except (ValueError, TypeError):  # not a date, or one with and one without a zone
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


async def _first_words(response: httpx.Response) -> str:
    received = b""
    async for part in response.aiter_bytes():
        received += part
        if len(received) >= _MAX_ANSWER_BYTES:
            break
    words = " ".join("".join(c if c.isprintable() else " " for c in received.decode("utf-8", "replace")).split())
    return f": {words[:_MAX_SHOWN_CHARS]}" if words else ""


def _host(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "(no URL)"
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")
