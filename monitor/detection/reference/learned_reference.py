"""A reference in use: learned from rows, with its segments, its examples, and how it matures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.normal_scores import RankMap
from monitor.detection.columns.recent_rows import Segments
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.reference.moments import UNIT, Moments
from monitor.detection.reference.reference import Reference, ReferenceState, base_of
from monitor.detection.reference.segment_means import SegmentMeans, SegmentMeansState
from monitor.detection.reference.stratification import Stratification
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

COUNTER_BITS = 1 << 14  # 2 KiB: the estimate is within 1 % up to some thousands of digests


class DistinctCounter:
    """How many different digests were seen, by linear counting (Whang, Vander-Zanden, Taylor 1990) in 2 KiB."""

    def __init__(self, bits: int = COUNTER_BITS) -> None:
        self._bits: NDArray[np.uint8] = np.zeros(bits // 8, dtype=np.uint8)

    def add(self, marks: NDArray[np.uint16]) -> None:
        """Count digests by their marks (n)."""
        np.bitwise_or.at(self._bits, marks >> 3, (1 << (marks & 7)).astype(np.uint8))

    def count(self) -> float:
        """The estimate; within 1 % up to some thousands."""
        zero = COUNTER_BITS - int(np.unpackbits(self._bits).sum())
        return float(-COUNTER_BITS * np.log(max(zero, 1) / COUNTER_BITS))

    def to_state(self) -> NDArray[np.uint8]:
        """For a snapshot."""
        return self._bits

    @classmethod
    def from_state(cls, state: NDArray[np.uint8]) -> DistinctCounter:
        """The counter that `state` described."""
        counter = cls(0)
        counter._bits = state
        return counter


def marks_of(digests: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Of digests (n) as much as counting them takes: each one's place in a `DistinctCounter`."""
    # The low bits of the digest are hashed already; a multiplication spreads them over the map.
    return ((digests * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - 14)).astype(np.uint16)


class LearnedReferenceState(StateRecord):
    """Of `LearnedReference`."""

    reference: ReferenceState
    segments: SegmentMeansState
    distinct: NDArray[np.uint8]
    version: int


class LearnedReference:
    """A reference, learned from the rows it is given and maturing with calm ones."""

    def __init__(self, reference: Reference, segments: SegmentMeans, distinct: DistinctCounter, version: int) -> None:
        self.reference = reference
        self.segments = segments
        self.version = version
        self._distinct = distinct

    @classmethod
    def learn(
        cls,
        layout: WatchedColumns,
        numbers: NDArray[np.float16],
        flags: Array,
        segments: Sequence[Segments],
        marks: NDArray[np.uint16],
        version: int,
        excluded: frozenset[str] = frozenset(),
    ) -> LearnedReference:
        """Learn from rows: numbers (n, k) compressed, flags (n, m) with NaN for missing."""
        ranks = RankMap.learn(numbers)
        seen = np.isfinite(flags)
        fill = np.where(seen.any(0), np.where(seen, flags, 0).sum(0) / np.maximum(seen.sum(0), 1), 0.0)
        z = ranks.scores(numbers)
        strata = Stratification.learn(z, segments)
        y = np.concatenate([strata.take_off(z, segments), np.where(seen, flags, fill)], axis=1)
        moments = Moments(y.shape[1], numbers.shape[1] + layout.common, numbers.shape[1])
        base = base_of(numbers.shape[1], fill)
        # In the same units as later rows.
        for start in range(0, len(y), UNIT):
            moments.add(y[start : start + UNIT] - base)
        counter = DistinctCounter()
        counter.add(marks)
        table = SegmentMeans(y.shape[1])
        table.add(y, segments)
        return cls(Reference(layout, ranks, strata, moments, counter.count(), fill, excluded), table, counter, version)

    def without_segment_mean(self, y: Array, segment: tuple[str, str]) -> Array:
        """Rows y (n, d) of a segment as if its mean in the reference were that of all rows, where it is known."""
        own = self.segments.mean(*segment)
        return y if own is None else np.asarray(y + (self.reference.mean - own))

    def grows(self, limit: int) -> bool:
        """Whether it still matures, up to `limit` rows."""
        return not self.reference.frozen and self.reference.n < limit

    def add(self, y: Array, segments: Sequence[Segments], marks: NDArray[np.uint16]) -> None:
        """Add `UNIT` calm rows y (n, d); `renew` follows before anything else does."""
        self.reference.moments.add(y - self.reference.base)
        self.segments.add(y, segments)
        self._distinct.add(marks)

    def renew(self, limit: int) -> None:
        """Derive the reference again from all rows that were added; with `limit` rows it is frozen."""
        self.reference.distinct = self._distinct.count()
        self.reference.derive()
        if not self.grows(limit):
            self.reference.freeze()
            self._distinct = DistinctCounter(0)

    def to_state(self) -> LearnedReferenceState:
        """For a snapshot."""
        return LearnedReferenceState(
            self.reference.to_state(), self.segments.to_state(), self._distinct.to_state(), self.version
        )

    @classmethod
    def from_state(cls, state: LearnedReferenceState) -> LearnedReference:
        """The reference in use that `state` described."""
        return cls(
            Reference.from_state(state.reference),
            SegmentMeans.from_state(state.segments),
            DistinctCounter.from_state(state.distinct),
            state.version,
        )
