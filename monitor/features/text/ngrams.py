"""Ids and n-grams of ids by text: which occur in which text, and how often. May import numpy only.

A text and an id are packed into one integer, text first, so that one sort groups a whole batch. Shifts, not products:
dividing 60,000 integers costs more than sorting them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
AnyInts = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Distinct ids of each text.

    Attributes
    ----------
    owner
        int64 (g), ascending: index of the text.
    ids
        int64 (g), ascending within a text.
    counts
        int64 (g): occurrences in the text.
    """

    owner: Ints
    ids: Ints
    counts: Ints

    def total(self, texts: int) -> Ints:
        """Occurrences in each text, repetitions included."""
        return np.bincount(self.owner, weights=self.counts, minlength=texts).astype(np.int64)

    def distinct(self, texts: int) -> Ints:
        """Distinct ids of each text."""
        return np.bincount(self.owner, minlength=texts)

    def of(self, first: int, stop: int) -> Occurrences:
        """Those of texts first to stop - 1, which become texts 0 and following."""
        rows = slice(*np.searchsorted(self.owner, [first, stop]))
        return Occurrences(self.owner[rows] - first, self.ids[rows], self.counts[rows])


def count_ids(ids: AnyInts, owner: AnyInts) -> Occurrences:
    """Distinct ids (m, not negative) of each text, `owner` (m) being the text of each. O(m log m)."""
    if not len(ids):
        nothing = np.zeros(0, dtype=np.int64)
        return Occurrences(nothing, nothing, nothing)
    bits = int(ids.max()).bit_length()
    packed = np.int32 if bits + int(owner.max()).bit_length() < 32 else np.int64
    keys: NDArray[Any] = np.left_shift(owner.astype(packed), bits) | ids.astype(packed)
    keys.sort()
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    distinct = keys[first].astype(np.int64)
    counts = np.diff(first, append=len(keys))
    return Occurrences(distinct >> bits, distinct & ((1 << bits) - 1), counts)


def count_trigrams(ids: NDArray[np.int32], owner: NDArray[np.int32]) -> Occurrences:
    """Distinct trigrams of consecutive ids of one text; equal trigrams have equal ids in all texts of this call.

    `owner` (m) ascends. O(m log m), whatever the ids.
    """
    size = max(len(ids) - 2, 0)
    inside = owner[:size] == owner[2:]
    first, second, third = (ids[offset : offset + size][inside].astype(np.int64) for offset in range(3))
    owner = owner[:size][inside]
    if not len(owner):
        return count_ids(first, owner)
    bits = int(ids.max()).bit_length()
    if 3 * bits + int(owner[-1]).bit_length() < 63:
        return count_ids((first << 2 * bits) | (second << bits) | third, owner)
    # too many different words to pack three of them into one integer: rank the pairs first, then the triples
    pairs = np.unique((first << bits) | second, return_inverse=True)[1].astype(np.int64)
    triples = np.unique((pairs << bits) | third, return_inverse=True)[1].astype(np.int64)
    return count_ids(triples, owner)


def count_shared(left: Occurrences, right: Occurrences, texts: int) -> Ints:
    """How many distinct ids of each left text occur in the right text of the same index."""
    bits = max(int(left.ids.max(initial=0)), int(right.ids.max(initial=0))).bit_length()
    keys = np.concatenate([(left.owner << bits) | left.ids, (right.owner << bits) | right.ids])
    keys.sort()
    return np.bincount(keys[:-1][keys[1:] == keys[:-1]] >> bits, minlength=texts)
