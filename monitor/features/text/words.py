"""The one pass over the words that all families share.

Images and other data written into a text are cut out of it (`monitor.features.text.embedded_data`), and reasoning
before an answer (`.reasoning`); the rest is split once at whitespace. Each chunk is mapped by its hash (`.chunks`) to
a row of a growing `WordTable` (`.word_table`), which holds what any family wants to know of a single chunk. Sums over
a text are then sparse counts times table, for the whole batch at once, so a feature that is a sum over words costs
nanoseconds a word and no scan of the text.
For extractors
--------------
`batch.output` and `batch.input` are `TextBatch`es. Of n texts with m chunks in all:

    text.texts        n str or None            text.present   bool (n), False where the text is None
    text.chars        int64 (n)                text.words     int64 (n), words as a reader counts them
    text.sentences    float64 (n), sentences and what stands alone in its line; NaN where a script has no marks for them
    text.sums["x"]    float64 (n), sum of word column x over each text (0 for an empty text)
    text.values("x")  float64 (m), word column x chunk by chunk, in order: negation before a valence word,
                      bigrams and the like are array logic on these
    text.prose        bool (m), chunks that the speaker says: no code, quotation, link or JSON; None where all are
    text.ends_unit    bool (m), chunks that end a sentence or a line that stands alone
    text.ids          int32 (m), equal exactly where chunks are equal
    text.cores        int32 (m), equal exactly where chunks are but for case and punctuation at their ends
    text.offsets      int64 (n + 1), text i owns chunks offsets[i]:offsets[i + 1]
    text.text_of      int32 (m)                text.position  int64 (m), index of the chunk in its text
    text.reduce(v)    float64 (n), sums of per-chunk values v (m) over each text
    text.code         fenced code blocks by text, of the texts that have any
    text.pieces       int64 (n), WordPieces    text.embedding float32 (n, d), unit length or zero
    text.distinct     int64 (n), distinct chunks
    text.embedded     int64 (n), images and other data that were cut out of it (`.embedded_data`)
    text.stripped / text.lower                 n str ("" for None), made on first use
    text.memory       dict, by family, for what one family works out and another wants too
    text.masked(v)    float32 (n), v with NaN where the text is None: what an extractor returns

Built-in word columns are in `word_table.BUILT_IN`. A function of a word must be pure and linear in its length; if it
raises or returns a non-finite number, the texts with that word miss that column, and `WordTable.failures` counts it.

Nothing depends on what the table has seen before or on what else is in the batch: word values are rounded to
multiples of 2**-20, so that their sums are exact in any order, and embedding rows are added in the order of their ids.

May import `monitor.events` and its neighbours in this package only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from monitor.events.content import calls_tools_only
from monitor.events.schema import ABANDONED, OutputEvent
from monitor.features.text.embedded_data import cut_out
from monitor.features.text.markdown import CodeBlock, code_blocks
from monitor.features.text.ngrams import Occurrences, count_ids, count_trigrams
from monitor.features.text.prose import Parts, prose_of
from monitor.features.text.reasoning import Reasoned, split_reasoning
from monitor.features.text.sentences import FENCE, STOP, UNLESS_LOWER, endings, ends_of_units, layouts
from monitor.features.text.static_table import StaticTable, default_table
from monitor.features.text.word_table import Float, Generation, WordTable

_KNOWN = 0.2
"""Share of a text's pieces that the embedding model must know: of fewer, its embedding says which script, no more."""
_UNMARKED = 0.5
"""Share of a text's characters in scripts without sentence marks from which its sentences cannot be counted."""


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

    def __init__(self, texts: Sequence[str | None], table: WordTable, generation: Generation | None = None) -> None:
        texts, self.embedded = cut_out(texts)
        self.texts = texts
        self.table = table
        self.n = len(texts)
        self.memory: dict[str, Any] = {}
        self.present: NDArray[np.bool_] = np.fromiter((t is not None for t in texts), dtype=np.bool_, count=self.n)
        self.chars: NDArray[np.int64] = np.fromiter((len(t) if t else 0 for t in texts), np.int64, count=self.n)
        chunks = table.splitter.split(texts)
        self.offsets: NDArray[np.int64] = chunks.offsets
        self._line_starts = chunks.line_starts
        self._first_line = chunks.first_line
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
        return self.distinct_words().distinct(self.n)

    def distinct_words(self, column: str | None = None, below: float = np.inf) -> Occurrences:
        """Distinct words of each text, by their cores; of a word column those alone whose value is lower than `below`.

        Goes through the distinct chunks, half as many as there are chunks; `counts` are of spellings, not of words.
        """
        rows = self._counts.indices
        owner = np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self._counts.indptr))
        cores = self._rows.cores[rows]
        kept = cores > 0
        if column is not None:
            kept &= self._rows.column(self.table.column[column])[rows] < below
        return count_ids(cores[kept], owner[kept])

    @cached_property
    def sums(self) -> Mapping[str, Float]:
        """Word columns summed over each text."""
        return _Sums(self.table.column, self._counts @ self._rows.values[: self._known])

    @cached_property
    def words(self) -> NDArray[np.int64]:
        """Words of each text; estimated in scripts that write no spaces between them."""
        return np.rint(self.sums["words"]).astype(np.int64)

    @cached_property
    def code(self) -> Mapping[int, list[CodeBlock]]:
        """Fenced code blocks by text, of the texts that have any."""
        found: dict[int, list[CodeBlock]] = {}
        for row in np.unique(self.text_of[np.flatnonzero(self._layouts & FENCE)]).tolist():
            text = self.texts[row]
            blocks = code_blocks(text) if text else []
            if blocks:
                found[row] = blocks
        return found

    @cached_property
    def _forms(self) -> NDArray[np.int16]:
        return self.values("form").astype(np.int16)

    @cached_property
    def _layouts(self) -> NDArray[np.int16]:
        return layouts(self._forms)

    @cached_property
    def ends_unit(self) -> NDArray[np.bool_]:
        """Which chunks end a sentence, or what stands alone in its line (`.sentences`)."""
        return ends_of_units(self._forms, self.text_of, self._line_starts)

    @cached_property
    def _parts(self) -> Parts | None:
        lines = self._first_line
        code = {row: (found, self._line_starts[lines[row] : lines[row + 1] - 1]) for row, found in self.code.items()}
        return prose_of(self._layouts, self.text_of, self.offsets, self._line_starts, self.texts, code)

    @property
    def prose(self) -> NDArray[np.bool_] | None:
        """Which chunks the speaker says: no code, quoted passage, link or JSON; None where all are."""
        return None if self._parts is None else self._parts.prose

    @cached_property
    def sentences(self) -> Float:
        """Sentences of each text, quoted ones too, and what stands alone in its line; none in code. NaN for a script
        without marks."""
        return self._sentences_in(None if self._parts is None else self._parts.written)

    @cached_property
    def sentences_of_prose(self) -> Float:
        """Those that the speaker says; NaN as above."""
        return self.sentences if self._parts is None else self._sentences_in(self._parts.prose)

    def _sentences_in(self, chosen: NDArray[np.bool_] | None) -> Float:
        ends = np.flatnonzero(self.ends_unit)
        how = endings(self._forms)
        said = (self.cores > 0) | (how == STOP) | (how == UNLESS_LOWER)
        stops = self.sums["stops"]
        if chosen is not None:
            said &= chosen
            stops = stops - self.sums_over("stops", np.flatnonzero(~chosen))
        spoken = np.concatenate([[0], np.cumsum(said)])
        units = np.diff(spoken[ends + 1], prepend=0) > 0
        total: Float = np.bincount(self.text_of[ends[units]], minlength=self.n) + stops
        unmarked = self.sums["unmarked"] > _UNMARKED * self.sums["length"]
        total[unmarked & (total < 2)] = np.nan
        return total

    def values(self, name: str) -> Float:
        """A word column chunk by chunk, in order of the texts."""
        return self._rows.column(self.table.column[name])[self.ids]

    def sums_over(self, name: str, chunks: NDArray[np.intp]) -> Float:
        """A word column summed over some of each text's chunks, by their indices."""
        values = self._rows.column(self.table.column[name])[self.ids[chunks]]
        return np.bincount(self.text_of[chunks], weights=values, minlength=self.n).astype(np.float64)

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
        """(n, d): sum of the static rows of each text's pieces, of unit length.

        Zero without any piece, or where the model knows almost none of them.
        """
        first, lengths = self._pieces_of_chunks
        ends = np.cumsum(lengths)
        held = np.arange(int(lengths.sum())) + np.repeat(first - (ends - lengths), lengths)
        counts = _count(np.repeat(self.text_of, lengths), self._rows.pieces[held], self.n, len(self.table.static.rows))
        # By columns, so that each of the table's rows comes through memory once for the whole batch; a text's own rows
        # are added in the order of their ids all the same.
        total: NDArray[np.float32] = counts.tocsc() @ self.table.static.rows
        strange = counts.indices == self.table.static.wordpiece.unknown
        unknown = np.zeros(self.n)
        unknown[np.repeat(np.arange(self.n), np.diff(counts.indptr))[strange]] = counts.data[strange]
        total[unknown > (1 - _KNOWN) * self.pieces] = 0.0
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
    def answers(self) -> list[Reasoned | None]:
        """The outputs in parts: answer and reasoning; None for an event without an output, with a part of one, or with
        tool calls in place of one."""
        return list(map(answer_of, self.events))

    @cached_property
    def output(self) -> TextBatch:
        """The answers of the outputs, without reasoning; None as in `answers`."""
        texts = [None if parts is None else parts.answer for parts in self.answers]
        return TextBatch(texts, self.table, self._generation)

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


def answer_of(event: OutputEvent) -> Reasoned | None:
    """What is measured as the text of an output, and the reasoning before it.

    None for a part of one, whose reader went away, and where a step calls tools and says nothing, which is not empty.
    """
    if event.output is None or event.finish_reason == ABANDONED:
        return None
    parts = split_reasoning(event.output)
    return None if calls_tools_only(parts.answer, event.finish_reason, event.steps) else parts


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
