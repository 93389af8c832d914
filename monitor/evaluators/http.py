"""`HttpEvaluator`: one exchange with an evaluator over HTTP, and what its outcome means.

An evaluator that answers anything must hang or harm nothing: the whole exchange has one time-out, at most
`MOST_BYTES` of the answer are read, compressed answers are refused before a byte is unpacked, and redirects are not
followed. May import `monitor.evaluators.base` and below.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from monitor.errors import EvaluatorBlocked, NoVerdict, RetryableEvaluation
from monitor.evaluators.config import HttpEvaluatorConfig

if TYPE_CHECKING:
    import httpx

C = TypeVar("C", bound=HttpEvaluatorConfig)

MOST_BYTES = 1_000_000
"""Of an answer: a verdict has some hundred bytes, the longest answers of chat models some ten thousand."""
MOST_SHOWN = 200
"""Characters of an answer in an error message: about two lines of a log."""
RETRYABLE = {408, 409, 425, 429}
"""Client errors after which the same request may succeed later, as after any 5xx."""
BLOCKED = {401, 402, 403, 404, 405, 410, 421}
"""Client errors that the next request meets, too: key, billing, permission, a model or an address that is gone."""
BILLING = ("insufficient_quota", "billing", "credit balance", "quota exceeded")
"""Words in the body of a 429 that say that waiting does not help: some providers answer so when money is used up."""


class Exchange(NamedTuple):
    """A complete answer."""

    status: int
    headers: httpx.Headers
    body: bytes


class HttpEvaluator(Generic[C]):
    """Base of the evaluators that are asked over HTTP: a subclass makes the body and reads the answer.

    The client is made at the first question, in the event loop that asks, and closed by `close`.
    """

    def __init__(self, config: C) -> None:
        self._config = config
        self._client: httpx.AsyncClient | None = None

    @property
    def name(self) -> str:
        """The name from the settings."""
        return self._config.name

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _ask(self, url: str, body: Mapping[str, Any]) -> bytes:
        """POST `body` as JSON; the bytes of a successful answer. Raises as `Evaluator.judge` does."""
        import httpx  # here: reading settings loads no HTTP client

        if self._client is None:
            self._client = self._new_client()
        try:
            async with asyncio.timeout(self._config.timeout):
                exchange = await self._exchange(self._client, url, msgspec.json.encode(body))
        except TimeoutError:
            raise RetryableEvaluation(f"did not answer within {self._config.timeout:g} s", kind="timeout") from None
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            raise EvaluatorBlocked(f"cannot be asked: {error}") from None
        except httpx.HTTPError as error:
            raise RetryableEvaluation(f"cannot be reached: {error or type(error).__name__}") from None
        return _accepted(exchange)

    def _new_client(self) -> httpx.AsyncClient:
        import httpx

        _fail_at_once("sniffio")
        headers = {name: value.get_secret_value() for name, value in self._config.headers.items()}
        if self._config.api_key is not None:
            headers["Authorization"] = f"Bearer {self._config.api_key.get_secret_value()}"
        # Concurrency is limited by the judge; a pool with a limit would let requests wait within their time-out
        # (`monitor.sinks.http.new_client` says what else goes wrong there).
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=self._config.concurrency)
        return httpx.AsyncClient(
            follow_redirects=False,
            limits=limits,
            timeout=None,
            headers={
                "User-Agent": "output-quality-monitor",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                **headers,
            },
        )

    async def _exchange(self, client: httpx.AsyncClient, url: str, body: bytes) -> Exchange:
        async with client.stream("POST", url, content=body) as response:
            encoding = response.headers.get("content-encoding", "identity").strip().lower()
            if encoding not in ("", "identity"):
                raise NoVerdict("unreadable", f"answered compressed ({plain(encoding)}), which was not asked for")
            received = bytearray()
            # As the bytes come: unpacking what nobody asked to be packed would let one answer fill the memory.
            async for part in response.aiter_raw():
                received += part
                if len(received) > MOST_BYTES:
                    raise NoVerdict("unreadable", f"answered with more than {MOST_BYTES:,} bytes")
            return Exchange(response.status_code, response.headers, bytes(received))


def _fail_at_once(module: str) -> None:
    """Let the import of a module that is not installed fail without a search.

    httpcore (1.0.9) tries to import `sniffio` several times in each exchange; where it is not installed, each of them
    looks through the whole path: more than a quarter of the CPU of an exchange. A None in `sys.modules` is Python's way
    to say that a module is known to be absent.
    """
    if module not in sys.modules and importlib.util.find_spec(module) is None:
        sys.modules[module] = None  # type: ignore[assignment]


def _accepted(exchange: Exchange) -> bytes:
    """The body of a successful answer; any other raises what it means."""
    from monitor.sinks.http import retry_after

    status, body = exchange.status, exchange.body
    if 200 <= status < 300:
        return body
    said = f"answered {status}: {plain(body.decode('utf-8', 'replace'))}".removesuffix(": ")
    if status == 429 and any(word in said.lower() for word in BILLING):
        raise EvaluatorBlocked(said)
    if status in RETRYABLE or status >= 500:
        raise RetryableEvaluation(said, retry_after(exchange.headers))
    if 300 <= status < 400:
        raise EvaluatorBlocked(f"{said}; set its url to where it redirects")
    if status in BLOCKED:
        raise EvaluatorBlocked(said)
    refused = any(word in said for word in ("content_filter", "content_policy", "ResponsibleAI"))
    raise NoVerdict("refused" if refused else "rejected", said)


def plain(text: str) -> str:
    """The first words of a text that others wrote, on one line, for a log; masked, as some repeat the key."""
    from monitor.events.redaction import excerpt  # numpy, which reading settings does not need

    words = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MOST_SHOWN]).split())
    return excerpt(words, MOST_SHOWN)
