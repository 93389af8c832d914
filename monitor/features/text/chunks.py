"""Texts to whitespace-separated chunks, as 64-bit hashes, and a table from hashes to rows: for a whole batch at once.

`str.split` and a dictionary make an object of each word and wander through memory for it: 0.3 us a word where the words
known do not fit the cache. Here all texts of a batch are one array of bytes; a chunk is hashed eight bytes at a time in
array operations, and looked up in an array: 0.07 us a word. A chunk becomes a `str` only where it was never seen.

Two different chunks count as one if their hashes are equal: for the 131,072 chunks of a generation one chance in 2^31.
The hashes are keyed with numbers drawn when a table is made, as those of Python's own `str` are, so that nobody can
write words to be taken for others. Nothing that leaves this package depends on them.

May import numpy and `monitor.features.text.wordpiece` only.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.features.text.wordpiece import split_chunks

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

# What `split_chunks` cuts at or drops, beside tab, line feed, carriage return and space. The first six are ASCII.
_UNUSUAL_ASCII = (b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
_UNUSUAL = re.compile("[\x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_WORD_BYTES = 8  # bytes of a 64-bit number
_MAX_BYTES_IN_ARRAYS = 256
"""Bytes up to which a chunk is hashed in array operations; one longer is hashed by itself."""
_MASKS = np.array([(1 << (8 * used)) - 1 for used in range(_WORD_BYTES + 1)], dtype=np.uint64)
_HALF_BITS, _FEWER_BITS = (
    np.uint64(32),
    np.uint64(29),
)  # bits: half of 64, and fewer so that the mixing differs from step to step


@dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of n texts, m in all.

    Attributes
    ----------
    hashes
        uint64 (m), never 0: equal where chunks are equal.
    offsets
        int64 (n + 1): text i owns chunks offsets[i]:offsets[i + 1].
    line_starts
        int64, ascending: after each line break, and before each text, the index of the next chunk. An index that comes
        twice begins a paragraph.
    first_line
        int64 (n + 1): where the line breaks of text i begin in `line_starts`.
    """

    hashes: Hashes
    offsets: Ints
    line_starts: Ints
    first_line: Ints
    _data: bytes
    _starts: Ints
    _lengths: Ints

    def text(self, at: int) -> str:
        """The chunk at this position, as it stands."""
        start = self._starts[at]
        return self._data[start : start + self._lengths[at]].decode("utf-8", "surrogatepass")


class Splitter:
    """Cuts texts as `split_chunks` does and hashes the chunks with keys that it draws itself."""

    def __init__(self) -> None:
        odd = [np.uint64(secrets.randbits(64) | 1) for _ in range(3)]
        self._first, self._between, self._last = odd
        self._by_length: Hashes = np.array(
            [secrets.randbits(64) for _ in range(_MAX_BYTES_IN_ARRAYS + 1)], dtype=np.uint64
        )
        self._secret = secrets.token_bytes(16)

    def split(self, texts: Sequence[str | None]) -> Chunks:
        """The chunks of these texts; none for a text that is None."""
        encoded = [_encoded(text) if text else b"" for text in texts]
        data = b"\n".join([b"", *encoded, b"\n" * (_WORD_BYTES + 1)])
        if any(map(data.__contains__, _UNUSUAL_ASCII)):
            encoded = [_plain(text) if text else b"" for text in texts]
            data = b"\n".join([b"", *encoded, b"\n" * (_WORD_BYTES + 1)])
        content = np.frombuffer(data, dtype=np.uint8)
        blank = (content == ord(" ")) | (content - np.uint8(9) <= 4)
        edges = np.flatnonzero(blank[1:] != blank[:-1]) + 1
        starts = edges[0::2]
        lengths = edges[1::2] - starts
        ends = np.cumsum([1, *(len(text) + 1 for text in encoded)])
        breaks = np.flatnonzero(content[: ends[-1]] == ord("\n"))
        return Chunks(
            self._hash(data, starts, lengths), np.searchsorted(starts, ends), np.searchsorted(starts, breaks),
            np.searchsorted(breaks, ends), data, starts, lengths,
        )  # fmt: skip

    def _hash(self, data: bytes, starts: Ints, lengths: Ints) -> Hashes:
        # Eight bytes from each position on; what belongs to the next chunk is masked.
        words: NDArray[np.uint64] = np.ndarray((len(data) - _WORD_BYTES + 1,), dtype="<u8", buffer=data, strides=(1,))
        hashes = words[starts]
        hashes &= _MASKS[np.minimum(lengths, _WORD_BYTES)]
        hashes ^= self._by_length[np.minimum(lengths, _MAX_BYTES_IN_ARRAYS)]
        hashes *= self._first
        hashes ^= hashes >> _HALF_BITS
        longer = np.flatnonzero(lengths > _WORD_BYTES)
        self._hash_on(hashes, words, starts, lengths, longer)
        for at in longer[lengths[longer] > _MAX_BYTES_IN_ARRAYS].tolist():
            start = starts[at]
            digest = blake2b(data[start : start + lengths[at]], digest_size=8, key=self._secret).digest()
            hashes[at] = int.from_bytes(digest, "little")
        hashes[hashes == 0] = 1  # marks an empty place in `HashIndex`
        return hashes

    def _hash_on(
        self, hashes: Hashes, words: NDArray[np.uint64], starts: Ints, lengths: Ints, longer: NDArray[np.intp]
    ) -> None:
        """The chunks of more than eight bytes: eight more at a time."""
        done = _WORD_BYTES
        while len(longer) and done < _MAX_BYTES_IN_ARRAYS:
            word = words[starts[longer] + done]
            word &= _MASKS[np.minimum(lengths[longer] - done, _WORD_BYTES)]
            # Multiplied first: a difference that came before is one that nobody can foresee, and so none can undo it.
            hashed = hashes[longer]
            hashed *= self._between
            hashed ^= hashed >> _FEWER_BITS
            hashed ^= word
            done += _WORD_BYTES
            more = lengths[longer] > done
            finished = ~more
            hashed[finished] *= self._last
            hashed[finished] ^= hashed[finished] >> _HALF_BITS
            hashes[longer] = hashed
            longer = longer[more]


def _encoded(text: str) -> bytes:
    return text.encode() if text.isascii() else _plain(text)


def _plain(text: str) -> bytes:
    """The text in UTF-8, with the same chunks and lines, and none but the usual whitespace."""
    if _UNUSUAL.search(text):
        text = "\n".join(" ".join(split_chunks(line)) for line in text.split("\n"))
    return text.encode("utf-8", "surrogatepass")


class HashIndex:
    """Rows by hash: open addressing with linear probing, at most half full. Grows; nothing is ever removed."""

    def __init__(self) -> None:
        self._used = 0
        self._make_room(1 << 12)

    def __len__(self) -> int:
        return self._used

    def _make_room(self, places: int) -> None:
        self._hashes: Hashes = np.zeros(places, dtype=np.uint64)
        self._rows: NDArray[np.int32] = np.full(places, -1, dtype=np.int32)
        self._last = places - 1
        self._shift = np.uint64(64 - self._last.bit_length())

    def look_up(self, hashes: Hashes) -> NDArray[np.int32]:
        """The row of each hash, -1 where it is not known."""
        place = (hashes >> self._shift).astype(np.int64)
        rows: NDArray[np.int32] = self._rows[place]
        open_ones = np.flatnonzero(self._hashes[place] != hashes)
        while len(open_ones):
            where = place[open_ones]
            found = self._hashes[where]
            hit = found == hashes[open_ones]
            rows[open_ones] = np.where(hit, self._rows[where], -1)
            on = ~hit & (found != 0)
            open_ones = open_ones[on]
            place[open_ones] = (where[on] + 1) & self._last
        return rows

    def add(self, hashes: Hashes, rows: NDArray[np.int32]) -> None:
        """Hashes that are not known yet, each once, and their rows."""
        self._used += len(hashes)
        if 2 * self._used > self._last:
            kept = self._hashes != 0
            hashes = np.concatenate([self._hashes[kept], hashes])
            rows = np.concatenate([self._rows[kept], rows])
            self._make_room(1 << (4 * self._used).bit_length())
        place: NDArray[Any] = (hashes >> self._shift).astype(np.int64)
        while len(hashes):
            free = self._hashes[place] == 0
            self._hashes[place[free]] = hashes[free]  # of several that want one place the last one stays
            self._rows[place[free]] = rows[free]
            without = self._hashes[place] != hashes
            hashes, rows, place = hashes[without], rows[without], (place[without] + 1) & self._last
