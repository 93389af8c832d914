from __future__ import annotations

import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.features.text.chunks import HashIndex, Splitter
from monitor.features.text.wordpiece import split_chunks

texts = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="ab \n\t\r\x0b\x0c\x1c\x1e\x85\xa0é\u2003\u3000中\x00\ud800", max_size=80),
    st.integers(0, 600).map(lambda length: "x" * length + " " + "x" * (length // 2)),
)


@settings(deadline=None, max_examples=300)
@given(batch=st.lists(st.none() | texts, max_size=6))
def test_chunks_are_those_of_the_texts_and_equal_where_their_hashes_are(batch: list[str | None]) -> None:
    found = Splitter().split(batch)
    expected = [split_chunks(text or "") for text in batch]
    words = [found.text(at) for at in range(len(found.hashes))]
    assert words == [word for of_text in expected for word in of_text]
    assert np.diff(found.offsets).tolist() == [len(of_text) for of_text in expected]
    assert len(set(zip(words, found.hashes.tolist(), strict=True))) == len(set(words)) == len(set(found.hashes))


def test_every_character_that_ends_a_word_does_so_here() -> None:
    batch = [f"a{chr(code)}b" for code in range(sys.maxunicode + 1)]
    sizes = np.diff(Splitter().split(batch).offsets)
    assert sizes.tolist() == [len(split_chunks(text)) for text in batch]


def test_words_that_differ_in_one_character_anywhere_or_in_length_alone_have_different_hashes() -> None:
    word = "abcdefghijklmnopqrstuvwxyz" * 12
    words = [word[:end] for end in range(1, len(word))]
    words += [word[:at] + "A" + word[at + 1 :] for at in range(len(word))]
    words += ["a" + "\0" * more for more in range(1, 40)]
    hashes = Splitter().split(words).hashes
    assert len(set(hashes.tolist())) == len(words)


def test_hashes_are_keyed_anew_for_each_table() -> None:
    text = ["to be or not to be"]
    assert set(Splitter().split(text).hashes.tolist()).isdisjoint(Splitter().split(text).hashes.tolist())


@settings(deadline=None, max_examples=100)
@given(known=st.sets(st.integers(1, 2**64 - 1), max_size=300), shift=st.sampled_from([0, 1, 2, 64]))
def test_the_index_knows_what_was_added_and_nothing_else(known: set[int], shift: int) -> None:
    # The same leading bits for all, where `shift` is large: every one has to look further for its place.
    hashes = np.array(sorted({(value >> shift) or 1 for value in known}), dtype=np.uint64)
    rows = np.arange(len(hashes), dtype=np.int32) + 7
    index = HashIndex()
    half = len(hashes) // 2
    index.add(hashes[:half], rows[:half])
    assert index.look_up(hashes).tolist() == [*rows[:half].tolist(), *[-1] * (len(hashes) - half)]
    index.add(hashes[half:], rows[half:])
    assert index.look_up(hashes).tolist() == rows.tolist()
    assert len(index) == len(hashes)


def test_the_index_grows_beyond_its_first_places() -> None:
    hashes = np.random.default_rng(1).integers(1, 2**64 - 1, size=50_000, dtype=np.uint64)
    hashes = np.unique(np.concatenate([hashes, np.arange(1, 2_000, dtype=np.uint64)]))  # these stand side by side
    rows = np.arange(len(hashes), dtype=np.int32)
    index = HashIndex()
    for start in range(0, len(hashes), 777):
        index.add(hashes[start : start + 777], rows[start : start + 777])
    assert (index.look_up(hashes) == rows).all()
    assert (index.look_up(hashes[1:] - np.uint64(1))[hashes[1:] - hashes[:-1] > 1] == -1).all()
