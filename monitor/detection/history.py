"""The last rows of a stream: what a change point, its before and after, and its examples are read from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.finding import Excerpt
from monitor.detection.plain import pack, unpack

LENGTH = 512
"""Rows kept: as far back as a change point can be placed."""
EXCERPTS = 64
"""Latest rows whose excerpts are kept; older ones are only ids."""

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


class History:
    """A bounded record of rows, oldest first.

    Attributes
    ----------
    indices
        int64 (n), each row's index in its stream.
    numbers
        float16 (n, k), compressed (`monitor.detection.ranks`).
    flags
        int8 (n, m): 1, 0, or -1 for missing.
    """

    def __init__(self, numbers: int, flags: int) -> None:
        self.indices: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.numbers = np.empty((0, numbers), dtype=np.float16)
        self.flags = np.empty((0, flags), dtype=np.int8)
        self.times = np.empty(0)
        self.ids: list[str] = []
        self.segments: list[Segments] = []
        self.excerpts: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self.ids)

    def append(
        self,
        indices: NDArray[np.int64],
        numbers: NDArray[np.float16],
        flags: NDArray[np.float64],
        times: NDArray[np.float64],
        ids: Sequence[str],
        segments: Sequence[dict[str, str]],
        excerpts: Sequence[tuple[str, str]],
    ) -> None:
        """Append rows, dropping the oldest beyond `LENGTH`."""
        coded = np.where(np.isfinite(flags), flags, -1).astype(np.int8)
        drop = max(0, len(self.ids) + len(ids) - LENGTH)
        self.indices = np.concatenate([self.indices, indices])[drop:]
        self.numbers = np.concatenate([self.numbers, numbers])[drop:]
        self.flags = np.concatenate([self.flags, coded])[drop:]
        self.times = np.concatenate([self.times, times])[drop:]
        self.ids = [*self.ids, *ids][drop:]
        interned = {segment: segment for segment in self.segments}
        for segment in segments_of(segments):
            self.segments.append(interned.setdefault(segment, segment))
        self.segments = self.segments[drop:]
        self.excerpts = [*self.excerpts, *excerpts][-EXCERPTS:]

    def flag_values(self) -> NDArray[np.float64]:
        """Flags as 1, 0 and NaN for missing."""
        return np.where(self.flags < 0, np.nan, self.flags.astype(np.float64))

    def excerpt(self, position: int) -> Excerpt | None:
        """The excerpt of the row at this position, if it is recent enough."""
        place = position - (len(self.ids) - len(self.excerpts))
        if place < 0:
            return None
        given, output = self.excerpts[place]
        return Excerpt(self.ids[position], given, output)

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        distinct = sorted(set(self.segments))
        code = {segment: i for i, segment in enumerate(distinct)}
        return [
            pack(self.indices),
            pack(self.numbers),
            pack(self.flags),
            pack(self.times),
            self.ids,
            distinct,
            [code[segment] for segment in self.segments],
            self.excerpts,
        ]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> History:
        """The history that `plain` described."""
        indices, numbers, flags, times, ids, distinct, codes, excerpts = plain
        history = cls(0, 0)
        history.indices = unpack(indices)
        history.numbers, history.flags, history.times = unpack(numbers), unpack(flags), unpack(times)
        history.ids = list(ids)
        named: list[Segments] = [tuple((str(k), str(v)) for k, v in segment) for segment in distinct]
        history.segments = [named[c] for c in codes]
        history.excerpts = [(given, output) for given, output in excerpts]
        return history


def segments_of(mappings: Sequence[dict[str, str]]) -> list[Segments]:
    """Each mapping as sorted pairs, which can be counted."""
    return [tuple(sorted(mapping.items())) for mapping in mappings]
