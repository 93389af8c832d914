from __future__ import annotations

import io

import numpy as np
import pytest

from monitor.features.families.embedding import DIRECTIONS, Embedding, NoEmbedding, random_projections
from monitor.features.text.static_table import default_table, read_table
from monitor.features.text.word_table import WordTable
from monitor.features.text.wordpiece import default_vocabulary
from monitor.features.text.words import Side, TextBatch
from tests.features.columns import columns_of


def cosine(*texts: str) -> float:
    a, b = TextBatch(texts, WordTable({}, default_table())).embedding
    return float(a @ b)


def test_the_shipped_table_knows_what_is_alike() -> None:
    assert cosine("How do I reset my password?", "I forgot my login and need a new one") > cosine(
        "How do I reset my password?", "The recipe needs two eggs and some flour"
    )
    assert cosine("The cat sleeps on the sofa.", "A kitten is napping on the couch.") > 0.4


def test_the_shipped_table_fits_its_vocabulary() -> None:
    table = default_table()
    assert table.rows.shape == (len(default_vocabulary()), 256)
    assert np.isfinite(table.rows).all()


def test_a_table_of_another_vocabulary_is_refused() -> None:
    file = io.BytesIO()
    np.savez(file, codes=np.zeros((3, 4), np.int8), scales=np.ones(3, np.float32))
    file.seek(0)
    with pytest.raises(ValueError, match="3 rows for 2 pieces"):
        read_table(file, ["[UNK]", "a"])


@pytest.mark.parametrize("side", DIRECTIONS)
def test_projections_are_scalar_products_with_the_embedding(side: Side) -> None:
    table = default_table()
    directions = table.projections(DIRECTIONS[side])
    said, other = ["a text of some words", ""], ["what the other side says", "and says again"]
    found = columns_of(Embedding(side, directions), *((said, other) if side == "output" else (other, said)))
    vector = TextBatch(["a text of some words"], WordTable({}, table)).embedding[0]
    assert list(found) == [f"{side}.embedding.p{i}" for i in range(DIRECTIONS[side])]
    for i, column in enumerate(found.values()):
        assert column[0] == pytest.approx(vector @ directions[:, i], abs=1e-6)
        assert np.isnan(column[1])


def test_what_is_asked_is_missing_without_an_input() -> None:
    found = columns_of(Embedding("input", default_table().projections(2)), ["an answer"] * 3, [None, "", "a question"])
    assert all(np.isnan(column).tolist() == [True, True, False] for column in found.values())


@pytest.mark.parametrize("count", DIRECTIONS.values())
def test_random_projections_are_orthonormal_and_the_same_everywhere(count: int) -> None:
    directions = random_projections(384, count)
    np.testing.assert_allclose(directions.T @ directions, np.eye(count), atol=1e-6)
    np.testing.assert_array_equal(directions, random_projections(384, count))


def test_embedding_off() -> None:
    assert NoEmbedding().embed(["a", None]).shape == (2, 0)
    assert random_projections(0, 8).shape == (0, 0)
