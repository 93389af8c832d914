"""The examples of docs/examples, run as they are against the real service: what they print, what the ledger keeps."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from monitor.actions.states import Action, Change, State
from monitor.gate import Gate
from tests.gate.conftest import Monitor, running
from tests.gate.test_decorator import decide

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
ON_POSTGRES = {"outreach_email", "crm_record", "payment"}
"""What costs most when it goes wrong runs on the database of installations."""


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def monitor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Monitor]:
    on_postgres = request.node.name.removeprefix("test_") in ON_POSTGRES
    address = request.getfixturevalue("postgres_database") if on_postgres else str(tmp_path / "ledger")
    with running(address, (EXAMPLES / "monitor.yaml").read_text()) as made:
        yield made
        assert made.ledger.verify_audit() is None


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    return lambda: capsys.readouterr().out.splitlines()


def states(monitor: Monitor) -> dict[str, State]:
    return {one.key: one.state for one in monitor.ledger.list()}


def held(monitor: Monitor, key: str) -> Action:
    action = monitor.ledger.get("default", key)
    assert action.state is State.HELD
    return action


def test_voice_agent(monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]) -> None:
    example("voice_agent").main(gate)
    again = "I did not understand that. Could you say it in other words?"
    assert printed() == [
        "call-1: How can I help you?",
        f"call-1: {again}",
        "call-1: I have blocked your card.",
        "call-2: How can I help you?",
        f"call-2: {again}",
        "call-2: I will put you through to a colleague. (voice_intent:call-2)",
    ]
    assert states(monitor) == {"voice_intent:call-2": State.HELD}
    assert held(monitor, "voice_intent:call-2").payload["conversation"] == [
        {"role": "caller", "text": "the thing"},
        {"role": "agent", "text": again},
        {"role": "caller", "text": "you know, the thing"},
    ]


def test_voice_agent_hands_over_while_the_monitor_is_down(
    monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]
) -> None:
    monitor.stop()
    example("voice_agent").main(gate)
    assert printed()[-1].startswith("call-2: I will put you through")
    monitor.start()
    assert gate.catch_up() == 0
    assert len(held(monitor, "voice_intent:call-2").payload["conversation"]) == 3


def test_extraction(monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]) -> None:
    stored: dict[str, object] = {}
    module = example("extraction")
    module.main(gate, stored)
    assert printed() == [
        "invoice-1.pdf: stored",
        "invoice-2.pdf: waits for review: The output has no JSON field total with type number.",
        "invoice-3.pdf: stored",
    ]
    assert list(stored) == ["invoice-1.pdf", "invoice-3.pdf"]
    assert held(monitor, "extraction:invoice-2.pdf").payload == {"output": '{"number": "2232"}'}
    assert decide(monitor, "extraction:invoice-2.pdf", "ann") == 200
    module.main(gate, stored)
    assert printed() == [f"invoice-{n}.pdf: stored" for n in (1, 2, 3)]
    assert sorted(stored) == [f"invoice-{n}.pdf" for n in (1, 2, 3)]


def test_outreach_email(monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]) -> None:
    sent: list[str] = []
    module = example("outreach_email")
    module.main(gate, lambda to, text: sent.append(to))
    lines = printed()
    assert lines[0] == lines[2] == "lead 7, step 1: sent to anna@example.com"
    assert lines[1].startswith("lead 8, step 1: queued for a person: The output ")
    assert lines[3].startswith("lead 7, step 2: queued for a person: email:7:spring:1 said nearly the same to the same")
    assert sent == ["anna@example.com"]
    assert states(monitor) == {
        "email:7:spring:1": State.DONE,
        "email:8:spring:1": State.HELD,
        "email:7:spring:2": State.HELD,
    }
    assert decide(monitor, "email:7:spring:2", "ann", "reject") == 200
    monitor.ahead_s = 5 * 3600
    monitor.ledger.due(monitor.now())
    assert states(monitor)["email:8:spring:1"] is State.EXPIRED
    assert sent == ["anna@example.com"]


def test_draft(monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]) -> None:
    drafts: dict[str, str] = {}
    monitor.stop()
    example("draft").main(gate, drafts)
    assert printed() == ["draft for T-1 kept"]
    monitor.start()
    assert gate.catch_up() == 0
    assert states(monitor) == {"draft:T-1": State.DONE}
    assert list(drafts) == ["T-1"]


def test_crm_record(monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]) -> None:
    module = example("crm_record")
    crm = module.Crm()
    module.main(gate, crm)
    assert printed() == ["{'lead': 'lead-7', 'stage': 'qualified'} writes: 1"] * 2
    record = monitor.ledger.get("default", "crm:lead-7:call-of-2026-03-02")
    assert (record.state, record.undo) == (State.DONE, "set the stage of lead-7 back to new")
    what = [one.what for one in monitor.ledger.audit() if one.subject == f"action:default/{record.key}"]
    assert what[:3] == [Change.PROPOSED, Change.CLAIMED, Change.DONE]
    # Reversible: undoing it is an action with its own claim.
    undo = monitor.ledger.undo("default", record.key, "ann", "wrong lead", monitor.now())
    assert undo.key == f"undo:{record.key}"


def test_payment(monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]) -> None:
    module = example("payment")
    provider = module.Provider()
    module.main(gate, provider)
    small, large = printed()
    assert small.startswith("2231: waits for people: payment needs a person's approval every time.")
    assert "amount is above 1000, so two people must approve." in large
    assert provider.paid == {}
    assert decide(monitor, "pay:2231", "ann") == decide(monitor, "pay:2232", "ann") == 200
    assert decide(monitor, "pay:2232", "ann") == 409  # the same person is not two
    module.main(gate, provider)
    lines = printed()
    assert lines[0] == "2231: payment 1 of 120.50 to acme"
    assert lines[1].startswith("2232: waits")
    assert decide(monitor, "pay:2232", "ben") == 200
    for _ in range(2):
        module.main(gate, provider)
    assert printed() == ["2231: payment 1 of 120.50 to acme", "2232: payment 2 of 5000.00 to globex"] * 2
    assert provider.paid == {"pay:2231": 120.5, "pay:2232": 5000.0}


def test_payment_is_left_to_people_while_the_monitor_is_down(
    monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]
) -> None:
    monitor.stop()
    module = example("payment")
    provider = module.Provider()
    module.main(gate, provider)
    assert printed() == ["2231: left for accounts payable", "2232: left for accounts payable"]
    assert provider.paid == {}
    monitor.start()


def test_one_transaction(monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]) -> None:
    example("one_transaction").main(gate, lose=2)
    assert printed() == [*["unknown: the answer was lost"] * 2, "room 12 is booked for 2026-03-02", "bookings: 1"]
    assert states(monitor) == {"booking:anna:2026-03-02": State.DONE}


def test_reconcile(monitor: Monitor, gate: Gate, printed: Callable[[], list[str]]) -> None:
    example("reconcile").main(gate)
    assert printed() == ["unknown: the answer was lost", "ticket 1", "tickets: 1"]
    assert states(monitor) == {"ticket:acme:outage-17": State.DONE}


def test_each_example_has_a_test() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert names <= tested
