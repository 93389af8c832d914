"""Any order of entering, taking, deciding, giving back and waiting, against a model that knows who has what."""

from __future__ import annotations

import tempfile

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from monitor.actions.review import NotYours, Opinion, StaleLease, State
from monitor.ledger.open import open_ledger
from monitor.ledger.reviews import ReviewQueue
from tests.review.made import NOW, item

PEOPLE = st.sampled_from(["ann", "bob", "eve"])
LEASE_S = 60.0


class Reviews(RuleBasedStateMachine):
    """The model: of each item its latest lease (person, fence, end), who is barred, and what was decided by whom."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = open_ledger(self.folder.name)
        self.queue = ReviewQueue(self.ledger)
        self.now = NOW
        self.leases: dict[str, tuple[str, int, float]] = {}
        self.open: set[str] = set()
        self.barred: set[tuple[str, str]] = set()
        self.decided: dict[str, str] = {}
        self.given: list[tuple[str, str, int]] = []

    @rule(number=st.integers(0, 5))
    def put(self, number: int) -> None:
        new = item(number)
        assert self.queue.put([new]) == (new.id not in self.open | self.decided.keys())
        if new.id not in self.decided:
            self.open.add(new.id)

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(person=PEOPLE)
    def next(self, person: str) -> None:
        free = {
            one
            for one in self.open
            if (one, person) not in self.barred and (one not in self.leases or self.leases[one][2] <= self.now)
        }
        found = self.queue.next(person, self.now, lease_s=LEASE_S)
        if found is None:
            assert not free
            return
        assert found.id in free
        fence = self.leases.get(found.id, ("", 0, 0.0))[1] + 1
        assert (found.fence, found.leased_by) == (fence, person)
        self.leases[found.id] = (person, fence, self.now + LEASE_S)
        self.given.append((found.id, person, fence))

    @precondition(lambda self: self.given)
    @rule(data=st.data(), opinion=st.sampled_from(list(Opinion)), skip=st.none() | st.booleans())
    def answer(self, data: st.DataObject, opinion: Opinion, skip: bool | None) -> None:
        """With any lease that was ever given: decide, or give back."""
        name, person, fence = data.draw(st.sampled_from(self.given))
        current = name in self.open and self.leases[name][:2] == (person, fence)
        if skip is None:
            repeated = self.queue.decision(name)
            same = repeated is not None and (repeated.by, repeated.fence, repeated.opinion) == (person, fence, opinion)
            if not current and not same:
                with pytest.raises((StaleLease, NotYours)):
                    self.queue.decide(name, person, fence, opinion, self.now)
                return
            self.queue.decide(name, person, fence, opinion, self.now)
            self.open.discard(name)
            self.decided.setdefault(name, person)
        elif current:
            self.queue.release(name, person, fence, skip=skip)
            self.leases[name] = (person, fence, self.now)
            self.barred |= {(name, person)} if skip else set()
        else:
            with pytest.raises((StaleLease, NotYours)):
                self.queue.release(name, person, fence, skip=skip)

    @invariant()
    def each_item_is_decided_once_by_who_had_it(self) -> None:
        for name, person in self.decided.items():
            decision = self.queue.decision(name)
            assert decision is not None
            assert decision.by == person
        states = {one.id: one.state for one in self.queue.list(self.now, state=None, limit=100)}
        assert states == {**dict.fromkeys(self.open, State.OPEN), **dict.fromkeys(self.decided, State.DECIDED)}

    def teardown(self) -> None:
        assert self.ledger.verify_audit() is None
        self.ledger.close()
        self.folder.cleanup()


TestReviews = Reviews.TestCase
TestReviews.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
