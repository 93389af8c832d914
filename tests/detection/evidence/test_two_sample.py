"""The sequential two-sample test: fair under no difference whatever the rows are, and quick where there is one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detection.evidence.two_sample import PIECE, TwoSampleTest, TwoSampleTestState, log_mean_over_choices
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


def knowing(m: int, mean: list[float], weight: float, noise: float) -> TwoSampleTest:
    """A test that learned this difference (m), in both memories alike."""
    difference = weight * np.tile(mean, (2, 1))
    return TwoSampleTest.from_state(
        TwoSampleTestState(m, np.zeros(4), difference, np.full(2, weight), np.full(2, noise))
    )


@pytest.mark.parametrize("new_rows", [4, 12])
def test_a_tilt_is_the_difference_beyond_its_noise_and_at_most_one(new_rows: int) -> None:
    """The noise of the largest of three coordinates, sqrt(2 x 50 x log 3) / 50, is taken off, or half of it."""
    test = knowing(3, [0.15, -0.6, 3.0], 50.0, 50.0)
    noise = np.sqrt(2 * 50 * np.log(3)) / 50
    tilts = np.array([[0.15 - noise / 2, -(0.6 - noise / 2), 1.0], [0.0, -(0.6 - noise), 1.0]])
    scores = np.random.default_rng(8).normal(size=(PIECE, 3))
    new = np.arange(PIECE) < new_rows
    along = scores @ tilts.T
    gain = along[new].sum(0) - log_mean_over_choices(along, new_rows)
    together = test.piece(scores, new)
    assert test.sums == pytest.approx(PIECE * np.exp(np.tile(gain, 2)))
    assert together == pytest.approx(np.log(np.exp(gain).mean()))


def test_what_is_learned_fades_over_twenty_and_two_hundred_rows_of_the_smaller_group() -> None:
    test = knowing(1, [0.5], 50.0, 30.0)
    new = np.arange(PIECE) < 4
    test.piece(np.where(new, 2.0, 1.0)[:, None], new)
    weight = 4 * 12 / 16  # of a piece with 4 new rows of 16, which differ by one
    fade = np.exp(-weight / np.array([20.0, 200.0]))
    state = test.to_state()
    assert state.difference[:, 0] == pytest.approx(25.0 * fade + weight)
    assert state.weight == pytest.approx(50.0 * fade + weight)
    assert state.noise == pytest.approx(30.0 * fade**2 + weight)


def test_a_single_coordinate_has_the_noise_of_two() -> None:
    test = knowing(1, [0.5], 50.0, 50.0)
    scores = np.random.default_rng(8).normal(size=(PIECE, 1))
    new = np.arange(PIECE) < 5
    along = scores * (0.5 - np.sqrt(2 * 50 * np.log(2)) / 50)
    test.piece(scores, new)
    assert test.sums[[1, 3]] == pytest.approx(
        PIECE * np.exp(along[new].sum() - float(log_mean_over_choices(along, 5)[0]))
    )


def test_a_restart_forgets_the_evidence_and_keeps_what_was_learned() -> None:
    test = knowing(1, [0.5], 50.0, 50.0)
    test.piece(np.ones((PIECE, 1)), np.arange(PIECE) < 5)
    learned = test.to_state().difference
    test.restart()
    assert test.total() == 0.0
    assert test.to_state().difference == pytest.approx(learned)
