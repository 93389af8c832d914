"""The one pass over the words that all families share.

Images and other data written into a text are cut out of it (`monitor.features.text.embedded_data`); the rest is split
once at whitespace. Each chunk is mapped by its hash (`monitor.features.text.chunks`) to a row of a growing
`WordTable`, which holds what any family wants to know of a single chunk: its WordPiece ids, its length, its
syllables, and the columns that extractors declare (`Extractor.word_columns`). Sums over a text are then sparse counts
times table, for the whole batch at once, so a feature that is a sum over words costs nanoseconds a word and no scan
of the text.

For extractors
--------------
`batch.output` and `batch.input` are `TextBatch`es. Of n texts with m chunks in all:

    text.texts        n str or None            text.present   bool (n), False where the text is None
    text.chars        int64 (n)                text.words     int64 (n), chunks that hold a letter or digit
    text.sums["x"]    float64 (n), sum of word column x over each text (0 for an empty text)
    text.values("x")  float64 (m), word column x chunk by chunk, in order: negation before a valence word,
                      bigrams and the like are array logic on these
    text.ids          int32 (m), equal exactly where chunks are equal
    text.cores        int32 (m), equal exactly where chunks are but for case and punctuation at their ends
    text.offsets      int64 (n + 1), text i owns chunks offsets[i]:offsets[i + 1]
    text.text_of      int32 (m)                text.position  int64 (m), index of the chunk in its text
    text.reduce(v)    float64 (n), sums of per-chunk values v (m) over each text
    text.pieces       int64 (n), WordPieces    text.embedding float32 (n, d), unit length or zero
    text.distinct     int64 (n), distinct chunks
    text.embedded     int64 (n), images and other data that were cut out of it (`.embedded_data`)
    text.stripped / text.lower                 n str ("" for None), made on first use
    text.memory       dict, by family, for what one family works out and another wants too
    text.masked(v)    float32 (n), v with NaN where the text is None: what an extractor returns

Built-in word columns are in `BUILT_IN`. A function of a word must be pure and linear in its length; if it raises or
returns a non-finite number, the texts with that word miss that column, and `WordTable.failures` counts it.

Nothing depends on what the table has seen before or on what else is in the batch: word values are rounded to
multiples of 2**-20, so that their sums are exact in any order, and embedding rows are added in the order of their ids.

May import `monitor.events` and its neighbours in this package only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from monitor.events.content import calls_tools_only
from monitor.events.schema import ABANDONED, OutputEvent
from monitor.features.text import english
from monitor.features.text.chunks import Chunks, HashIndex, Splitter
from monitor.features.text.embedded_data import cut_out
from monitor.features.text.ngrams import Occurrences, count_ids, count_trigrams
from monitor.features.text.static_table import StaticTable, default_table

Float = NDArray[np.float64]

_GRAIN = 2.0**20
_LONGEST_KEPT = 64
"""Characters of a chunk that is kept: longer ones hardly come again, and would fill the memory."""
_BLOCK = 60  # below the chunks that `english.core` remembers
_SENTENCE_END = (".", "!", "?", "\u2026", "\u3002", "\uff01", "\uff1f")
_CLOSING = "\"'\u201d\u2019)]*_\u00bb"
_OPENING = "\"'\u201c\u2018([*_"


def _ends_sentence(chunk: str) -> float:
    if chunk.isalnum():
        return 0.0
    bare = chunk.rstrip(_CLOSING)
    if not bare.endswith(_SENTENCE_END):
        return 0.0
    stem = bare.rstrip(".!?\u2026").lstrip(_OPENING)
    # list numbers ("1."), initials ("J.") and dotted abbreviations ("e.g.") end no sentence
    return float(not (bare.endswith(".") and (stem.isdigit() or (len(stem) < 2 and stem != "I") or "." in stem)))


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
    "sentence_end",  # 1 where it closes a sentence
)


def _core_facts(core: str) -> tuple[float, ...]:
    """Values of the first six built-in columns."""
    if not core:
        return (0.0,) * 6
    return (
        1.0,
        float(core.replace("'", "").replace("-", "").isalpha()),
        float(english.is_word(core)),
        english.zipf(core),
        float(english.syllables(core)),
        float(english.is_marker(core)),
    )


class _Rows:
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
        found: list[int] = self.pieces[self.starts[row] : self.starts[row + 1]].tolist()
        return found


class _Generation:
    """The chunks met since the table last started afresh, and those of the generation before to take over from."""

    __slots__ = ("cores", "index", "older", "rows")

    def __init__(self, columns: int, older: _Generation | None) -> None:
        self.index = HashIndex()
        self.rows = _Rows(columns)
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
        self._current = _Generation(len(self.column), None)

    def __len__(self) -> int:
        return self._current.rows.used

    def generation(self) -> _Generation:
        """Where a new batch looks its chunks up."""
        current = self._current
        if current.rows.used > self._limit or current.rows.pieces_used > 8 * self._limit:
            current.older = None
            self._current = _Generation(len(self.column), current)
        return self._current

    def look_up(self, chunks: Chunks, generation: _Generation) -> NDArray[np.int32]:
        """Row of each chunk in the generation's rows."""
        rows = generation.index.look_up(chunks.hashes)
        missed = np.flatnonzero(rows < 0)
        if len(missed):
            rows[missed] = self._learn(chunks, missed, generation)
        return rows

    def _learn(self, chunks: Chunks, missed: NDArray[np.intp], generation: _Generation) -> NDArray[np.int32]:
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

    def _fill(self, words: list[str], hashes: NDArray[np.uint64], generation: _Generation) -> None:
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
        values[:, : len(BUILT_IN) - 2] = [facts for _, facts in cores]
        values[:, len(BUILT_IN) - 2] = list(map(len, chunks))
        values[:, len(BUILT_IN) - 1] = list(map(_ends_sentence, chunks))
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


class _Sums(Mapping[str, Float]):
    """Word columns summed over each text, by name."""

    def __init__(self, column: Mapping[str, int], sums: Float) -> None:
        self._column = column
        self._sums = sums

    def __getitem__(self, name: str) -> Float:
        return self._sums[:, self._column[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._column)

    def __len__(self) -> int:
        return len(self._column)


class TextBatch:
    """One side's texts of a batch after the one pass; the module's head lists what it offers."""

    def __init__(self, texts: Sequence[str | None], table: WordTable, generation: _Generation | None = None) -> None:
        texts, self.embedded = cut_out(texts)
        self.texts = texts
        self.table = table
        self.n = len(texts)
        self.memory: dict[str, Any] = {}
        self.present: NDArray[np.bool_] = np.fromiter((t is not None for t in texts), dtype=np.bool_, count=self.n)
        self.chars: NDArray[np.int64] = np.fromiter((len(t) if t else 0 for t in texts), np.int64, count=self.n)
        chunks = table.splitter.split(texts)
        self.offsets: NDArray[np.int64] = chunks.offsets
        generation = generation or table.generation()
        self.ids = table.look_up(chunks, generation)
        self._rows = generation.rows
        self._known = self._rows.used  # rows that this batch may name; later batches append more

    @cached_property
    def text_of(self) -> NDArray[np.int32]:
        """Which text each chunk belongs to."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.offsets))

    @cached_property
    def position(self) -> NDArray[np.int64]:
        """Index of each chunk in its own text."""
        return np.arange(len(self.ids), dtype=np.int64) - np.repeat(self.offsets[:-1], np.diff(self.offsets))

    @cached_property
    def cores(self) -> NDArray[np.int32]:
        """Equal exactly where chunks are equal but for case and punctuation at their ends; 0 for punctuation alone."""
        return self._rows.cores[self.ids]

    @cached_property
    def _counts(self) -> csr_array:
        """How often each row occurs in each text: (n, rows), rows ascending."""
        return _count(self.text_of, self.ids, self.n, self._known)

    @property
    def distinct(self) -> NDArray[np.int64]:
        """Distinct chunks of each text."""
        return np.diff(self._counts.indptr).astype(np.int64)

    @cached_property
    def distinct_cores(self) -> NDArray[np.int64]:
        """Distinct words of each text, by their cores; punctuation alone is no word."""
        spoken = self.cores > 0
        return count_ids(self.cores[spoken], self.text_of[spoken]).distinct(self.n)

    @cached_property
    def sums(self) -> Mapping[str, Float]:
        """Word columns summed over each text."""
        return _Sums(self.table.column, self._counts @ self._rows.values[: self._known])

    @property
    def words(self) -> NDArray[np.int64]:
        """Chunks of each text that hold a letter or a digit."""
        return self.sums["word"].astype(np.int64)

    def values(self, name: str) -> Float:
        """A word column chunk by chunk, in order of the texts."""
        return self._rows.column(self.table.column[name])[self.ids]

    def reduce(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> Float:
        """Sums of per-chunk values over each text, added in order."""
        return np.bincount(self.text_of, weights=values, minlength=self.n).astype(np.float64)

    @cached_property
    def _pieces_of_chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each chunk's pieces begin among the table's, and how many there are."""
        first = self._rows.starts[self.ids]
        return first, self._rows.starts[self.ids + 1] - first

    @cached_property
    def pieces(self) -> NDArray[np.int64]:
        """WordPiece tokens of each text, as the embedding model's own tokenizer counts them."""
        return self.reduce(self._pieces_of_chunks[1].astype(np.float64)).astype(np.int64)

    @cached_property
    def embedding(self) -> NDArray[np.float32]:
        """(n, d): sum of the static rows of each text's pieces, of unit length, or zero without any piece."""
        first, lengths = self._pieces_of_chunks
        ends = np.cumsum(lengths)
        held = np.arange(int(lengths.sum())) + np.repeat(first - (ends - lengths), lengths)
        counts = _count(np.repeat(self.text_of, lengths), self._rows.pieces[held], self.n, len(self.table.static.rows))
        # By columns, so that each of the table's rows comes through memory once for the whole batch; a text's own rows
        # are added in the order of their ids all the same.
        total: NDArray[np.float32] = counts.tocsc() @ self.table.static.rows
        norm = np.sqrt(np.einsum("ij,ij->i", total, total, dtype=np.float64))
        return np.asarray(total / np.where(norm > 0, norm, 1.0)[:, None], dtype=np.float32)

    @cached_property
    def stripped(self) -> list[str]:
        """Each text without whitespace at its ends; empty for None."""
        return [text.strip() if text else "" for text in self.texts]

    @cached_property
    def lower(self) -> list[str]:
        """Each text in lower case; empty for None."""
        return [text.lower() if text else "" for text in self.texts]

    def masked(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """A column of n values with NaN where the text is None."""
        return np.where(self.present, values, np.nan).astype(np.float32)


def _count(text_of: NDArray[np.int32], ids: NDArray[np.int32], n: int, width: int) -> csr_array:
    """Occurrences of each id in each text: sparse (n, width), float32, ids ascending within a text."""
    found = count_ids(ids, text_of)
    ends = np.zeros(n + 1, dtype=np.int32)
    np.cumsum(found.distinct(n), out=ends[1:])
    return csr_array((found.counts.astype(np.float32), found.ids.astype(np.int32), ends), shape=(n, width))


class Embedder(Protocol):
    """Turns texts into vectors in place of the static table.

    `embed` is called from one thread, once per side and micro-batch, and may block for as long as the model takes. It
    returns float32 (n, d) of unit length, or zero rows for None and empty texts, each row a function of its text alone.
    """

    name: str
    dimensions: int

    def embed(self, texts: Sequence[str | None]) -> NDArray[np.float32]:
        """Vectors of n texts."""
        ...


Side = Literal["input", "output"]
"""Of an event: what was asked, or what was answered."""


class EventBatch:
    """The events of a micro-batch with both sides' texts, each passed over once, on first use.

    Parameters
    ----------
    events
        n events, in the order of the log.
    table
        Where chunks are looked up; one per worker thread. Ids of output and input mean the same chunks.
    embedder
        Who embeds the texts; the table's static embedding if None.
    """

    def __init__(self, events: Sequence[OutputEvent], table: WordTable, embedder: Embedder | None = None) -> None:
        self.events = events
        self.table = table
        self._embedder = embedder
        self._generation = table.generation()

    def __len__(self) -> int:
        return len(self.events)

    @cached_property
    def output(self) -> TextBatch:
        """The outputs; None for an event without one, with a part of one, or with tool calls in place of one."""
        return TextBatch([answer_of(event) for event in self.events], self.table, self._generation)

    @cached_property
    def input(self) -> TextBatch:
        """The inputs; an event without one has None."""
        return TextBatch([event.input for event in self.events], self.table, self._generation)

    def text(self, side: Side) -> TextBatch:
        """One side's texts."""
        return self.output if side == "output" else self.input

    def embedding(self, side: Side) -> NDArray[np.float32]:
        """(n, d): the embeddings of one side's texts."""
        return self.output_embedding if side == "output" else self.input_embedding

    @cached_property
    def output_embedding(self) -> NDArray[np.float32]:
        """(n, d): the outputs' embeddings, of unit length, or zero for an empty text."""
        return self.output.embedding if self._embedder is None else self._embedder.embed(self.output.texts)

    @cached_property
    def input_embedding(self) -> NDArray[np.float32]:
        """(n, d): the inputs' embeddings, of unit length, or zero for an empty text."""
        return self.input.embedding if self._embedder is None else self._embedder.embed(self.input.texts)

    @cached_property
    def trigrams(self) -> Occurrences:
        """Trigrams of words (by their cores), of the outputs as texts 0..n-1 and of the inputs as n..2n-1."""
        output, source = self.output, self.input
        words = np.concatenate([output.cores, source.cores])
        owner = np.concatenate([output.text_of, source.text_of + np.int32(len(self.events))])
        spoken = words > 0
        return count_trigrams(words[spoken], owner[spoken])


def answer_of(event: OutputEvent) -> str | None:
    """What is measured as the text of an output.

    None for a part of one, whose reader went away, and where a step calls tools and says nothing, which is not empty.
    """
    if event.finish_reason == ABANDONED or calls_tools_only(event.output, event.finish_reason, event.steps):
        return None
    return event.output


def table_for(extractors: Sequence[object], static: StaticTable | None = None) -> WordTable:
    """A table with the word columns of these extractors and, unless another is given, the shipped embedding."""
    return WordTable(word_columns(extractors), default_table() if static is None else static)


def word_columns(extractors: Sequence[object]) -> dict[str, Callable[[str], float]]:
    """The word columns that extractors declare, by name; several may declare the same one.

    Raises `ValueError` where two families use one name for different functions.
    """
    columns: dict[str, Callable[[str], float]] = {}
    for extractor in extractors:
        declared: Mapping[str, Callable[[str], float]] = getattr(extractor, "word_columns", {})
        for name, function in declared.items():
            if columns.setdefault(name, function) is not function:
                raise ValueError(f"two families declare the word column {name!r}: prefix it with the family's name")
    return columns
