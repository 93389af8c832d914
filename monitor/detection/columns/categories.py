"""`Categories`: the category columns of some rows; `ValueTable`: what each value says of a category's flags. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MISSING = "\0missing"
"""The value of a category that was measured and has none, as a value with a flag. No feature gives it out."""
ABSENT = "\0absent"
"""In place of a category that was not measured at all, as infinity is among the numbers (`StreamRows.joined`)."""
MIN_SHARE_OF_A_VALUE = 0.01
"""Share of the reference from which a value has a flag: of a rarer one, four rows of 400, the rate is hardly known, and
`other` shows it as well."""


class ValueTable:
    """What each value of a category says of the category's flags.

    Parameters
    ----------
    places
        Position among the layout's flags of each value that has one.
    other
        Position of the flag that says that the category has another value; None where there is none.

    Attributes
    ----------
    at
        Positions of the flags (k).
    flags
        Their values by row (rows, k): a row for each value with a flag, one for any other value, and one for a category
        that was not measured (NaN).
    """

    __slots__ = ("_rows", "at", "flags")

    def __init__(self, places: Mapping[str, int], other: int | None) -> None:
        at = [*places.values(), *([] if other is None else [other])]
        self.at: NDArray[np.intp] = np.asarray(at, dtype=np.intp)
        self.flags: NDArray[np.float32] = np.eye(len(places) + 2, len(at), dtype=np.float32)
        self.flags[-1] = np.nan
        rows: dict[str | None, int] = {value: row for row, value in enumerate(places)}
        if MISSING in rows:
            rows[None] = rows[MISSING]
        rows[ABSENT] = len(places) + 1
        self._rows = _RowOfValue(rows, len(places))

    def rows(self, values: Sequence[str | None]) -> NDArray[np.intp]:
        """The row of `flags` that each of these values (n) has."""
        return np.fromiter(map(self._rows.__getitem__, values), dtype=np.intp, count=len(values))


class _RowOfValue(dict[str | None, int]):
    """The row of each known value; any other value has the row `other`. A dictionary, as it is asked for each event."""

    __slots__ = ("_other",)

    def __init__(self, rows: Mapping[str | None, int], other: int) -> None:
        super().__init__(rows)
        self._other = other

    def __missing__(self, value: str | None) -> int:
        return self._other


class Categories:
    """The category columns of some rows: strings, None where missing (which counts as a value)."""

    def __init__(self, columns: Mapping[str, Sequence[str | None]]) -> None:
        self.columns = columns

    def measured(self, name: str) -> bool:
        """Whether any of the rows comes from a worker that measures this category."""
        return any(value != ABSENT for value in self.columns.get(name, ()))

    def common(self, name: str, top: int) -> list[str]:
        """The most frequent values, at most `top`, of a share from `MIN_SHARE_OF_A_VALUE` on, most frequent first."""
        column = self.columns.get(name, [])
        counts: dict[str, int] = {}
        for given in column:
            value = MISSING if given is None else given
            if value != ABSENT:
                counts[value] = counts.get(value, 0) + 1
        frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        total = sum(counts.values())
        return [value for value, count in frequent[:top] if count >= MIN_SHARE_OF_A_VALUE * total]
