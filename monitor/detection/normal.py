"""A reference in use: learned from rows, with its segments, its examples, and how it matures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.history import Segments
from monitor.detection.layout import Layout
from monitor.detection.moments import UNIT, Moments
from monitor.detection.plain import pack, unpack
from monitor.detection.ranks import RankMap
from monitor.detection.reference import Reference
from monitor.detection.segments import SegmentTable
from monitor.detection.strata import Strata

Array = NDArray[np.float64]

GROWTH = 1.15
"""A maturing reference is derived anew each time it has grown by this factor (eleven times from 400 to 2,000)."""
COUNTER_BITS = 1 << 14


class DistinctCounter:
    """How many different digests were seen, by linear counting (Whang, Vander-Zanden, Taylor 1990) in 2 KiB."""

    def __init__(self) -> None:
        self._bits: NDArray[np.uint8] = np.zeros(COUNTER_BITS // 8, dtype=np.uint8)

    def add(self, digests: NDArray[np.uint64]) -> None:
        """Count digests (n)."""
        # The low bits of the digest are hashed already; a multiplication spreads them over the map.
        place = ((digests * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - 14)).astype(np.int64)
        np.bitwise_or.at(self._bits, place >> 3, (1 << (place & 7)).astype(np.uint8))

    def count(self) -> float:
        """The estimate; within 1 % up to some thousands."""
        zero = COUNTER_BITS - int(np.unpackbits(self._bits).sum())
        return float(-COUNTER_BITS * np.log(max(zero, 1) / COUNTER_BITS))

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return pack(self._bits)

    @classmethod
    def from_plain(cls, plain: list[Any]) -> DistinctCounter:
        """The counter that `plain` described."""
        counter = cls()
        counter._bits = unpack(plain)
        return counter


class Normal:
    """A reference, learned from the rows it is given and maturing with calm ones."""

    def __init__(self, reference: Reference, segments: SegmentTable, distinct: DistinctCounter, version: int) -> None:
        self.reference = reference
        self.segments = segments
        self.version = version
        self._distinct = distinct
        self._next = int(reference.n * GROWTH)
        self._growing: tuple[Moments, SegmentTable] | None = None

    @classmethod
    def learn(
        cls,
        layout: Layout,
        numbers: NDArray[np.float16],
        flags: Array,
        segments: Sequence[Segments],
        digests: NDArray[np.uint64],
        version: int,
        excluded: frozenset[str] = frozenset(),
    ) -> Normal:
        """Learn from rows: numbers (n, k) compressed, flags (n, m) with NaN for missing."""
        ranks = RankMap.learn(numbers)
        seen = np.isfinite(flags)
        fill = np.where(seen.any(0), np.where(seen, flags, 0).sum(0) / np.maximum(seen.sum(0), 1), 0.0)
        z = ranks.scores(numbers)
        strata = Strata.learn(z, segments)
        y = np.concatenate([strata.take_off(z, segments), np.where(seen, flags, fill)], axis=1)
        moments = Moments(y.shape[1], numbers.shape[1] + layout.common, numbers.shape[1])
        # In the same units as later rows.
        for start in range(0, len(y), UNIT):
            moments.add(y[start : start + UNIT])
        counter = DistinctCounter()
        counter.add(digests)
        table = SegmentTable(y.shape[1])
        table.add(y, segments)
        return cls(Reference(layout, ranks, strata, moments, counter.count(), fill, excluded), table, counter, version)

    def grows(self, limit: int) -> bool:
        """Whether it still matures, up to `limit` rows."""
        return self._rows() < limit

    def _rows(self) -> int:
        return self.reference.n + (self._growing[0].n if self._growing is not None else 0)

    def grow(self, y: Array, segments: Sequence[Segments], digests: NDArray[np.uint64], limit: int) -> bool:
        """Add `UNIT` calm rows y (n, d); True when the reference was derived anew."""
        if self._growing is None:
            self._growing = self.reference.moments.empty(), SegmentTable(self.segments.d)
        moments, table = self._growing
        moments.add(y)
        table.add(y, segments)
        self._distinct.add(digests)
        if self._rows() < min(self._next, limit):
            return False
        # Merged only now, so that what a snapshot restores derives from the same sums as what is in use.
        self.reference.moments.merge(moments)
        self.segments.merge(table)
        self._growing = None
        self.reference.distinct = self._distinct.count()
        self.reference.derive()
        self._next = int(self.reference.n * GROWTH)
        return True

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [
            self.reference.plain(),
            self.segments.plain(),
            self._distinct.plain(),
            self.version,
            self._next,
            None if self._growing is None else [part.plain() for part in self._growing],
        ]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Normal:
        """The reference in use that `plain` described."""
        reference, segments, distinct, version, following, growing = plain
        normal = cls(
            Reference.from_plain(reference),
            SegmentTable.from_plain(segments),
            DistinctCounter.from_plain(distinct),
            version,
        )
        normal._next = following
        if growing is not None:
            normal._growing = Moments.from_plain(growing[0]), SegmentTable.from_plain(growing[1])
        return normal
