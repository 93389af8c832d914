"""uvicorn's HTTP protocol, with a limit on how long the head of a request may take to arrive.

uvicorn itself closes connections that idle between requests, and waits for ever for the rest of a head: some thousand
connections that send a byte a minute would take all there are (slowloris). Bodies are limited where they are read.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def limited(timeout_s: float) -> Any:
    """Makes the protocol, for `uvicorn.Config(http=...)`; picklable, for several processes."""
    return partial(_LimitedHeads, timeout_s)


class _LimitedHeads(H11Protocol):
    def __init__(self, head_timeout_s: float, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timeout_s = head_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """The timer runs while a head has begun, or none has come yet on this connection, and is not complete."""
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self._head_timeout_s, self._too_slow)

    def _forget(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            # Without an answer: an HTTP client that is this slow waits for none.
            self.transport.close()
