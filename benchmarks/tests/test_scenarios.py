from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import scenarios
from benchmarks.corpora import LENGTH, Corpus
from monitor.features.batch import FeatureBatch
from tests.azure_trace import Trace

TASKS = ("code", "chat", "mail", "news")


def corpus(n: int = 400) -> Corpus:
    rng = np.random.default_rng(0)
    values = rng.integers(10, 3000, (n, 1)).astype(np.float32)
    batch = FeatureBatch(
        names=(LENGTH,),
        values=values,
        streams=["s"] * n,
        ids=[str(i) for i in range(n)],
        times=np.full(n, np.nan),
        digests=np.arange(n, dtype=np.uint64),
        source="s",
        source_partitions=np.zeros(n, np.int32),
        source_offsets=np.arange(n, dtype=np.int64),
        segments=[{}] * n,
        input_excerpts=[""] * n,
        output_excerpts=[""] * n,
    )
    return Corpus("model", batch, [TASKS[i % len(TASKS)] for i in range(n)], np.arange(n) // 2)


def lag_one(x: NDArray[np.float64]) -> float:
    return float(np.corrcoef(x[:-1], x[1:])[0, 1])


def ranks(own: Corpus, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.argsort(np.argsort(own.chars))[rows].astype(np.float64)


Draw = Callable[[Corpus, np.random.Generator, int], NDArray[np.intp]]


@pytest.mark.parametrize(
    "draw",
    [
        scenarios.independent,
        lambda c, rng, n: scenarios.autocorrelated(c, rng, n, 0.6),
        scenarios.daily_cycle,
        scenarios.bursts,
        lambda c, rng, n: scenarios.bursts(c, rng, n, few=5),
    ],
)
def test_traffic_without_a_change_uses_all_rows_alike_in_the_long_run(draw: Draw) -> None:
    own = corpus()
    rows = draw(own, np.random.default_rng(1), 200_000)
    assert rows.shape == (200_000,)
    assert rows.min() >= 0
    assert rows.max() < len(own)
    first, second = (np.bincount(half // 100, minlength=4) / 100_000 for half in np.array_split(rows, 2))
    assert np.abs(first - 0.25).max() < 0.03
    assert np.abs(second - 0.25).max() < 0.03


@pytest.mark.parametrize("r", [0.0, 0.3, 0.6])
def test_autocorrelation_is_what_was_asked(r: float) -> None:
    own = corpus()
    rows = scenarios.autocorrelated(own, np.random.default_rng(2), 50_000, r)
    # The correlation of the ranks of a Gaussian pair (Pearson 1907).
    assert lag_one(ranks(own, rows)) == pytest.approx(6 / np.pi * np.arcsin(r / 2), abs=0.02)


def test_shares_of_tasks_swing_over_a_day_and_return() -> None:
    own = corpus()
    rows = scenarios.daily_cycle(own, np.random.default_rng(3), 20 * scenarios.DAY)
    is_code = rows % len(TASKS) == 0
    by_quarter = is_code[: 20 * (scenarios.DAY // 4) * 4].reshape(20, 4, -1).mean((0, 2))
    assert by_quarter.max() - by_quarter.min() > 0.15
    assert is_code.mean() == pytest.approx(0.25, abs=0.02)


def test_bursts_repeat_one_task_and_few_rows() -> None:
    own = corpus()
    plain = scenarios.independent(own, np.random.default_rng(4), 50_000)
    burst = scenarios.bursts(own, np.random.default_rng(4), 50_000, few=5)
    again = [np.mean(rows[1:] == rows[:-1]) for rows in (plain, burst)]
    assert again[0] < 0.01 < again[1]


def test_the_hour_keeps_the_order_of_its_token_counts() -> None:
    own = corpus()
    tokens = np.random.default_rng(5).permutation(1_000).astype(np.float64)
    trace = Trace("chat", np.arange(1_000.0), tokens, tokens)
    rows = scenarios.production_hour(own, np.random.default_rng(6), trace)
    assert np.corrcoef(tokens, ranks(own, rows))[0, 1] > 0.99


def test_halves_share_no_prompt() -> None:
    own = corpus()
    first, second = scenarios.halves(own, np.random.default_rng(7))
    assert not set(own.prompts[first]) & set(own.prompts[second])
    assert len(first) + len(second) == len(own)


def test_a_ramp_ends_where_it_was_asked_to() -> None:
    own = corpus()
    rng = np.random.default_rng(8)
    ends = np.concatenate([scenarios.ramp(own, rng, 2_000, 0.5)[-200:] for _ in range(40)])
    starts = np.concatenate([scenarios.ramp(own, rng, 2_000, 0.5)[:200] for _ in range(40)])
    # A normal score 0.5 higher has a mean rank of Phi(0.5 / sqrt 2).
    assert ranks(own, ends).mean() / len(own) == pytest.approx(0.638, abs=0.02)
    assert ranks(own, starts).mean() / len(own) == pytest.approx(0.5, abs=0.02)


def test_swapped_tasks_are_disjoint_and_a_mix_has_its_shares() -> None:
    own = corpus()
    rng = np.random.default_rng(9)
    before, after, names = scenarios.tasks_swapped(own, rng, 500, 500)
    assert {own.tasks[i] for i in after} == set(names)
    assert not {own.tasks[i] for i in before} & set(names)
    rows = scenarios.mix(own, rng, 20_000, {"code": 0.6, "chat": 0.4})
    assert np.mean([own.tasks[i] == "code" for i in rows]) == pytest.approx(0.6, abs=0.02)
