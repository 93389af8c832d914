"""The same event twice: counted, not applied (DESIGN: Duplicates).

Of the stream's last `WINDOW` events 40 bits of the id's hash and 24 of the content's are kept, 16 KiB in all. Two
different ids among them collide once in 5 * 10^8 events.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.plain import pack, unpack

WINDOW = 2048
REMEMBERED = 64
"""Rows over which a repetition counts for less: two blocks."""
_CONTENT_BITS = np.uint64(24)
_CONTENT = np.uint64((1 << 24) - 1)


def hash64(text: str) -> int:
    """A stable 64-bit hash."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class RecentEvents:
    """Ids and content hashes of the last events of a stream: 40 bits of the one above 24 of the other, oldest first."""

    def __init__(self) -> None:
        self._ring: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self.duplicates = 0
        self.id_conflicts = 0

    def admit(self, ids: Sequence[str], digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these events are new (n), in order; the new ones are remembered."""
        hashed = np.fromiter((hash64(event_id) >> 24 for event_id in ids), dtype=np.uint64, count=len(ids))
        marks = (hashed << _CONTENT_BITS) | (digests & _CONTENT)
        # Every pair compared: for a micro-batch quicker than sorting 2,048 names, and hardly ever is there a hit.
        if len(set(hashed.tolist())) == len(ids) and not (hashed[:, None] == self._ring >> _CONTENT_BITS).any():
            keep = np.ones(len(ids), dtype=bool)
        else:
            keep = self._sort_out(hashed.tolist(), marks.tolist())
        self._ring = np.concatenate([self._ring, marks[keep]])[-WINDOW:]
        return keep

    def _sort_out(self, hashed: list[int], marks: list[int]) -> NDArray[np.bool_]:
        """Some id came before: which of these are new, an id being remembered for exactly `WINDOW` events taken."""
        held = self._ring.tolist()
        last = {mark >> 24: (place, mark) for place, mark in enumerate(held)}
        keep = np.ones(len(marks), dtype=bool)
        taken = len(held)
        for row, (name, mark) in enumerate(zip(hashed, marks, strict=True)):
            place, seen = last.get(name, (-1, 0))
            if place >= 0 and place >= taken - WINDOW:
                if seen == mark:
                    self.duplicates += 1
                    keep[row] = False
                    continue
                self.id_conflicts += 1
            last[name] = (taken, mark)
            taken += 1
        return keep

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [pack(self._ring), self.duplicates, self.id_conflicts]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> RecentEvents:
        """The record that `plain` described."""
        ring, duplicates, conflicts = plain
        recent = cls()
        recent._ring = unpack(ring)
        recent.duplicates, recent.id_conflicts = duplicates, conflicts
        return recent


class Repetitions:
    """How much of an event a row counts for: 1 / (1 + how often the same content came among the last `REMEMBERED`).

    A burst of one question, asked and answered alike, is one thing that happened, not twenty. Only rows with an input
    are counted down: where inputs are not published, the same words may well answer different questions.
    """

    def __init__(self) -> None:
        self._last: list[int] = []

    def counts(self, digests: NDArray[np.uint64], has_input: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Counts (n) of the rows that come next, in order."""
        held = np.concatenate([np.asarray(self._last, dtype=np.uint64), digests])
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
        self._last = [*self._last, *digests[-REMEMBERED:].tolist()][-REMEMBERED:]

    def plain(self) -> list[int]:
        """Plain data for a snapshot."""
        return list(self._last)

    @classmethod
    def from_plain(cls, plain: list[int]) -> Repetitions:
        """The record that `plain` described."""
        repetitions = cls()
        repetitions._last = list(plain)
        return repetitions
