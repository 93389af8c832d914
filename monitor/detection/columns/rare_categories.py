"""`RareCategories`: the values of categories that have no flag each, for the words of a finding.

Detection watches a category by flags: one of the values that are common in the reference, or another one. That is
enough to find a change and too little to name it, since `other` is no finish reason. So the last rows' other values are
kept, which on a calm stream are few.

Pure. May import `monitor.detection.columns.watched_columns` only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.categories import MISSING
from monitor.detection.columns.flags import FlagKind
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.state.snapshot_codec import StateRecord

MOST = 512
"""Values kept, over all categories of a stream."""
LONGEST = 96  # characters of a value that are kept: enough to recognise it in a sentence
NONE = "none"
"""What a missing value is called."""


class RareCategoriesState(StateRecord):
    """Of `RareCategories`: stream index, feature and value of each."""

    held: list[tuple[int, str, str]]


class RareCategories:
    """Other values of categories, with the stream index of the row that had each, oldest first."""

    def __init__(self) -> None:
        self._held: list[tuple[int, str, str]] = []

    def observe(
        self,
        layout: WatchedColumns,
        flags: NDArray[np.float64],
        categories: Mapping[str, Sequence[str | None]],
        indices: NDArray[np.int64],
    ) -> None:
        """Take rows: their flags (n, m) as the layout reads them, their categories and their stream indices (n)."""
        places = layout.others
        rows, columns = np.nonzero(flags[:, places] == 1.0)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            feature = layout.flags[places[column]].feature
            self._held.append((int(indices[row]), feature, shown(categories[feature][row])))
        del self._held[:-MOST]

    def forget(self, before: int) -> None:
        """Rows with an index below this are not asked for any more."""
        if self._held and self._held[0][0] < before:
            self._held = [held for held in self._held if held[0] >= before]

    def commonest(self, feature: str, rows: Set[int]) -> tuple[str, int] | None:
        """The most frequent other value of a category among the rows with these indices, and how many had it."""
        seen = Counter(value for index, name, value in self._held if name == feature and index in rows)
        return max(seen.items(), key=lambda item: (item[1], item[0]), default=None)

    def to_state(self) -> RareCategoriesState:
        """For a snapshot."""
        return RareCategoriesState(self._held)

    @classmethod
    def from_state(cls, state: RareCategoriesState) -> RareCategories:
        """What `state` described."""
        values = cls()
        values._held = state.held
        return values


def shown(value: str | float | None) -> str:
    """A category's value as it is reported."""
    return NONE if value is None or value == MISSING else str(value)[:LONGEST]


def is_value(kind: FlagKind) -> bool:
    """Whether a flag says which value a category has."""
    return kind in (FlagKind.VALUE, FlagKind.OTHER)
