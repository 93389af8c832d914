"""`KnownValues`: the amounts, durations and percentages that a stream's reference states, and which later ones are new.

An assistant of a shop repeats few facts: 30 days, 4.90 GBP, 2 years. A changed policy, an invented price or another
currency shows in outputs that state what no output of the reference stated, long before any mean moves. So the values
of the reference are kept, and each output gets a category: its first new value, or `none`.

How often outputs of unchanged traffic state something new is measured on the reference itself: a value counts as new
in the row that alone has it. This is Good and Turing's estimate of the missing mass (Good, *Biometrika*, 1953), row by
row. Where it is large the set is not closed (prices of a thousand products, values calculated for each question), and
nothing is watched: new values are normal there. So it is where the second half of the reference often states what the
first half did not: its subjects change with time, and rows that follow each other tell too little of later ones.

Pure. May import `monitor.features` only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from monitor.features.families.facts import STATED
from monitor.features.keyed import Keyed

NONE_NEW = "none"
MAX_KNOWN = 256
"""Values of a closed set: a shop's policies and prices; about 8 KB in a stream's state."""
MIN_ROWS_WITH_VALUES = 20
"""Rows of a reference that state something: fewer do not show whether their values are a closed set."""
MAX_NEW_SHARE = 0.05
"""Share of the reference's rows that state what no other row does, up to which new values are no normal thing."""
MAX_NEW_SHARE_OF_HALF = 0.1
"""The same for the second half beside the first: twice as much, as half as many rows have seen half as much."""
_PREFIX = f"{STATED}["


class KnownValues:
    """The values of a reference."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    @classmethod
    def of(cls, keyed: Sequence[Keyed]) -> KnownValues | None:
        """The values of n rows, a reference; None where they are no closed set or too few."""
        rows = [values_of(each) for each in keyed]
        counts = Counter(value for values in rows for value in values)
        if sum(map(bool, rows)) < MIN_ROWS_WITH_VALUES or len(counts) > MAX_KNOWN:
            return None
        alone = sum(any(counts[value] == 1 for value in values) for values in rows)
        half = len(rows) // 2
        before = {value for values in rows[:half] for value in values}
        later = sum(any(value not in before for value in values) for values in rows[half:])
        if alone > MAX_NEW_SHARE * len(rows) or later > MAX_NEW_SHARE_OF_HALF * (len(rows) - half):
            return None
        return cls(counts)

    def new_values(self, keyed: Iterable[Keyed], *, learning: bool) -> list[str | None]:
        """The first new value of each row, or `none`; of rows that the set was learned from, by the other rows."""
        seen_elsewhere = 2 if learning else 1
        return [
            next((value for value in values_of(each) if self._counts[value] < seen_elsewhere), NONE_NEW)
            for each in keyed
        ]

    def to_state(self) -> list[str]:
        """For a snapshot: how often each was stated matters only while it is learned."""
        return sorted(self._counts)

    @classmethod
    def from_state(cls, state: list[str]) -> KnownValues:
        """The set that `state` described."""
        return cls(Counter(state))


def values_of(said: Keyed) -> list[str]:
    """The values that an output states, each with its unit."""
    return [name[len(_PREFIX) : -1] for name in said if name.startswith(_PREFIX)]
