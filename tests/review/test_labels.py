"""What people decide, counted for estimates and joined with the evaluator's verdicts."""

from __future__ import annotations

import pytest

from monitor.actions.review import Kind, Opinion
from monitor.judgment.calibration import LabelKey
from monitor.ledger.base import Ledger
from monitor.ledger.labels import labels
from monitor.ledger.reviews import ReviewQueue
from tests.review.made import NOW, item

KEY = LabelKey("support", "helpful", "main", "a1", ())
P, F, U = Opinion.PASS, Opinion.FAIL, Opinion.UNSURE


def decide_all(queue: ReviewQueue, opinions: dict[str, Opinion], by: str = "ann") -> None:
    while (found := queue.next(by, NOW)) is not None:
        queue.decide(found.id, by, found.fence, opinions.get(found.event, P), NOW)


def test_labels_are_counted_by_stratum_and_verdict_with_their_weights(ledger: Ledger) -> None:
    queue = ReviewQueue(ledger)
    queue.put([item(n) for n in range(1, 6)])
    queue.put([item(n, verdict=False, probability=0.5) for n in range(6, 10)])
    decide_all(queue, {"e1": F, "e5": U, "e6": P, "e7": F, "e8": F, "e9": F})
    queue.put([item(20), item(21, Kind.FLAGGED, verdict=False), item(22, Kind.ANCHOR)])
    decide_all(queue, {})
    queue.put([item(30)])
    found = labels(ledger, NOW - 7_200, NOW)[KEY]
    passed, failed = found.counts["uniform", True], found.counts["uniform", False]
    assert (passed.passed, passed.failed, passed.missing) == (4, 1, 1)  # e20 as well; flagged ones and anchors not
    assert passed.weight == pytest.approx(5 / (0.2 * 0.05))
    assert passed.weight_passed == pytest.approx(4 / (0.2 * 0.05))
    assert (failed.passed, failed.failed) == (1, 3)
    assert failed.weight == pytest.approx(4 / (0.2 * 0.5))
    assert found.open == 1


def test_labels_belong_to_one_evaluator_version_window_and_group(ledger: Ledger) -> None:
    queue = ReviewQueue(ledger)
    queue.put([item(1), item(2, identity="b2"), item(3, groups={"language": "pl"}), item(4, stream="sales")])
    queue.put([item(5, time=NOW - 9_000), item(6, criterion="polite")])
    decide_all(queue, {})
    asked = labels(ledger, NOW - 7_200, NOW, stream="supp*", criterion="helpful", by=["language"])
    assert {(key.identity, key.group) for key in asked} == {("a1", ("en",)), ("a1", ("pl",)), ("b2", ("en",))}
    polish = labels(ledger, NOW - 7_200, NOW, where={"language": "pl"})
    assert [(key.stream, key.group) for key in polish] == [("support", ())]
    assert set(labels(ledger, NOW - 9_001, NOW - 8_999)) == {KEY}


def test_second_opinions_stand_beside_the_first_and_count_once(ledger: Ledger) -> None:
    queue = ReviewQueue(ledger)
    queue.put([item(n, second=True) for n in range(1, 5)])
    decide_all(queue, {"e1": F, "e2": F})
    decide_all(queue, {"e1": F, "e3": F, "e4": U}, by="bob")
    found = labels(ledger, NOW - 7_200, NOW)[KEY]
    assert found.doubled == {(False, False): 1, (False, True): 1, (True, False): 1}
    assert (found.counts["uniform", True].passed, found.counts["uniform", True].failed) == (2, 2)
