"""Rates of all outputs from a sample that is not uniform."""

from __future__ import annotations

import pytest

from monitor.judgment.estimates import StratumCounts, estimate


def test_strata_count_by_their_share_of_all_outputs() -> None:
    found = estimate({"uniform": StratumCounts(900, 19, 1), "risky+uniform": StratumCounts(100, 20, 20)})
    assert found is not None
    assert found.interval.rate == pytest.approx(0.9 * 0.95 + 0.1 * 0.5)
    assert found.seen == 1000
    assert found.judged == 60


def test_one_stratum_at_one_look_is_wilsons() -> None:
    from monitor.statistics.rates import wilson

    found = estimate({"uniform": StratumCounts(1000, 45, 5)}, always_valid=False)
    assert found is not None
    assert found.interval.low == pytest.approx(wilson(45, 50).low)


def test_a_missing_verdict_is_no_failure_and_its_bounds_are_given() -> None:
    found = estimate({"uniform": StratumCounts(1000, 45, 5, missing=10)})
    assert found is not None
    assert found.interval.rate == pytest.approx(0.9)
    assert found.if_missing == (pytest.approx(45 / 60), pytest.approx(55 / 60))


def test_few_missing_verdicts_need_no_bounds() -> None:
    found = estimate({"uniform": StratumCounts(1000, 95, 5, missing=1)})
    assert found is not None
    assert found.if_missing is None


def test_a_stratum_that_nobody_judged_widens_the_interval_by_its_share() -> None:
    found = estimate({"uniform": StratumCounts(800, 40, 0), "risky+uniform": StratumCounts(200)})
    assert found is not None
    assert found.unjudged_share == pytest.approx(0.2)
    assert found.interval.low < 0.8
    assert found.interval.rate == pytest.approx(1.0)


def test_nothing_seen_is_no_estimate_and_nothing_judged_is_unknown() -> None:
    assert estimate({}) is None
    found = estimate({"uniform": StratumCounts(10)})
    assert found is not None
    assert (found.interval.low, found.interval.high) == (0.0, 1.0)
