"""The same event twice: counted, not applied.

Of the stream's last `WINDOW` events the id's CRC-32 and 8 bits of the content's hash are kept, 10 KiB in all. A new
event agrees with one of them in all 40, and is dropped for it, once in 5 * 10^8 events; in the id's alone, and is
counted as a conflict, once in 2 * 10^6.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import latest
from monitor.detection.state.jit import compiled
from monitor.detection.state.snapshot_codec import StateRecord

WINDOW = 2048
"""Events whose ids are remembered: what a producer sends again after an error comes within its latest batches."""
LOW_BITS = 0xFFFF
"""Bits of a checksum by which most ids are recognised as new without a comparison: a table of 64 KiB."""
REMEMBERED = 64
"""Rows over which a repetition counts for less: two blocks, as long as a burst of one question lasts."""


class RecentEventsState(StateRecord):
    """Of `RecentEvents`."""

    ids: NDArray[np.uint32]
    contents: NDArray[np.uint8]
    duplicates: int
    id_conflicts: int


class RecentEvents:
    """Checksums of ids and of contents of a stream's last events: 32 bits of the one, 8 of the other, oldest first."""

    def __init__(self) -> None:
        self._ids: NDArray[np.uint32] = np.empty(0, dtype=np.uint32)
        self._contents: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self.duplicates = 0
        self.id_conflicts = 0

    def admit(self, ids: Sequence[str], digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these events are new (n), in order; the new ones are remembered."""
        names = (event_id.encode("utf-8", "surrogatepass") for event_id in ids)
        hashed = np.fromiter(map(crc32, names), dtype=np.uint32, count=len(ids))
        contents = digests.astype(np.uint8)
        if len(set(hashed.tolist())) == len(ids) and not self._came(hashed):
            keep = np.ones(len(ids), dtype=bool)
        else:
            keep = self._sort_out(hashed.tolist(), contents.tolist())
        self._ids = latest(self._ids, hashed[keep], WINDOW)
        self._contents = latest(self._contents, contents[keep], WINDOW)
        return keep

    def _came(self, hashed: NDArray[np.uint32]) -> bool:
        """Whether any of these is remembered."""
        return _any_in(hashed, self._ids)

    def _sort_out(self, hashed: list[int], contents: list[int]) -> NDArray[np.bool_]:
        """Some id came before: which of these are new, an id being remembered for exactly `WINDOW` events taken."""
        held = zip(self._ids.tolist(), self._contents.tolist(), strict=True)
        last = {name: (place, content) for place, (name, content) in enumerate(held)}
        keep = np.ones(len(hashed), dtype=bool)
        taken = len(self._ids)
        for row, (name, content) in enumerate(zip(hashed, contents, strict=True)):
            place, seen = last.get(name, (-1, 0))
            if place >= 0 and place >= taken - WINDOW:
                if seen == content:
                    self.duplicates += 1
                    keep[row] = False
                    continue
                self.id_conflicts += 1
            last[name] = (taken, content)
            taken += 1
        return keep

    def to_state(self) -> RecentEventsState:
        """For a snapshot."""
        return RecentEventsState(self._ids, self._contents, self.duplicates, self.id_conflicts)

    @classmethod
    def from_state(cls, state: RecentEventsState) -> RecentEvents:
        """The record that `state` described."""
        recent = cls()
        recent._ids, recent._contents = state.ids, state.contents
        recent.duplicates, recent.id_conflicts = state.duplicates, state.id_conflicts
        return recent


@compiled
def _any_in(some: NDArray[np.uint32], others: NDArray[np.uint32]) -> bool:
    """Whether any of some numbers (n) is among others (m)."""
    # Few share their low bits with one of the others, and only these are compared with all.
    there = np.zeros(LOW_BITS + 1, dtype=np.bool_)
    for other in others:
        there[other & LOW_BITS] = True
    for one in some:
        if there[one & LOW_BITS]:
            for other in others:
                if one == other:
                    return True
    return False


class RepetitionsState(StateRecord):
    """Of `Repetitions`."""

    last: NDArray[np.uint64]


class Repetitions:
    """How much of an event a row counts for: 1 / (1 + how often the same content came among the last `REMEMBERED`).

    A burst of one question, asked and answered alike, is one thing that happened, not twenty. Only rows with an input
    are counted down: where inputs are not published, the same words may well answer different questions.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)

    def counts(self, digests: NDArray[np.uint64], has_input: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Counts (n) of the rows that come next, in order."""
        held = np.concatenate([self._last, digests])
        order = np.argsort(held, kind="stable")
        named = held[order]
        before = np.zeros(len(held))
        for back in range(1, len(held)):
            near = (named[back:] == named[:-back]) & (order[back:] - order[:-back] <= REMEMBERED)
            if not near.any():
                break
            before[order[back:][near]] += 1
        return np.where(has_input, 1.0 / (1.0 + before[len(self._last) :]), 1.0)

    def remember(self, digests: NDArray[np.uint64]) -> None:
        """Rows that were taken."""
        self._last = latest(self._last, digests, REMEMBERED)

    def to_state(self) -> RepetitionsState:
        """For a snapshot."""
        return RepetitionsState(self._last)

    @classmethod
    def from_state(cls, state: RepetitionsState) -> Repetitions:
        """The record that `state` described."""
        repetitions = cls()
        repetitions._last = state.last
        return repetitions
