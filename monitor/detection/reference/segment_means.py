"""How often each value of an attribute came in a reference, and the mean row it came with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import Segments
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

MOST_ATTRIBUTES = 12  # the first ones met: bounds the memory, 12 attributes of 12 values, for each stream
MOST_VALUES = 12
"""An attribute with more values than this (a user id, say) cannot be a segment; its rarest values are dropped."""
ENOUGH = 20
"""Rows from which a value has a mean."""


def beyond(away: NDArray[np.floating[Any]], error: NDArray[np.floating[Any]]) -> Array:
    """How far segments are from the mean of all, less what an error of that size shows anyway (any shape).

    The non-negative garrote (Breiman 1995): what is within one error is nothing, and what is far is hardly touched. A
    share of it taken off instead, however much is seen, leaves a small segment that differs a lot from the others with
    a centre far from where it is, and its usual rows look like a change.
    """
    return np.asarray(away * np.maximum(0.0, 1.0 - (error / np.maximum(np.abs(away), 1e-9)) ** 2))


class SegmentMeansState(StateRecord):
    """Of `SegmentMeans`: by attribute and value the rows and their total, and the attributes with too many values."""

    d: int
    n: int
    cells: dict[str, dict[str, tuple[int, Array]]]
    wide: list[str]


class SegmentMeans:
    """Counts and sums of rows by attribute value."""

    def __init__(self, d: int) -> None:
        self.d = d
        self.n = 0
        self._cells: dict[str, dict[str, tuple[int, Array]]] = {}
        self._wide: set[str] = set()

    def add(self, y: Array, segments: Sequence[Segments]) -> None:
        """Count rows y (n, d) with their segments."""
        self.n += len(y)
        groups: dict[Segments, list[int]] = {}
        for row, segment in enumerate(segments):
            groups.setdefault(segment, []).append(row)
        for segment, rows in groups.items():
            total = y[rows].sum(0)
            for attribute, value in segment:
                if attribute in self._wide:
                    continue
                cells = self._cells.get(attribute)
                if cells is None:
                    if len(self._cells) >= MOST_ATTRIBUTES:
                        continue
                    cells = self._cells[attribute] = {}
                count, held = cells.get(value, (0, None))
                cells[value] = (count + len(rows), total if held is None else held + total)
                if len(cells) > MOST_VALUES:
                    del self._cells[attribute]
                    self._wide.add(attribute)

    def share(self, attribute: str, value: str) -> float:
        """Share of the reference's rows with this value."""
        return self.count(attribute, value) / self.n if self.n else 0.0

    def count(self, attribute: str, value: str) -> int:
        """The reference's rows with this value."""
        return self._cells.get(attribute, {}).get(value, (0, None))[0]

    def mean(self, attribute: str, value: str, at_least: int = ENOUGH) -> Array | None:
        """Mean row of a value that came often enough, else None."""
        count, total = self._cells.get(attribute, {}).get(value, (0, None))
        return total / count if total is not None and count >= at_least else None

    def attributes(self) -> list[str]:
        """Attributes with few enough values."""
        return list(self._cells)

    def values(self, attribute: str) -> list[str]:
        """Values seen of an attribute."""
        return list(self._cells.get(attribute, {}))

    def is_wide(self, attribute: str) -> bool:
        """Whether the attribute had too many values to be a segment."""
        return attribute in self._wide

    def to_state(self) -> SegmentMeansState:
        """For a snapshot."""
        return SegmentMeansState(self.d, self.n, self._cells, sorted(self._wide))

    @classmethod
    def from_state(cls, state: SegmentMeansState) -> SegmentMeans:
        """The table that `state` described."""
        table = cls(state.d)
        table.n, table._cells, table._wide = state.n, state.cells, set(state.wide)
        return table
