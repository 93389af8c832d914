"""The real application on a real ledger (SQLite, in a folder of the test), spoken to without a network."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.actions.states import Action, Proposal
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from monitor.serve.app import build_app
from monitor.serve.context import Services
from monitor.serve.parts import add_parts
from monitor.serve.route import Route
from monitor.serve.routes import ROUTES
from monitor.settings import Settings

NOW = 1_764_000_000.0


class Clock:
    """The time that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Tokens:
    """Makes tokens; gives the header that carries one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._made = 0
        self._lock = threading.Lock()

    def __call__(self, *scopes: str, name: str = "", **more: Any) -> dict[str, str]:
        with self._lock:
            self._made += 1
            name = name or f"token-{self._made}"
        return bearer(self._ledger.token_create(name, scopes, NOW, **more))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def proposed(ledger: Ledger, key: str = "refund:4711", **more: Any) -> Action:
    """An action as the gate enters it."""
    fields: dict[str, Any] = {
        "scope": "shop",
        "kind": "money",
        "fingerprint": "f" * 64,
        "requester": "bot",
        "text_hash": "t" * 64,
        "policy_version": "p1",
    }
    return ledger.propose(Proposal(key=key, **{**fields, **more}), NOW)


CLAIM = {"kind": "money", "fingerprint": "f" * 64, "text_hash": "t" * 64, "policy_version": "p1"}
SEEN = {"fingerprint": "f" * 64, "text_hash": "t" * 64, "policy_version": "p1"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = open_ledger(str(tmp_path / "ledger"))
    yield found
    found.close()


@pytest.fixture
def tokens(ledger: Ledger) -> Tokens:
    return Tokens(ledger)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(ledger: Ledger, clock: Clock) -> Services:
    made = Services(settings=Settings(), ledger=ledger, clock=clock)
    add_parts(made)
    return made


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(services) as client:
        yield client


def client_of(services: Services, routes: Sequence[Route] = ROUTES) -> httpx.AsyncClient:
    """Speaks to the application of these services; an error of ours is an answer here too."""
    app: Any = build_app(services, routes)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://oqm")
