"""`GET /v1/cascade/{id}`: what followed, for tokens of one app and of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.ledger.base import Ledger
from monitor.serve.context import Services
from monitor.serve.traces import Traces
from monitor.store.open import open_store
from tests.cascade.chain import ALERT, fill
from tests.serve.conftest import Tokens, client_of


@pytest.fixture
def with_traces(services: Services, ledger: Ledger, tmp_path: Path) -> Services:
    store = open_store(str(tmp_path / "traces"))
    fill(store, ledger)
    store.close()
    services.traces = Traces(str(tmp_path / "traces"))
    return services


async def test_what_followed_is_told_to_who_may_read(with_traces: Services, tokens: Tokens) -> None:
    async with client_of(with_traces) as client:
        own, other = tokens("read", app="shop"), tokens("read", app="bank")
        for identity, began_with in (("flagged", 1), (ALERT, 2)):
            answer = await client.get(f"/v1/cascade/{identity}", headers=own)
            assert answer.status_code == 200
            found = answer.json()
            assert (found["began_with"], found["outputs"], found["actions"]) == (began_with, 2, 5)
            assert {one["key"]: one["remedy"] for one in found["acted"]} == {
                "draft-1": "over", "email-1": "none", "record-1": "undo", "money-1": "reject", "ticket-1": "reject",
            }  # fmt: skip
        told = (await client.get("/v1/cascade/flagged", headers=other)).json()
        assert (told["actions"], told["acted"]) == (5, [])
        action = (await client.get("/v1/cascade/email-1", headers=own)).json()
        assert (action["what"], action["actions"]) == ("action", 1)
        nothing = await client.get("/v1/cascade/nothing%2F..%2Fat%20all", headers=own)
        assert (nothing.status_code, nothing.json()["type"]) == (404, "urn:oqm:problem:no-such-origin")
        assert (await client.get("/v1/cascade/flagged", headers=tokens("act", app="shop"))).status_code == 403
