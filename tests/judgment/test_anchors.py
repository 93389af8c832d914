"""Anchors tell whether the evaluator changed."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.judgment.anchors import AnchorAlarm, AnchorWatch


def verdicts(rng: np.random.Generator, days: int, lenient_from: int | None) -> AnchorAlarm | None:
    rates = {f"a{k}": 0.97 if k % 2 else 0.10 for k in range(120)}
    baselines = {name: rng.binomial(5, rate) / 5 for name, rate in rates.items()}
    watch = AnchorWatch(baselines, {name: rate > 0.5 for name, rate in rates.items()}, 365 * 30)
    names = list(rates)
    for k in range(days * 30):
        name = names[k % len(names)]
        rate = rates[name]
        if lenient_from is not None and k >= lenient_from * 30:
            rate += 0.25 * (1 - rate)
        alarm = watch.observe(name, bool(rng.random() < rate))
        if alarm is not None:
            return alarm
    return None


def test_an_evaluator_that_stays_the_same_raises_nothing() -> None:
    assert verdicts(np.random.default_rng(1), 120, None) is None


def test_more_leniency_is_found_and_named() -> None:
    alarm = verdicts(np.random.default_rng(1), 60, 30)
    assert alarm is not None
    assert alarm.lenient
    assert alarm.group in ("bad", "all")
    assert 30 * 30 < alarm.verdicts <= 45 * 30


def test_it_goes_on_from_a_snapshot() -> None:
    rng = np.random.default_rng(2)
    one, other = (AnchorWatch({"a": 0.4}, {"a": False}, 100.0) for _ in range(2))
    for passed in rng.random(20) < 0.5:
        one.observe("a", bool(passed))
    other.restore(one.snapshot())
    assert other.evidence == one.evidence
    assert other.verdicts == 20


def test_an_unknown_anchor_is_an_error() -> None:
    with pytest.raises(KeyError):
        AnchorWatch({}, {}, 10.0).observe("x", True)
