"""The same event twice: counted, not applied (DESIGN: Duplicates).

Of the stream's last `WINDOW` events 40 bits of the id's hash and 24 of the content's are kept, 16 KiB in all. Two
different ids among them collide once in 5 * 10^8 events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.plain import pack, unpack

WINDOW = 2048
REMEMBERED = 64
"""Rows over which a repetition counts for less: two blocks."""
_CONTENT = np.uint64((1 << 24) - 1)


def hash64(text: str) -> int:
    """A stable 64-bit hash."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class RecentEvents:
    """Ids and content hashes of the last events of a stream."""

    def __init__(self) -> None:
        self._ring: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        # By hash of the id: the place among all events taken where it came last, above its content's bits.
        self._known: dict[int, int] = {}
        self._taken = 0
        self.duplicates = 0
        self.id_conflicts = 0

    def admit(self, ids: Sequence[str], digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these events are new (n), in order; the new ones are remembered."""
        keep = np.ones(len(ids), dtype=bool)
        contents = (digests & _CONTENT).tolist()
        known, taken, oldest = self._known, self._taken, self._taken - WINDOW
        marks: list[int] = []
        for row, (event_id, content) in enumerate(zip(ids, contents, strict=True)):
            hashed = hash64(event_id) >> 24
            seen = known.get(hashed)
            if seen is not None and seen >> 24 >= oldest + len(marks):
                if seen & 0xFFFFFF == content:
                    self.duplicates += 1
                    keep[row] = False
                    continue
                self.id_conflicts += 1
            known[hashed] = (taken + len(marks)) << 24 | content
            marks.append(hashed << 24 | content)
        self._taken += len(marks)
        self._ring = np.concatenate([self._ring, np.asarray(marks, dtype=np.uint64)])
        excess = len(self._ring) - WINDOW
        if excess > 0:
            first = self._taken - len(self._ring)
            for place, mark in enumerate(self._ring[:excess].tolist(), start=first):
                if known.get(mark >> 24, -1) >> 24 == place:  # else the id came again since
                    del known[mark >> 24]
            self._ring = self._ring[excess:]
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
        recent._taken = len(recent._ring)
        recent._known = {mark >> 24: place << 24 | mark & 0xFFFFFF for place, mark in enumerate(recent._ring.tolist())}
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
        """Counts (n) of rows in order; they are remembered."""
        out = np.ones(len(digests))
        seen = Counter(self._last)
        for row, digest in enumerate(digests.tolist()):
            if has_input[row]:
                out[row] = 1.0 / (1 + seen[digest])
            self._last.append(digest)
            seen[digest] += 1
            if len(self._last) > REMEMBERED:
                seen[self._last.pop(0)] -= 1
        return out

    def plain(self) -> list[int]:
        """Plain data for a snapshot."""
        return list(self._last)

    @classmethod
    def from_plain(cls, plain: list[int]) -> Repetitions:
        """The record that `plain` described."""
        repetitions = cls()
        repetitions._last = list(plain)
        return repetitions
