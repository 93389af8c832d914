"""Feature rows for tests that need no features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitor.features.batch import FeatureBatch


def rows_at(times: Sequence[float], stream: str = "s", first: int = 0) -> FeatureBatch:
    """One row for each time; ids and source offsets count from `first`."""
    n = len(times)
    return FeatureBatch(
        names=("output.length.chars",),
        values=np.full((n, 1), 10.0, dtype=np.float32),
        streams=[stream] * n,
        ids=[str(first + i) for i in range(n)],
        times=np.asarray(times, dtype=np.float64),
        digests=np.arange(first, first + n, dtype=np.uint64),
        source="topic",
        source_partitions=np.zeros(n, dtype=np.int32),
        source_offsets=np.arange(first, first + n, dtype=np.int64),
        segments=[{} for _ in range(n)],
        input_excerpts=[""] * n,
        output_excerpts=[""] * n,
    )
