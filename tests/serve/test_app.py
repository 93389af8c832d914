"""The frame: tokens, problems, limits, paths, counts, the OpenAPI document."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from monitor.ledger.base import Ledger, LedgerError
from monitor.serve.context import Context, Services
from monitor.serve.rate_limit import RateLimit
from monitor.serve.route import Answer, Route
from monitor.serve.routes import ROUTES
from tests.serve.conftest import NOW, Clock, Tokens, bearer, client_of, proposed


async def test_a_token_sees_what_it_may_do(client: httpx.AsyncClient, tokens: Tokens) -> None:
    headers = tokens("gate", "act", name="bot", app="shop", expires_at=NOW + 60)
    answer = await client.get("/v1/whoami", headers=headers)
    assert answer.status_code == 200
    said = {"name": "bot", "scopes": ["act", "gate"], "app": "shop", "person": "", "expires_at": NOW + 60}
    assert answer.json() == {name: value for name, value in said.items() if value != ""}


async def test_without_a_valid_token_there_is_a_challenge(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger, clock: Clock
) -> None:
    expired, revoked = tokens("read", expires_at=NOW + 1), tokens("read", name="gone")
    assert (await client.get("/v1/whoami", headers=expired)).status_code == 200
    clock.now += 2
    ledger.token_revoke("gone", clock.now)
    basic = {"Authorization": "Basic eDp5"}
    for headers in ({}, bearer("wrong"), bearer(""), basic, bearer("x" * 5_000), bearer("é"), expired, revoked):
        answer = await client.get("/v1/whoami", headers={k.encode(): v.encode() for k, v in headers.items()})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["type"] == "urn:oqm:problem:unauthorized"
        assert problem["request_id"] == answer.headers["x-request-id"]


async def test_what_does_not_exist_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:oqm:problem:no-such-path"
    answer = await client.delete("/healthz")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert (await client.head("/healthz")).status_code == 200


async def test_the_document_is_valid_openapi(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == len(ROUTES)
    claim = document["paths"]["/v1/actions/{key}/claim"]["post"]
    assert claim["security"] == [{"token": ["act"]}]
    assert set(claim["responses"]) == {"200", "201", "202", "404", "409", "410", "422", "default"}


async def test_bodies_and_queries_that_do_not_fit_say_what_to_change(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger
) -> None:
    headers = tokens("act", app="shop")
    proposed(ledger)

    async def refused(body: bytes) -> tuple[int, str, str]:
        answer = await client.post("/v1/actions/refund:4711/claim", headers=headers, content=body)
        return answer.status_code, answer.json()["type"].rpartition(":")[2], answer.json().get("pointer", "")

    assert await refused(b"") == (400, "not-json", "")
    assert await refused(b"{") == (400, "not-json", "")
    assert await refused(b"\xff") == (400, "not-json", "")
    assert (await refused(b'{"kind": ' + b"[" * 100_000))[0] == 422
    assert await refused(b"{}") == (422, "invalid-body", "")
    assert await refused(b'{"kind": 1, "fingerprint": "f"}') == (422, "invalid-body", "$.kind")
    assert await refused(b'{"kind": "money", "fingerprint": "f", "on_unknown": "retry"}') == (422, "invalid-body", "")
    for query in ("limit=0", "limit=x", "state=heldd", "nonsense=1", "kind=a&kind=b", "kind=%ff"):
        answer = await client.get(f"/v1/actions?{query}", headers=headers)
        assert answer.json()["type"] == "urn:oqm:problem:invalid-query"
        assert answer.status_code in (400, 422)


async def test_a_body_above_the_limit_is_refused_and_the_connection_closed(
    client: httpx.AsyncClient, tokens: Tokens
) -> None:
    headers = tokens("act", app="shop")
    answer = await client.post("/v1/actions/a/claim", headers=headers, content=b" " * 1_048_577)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2_000):
            yield b" " * 1_024

    answer = await client.post("/v1/actions/a/claim", headers=headers, content=endless())
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_a_rate_limit_lets_a_burst_pass_and_then_a_steady_rate() -> None:
    limit = RateLimit(per_s=10, burst=5)
    assert [limit.take("a", 100.0) for _ in range(5)] == [0.0] * 5
    assert limit.take("a", 100.0) == pytest.approx(0.1)
    assert limit.take("a", 100.0) == pytest.approx(0.1)  # a refused request takes nothing
    assert limit.take("b", 100.0) == 0.0
    assert limit.take("a", 100.1) == 0.0
    assert [limit.take("a", 200.0) for _ in range(6)] == [0.0] * 5 + [pytest.approx(0.1)]


async def test_too_many_requests_of_one_token_wait(services: Services, tokens: Tokens) -> None:
    few = services.settings.serve.limits.model_copy(update={"requests_per_second": 0.25, "burst": 2})
    serve = services.settings.serve.model_copy(update={"limits": few})
    services.settings = services.settings.model_copy(update={"serve": serve})
    first, second = tokens("read"), tokens("read")
    async with client_of(services) as client:
        assert [(await client.get("/v1/actions", headers=first)).status_code for _ in range(2)] == [200, 200]
        answer = await client.get("/v1/actions", headers=first)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "4"
        assert 3 < answer.json()["retry_after_s"] <= 4
        assert (await client.get("/v1/actions", headers=second)).status_code == 200


async def test_an_error_of_ours_is_a_problem_without_its_text(services: Services) -> None:
    def broken(_: Context, __: None) -> Answer:
        raise RuntimeError("secret detail")

    def away(_: Context, __: None) -> Answer:
        raise LedgerError("postgresql://user:password@host: gone")

    routes = [
        Route(method="GET", path=path, scope=None, summary="", handler=handler, responses={})
        for path, handler in (("/broken", broken), ("/away", away))
    ]
    async with client_of(services, routes) as client:
        answer = await client.get("/broken")
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:oqm:problem:internal-error")
        assert "secret" not in answer.text
        answer = await client.get("/away")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "password" not in answer.text


async def test_the_request_id_of_a_client_is_kept_where_it_is_harmless(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"})
    assert answer.headers["x-request-id"] == "abc-1.2_3"
    answer = await client.get("/healthz", headers={"X-Request-Id": "a b; c" + "d" * 100})
    assert len(answer.headers["x-request-id"]) == 32


async def test_metrics_count_requests_and_what_the_ledger_holds(
    client: httpx.AsyncClient, tokens: Tokens, ledger: Ledger, clock: Clock
) -> None:
    proposed(ledger, "held", approvals_needed=1)
    proposed(ledger, "free")
    body = {"kind": "money", "fingerprint": "other"}
    await client.post("/v1/actions/free/claim", headers=tokens("act", app="shop"), json=body)
    clock.now += 30
    text = (await client.get("/metrics")).text
    assert 'oqm_serve_requests_total{route="post_v1_actions_key_claim",status="422"} 1.0' in text
    assert 'oqm_ledger_open_actions{kind="money",state="held"} 1.0' in text
    assert 'oqm_ledger_oldest_action_seconds{kind="money",state="held"} 30.0' in text
    assert 'oqm_ledger_duplicates_total{kind="money",what="mismatch"} 1.0' in text
