"""The last rows of a stream: what a change point, its before and after, and its examples are read from."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.records.finding import Excerpt
from monitor.detection.state.snapshot_codec import StateRecord

T = TypeVar("T", bound=np.generic)
S = TypeVar("S")

LENGTH = 384
"""Rows kept: as far back as a change point can be placed, several times the delay of a moderate change."""
NAMED = 48
"""Latest rows whose ids are kept at least: a block and a half, from which examples are chosen."""
EXCERPTS = 40
"""Latest rows whose excerpts are kept at least: excerpts are most of what a row takes."""

PIECE = 16
"""Texts that are packed together: more compress no better, and less is unpacked to quote one."""

Segments = tuple[tuple[str, str], ...]
VERSIONS = (
    "model.provider",
    "model.name",
    "model.version",
    "model.fingerprint",
    "prompt.name",
    "prompt.version",
    "prompt.hash",
    "evaluator",  # of streams of verdicts: who judged
)
"""Attributes that say which version answered, most general first: a new value is a cause of a change."""


class _Piece(NamedTuple):
    number: int
    packed: bytes


class _Texts:
    """The last texts, at least `least` of them.

    They are quoted rarely, so they are packed: an object for each is several times as large, and plain text twice. But
    while each block brings as many again, as on a busy stream, they stay as they came until the next one replaces them.
    """

    def __init__(self, least: int, pieces: Sequence[_Piece] = ()) -> None:
        self._least = least
        self._pieces = list(pieces)
        self._fresh: list[str] = []

    def __len__(self) -> int:
        return sum(piece.number for piece in self._pieces) + len(self._fresh)

    def put(self, texts: list[str]) -> None:
        """Store texts, and drop the oldest ones as long as `least` are left."""
        if len(texts) >= self._least:
            self._pieces, self._fresh = [], texts[-self._least :]
            return
        self._pieces = [*self.packed(), *_pieces(texts)]
        self._fresh = []
        while sum(piece.number for piece in self._pieces[1:]) >= self._least:
            del self._pieces[0]

    def packed(self) -> list[_Piece]:
        """All that are stored, packed."""
        return [*self._pieces, *_pieces(self._fresh)]

    def all(self) -> list[str]:
        """All that are stored, oldest first."""
        packed = (msgspec.msgpack.decode(zlib.decompress(piece.packed)) for piece in self._pieces)
        texts = [text for each in packed for text in each]
        return [
            text if isinstance(text, str) else text.decode("utf-8", "surrogatepass") for text in texts
        ] + self._fresh


def _pieces(texts: list[str]) -> list[_Piece]:
    pieces = []
    for start in range(0, len(texts), PIECE):
        piece = texts[start : start + PIECE]
        try:
            packed = msgspec.msgpack.encode(piece)
        except UnicodeEncodeError:  # an id may hold what is no character
            packed = msgspec.msgpack.encode([text.encode("utf-8", "surrogatepass") for text in piece])
        pieces.append(_Piece(len(piece), zlib.compress(packed, 1)))
    return pieces


class RecentRowsState(StateRecord):
    """Of `RecentRows`. `span` is the range of the rows' indices, from and up to; where some are missing, `indices`."""

    flags: int
    span: tuple[int, int] | None
    indices: NDArray[np.int64] | None
    numbers: NDArray[np.float16]
    true: NDArray[np.uint8]
    missing: NDArray[np.uint8]
    times: NDArray[np.float64]
    marks: NDArray[np.uint16]
    ids: list[_Piece]
    excerpts: list[_Piece]
    distinct: list[Segments]
    codes: NDArray[np.uint16]


class RecentRows:
    """A bounded record of rows, oldest first: the last `LENGTH`, however they came.

    Attributes
    ----------
    numbers
        float16 (n, k), compressed (`monitor.detection.columns.normal_scores`).
    times
        float64 (n), seconds since 1970, NaN where unknown.
    marks
        uint16 (n), of each event's content (`monitor.detection.reference.learned_reference.marks_of`).
    """

    def __init__(self, numbers: int, flags: int) -> None:
        self._flags = flags
        self._indices: range | NDArray[np.int64] = range(0)  # a range as long as no row went to another track
        self.numbers: NDArray[np.float16] = np.empty((0, numbers), dtype=np.float16)
        # What is true, and what is missing: a bit for each flag.
        self._true, self._missing = np.empty((2, 0, (flags + 7) // 8), dtype=np.uint8)
        self.times: NDArray[np.float64] = np.empty(0)
        self.marks: NDArray[np.uint16] = np.empty(0, dtype=np.uint16)
        self._distinct: list[Segments] = []
        self._codes: NDArray[np.uint16] = np.empty(0, dtype=np.uint16)  # each row's place among these
        self._ids = _Texts(NAMED)
        self._excerpts = _Texts(2 * EXCERPTS)  # of each row the input's and the output's

    def __len__(self) -> int:
        return len(self.times)

    def append(
        self,
        indices: NDArray[np.int64],
        numbers: NDArray[np.float16],
        flags: NDArray[np.float64],
        times: NDArray[np.float64],
        marks: NDArray[np.uint16],
        ids: list[str],
        segments: list[Segments],
        excerpts: list[tuple[str, str]],
    ) -> None:
        """Append rows: numbers (n, k) compressed, flags (n, m) with NaN for missing."""
        self._indices = self._followed_by(_ranged(indices[-LENGTH:]))
        self.numbers = latest(self.numbers, numbers)
        self._true = latest(self._true, np.packbits(flags == 1.0, axis=1))
        self._missing = latest(self._missing, np.packbits(np.isnan(flags), axis=1))
        self.times = latest(self.times, times)
        self.marks = latest(self.marks, marks)
        self._code(segments)
        self._ids.put(ids)
        self._excerpts.put([text for pair in excerpts[-EXCERPTS:] for text in pair])

    def _followed_by(self, more: range | NDArray[np.int64]) -> range | NDArray[np.int64]:
        """The last indices, of those kept and then these."""
        held = self._indices
        if isinstance(held, range) and isinstance(more, range) and (not held or not more or held.stop == more.start):
            start, stop = (held or more).start, (more or held).stop
            return range(max(start, stop - LENGTH), stop)
        return _ranged(latest(self.indices, np.asarray(more, dtype=np.int64)))

    def _code(self, segments: list[Segments]) -> None:
        place = {known: i for i, known in enumerate(self._distinct)}
        codes = {name: place.setdefault(each, len(place)) for name, each in each_once(segments).items()}
        fresh = np.fromiter(map(codes.__getitem__, map(id, segments)), dtype=np.uint16, count=len(segments))
        self._codes = latest(self._codes, fresh)
        if len(place) > len(self._distinct):
            known = list(place)
            held, inverse = np.unique(self._codes, return_inverse=True)
            self._distinct, self._codes = [known[i] for i in held], inverse.astype(np.uint16)

    @property
    def segments(self) -> list[Segments]:
        """Segments (n)."""
        return [self._distinct[code] for code in self._codes.tolist()]

    def read(
        self, start: int = 0, stop: int | None = None
    ) -> tuple[NDArray[np.float16], NDArray[np.float64], list[Segments]]:
        """Numbers, flags and segments of the rows from `start` to `stop`, as `Reference.scores` takes them."""
        segments = [self._distinct[code] for code in self._codes[start:stop].tolist()]
        return self.numbers[start:stop], self.flag_values(start, stop), segments

    @property
    def indices(self) -> NDArray[np.int64]:
        """int64 (n), each row's index in its stream."""
        return np.asarray(self._indices, dtype=np.int64)

    @property
    def first_index(self) -> int:
        """The oldest row's index in its stream; there must be one."""
        return int(self._indices[0])

    def flag_values(self, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Flags (n, m) of the rows from `start` to `stop` as 1, 0 and NaN for missing."""
        bits = (held[start:stop] for held in (self._true, self._missing))
        true, missing = (np.unpackbits(each, axis=1, count=self._flags) for each in bits)
        return np.where(missing, np.nan, true.astype(np.float64))

    @property
    def first_id(self) -> int:
        """Position of the oldest row whose id is kept."""
        return len(self) - len(self._ids)

    def event_id(self, position: int) -> str:
        """The id of the row at this position, from `first_id` on, or counted from the last (-1)."""
        return self._ids.all()[position if position < 0 else position - self.first_id]

    @property
    def first_excerpt(self) -> int:
        """Position of the oldest row whose excerpt is kept."""
        return len(self) - len(self._excerpts) // 2

    def excerpt(self, position: int) -> Excerpt:
        """The excerpt of the row at this position, from `first_excerpt` on."""
        place = 2 * (position - self.first_excerpt)
        return Excerpt(self.event_id(position), *self._excerpts.all()[place : place + 2])

    def to_state(self) -> RecentRowsState:
        """For a snapshot."""
        indices = self._indices
        return RecentRowsState(
            flags=self._flags,
            span=(indices.start, indices.stop) if isinstance(indices, range) else None,
            indices=None if isinstance(indices, range) else indices,
            numbers=self.numbers,
            true=self._true,
            missing=self._missing,
            times=self.times,
            marks=self.marks,
            ids=self._ids.packed(),
            excerpts=self._excerpts.packed(),
            distinct=self._distinct,
            codes=self._codes,
        )

    @classmethod
    def from_state(cls, state: RecentRowsState) -> RecentRows:
        """The history that `state` described."""
        history = cls(0, state.flags)
        if state.span is not None:
            history._indices = range(*state.span)
        elif state.indices is not None:
            history._indices = state.indices
        history.numbers, history._true, history._missing = state.numbers, state.true, state.missing
        history.times, history.marks = state.times, state.marks
        history._distinct, history._codes = state.distinct, state.codes
        history._ids = _Texts(NAMED, state.ids)
        history._excerpts = _Texts(2 * EXCERPTS, state.excerpts)
        return history


def latest(held: NDArray[T], more: NDArray[T], most: int = LENGTH) -> NDArray[T]:
    """The last of both, at most `most`, copied, so that they keep no larger array in memory."""
    more = more[-most:]
    return np.concatenate([held[max(0, len(held) + len(more) - most) :], more])


def _ranged(indices: NDArray[np.int64]) -> range | NDArray[np.int64]:
    """Ascending indices, as a range where none is left out."""
    first, last = (int(indices[0]), int(indices[-1])) if len(indices) else (0, -1)
    return range(first, last + 1) if last - first + 1 == len(indices) else indices


def each_once(objects: Sequence[S]) -> dict[int, S]:
    """Each object once, by its identity: rows of one message share their mappings, and those of a block their segments
    (`segments_of`), so few are looked into."""
    return dict(zip(map(id, objects), objects, strict=True))


def segments_of(mappings: Sequence[dict[str, str]]) -> list[Segments]:
    """Each mapping as sorted pairs, which can be counted; equal ones are the same object."""
    known: dict[Segments, Segments] = {}
    sorted_pairs = {}
    for place, mapping in each_once(mappings).items():
        pairs = tuple(sorted(mapping.items()))
        sorted_pairs[place] = known.setdefault(pairs, pairs)
    return [sorted_pairs[id(mapping)] for mapping in mappings]
