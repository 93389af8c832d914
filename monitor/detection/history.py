"""The last rows of a stream: what a change point, its before and after, and its examples are read from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.finding import Excerpt
from monitor.detection.plain import pack, unpack

T = TypeVar("T", bound=np.generic)

LENGTH = 384
"""Rows kept: as far back as a change point can be placed."""
NAMED = 128
"""Latest rows whose ids are kept."""
EXCERPTS = 64
"""Latest rows whose excerpts are kept."""

Segments = tuple[tuple[str, str], ...]
VERSIONS = (
    "model.provider",
    "model.name",
    "model.version",
    "model.fingerprint",
    "prompt.name",
    "prompt.version",
    "prompt.hash",
)
"""Attributes whose change is an event of its own, most general first."""


_NOTHING = msgspec.msgpack.encode([])


class History:
    """A bounded record of rows, oldest first: the last `LENGTH`, however they came.

    Attributes
    ----------
    numbers
        float16 (n, k), compressed (`monitor.detection.ranks`).
    times
        float64 (n), seconds since 1970, NaN where unknown.
    marks
        uint16 (n), of each event's content (`monitor.detection.normal.marks_of`).
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
        # Strings, which are quoted rarely, as msgpack: an object for each is several times as large.
        self._ids = self._excerpts = _NOTHING
        self._named = self._quoted = 0

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
        self._indices = _ranged(_last(self.indices, indices))
        self.numbers = _last(self.numbers, numbers)
        self._true = _last(self._true, np.packbits(flags == 1.0, axis=1))
        self._missing = _last(self._missing, np.packbits(np.isnan(flags), axis=1))
        self.times = _last(self.times, times)
        self.marks = _last(self.marks, marks)
        self._code(segments)
        self._ids, self._named = _with_last(self._ids, ids, NAMED)
        self._excerpts, self._quoted = _with_last(self._excerpts, excerpts, EXCERPTS)

    def _code(self, segments: list[Segments]) -> None:
        place = {known: i for i, known in enumerate(self._distinct)}
        fresh = [place.setdefault(each, len(place)) for each in segments]
        self._codes = _last(self._codes, np.asarray(fresh, dtype=np.uint16))
        if len(place) > len(self._distinct):
            known = list(place)
            held, codes = np.unique(self._codes, return_inverse=True)
            self._distinct, self._codes = [known[i] for i in held], codes.astype(np.uint16)

    @property
    def segments(self) -> list[Segments]:
        """Segments (n)."""
        return [self._distinct[code] for code in self._codes.tolist()]

    @property
    def indices(self) -> NDArray[np.int64]:
        """int64 (n), each row's index in its stream."""
        return np.asarray(self._indices, dtype=np.int64)

    @property
    def first_index(self) -> int:
        """The oldest row's index in its stream; there must be one."""
        return int(self._indices[0])

    def flag_values(self) -> NDArray[np.float64]:
        """Flags (n, m) as 1, 0 and NaN for missing."""
        true, missing = (np.unpackbits(bits, axis=1, count=self._flags) for bits in (self._true, self._missing))
        return np.where(missing, np.nan, true.astype(np.float64))

    @property
    def first_id(self) -> int:
        """Position of the oldest row whose id is held."""
        return len(self) - self._named

    def event_id(self, position: int) -> str:
        """The id of the row at this position, from `first_id` on, or counted from the last (-1)."""
        return str(msgspec.msgpack.decode(self._ids)[position if position < 0 else position - self.first_id])

    @property
    def first_excerpt(self) -> int:
        """Position of the oldest row whose excerpt is held."""
        return len(self) - self._quoted

    def excerpt(self, position: int) -> Excerpt:
        """The excerpt of the row at this position, from `first_excerpt` on."""
        given, output = msgspec.msgpack.decode(self._excerpts)[position - self.first_excerpt]
        return Excerpt(self.event_id(position), given, output)

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        indices = self._indices
        return [
            self._flags,
            [indices.start, indices.stop] if isinstance(indices, range) else pack(indices),
            *(pack(part) for part in (self.numbers, self._true, self._missing, self.times, self.marks)),
            msgspec.msgpack.decode(self._ids),
            self._distinct,
            pack(self._codes),
            msgspec.msgpack.decode(self._excerpts),
        ]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> History:
        """The history that `plain` described."""
        flags, indices, numbers, true, missing, times, marks, ids, distinct, codes, excerpts = plain
        history = cls(0, flags)
        history._indices = range(*indices) if len(indices) == 2 else unpack(indices)
        history.numbers, history._true, history._missing = unpack(numbers), unpack(true), unpack(missing)
        history.times, history.marks = unpack(times), unpack(marks)
        history._distinct = [tuple((str(k), str(v)) for k, v in segment) for segment in distinct]
        history._codes = unpack(codes)
        history._ids, history._named = _with_last(_NOTHING, ids, NAMED)
        history._excerpts, history._quoted = _with_last(_NOTHING, excerpts, EXCERPTS)
        return history


def _last(held: NDArray[T], more: NDArray[T]) -> NDArray[T]:
    """The last `LENGTH` rows of both, in memory of their own."""
    more = more[-LENGTH:]
    return np.concatenate([held[max(0, len(held) + len(more) - LENGTH) :], more])


def _with_last(held: bytes, more: Sequence[Any], most: int) -> tuple[bytes, int]:
    """The last `most` of both as msgpack, and how many they are."""
    both = [*msgspec.msgpack.decode(held), *more[-most:]] if len(more) < most else more
    kept = both[-most:]
    return msgspec.msgpack.encode(kept), len(kept)


def _ranged(indices: NDArray[np.int64]) -> range | NDArray[np.int64]:
    """Ascending indices, as a range where none is left out."""
    first, last = (int(indices[0]), int(indices[-1])) if len(indices) else (0, -1)
    return range(first, last + 1) if last - first + 1 == len(indices) else indices


def segments_of(mappings: Sequence[dict[str, str]]) -> list[Segments]:
    """Each mapping as sorted pairs, which can be counted; equal ones are the same object."""
    known: dict[Segments, Segments] = {}
    # Rows of one message share their mappings: each is sorted once.
    distinct = {id(mapping): mapping for mapping in mappings}
    sorted_pairs = {}
    for place, mapping in distinct.items():
        pairs = tuple(sorted(mapping.items()))
        sorted_pairs[place] = known.setdefault(pairs, pairs)
    return [sorted_pairs[id(mapping)] for mapping in mappings]
