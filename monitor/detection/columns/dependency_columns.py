"""`DependencyColumns`: the external dependencies of a stream that are watched one by one.

They are the commonest in the stream's reference; what others do shows in the sums over all of an event's calls.

Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from monitor.detection.columns.categories import ABSENT
from monitor.detection.columns.normal_scores import compress
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.reference.young_reference import least_rows
from monitor.features.base import FeatureSpec
from monitor.features.families.dependencies import MOST_SHAPES, NO_CALLS, SHAPE, Calls, columns, dependency_specs

MAX_DEPENDENCIES = 6
"""Dependencies that are watched one by one: each adds three columns to every row."""
MIN_ROWS = 40
"""Rows of the reference that must have called a dependency for it to be watched by itself: a tenth of 400."""
MIN_ROWS_OF_A_SHORT_WARMUP = 20
"""The same for a short warm-up, of which a tenth is enough, too: what is watched is chosen once."""


class DependencyColumns:
    """Chosen from the rows of a warm-up, and the same until another.

    Attributes
    ----------
    names
        The dependencies, the commonest first.
    specs
        Declarations of what is watched of them.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = names
        self.specs: tuple[FeatureSpec, ...] = tuple(spec for name in names for spec in dependency_specs(name))

    @classmethod
    def of(cls, rows: StreamRows) -> DependencyColumns:
        """The dependencies that these rows, a stream's reference, call most."""
        called = Counter(name for calls in rows.calls or () for name in calls)
        least = least_rows(MIN_ROWS, len(rows), MIN_ROWS_OF_A_SHORT_WARMUP)
        common = sorted((-count, name) for name, count in called.items() if count >= least)
        return cls(tuple(name for _, name in common[:MAX_DEPENDENCIES]))

    def with_columns(self, rows: StreamRows) -> StreamRows:
        """The rows (n) with the columns of each dependency, all without a value where a row did not call it."""
        if not self.names:
            return rows.without_calls()
        calls = [NO_CALLS] * len(rows) if rows.calls is None else rows.calls
        names, values, shapes = columns(calls, self.names, ABSENT)
        if SHAPE in rows.categories:
            # Their shapes are reported by name; among all, the shape would change with which of them are called.
            shapes[SHAPE] = [self._rest(called) for called in calls]
        return replace(
            rows,
            names=rows.names + names,
            values=np.concatenate([rows.values, compress(values)], axis=1),
            categories={**rows.categories, **shapes},
            calls=None,
        )

    def _rest(self, calls: Calls) -> str:
        """Shapes of the dependencies that are not watched one by one, each with its name."""
        if all(name in self.names for name in calls):
            return ABSENT
        rest = sorted(f"{name}={one.shape}" for name, one in calls.items() if name not in self.names and one.shape)
        return ", ".join(rest[:MOST_SHAPES]) or ABSENT
