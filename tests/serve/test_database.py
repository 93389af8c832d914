"""What the service says while its database is away, and what two requests at once can do to one action."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from monitor.ledger.base import Ledger, LedgerError
from monitor.ledger.open import open_ledger
from monitor.serve.context import Services
from monitor.serve.parts import add_parts
from monitor.serve.sweeper import Sweeper
from monitor.settings import Settings
from monitor.store.open import open_store
from tests.serve.conftest import CLAIM, SEEN, Clock, Tokens, client_of, proposed
from tests.serve.test_actions import kind_of
from tests.servers import PostgresServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    made = PostgresServer(tmp_path)
    made.start()
    yield made
    made.remove()


async def test_while_postgresql_is_away_claims_are_refused_and_afterwards_they_work(server: PostgresServer) -> None:
    ledger = open_ledger(server.url)
    services = Services(settings=Settings(), ledger=ledger)
    add_parts(services)
    bot = Tokens(ledger)("act", app="shop")
    proposed(ledger)
    url = "/v1/actions/refund:4711/claim"
    async with client_of(services) as client:
        assert (await client.get("/readyz")).status_code == 200
        server.stop()
        refused = await client.post(url, headers=bot, json=CLAIM)
        assert kind_of(refused) == (503, "ledger-unavailable")
        assert refused.headers["retry-after"] == "1"
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ok"]) == (503, False)
        assert server.url not in ready.text
        assert (await client.get("/healthz")).status_code == 200
        metrics = await client.get("/metrics")  # what is not known is left out, and never zero
        assert 'oqm_serve_requests_total{route="post_v1_actions_key_claim",status="503"} 1.0' in metrics.text
        assert "oqm_ledger_" not in metrics.text
        with pytest.raises(LedgerError):
            services.part(Sweeper).sweep()
        server.start()
        assert (await client.post(url, headers=bot, json=CLAIM)).status_code == 201
        assert (await client.get("/readyz")).status_code == 200
    ledger.close()


async def test_of_many_decisions_at_once_one_counts(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    proposed(ledger, approvals_needed=1)
    people = [tokens("approve", app="*", person=f"person-{number}") for number in range(8)]
    url = "/v1/approvals/refund:4711"
    asked = [client.post(f"{url}/approve?app=shop", headers=one, json=SEEN) for one in people[:4]]
    asked += [client.post(f"{url}/reject?app=shop", headers=one, json={"why": "no"}) for one in people[4:]]
    answers = await asyncio.gather(*asked)
    action = ledger.get("shop", "refund:4711")
    assert action.state in ("rejected", "allowed")
    assert action.approvals <= 1
    assert ledger.verify_audit() is None
    # A rejection counts also after an approval, and no approval after a rejection.
    decided = [answer.json().get("state") for answer in answers if answer.status_code == 200]
    assert decided[:1] == ["allowed"] or decided == ["rejected"]
    assert {kind_of(answer) for answer in answers if answer.status_code != 200} <= {(409, "final")}


async def test_an_approval_at_the_moment_of_expiry_is_one_or_the_other(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger, clock: Clock, services: Services
) -> None:
    ann, sweeper = tokens("approve", app="shop", person="ann"), services.part(Sweeper)
    for number in range(10):
        proposed(ledger, f"k{number}", approvals_needed=1, expires_at=clock.now + 60)
    clock.now += 60
    approvals = [client.post(f"/v1/approvals/k{number}/approve", headers=ann, json=SEEN) for number in range(10)]
    answers = await asyncio.gather(*approvals, asyncio.to_thread(sweeper.sweep))
    for number, answer in enumerate(answers[:10]):
        assert answer is not None
        state = ledger.get("shop", f"k{number}").state
        assert (answer.status_code, state) in ((200, "allowed"), (410, "expired"))


def test_the_ledger_may_stand_in_the_folder_of_the_trace_store(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    for _ in range(2):
        store, ledger = open_store(folder), open_ledger(folder)
        assert store.find("e1") == []
        assert list(ledger.list()) == []
        ledger.close()
        store.close()
