"""`Fresh`: what the store's writer has just written, for the thread that watches cascades."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from monitor.actions.cascade import EdgeKind
from monitor.store.records import Incoming

MOST_WAITING = 20_000
"""Outputs that wait to be looked at; with more of them the oldest are left out: a chain that goes on shows in later
ones, and one that has ended does no more harm."""
MOST_ALERTS = 1_000  # between two looks, seconds apart: one fault in hundreds of streams


class Fresh:
    """Outputs that follow from something, and alerts. Written by one thread, taken by another.

    `clock` gives seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._targets: deque[tuple[float, str]] = deque(maxlen=MOST_WAITING)
        self._alerts: deque[Mapping[str, Any]] = deque(maxlen=MOST_ALERTS)

    def add(self, incoming: Incoming) -> None:
        """Note what a transaction has written now."""
        now = self._clock()
        targets = [row["target"] for row in incoming.edges if row["kind"] != EdgeKind.SPAN.value]
        with self._lock:
            self._targets.extend((now, target) for target in targets)
            self._alerts.extend(incoming.alerts)

    def targets(self, before: float, most: int) -> list[str]:
        """Take at most `most` outputs that were written before a time, each once, the oldest first."""
        found: dict[str, None] = {}
        with self._lock:
            while self._targets and self._targets[0][0] <= before and len(found) < most:
                found[self._targets.popleft()[1]] = None
        return list(found)

    def alerts(self) -> list[Mapping[str, Any]]:
        """Take the rows of all alerts."""
        with self._lock:
            found = list(self._alerts)
            self._alerts.clear()
        return found
