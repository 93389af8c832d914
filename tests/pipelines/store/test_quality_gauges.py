"""Estimates of quality as metrics: by whom, how often, and how many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.actions.review import Opinion
from monitor.ledger.open import open_ledger
from monitor.ledger.reviews import ReviewQueue
from monitor.settings import Settings
from monitor.store.base import TraceStore
from monitor.store.open import open_store
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.store.quality_gauges import EVERY_S, QualityGauges
from tests.review.made import item
from tests.store.judged_stream import NOON, Log, judgment, output_rows


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


def settings(**metrics: Any) -> Settings:
    criterion = {"name": "helpful", "pass": "helps", "evaluator": "main"}
    evaluator = {"kind": "chat", "name": "main", "url": "http://127.0.0.1:1/v1", "model": "m"}
    return Settings.model_validate(
        {"streams": [{"match": "*", "criteria": [criterion]}], "evaluators": [evaluator], "metrics": metrics}
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    log = Log()
    log.append(output_rows(range(100), short=[0.0] * 99 + [1.0]))
    log.append(output_rows(range(10), stream="mute"))
    for n in range(40):
        log.append(judgment(n, n >= 10, time=NOON - 7_200 * (n < 20), identity="old" if n < 20 else "new"))
    opened = open_store(str(tmp_path / "traces"))
    opened.write(log.rows())
    yield opened
    opened.close()


def test_each_stream_and_criterion_has_its_rate_bounds_and_numbers(store: TraceStore) -> None:
    stats = WorkerStats()
    QualityGauges(settings(), stats, Clock()).measure(store)
    helpful, mute, short = ("support", "helpful"), ("mute", "helpful"), ("support", "short")
    assert stats.quality_rate == {helpful: 1.0, short: 0.99}  # of the evaluator that judges now
    assert stats.quality_low[helpful] < 1.0 == stats.quality_high[helpful]
    assert stats.quality_judged == {helpful: 20, mute: 0, short: 100}  # `mute` is there, and has no rate
    assert stats.quality_seen[mute] == 10
    assert stats.quality_at == NOON


def test_series_are_bounded_and_checks_are_left_out_first(store: TraceStore) -> None:
    stats = WorkerStats()
    QualityGauges(settings(max_streams=2), stats, Clock()).measure(store)
    assert set(stats.quality_judged) == {("support", "helpful"), ("mute", "helpful")}
    assert stats.quality_left_out == 1


def test_one_worker_measures_now_and_then_and_another_exports_nothing(store: TraceStore) -> None:
    stats, clock = WorkerStats(), Clock()
    gauges = QualityGauges(settings(), stats, clock)
    assert gauges.due(mine=True)
    gauges.measure(store)
    assert not gauges.due(mine=True)
    clock.now += EVERY_S
    assert gauges.due(mine=True)
    assert not gauges.due(mine=False)
    assert stats.quality_rate == {}


def test_slow_estimates_are_made_less_often(store: TraceStore) -> None:
    clock = Clock()
    gauges = QualityGauges(settings(), WorkerStats(), clock)

    class Slow:
        def quality(self, asked: Any) -> Any:
            clock.now += 30.0
            return store.quality(asked)

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    gauges.measure(Slow())  # type: ignore[arg-type]
    clock.now += 300.0
    assert not gauges.due(mine=True)
    clock.now += 3_000.0
    assert gauges.due(mine=True)


def test_without_criteria_nothing_is_measured() -> None:
    assert not QualityGauges(Settings(), WorkerStats(), Clock()).due(mine=True)


def test_the_corrected_rate_is_exported_from_enough_labels_on(store: TraceStore, tmp_path: Path) -> None:
    ledger = open_ledger(str(tmp_path / "ledger"))
    queue = ReviewQueue(ledger)
    labelled: dict[str, Any] = {
        "time": NOON,
        "identity": "new",
        "judged_probability": 0.5,
        "probability": 1.0,
        "created": NOON,
    }
    queue.put([item(n, **labelled) for n in range(40)])
    stats = WorkerStats()
    gauges = QualityGauges(settings(), stats, Clock())
    for labels, corrected in ((10, set()), (30, {("support", "helpful")})):
        for _ in range(labels):
            found = queue.next("ann", NOON)
            assert found is not None
            queue.decide(found.id, "ann", found.fence, Opinion.PASS if int(found.id, 16) % 4 else Opinion.FAIL, NOON)
        gauges.measure(store, ledger)
        assert set(stats.quality_corrected) == corrected
    key = ("support", "helpful")
    assert stats.quality_people[key] == 40
    assert stats.quality_corrected_low[key] < stats.quality_corrected[key] < stats.quality_rate[key] == 1.0
    ledger.close()
