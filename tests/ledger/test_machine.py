"""The state machine against a small model: any order of requests, on both databases."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from monitor.actions.states import ActionError, Claim, OnUnknown, Proposal, State
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from tests.ledger.made import NOW
from tests.ledger.model import WAIT_S, Model, Row

KEYS = st.sampled_from(["a", "a", "b"])
KNOWN = st.integers(0, 3)
"""Which of the actions that are there: a key that is not is a plain test's business."""
PEOPLE = st.sampled_from(["ann", "bob", "cyd", "agent"])
CONTENT = ("kind", "fields", "text", "policy")
CHANGED = st.sampled_from(["", "", "", "", "", *CONTENT])
"""In what a request differs from the action that is there: mostly in nothing, or little would happen."""
FENCE_OFF = st.sampled_from([0, 0, 0, 0, 0, -1, 1])
RESULTS = st.sampled_from([b"", b"r1", b"\x00\xff"])
LEASES = st.sampled_from([10.0, 30.0])


def said(call: object) -> str:
    """The state or outcome that a call returns, or the name of the error that it raises."""
    try:
        result = call()  # type: ignore[operator]
    except ActionError as error:
        return type(error).__name__
    return str(getattr(result, "outcome", None) or result.state)


class Machine(RuleBasedStateMachine):
    """Each rule asks the ledger and the model, and compares what they say. Each example has a scope of its own."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        self.model, self.now, self.scope = Model(), NOW, uuid.uuid4().hex

    @initialize(needed=st.sampled_from([0, 1, 2]), retry=st.booleans())
    def first(self, needed: int, retry: bool) -> None:
        self.propose("a", "", needed, retry, True)

    def key(self, one: int) -> str:
        return sorted(self.model.rows)[one % len(self.model.rows)]

    def content(self, key: str, changed: str) -> list[str]:
        """Kind, fields, text and policy of an action, one of them changed."""
        row = self.model.rows.get(key)
        now = [row.kind, row.fields, row.text, row.policy] if row is not None else ["email", "f", "t", "p"]
        return [value + "x" if name == changed else value for name, value in zip(CONTENT, now, strict=True)]

    def fence(self, key: str, off: int) -> int:
        row = self.model.rows.get(key)
        return max(0, off + (row.fence if row is not None else 1))

    @rule(key=KEYS, changed=CHANGED, needed=st.sampled_from([0, 1, 2]), retry=st.booleans(), undo=st.booleans())
    def proposed(self, key: str, changed: str, needed: int, retry: bool, undo: bool) -> None:
        self.propose(key, changed, needed, retry, undo)

    def propose(self, key: str, changed: str, needed: int, retry: bool, undo: bool) -> None:
        kind, fields, text, policy = self.content(key, changed)
        expires = self.now + WAIT_S if needed else None
        state = "held" if needed else "allowed"
        row = Row(kind, fields, text, policy, "agent", needed, retry, undo, state, expires)
        one = Proposal(
            scope=self.scope,
            key=key,
            kind=kind,
            fingerprint=fields,
            text_hash=text,
            policy_version=policy,
            requester="agent",
            approvals_needed=needed,
            expires_at=expires,
            on_unknown=OnUnknown.RETRY if retry else OnUnknown.ASK,
            undo="delete it" if undo else None,
        )
        assert said(lambda: self.ledger.propose(one, self.now)) == self.model.propose(key, row)

    @rule(one=KNOWN, then=st.sampled_from(["nothing", "stalls", "is swept", "fails", "does", "undoes"]))
    def go_on(self, one: int, then: str) -> None:
        """The usual course: two people approve, it is claimed, and what then."""
        for person in ("ann", "bob"):
            self.approve(one, person, "")
        self.claim(one, "", 30.0)
        if then in ("stalls", "is swept"):
            self.wait(40.0, then == "is swept")
        if then == "fails":
            self.failed(one, 0)
        if then in ("does", "undoes"):
            self.done(one, 0, b"r1")
        if then == "undoes":
            self.undo(one)

    @rule(one=KNOWN, changed=CHANGED, lease_s=LEASES)
    def claim(self, one: int, changed: str, lease_s: float) -> None:
        key = self.key(one)
        kind, fields, text, policy = self.content(key, changed)
        asked = Claim(
            scope=self.scope,
            key=key,
            kind=kind,
            fingerprint=fields,
            text_hash=text,
            policy_version=policy,
            claimant="w",
            lease_s=lease_s,
        )
        fence = self.fence(key, 0)
        expected = self.model.claim(key, kind, fields, text, policy, lease_s, self.now)
        answer = self.ledger.claim(asked, self.now)
        assert answer.outcome == expected
        if answer.outcome == "mine":
            assert answer.fence == fence + 1
        if answer.outcome == "replay":
            assert answer.result == self.model.rows[key].result

    @rule(one=KNOWN, off=FENCE_OFF, result=RESULTS)
    def done(self, one: int, off: int, result: bytes) -> None:
        key = self.key(one)
        fence = self.fence(key, off)
        expected = self.model.end(key, fence, "done", result)
        assert said(lambda: self.ledger.done(self.scope, key, fence, result, self.now)) == expected

    @rule(one=KNOWN, off=FENCE_OFF)
    def failed(self, one: int, off: int) -> None:
        key = self.key(one)
        fence = self.fence(key, off)
        expected = self.model.end(key, fence, "failed", None)
        assert said(lambda: self.ledger.failed(self.scope, key, fence, "no", self.now)) == expected

    @rule(one=KNOWN, off=FENCE_OFF, lease_s=LEASES)
    def extend(self, one: int, off: int, lease_s: float) -> None:
        key = self.key(one)
        fence = self.fence(key, off)
        expected = self.model.extend(key, fence, lease_s, self.now)
        assert said(lambda: self.ledger.extend(self.scope, key, fence, lease_s, self.now)) == expected

    @rule(one=KNOWN, outcome=st.sampled_from([State.DONE, State.FAILED]), result=RESULTS)
    def resolve(self, one: int, outcome: State, result: bytes) -> None:
        key = self.key(one)
        expected = self.model.resolve(key, outcome, result, self.now)
        assert said(lambda: self.ledger.resolve(self.scope, key, outcome, "ann", "no", self.now, result)) == expected

    @rule(one=KNOWN, by=PEOPLE, changed=CHANGED)
    def approve(self, one: int, by: str, changed: str) -> None:
        key = self.key(one)
        _, fields, text, policy = self.content(key, changed)
        expected = self.model.approve(key, by, fields, text, policy, self.now)
        assert said(lambda: self.ledger.approve(self.scope, key, by, fields, text, policy, self.now)) == expected

    @rule(one=KNOWN, by=PEOPLE, really=st.integers(0, 3))
    def reject(self, one: int, by: str, really: int) -> None:
        if really:
            return  # rejected is final, so it is kept rare
        key = self.key(one)
        expected = self.model.reject(key, self.now)
        assert said(lambda: self.ledger.reject(self.scope, key, by, "not this", self.now)) == expected

    @rule(one=KNOWN)
    def undo(self, one: int) -> None:
        key = self.key(one)
        if key.startswith("undo:"):
            return
        assert said(lambda: self.ledger.undo(self.scope, key, "ann", "wrong", self.now)) == self.model.undo(key, "ann")

    @rule(seconds=st.sampled_from([5.0, 10.0, 30.0, 100.0]), sweep=st.booleans())
    def wait(self, seconds: float, sweep: bool) -> None:
        self.now += seconds
        if not sweep:
            return
        changed = {
            (one.action.key, str(one.what)) for one in self.ledger.due(self.now) if one.action.scope == self.scope
        }
        assert changed == self.model.due(self.now)

    @invariant()
    def rows_are_the_same(self) -> None:
        for key, row in self.model.rows.items():
            found = self.ledger.get(self.scope, key)
            assert (found.state, found.fence, found.approvals) == (row.state, row.fence, len(row.voters))
            assert (found.expires_at, found.text_hash) == (row.expires, row.text)


def run(address: str, examples: int) -> None:
    """Run examples of 50 requests on the ledger at an address, and verify the audit log that they leave."""

    class OnLedger(Machine):
        ledger = open_ledger(address)

    try:
        limits = settings(max_examples=examples, stateful_step_count=50, suppress_health_check=list(HealthCheck))
        run_state_machine_as_test(OnLedger, settings=limits)  # type: ignore[no-untyped-call]
        assert OnLedger.ledger.verify_audit() is None
        entries = OnLedger.ledger.audit(0, 100_000)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    finally:
        OnLedger.ledger.close()


MEMORY = Path("/dev/shm")
"""Where there is one, no commit waits for a disk."""


def test_any_order_of_requests_on_sqlite() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        run(folder, 100)


def test_any_order_of_requests_on_postgresql(postgres_database: str) -> None:
    run(postgres_database, 10)


def test_the_model_grants_what_should_be_granted() -> None:
    """A model that always said no would agree with a ledger that always does."""
    model, key = Model(), "a"
    row = Row("email", "f1", "t1", "p1", "agent", 1, False, True, "held", NOW + WAIT_S)
    assert model.propose(key, row) == "held"
    assert model.approve(key, "ann", "f1", "t1", "p1", NOW) == "allowed"
    assert model.claim(key, "email", "f1", "t1", "p1", 10.0, NOW) == "mine"
    assert model.end(key, 1, "done", b"r") == "done"
    assert model.claim(key, "email", "f1", "t2", "p1", 10.0, NOW) == "replay"
