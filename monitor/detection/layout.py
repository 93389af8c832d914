"""From feature columns to what is watched: numbers, and flags that say something happened.

A stream's layout is fixed when its warm-up ends, from the reference's own rows:

numbers    numeric features that vary, as compressed values (`monitor.detection.ranks`)
flags      what is true or false of an event. Besides the declared flags these are made here: a count that is mostly
           zero is `nonzero`, a category has one of the values that are common in the reference or is `other`, a
           feature that never varied `differs` from its constant, and values of a family are `missing`.

So categories, counts with excess zeros, constants and missing values all reach the same exact bets on rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.settings import DetectionSettings
from monitor.features.base import FeatureSpec, Kind

TOP_VALUES = 6
"""Values of a category that get a flag of their own; the rest are `other`."""
MOSTLY_ZERO = 0.25
"""Share of zeros from which a count is also watched as `nonzero`."""
MISSING = "\0missing"
UNCOUNTED = frozenset({"output.embedding.distance"})
"""Features whose absence says nothing: the distance has no value while its centre is being learned."""


class FlagKind(StrEnum):
    """What a flag says."""

    DECLARED = "declared"
    NONZERO = "nonzero"
    VALUE = "value"
    OTHER = "other"
    DIFFERS = "differs"
    MISSING = "missing"


class Flag(msgspec.Struct, frozen=True):
    """One watched flag: of which feature (or family, for `missing`), and what about it."""

    feature: str
    kind: FlagKind
    value: str | float | None = None


def watched(specs: Sequence[FeatureSpec], settings: DetectionSettings) -> list[FeatureSpec]:
    """The declared features that the settings let detection use; vectors travel by their projections."""

    def match(name: str, globs: Sequence[str]) -> bool:
        return any(fnmatchcase(name, glob) for glob in globs)

    return [
        spec
        for spec in specs
        if spec.kind is not Kind.VECTOR
        and match(spec.name, settings.features)
        and not match(spec.name, settings.exclude)
    ]


def family(name: str) -> str:
    """`output.length.chars` -> `output.length`."""
    return name.rsplit(".", 1)[0]


class Layout:
    """Which columns of a batch are watched, and how.

    Attributes
    ----------
    numbers
        Names of the numeric features, in order.
    flags
        The flags, in order.
    """

    def __init__(self, numbers: list[str], flags: list[Flag]) -> None:
        self.numbers = numbers
        self.flags = flags
        self._families = sorted({f.feature for f in flags if f.kind is FlagKind.MISSING})

    @classmethod
    def learn(
        cls, specs: Sequence[FeatureSpec], values: NDArray[Any], names: Sequence[str], codes: Categories
    ) -> Layout:
        """Decide from a reference's rows: values (n, k) in natural or compressed units, and its categories."""
        column = {name: j for j, name in enumerate(names)}
        numbers: list[str] = []
        flags: list[Flag] = []
        families: dict[str, list[str]] = {}
        for spec in specs:
            if spec.kind is Kind.CATEGORY:
                flags.extend(Flag(spec.name, FlagKind.VALUE, value) for value in codes.common(spec.name, TOP_VALUES))
                flags.append(Flag(spec.name, FlagKind.OTHER))
                continue
            if spec.name not in column:
                continue
            if spec.name not in UNCOUNTED:
                families.setdefault(family(spec.name), []).append(spec.name)
            seen = values[:, column[spec.name]]
            seen = seen[np.isfinite(seen)]
            if spec.kind is Kind.FLAG:
                flags.append(Flag(spec.name, FlagKind.DECLARED))
                continue
            distinct = np.unique(seen)
            if len(distinct) <= 1:
                flags.append(Flag(spec.name, FlagKind.DIFFERS, float(distinct[0]) if len(distinct) else None))
                continue
            numbers.append(spec.name)
            if spec.kind is Kind.COUNT and np.mean(seen == 0) >= MOSTLY_ZERO:
                flags.append(Flag(spec.name, FlagKind.NONZERO))
        for name, members in families.items():
            block = values[:, [column[m] for m in members]]
            usual = int(np.median(np.sum(~np.isfinite(block), axis=1)))
            if usual < len(members):
                flags.append(Flag(name, FlagKind.MISSING, float(usual)))
        return cls(numbers, flags)

    def number_columns(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Positions of the numbers among a batch's columns; -1 where the batch lacks one."""
        column = {name: j for j, name in enumerate(names)}
        return np.asarray([column.get(name, -1) for name in self.numbers], dtype=np.intp)

    def flag_rows(self, values: NDArray[Any], names: Sequence[str], codes: Categories) -> NDArray[np.float64]:
        """Flags (n, m) of rows: 1, 0, or NaN where the feature is missing."""
        n = len(values)
        column = {name: j for j, name in enumerate(names)}
        out = np.full((n, len(self.flags)), np.nan)
        taken: dict[str, set[str]] = {}
        for flag in self.flags:
            if flag.kind is FlagKind.VALUE:
                taken.setdefault(flag.feature, set()).add(str(flag.value))
        for m, flag in enumerate(self.flags):
            if flag.kind is FlagKind.VALUE:
                out[:, m] = codes.equals(flag.feature, str(flag.value), n)
                continue
            if flag.kind is FlagKind.OTHER:
                out[:, m] = codes.outside(flag.feature, taken.get(flag.feature, set()), n)
                continue
            if flag.kind is FlagKind.MISSING:
                members = [j for name, j in column.items() if family(name) == flag.feature and name not in UNCOUNTED]
                out[:, m] = np.sum(~np.isfinite(values[:, members]), axis=1) > float(flag.value or 0)
                continue
            if flag.feature not in column:
                continue
            x = values[:, column[flag.feature]].astype(np.float64)
            finite = np.isfinite(x)
            if flag.kind is FlagKind.DECLARED:
                hit = x > 0.5
            elif flag.kind is FlagKind.NONZERO:
                hit = x != 0
            elif flag.value is None:  # never seen in the reference: any value differs
                out[:, m] = finite
                continue
            else:
                hit = x != float(flag.value)
            out[finite, m] = hit[finite]
        return out

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [self.numbers, [[f.feature, f.kind.value, f.value] for f in self.flags]]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Layout:
        """The layout that `plain` described."""
        numbers, flags = plain
        return cls(list(numbers), [Flag(feature, FlagKind(kind), value) for feature, kind, value in flags])


class Categories:
    """The category columns of some rows: strings, None where missing (which is a value of its own here)."""

    def __init__(self, columns: Mapping[str, Sequence[str | None]]) -> None:
        self.columns = {name: [MISSING if v is None else v for v in column] for name, column in columns.items()}

    def common(self, name: str, top: int) -> list[str]:
        """The most frequent values with a share of at least 1 %, most frequent first."""
        column = self.columns.get(name, [])
        counts: dict[str, int] = {}
        for value in column:
            counts[value] = counts.get(value, 0) + 1
        frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [value for value, count in frequent[:top] if count >= 0.01 * len(column)]

    def equals(self, name: str, value: str, n: int) -> NDArray[np.float64]:
        """1 where the category has this value (n rows)."""
        column = self.columns.get(name)
        if column is None:
            return np.full(n, np.nan)
        return np.fromiter((v == value for v in column), dtype=np.float64, count=n)

    def outside(self, name: str, values: set[str], n: int) -> NDArray[np.float64]:
        """1 where the category has none of these values (n rows)."""
        column = self.columns.get(name)
        if column is None:
            return np.full(n, np.nan)
        return np.fromiter((v not in values for v in column), dtype=np.float64, count=n)
