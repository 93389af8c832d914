"""`/v1/reviews` by the real application and the client that `oqm review --url` uses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from monitor.actions.review import InvalidReview, Kind, NoSuchItem, NotYours, Opinion, StaleLease
from monitor.actions.states import Proposal
from monitor.actions.states import State as ActionState
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from monitor.ledger.reviews import ReviewQueue
from monitor.review.http_desk import HttpDesk, ServiceError
from monitor.review.records import Ask, Decide, Extend, Flag, Release
from monitor.serve.app import build_app
from monitor.serve.context import Services
from monitor.serve.traces import Traces
from monitor.settings import Settings
from tests.review.made import NOW, item
from tests.review.stored import a_stored_output

SETTINGS = Settings.model_validate(
    {
        "evaluators": [{"name": "main", "kind": "chat", "url": "http://127.0.0.1:1", "model": "m"}],
        "streams": [
            {
                "match": "support",
                "criteria": [{"name": "helpful", "pass": "it answers what was asked", "evaluator": "main"}],
            }
        ],
    }
)


class Bridge(httpx.BaseTransport):
    """Speaks to an ASGI application without a network."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(app=app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self._inner.handle_async_request(request)
            content = b"".join([part async for part in answer.stream])  # type: ignore[union-attr]
            return httpx.Response(answer.status_code, headers=answer.headers, content=content, request=request)

        return asyncio.run(ask())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(str(tmp_path / "ledger"))
    yield opened
    opened.close()


@pytest.fixture
def now() -> list[float]:
    return [NOW]


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path, now: list[float]) -> Callable[..., HttpDesk]:
    a_stored_output(tmp_path / "traces", "e1", "support", NOW - 3_600)
    services = Services(settings=SETTINGS, ledger=ledger, traces=Traces(str(tmp_path / "traces")), clock=lambda: now[0])
    bridge = Bridge(build_app(services))

    def of(person: str, *scopes: str, app: str = "shop") -> HttpDesk:
        secret = ledger.token_create(
            f"t-{person}-{len(ledger.token_list())}", scopes or ("review",), NOW, app=app, person=person
        )
        return HttpDesk("http://oqm", secret, bridge)

    return of


def test_an_item_with_its_texts_is_taken_and_decided(desk: Callable[..., HttpDesk], ledger: Ledger) -> None:
    ReviewQueue(ledger).put([item(1, verdict=False, probability=0.5, second=True)])
    ann = desk("ann")
    found = ann.next(Ask())
    assert found is not None
    assert (found.output, found.input, found.question) == ("Reset it.", "My password?", "it answers what was asked")
    raw = msgspec.to_builtins(found)
    assert not {"verdict", "rationale", "evaluator", "reason", "probability"} & raw.keys()
    made = ann.decide(found.id, Decide(fence=found.fence, opinion=Opinion.PASS, note="fine"))
    assert (made.by, made.opinion, made.verdict, made.evaluator) == ("ann", Opinion.PASS, False, "main")
    assert ann.next(Ask()) is None
    second = desk("bob").next(Ask())
    assert second is not None
    assert second.kind is Kind.SAMPLE  # a second opinion does not look like one
    blind = msgspec.to_builtins(second)
    assert {**blind, "id": 0, "leased_until": 0} == {**raw, "id": 0, "leased_until": 0}


def test_a_lease_that_went_to_another_is_stale(desk: Callable[..., HttpDesk], ledger: Ledger, now: list[float]) -> None:
    ReviewQueue(ledger).put([item(1)])
    ann, bob = desk("ann"), desk("bob")
    first = ann.next(Ask(lease_s=60))
    assert first is not None
    assert bob.next(Ask()) is None
    assert ann.extend(first.id, Extend(fence=1, lease_s=100)) == NOW + 100
    now[0] += 100
    assert bob.next(Ask()) is not None
    with pytest.raises(StaleLease, match="someone else has it now"):
        ann.decide(first.id, Decide(fence=1, opinion=Opinion.PASS))
    with pytest.raises(NotYours):
        ann.release(first.id, Release(fence=2))
    bob.release(first.id, Release(fence=2))
    with pytest.raises(NoSuchItem):
        bob.decide("../../v1/whoami", Decide(fence=2, opinion=Opinion.PASS))


def test_held_actions_need_the_scope_and_the_app(desk: Callable[..., HttpDesk], ledger: Ledger) -> None:
    ledger.propose(
        Proposal(
            scope="shop", key="refund:1", kind="money", fingerprint="f1", requester="agent", stream="support",
            fields={"amount": 40}, text_hash="t1", policy_version="p1", approvals_needed=1, expires_at=NOW + 3_600,
        ),
        NOW,
    )  # fmt: skip
    assert desk("ann").next(Ask()) is None
    with pytest.raises(InvalidReview, match="approve"):
        desk("ann").next(Ask(kind=Kind.HELD))
    assert desk("joe", "review", "approve", app="other").next(Ask()) is None
    assert desk("joe", "review", app="other").list(kind=None, stream=None, criterion=None, limit=9).items == ()
    bob = desk("bob", "review", "approve")
    held = bob.next(Ask())
    assert held is not None
    assert held.action is not None
    assert (held.action.key, held.action.fields, held.action.approvals_needed) == ("refund:1", {"amount": 40}, 1)
    with pytest.raises(InvalidReview, match="approve"):
        desk("bob").decide(held.id, Decide(fence=held.fence, opinion=Opinion.PASS))
    bob.decide(held.id, Decide(fence=held.fence, opinion=Opinion.PASS))
    assert ledger.get("shop", "refund:1").state is ActionState.ALLOWED


def test_an_output_is_flagged_by_an_application_and_listed(desk: Callable[..., HttpDesk]) -> None:
    app = desk("", "feedback")
    made = app.flag(Flag(event="e1", criterion="helpful", reason="no total in the document"))
    assert made.new
    assert not app.flag(Flag(event="e1", criterion="helpful")).new
    with pytest.raises(InvalidReview, match="no such output"):
        app.flag(Flag(event="e404"))
    with pytest.raises(InvalidReview, match="none of this name"):
        app.flag(Flag(event="e1", criterion="helpfull"))
    listed = desk("ann").list(kind=Kind.FLAGGED, stream="sup*", criterion=None, limit=10)
    assert [(one.event, one.reason) for one in listed.items] == [("e1", "no total in the document")]
    assert listed.waiting == {"flagged": 1}


def test_notes_and_reasons_are_masked_as_outputs_are(desk: Callable[..., HttpDesk], ledger: Ledger) -> None:
    ann = desk("ann")
    made = ann.flag(Flag(event="e1", criterion="helpful", reason="it names bob@example.com"))
    found = ann.next(Ask())
    assert found is not None
    assert "bob@example.com" not in found.reason
    ann.decide(made.id, Decide(fence=found.fence, opinion=Opinion.FAIL, note="bob@example.com must not be there"))
    decision = ReviewQueue(ledger).decision(made.id)
    assert decision is not None
    assert decision.note.endswith("must not be there")
    assert "bob@" not in decision.note


def test_tokens_without_the_scope_or_a_person_do_not_review(desk: Callable[..., HttpDesk]) -> None:
    with pytest.raises(ServiceError, match="403"):
        desk("ann", "read").next(Ask())
    with pytest.raises(ServiceError, match="names no person"):
        desk("").next(Ask())
    wrong = desk("ann")
    wrong._client.headers["Authorization"] = "Bearer nonsense"
    with pytest.raises(ServiceError, match="401"):
        wrong.next(Ask())
