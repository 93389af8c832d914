"""`FlagReader`: reads a reference's columns from rows whose columns may stand in another order.

A worker of another version measures more or fewer features, so the columns of a batch are looked up by name, once for
each set of columns (`WatchedColumns`). The flags of a row are then read from its numbers in one compiled loop, and from
its categories by a table. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.categories import Categories, ValueTable
from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.columns.flags import Flag, FlagKind
from monitor.detection.records.declared_features import family_of
from monitor.detection.state.jit import compiled
from monitor.features.keyed import has_key

TRUE_ABOVE = float(np.log1p(0.5))
"""A declared flag is true above one half, in compressed units (`monitor.detection.columns.normal_scores`)."""
UNCOUNTED = frozenset({DISTANCE.name})
"""Features whose absence says nothing: the distance has no value while its centre is being learned. Those of single
dependencies have none where an event did not call them, and belong here too."""

_ABOVE, _DIFFERS, _PRESENT = range(3)
"""What a flag may ask of a number: whether it is above a constant, another than that, or there at all."""


class FlagReader:
    """Reads numbers and flags from rows with certain columns.

    Parameters
    ----------
    numbers, flags
        What the reference watches.
    names
        The columns of the rows.

    Attributes
    ----------
    numbers
        Positions of the watched numbers among the columns; -1 where the rows lack one (k).
    """

    __slots__ = ("_flags", "_rules", "_tables", "numbers")

    def __init__(self, numbers: Sequence[str], flags: Sequence[Flag], names: tuple[str, ...]) -> None:
        column = {name: j for j, name in enumerate(names)}
        self.numbers = np.asarray([column.get(name, -1) for name in numbers], dtype=np.intp)
        self._flags = len(flags)
        self._tables = _tables(flags)
        self._rules = _rules(numbers, flags, column)

    def flags(self, values: NDArray[Any], codes: Categories) -> NDArray[np.float64]:
        """Flags (n, m) of rows with compressed values (n, k): 1, 0, or NaN where the feature is missing."""
        out = np.full((len(values), self._flags), np.nan)
        _read_flags(values.astype(np.float64, order="C"), self._rules, out)
        for feature, table in self._tables.items():
            column = codes.columns.get(feature)
            if column is not None:
                _put_rows(table.flags, table.rows(column), table.at, out)
        return out


class _Rules(NamedTuple):
    """How flags are read from a row's numbers.

    Each line of `compared` is (flag, column, what is asked): the flag is true where the column's value passes the
    question, compared with the line's constant. A flag of `missing` is true where more than the usual number of its
    `members` (flag, column) is missing, and `any_failure` (-1: there is none) where any of `failures` is.
    """

    compared: NDArray[np.uint16]
    constants: NDArray[np.float64]
    missing: NDArray[np.uint16]
    usual: NDArray[np.float64]
    members: NDArray[np.uint16]
    failures: NDArray[np.uint16]
    any_failure: int


def _tables(flags: Sequence[Flag]) -> dict[str, ValueTable]:
    """The table of each category, in the order of their first flags."""
    categories: dict[str, tuple[dict[str, int], int | None]] = {}
    for m, flag in enumerate(flags):
        if flag.kind in (FlagKind.VALUE, FlagKind.OTHER):
            values, other = categories.get(flag.feature, ({}, None))
            if flag.kind is FlagKind.VALUE:
                values[str(flag.value)] = m
            else:
                other = m
            categories[flag.feature] = (values, other)
    return {feature: ValueTable(values, other) for feature, (values, other) in categories.items()}


def _rules(numbers: Sequence[str], flags: Sequence[Flag], column: dict[str, int]) -> _Rules:
    """The rules of all flags that are read from numbers, whose columns stand where `column` says."""
    any_failure = next((m for m, flag in enumerate(flags) if flag.kind is FlagKind.ANY_FAILURE), None)
    failures = [m for m, flag in enumerate(flags) if flag.failure and not flag.usual and m != any_failure]
    # A feature that came after the layout was learned is not missed where it has no value.
    counted = {*numbers, *(flag.feature for flag in flags)} - UNCOUNTED
    counted = {name for name in counted if not has_key(name)}
    compared: list[tuple[int, int, int, float]] = []
    missing: list[tuple[int, list[int], int]] = []
    for m, flag in enumerate(flags):
        if flag.kind is FlagKind.MISSING:
            members = [j for name, j in column.items() if name in counted and family_of(name) == flag.feature]
            missing.append((m, members, int(flag.value or 0)))
        elif flag.kind not in (FlagKind.VALUE, FlagKind.OTHER) and flag.feature in column:
            compared.append((m, column[flag.feature], *_question(flag)))
    return _Rules(
        np.asarray([line[:3] for line in compared], dtype=np.uint16).reshape(-1, 3),
        np.asarray([constant for *_, constant in compared], dtype=np.float64),
        np.asarray([m for m, _, _ in missing], dtype=np.uint16),
        np.asarray([usual for _, _, usual in missing], dtype=np.float64),
        np.asarray([(m, j) for m, members, _ in missing for j in members], dtype=np.uint16).reshape(-1, 2),
        np.asarray(failures, dtype=np.uint16),
        -1 if any_failure is None else any_failure,
    )


def _question(flag: Flag) -> tuple[int, float]:
    """What a flag asks of its number, and the constant that goes with the question."""
    if flag.kind is FlagKind.DECLARED:
        return _ABOVE, TRUE_ABOVE
    if flag.kind is FlagKind.DIFFERS and flag.value is None:  # never seen in the reference
        return _PRESENT, 0.0
    return _ABOVE if flag.kind is FlagKind.TAIL else _DIFFERS, float(flag.value or 0)


@compiled
def _read_flags(values: NDArray[np.float64], rules: _Rules, out: NDArray[np.float64]) -> None:
    """Write the flags of rows with compressed values (n, k) to `out` (n, m): 1 or 0; as it is where nothing is said."""
    for row in range(len(values)):
        for i in range(len(rules.compared)):
            m, column, asked = rules.compared[i]
            value = values[row, column]
            if asked == _PRESENT:
                if not np.isinf(value):
                    out[row, m] = not np.isnan(value)
            elif np.isfinite(value):
                out[row, m] = value > rules.constants[i] if asked == _ABOVE else value != rules.constants[i]
        for m in rules.missing:
            out[row, m] = 0
        for i in range(len(rules.members)):
            out[row, rules.members[i, 0]] += np.isnan(values[row, rules.members[i, 1]])
        for i in range(len(rules.missing)):
            out[row, rules.missing[i]] = out[row, rules.missing[i]] > rules.usual[i]
        if rules.any_failure >= 0:
            for m in rules.failures:
                if not np.isnan(out[row, m]) and not out[row, m] <= out[row, rules.any_failure]:
                    out[row, rules.any_failure] = out[row, m]


@compiled
def _put_rows(
    table: NDArray[np.float32], rows: NDArray[np.intp], at: NDArray[np.intp], out: NDArray[np.float64]
) -> None:
    """Write these rows of a table (n, k) to the columns `at` (k) of `out`."""
    for row in range(len(rows)):
        for i in range(len(at)):
            out[row, at[i]] = table[rows[row], i]
