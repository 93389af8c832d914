"""`AsyncGate`: as `Gate`, for coroutines. The monitor is asked in a thread, so the event loop never waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from monitor.actions.messages import GateAnswer
from monitor.actions.policy import Policy
from monitor.gate.client import Gate
from monitor.gate.decorator import F


class AsyncGate:
    """Asks one monitor from coroutines; takes what `Gate` takes."""

    def __init__(self, url: str, token: str, **options: Any) -> None:
        self.gate = Gate(url, token, **options)

    async def ask(self, kind: str, **proposal: Any) -> GateAnswer:
        """As `Gate.ask`."""
        return await asyncio.to_thread(self.gate.ask, kind, **proposal)

    async def failed_attempt(self, name: str, key: str, failed: int, **more: Any) -> GateAnswer:
        """As `Gate.failed_attempt`."""
        return await asyncio.to_thread(self.gate.failed_attempt, name, key, failed, **more)

    def action(self, kind: str, **declared: Any) -> Callable[[F], F]:
        """As `Gate.action`, for coroutine functions and others."""
        return self.gate.action(kind, **declared)

    @property
    def policy(self) -> Policy | None:
        """As `Gate.policy`."""
        return self.gate.policy

    async def aclose(self) -> None:
        """As `Gate.close`."""
        await asyncio.to_thread(self.gate.close)

    async def __aenter__(self) -> AsyncGate:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
