"""Word n-grams as integers: which of them occur in which text, and how often. May import numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NGrams:
    """Distinct n-grams of each text.

    Attributes
    ----------
    owner
        int64 (g), ascending: index of the text.
    gram
        int64 (g), ascending within a text: the n-gram, equal exactly where n-grams are.
    counts
        int64 (g): occurrences in the text.
    """

    owner: Ints
    gram: Ints
    counts: Ints

    def total(self, texts: int) -> Ints:
        """n-grams of each text, repetitions included."""
        return np.bincount(self.owner, weights=self.counts, minlength=texts).astype(np.int64)

    def distinct(self, texts: int) -> Ints:
        """Distinct n-grams of each text."""
        return np.bincount(self.owner, minlength=texts)


def count_ngrams(words: NDArray[np.int32], owner: NDArray[np.int32], n: int) -> NGrams:
    """n-grams of consecutive words of one text.

    `words` (m) are ids, `owner` (m) the text of each, ascending. O(m log m), whatever the ids.
    """
    size = len(words) - n + 1
    if size < 1:
        nothing = np.zeros(0, dtype=np.int64)
        return NGrams(nothing, nothing, nothing)
    inside = owner[:size] == owner[n - 1 :]
    base = int(words.max()) + 1
    texts = int(owner[-1]) + 1
    width = base**n
    if texts * width < 2**63:
        gram = words[:size].astype(np.int64)
        for offset in range(1, n):
            gram = gram * base + words[offset : offset + size]
    else:
        # too many different words to pack n of them into 63 bits: rank the shorter n-grams step by step
        gram = words[:size].astype(np.int64)
        for offset in range(1, n):
            gram = np.unique(gram * base + words[offset : offset + size], return_inverse=True)[1].astype(np.int64)
        width = int(gram.max()) + 1
    keys = owner[:size][inside] * np.int64(width) + gram[inside]
    keys.sort()
    first = np.flatnonzero(np.concatenate([np.ones(min(1, len(keys)), dtype=np.bool_), keys[1:] != keys[:-1]]))
    owners, grams = np.divmod(keys[first], np.int64(width))
    return NGrams(owners, grams, np.diff(np.append(first, len(keys))))


def count_shared(left: tuple[Ints, Ints], right: tuple[Ints, Ints], texts: int) -> Ints:
    """How many distinct ids of each left text occur in the right text of the same index; sides are (owner, id) pairs
    without repetitions.
    """
    width = np.int64(1 + max(int(left[1].max(initial=0)), int(right[1].max(initial=0))))
    keys = np.concatenate([left[0] * width + left[1], right[0] * width + right[1]])
    keys.sort()
    return np.bincount(keys[:-1][keys[1:] == keys[:-1]] // width, minlength=texts)
