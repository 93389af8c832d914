"""What a detector is: one verb, one reading, plain-data snapshots.

River's detectors stand behind the same contract as adapters (`monitor.detection.detectors.river`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

import msgspec


class Status(StrEnum):
    """What a detector can say after a value."""

    WARMING = "warming"
    STABLE = "stable"
    DRIFT = "drift"


class Reading(msgspec.Struct, frozen=True):
    """A detector's answer: its status, the score it compares with its threshold (same unit), and values seen."""

    status: Status
    score: float
    threshold: float
    n_seen: int


class Detector(Protocol):
    """Watches one feature of one stream.

    Called from one thread, in stream order, never blocks. A non-finite value is rejected: the state is unchanged and
    the reading is the previous one. After a reading of `drift` the detector has started afresh.
    """

    def update(self, value: float) -> Reading:
        """Take one value and say where things stand."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """Plain data (numbers, strings, lists, bytes) with a format version; `restore` of it goes on bit for bit."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot. Raises `StateError` for another format version or another detector's snapshot."""
        ...
