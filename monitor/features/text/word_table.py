"""What is known of single chunks: a table that grows as they are met.

`monitor.features.text.words.TextBatch` looks the chunks of a batch up in it. A row holds the chunk's WordPiece ids, its
core (lower case, without marks at its ends), the columns of `BUILT_IN` and those that extractors declare. Values are
rounded to multiples of 2**-20, so that their sums are exact in any order.

May import its neighbours in this package only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from monitor.features.text import english, scripts, sentences
from monitor.features.text.chunks import Chunks, HashIndex, Splitter
from monitor.features.text.static_table import StaticTable

Float = NDArray[np.float64]

_GRAIN = 2.0**20  # steps of one: sums of multiples of 2^-20 are exact, whatever the order of texts
_LONGEST_KEPT = 64
"""Characters of a chunk that is kept: longer ones hardly come again, and would fill the memory."""
_BLOCK = 60  # below the chunks that `english.core` remembers

BUILT_IN = (
    # of a chunk's core (`english.core`: lower case, without punctuation at its ends), worked out once for each core
    "word",  # 1 where there is a letter or a digit
    "alphabetic",  # 1 where it is letters, apostrophes and hyphens only
    "known",  # 1 where English spells a word so
    "zipf",  # its Zipf frequency in English, 0 where not listed
    "syllables",  # estimated; 0 where it holds no letter
    "marker",  # 1 where it tells English from other languages of Latin script
    # of the chunk as it stands
    "length",  # its characters
    "words",  # words a reader counts in it: 0 or 1, or an estimate in scripts without spaces (`scripts`)
    "unmarked",  # its characters in scripts that write no sentence marks (Thai, Lao)
    "form",  # how it ends and begins and what it marks, `sentences.form`
    "stops",  # sentences that end inside it, `sentences.inner_stops`
)
_OF_CORE = 6
"""The first of them are facts of a core, the rest of a chunk."""
_OF_CHUNK: tuple[Callable[[str], float], ...] = (
    len,
    scripts.words_in,
    scripts.unmarked_letters,
    sentences.form,
    sentences.inner_stops,
)  # fmt: skip


def _core_facts(core: str) -> tuple[float, ...]:
    """Values of the built-in columns that are facts of a core."""
    if not core:
        return (0.0,) * _OF_CORE
    return (
        1.0,
        float(core.replace("'", "").replace("-", "").isalpha()),
        float(english.is_word(core)),
        english.zipf(core),
        float(english.syllables(core)),
        float(english.is_marker(core)),
    )


class Rows:
    """What is known of the chunks met so far: values, core and pieces, in compressed rows. Rows are never changed."""

    __slots__ = ("_alone", "_columns", "cores", "pieces", "pieces_used", "starts", "used", "values")

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._alone: dict[int, tuple[int, Float]] = {}
        self.values: Float = np.empty((1024, columns))
        self.cores = np.empty(1024, dtype=np.int32)
        self.starts = np.zeros(1025, dtype=np.int64)
        self.pieces = np.empty(4096, dtype=np.int32)
        self.used = 0
        self.pieces_used = 0

    def append(self, values: Float, cores: Sequence[int], pieces: Sequence[Sequence[int]]) -> None:
        """Take in n chunks: values (n, columns), cores and WordPieces of each."""
        used = self.used + len(pieces)
        if used > len(self.values):
            capacity = max(used, 2 * len(self.values))
            self.values = np.concatenate([self.values[: self.used], np.empty((capacity - self.used, self._columns))])
            self.cores = np.concatenate([self.cores[: self.used], np.empty(capacity - self.used, dtype=np.int32)])
            self.starts = np.concatenate([self.starts[: self.used + 1], np.zeros(capacity - self.used, dtype=np.int64)])
        lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
        flat = np.fromiter(chain.from_iterable(pieces), dtype=np.int32, count=int(lengths.sum()))
        pieces_used = self.pieces_used + len(flat)
        if pieces_used > len(self.pieces):
            more = np.empty(max(pieces_used, len(self.pieces)), dtype=np.int32)
            self.pieces = np.concatenate([self.pieces[: self.pieces_used], more])
        self.values[self.used : used] = values
        self.cores[self.used : used] = cores
        self.pieces[self.pieces_used : pieces_used] = flat
        self.starts[self.used + 1 : used + 1] = self.pieces_used + np.cumsum(lengths)
        self.used = used
        self.pieces_used = pieces_used

    def column(self, position: int) -> Float:
        """One value column, contiguous: looking 60,000 chunks up in it is several times faster than in all columns."""
        done, alone = self._alone.get(position, (0, self.values[:0, 0]))
        if done < self.used:
            if len(alone) < self.used:
                alone = np.concatenate([alone[:done], np.empty(len(self.values) - done)])
            alone[done : self.used] = self.values[done : self.used, position]
            self._alone[position] = self.used, alone
        return alone[: self.used]

    def pieces_of(self, row: int) -> list[int]:
        """WordPieces of one row's chunk."""
        found: list[int] = self.pieces[self.starts[row] : self.starts[row + 1]].tolist()
        return found


class Generation:
    """The chunks met since the table last started afresh, and those of the generation before to take over from."""

    __slots__ = ("cores", "index", "older", "rows")

    def __init__(self, columns: int, older: Generation | None) -> None:
        self.index = HashIndex()
        self.rows = Rows(columns)
        self.cores: dict[str, tuple[int, tuple[float, ...]]] = {"": (0, _core_facts(""))}
        self.older = older


class WordTable:
    """Everything known of single chunks, grown as they are met.

    When it is full a new generation starts, which takes over what it needs from the one before; the one before that is
    dropped. Batches keep the generation that they began with. Not for use from several threads at once.

    Parameters
    ----------
    columns
        Word columns by name, beside `BUILT_IN`. Raises `ValueError` for a name that is taken.
    static
        Embedding table; its WordPiece cuts the chunks.
    limit
        Chunks in a generation, after which the next batch starts a new one. 131,072 take about 60 MB.
    """

    def __init__(
        self, columns: Mapping[str, Callable[[str], float]], static: StaticTable, *, limit: int = 1 << 17
    ) -> None:
        taken = set(columns) & set(BUILT_IN)
        if taken:
            raise ValueError(f"word columns {sorted(taken)} are built in: choose other names")
        self._functions = tuple(columns.values())
        self.column = {name: position for position, name in enumerate((*BUILT_IN, *columns))}
        self.static = static
        self.failures: Counter[str] = Counter()
        self.splitter = Splitter()
        self._limit = limit
        self._current = Generation(len(self.column), None)

    def __len__(self) -> int:
        return self._current.rows.used

    def generation(self) -> Generation:
        """Where a new batch looks its chunks up."""
        current = self._current
        if current.rows.used > self._limit or current.rows.pieces_used > 8 * self._limit:
            current.older = None
            self._current = Generation(len(self.column), current)
        return self._current

    def look_up(self, chunks: Chunks, generation: Generation) -> NDArray[np.int32]:
        """Row of each chunk in the generation's rows."""
        rows = generation.index.look_up(chunks.hashes)
        missed = np.flatnonzero(rows < 0)
        if len(missed):
            rows[missed] = self._learn(chunks, missed, generation)
        return rows

    def _learn(self, chunks: Chunks, missed: NDArray[np.intp], generation: Generation) -> NDArray[np.int32]:
        """Fill in what was not known, in the order in which it came; gives the row of each that was missed."""
        hashes, first, which = np.unique(chunks.hashes[missed], return_index=True, return_inverse=True)
        order = np.argsort(first)
        hashes = hashes[order]
        words = [chunks.text(at) for at in missed[first[order]].tolist()]
        start = generation.rows.used
        self._fill(words, hashes, generation)
        kept = np.fromiter((len(word) <= _LONGEST_KEPT for word in words), dtype=np.bool_, count=len(words))
        rows = np.arange(start, generation.rows.used, dtype=np.int32)
        generation.index.add(hashes[kept], rows[kept])
        row_of = np.empty(len(order), dtype=np.int32)
        row_of[order] = rows
        return row_of[which]

    def _fill(self, words: list[str], hashes: NDArray[np.uint64], generation: Generation) -> None:
        cores = []
        for word in words:
            core = english.core(word)
            found = generation.cores.get(core)
            if found is None:
                found = generation.cores[core] = (len(generation.cores), _core_facts(core))
            cores.append(found)
        ids = [core_id for core_id, _ in cores]
        older = generation.older
        if older is None:
            generation.rows.append(self._measure(words, cores), ids, list(map(self.static.wordpiece.pieces, words)))
            return
        rows = older.index.look_up(hashes)
        values = np.empty((len(words), len(self.column)))
        values[rows >= 0] = older.rows.values[rows[rows >= 0]]
        new = np.flatnonzero(rows < 0).tolist()
        values[rows < 0] = self._measure([words[i] for i in new], [cores[i] for i in new])
        pieces = [
            self.static.wordpiece.pieces(word) if row < 0 else older.rows.pieces_of(row)
            for word, row in zip(words, rows.tolist(), strict=True)
        ]
        generation.rows.append(values, ids, pieces)

    def _measure(self, chunks: list[str], cores: list[tuple[int, tuple[float, ...]]]) -> Float:
        values = np.empty((len(chunks), len(self.column)))
        if not chunks:
            return values
        values[:, :_OF_CORE] = [facts for _, facts in cores]
        for position, measure in enumerate(_OF_CHUNK, start=_OF_CORE):
            values[:, position] = list(map(measure, chunks))
        values[:, self.column["words"]] *= values[:, self.column["word"]]
        declared = values[:, len(BUILT_IN) :]
        # a block at a time through one function after the other: `english.core` still knows a block's chunks
        for start in range(0, len(chunks), _BLOCK):
            block = chunks[start : start + _BLOCK]
            for position, function in enumerate(self._functions):
                try:
                    declared[start : start + _BLOCK, position] = list(map(function, block))
                except Exception:  # the function failed on one word: only that word misses it
                    declared[start : start + _BLOCK, position] = [_attempt(function, chunk) for chunk in block]
        odd = ~np.isfinite(values)
        if odd.any():
            for name, count in zip(self.column, odd.sum(axis=0), strict=True):
                if count:
                    self.failures[name] += int(count)
            values[odd] = np.nan
        np.rint(values * _GRAIN, out=values)
        values /= _GRAIN
        return values


def _attempt(function: Callable[[str], float], chunk: str) -> float:
    try:
        return float(function(chunk))
    except Exception:
        return np.nan
