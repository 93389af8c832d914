from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from monitor.events.schema import OutputEvent
from monitor.features.text.static_table import StaticTable
from monitor.features.text.word_table import WordTable
from monitor.features.text.wordpiece import WordPiece, default_vocabulary, split_chunks
from monitor.features.text.words import EventBatch, TextBatch, word_columns

texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="abc XYZ.,!?'\"-[]#1 \n\t\x0b\x85é中ß­İ\ud800[SEP]", max_size=60),
    st.text(alphabet="今天ab。,が\u0301ン1 [C", max_size=40),
    st.sampled_from(["[SEP] a [MASK]", "unaffable embeddings", "“Don’t—stop!”", "e.g. 3.5 x", "\ufffd\x00a"]),  # noqa: RUF001
)


@pytest.fixture(scope="module")
def static() -> StaticTable:
    vocabulary = default_vocabulary()
    rows = np.random.default_rng(0).normal(size=(len(vocabulary), 16)).astype(np.float32)
    return StaticTable(WordPiece(vocabulary), rows)


@pytest.fixture(scope="module")
def whole(static: StaticTable) -> Tokenizer:
    return static.wordpiece._tokenizer


@settings(deadline=None, max_examples=300)
@given(text=texts)
def test_pieces_of_chunks_are_pieces_of_the_text(text: str, static: StaticTable, whole: Tokenizer) -> None:
    expected = whole.encode(text.encode("utf-8", "ignore").decode(), add_special_tokens=False).ids
    assert [piece for chunk in split_chunks(text) for piece in static.wordpiece.pieces(chunk)] == expected


@settings(deadline=None, max_examples=100)
@given(batch=st.lists(st.none() | texts, max_size=6), seen=st.lists(texts, max_size=4))
def test_a_text_counts_the_same_alone_in_a_batch_and_in_a_used_table(
    batch: list[str | None], seen: list[str], static: StaticTable
) -> None:
    columns = {"third": lambda chunk: len(chunk) / 3 + 0.1}
    used = WordTable(columns, static)
    TextBatch(seen, used)
    together = TextBatch(batch, used)
    for row, text in enumerate(batch):
        alone = TextBatch([text], WordTable(columns, static))
        for name in alone.sums:
            assert alone.sums[name][0] == together.sums[name][row]
        assert alone.pieces[0] == together.pieces[row]
        assert alone.distinct[0] == together.distinct[row]
        np.testing.assert_array_equal(alone.embedding[0], together.embedding[row])


def test_embedding_is_the_sum_of_the_rows_of_the_pieces(static: StaticTable, whole: Tokenizer) -> None:
    text = "The cats' unaffable, unaffable owner. " * 3
    total = static.rows[whole.encode(text, add_special_tokens=False).ids].sum(axis=0)
    found = TextBatch([text, "", None], WordTable({}, static)).embedding
    np.testing.assert_allclose(found[0], total / np.linalg.norm(total), atol=1e-5)
    assert not found[1:].any()


def test_a_full_table_starts_afresh_and_older_batches_stay_valid(static: StaticTable) -> None:
    table = WordTable({}, static, limit=3)
    first = TextBatch(["one two three four six"], table)
    second = TextBatch(["six"], table)
    assert len(table) == 1
    assert first.sums["length"][0] == 18
    assert second.sums["length"][0] == 3


def test_a_table_that_grows_between_two_looks_at_a_batch(static: StaticTable) -> None:
    table = WordTable({}, static)
    first = TextBatch(["one two one"], table)
    assert first.distinct.tolist() == [2]
    TextBatch(["three four five"], table)
    assert first.sums["length"].tolist() == [9]


def test_values_follow_the_order_of_the_chunks(static: StaticTable) -> None:
    text = TextBatch(["not good", None, "", "good"], WordTable({"good": lambda c: float(c == "good")}, static))
    assert text.values("good").tolist() == [0, 1, 1]
    assert text.text_of.tolist() == [0, 0, 3]
    assert text.position.tolist() == [0, 1, 0]
    assert text.reduce(text.values("good")).tolist() == [1, 0, 0, 1]
    assert np.isnan(text.masked(text.words)).tolist() == [False, True, False, False]


def test_a_failing_word_function_costs_its_column_of_its_texts_only(static: StaticTable) -> None:
    def fussy(chunk: str) -> float:
        if chunk == "bad":
            raise KeyError(chunk)
        return float("inf") if chunk == "worse" else 1.0

    table = WordTable({"fussy": fussy}, static)
    text = TextBatch(["good good", "bad", "worse good"], table)
    np.testing.assert_array_equal(text.sums["fussy"], [2, np.nan, np.nan])
    assert text.sums["length"].tolist() == [8, 3, 9]
    assert table.failures == {"fussy": 2}


def test_ids_of_output_and_input_mean_the_same_chunks(static: StaticTable) -> None:
    table = WordTable({}, static, limit=2)
    batch = EventBatch([OutputEvent(stream="s", output="red green blue", input="blue and red")], table)
    output = batch.output
    between = EventBatch([OutputEvent(stream="s", output="something else")], table)
    assert between.output.ids.tolist() == [0, 1], "the table has not started afresh"
    assert set(output.ids.tolist()) & set(batch.input.ids.tolist()) == {output.ids[0], output.ids[2]}


def test_a_word_column_has_one_meaning(static: StaticTable) -> None:
    class Family:
        def __init__(self, function: Callable[[str], float]) -> None:
            self.word_columns = {"x": function}

    assert word_columns([Family(len), Family(len)]) == {"x": len}
    with pytest.raises(ValueError, match="two families"):
        word_columns([Family(len), Family(hash)])
    with pytest.raises(ValueError, match="built in"):
        WordTable({"known": len}, static)
