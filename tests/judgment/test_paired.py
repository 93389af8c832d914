"""Before and after on the same cases."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.judgment.paired import Verdict, cases_needed, cluster_means, compare


def runs(rng: np.random.Generator, cases: int, drop: float, repeats: int) -> tuple[list[float], list[float]]:
    p = rng.beta(0.85, 0.15, cases)
    return (rng.binomial(repeats, p) / repeats).tolist(), (rng.binomial(repeats, p * (1 - drop)) / repeats).tolist()


@pytest.mark.parametrize(("drop", "wanted"), [(0.0, Verdict.PASS), (0.25, Verdict.FAIL)])
def test_clear_cases(drop: float, wanted: Verdict) -> None:
    before, after = runs(np.random.default_rng(1), 200, drop, 4)
    assert compare(before, after, look=2).verdict is wanted


def test_ten_cases_cannot_tell() -> None:
    before, after = runs(np.random.default_rng(2), 10, 0.0, 1)
    assert compare(before, after).verdict is Verdict.CANNOT_TELL


def test_the_same_answers_pass() -> None:
    found = compare([1.0, 0.0, 1.0, 1.0] * 10, [1.0, 0.0, 1.0, 1.0] * 10)
    assert found.verdict is Verdict.PASS
    assert found.loss == 0


def test_the_loss_has_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        before, after = runs(rng, 100, 0.15, 4)
        found = compare(before, after)
        held += found.loss_low <= 0.15 <= found.loss_high
    assert held >= 0.85 * 200  # 90 % asked


def test_turns_of_one_conversation_count_once() -> None:
    assert cluster_means([1, 0, 1, 1], ["a", "a", "b", "b"]).tolist() == [0.5, 1.0]
    before, after = runs(np.random.default_rng(4), 100, 0.0, 1)
    assert compare(before, after, clusters=[k // 5 for k in range(100)]).units == 20


def test_sides_must_be_the_same_cases() -> None:
    with pytest.raises(ValueError, match="same cases"):
        compare([1.0, 1.0], [1.0])
    with pytest.raises(ValueError, match="at least two"):
        compare([1.0, 1.0], [1.0, 0.0], clusters=["a", "a"])


def test_cases_needed() -> None:
    assert cases_needed(0.85) == 100
    assert cases_needed(0.85, runs=4) == 26
