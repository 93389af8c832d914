"""Verdicts of a model corrected by people."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.judgment.cells import Cell, corrected
from monitor.statistics.rates import wilson


def test_people_correct_a_lenient_judge() -> None:
    # The judge passes 95 %; people say that a tenth of these are bad, and all of what it failed.
    cells = {("all", "pass"): Cell(950, 100, 90), ("all", "fail"): Cell(50, 20, 0)}
    found = corrected(cells, {"all": 1.0})
    assert found is not None
    assert found.interval.rate == pytest.approx(0.95 * 0.9)
    assert found.interval.low < 0.855 < found.interval.high
    assert found.interval.width < wilson(90, 120).width


def test_a_cell_with_few_labels_borrows_from_that_verdict_elsewhere() -> None:
    cells = {
        ("a", "pass"): Cell(500, 50, 45),
        ("a", "fail"): Cell(50, 20, 2),
        ("b", "pass"): Cell(40, 3, 0),
        ("b", "fail"): Cell(60, 30, 3),
    }
    found = corrected(cells, {"a": 0.9, "b": 0.1})
    assert found is not None
    assert found.pooled == (("b", "pass"),)


def test_without_people_or_verdicts_there_is_no_correction() -> None:
    assert corrected({}, {"a": 1.0}) is None
    assert corrected({("a", "pass"): Cell(10)}, {"a": 1.0}) is None


def test_it_covers_where_the_judge_alone_never_does() -> None:
    rng = np.random.default_rng(5)
    covered = alone = 0
    for _ in range(300):
        good = rng.random(4_000) < 0.93
        verdict = np.where(good, rng.random(4_000) < 0.95, rng.random(4_000) < 0.3)
        people = rng.random(4_000) < np.where(verdict, 0.03, 0.3)
        cells = {
            ("all", name): Cell(
                float((verdict == passed).sum()),
                float((people & (verdict == passed)).sum()),
                float((people & good & (verdict == passed)).sum()),
            )
            for name, passed in (("pass", True), ("fail", False))
        }
        found = corrected(cells, {"all": 1.0}, all_judged=True)
        assert found is not None
        covered += found.interval.holds(float(good.mean()))
        alone += wilson(float(verdict.sum()), 4_000).holds(float(good.mean()))
    assert covered >= 0.94 * 300
    assert alone <= 0.05 * 300
