"""What a stranger, a wrong token or a hostile agent may try."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.ledger.base import Ledger
from monitor.serve.context import Services
from monitor.serve.route import Route
from monitor.serve.routes import ROUTES
from monitor.serve.scopes import Scope
from tests.serve.conftest import CLAIM, SEEN, Tokens, client_of, proposed
from tests.serve.test_actions import kind_of

OPEN = {"/healthz", "/readyz", "/metrics"}


def url_of(route: Route, part: str = "some-key") -> str:
    return re.sub(r"\{\w+\}", quote(part, safe=""), route.path)


async def test_each_route_takes_the_scopes_of_the_table_and_no_other(services: Services, tokens: Tokens) -> None:
    # A generous person's token of every app, but for the scope.
    headers = {scope: tokens(scope.value, app="*", person="ann") for scope in Scope}
    async with client_of(services) as client:
        for route in ROUTES:
            anonymous = await client.request(route.method, url_of(route))
            assert (anonymous.status_code == 401) == (route.path not in OPEN), route.path
            for scope in Scope:
                answer = await client.request(route.method, url_of(route), headers=headers[scope], content=b"{}")
                refused = kind_of(answer) == (403, "insufficient-scope") if answer.status_code == 403 else False
                assert refused == bool(route.scopes and scope not in route.scopes), (route.path, scope)


def test_only_these_routes_are_open_and_reading_changes_nothing() -> None:
    assert {route.path for route in ROUTES if not route.scopes} == OPEN
    for route in ROUTES:
        if route.method != "GET":
            assert Scope.READ not in route.scopes, route.path


async def test_a_token_reaches_the_actions_of_its_app_only(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger
) -> None:
    proposed(ledger, approvals_needed=1)
    stranger = tokens("act", "read", app="other")
    url = "/v1/actions/refund:4711"
    assert kind_of(await client.post(f"{url}/claim", headers=stranger, json=CLAIM)) == (404, "no-such-action")
    assert kind_of(await client.get(url, headers=stranger)) == (404, "no-such-action")
    assert kind_of(await client.get(f"{url}?app=shop", headers=stranger)) == (403, "other-app")
    assert kind_of(await client.get("/v1/actions?app=shop", headers=stranger)) == (403, "other-app")
    assert (await client.get("/v1/actions", headers=stranger)).json()["actions"] == []
    approver = tokens("approve", app="other", person="eve")
    answer = await client.post("/v1/approvals/refund:4711/approve?app=shop", headers=approver, json=SEEN)
    assert kind_of(answer) == (403, "other-app")
    everyone = tokens("act", app="*")  # the command line makes none of these
    assert kind_of(await client.post(f"{url}/claim", headers=everyone, json=CLAIM)) == (403, "no-app")
    assert kind_of(await client.get("/v1/audit", headers=tokens("admin", app="shop"))) == (403, "other-app")
    assert (await client.get("/v1/audit", headers=tokens("admin", app="*"))).status_code == 200


async def test_who_asks_cannot_allow_it(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    proposed(ledger, approvals_needed=1, requester="ann")
    url = "/v1/approvals/refund:4711/approve"
    # Another token of the same person, and a program's token.
    own = tokens("approve", app="shop", person="ann")
    assert kind_of(await client.post(url, headers=own, json=SEEN)) == (403, "own-action")
    program = tokens("approve", app="shop")
    assert kind_of(await client.post(url, headers=program, json=SEEN)) == (403, "not-a-person")
    assert ledger.get("shop", "refund:4711").approvals == 0


@pytest.mark.parametrize(
    "more",
    [
        {"scope": "admin"},
        {"on_unknown": "retry"},
        {"undo": "nothing to undo"},
        {"approvals_needed": 0},
        {"proposal": {}},
        {"claimant": "ann"},
        {"app": "other"},
    ],
)
async def test_a_claim_cannot_name_its_own_rights(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger, more: dict[str, Any]
) -> None:
    proposed(ledger, approvals_needed=1)
    answer = await client.post(
        "/v1/actions/refund:4711/claim", headers=tokens("act", app="shop"), json={**CLAIM, **more}
    )
    assert kind_of(answer) == (422, "invalid-body")
    assert ledger.get("shop", "refund:4711").on_unknown == "ask"


@pytest.mark.parametrize(
    "key",
    [
        "a/b/../c",
        "../../etc/passwd",
        "50 % off?#&=+",
        "' or 1=1; drop table action; --",
        '"\\";select pg_sleep(10)',
        "naïve Ünïcode 退款 🧾",
        "a" * 256,
    ],
)
async def test_a_key_is_a_name_whatever_it_holds(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger, key: str
) -> None:
    proposed(ledger, key)
    bot = tokens("act", app="shop")
    answer = await client.post(f"/v1/actions/{quote(key, safe='')}/claim", headers=bot, json=CLAIM)
    assert (answer.status_code, answer.json().get("key")) == (201, key)
    assert ledger.get("shop", key).state == "claimed"
    assert ledger.verify_audit() is None


async def test_two_spellings_of_a_key_are_one_action(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    proposed(ledger, "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    bot = tokens("act", app="shop")
    answer = await client.post("/v1/actions/cafe%CC%81/claim", headers=bot, json=CLAIM)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "encoded",
    ["a%00b", "a%0Ab", "%E2%80%AEevil", "a%E2%80%8Bb", "a%EF%BB%BF", "%EE%80%80", "%20a", "a" * 257, "a%C2%85b"],
)
async def test_a_key_with_invisible_characters_is_refused(
    client: httpx.AsyncClient, tokens: Tokens, encoded: str
) -> None:
    bot = tokens("act", app="shop")
    for answer in (
        await client.post(f"/v1/actions/{encoded}/claim", headers=bot, json=CLAIM),
        await client.get(f"/v1/actions/{encoded}", headers=bot),
    ):
        assert kind_of(answer) in ((422, "invalid-action"), (404, "no-such-action"))
    answer = await client.post(f"/v1/actions/{encoded}/claim", headers=bot, json=CLAIM)
    assert not re.search(r"[\x00-\x1f\u200b-\u202e]", answer.json()["detail"])


async def test_a_path_that_is_no_utf_8_is_refused(client: httpx.AsyncClient, tokens: Tokens) -> None:
    for encoded in ("%ff", "%C0%AF", "%ED%A0%80"):
        answer = await client.get(f"/v1/actions/{encoded}", headers=tokens("read"))
        assert kind_of(answer) == (400, "invalid-path")


async def test_nothing_that_is_sent_becomes_a_header(client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger) -> None:
    evil = "a\r\nSet-Cookie: x=1"
    proposed(ledger, approvals_needed=1)
    ann = tokens("approve", app="shop", person="ann")
    await client.post("/v1/approvals/refund:4711/reject", headers=ann, json={"why": evil})
    answers = [
        await client.post("/v1/actions/refund:4711/claim", headers=tokens("act", app="shop"), json=CLAIM),
        await client.get(f"/v1/actions?kind={quote(evil)}", headers=tokens("read")),
        await client.get(f"/v1/actions?{quote(evil)}=1", headers=tokens("read")),
        await client.get(f"/{quote(evil)}"),
        await client.get("/healthz", headers=[(b"X-Request-Id", b"a;Set-Cookie: x=1")]),
        await client.get("/v1/whoami", headers=[(b"Authorization", b"Bearer a"), (b"Authorization", b"Bearer b")]),
    ]
    for answer in answers:
        assert "set-cookie" not in answer.headers
        assert all("\n" not in value and "\r" not in value for value in answer.headers.values())
    assert answers[-1].status_code == 400


async def test_a_number_that_no_database_holds_is_refused(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger
) -> None:
    proposed(ledger)
    headers = tokens(*Scope, app="shop", person="ann")
    # All fields that some route knows, each with what would fit, but for the fence.
    fitting = {"result": 1, "why": "w", "lease_s": 60.0, "opinion": "pass"}
    for route in ROUTES:
        if route.request is not None and "fence" in (names := route.request.__struct_fields__):
            body = {"fence": 10**30, **{name: value for name, value in fitting.items() if name in names}}
            answer = await client.post(url_of(route), headers=headers, json=body)
            assert (kind_of(answer), answer.json()["pointer"]) == ((422, "invalid-body"), "$.fence")
    for query in ("/v1/actions?before=", "/v1/approvals?before=", "/v1/audit?after="):
        for number in (-1, 2**63, 10**30):
            answer = await client.get(f"{query}{number}", headers=headers)
            assert kind_of(answer) == (422, "invalid-query")


class Asked:
    """The application, asked by someone who may everything."""

    def __init__(self, services: Services, headers: dict[str, str]) -> None:
        self._client, self._headers = client_of(services), headers

    async def ask(self, route: Route, key: str, body: Any, query: dict[str, str]) -> httpx.Response:
        url = url_of(route, key)
        return await self._client.request(route.method, url, headers=self._headers, json=body, params=query)


@pytest.fixture
def application(services: Services, tokens: Tokens) -> Asked:
    return Asked(services, tokens(*Scope, app="shop", person="ann"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = sorted({name for route in ROUTES if route.request for name in route.request.__struct_fields__})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.integers(0, len(ROUTES) - 1),
    key=st.text(min_size=1, max_size=12),
    body=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6) | JSON,
    query=st.dictionaries(st.sampled_from(["app", "state", "limit", "before", "since", "x"]), st.text(max_size=6)),
)
def test_no_request_is_an_error_of_ours(
    application: Asked, place: int, key: str, body: Any, query: dict[str, str]
) -> None:
    route = ROUTES[place]
    answer = asyncio.run(application.ask(route, key, body, query))
    declared = {*route.responses, 400, 401, 403, 413, 422, 429, 501, 503}
    assert answer.status_code in declared, (route.method, answer.request.url, body, answer.text)
    if answer.status_code >= 400 and route.path != "/readyz":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
