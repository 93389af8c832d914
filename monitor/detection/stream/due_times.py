"""`DueTimes`: from which log time on each stream of a partition must be asked at a tick.

A tick comes every few seconds, and most streams have nothing to do at it. So each stream reports the earliest time at
which a tick can change anything, and a tick visits only the streams whose time has come: its cost grows neither with
the number of idle streams nor with the length of their gaps.

A stream that is asked too early answers that there is nothing to do, and reports a later time. So a time that has moved
back needs no entry until the earlier one is reached, and each stream has one valid entry at most.

State follows from the streams' own state, and is derived from it again after a restore. Pure. May import nothing from
this project.
"""

from __future__ import annotations

import heapq
import math

SPARE = 64
"""Invalid entries that are kept whatever the number of streams: below this a clean-up costs more than it saves."""


class DueTimes:
    """A heap of (time, stream). `PartitionMonitor` reports times to it and takes the streams that are due from it."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._order: dict[str, int] = {}
        self._next = 0
        self._heap: list[tuple[float, str]] = []

    def report(self, stream: str, time: float) -> None:
        """A tick before `time` changes nothing in the stream (-inf: the next one may; inf: none, as it stands)."""
        if stream not in self._order:
            self._order[stream] = self._next
            self._next += 1
        if time >= self._due.get(stream, math.inf):
            return
        self._due[stream] = time
        heapq.heappush(self._heap, (time, stream))
        if len(self._heap) > 2 * len(self._due) + SPARE:
            self._heap = [(due, each) for each, due in self._due.items()]
            heapq.heapify(self._heap)

    def take(self, time: float) -> list[str]:
        """The streams that are due at `time`, in the order in which they were first reported.

        They have no entry any more: the caller reports their next time.
        """
        taken = []
        while self._heap and self._heap[0][0] <= time:
            due, stream = heapq.heappop(self._heap)
            if self._due.get(stream) == due:
                del self._due[stream]
                taken.append(stream)
        return sorted(taken, key=self._order.__getitem__)

    def forget(self, stream: str) -> None:
        """The stream is watched here no more."""
        self._due.pop(stream, None)
        self._order.pop(stream, None)
