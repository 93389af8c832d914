"""Two finite samples compared: rarely wrong where nothing changed, and what changed is found."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection.diagnosis.sample_comparison import FEWEST_ROWS, Outcome, compare_samples, summary
from monitor.detection.settings import Floors
from monitor.features.base import FeatureSpec, Kind
from monitor.features.batch import FeatureBatch

SPECS = (
    FeatureSpec("output.length.chars", Kind.NUMBER, "length", "characters"),
    FeatureSpec("output.format.links", Kind.COUNT, "links"),
    FeatureSpec("output.tone.refusal", Kind.FLAG, "declines", failure=False),
    FeatureSpec("output.format.empty", Kind.FLAG, "nothing", failure=True),
    FeatureSpec("output.language.code", Kind.CATEGORY, "language"),
    FeatureSpec("input.length.chars", Kind.NUMBER, "length of the input", "characters"),
)
NAMES = tuple(spec.name for spec in SPECS if spec.kind is not Kind.CATEGORY)


def sample(rng: np.random.Generator, n: int, question: np.ndarray | None = None, **changed: float) -> FeatureBatch:
    """Rows whose length follows their question; `changed`: other values than the usual ones."""
    question = rng.normal(0, 1, n) if question is None else question
    chars = 200 + 50 * question + 20 * rng.normal(0, 1, n) + changed.get("longer", 0.0)
    columns = [
        chars,
        rng.poisson(changed.get("links", 0.2), n),
        rng.random(n) < changed.get("refusal", 0.05),
        rng.random(n) < changed.get("empty", 0.0),
        40 + 10 * question + changed.get("asked", 0.0),
    ]
    values = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    german = rng.random(n) < changed.get("german", 0.1)
    return FeatureBatch(
        names=NAMES,
        values=values,
        streams=["s"] * n,
        ids=[str(k) for k in range(n)],
        times=np.full(n, np.nan),
        digests=np.arange(n, dtype=np.uint64),
        source="test",
        source_partitions=np.zeros(n, np.int32),
        source_offsets=np.arange(n),
        segments=[{}] * n,
        input_excerpts=[""] * n,
        output_excerpts=[""] * n,
        categories={"output.language.code": ["de" if one else "en" for one in german]},
    )


def changed(found: object) -> set[str]:
    return {one.spec.name for one in found.of(Outcome.CHANGED)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("paired", [False, True])
def test_where_nothing_changed_one_comparison_in_twenty_at_most_says_so(paired: bool) -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(60):
        question = rng.normal(0, 1, 50)
        keys = ([str(k) for k in range(50)],) * 2 if paired else None
        sides = [sample(rng, 50, question if paired else None) for _ in range(2)]
        wrong += bool(changed(compare_samples(*sides, SPECS, Floors(), keys)))
    assert wrong <= 6  # 3 asked; more than 6 of 60 has a chance of 3 in 100


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        ({"longer": 60.0}, "output.length.chars"),
        ({"links": 2.0}, "output.format.links"),
        ({"refusal": 0.5}, "output.tone.refusal"),
        ({"empty": 0.3}, "output.format.empty"),
        ({"german": 0.6}, "output.language.code"),
    ],
)
def test_what_changed_is_found_and_nothing_else(change: dict[str, float], feature: str) -> None:
    rng = np.random.default_rng(2)
    found = compare_samples(sample(rng, 60), sample(rng, 60, **change), SPECS, Floors())
    assert changed(found) == {feature}
    assert found.differences[0].spec.name == feature
    assert (
        found.differences[0].low
        <= found.differences[0].after - found.differences[0].before
        <= found.differences[0].high
    )


def test_pairs_find_what_is_hidden_by_the_questions() -> None:
    rng = np.random.default_rng(3)
    question = rng.normal(0, 1, 50)
    old, new = sample(rng, 50, question), sample(rng, 50, question, longer=18.0)
    keys = [f"q{k}" for k in range(50)]
    assert "output.length.chars" in changed(compare_samples(old, new, SPECS, Floors(), (keys, keys)))
    assert "output.length.chars" not in changed(compare_samples(old, new, SPECS, Floors()))


def test_rows_are_paired_by_their_question_in_any_order_and_a_question_asked_twice_twice() -> None:
    rng = np.random.default_rng(4)
    old, new = sample(rng, 40), sample(rng, 40)
    keys = [f"q{k // 2}" for k in range(40)]
    found = compare_samples(old, new, SPECS, Floors(), (keys, keys[::-1]))
    assert found.pairs is not None
    assert len(found.pairs) == 40
    assert len({b for _, b in found.pairs}) == 40
    assert all(keys[a] == keys[::-1][b] for a, b in found.pairs)


def test_other_questions_are_no_pairs_and_are_said() -> None:
    rng = np.random.default_rng(5)
    old, new = sample(rng, 60), sample(rng, 60, asked=15.0)
    found = compare_samples(old, new, SPECS, Floors(), ([f"a{k}" for k in range(60)], [f"b{k}" for k in range(60)]))
    assert found.pairs is None
    assert found.inputs_changed


def test_the_same_file_is_the_same() -> None:
    batch = sample(np.random.default_rng(6), 400)
    keys = [str(k) for k in range(400)]
    counts = summary(compare_samples(batch, batch, SPECS, Floors(), (keys, keys)))
    assert counts[Outcome.CHANGED] == counts[Outcome.SMALL] == 0


def test_a_feature_that_is_missing_on_one_side_is_a_change() -> None:
    rng = np.random.default_rng(7)
    old, new = sample(rng, 60), sample(rng, 60)
    new.values[:40, 0] = np.nan
    (one,) = compare_samples(old, new, SPECS, Floors()).of(Outcome.CHANGED)
    assert (one.spec.name, one.statistic, one.before) == ("output.length.chars", "missing", 0.0)


def test_fewer_rows_than_needed_are_refused() -> None:
    rng = np.random.default_rng(8)
    with pytest.raises(ValueError, match=str(FEWEST_ROWS)):
        compare_samples(sample(rng, FEWEST_ROWS), sample(rng, FEWEST_ROWS - 1), SPECS, Floors())
