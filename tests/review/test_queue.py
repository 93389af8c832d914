"""The review queue in the ledger, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from monitor.actions.review import (
    Also,
    InvalidReview,
    Kind,
    NoSuchItem,
    NotYours,
    Opinion,
    ReviewMessage,
    StaleLease,
    State,
    item_id,
)
from monitor.actions.states import NotAllowed, Proposal
from monitor.actions.states import State as ActionState
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from monitor.ledger.reviews import CANDIDATES, ReviewQueue
from tests.review.made import NOW, item


@pytest.fixture
def queue(ledger: Ledger) -> ReviewQueue:
    return ReviewQueue(ledger)


def refund(key: str = "refund:1", **given: object) -> Proposal:
    known: dict[str, object] = {
        "scope": "shop", "key": key, "kind": "money", "fingerprint": "f1", "requester": "agent", "stream": "support",
        "event": "e1", "text_hash": "t1", "policy_version": "p1", "decision": "hold", "reasons": ("approval: dear",),
        "approvals_needed": 1, "expires_at": NOW + 3_600,
    }  # fmt: skip
    return Proposal(**(known | given))  # type: ignore[arg-type]


def test_the_same_items_again_are_entered_once(queue: ReviewQueue) -> None:
    assert queue.put([item(1), item(2), item(1)]) == 2
    assert queue.put([item(2), item(3)]) == 1
    found = queue.next("ann", NOW)
    assert found is not None
    queue.decide(found.id, "ann", found.fence, Opinion.PASS, NOW)
    assert queue.put([item(1), item(2), item(3)]) == 0
    assert queue.get(found.id).state is State.DECIDED


def test_the_most_urgent_comes_first_and_nobody_gets_what_another_has(queue: ReviewQueue) -> None:
    queue.put([item(10), item(500), item(20, Kind.FLAGGED)])
    got = [queue.next(person, NOW) for person in ("ann", "bob", "eve", "joe")]
    assert [one and one.event for one in got] == ["e500", "e20", "e10", None]
    assert [one.event for one in queue.list(NOW)] == ["e500", "e20", "e10"]


def test_a_lease_that_is_over_goes_to_the_next_person_and_the_first_is_refused(queue: ReviewQueue) -> None:
    queue.put([item(1)])
    first = queue.next("ann", NOW, lease_s=60)
    assert first is not None
    assert queue.next("bob", NOW + 59) is None
    second = queue.next("bob", NOW + 60)
    assert second is not None
    assert (second.id, second.fence) == (first.id, first.fence + 1)
    with pytest.raises(StaleLease):
        queue.decide(first.id, "ann", first.fence, Opinion.FAIL, NOW + 61)
    with pytest.raises(StaleLease):
        queue.extend(first.id, "ann", first.fence, NOW + 61)
    with pytest.raises(NotYours):
        queue.decide(first.id, "ann", second.fence, Opinion.FAIL, NOW + 61)
    queue.decide(first.id, "bob", second.fence, Opinion.PASS, NOW + 62)
    decision = queue.decision(first.id)
    assert decision is not None
    assert (decision.by, decision.opinion) == ("bob", Opinion.PASS)


def test_a_slow_reader_whose_item_nobody_took_is_heard(queue: ReviewQueue) -> None:
    queue.put([item(1)])
    first = queue.next("ann", NOW, lease_s=60)
    assert first is not None
    queue.decide(first.id, "ann", first.fence, Opinion.FAIL, NOW + 6_000)


def test_a_decision_that_is_sent_again_is_the_same_and_another_one_is_refused(queue: ReviewQueue) -> None:
    queue.put([item(1)])
    found = queue.next("ann", NOW)
    assert found is not None
    made = queue.decide(found.id, "ann", found.fence, Opinion.FAIL, NOW, note="off topic", also=[Also.ANCHOR])
    assert queue.decide(found.id, "ann", found.fence, Opinion.FAIL, NOW + 5) == made
    with pytest.raises(StaleLease, match="decided"):
        queue.decide(found.id, "ann", found.fence, Opinion.PASS, NOW + 5)
    assert queue.decision(found.id) == made


def test_what_is_given_back_goes_to_someone_else(queue: ReviewQueue) -> None:
    queue.put([item(1)])
    found = queue.next("ann", NOW)
    assert found is not None
    queue.release(found.id, "ann", found.fence)
    assert queue.next("ann", NOW) is None
    other = queue.next("bob", NOW)
    assert other is not None
    queue.release(other.id, "bob", other.fence, skip=False)
    assert queue.next("bob", NOW) is not None


def test_who_has_skipped_many_gets_what_lies_behind_them(queue: ReviewQueue) -> None:
    queue.put([item(n, created=NOW - 1_000 + n) for n in range(CANDIDATES + 3)])
    for _ in range(CANDIDATES + 2):
        found = queue.next("ann", NOW)
        assert found is not None
        queue.release(found.id, "ann", found.fence)
    last = queue.next("ann", NOW)
    assert last is not None
    assert last.event == f"e{CANDIDATES + 2}"
    assert queue.next("ann", NOW) is None
    assert queue.oldest() == {Kind.SAMPLE: (CANDIDATES + 3, NOW - 1_000)}


def test_a_lease_is_extended(queue: ReviewQueue) -> None:
    queue.put([item(1)])
    found = queue.next("ann", NOW, lease_s=60)
    assert found is not None
    queue.extend(found.id, "ann", found.fence, NOW + 50, 60)
    assert queue.next("bob", NOW + 100) is None
    assert queue.next("bob", NOW + 110) is not None


def test_a_second_opinion_goes_to_another_person(queue: ReviewQueue) -> None:
    queue.put([item(1, second=True)])
    first = queue.next("ann", NOW)
    assert first is not None
    queue.decide(first.id, "ann", first.fence, Opinion.PASS, NOW)
    assert queue.next("ann", NOW + 1) is None
    second = queue.next("bob", NOW + 1)
    assert second is not None
    assert (second.kind, second.first, second.event) == (Kind.SECOND, first.id, "e1")
    queue.decide(second.id, "bob", second.fence, Opinion.FAIL, NOW + 2)
    assert queue.next("eve", NOW + 3) is None


def test_every_decision_is_in_the_audit_log_and_in_the_outbox(ledger: Ledger, queue: ReviewQueue) -> None:
    queue.put([item(1, second=True)])
    found = queue.next("ann", NOW)
    assert found is not None
    queue.decide(found.id, "ann", found.fence, Opinion.FAIL, NOW + 1, note="a private remark")
    (entry,) = [one for one in ledger.audit() if one.what == "reviewed"]
    assert (entry.actor, entry.subject) == ("ann", f"review:{found.id}")
    assert "private" not in entry.body
    (row,) = [one for one in ledger.outbox_take() if one.topic == "reviews"]
    message = msgspec.json.decode(row.body, type=ReviewMessage)
    assert (row.key, message.opinion, message.probability) == ("e1", Opinion.FAIL, 0.05)
    assert b"private" not in row.body
    assert ledger.verify_audit() is None


def test_items_without_texts_are_closed(queue: ReviewQueue, ledger: Ledger) -> None:
    queue.put([item(1, time=NOW - 100), item(2, time=NOW), item(3, time=NOW - 100)])
    got = queue.next("ann", NOW)
    assert got is not None
    assert got.event == "e3"
    queue.decide(got.id, "ann", got.fence, Opinion.PASS, NOW)
    assert queue.close_before(NOW - 50, NOW) == 1
    assert queue.close_before(NOW - 50, NOW) == 0
    assert queue.waiting() == {
        (Kind.SAMPLE, State.CLOSED): 1, (Kind.SAMPLE, State.OPEN): 1, (Kind.SAMPLE, State.DECIDED): 1
    }  # fmt: skip
    assert [one.what for one in ledger.audit()] == ["reviewed", "closed"]


def test_items_are_narrowed_by_stream_criterion_and_kind(queue: ReviewQueue) -> None:
    queue.put([item(1, stream="a-1"), item(2, stream="a_2", criterion="polite"), item(3, Kind.FLAGGED, stream="b")])
    assert [one.event for one in queue.list(NOW, stream="a-*")] == ["e1"]
    assert [one.event for one in queue.list(NOW, criterion="polite")] == ["e2"]
    assert [one.event for one in queue.list(NOW, kind=Kind.FLAGGED)] == ["e3"]
    got = queue.next("ann", NOW, stream="a*", criterion="polite", kinds=[Kind.SAMPLE])
    assert got is not None
    assert got.event == "e2"
    assert queue.next("ann", NOW, stream="c") is None


def test_odd_names_and_ids_are_refused(queue: ReviewQueue) -> None:
    queue.put([item(1)])
    with pytest.raises(NoSuchItem):
        queue.decide("'; drop table review_item; --", "ann", 1, Opinion.PASS, NOW)
    with pytest.raises(InvalidReview):
        queue.next("", NOW)
    with pytest.raises(InvalidReview):
        queue.next("ann", NOW, lease_s=0)
    found = queue.next("o'brien\u2019; --", NOW)
    assert found is not None
    with pytest.raises(InvalidReview, match="note"):
        queue.decide(found.id, "o'brien\u2019; --", found.fence, Opinion.PASS, NOW, note="x" * 5_000)
    queue.decide(found.id, "o'brien\u2019; --", found.fence, Opinion.PASS, NOW, note="nul \0 and half \ud83d")


# Held actions


def test_a_held_action_is_decided_through_the_queue(ledger: Ledger, queue: ReviewQueue) -> None:
    ledger.propose(refund("refund:1"), NOW - 10)
    ledger.propose(refund("refund:2"), NOW)
    assert queue.next("agent", NOW) is None  # who asked does not decide
    first, second = queue.next("ann", NOW), queue.next("ann", NOW)
    assert first is not None
    assert second is not None
    assert [first.key, second.key] == ["refund:1", "refund:2"]
    queue.decide(first.id, "ann", first.fence, Opinion.PASS, NOW + 1)
    queue.decide(second.id, "ann", second.fence, Opinion.FAIL, NOW + 1, note="a wrong amount")
    assert ledger.get("shop", "refund:1").state is ActionState.ALLOWED
    assert ledger.get("shop", "refund:2").state is ActionState.REJECTED
    assert ledger.get("shop", "refund:2").why == "a wrong amount"
    assert ledger.verify_audit() is None


def test_an_action_that_needs_two_people_comes_to_two(ledger: Ledger, queue: ReviewQueue) -> None:
    ledger.propose(refund(approvals_needed=2), NOW)
    first = queue.next("ann", NOW)
    assert first is not None
    queue.decide(first.id, "ann", first.fence, Opinion.PASS, NOW + 1)
    assert ledger.get("shop", "refund:1").state is ActionState.HELD
    assert queue.next("ann", NOW + 2) is None
    second = queue.next("bob", NOW + 2)
    assert second is not None
    queue.decide(second.id, "bob", second.fence, Opinion.PASS, NOW + 3)
    assert ledger.get("shop", "refund:1").state is ActionState.ALLOWED


def test_what_has_changed_or_expired_since_it_was_shown_is_not_approved(ledger: Ledger, queue: ReviewQueue) -> None:
    ledger.propose(refund("refund:1"), NOW)
    ledger.propose(refund("refund:2"), NOW + 1)
    changed, expired = queue.next("ann", NOW + 1), queue.next("ann", NOW + 1)
    assert changed is not None
    assert expired is not None
    ledger.propose(refund("refund:1", text_hash="t2"), NOW + 2)
    with pytest.raises(NotAllowed):
        queue.decide(changed.id, "ann", changed.fence, Opinion.PASS, NOW + 3)
    ledger.due(NOW + 9_000)
    with pytest.raises(NotAllowed):
        queue.decide(expired.id, "ann", expired.fence, Opinion.PASS, NOW + 9_001)
    assert queue.next("bob", NOW + 9_002) is None
    assert queue.get(expired.id).state is State.CLOSED


def test_a_held_action_decided_elsewhere_leaves_the_queue(ledger: Ledger, queue: ReviewQueue) -> None:
    ledger.propose(refund(), NOW)
    found = queue.next("ann", NOW)
    assert found is not None
    ledger.approve("shop", "refund:1", "bob", "f1", "t1", "p1", NOW + 1)
    queue.refresh(NOW + 2)
    with pytest.raises(StaleLease, match="closed"):
        queue.decide(found.id, "ann", found.fence, Opinion.PASS, NOW + 3)


def test_nobody_cannot_tell_of_a_held_action(ledger: Ledger, queue: ReviewQueue) -> None:
    ledger.propose(refund(), NOW)
    held = queue.next("ann", NOW)
    assert held is not None
    with pytest.raises(InvalidReview, match="give it back"):
        queue.decide(held.id, "ann", held.fence, Opinion.UNSURE, NOW)
    with pytest.raises(InvalidReview, match="no anchor"):
        queue.decide(held.id, "ann", held.fence, Opinion.PASS, NOW, also=[Also.ANCHOR])


# Many people at once


@pytest.fixture
def queues(address: str) -> Iterator[list[ReviewQueue]]:
    ledgers = [open_ledger(address) for _ in range(2)]
    yield [ReviewQueue(one) for one in ledgers]
    for one in ledgers:
        one.close()


def test_of_a_thousand_items_each_goes_to_one_person_though_a_reviewer_dies(queues: list[ReviewQueue]) -> None:
    """Four people in the ledgers of two processes; one leaves with ten items, which come to another afterwards."""
    queues[0].put([item(n, second=n % 10 == 0) for n in range(1_000)])
    left = [queues[1].next("dead", NOW, lease_s=60) for _ in range(10)]

    def work(person: int) -> list[str]:
        queue, name, got = queues[person % 2], f"person {person}", []
        while (found := queue.next(name, NOW)) is not None:
            got.append(found.id)
            if len(got) % 10 == 0:  # each decision is a transaction of its own, which takes the test's time
                queue.decide(found.id, name, found.fence, Opinion.PASS, NOW)
        return got

    with ThreadPoolExecutor(4) as pool:
        got = [one for each in pool.map(work, range(4)) for one in each]
    assert max(Counter(got).values()) == 1
    ids = {item_id(Kind.SAMPLE, n) for n in range(1_000)}
    lost = {one.id for one in left if one is not None}
    assert len(lost) == 10
    assert ids & set(got) == ids - lost
    again = [found for _ in range(10) if (found := queues[0].next("person 9", NOW + 60)) is not None]
    assert {one.id for one in again if one.kind is Kind.SAMPLE} <= lost
    for one in again:
        queues[0].decide(one.id, "person 9", one.fence, Opinion.PASS, NOW + 61)
    assert left[0] is not None
    with pytest.raises(StaleLease):
        queues[1].decide(left[0].id, "dead", left[0].fence, Opinion.FAIL, NOW + 62)
