"""What followed and what can be undone, over the trace store and the ledger, each on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.actions.cascade import action_node, roots_of
from monitor.actions.states import Claim, Proposal, State
from monitor.cascade.origin import Origin, What, find_origin
from monitor.cascade.report import Remedy, Report, report
from monitor.cascade.undo import reject_all, undo_all
from monitor.ledger.base import Ledger
from monitor.ledger.edges import LedgerEdges
from monitor.ledger.open import open_ledger
from monitor.store.base import TraceStore
from monitor.store.open import open_store
from monitor.store.records import Incoming, Place
from tests.cascade.chain import ALERT, NOON, body, entered, fill

Both = tuple[TraceStore, Ledger]


@pytest.fixture(params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Both]:
    folder = str(tmp_path / "traces")
    address = folder if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    store, ledger = open_store(address), open_ledger(address)
    fill(store, ledger)
    yield store, ledger
    ledger.close()
    store.close()


def told(both: Both, identity: str) -> tuple[Origin, Report]:
    origin = find_origin(*both, identity)
    assert origin is not None
    return origin, report(*both, origin)


def test_what_followed_from_an_output_goes_through_spans_actions_and_causes(both: Both) -> None:
    origin, found = told(both, "flagged")
    assert (origin.what, found.outputs, found.actions, found.at_least) == (What.OUTPUT, 2, 5, False)
    assert [(one.event, one.depth, one.after) for one in found.followed] == [
        ("reply", 1, "flagged"), ("summary", 3, "record-1"),
    ]  # fmt: skip
    assert {(one.key, one.after, one.state, one.remedy) for one in found.acted} == {
        ("draft-1", "reply", State.FAILED, Remedy.OVER),
        ("email-1", "reply", State.DONE, Remedy.NONE),
        ("record-1", "reply", State.DONE, Remedy.UNDO),
        ("money-1", "reply", State.HELD, Remedy.REJECT),
        ("ticket-1", "email-1", State.ALLOWED, Remedy.REJECT),
    }
    assert found.depth == 3


def test_a_finding_begins_with_the_outputs_since_its_change(both: Both) -> None:
    origin, found = told(both, ALERT)
    assert (origin.what, origin.title[:18], set(origin.roots)) == (
        What.FINDING, "Answers are longer", {"flagged", "second"},
    )  # fmt: skip
    assert (found.began_with, found.outputs, found.actions) == (2, 2, 5)


def test_a_finding_of_a_segment_begins_with_its_outputs(both: Both) -> None:
    store, _ = both
    place = Place("alerts", 0, 1, NOON + 70)
    for segment, roots in (({"model.version": "v8"}, {"flagged"}), ({"model.version": "v9"}, {"flagged", "second"})):
        row = {**place.columns(), "stream": "support/triage", "alert": "seg" + str(len(roots)), "body": body(segment)}
        store.write(Incoming(alerts=[row]))
        place = Place("alerts", 0, 2, NOON + 71)
        origin = find_origin(*both, "seg" + str(len(roots)))
        assert origin is not None
        assert set(origin.roots) == roots


def test_an_action_is_an_origin_and_what_nobody_knows_is_none(both: Both) -> None:
    origin, found = told(both, "email-1")
    assert (origin.what, [one.key for one in found.acted]) == (What.ACTION, ["ticket-1"])
    assert find_origin(*both, "nothing") is None
    assert find_origin(both[0], None, "email-1") is None


def test_in_bulk_what_can_be_undone_is_undone_and_what_has_not_begun_is_rejected(both: Both) -> None:
    _, ledger = both
    _, found = told(both, "flagged")
    came = undo_all(ledger, found.with_remedy(Remedy.UNDO), "ada", "wrong answers", NOON + 100)
    assert [(one.key, one.state) for one in came.actions] == [("undo:record-1", State.ALLOWED)]
    rejected = reject_all(ledger, found.with_remedy(Remedy.REJECT), "ada", "wrong answers", NOON + 101)
    assert {one.key for one in rejected.actions} == {"money-1", "ticket-1"}
    _, again = told(both, "flagged")
    remedies = {one.key: one.remedy for one in again.acted}
    assert (remedies["record-1"], remedies["money-1"]) == (Remedy.UNDOING, Remedy.OVER)
    assert again.actions == found.actions  # the undo is no consequence of the output
    # The same again is entered once; what went on meanwhile is refused, and the rest is done.
    undo = Claim(scope="shop", key="undo:record-1", kind="record", fingerprint="f", claimant="worker", lease_s=60.0)
    ledger.done("shop", undo.key, ledger.claim(undo, NOON + 102).fence, b"", NOON + 103)
    _, last = told(both, "flagged")
    assert {one.key: one.remedy for one in last.acted}["record-1"] is Remedy.OVER
    late = undo_all(ledger, found.acted, "ada", "again", NOON + 104)
    assert [(one.key, one.state) for one in late.actions] == [("undo:record-1", State.DONE)]
    assert {one.key for one, _ in late.refused} == {"draft-1", "email-1", "money-1", "ticket-1"}


def test_causes_of_an_action_are_those_of_its_latest_proposal(both: Both) -> None:
    _, ledger = both
    entered(ledger, "ticket-2", "draft", "", causes=("before", "before", ""), state="allowed")
    assert [one.key for one in told(both, "before")[1].acted] == ["ticket-2"]
    assert told(both, "before")[1].acted[0].after == "before"


def test_the_same_key_of_two_applications_is_two_actions(both: Both) -> None:
    _, ledger = both
    for scope in ("bank", "shop"):
        for key, event, causes in (("pay", "before" if scope == "shop" else "", ()), ("receipt", "", ("pay",))):
            ledger.propose(
                Proposal(
                    scope=scope, key=key, kind="money", fingerprint="f", requester="agent", event=event, causes=causes
                ),
                NOON + 20,
            )
    _, found = told(both, "before")
    assert [(one.scope, one.key, one.after) for one in found.acted] == [
        ("shop", "pay", "before"), ("shop", "receipt", "pay"),
    ]  # fmt: skip
    _, of_key = told(both, "pay")
    assert (of_key.began_with, {(one.scope, one.key) for one in of_key.acted}) == (
        2, {("bank", "receipt"), ("shop", "receipt")},
    )  # fmt: skip
    into = LedgerEdges(ledger, into=True)
    assert roots_of([action_node("shop", "receipt")], [into]) == {"before"}
    assert roots_of([action_node("bank", "receipt")], [into]) == {action_node("bank", "pay")}
