"""The state machine against a small model: any order of requests, on both databases."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from monitor.actions.states import ActionError, Claim, OnUnknown, Proposal, State
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from tests.ledger.made import NOW
from tests.ledger.model import WAIT_S, Model, Row
from tests.servers import empty_database

KEYS = st.sampled_from(["a", "b"])
ANY_KEY = st.sampled_from(["a", "b", "undo:a", "undo:b"])
KINDS = st.sampled_from(["email", "email", "email", "money"])
FIELDS = st.sampled_from(["f1", "f1", "f1", "f2"])
TEXTS = st.sampled_from(["t1", "t1", "t1", "t2"])
POLICIES = st.sampled_from(["p1", "p1", "p1", "p2"])
PEOPLE = st.sampled_from(["agent", "ann", "bob"])
FENCES = st.integers(1, 3)
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
    """Each rule asks the ledger and the model, and compares what they say."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        self.model, self.now = Model(), NOW
        self.opened()

    def opened(self) -> None:
        raise NotImplementedError

    @rule(
        key=KEYS,
        kind=KINDS,
        fields=FIELDS,
        text=TEXTS,
        policy=POLICIES,
        needed=st.sampled_from([0, 0, 1, 2]),
        retry=st.booleans(),
        undo=st.booleans(),
    )
    def propose(
        self, key: str, kind: str, fields: str, text: str, policy: str, needed: int, retry: bool, undo: bool
    ) -> None:
        expires = self.now + WAIT_S if needed else None
        row = Row(kind, fields, text, policy, "agent", needed, retry, undo, "held" if needed else "allowed", expires)
        one = Proposal(
            scope="s",
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

    @rule(key=ANY_KEY, kind=KINDS, fields=FIELDS, text=TEXTS, policy=POLICIES, lease_s=LEASES)
    def claim(self, key: str, kind: str, fields: str, text: str, policy: str, lease_s: float) -> None:
        text = "" if key.startswith("undo:") else text
        one = Claim(
            scope="s",
            key=key,
            kind=kind,
            fingerprint=fields,
            text_hash=text,
            policy_version=policy,
            claimant="w",
            lease_s=lease_s,
        )
        before = self.model.rows.get(key)
        fence = before.fence if before is not None else 0
        expected = self.model.claim(key, kind, fields, text, policy, lease_s, self.now)
        if expected == "NoSuchAction":
            assert said(lambda: self.ledger.claim(one, self.now)) == expected
            return
        answer = self.ledger.claim(one, self.now)
        assert answer.outcome == expected
        if answer.outcome == "mine":
            assert answer.fence == fence + 1
        if answer.outcome == "replay":
            assert answer.result == self.model.rows[key].result

    @rule(key=ANY_KEY, fence=FENCES, result=RESULTS)
    def done(self, key: str, fence: int, result: bytes) -> None:
        expected = self.model.end(key, fence, "done", result)
        assert said(lambda: self.ledger.done("s", key, fence, result, self.now)) == expected

    @rule(key=ANY_KEY, fence=FENCES)
    def failed(self, key: str, fence: int) -> None:
        expected = self.model.end(key, fence, "failed", None)
        assert said(lambda: self.ledger.failed("s", key, fence, "no", self.now)) == expected

    @rule(key=ANY_KEY, fence=FENCES, lease_s=LEASES)
    def extend(self, key: str, fence: int, lease_s: float) -> None:
        expected = self.model.extend(key, fence, lease_s, self.now)
        assert said(lambda: self.ledger.extend("s", key, fence, lease_s, self.now)) == expected

    @rule(key=ANY_KEY, outcome=st.sampled_from([State.DONE, State.FAILED]), result=RESULTS)
    def resolve(self, key: str, outcome: State, result: bytes) -> None:
        expected = self.model.resolve(key, outcome, result, self.now)
        assert said(lambda: self.ledger.resolve("s", key, outcome, "ann", "no", self.now, result)) == expected

    @rule(key=KEYS, by=PEOPLE, fields=FIELDS, text=TEXTS, policy=POLICIES)
    def approve(self, key: str, by: str, fields: str, text: str, policy: str) -> None:
        expected = self.model.approve(key, by, fields, text, policy, self.now)
        assert said(lambda: self.ledger.approve("s", key, by, fields, text, policy, self.now)) == expected

    @rule(key=KEYS, by=PEOPLE)
    def reject(self, key: str, by: str) -> None:
        expected = self.model.reject(key, self.now)
        assert said(lambda: self.ledger.reject("s", key, by, "not this", self.now)) == expected

    @rule(key=KEYS)
    def undo(self, key: str) -> None:
        assert said(lambda: self.ledger.undo("s", key, "ann", "wrong", self.now)) == self.model.undo(key, "ann")

    @rule(seconds=st.sampled_from([5.0, 10.0, 30.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def due(self) -> None:
        changed = {(one.action.key, str(one.what)) for one in self.ledger.due(self.now)}
        assert changed == self.model.due(self.now)

    @invariant()
    def rows_are_the_same(self) -> None:
        for key, row in self.model.rows.items():
            found = self.ledger.get("s", key)
            assert (found.state, found.fence, found.approvals) == (row.state, row.fence, len(row.voters))
            assert (found.expires_at, found.text_hash) == (row.expires, row.text)

    def teardown(self) -> None:
        assert self.ledger.verify_audit() is None
        entries = self.ledger.audit(0, 10_000)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        self.ledger.close()


class OnSqlite(Machine):
    def opened(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = open_ledger(str(self.folder))

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


def run(machine: type[Machine], examples: int, steps: int) -> None:
    limits = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine, settings=limits)  # type: ignore[no-untyped-call]


def test_any_order_of_requests_on_sqlite() -> None:
    run(OnSqlite, 60, 40)


def test_any_order_of_requests_on_postgresql(postgres_server: str) -> None:
    class OnPostgres(Machine):
        def opened(self) -> None:
            self.ledger = open_ledger(empty_database(postgres_server))

    run(OnPostgres, 8, 40)


def test_the_model_grants_what_should_be_granted() -> None:
    """A model that always said no would agree with a ledger that always does."""
    model, key = Model(), "a"
    row = Row("email", "f1", "t1", "p1", "agent", 1, False, True, "held", NOW + WAIT_S)
    assert model.propose(key, row) == "held"
    assert model.approve(key, "ann", "f1", "t1", "p1", NOW) == "allowed"
    assert model.claim(key, "email", "f1", "t1", "p1", 10.0, NOW) == "mine"
    assert model.end(key, 1, "done", b"r") == "done"
    assert model.claim(key, "email", "f1", "t2", "p1", 10.0, NOW) == "replay"
