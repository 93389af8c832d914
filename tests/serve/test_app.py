"""The frame: tokens and scopes, problems, limits, paths, the OpenAPI document."""

from __future__ import annotations

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.serve.conftest import FakeLedger, Token, bearer


async def test_a_token_sees_what_it_may_do(client: httpx.AsyncClient, ledger: FakeLedger) -> None:
    ledger.tokens["s3cret"] = Token("bot", frozenset({"gate", "act"}), app="support")
    answer = await client.get("/v1/whoami", headers=bearer("s3cret"))
    assert answer.status_code == 200
    assert answer.json() == {"name": "bot", "scopes": ["act", "gate"], "app": "support"}


async def test_without_a_token_there_is_a_challenge(client: httpx.AsyncClient) -> None:
    for headers in ({}, bearer("wrong"), bearer(""), {"Authorization": "Basic eDp5"}, bearer("x" * 5_000)):
        answer = await client.get("/v1/whoami", headers=headers)
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


async def test_the_document_is_valid_openapi(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["paths"]["/v1/whoami"]["get"]["security"][0] == {"token": ["gate"]}
