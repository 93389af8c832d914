"""`Recovery`: the test of whether a change that fires has ended, with a stated error.

`ReferenceMonitor` starts one when a finding fires, and passes it every row from then on. Each column that the finding
is about is tested (`monitor.detection.recovery.column`), so a low rate gets as many rows as it takes: about
log(threshold) / KL divergence. In traffic that stays changed, a column's sum less the number of pieces is a
supermartingale, so by Doob's inequality at most `MAX_SHARE_WRONG` of such alerts resolve within `WRONG_WITHIN_ROWS`.

Rows are taken in pieces of `PIECE_ROWS`, whatever the blocks they come in, so cuts change nothing. The state is some
twenty floats a column. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.recovery.column import PIECE_ROWS, Column, Measure
from monitor.detection.reference.reference import Reference
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

MAX_SHARE_WRONG = 0.05
"""Of alerts whose change lasts, at most this share is resolved within `WRONG_WITHIN_ROWS`: what is usual for a test
whose mistake costs a second page."""
WRONG_WITHIN_ROWS = 20_000
"""Two of the shortest mean run lengths that a budget may ask for: a change that lasts longer has been looked at."""


def limit(piece: int) -> float:
    """Log of the threshold for pieces of this many rows.

    By Doob's inequality a supermartingale with WRONG_WITHIN_ROWS / piece steps of mean 1 crosses WRONG_WITHIN_ROWS /
    piece / MAX_SHARE_WRONG with probability MAX_SHARE_WRONG at most.
    """
    return math.log(WRONG_WITHIN_ROWS / piece / MAX_SHARE_WRONG)


LIMIT = limit(PIECE_ROWS)
LIMIT_BESIDE_SUREST = math.log(1 / MAX_SHARE_WRONG)
"""The same for levels and spreads that a finding names beside its surest column: some moved by chance and have nothing
to return from, and where the reference is off by a standard error they would take thousands of rows to show it."""
MIN_SHARE_CHANGED = 0.25
"""Share of the rows in which some column counted as changed, below which another one has not changed with it."""


class RecoveryState(StateRecord):
    """Of `Recovery`."""

    taken: int
    columns: list[Column]
    changed_until: float | None


class Recovery:
    """The columns of the open findings, and whether all of them are back.

    Attributes
    ----------
    columns
        What is tested. Empty where nothing moved surely: then the effect floor alone decides.
    taken
        Rows of the track up to which it was fed.
    changed_until
        Time of the last of them that count as changed, None where unknown.
    """

    def __init__(self, taken: int, columns: Sequence[Column] = (), changed_until: float | None = None) -> None:
        self.taken = taken
        self.changed_until = changed_until
        self.columns = list(columns)

    def also(self, columns: Sequence[Column]) -> None:
        """Test these, too; one that is tested already begins again only if it has moved the other way.

        One that moved further is known by all its rows since the first finding, and follows them.
        """
        for column in columns:
            known = next((held for held in self.columns if held.same_as(column)), None)
            if known is None:
                self.columns.append(column)
            elif column.sign != known.sign:
                self.columns[self.columns.index(known)] = column

    def add(self, column: Column, y: Array, reference: Reference) -> None:
        """Values y of one column (n) in a piece of rows, scored by the reference."""
        if column.measure is Measure.RATE:
            column.add(len(y), float(y.sum()))
            return
        j = column.place
        scaled = (y - float(reference.mean[j])) / float(reference.sd[j])
        column.add(len(y), float(scaled.sum() if column.measure is Measure.LEVEL else (scaled * scaled).sum()))

    def back_for(self) -> int:
        """Rows since the change was last seen in any tested column."""
        return int(min((column.waiting[0] for column in self.columns), default=0.0))

    def to_state(self) -> RecoveryState:
        """For a snapshot."""
        return RecoveryState(self.taken, self.columns, self.changed_until)

    @classmethod
    def from_state(cls, state: RecoveryState) -> Recovery:
        """The test that `state` described; it goes on bit for bit."""
        return cls(state.taken, state.columns, state.changed_until)


def not_back(columns: Sequence[Column], bar: float = LIMIT) -> list[Column]:
    """The columns that are not surely back; `bar` is what rates and the surest column of a finding must reach.

    What was hardly ever seen changed since the finding, while another column was, had moved by chance:
    `LIMIT_BESIDE_SUREST` is enough for it. Where the surest column is such a one, the others must reach the bar in its
    place.
    """
    most = max((column.seen[0] for column in columns), default=0.0)
    by_chance = [column.seen[0] < MIN_SHARE_CHANGED * most for column in columns]
    all_asked = all(chance for column, chance in zip(columns, by_chance, strict=True) if column.surest)

    def asked(column: Column, chance: bool) -> float:
        strict = not chance and (column.surest or all_asked or column.measure is Measure.RATE)
        return bar if strict else min(bar, LIMIT_BESIDE_SUREST)

    return [c for c, chance in zip(columns, by_chance, strict=True) if c.total() < asked(c, chance)]
