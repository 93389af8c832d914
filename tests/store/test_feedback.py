"""What users say of outputs, kept and counted: late, early, again, malformed, and of whom."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.events import OutputEvent
from monitor.judgment.intervals import sequence
from monitor.judgment.quality import Method, Quality
from monitor.judgment.records import Feedback, encode_record
from monitor.statistics.rates import wilson
from monitor.store.base import TraceStore
from monitor.store.estimating import estimates
from monitor.store.open import open_store
from monitor.store.periods import HOUR_S
from monitor.store.privacy import FieldPolicy, Keep, Privacy
from monitor.store.quality import Window
from monitor.store.records import Incoming, Place
from pipelines.store.rows import RowMaker
from tests.store.judged_stream import TOPICS, Message

NOON = 20_000 * 86_400.0 + 12 * HOUR_S
DAY = Window(since=int(NOON // HOUR_S) - 12, until=int(NOON // HOUR_S) + 12)
WEEK = Window(since=DAY.since - 7 * 24, until=DAY.until + 7 * 24)


@pytest.fixture
def store(address: str) -> Iterator[TraceStore]:
    made = open_store(address)
    yield made
    made.close()


def incoming(*said: Feedback | bytes, first: int = 0, at: float = NOON, privacy: Privacy | None = None) -> Incoming:
    maker = RowMaker(TOPICS, privacy or Privacy())
    values = [one if isinstance(one, bytes) else encode_record(one) for one in said]
    messages = [(TOPICS.feedback.name, Message(0, first + k, value, int(at * 1000))) for k, value in enumerate(values)]
    return maker.rows(messages)


def outputs(*events: str, stream: str = "bot", at: float = NOON) -> Incoming:
    rows = Incoming()
    for position, event in enumerate(events):
        made = OutputEvent(id=event, stream=stream, output="x", time=at)
        rows.add_outputs([(made, Place("outputs", 0, position, at))], Privacy())
    return rows


def thumb(event: str, up: bool = True, **fields: Any) -> Feedback:
    return Feedback(**{"event": event, "value": up, "stream": "bot", "time": NOON, **fields})


def one(store: TraceStore, window: Window = DAY, **given: Any) -> Quality:
    (found,) = estimates(store, window, **given)
    return found


def test_the_share_of_content_users_with_its_interval_and_number(store: TraceStore) -> None:
    store.write(incoming(*(thumb(f"e{k}", k % 10 != 0) for k in range(50))))
    found = one(store)
    assert (found.stream, found.criterion, found.method) == ("bot", "feedback_thumb", Method.FEEDBACK)
    assert (found.rate, found.judged, found.people, found.missing) == (0.9, 50, 50, 0)
    assert (found.low, found.high) == (sequence(45, 50).low, sequence(45, 50).high)
    report = one(store, always_valid=False)
    assert (report.low, report.high) == (wilson(45, 50).low, wilson(45, 50).high)


def test_of_repeated_feedback_the_latest_said_counts_in_whichever_order_it_comes(store: TraceStore) -> None:
    said = [thumb("e1", up, time=NOON + k) for k, up in enumerate((True, False, True, False))]
    orders = random.Random(2)
    for _ in range(6):
        orders.shuffle(said)
        for k, record in enumerate(said):
            store.write(incoming(record, first=k))
    found = one(store)
    assert (found.rate, found.judged) == (0.0, 1)
    (kept,) = store.feedback("e1")
    assert (kept.time, kept.good) == (NOON + 3, False)
    store.write(incoming(*said))  # all in one transaction
    assert one(store).judged == 1


def test_kinds_are_separate_and_the_middle_of_a_scale_is_neither(store: TraceStore) -> None:
    store.write(
        incoming(
            thumb("e1"),
            thumb("e1", kind="rating", value=5.0, scale=(1.0, 5.0)),
            thumb("e2", kind="rating", value=3.0, scale=(1.0, 5.0)),
            thumb("e3", kind="rating", value=1.0, scale=(1.0, 5.0)),
        )
    )
    found = {each.criterion: each for each in estimates(store, DAY)}
    rating = found["feedback_rating"]
    assert (rating.rate, rating.judged, rating.missing) == (0.5, 2, 1)
    assert found["feedback_thumb"].judged == 1
    assert [
        each.criterion
        for each in estimates(store, Window(since=DAY.since, until=DAY.until, criterion="feedback_thumb"))
    ] == ["feedback_thumb"]


def test_feedback_without_a_stream_is_counted_once_its_output_is_there(store: TraceStore) -> None:
    store.write(incoming(thumb("e1", stream=None), thumb("e2", False, stream=None), thumb("never", stream=None)))
    assert estimates(store, DAY) == []
    store.write(outputs("e1", "e2"))
    assert (one(store).stream, one(store).judged, one(store).rate) == ("bot", 2, 0.5)
    assert estimates(store, Window(since=DAY.since, until=DAY.until, stream="other*")) == []


def test_feedback_days_after_its_output_is_joined(store: TraceStore) -> None:
    store.write(outputs("e1", at=NOON - 3 * 86_400))
    store.write(incoming(thumb("e1", stream=None)))
    assert (one(store).stream, one(store).judged) == ("bot", 1)
    (said,) = store.feedback("e1")
    assert said.time == NOON


def test_a_clock_that_is_ahead_does_not_keep_later_opinions_from_counting(store: TraceStore) -> None:
    store.write(incoming(thumb("e1", time=NOON + 400 * 86_400)))
    store.write(incoming(thumb("e1", False, time=NOON + 600), first=1, at=NOON + 600))
    (said,) = store.feedback("e1")
    assert (said.good, said.time) == (False, NOON + 600)


def test_malformed_feedback_is_counted_and_stops_nothing(store: TraceStore) -> None:
    rows = incoming(b"{", thumb("e1"), b'{"event": "e2", "value": 4}', thumb("e\0x", text="a\0b"))
    assert len(rows.feedback) == 2
    assert rows.positions == {(TOPICS.feedback.id, 0): 4}
    store.write(rows)
    assert one(store).judged == 2


def test_texts_and_names_are_kept_as_privacy_allows(store: TraceStore) -> None:
    said = thumb("e1", False, text="mail me at ada@example.com", by="ada@example.com")
    store.write(incoming(said))
    (masked,) = store.feedback("e1")
    assert "ada@example.com" not in f"{masked.text} {masked.by}"
    policy = FieldPolicy(match="*", output=Keep.NONE, attributes=Keep.NONE)
    store.write(incoming(thumb("e2", text="secret", by="ada"), first=1, privacy=Privacy(fields=(policy,))))
    (nothing,) = store.feedback("e2")
    assert (nothing.text, nothing.by) == (None, None)


def test_it_ends_with_the_retention(store: TraceStore) -> None:
    store.write(incoming(thumb("old"), at=NOON - 5 * 86_400))
    store.write(incoming(thumb("new"), first=1))
    store.drop_before(int(NOON // 86_400) - 1)
    assert store.feedback("old") == []
    assert len(store.feedback("new")) == 1


def test_a_part_of_the_outputs_has_no_estimate_of_it(store: TraceStore) -> None:
    store.write(incoming(thumb("e1")))
    narrowed = Window(since=DAY.since, until=DAY.until, where={"language": "pl"})
    assert estimates(store, narrowed) == []


def test_rebuilt_from_the_log_the_rows_are_the_same(address: str, store: TraceStore) -> None:
    said = [thumb(f"e{k % 7}", k % 3 == 0, time=NOON + (k * 37) % 50) for k in range(60)]
    for start in range(0, 60, 7):
        store.write(incoming(*said[start : start + 7], first=start))
    cut = [store.feedback(f"e{k}") for k in range(7)]
    store.drop_before(int(NOON // 86_400) + 2)
    assert store.feedback("e0") == []
    store.write(incoming(*said))
    assert [store.feedback(f"e{k}") for k in range(7)] == cut
