"""Actions and approvals over HTTP: each answer of the ledger has its status."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from monitor.ledger.base import Ledger
from monitor.serve.context import Services
from monitor.serve.sweeper import Sweeper
from tests.serve.conftest import CLAIM, SEEN, Clock, Tokens, proposed


def kind_of(answer: httpx.Response) -> tuple[int, str]:
    """Status and problem, or an empty text."""
    said = answer.json()
    return answer.status_code, said.get("type", "").rpartition(":")[2] if isinstance(said, dict) else ""


async def test_an_action_from_claim_to_replay(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    proposed(ledger)
    bot, url = tokens("act", app="shop"), "/v1/actions/refund:4711"
    mine = await client.post(f"{url}/claim", headers=bot, json=CLAIM)
    assert mine.status_code == 201
    assert mine.json() == {"key": "refund:4711", "fence": 1, "lease_until": mine.json()["lease_until"]}
    second = await client.post(f"{url}/claim", headers=bot, json=CLAIM)
    assert kind_of(second) == (409, "in-flight")
    assert second.headers["retry-after"] == "60"
    assert second.json()["action"]["state"] == "claimed"
    longer = await client.post(f"{url}/extend", headers=bot, json={"fence": 1, "lease_s": 120})
    assert longer.json()["lease_until"] > mine.json()["lease_until"]
    result = b'{"id":   "tr_1", "amount": 10.50}'
    done = await client.post(f"{url}/done", headers=bot, content=b'{"fence": 1, "result": ' + result + b"}")
    assert (done.status_code, done.json()["state"]) == (200, "done")
    replay = await client.post(f"{url}/claim", headers=bot, json=CLAIM)
    assert (replay.status_code, replay.content) == (200, result)
    assert replay.headers["idempotency-replayed"] == "true"
    assert replay.headers["content-type"] == "application/json"
    stale = await client.post(f"{url}/fail", headers=bot, json={"fence": 7, "why": "time-out"})
    assert kind_of(stale) == (409, "stale-fence")
    other = await client.post(f"{url}/claim", headers=bot, json={**CLAIM, "fingerprint": "0"})
    assert kind_of(other) == (422, "mismatch")
    assert other.json()["differs"] == "fields"
    missing = await client.post("/v1/actions/nothing/claim", headers=bot, json=CLAIM)
    assert kind_of(missing) == (404, "no-such-action")


async def test_a_request_that_is_sent_again_is_the_same_claim(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger
) -> None:
    proposed(ledger)
    bot, url = tokens("act", app="shop"), "/v1/actions/refund:4711/claim"

    async def fence(key: str, **more: Any) -> tuple[int, Any]:
        answer = await client.post(url, headers={**bot, "Idempotency-Key": key}, json={**CLAIM, **more})
        return answer.status_code, answer.json().get("fence") or answer.json()["type"].rpartition(":")[2]

    assert await fence('"8e03978e-40d5"') == (201, 1)
    assert await fence('"8e03978e-40d5"') == (201, 1)
    assert await fence("8e03978e-40d5") == (201, 1)  # without quotes, as most clients send it
    assert await fence('"8e03978e-40d5"', attempt="8e03978e-40d5") == (201, 1)
    assert await fence('"another"') == (409, "in-flight")
    assert await fence('"8e03978e-40d5"', attempt="other") == (422, "idempotency-mismatch")
    for wrong in ('"open', "two words", '""', '"' + "x" * 257 + '"'):
        assert await fence(wrong) == (400, "invalid-idempotency-key")


async def test_what_is_unknown_waits_for_someone_who_knows(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger, clock: Clock, services: Services
) -> None:
    proposed(ledger)
    bot, url = tokens("act", app="shop"), "/v1/actions/refund:4711"
    await client.post(f"{url}/claim", headers=bot, json={**CLAIM, "lease_s": 5})
    clock.now += 6
    services.part(Sweeper).sweep()
    assert kind_of(await client.post(f"{url}/claim", headers=bot, json=CLAIM)) == (409, "unknown")
    listed = await client.get("/v1/actions?state=unknown", headers=bot)
    assert [one["key"] for one in listed.json()["actions"]] == ["refund:4711"]
    for wrong in ({"outcome": "held", "why": "x"}, {"outcome": "done", "why": " "}):
        assert kind_of(await client.post(f"{url}/resolve", headers=bot, json=wrong)) == (422, "invalid-body")
    body: dict[str, Any] = {"outcome": "done", "why": "the bank shows it", "result": {"id": "tr_9"}}
    resolved = await client.post(f"{url}/resolve", headers=bot, json=body)
    assert (resolved.status_code, resolved.json()["state"]) == (200, "done")
    replay = await client.post(f"{url}/claim", headers=bot, json=CLAIM)
    assert replay.json() == {"id": "tr_9"}
    assert kind_of(await client.post(f"{url}/resolve", headers=bot, json=body)) == (409, "wrong-state")


async def test_what_is_done_can_be_undone_once(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    proposed(ledger, undo="delete the row")
    bot, url = tokens("act", app="shop"), "/v1/actions/refund:4711"
    why = {"why": "wrong customer"}
    assert kind_of(await client.post(f"{url}/undo", headers=bot, json=why)) == (409, "wrong-state")
    await client.post(f"{url}/claim", headers=bot, json=CLAIM)
    await client.post(f"{url}/done", headers=bot, json={"fence": 1, "result": None})
    made = await client.post(f"{url}/undo", headers=bot, json=why)
    assert (made.status_code, made.json()["key"], made.json()["undoes"]) == (201, "undo:refund:4711", "refund:4711")
    fields = {name: made.json().get(name, "") for name in CLAIM}
    mine = await client.post("/v1/actions/undo%3Arefund%3A4711/claim", headers=bot, json=fields)
    assert mine.status_code == 201, mine.text
    await client.post("/v1/actions/undo:refund:4711/done", headers=bot, json={"fence": 1, "result": 1})
    assert kind_of(await client.post(f"{url}/claim", headers=bot, json=CLAIM)) == (410, "undone")


async def test_what_is_held_waits_for_two_people(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    proposed(ledger, approvals_needed=2, payload={"amount": 2000})
    bot = tokens("act", app="shop")
    ann, bob = (tokens("approve", app="*", person=name) for name in ("ann", "bob"))
    held = await client.post("/v1/actions/refund:4711/claim", headers=bot, json=CLAIM)
    assert (held.status_code, held.json()["action"]["state"]) == (202, "held")
    waiting = (await client.get("/v1/approvals", headers=ann)).json()["actions"]
    assert [(one["key"], one["app"], one["payload"]) for one in waiting] == [("refund:4711", "shop", {"amount": 2000})]
    url = "/v1/approvals/refund:4711/approve?app=shop"
    other = await client.post(url, headers=ann, json={**SEEN, "text_hash": "another"})
    assert kind_of(other) == (409, "other-content")
    assert (await client.post(url, headers=ann, json=SEEN)).json()["approvals"] == 1
    assert kind_of(await client.post(url, headers=ann, json=SEEN)) == (409, "twice")
    assert (await client.post(url, headers=bob, json=SEEN)).json()["state"] == "allowed"
    assert (await client.post("/v1/actions/refund:4711/claim", headers=bot, json=CLAIM)).status_code == 201
    # The approval is used: a replayed one is refused, and after a failure people decide again.
    assert kind_of(await client.post(url, headers=bob, json=SEEN)) == (409, "final")
    await client.post("/v1/actions/refund:4711/fail", headers=bot, json={"fence": 1, "why": "no connection"})
    assert (await client.post("/v1/actions/refund:4711/claim", headers=bot, json=CLAIM)).status_code == 202


async def test_rejected_and_expired_are_different_answers(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger, clock: Clock, services: Services
) -> None:
    bot, ann = tokens("act", app="shop"), tokens("approve", app="shop", person="ann")
    proposed(ledger, "no", approvals_needed=1)
    proposed(ledger, "late", approvals_needed=1, expires_at=clock.now + 60, on_timeout="fall_back")
    url = "/v1/approvals/no/reject"
    assert kind_of(await client.post(url, headers=ann, json={"why": ""})) == (422, "invalid-body")
    assert (await client.post(url, headers=ann, json={"why": "not this customer"})).json()["state"] == "rejected"
    clock.now += 61
    services.part(Sweeper).sweep()
    rejected = await client.post("/v1/actions/no/claim", headers=bot, json=CLAIM)
    assert kind_of(rejected) == (410, "rejected")
    assert "not this customer" in rejected.json()["detail"]
    expired = await client.post("/v1/actions/late/claim", headers=bot, json=CLAIM)
    assert kind_of(expired) == (410, "expired")
    assert "fall_back" in expired.json()["detail"]
    assert kind_of(await client.post("/v1/approvals/late/approve", headers=ann, json=SEEN)) == (410, "expired")


async def test_of_many_claims_at_once_one_is_mine(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    proposed(ledger)
    bot = tokens("act", app="shop")
    claims = [client.post("/v1/actions/refund:4711/claim", headers=bot, json=CLAIM) for _ in range(20)]
    answers = await asyncio.gather(*claims)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


async def test_actions_come_in_pages(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    for number in range(5):
        proposed(ledger, f"k{number}")
    headers, keys, before = tokens("read", app="shop"), [], ""
    while True:
        page = (await client.get(f"/v1/actions?limit=2{before}", headers=headers)).json()
        keys += [one["key"] for one in page["actions"]]
        if page["next_before"] is None:
            break
        before = f"&before={page['next_before']}"
    assert keys == ["k4", "k3", "k2", "k1", "k0"]
    one = await client.get("/v1/actions/k0", headers=headers)
    assert (one.status_code, one.json()["state"]) == (200, "allowed")
