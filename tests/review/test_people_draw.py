"""Judged outputs on their way to people, and back into the estimate: from messages of the log to `estimates`."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.actions.review import Kind, Opinion
from monitor.criteria.criterion import Criterion
from monitor.judgment.records import Purpose, Side
from monitor.ledger.base import Ledger
from monitor.ledger.labels import labels
from monitor.ledger.reviews import ReviewQueue
from monitor.store.base import TraceStore
from monitor.store.estimating import estimates
from monitor.store.open import open_store
from monitor.store.quality import Window
from pipelines.store.people import PeopleDraw
from tests.store.judged_stream import NOON, Log, judgment, output_rows

HOUR = int(NOON // 3_600)
WINDOW = Window(since=HOUR - 24, until=HOUR + 24)


def draw(passed: float = 0.2, failed: float = 1.0, second: float = 0.0) -> PeopleDraw:
    people = {"passed": passed, "failed": failed, "second_opinion": second, "cost": 2.0}
    helpful = Criterion.model_validate({"name": "helpful", "pass": "helps", "evaluator": "main", "people": people})
    return PeopleDraw(lambda stream: [helpful] if stream == "support" else [], b"salt")


def written(log: Log, store: TraceStore, queue: ReviewQueue, *, of: PeopleDraw, step: int = 1_000) -> None:
    """As the store's writer does it."""
    for start in range(0, len(log.messages), step):
        incoming = log.rows(start, start + step)
        queue.put(of.items(incoming.judgments, store.with_verdict))
        store.write(incoming)


@pytest.fixture
def log() -> Log:
    """1,000 outputs, all judged: 900 pass."""
    made = Log()
    made.append(output_rows(range(1_000)))
    for n in range(1_000):
        made.append(judgment(n, n >= 100, probability=1.0))
    return made


@pytest.fixture
def queue(ledger: Ledger) -> ReviewQueue:
    return ReviewQueue(ledger)


def test_a_share_by_verdict_goes_to_people(log: Log, queue: ReviewQueue, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "traces"))
    written(log, store, queue, of=draw(second=0.3))
    items = queue.list(NOON, limit=1_000)
    assert sum(one.verdict is False for one in items) == 100
    assert 150 < sum(one.verdict is True for one in items) < 220
    assert {one.probability for one in items} == {0.2, 1.0}
    assert {one.cost for one in items} == {2.0}
    assert 0.2 < sum(one.second for one in items) / len(items) < 0.4
    one = items[0]
    assert (one.kind, one.stratum, one.identity, one.groups["model"]) == (Kind.SAMPLE, "uniform", "a1", "m 7")
    store.close()


def test_a_log_that_is_read_again_puts_nothing_twice(log: Log, queue: ReviewQueue, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "traces"))
    written(log, store, queue, of=draw(), step=300)
    before = {one.id for one in queue.list(NOON, limit=1_000)}
    written(log, store, queue, of=draw(), step=170)  # the worker died, and begins at an earlier position
    again = open_store(str(tmp_path / "rebuilt"))
    written(log, again, queue, of=draw())
    assert {one.id for one in queue.list(NOON, limit=1_000)} == before
    for one in (store, again):
        one.close()


def test_the_first_verdict_in_the_log_decides_who_is_drawn(queue: ReviewQueue, tmp_path: Path) -> None:
    """A judge that died asks again and is answered otherwise: the store keeps the first, so people get it as that."""
    store = open_store(str(tmp_path / "traces"))
    log = Log()
    for n in range(200):
        log.append(judgment(n, passed=True))
        log.append(judgment(n, passed=False))
    for n in range(100):
        log.append(judgment(n, passed=False))
    written(log, store, queue, of=draw(), step=50)
    items = queue.list(NOON, limit=1_000)
    assert 20 < len(items) < 60
    assert all(one.verdict for one in items)
    store.close()


def test_missing_verdicts_and_streams_without_people_bring_nothing(queue: ReviewQueue, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "traces"))
    log = Log()
    for n in range(50):
        log.append(judgment(n, None))
        log.append(judgment(n, passed=False, stream="other"))
        log.append(judgment(n, passed=False, purpose=Purpose.ANCHOR, anchor=f"a{n}"))
    written(log, store, queue, of=draw())
    assert queue.list(NOON) == []
    store.close()


def test_failed_examples_of_an_alert_are_flagged(queue: ReviewQueue, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "traces"))
    log = Log()
    given = {"purpose": Purpose.DIAGNOSTIC, "finding": "alert-1", "side": Side.AFTER, "probability": 1.0}
    for n in range(4):
        log.append(judgment(n, n > 0, **given))
    written(log, store, queue, of=draw())
    (flagged,) = queue.list(NOON)
    assert (flagged.kind, flagged.event, flagged.cost) == (Kind.FLAGGED, "e0", 6.0)
    assert flagged.reason == "example of alert alert-1, after its change"
    store.close()


def test_decisions_correct_the_rate(log: Log, ledger: Ledger, queue: ReviewQueue, tmp_path: Path) -> None:
    """The evaluator passes 90 %; people fail every ninth of these, and pass one of ten that it failed."""
    store = open_store(str(tmp_path / "traces"))
    written(log, store, queue, of=draw())
    while (found := queue.next("ann", NOON)) is not None:
        number = int(found.event[1:])
        good = number % 10 == 0 if number < 100 else number % 9 != 0
        queue.decide(found.id, "ann", found.fence, Opinion.PASS if good else Opinion.FAIL, NOON)
    (one,) = estimates(store, WINDOW, always_valid=False, labels=labels(ledger, *WINDOW.period))
    truth = (900 * 8 / 9 + 10) / 1_000
    assert one.rate == pytest.approx(0.9)
    assert one.corrected is not None
    assert one.by_people is not None
    assert one.corrected.low <= truth <= one.corrected.high
    assert one.corrected.high - one.corrected.low < one.by_people.high - one.by_people.low
    assert one.people == len([each for each in queue.list(NOON, state=None, limit=1_000) if each.kind is Kind.SAMPLE])
    assert one.with_people is not None
    assert one.with_people.kappa is not None
    (sliced,) = estimates(
        store,
        Window(since=HOUR - 24, until=HOUR + 24, by=("language",)),
        labels=labels(ledger, *WINDOW.period, by=["language"]),
    )
    assert (sliced.by, sliced.people) == ({"language": "en"}, one.people)
    store.close()
