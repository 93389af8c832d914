"""From feature columns to what is watched: numbers, and flags that say something happened.

A stream's layout is fixed when its warm-up ends, from the reference's own rows:

numbers    numeric features that vary, as compressed values (`monitor.detection.columns.normal_scores`)
flags      what is true or false of an event. Besides the declared flags these are made here: a count that is mostly
           zero is `nonzero`, a category has one of the values that are common in the reference or is `other`, a
           feature that never varied `differs` from its constant, values of a family are `missing`, and a time that
           hurts where it is long lies in the `tail`.

So categories, counts with excess zeros, constants, missing values and tails all reach the same exact bets on rates: a
twentieth of the calls that hang moves no median, and their share is plain to see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.records.declared_features import family_of
from monitor.detection.records.finding import FAMILY_MISSING, TAIL
from monitor.detection.state.jit import compiled
from monitor.features.base import FeatureSpec, Kind, Worse
from monitor.features.keyed import has_key

TOP_VALUES = 6
"""Values of a category that get a flag of their own; the rest are `other`."""
MOSTLY_ZERO = 0.25
"""Share of zeros from which a count is also watched as `nonzero`."""
COMMON = 0.05
"""A flag with a rate between this and one minus this joins the whitened view, unless it is a fault."""
MISSING = "\0missing"
ANY_FAILURE = "output.any_failure"
"""Whether any flag that is a fault in itself is true: a few answers broken in several ways are many broken answers."""
ABSENT = "\0absent"
"""In place of a category that was not measured at all, as infinity is among the numbers (`Rows.joined`)."""
TAIL_FROM = 1.25
"""The tail of a time begins above its 95th percentile in the reference times this."""
MOST_PLACES = 4
"""Sets of columns in use at a time whose places are remembered: workers of two versions, with dependencies or not."""
TRUE_ABOVE = float(np.log1p(0.5))
"""A declared flag is true above one half, in compressed units (`monitor.detection.columns.normal_scores`)."""
UNCOUNTED = frozenset({DISTANCE.name})
"""Features whose absence says nothing: the distance has no value while its centre is being learned. Columns with a key
have none where an event says nothing of it (did not call a dependency, lacks a key), and belong here too."""


_ABOVE, _DIFFERS, _PRESENT = range(3)
"""What a flag may ask of a number: whether it is above a constant, another than that, or there at all."""


class FlagKind(StrEnum):
    """What a flag says."""

    DECLARED = "declared"
    NONZERO = "nonzero"
    VALUE = "value"
    OTHER = "other"
    DIFFERS = "differs"
    MISSING = "missing"
    ANY_FAILURE = "any_failure"
    TAIL = "tail"


ENDINGS = {FlagKind.MISSING: FAMILY_MISSING, FlagKind.TAIL: TAIL}
"""What is added to a feature's (or family's) name in findings."""


class Flag(msgspec.Struct, frozen=True):
    """One watched flag: of which feature (or family, for `missing`), and what about it."""

    feature: str
    kind: FlagKind
    value: str | float | None = None
    failure: bool = False


@lru_cache(maxsize=4096)
def _flag(feature: str, kind: FlagKind, value: str | float | None = None, failure: bool = False) -> Flag:
    """Equal flags once for all streams: a process holds thousands that are watched alike."""
    return Flag(feature, kind, value, failure)


def watched(specs: Sequence[FeatureSpec], use: Sequence[str], leave_out: Sequence[str]) -> list[FeatureSpec]:
    """The declared features that match a glob of `use` and none of `leave_out`; vectors travel by their projections."""

    def match(name: str, globs: Sequence[str]) -> bool:
        return any(fnmatchcase(name, glob) for glob in globs)

    return [
        spec
        for spec in specs
        if spec.kind is not Kind.VECTOR and match(spec.name, use) and not match(spec.name, leave_out)
    ]


class WatchedColumns:
    """Which columns of a batch are watched, and how.

    Attributes
    ----------
    numbers
        Names of the numeric features, in order.
    flags
        The flags, in order.
    common
        How many of the flags, the first ones, are no faults and neither rare nor nearly always true; they join the
        whitened view.
    others
        Positions among the flags of those that say that a category has another value than its common ones.
    """

    def __init__(self, numbers: list[str], flags: list[Flag], common: int) -> None:
        self.numbers = numbers
        self.flags = flags
        self.common = common
        self.others = [m for m, flag in enumerate(flags) if flag.kind is FlagKind.OTHER]
        self._places: dict[tuple[str, ...], _Places] = {}

    @classmethod
    def learn(
        cls, specs: Sequence[FeatureSpec], values: NDArray[Any], names: tuple[str, ...], codes: Categories
    ) -> WatchedColumns:
        """Decide from a reference's rows: compressed values (n, k), and its categories."""
        column = {name: j for j, name in enumerate(names)}
        numbers: list[str] = []
        flags: list[Flag] = []
        families: dict[str, list[str]] = {}
        for spec in specs:
            if spec.kind is Kind.CATEGORY:
                if not codes.measured(spec.name):
                    continue
                flags.extend(_flag(spec.name, FlagKind.VALUE, value) for value in codes.common(spec.name, TOP_VALUES))
                flags.append(_flag(spec.name, FlagKind.OTHER))
                continue
            if spec.name not in column or np.isinf(values[:, column[spec.name]]).all():
                continue
            if spec.name not in UNCOUNTED and not has_key(spec.name):
                families.setdefault(family_of(spec.name), []).append(spec.name)
            seen = values[:, column[spec.name]]
            seen = seen[np.isfinite(seen)]
            if spec.kind is Kind.FLAG:
                flags.append(_flag(spec.name, FlagKind.DECLARED, failure=spec.failure))
                continue
            if not len(seen) and (spec.name in UNCOUNTED or has_key(spec.name)):
                continue
            distinct = np.unique(seen)
            if len(distinct) <= 1:
                flags.append(_flag(spec.name, FlagKind.DIFFERS, float(distinct[0]) + 0.0 if len(distinct) else None))
                continue
            numbers.append(spec.name)
            if spec.unit == "s" and spec.worse is Worse.UP:
                flags.append(_flag(spec.name, FlagKind.TAIL, _tail(seen)))
            if spec.kind is Kind.COUNT and np.mean(seen == 0) >= MOSTLY_ZERO:
                flags.append(_flag(spec.name, FlagKind.NONZERO))
        for name, members in families.items():
            block = values[:, [column[m] for m in members]]
            usual = int(np.median(np.sum(np.isnan(block), axis=1)))
            if usual < len(members):
                flags.append(_flag(name, FlagKind.MISSING, float(usual)))
        if sum(flag.failure for flag in flags) > 1:
            flags.append(_flag(ANY_FAILURE, FlagKind.ANY_FAILURE, failure=True))
        rows = cls(numbers, flags, 0).flag_rows(values, names, codes)
        rate = np.nansum(rows, axis=0) / np.maximum(np.isfinite(rows).sum(0), 1)
        # Faults have bets for themselves. In the whitened view a fault of 15 % and "any fault", which is nearly the
        # same flag, lean together, and a few faults in a row by chance fired in unchanged traffic.
        faults = np.asarray([flag.failure for flag in flags], dtype=bool)
        usual = (rate >= COMMON) & (rate <= 1 - COMMON) & ~faults
        ordered = [f for f, yes in zip(flags, usual, strict=True) if yes]
        rest = [f for f, yes in zip(flags, usual, strict=True) if not yes]
        return cls(numbers, ordered + rest, len(ordered))

    def features(self) -> frozenset[str]:
        """The features that are watched, whatever is made of them."""
        made = (FlagKind.MISSING, FlagKind.ANY_FAILURE)
        return frozenset([*self.numbers, *(flag.feature for flag in self.flags if flag.kind not in made)])

    def name(self, j: int) -> str:
        """What column j of the rows y is called in findings: its feature, `<family>.missing` or `<feature>.tail`."""
        if j < len(self.numbers):
            return self.numbers[j]
        flag = self.flags[j - len(self.numbers)]
        return f"{flag.feature}{ENDINGS.get(flag.kind, '')}"

    def flag(self, j: int) -> Flag | None:
        """The flag behind column j of the rows y; None for a number."""
        return self.flags[j - len(self.numbers)] if j >= len(self.numbers) else None

    def flag_place(self, feature: str, kind: FlagKind) -> int | None:
        """Position of a feature's flag of this kind among the flags, if there is one."""
        return next((m for m, f in enumerate(self.flags) if f.feature == feature and f.kind is kind), None)

    def number_columns(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        """Positions of the numbers among a batch's columns; -1 where the batch lacks one."""
        return self._place(names).numbers

    def _place(self, names: tuple[str, ...]) -> _Places:
        places = self._places.get(names)
        if places is None:
            if len(self._places) >= MOST_PLACES:
                self._places.clear()
            places = self._places[names] = _Places(self, names)
        return places

    def flag_rows(self, values: NDArray[Any], names: tuple[str, ...], codes: Categories) -> NDArray[np.float64]:
        """Flags (n, m) of rows with compressed values (n, k): 1, 0, or NaN where the feature is missing."""
        n = len(values)
        places = self._place(names)
        out = np.full((n, len(self.flags)), np.nan)
        _read_flags(values.astype(np.float64, order="C"), places.read, out)
        for feature, values_of, at, known in places.categories:
            column_of = codes.columns.get(feature)
            if column_of is not None:
                rows = np.fromiter(map(known.__getitem__, column_of), dtype=np.intp, count=n)
                _put_rows(values_of, rows, at, out)
        return out

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [self.numbers, [[f.feature, f.kind.value, f.value, f.failure] for f in self.flags], self.common]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> WatchedColumns:
        """The layout that `plain` described."""
        numbers, flags, common = plain
        return cls(
            [intern(name) for name in numbers],
            [_flag(intern(feature), FlagKind(kind), value, failure) for feature, kind, value, failure in flags],
            common,
        )


def _tail(seen: NDArray[Any]) -> float:
    """Where the tail of compressed values begins, compressed."""
    return float(np.log1p(TAIL_FROM * np.expm1(np.quantile(seen.astype(np.float64), 0.95))))


class _Places:
    """Where a layout's columns stand among a batch's, worked out once per set of columns."""

    def __init__(self, layout: WatchedColumns, names: tuple[str, ...]) -> None:
        column = {name: j for j, name in enumerate(names)}
        self.numbers = np.asarray([column.get(name, -1) for name in layout.numbers], dtype=np.intp)
        any_failure = next((m for m, flag in enumerate(layout.flags) if flag.kind is FlagKind.ANY_FAILURE), None)
        failures = [m for m, flag in enumerate(layout.flags) if flag.failure and m != any_failure]
        compared: list[tuple[int, int, int, float]] = []
        missing: list[tuple[int, list[int], int]] = []
        categories: dict[str, tuple[dict[str, int], int | None]] = {}
        # A feature that came after the layout was learned is not missed where it has no value.
        counted = {*layout.numbers, *(flag.feature for flag in layout.flags)} - UNCOUNTED
        counted = {name for name in counted if not has_key(name)}
        for m, flag in enumerate(layout.flags):
            if flag.kind in (FlagKind.VALUE, FlagKind.OTHER):
                values, other = categories.get(flag.feature, ({}, None))
                if flag.kind is FlagKind.VALUE:
                    values[str(flag.value)] = m
                else:
                    other = m
                categories[flag.feature] = (values, other)
            elif flag.kind is FlagKind.MISSING:
                members = [j for name, j in column.items() if name in counted and family_of(name) == flag.feature]
                missing.append((m, members, int(flag.value or 0)))
            elif flag.feature not in column:
                continue
            elif flag.kind is FlagKind.DIFFERS and flag.value is None:  # never seen in the reference
                compared.append((m, column[flag.feature], _PRESENT, 0.0))
            else:
                constant = TRUE_ABOVE if flag.kind is FlagKind.DECLARED else float(flag.value or 0)
                asked = _ABOVE if flag.kind in (FlagKind.DECLARED, FlagKind.TAIL) else _DIFFERS
                compared.append((m, column[flag.feature], asked, constant))
        self.categories = [(feature, *_coding(values, other)) for feature, (values, other) in categories.items()]
        self.read = _Read(
            np.asarray([asked[:3] for asked in compared], dtype=np.uint16).reshape(-1, 3),
            np.asarray([constant for *_, constant in compared], dtype=np.float64),
            np.asarray([m for m, _, _ in missing], dtype=np.uint16),
            np.asarray([usual for _, _, usual in missing], dtype=np.float64),
            np.asarray([(m, j) for m, members, _ in missing for j in members], dtype=np.uint16).reshape(-1, 2),
            np.asarray(failures, dtype=np.uint16),
            -1 if any_failure is None else any_failure,
        )


class _Read(NamedTuple):
    """How flags are read from a row's numbers.

    Of each line of `compared` (flag, column, what is asked) a flag is true where the column's value passes, held
    against the line's constant; one of `missing` where more than the usual number of its `members` (flag, column) is
    missing; `any_failure` (-1: there is none) where any of `failures` is.
    """

    compared: NDArray[np.uint16]
    constants: NDArray[np.float64]
    missing: NDArray[np.uint16]
    usual: NDArray[np.float64]
    members: NDArray[np.uint16]
    failures: NDArray[np.uint16]
    any_failure: int


@compiled
def _read_flags(values: NDArray[np.float64], read: _Read, out: NDArray[np.float64]) -> None:
    """Write the flags of rows with compressed values (n, k) to `out` (n, m): 1 or 0; as it is where nothing is said."""
    for row in range(len(values)):
        for i in range(len(read.compared)):
            m, column, asked = read.compared[i]
            value = values[row, column]
            if asked == _PRESENT:
                if not np.isinf(value):
                    out[row, m] = not np.isnan(value)
            elif np.isfinite(value):
                out[row, m] = value > read.constants[i] if asked == _ABOVE else value != read.constants[i]
        for m in read.missing:
            out[row, m] = 0
        for i in range(len(read.members)):
            out[row, read.members[i, 0]] += np.isnan(values[row, read.members[i, 1]])
        for i in range(len(read.missing)):
            out[row, read.missing[i]] = out[row, read.missing[i]] > read.usual[i]
        if read.any_failure >= 0:
            for m in read.failures:
                if not np.isnan(out[row, m]) and not out[row, m] <= out[row, read.any_failure]:
                    out[row, read.any_failure] = out[row, m]


@compiled
def _put_rows(
    table: NDArray[np.float32], rows: NDArray[np.intp], at: NDArray[np.intp], out: NDArray[np.float64]
) -> None:
    """Write these rows of a table (n, k) to the columns `at` (k) of `out`."""
    for row in range(len(rows)):
        for i in range(len(at)):
            out[row, at[i]] = table[rows[row], i]


class _Known(dict[str | None, int]):
    """Which row of a category's table a value has; any other value has the one before the last."""

    __slots__ = ("_other",)

    def __init__(self, rows: Mapping[str | None, int], other: int) -> None:
        super().__init__(rows)
        self._other = other

    def __missing__(self, value: str | None) -> int:
        return self._other


def _coding(places: Mapping[str, int], other: int | None) -> tuple[NDArray[np.float32], NDArray[np.intp], _Known]:
    """What a category says of its flags: their values by row of a table, their positions, and the row of each value.

    A row for each value with a flag of its own, one for any other value, and one for a category not measured (NaN).
    """
    at = [*places.values(), *([] if other is None else [other])]
    table = np.eye(len(places) + 2, len(at), dtype=np.float32)
    table[-1] = np.nan
    rows: dict[str | None, int] = {value: row for row, value in enumerate(places)}
    if MISSING in rows:
        rows[None] = rows[MISSING]
    rows[ABSENT] = len(places) + 1
    return table, np.asarray(at, dtype=np.intp), _Known(rows, len(places))


class Categories:
    """The category columns of some rows: strings, None where missing (which is a value of its own here)."""

    def __init__(self, columns: Mapping[str, Sequence[str | None]]) -> None:
        self.columns = columns

    def measured(self, name: str) -> bool:
        """Whether any of the rows comes from a worker that measures this category."""
        return any(value != ABSENT for value in self.columns.get(name, ()))

    def common(self, name: str, top: int) -> list[str]:
        """The most frequent values with a share of at least 1 %, most frequent first."""
        column = self.columns.get(name, [])
        counts: dict[str, int] = {}
        for given in column:
            value = MISSING if given is None else given
            if value != ABSENT:
                counts[value] = counts.get(value, 0) + 1
        frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        total = sum(counts.values())
        return [value for value, count in frequent[:top] if count >= 0.01 * total]
