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

from collections.abc import Sequence
from fnmatch import fnmatchcase
from sys import intern
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.categories import Categories
from monitor.detection.columns.flag_reader import TRUE_ABOVE, UNCOUNTED, FlagReader
from monitor.detection.columns.flags import ANY_FAILURE, ENDINGS, Flag, FlagKind, shared_flag
from monitor.detection.records.declared_features import family_of
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.features.base import FeatureSpec, Kind, Worse
from monitor.features.keyed import has_key

MAX_VALUES = 6
"""Values of a category that get a flag each; the rest are `other`. More would each have a rate of a few percent, which
`other` shows as well, and cost bets."""
MIN_SHARE_OF_ZEROS = 0.25
"""Share of zeros from which a count is also watched as `nonzero`: with fewer its median moves soon enough."""
MIN_RATE_OF_A_COMMON_FLAG = 0.05
"""A flag with a rate between this and one minus this joins the whitened view, unless it is a fault: the scores of rarer
ones are too far from normal."""
MAX_RATE_OF_AN_UNUSUAL_FAULT = 0.01
"""Rate in the reference up to which a fault counts for `ANY_FAILURE`: the smallest change of a fault that is reported.
A commoner one (letters with a placeholder in 2 % of the answers) raises the rate of "any fault" by itself, and then 5 %
broken answers took 180 events to be found in place of 157."""
TAIL_QUANTILE, TAIL_FACTOR = 0.95, 1.25
"""The tail of a time begins above this quantile in the reference, times this factor: one call in fifty, about, so that
a twentieth of hanging calls doubles its rate several times."""

MAX_READERS = 4
"""Sets of columns in use at a time that are remembered: workers of two versions, with dependencies or not."""


def watched(specs: Sequence[FeatureSpec], use: Sequence[str], leave_out: Sequence[str]) -> list[FeatureSpec]:
    """The declared features that match a glob of `use` and none of `leave_out`; vectors travel by their projections."""

    def match(name: str, globs: Sequence[str]) -> bool:
        return any(fnmatchcase(name, glob) for glob in globs)

    return [
        spec
        for spec in specs
        if spec.kind is not Kind.VECTOR and match(spec.name, use) and not match(spec.name, leave_out)
    ]


class WatchedColumnsState(StateRecord):
    """Of `WatchedColumns`: of each flag its feature, kind, value, and whether it is a fault.

    `usual` are the positions among the flags of faults that are usual; earlier versions did not know of them.
    """

    numbers: list[str]
    flags: list[tuple[str, FlagKind, str | float | None, bool]]
    common: int
    usual: list[int] = msgspec.field(default_factory=list)


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
        self._readers: dict[tuple[str, ...], FlagReader] = {}

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
                flags += _flags_of_category(spec, codes)
                continue
            if spec.name not in column or np.isinf(values[:, column[spec.name]]).all():
                continue
            if spec.name not in UNCOUNTED and not has_key(spec.name):
                families.setdefault(family_of(spec.name), []).append(spec.name)
            seen = values[:, column[spec.name]]
            is_number, made = _made_of(spec, seen[np.isfinite(seen)])
            numbers += [spec.name] * is_number
            flags += made
        for name, members in families.items():
            block = values[:, [column[m] for m in members]]
            usual = int(np.median(np.sum(np.isnan(block), axis=1)))
            if usual < len(members):
                flags.append(shared_flag(name, FlagKind.MISSING, float(usual)))
        if sum(flag.failure and not flag.usual for flag in flags) > 1:
            flags.append(shared_flag(ANY_FAILURE, FlagKind.ANY_FAILURE, failure=True))
        common = _are_common(flags, cls(numbers, flags, 0).flag_rows(values, names, codes))
        ordered = [f for f, yes in zip(flags, common, strict=True) if yes]
        rest = [f for f, yes in zip(flags, common, strict=True) if not yes]
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
        return self._reader(names).numbers

    def flag_rows(self, values: NDArray[Any], names: tuple[str, ...], codes: Categories) -> NDArray[np.float64]:
        """Flags (n, m) of rows with compressed values (n, k): 1, 0, or NaN where the feature is missing."""
        return self._reader(names).flags(values, codes)

    def _reader(self, names: tuple[str, ...]) -> FlagReader:
        reader = self._readers.get(names)
        if reader is None:
            if len(self._readers) >= MAX_READERS:
                self._readers.clear()
            reader = self._readers[names] = FlagReader(self.numbers, self.flags, names)
        return reader

    def to_state(self) -> WatchedColumnsState:
        """For a snapshot."""
        return WatchedColumnsState(
            self.numbers,
            [(f.feature, f.kind, f.value, f.failure) for f in self.flags],
            self.common,
            [m for m, flag in enumerate(self.flags) if flag.usual],
        )

    @classmethod
    def from_state(cls, state: WatchedColumnsState) -> WatchedColumns:
        """The layout that `state` described."""
        return cls(
            [intern(name) for name in state.numbers],
            [
                shared_flag(intern(feature), kind, value, failure, m in state.usual)
                for m, (feature, kind, value, failure) in enumerate(state.flags)
            ],
            state.common,
        )


def _flags_of_category(spec: FeatureSpec, codes: Categories) -> list[Flag]:
    """A flag for each common value, and one for all others; none where the category was not measured."""
    if not codes.measured(spec.name):
        return []
    common = codes.common(spec.name, MAX_VALUES)
    flags = [shared_flag(spec.name, FlagKind.VALUE, value) for value in common]
    return [*flags, shared_flag(spec.name, FlagKind.OTHER)]


def _made_of(spec: FeatureSpec, seen: NDArray[Any]) -> tuple[bool, list[Flag]]:
    """Whether a feature with these compressed values (n) is watched as a number, and the flags that are made of it."""
    if spec.kind is Kind.FLAG:
        usual = spec.failure and len(seen) > 0 and float(np.mean(seen > TRUE_ABOVE)) > MAX_RATE_OF_AN_UNUSUAL_FAULT
        return False, [shared_flag(spec.name, FlagKind.DECLARED, failure=spec.failure, usual=usual)]
    if not len(seen) and (spec.name in UNCOUNTED or has_key(spec.name)):
        return False, []
    distinct = np.unique(seen)
    if len(distinct) <= 1:
        constant = float(distinct[0]) + 0.0 if len(distinct) else None  # 0.0 in place of -0.0
        return False, [shared_flag(spec.name, FlagKind.DIFFERS, constant)]
    flags: list[Flag] = []
    if spec.unit == "s" and spec.worse is Worse.UP:
        flags.append(shared_flag(spec.name, FlagKind.TAIL, _tail(seen)))
    if spec.kind is Kind.COUNT and np.mean(seen == 0) >= MIN_SHARE_OF_ZEROS:
        flags.append(shared_flag(spec.name, FlagKind.NONZERO))
    return True, flags


def _are_common(flags: Sequence[Flag], rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the flags, with these values in the reference (n, m), join the whitened view.

    Faults have bets for themselves. In the whitened view a fault of 15 % and "any fault", which is nearly the same
    flag, lean together, and a few faults in a row by chance fired in unchanged traffic.
    """
    rate = np.nansum(rows, axis=0) / np.maximum(np.isfinite(rows).sum(0), 1)
    faults = np.asarray([flag.failure for flag in flags], dtype=bool)
    return np.asarray((rate >= MIN_RATE_OF_A_COMMON_FLAG) & (rate <= 1 - MIN_RATE_OF_A_COMMON_FLAG) & ~faults)


def _tail(seen: NDArray[Any]) -> float:
    """Where the tail of compressed values begins, compressed."""
    return float(np.log1p(TAIL_FACTOR * np.expm1(np.quantile(seen.astype(np.float64), TAIL_QUANTILE))))
