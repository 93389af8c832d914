"""The contract of a ledger, on SQLite and on a real PostgreSQL: what the state machine's test does not reach."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import create_engine, inspect, text, update

from monitor.actions.message import decode_action
from monitor.actions.states import (
    Change,
    Duplicate,
    InvalidAction,
    Mismatch,
    NoSuchAction,
    NotAllowed,
    OnUnknown,
    Outcome,
    Refusal,
    StaleFence,
    State,
)
from monitor.ledger import migrate
from monitor.ledger.base import Ledger, LedgerError
from monitor.ledger.open import open_ledger
from monitor.ledger.tables import action, audit, audit_head, metadata
from tests.ledger.made import LEASE_S, NOW, claim_of, held, implicit, proposal


def counts(ledger: Ledger) -> dict[Duplicate, int]:
    return {one.what: one.count for one in ledger.duplicates()}


def whats(ledger: Ledger) -> list[str]:
    return [entry.what for entry in ledger.audit()]


def approve(ledger: Ledger, by: str, key: str = "order-1", at: float = NOW, **seen: str) -> State:
    given = {"fingerprint": "f1", "text_hash": "t1", "policy_version": "p1", **seen}
    return ledger.approve("shop", key, by, now=at, **given).state


def test_an_action_is_kept_whole(ledger: Ledger) -> None:
    one = held(
        stream="support",
        event="e1",
        target="ann@example.org",
        fields={"to": "ann", "amount": 12.5},
        payload={"text": "Liebe Frau Ä \U0001f600"},
        reasons=("drift", "check"),
        decision="hold",
        on_timeout="fall_back",
        downstream_key=True,
        undo="delete",
        confidence=0.75,
        causes=("e0",),
        keep_s=86_400.0,
    )
    made = ledger.propose(one, NOW)
    found = ledger.get("shop", "order-1")
    assert found == made
    for name in ("stream", "event", "target", "fields", "payload", "reasons", "decision", "on_timeout", "undo"):
        assert getattr(found, name) == getattr(one, name), name
    assert (found.confidence, found.causes, found.keep_s, found.downstream_key) == (0.75, ("e0",), 86_400.0, True)
    assert (found.state, found.number, found.seq, found.proposed_at) == (State.HELD, 1, 1, NOW)


def test_a_replay_is_byte_for_byte_and_counted(ledger: Ledger) -> None:
    result = bytes(range(256)) + b' {"b": 1,  "a": 2}\r\n'
    one = ledger.propose(proposal(), NOW)
    answer = ledger.claim(claim_of(proposal()), NOW)
    assert (answer.outcome, answer.fence, answer.lease_until) == (Outcome.MINE, 1, NOW + LEASE_S)
    ledger.done("shop", one.key, 1, result, NOW + 1)
    for text_hash in ("t1", "other words"):
        again = ledger.claim(claim_of(proposal(), text_hash=text_hash), NOW + 2)
        assert (again.outcome, again.result) == (Outcome.REPLAY, result)
    assert counts(ledger) == {Duplicate.REPLAY: 2}
    assert ledger.get("shop", one.key).state is State.DONE


def test_the_same_key_with_other_fields_changes_nothing(ledger: Ledger) -> None:
    before = ledger.propose(proposal(), NOW)
    for other in ({"fingerprint": "f2"}, {"kind": "money"}):
        answer = ledger.claim(claim_of(proposal(**other)), NOW)
        assert answer.outcome is Outcome.MISMATCH
        with pytest.raises(Mismatch, match="the key 'order-1' belongs to an action"):
            ledger.propose(proposal(**other), NOW)
    assert [answer.differs, ledger.get("shop", "order-1")] == ["kind", before]
    assert sum(one.count for one in ledger.duplicates() if one.what is Duplicate.MISMATCH) == 4
    assert ledger.verify_audit() is None


def test_a_claim_makes_the_action_of_a_kind_that_passes(ledger: Ledger) -> None:
    asked = claim_of(implicit(), proposal=implicit(), text_hash="any")
    assert [ledger.claim(asked, NOW).outcome for _ in range(2)] == [Outcome.MINE, Outcome.IN_FLIGHT]
    with pytest.raises(NoSuchAction, match="no action 'order-2'"):
        ledger.claim(claim_of(implicit("order-2")), NOW)
    with pytest.raises(InvalidAction, match="needs approvals"):
        ledger.claim(claim_of(held("order-3"), proposal=held("order-3")), NOW)


def test_an_answer_that_was_lost_is_given_again(ledger: Ledger) -> None:
    ledger.propose(proposal(), NOW)
    asked = claim_of(proposal(), attempt="a1")
    first, again = ledger.claim(asked, NOW), ledger.claim(asked, NOW + 1)
    assert (again.outcome, again.fence, again.lease_until) == (Outcome.MINE, first.fence, first.lease_until)
    other = ledger.claim(claim_of(proposal(), attempt="a2"), NOW + 1)
    assert (other.outcome, other.lease_until) == (Outcome.IN_FLIGHT, first.lease_until)
    assert whats(ledger) == ["proposed", "claimed"]


def test_a_stale_fence_is_recorded(ledger: Ledger) -> None:
    ledger.propose(proposal(on_unknown=OnUnknown.RETRY), NOW)
    ledger.claim(claim_of(proposal()), NOW)
    second = ledger.claim(claim_of(proposal(), "other"), NOW + LEASE_S)
    assert (second.outcome, second.fence) == (Outcome.MINE, 2)
    with pytest.raises(StaleFence, match="its fence is 2, not 1") as told:
        ledger.done("shop", "order-1", 1, b"late", NOW + LEASE_S + 1)
    assert told.value.current.claimed_by == "other"
    with pytest.raises(StaleFence, match="its lease is over"):
        ledger.extend("shop", "order-1", 2, 10, NOW + 10 * LEASE_S)
    assert whats(ledger) == ["proposed", "claimed", "claimed", "stale_fence", "stale_fence"]
    assert counts(ledger) == {Duplicate.STALE_FENCE: 2}
    assert ledger.get("shop", "order-1").state is State.CLAIMED


def test_the_lease_over_is_unknown_and_people_say_how_it_ended(ledger: Ledger) -> None:
    ledger.propose(proposal(), NOW)
    ledger.claim(claim_of(proposal()), NOW)
    assert ledger.due(NOW + LEASE_S - 1) == []
    (one,) = ledger.due(NOW + LEASE_S)
    assert (one.what, one.action.state) == (Change.UNKNOWN, State.UNKNOWN)
    assert ledger.due(NOW + LEASE_S) == []
    assert ledger.claim(claim_of(proposal()), NOW + LEASE_S).outcome is Outcome.UNKNOWN
    assert [found.key for found in ledger.list(state=State.UNKNOWN)] == ["order-1"]
    ledger.resolve("shop", "order-1", State.DONE, "ann", "the bank shows it", NOW + 99, b"seen")
    assert ledger.claim(claim_of(proposal()), NOW + 100).result == b"seen"
    with pytest.raises(NotAllowed) as told:
        ledger.resolve("shop", "order-1", State.FAILED, "ann", "", NOW + 101)
    assert told.value.reason is Refusal.WRONG_STATE


def test_an_approval_is_bound_to_what_was_shown(ledger: Ledger) -> None:
    ledger.propose(held(), NOW)
    for other in ("fingerprint", "text_hash", "policy_version"):
        with pytest.raises(NotAllowed) as told:
            approve(ledger, "ann", **{other: "x"})
        assert told.value.reason is Refusal.OTHER_CONTENT
    with pytest.raises(NotAllowed) as told:
        approve(ledger, "agent")
    assert told.value.reason is Refusal.OWN_ACTION
    assert approve(ledger, "ann") is State.ALLOWED
    for other in ("text_hash", "policy_version"):
        assert ledger.claim(claim_of(held(), **{other: "x"}), NOW).outcome is Outcome.MISMATCH
    assert ledger.claim(claim_of(held()), NOW).outcome is Outcome.MINE


def test_an_approval_is_used_once(ledger: Ledger) -> None:
    ledger.propose(held(), NOW)
    approve(ledger, "ann")
    ledger.claim(claim_of(held()), NOW)
    ledger.failed("shop", "order-1", 1, "the bank was closed", NOW + 1)
    again = ledger.claim(claim_of(held()), NOW + 2)
    assert (again.outcome, again.action.state, again.action.expires_at) == (Outcome.HELD, State.HELD, NOW + 3602)
    assert [(vote.by, vote.counts) for vote in ledger.get("shop", "order-1").votes] == [("ann", False)]
    assert approve(ledger, "ann", at=NOW + 3) is State.ALLOWED  # the same person, for a new attempt
    assert ledger.claim(claim_of(held()), NOW + 4).fence == 2


def test_two_approvals_come_from_two_people(ledger: Ledger) -> None:
    ledger.propose(held(approvals_needed=2), NOW)
    assert approve(ledger, "ann") is State.HELD
    with pytest.raises(NotAllowed) as told:
        approve(ledger, "ann")
    assert told.value.reason is Refusal.TWICE
    assert approve(ledger, "bob") is State.ALLOWED
    with pytest.raises(NotAllowed) as told:
        approve(ledger, "cyd")
    assert told.value.reason is Refusal.FINAL


def test_another_text_makes_earlier_votes_void(ledger: Ledger) -> None:
    ledger.propose(held(approvals_needed=2), NOW)
    approve(ledger, "ann")
    again = ledger.propose(held(approvals_needed=2, text_hash="t2"), NOW + 1)
    assert (again.approvals, again.number, again.text_hash) == (0, 1, "t2")
    with pytest.raises(NotAllowed, match="the text changed since it was shown"):
        approve(ledger, "bob")
    assert whats(ledger) == ["proposed", "approved", "superseded", "refused"]


def test_rejected_is_final_and_expired_is_no_rejection(ledger: Ledger) -> None:
    ledger.propose(held(), NOW)
    ledger.propose(held("order-2"), NOW)
    ledger.reject("shop", "order-1", "ann", "wrong customer", NOW)
    assert ledger.propose(held(text_hash="t2"), NOW).state is State.REJECTED
    assert ledger.claim(claim_of(held()), NOW).outcome is Outcome.REJECTED
    warned = ledger.due(NOW + 3000)
    assert [(one.what, one.action.key, one.action.state) for one in warned] == [(Change.WARNED, "order-2", State.HELD)]
    assert ledger.due(NOW + 3001) == []
    late = NOW + 3600
    # Before any sweep: it is over all the same.
    assert ledger.claim(claim_of(held("order-2")), late).outcome is Outcome.EXPIRED
    for decide in (
        lambda: approve(ledger, "ann", "order-2", late),
        lambda: ledger.reject("shop", "order-2", "ann", "", late),
    ):
        with pytest.raises(NotAllowed) as told:
            decide()
        assert told.value.reason is Refusal.EXPIRED
    assert [(one.what, one.action.key) for one in ledger.due(late)] == [(Change.EXPIRED, "order-2")]
    assert ledger.get("shop", "order-2").votes == ()
    assert [(vote.by, vote.approved, vote.why) for vote in ledger.get("shop", "order-1").votes] == [
        ("ann", False, "wrong customer")
    ]


def test_what_is_allowed_may_wait_as_long_again(ledger: Ledger) -> None:
    ledger.propose(held(), NOW)
    approve(ledger, "ann", at=NOW + 3599)
    found = ledger.get("shop", "order-1")
    assert (found.expires_at, found.warn_at) == (NOW + 3599 + 3600, NOW + 3599 + 3000)
    assert ledger.claim(claim_of(held()), NOW + 7198).outcome is Outcome.MINE


def test_an_undo_is_an_action(ledger: Ledger) -> None:
    ledger.propose(proposal(undo="delete the entry", on_unknown=OnUnknown.RETRY), NOW)
    with pytest.raises(NotAllowed):
        ledger.undo("shop", "order-1", "ann", "too early", NOW)
    ledger.claim(claim_of(proposal()), NOW)
    ledger.done("shop", "order-1", 1, b"id 7", NOW)
    made = ledger.undo("shop", "order-1", "ann", "wrong price", NOW)
    assert (made.key, made.state, made.undoes, made.on_unknown) == (
        "undo:order-1",
        State.ALLOWED,
        "order-1",
        OnUnknown.RETRY,
    )
    assert ledger.undo("shop", "order-1", "bob", "again", NOW) == made
    asked = claim_of(proposal("undo:order-1"), text_hash="")
    assert ledger.claim(asked, NOW).outcome is Outcome.MINE
    assert ledger.get("shop", "order-1").state is State.DONE
    ledger.done("shop", "undo:order-1", 1, b"deleted", NOW)
    assert ledger.claim(claim_of(proposal()), NOW).outcome is Outcome.UNDONE
    with pytest.raises(InvalidAction, match="must not begin with undo:"):
        ledger.propose(proposal("undo:order-9"), NOW)
    assert ledger.verify_audit() is None


def test_what_has_no_undo_says_so(ledger: Ledger) -> None:
    ledger.propose(proposal(), NOW)
    ledger.claim(claim_of(proposal()), NOW)
    ledger.done("shop", "order-1", 1, b"", NOW)
    with pytest.raises(NotAllowed) as told:
        ledger.undo("shop", "order-1", "ann", "", NOW)
    assert told.value.reason is Refusal.NO_UNDO


def test_actions_are_listed_by_pages(ledger: Ledger) -> None:
    for number in range(5):
        ledger.propose(proposal(f"order-{number}", stream="a" if number % 2 else "b", event=f"e{number}"), NOW)
    first = ledger.list(limit=2)
    assert [one.key for one in first] == ["order-4", "order-3"]
    assert [one.key for one in ledger.list(before=first[-1].number, limit=2)] == ["order-2", "order-1"]
    assert [one.key for one in ledger.list(stream="a")] == ["order-3", "order-1"]
    assert [one.key for one in ledger.list(event="e4", scope="shop", kind="email", state=State.ALLOWED)] == ["order-4"]
    assert ledger.list(scope="other") == []


def test_actions_to_the_same_target_are_found(ledger: Ledger) -> None:
    ledger.propose(proposal("order-1", target="ann", embedding=b"\x00\x3c"), NOW - 100)
    ledger.propose(proposal("order-2", target="ann", embedding=b"\x00\x3d", text_hash="t2"), NOW)
    ledger.propose(proposal("order-3", target="bob"), NOW)
    assert ledger.similar("shop", "email", "ann", NOW - 50, 10) == [("order-2", "t2", b"\x00\x3d")]
    ledger.reject("shop", "order-2", "x", "", NOW)
    assert [key for key, _, _ in ledger.similar("shop", "email", "ann", NOW - 500, 10)] == ["order-1"]


def test_every_change_is_in_the_outbox_in_order(ledger: Ledger) -> None:
    ledger.propose(held(stream="support", event="e1"), NOW)
    approve(ledger, "ann")
    ledger.claim(claim_of(held()), NOW)
    ledger.done("shop", "order-1", 1, b"secret result", NOW)
    ledger.claim(claim_of(held()), NOW)
    waiting = ledger.outbox_take()
    messages = [decode_action(row.body) for row in waiting]
    assert [one.what for one in messages] == ["proposed", "approved", "claimed", "done", "replayed"]
    assert {(row.topic, row.key) for row in waiting} == {("actions", "shop/order-1")}
    assert [row.id for row in waiting] == [1, 2, 3, 4, 5]
    entries = {entry.seq: entry.hash for entry in ledger.audit()}
    assert [one.hash for one in messages[:4]] == [entries[one.seq] for one in messages[:4]]
    assert not any(b"secret" in row.body for row in waiting)
    ledger.outbox_sent([row.id for row in waiting[:2]])
    assert [row.id for row in ledger.outbox_take(2)] == [3, 4]
    assert ledger.outbox_waiting() == 3


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        (update(audit).where(audit.c.seq == 2).values(actor="someone else"), 2),
        (audit.delete().where(audit.c.seq == 2), 2),
        (audit.delete().where(audit.c.seq == 4), 4),
        (update(audit_head).values(seq=3), 4),
        (update(action).where(action.c.key == "order-1").values(state="allowed"), 3),
        (update(action).where(action.c.key == "order-1").values(result=b"other"), 3),
        (action.delete().where(action.c.key == "order-2"), 4),
    ],
)
def test_what_was_changed_past_the_ledger_is_found(
    ledger: Ledger, address: str, statement: object, broken: int
) -> None:
    ledger.propose(proposal(), NOW)
    ledger.claim(claim_of(proposal()), NOW)
    ledger.done("shop", "order-1", 1, b"r", NOW)
    ledger.propose(proposal("order-2"), NOW)
    assert ledger.verify_audit() is None
    ledger.write(lambda tx: tx.connection.execute(statement))
    assert ledger.verify_audit() == broken


def test_old_keys_are_forgotten_and_money_is_not(ledger: Ledger) -> None:
    for key, keep_s in (("order-1", 100.0), ("order-2", None), ("order-3", 100.0)):
        ledger.propose(proposal(key, keep_s=keep_s), NOW)
        ledger.claim(claim_of(proposal(key)), NOW)
        if key != "order-3":
            ledger.done("shop", key, 1, b"", NOW)
    assert [ledger.forget(NOW + 99), ledger.forget(NOW + 100), ledger.forget(NOW + 10**9)] == [0, 1, 0]
    assert [one.key for one in ledger.list()] == ["order-3", "order-2"]
    assert whats(ledger)[-1] == "forgotten"
    assert ledger.verify_audit() is None


def test_tokens_are_stored_hashed(ledger: Ledger, address: str) -> None:
    secret = ledger.token_create("agent-1", ["act", "gate"], NOW, app="shop", person="", expires_at=NOW + 10, by="ops")
    found = ledger.token_find(secret, NOW)
    assert found is not None
    assert (found.name, found.scopes, found.app, found.identity) == ("agent-1", ("act", "gate"), "shop", "agent-1")
    assert ledger.token_find(secret, NOW + 10) is None
    assert ledger.token_find(secret + "x", NOW) is None
    assert ledger.token_find("\ud800", NOW) is None
    with pytest.raises(InvalidAction, match="'agent-1' exists"):
        ledger.token_create("agent-1", [], NOW)
    assert [ledger.token_revoke("agent-1", NOW), ledger.token_revoke("nobody", NOW)] == [True, False]
    assert ledger.token_find(secret, NOW) is None
    assert [one.revoked_at for one in ledger.token_list()] == [NOW]
    assert whats(ledger) == ["token_created", "token_revoked"]
    assert secret not in msgspec.json.encode(ledger.audit()).decode()


def test_work_that_fails_leaves_nothing_and_harms_no_other(ledger: Ledger) -> None:
    def half(tx: object) -> None:
        tx.record(NOW, "x", "y", "z", {})  # type: ignore[attr-defined]
        tx.publish("actions", "k", b"")  # type: ignore[attr-defined]
        raise KeyError("half")

    with pytest.raises(KeyError, match="half"):
        ledger.write(half)
    with pytest.raises(LedgerError):
        ledger.write(lambda tx: tx.connection.execute(text("select nothing from nowhere")))
    assert (list(ledger.audit()), ledger.outbox_waiting()) == ([], 0)
    assert ledger.propose(proposal(), NOW).seq == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"key": "a\nb"}, "key: character 2"),
        ({"scope": ""}, "scope: must have 1 to 64"),
        ({"expires_at": NOW}, "expires_at: must be later"),
        ({"expires_at": float("nan")}, "expires_at: must be a finite number"),
        ({"payload": {"x": "y" * 300_000}}, "payload: must have at most 262,144 bytes"),
        ({"target": "x\x00"}, "target: must be text"),
        ({"target": "x" * 513}, "target: must have at most 512"),
        ({"fingerprint": ""}, "fingerprint, requester: must not be empty"),
        ({"approvals_needed": -1}, "approvals_needed: must be 0 or more"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_change(ledger: Ledger, change: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidAction, match=why):
        ledger.propose(msgspec.structs.replace(proposal(), **change), NOW)
    assert ledger.list() == []


@pytest.mark.parametrize("lease_s", [0.0, -1.0, float("inf"), float("nan")])
def test_a_lease_is_a_time(ledger: Ledger, lease_s: float) -> None:
    ledger.propose(proposal(), NOW)
    with pytest.raises(InvalidAction, match="lease"):
        ledger.claim(claim_of(proposal(), lease_s=lease_s), NOW)


@pytest.mark.parametrize("fence", [-1, 2**63, 10**30])
def test_a_fence_is_a_number_of_a_claim(ledger: Ledger, fence: int) -> None:
    ledger.propose(proposal(), NOW)
    for say in (
        lambda: ledger.done("shop", "order-1", fence, b"", NOW),
        lambda: ledger.failed("shop", "order-1", fence, "", NOW),
        lambda: ledger.extend("shop", "order-1", fence, 1.0, NOW),
    ):
        with pytest.raises(InvalidAction, match="fence: must be"):
            say()


def test_hostile_text_stays_text(ledger: Ledger) -> None:
    key = "'; drop table action; -- \U0001f600 注文 %s {0} \\"
    ledger.propose(proposal(key, target="' or 1=1 --", payload={"<b>": "' or '1'='1"}), NOW)
    assert ledger.claim(claim_of(proposal(key)), NOW).outcome is Outcome.MINE
    assert ledger.get("shop", key).target == "' or 1=1 --"
    assert ledger.list(scope="' or '1'='1") == []


def test_migrations_build_the_tables(ledger: Ledger, address: str) -> None:
    def shape(connection: object) -> dict[str, object]:
        found = inspect(connection)
        return {
            name: (
                sorted((column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(name)),
                sorted(
                    (index["name"], tuple(index["column_names"]), bool(index["unique"]))
                    for index in found.get_indexes(name)
                ),
                found.get_pk_constraint(name)["constrained_columns"],
            )
            for name in found.get_table_names()
            if name in metadata.tables
        }

    migrated = ledger.read(shape)
    assert migrated.keys() == metadata.tables.keys()
    ledger.write(lambda tx: metadata.drop_all(tx.connection))
    engine = create_engine(
        address.replace("postgresql://", "postgresql+psycopg://")
        if "://" in address
        else f"sqlite:///{address}/ledger.sqlite"
    )
    metadata.create_all(engine)
    engine.dispose()
    assert ledger.read(shape) == migrated


def test_another_schema_is_refused(address: str) -> None:
    with pytest.raises(LedgerError):
        open_ledger(address, read_only=True)
    first = open_ledger(address)
    assert first.read(migrate.revision_of) == migrate.head()
    reader = open_ledger(address, read_only=True)
    assert reader.list() == []
    with pytest.raises(LedgerError, match="read only"):
        reader.propose(proposal(), NOW)
    reader.close()
    first.write(lambda tx: tx.connection.execute(text("update ledger_version set version_num = 'l9999'")))
    first.close()
    for read_only in (False, True):
        with pytest.raises(LedgerError, match="l9999"):
            open_ledger(address, read_only=read_only)


def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.propose(proposal(), NOW)


@pytest.mark.parametrize("address", ["", "mysql://x/y", "postgresql://h:port/db", "/proc/none/such"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(LedgerError):
        open_ledger(address)
