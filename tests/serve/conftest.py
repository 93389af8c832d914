"""A service in memory: the real application, spoken to without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from monitor.serve.app import build_app
from monitor.serve.context import Services
from monitor.settings import Settings


class Token(msgspec.Struct, frozen=True):
    name: str
    scopes: frozenset[str]
    app: str | None = None
    person: str | None = None


class FakeLedger:
    """Tokens only, by their secrets."""

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}

    def token_find(self, secret: str, now: float) -> Token | None:
        return self.tokens.get(secret)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def services(ledger: FakeLedger) -> Services:
    return Services(settings=Settings(), ledger=ledger, clock=lambda: 1_764_000_000.0)


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    app: Any = build_app(services)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://oqm") as client:
        yield client
