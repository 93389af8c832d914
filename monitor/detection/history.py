"""The last rows of a stream: what a change point, its before and after, and its examples are read from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.finding import Excerpt
from monitor.detection.plain import pack, pack_bits, unpack, unpack_bits

LENGTH = 384
"""Rows kept at least: as far back as a change point can be placed."""
EXCERPTS = 64
"""Latest rows whose excerpts are kept at least; older ones are only ids."""

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


class _Chunk(NamedTuple):
    indices: NDArray[np.int64]
    numbers: NDArray[np.float16]
    flags: NDArray[np.int8]
    times: NDArray[np.float64]
    digests: NDArray[np.uint64]
    ids: list[str]
    segments: list[Segments]
    excerpts: list[tuple[str, str]]


class History:
    """A bounded record of rows, oldest first: the last `LENGTH`, and as many before as came in one piece with them.

    Rows are kept as they came and joined only when somebody looks, which is rare beside appending.
    """

    def __init__(self, numbers: int, flags: int) -> None:
        self._widths = (numbers, flags)
        self._chunks: list[_Chunk] = []
        self._joined: _Chunk | None = None
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(
        self,
        indices: NDArray[np.int64],
        numbers: NDArray[np.float16],
        flags: NDArray[np.float64],
        times: NDArray[np.float64],
        digests: NDArray[np.uint64],
        ids: list[str],
        segments: list[Segments],
        excerpts: list[tuple[str, str]],
    ) -> None:
        """Append rows: numbers (n, k) compressed, flags (n, m) with NaN for missing."""
        coded = np.where(np.isfinite(flags), flags, -1).astype(np.int8)
        self._chunks.append(_Chunk(indices, numbers, coded, times, digests, ids, segments, excerpts))
        self._length += len(ids)
        while self._length - len(self._chunks[0].ids) >= LENGTH:
            self._length -= len(self._chunks.pop(0).ids)
        fresh = 0
        for place in range(len(self._chunks) - 1, -1, -1):
            if fresh >= EXCERPTS:
                if not self._chunks[place].excerpts:
                    break
                self._chunks[place] = self._chunks[place]._replace(excerpts=[])
            fresh += len(self._chunks[place].ids)
        self._joined = None

    def _all(self) -> _Chunk:
        if self._joined is None:
            numbers, flags = self._widths
            chunks = [
                _Chunk(
                    np.empty(0, dtype=np.int64),
                    np.empty((0, numbers), dtype=np.float16),
                    np.empty((0, flags), dtype=np.int8),
                    np.empty(0),
                    np.empty(0, dtype=np.uint64),
                    [],
                    [],
                    [],
                ),
                *self._chunks,
            ]
            self._joined = _Chunk(
                np.concatenate([c.indices for c in chunks]),
                np.concatenate([c.numbers for c in chunks]),
                np.concatenate([c.flags for c in chunks]),
                np.concatenate([c.times for c in chunks]),
                np.concatenate([c.digests for c in chunks]),
                [i for c in chunks for i in c.ids],
                [s for c in chunks for s in c.segments],
                [e for c in chunks for e in c.excerpts],
            )
            self._chunks = self._views(self._joined)
        return self._joined

    def _views(self, joined: _Chunk) -> list[_Chunk]:
        """The chunks as views of what was joined of them, so that no row is held twice."""
        cuts = np.cumsum([0, *(len(chunk.ids) for chunk in self._chunks)])
        return [
            chunk._replace(
                indices=joined.indices[start:stop],
                numbers=joined.numbers[start:stop],
                flags=joined.flags[start:stop],
                times=joined.times[start:stop],
                digests=joined.digests[start:stop],
            )
            for chunk, start, stop in zip(self._chunks, cuts[:-1], cuts[1:], strict=True)
        ]

    @property
    def indices(self) -> NDArray[np.int64]:
        """int64 (n), each row's index in its stream."""
        return self._all().indices

    @property
    def numbers(self) -> NDArray[np.float16]:
        """float16 (n, k), compressed (`monitor.detection.ranks`)."""
        return self._all().numbers

    @property
    def times(self) -> NDArray[np.float64]:
        """float64 (n), seconds since 1970, NaN where unknown."""
        return self._all().times

    @property
    def digests(self) -> NDArray[np.uint64]:
        """uint64 (n), hash of each event's content."""
        return self._all().digests

    @property
    def ids(self) -> list[str]:
        """Event ids (n)."""
        return self._all().ids

    @property
    def segments(self) -> list[Segments]:
        """Segments (n)."""
        return self._all().segments

    def flag_values(self) -> NDArray[np.float64]:
        """Flags (n, m) as 1, 0 and NaN for missing."""
        coded = self._all().flags
        return np.where(coded < 0, np.nan, coded.astype(np.float64))

    @property
    def first_excerpt(self) -> int:
        """Position of the oldest row whose excerpt is held."""
        rows = self._all()
        return len(rows.ids) - len(rows.excerpts)

    def excerpt(self, position: int) -> Excerpt:
        """The excerpt of the row at this position, from `first_excerpt` on."""
        rows = self._all()
        given, output = rows.excerpts[position - self.first_excerpt]
        return Excerpt(rows.ids[position], given, output)

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        rows = self._all()
        distinct = sorted(set(rows.segments))
        code = {segment: i for i, segment in enumerate(distinct)}
        return [
            list(self._widths),
            [[len(c.ids), len(c.excerpts)] for c in self._chunks],
            pack(rows.indices),
            pack(rows.numbers),
            pack_bits(rows.flags > 0),
            pack_bits(rows.flags < 0),
            pack(rows.times),
            pack(rows.digests),
            rows.ids,
            distinct,
            [code[segment] for segment in rows.segments],
            rows.excerpts,
        ]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> History:
        """The history that `plain` described."""
        widths, sizes, indices, numbers, true, missing, times, digests, ids, distinct, codes, excerpts = plain
        history = cls(*widths)
        named: list[Segments] = [tuple((str(k), str(v)) for k, v in segment) for segment in distinct]
        flags = unpack_bits(true).astype(np.int8) - unpack_bits(missing).astype(np.int8)
        arrays = [unpack(indices), unpack(numbers), flags, unpack(times), unpack(digests)]
        start = quoted = 0
        for size, spoken in sizes:
            cut = slice(start, start + size)
            parts = [array[cut].copy() for array in arrays]
            history._chunks.append(
                _Chunk(
                    parts[0],
                    parts[1],
                    parts[2],
                    parts[3],
                    parts[4],
                    ids[cut],
                    [named[c] for c in codes[cut]],
                    [(given, output) for given, output in excerpts[quoted : quoted + spoken]],
                )
            )
            start += size
            quoted += spoken
        history._length = start
        return history


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
