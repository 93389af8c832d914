"""The sequential two-sample test: fair under no difference whatever the rows are, and quick where there is one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detection.evidence.two_sample import PIECE, TwoSampleTest, log_mean_over_choices
from monitor.detection.state.snapshot_codec import encode
from tests.detection.streams import read_again


@given(n=st.integers(2, 8), k=st.integers(1, 7), seed=st.integers(0, 10_000))
def test_the_mean_over_choices_is_the_mean_over_choices(n: int, k: int, seed: int) -> None:
    k = min(k, n - 1)
    along = 3 * np.random.default_rng(seed).normal(size=(n, 2))
    one_by_one = np.mean([np.exp(along[list(chosen)].sum(0)) for chosen in combinations(range(n), k)], axis=0)
    assert log_mean_over_choices(along, k) == pytest.approx(np.log(one_by_one), abs=1e-9)


@given(k=st.integers(1, 5), seed=st.integers(0, 10_000))
def test_over_all_labellings_of_a_piece_the_gain_is_one_in_the_mean(k: int, seed: int) -> None:
    """Fair given the rows and how many are new: for any rows, and whatever was learned before."""
    rng = np.random.default_rng(seed)
    learned = TwoSampleTest(3)
    for _ in range(3):
        new = rng.permutation(np.arange(PIECE) < 6)
        learned.piece(rng.normal(size=(PIECE, 3)) + new[:, None] * [2, 0, -1], new)
    scores = 2 * rng.standard_cauchy(size=(6, 3)).clip(-4, 4)
    gains = []
    for chosen in combinations(range(6), k):
        test = TwoSampleTest.from_state(read_again(learned.to_state()))
        before = test.sums.copy()
        test.piece(scores, np.isin(np.arange(6), chosen))
        gains.append(test.sums / (before + 6))
    assert np.mean(gains, axis=0) == pytest.approx(1.0)
    assert np.std(gains) > 0, "a bet on nothing would be fair too"


def _evidence(rng: np.random.Generator, pieces: int, share: float, apart: float, rho: float = 0.0) -> list[float]:
    test, mood, seen = TwoSampleTest(20), 0.0, []
    for _ in range(pieces):
        new = rng.random(PIECE) < share
        if 0 < new.sum() < PIECE:
            scores = rng.normal(size=(PIECE, 20))
            for row in range(PIECE):
                mood = rho * mood + rng.normal()
                scores[row] += mood
            scores[new, :2] += apart
            test.piece(scores, new)
        seen.append(test.total())
    return seen


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("rho", [0.0, 0.95])
def test_versions_alike_keep_the_budget(share: float, rho: float) -> None:
    """25,600 rows at a threshold of 100,000: what both versions do together is no evidence."""
    assert max(_evidence(np.random.default_rng(1), 1600, share, 0.0, rho)) < 100_000


@pytest.mark.parametrize(("share", "pieces"), [(0.1, 60), (0.5, 12)])
def test_a_difference_is_found(share: float, pieces: int) -> None:
    assert max(_evidence(np.random.default_rng(2), pieces, share, 1.5)) > 100_000


def test_a_difference_that_comes_late_is_found() -> None:
    rng = np.random.default_rng(3)
    test = TwoSampleTest(20)
    for piece in range(460):
        new = rng.permutation(np.arange(PIECE) < 5)
        scores = rng.normal(size=(PIECE, 20))
        if piece >= 400:
            scores[new, 0] += 2
        else:
            assert test.total() < 100_000
        test.piece(scores, new)
    assert test.total() > 100_000


def test_a_restored_test_goes_on_bit_for_bit() -> None:
    rng = np.random.default_rng(4)
    test = TwoSampleTest(5)
    for _ in range(40):
        new = rng.permutation(np.arange(PIECE) < 3)
        scores = rng.normal(size=(PIECE, 5)) + new[:, None]
        copy = TwoSampleTest.from_state(read_again(test.to_state()))
        assert test.piece(scores, new) == copy.piece(scores, new)
        assert encode(test.to_state()) == encode(copy.to_state())
        test = copy


@pytest.mark.parametrize("value", [1e-300, 700.0, -700.0, 0.0])
def test_scores_of_any_size_stay_finite(value: float) -> None:
    test = TwoSampleTest(1)
    new = np.arange(PIECE) % 2 == 0
    for _ in range(200):
        assert np.isfinite(test.piece(np.where(new, value, 0.0)[:, None], new))
    assert np.isfinite(test.total())
