"""The same event twice: counted, not applied (DESIGN: Duplicates).

Of the stream's last `WINDOW` events 40 bits of the id's hash and 24 of the content's are kept, 16 KiB in all. Two
different ids among them collide once in 5 * 10^8 events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.plain import pack, unpack

WINDOW = 2048
CONTENT_BITS = 24
_CONTENT_MASK = (1 << CONTENT_BITS) - 1
_CONTENT = np.uint64(_CONTENT_MASK)


def hash64(text: str) -> int:
    """A stable 64-bit hash."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


class RecentEvents:
    """Ids and content hashes of the last events of a stream."""

    def __init__(self) -> None:
        self._ring: deque[int] = deque()
        self._known: dict[int, int] = {}
        self._taken = 0
        self.duplicates = 0
        self.id_conflicts = 0

    def admit(self, ids: Sequence[str], digests: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these events are new (n), in order; the new ones are remembered."""
        keep = np.ones(len(ids), dtype=bool)
        for row, (event_id, content) in enumerate(zip(ids, (digests & _CONTENT).tolist(), strict=True)):
            hashed = hash64(event_id) >> CONTENT_BITS
            seen = self._known.get(hashed)
            if seen is not None:
                if seen & _CONTENT_MASK == content:
                    self.duplicates += 1
                    keep[row] = False
                    continue
                self.id_conflicts += 1
            self._remember(hashed, content)
        return keep

    def _remember(self, hashed: int, content: int) -> None:
        """One event more; beyond `WINDOW` the oldest is forgotten, unless its id came again since."""
        ring, known = self._ring, self._known
        if len(ring) == WINDOW:
            oldest = ring.popleft()
            if known[oldest >> CONTENT_BITS] >> CONTENT_BITS == self._taken - WINDOW:
                del known[oldest >> CONTENT_BITS]
        # Beside the content the event's place, which says whether this coming of an id is its latest.
        known[hashed] = self._taken << CONTENT_BITS | content
        ring.append(hashed << CONTENT_BITS | content)
        self._taken += 1

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [pack(np.fromiter(self._ring, dtype=np.uint64, count=len(self._ring))), self.duplicates, self.id_conflicts]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> RecentEvents:
        """The record that `plain` described."""
        ring, duplicates, conflicts = plain
        recent = cls()
        for mark in unpack(ring).tolist():
            recent._remember(mark >> CONTENT_BITS, mark & _CONTENT_MASK)
        recent.duplicates, recent.id_conflicts = duplicates, conflicts
        return recent
