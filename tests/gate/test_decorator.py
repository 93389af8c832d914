"""`@gate.action`: runs once for a key, says how it ended, and what happens where that is not known."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from monitor.actions.states import State
from monitor.errors import ConfigError
from monitor.gate import (
    AsyncGate,
    FellBack,
    Gate,
    Held,
    InFlight,
    NothingHappened,
    NotRun,
    OutcomeUnknown,
    Rejected,
)
from tests.gate.conftest import Monitor

TEXT = "Shall we talk on Tuesday about your data platform?"
UNTIL = 30.0
"""Seconds after which a wait is a hang."""


def decide(monitor: Monitor, key: str, person: str, verb: str = "approve") -> int:
    action = monitor.ledger.get("default", key)
    binding = {
        "fingerprint": action.fingerprint,
        "text_hash": action.text_hash,
        "policy_version": action.policy_version,
    }
    answer = httpx.post(
        f"{monitor.url}/v1/approvals/{key}/{verb}",
        json={**(binding if verb == "approve" else {"why": "no"})},
        headers={"Authorization": f"Bearer {monitor.people[person]}"},
        timeout=UNTIL,
    )
    return answer.status_code


def test_it_runs_once_for_a_key_and_later_calls_get_its_result(monitor: Monitor, gate: Gate) -> None:
    runs = []

    @gate.action("email", key="email:{lead}:{step}", stream="outreach/email", text="text", target="to", fields=["to"])
    def send(lead: int, step: int, to: str, text: str, *, idempotency_key: str) -> dict[str, object]:
        runs.append(idempotency_key)
        return {"id": len(runs), "to": to}

    assert send(7, 1, "a@x.example", TEXT) == {"id": 1, "to": "a@x.example"}
    assert send(7, 1, "a@x.example", "Other words, as a model says them the second time.") == {
        "id": 1,
        "to": "a@x.example",
    }
    assert runs == ["email:7:1"]
    assert list(inspect.signature(send).parameters) == ["lead", "step", "to", "text"]
    [replayed] = monitor.ledger.duplicates()
    assert (replayed.kind, replayed.what, replayed.count) == ("email", "replay", 1)


def test_values_cannot_make_the_key_of_another_object(gate: Gate) -> None:
    keys = []

    @gate.action("draft", key="draft:{a}:{b}")
    def save(a: str, b: str, idempotency_key: str) -> None:
        keys.append(idempotency_key)

    save("x:y", "z")
    save("x", "y:z")
    assert keys == ["draft:x%3Ay:z", "draft:x:y%3Az"]


def test_what_is_declared_as_no_effect_may_be_tried_again(monitor: Monitor, gate: Gate) -> None:
    attempts = []

    @gate.action("email", key="email:1", stream="mail", text="text", nothing_happened=ConnectionRefusedError)
    def send(text: str) -> str:
        attempts.append(text)
        if len(attempts) == 1:
            raise ConnectionRefusedError("mail server is down")
        if len(attempts) == 2:
            raise NothingHappened("address refused")
        return "sent"

    with pytest.raises(ConnectionRefusedError):
        send(TEXT)
    assert monitor.ledger.get("default", "email:1").state is State.FAILED
    with pytest.raises(NothingHappened):
        send(TEXT)
    assert send(TEXT) == "sent"
    assert len(attempts) == 3


def unclear(gate: Gate, kind: str, attempts: list[int], **declared: object) -> Callable[[], str]:
    @gate.action(kind, key=f"{kind}:1", stream="mail", **declared)
    def act() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise TimeoutError("no answer")
        return "sent"

    return act


def test_an_unexpected_error_leaves_the_outcome_unknown_and_it_is_not_tried_again(monitor: Monitor, gate: Gate) -> None:
    attempts: list[int] = []
    act = unclear(gate, "email", attempts)
    with pytest.raises(TimeoutError):
        act()
    with pytest.raises(OutcomeUnknown):
        act()
    assert len(attempts) == 1
    monitor.ledger.resolve("default", "email:1", State.FAILED, "ann", "asked the mail server", monitor.now())
    assert act() == "sent"


@pytest.mark.parametrize(("found", "runs"), [("found it", 1), (None, 2)])
def test_the_reconcile_query_settles_what_is_unknown(gate: Gate, found: str | None, runs: int) -> None:
    attempts: list[int] = []
    asked = []
    act = unclear(gate, "email", attempts, reconcile=lambda key: asked.append(key) or found)
    with pytest.raises(TimeoutError):
        act()
    assert act() == (found or "sent")
    assert act() == (found or "sent")
    assert (asked, len(attempts)) == (["email:1"], runs)


def test_a_kind_whose_receiver_takes_the_key_is_tried_again(gate: Gate) -> None:
    attempts: list[int] = []
    act = unclear(gate, "record", attempts, undo="set it back")
    with pytest.raises(TimeoutError):
        act()
    assert act() == "sent"


@pytest.mark.parametrize(("kind", "effects"), [("email", 1), ("record", 1)])
def test_a_process_that_dies_after_the_effect_does_it_once(
    monitor: Monitor, gate: Gate, tmp_path: Path, kind: str, effects: int
) -> None:
    """With `ask` nobody tries again; with `retry` the receiver, here a folder, acts once for a key."""

    @gate.action(kind, key=f"{kind}:1", stream="mail", undo="remove the file")
    def act(die: bool, *, idempotency_key: str) -> str:
        (tmp_path / idempotency_key).touch()
        if die:
            os._exit(9)
        return "made"

    child = os.fork()
    if child == 0:
        act(True)
    os.waitpid(child, 0)
    with pytest.raises(InFlight):  # its lease is still on
        act(False)
    monitor.ahead_s = 61
    if kind == "email":
        with pytest.raises(OutcomeUnknown):
            act(False)
        monitor.ledger.due(monitor.now())
        assert monitor.ledger.get("default", "email:1").state is State.UNKNOWN
    else:
        assert act(False) == "made"
    assert len(list(tmp_path.glob(f"{kind}:*"))) == effects


def test_people_decide_about_money(monitor: Monitor, gate: Gate) -> None:
    paid = []

    @gate.action("money", key="pay:{invoice}", fields=["amount", "to"], confidence="sure")
    def pay(invoice: int, amount: float, to: str, sure: float = 1.0) -> str:
        paid.append(invoice)
        return "paid"

    with pytest.raises(Held) as held:
        pay(1, 5_000, "acme")
    assert held.value.expires_at is not None
    assert decide(monitor, "pay:1", "ann") == 200
    with pytest.raises(Held):
        pay(1, 5_000, "acme")
    assert decide(monitor, "pay:1", "ben") == 200
    assert pay(1, 5_000, "acme") == "paid"
    with pytest.raises(Held):
        pay(2, 10, "acme")
    assert decide(monitor, "pay:2", "ann", "reject") == 200
    with pytest.raises(Rejected, match="A person rejected it: no"):
        pay(2, 10, "acme")
    assert paid == [1]


def test_what_expired_is_told_apart_and_otherwise_is_called(monitor: Monitor, gate: Gate) -> None:
    @gate.action("money", key="pay:1", otherwise=lambda error: type(error).__name__)
    def pay() -> str:
        raise AssertionError

    assert pay() == "Held"
    monitor.ahead_s = 25 * 3600
    monitor.ledger.due(monitor.now())
    assert pay() == FellBack.__name__


def test_two_at_once_run_it_once(gate: Gate) -> None:
    inside, leave = threading.Event(), threading.Event()

    @gate.action("email", key="email:1", stream="mail", text="text")
    def send(text: str) -> str:
        inside.set()
        assert leave.wait(UNTIL)
        return "sent"

    results: list[str] = []
    first = threading.Thread(target=lambda: results.append(send(TEXT)))
    first.start()
    assert inside.wait(UNTIL)
    with pytest.raises(InFlight):
        send(TEXT)
    leave.set()
    first.join()
    assert results == [send(TEXT)] == ["sent"]


def test_the_lease_of_a_function_that_takes_long_is_extended(monitor: Monitor, make_gate: Callable[..., Gate]) -> None:
    gate = make_gate(lease_s=3.0)

    @gate.action("email", key="email:1", stream="mail")
    def send() -> None:
        first = monitor.ledger.get("default", "email:1").lease_until
        until = monitor.now() + UNTIL
        while monitor.ledger.get("default", "email:1").lease_until == first:
            assert monitor.now() < until
            threading.Event().wait(0.02)

    send()
    assert monitor.ledger.get("default", "email:1").state is State.DONE


def test_an_outcome_that_cannot_be_reported_is_reported_later(
    monitor: Monitor, make_gate: Callable[..., Gate], tmp_path: Path
) -> None:
    gate = make_gate(cache=tmp_path)

    @gate.action("email", key="email:1", stream="mail")
    def send() -> str:
        monitor.stop()
        return "sent"

    assert send() == "sent"
    monitor.start()
    assert gate.catch_up() == 0
    assert monitor.ledger.get("default", "email:1").result == b'"sent"'


async def test_coroutine_functions_stay_such(monitor: Monitor) -> None:
    async with AsyncGate(monitor.url, monitor.token, timeout_s=UNTIL) as gate:

        @gate.action("email", key="email:{n}", stream="mail")
        async def send(n: int, idempotency_key: str) -> str:
            await asyncio.sleep(0)
            if n == 2:
                raise TimeoutError
            return idempotency_key

        assert inspect.iscoroutinefunction(send)
        assert await send(1) == await send(1) == "email:1"
        with pytest.raises(TimeoutError):
            await send(2)
        with pytest.raises(OutcomeUnknown):
            await send(2)
        assert (await gate.ask("draft", key="d")).answer == "pass"


async def test_a_cancelled_task_leaves_the_outcome_unknown(monitor: Monitor) -> None:
    async with AsyncGate(monitor.url, monitor.token, timeout_s=UNTIL) as gate:
        inside = asyncio.Event()

        @gate.action("email", key="email:1", stream="mail")
        async def send() -> None:
            inside.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(send())
        await asyncio.wait_for(inside.wait(), UNTIL)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        until = monitor.now() + UNTIL
        while True:
            assert monitor.now() < until
            try:
                await send()
            except InFlight:  # its report is under way
                continue
            except OutcomeUnknown:
                break


@pytest.mark.parametrize(
    ("declared", "error"),
    [
        ({"key": "email:{led}"}, r"send has no argument 'led' \(it has: lead, text\)"),
        ({"key": "email:{lead"}, "is no template"),
        ({"text": "draft"}, "has no argument 'draft'"),
        ({"fields": ["to"]}, "has no argument 'to'"),
        ({"txet": "text"}, "there is nothing called 'txet' to declare"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused_where_it_stands(
    gate: Gate, declared: dict[str, object], error: str
) -> None:
    with pytest.raises(ConfigError, match=error):

        @gate.action("email", **declared)
        def send(lead: int, text: str) -> None: ...


def test_every_way_of_not_running_is_a_not_run() -> None:
    assert {Held, FellBack, Rejected, InFlight, OutcomeUnknown} <= set(NotRun.__subclasses__())
