from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.features.text.ngrams import count_ids, count_shared, count_trigrams

small = st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=4)


def flat(texts: list[list[int]], factor: int = 1) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([i * factor for text in texts for i in text], dtype=np.int32)
    return ids, np.repeat(np.arange(len(texts), dtype=np.int32), [len(text) for text in texts])


@given(texts=small, factor=st.sampled_from([1, 500_000_000]))
def test_counts_are_counters(texts: list[list[int]], factor: int) -> None:
    found = count_ids(*flat(texts, factor))
    expected = [(t, i * factor, n) for t, text in enumerate(texts) for i, n in sorted(Counter(text).items())]
    assert list(zip(found.owner, found.ids, found.counts, strict=True)) == expected


@given(texts=small, factor=st.sampled_from([1, 500_000_000]))
def test_trigrams_however_large_the_ids(texts: list[list[int]], factor: int) -> None:
    found = count_trigrams(*flat(texts, factor))
    trigrams = [Counter(zip(text, text[1:], text[2:], strict=False)) for text in texts]
    assert found.total(len(texts)).tolist() == [sum(t.values()) for t in trigrams]
    assert found.distinct(len(texts)).tolist() == [len(t) for t in trigrams]


@given(left=small, right=small, factor=st.sampled_from([1, 500_000_000]))
def test_shared_counts_intersections(left: list[list[int]], right: list[list[int]], factor: int) -> None:
    n = max(len(left), len(right))
    left, right = ([*side, *[[]] * (n - len(side))] for side in (left, right))
    found = count_shared(count_ids(*flat(left, factor)), count_ids(*flat(right, factor)), n)
    assert found.tolist() == [len(set(a) & set(b)) for a, b in zip(left, right, strict=True)]


def test_a_range_of_texts() -> None:
    found = count_ids(np.array([5, 6, 6, 7], dtype=np.int32), np.array([0, 1, 1, 2], dtype=np.int32)).of(1, 2)
    assert (found.owner.tolist(), found.ids.tolist(), found.counts.tolist()) == ([0], [6], [2])
