"""One HTTP exchange with a receiver, and what its outcome means: accepted, try again, or never.

May import `monitor.errors` only.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx

from monitor.errors import PermanentDelivery, RetryableDelivery

USER_AGENT = "output-quality-monitor"
_RETRYABLE = {408, 425, 429}
"""Client errors that a later identical request may not meet (RFC 9110, RFC 8470, RFC 6585); so may all 5xx."""
_MOST_BYTES = 4_096
"""No answer of a receiver is needed beyond its first words; more of it is not read."""


def new_client(*, auth: httpx.BasicAuth | None = None) -> httpx.AsyncClient:
    """A client that follows no redirects: a redirected POST may arrive as a GET, without its body.

    Its pool has no limit, as who calls it limits what is under way. A post that waits for a connection spends its
    time-out there; and where many are cut off at once, httpcore (1.0.9) gives connections to posts that are ended
    already and never takes them back: after eight of them such a pool let nothing out for the rest of its life.
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
            # The limit is on the whole; httpx's own would start anew with each byte.
            client.stream("POST", url, content=body, headers=dict(headers), timeout=None) as response,
        ):
            said = await _first_words(response)
            if response.is_success:
                return
    except TimeoutError:
        raise RetryableDelivery(f"{where} did not answer within {timeout_s:g} s") from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
        raise PermanentDelivery(f"{where}: {error}") from None
    except httpx.HTTPError as error:
        raise RetryableDelivery(f"{where}: {error or type(error).__name__}") from None
    status = f"{where} answered {response.status_code}{said}"
    if response.status_code in _RETRYABLE or response.status_code >= 500:
        raise RetryableDelivery(status, retry_after(response.headers))
    if response.is_redirect:
        raise PermanentDelivery(f"{status}; set the sink's url to where it redirects")
    raise PermanentDelivery(status)


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that `Retry-After` asks to wait (RFC 9110, 10.2.3), None where it says nothing that can be read.

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
        if len(received) >= _MOST_BYTES:
            break
    words = " ".join("".join(c if c.isprintable() else " " for c in received.decode("utf-8", "replace")).split())
    return f": {words[:200]}" if words else ""


def _host(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "(no URL)"
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")
