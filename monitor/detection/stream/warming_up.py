"""`WarmingUp`: a stream that has no reference yet. Its events wait until there are enough to learn one from. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.records.context import Context
from monitor.detection.records.finding import Finding
from monitor.detection.stream import warmup_check
from monitor.detection.stream.reference_monitor import ReferenceMonitor
from monitor.detection.stream.segment_routing import SegmentRouting


class WarmingUp:
    """Stands in the place of a stream's monitors (`SegmentRouting`) until a warm-up's rows have come.

    Parameters
    ----------
    pinned
        Whether the reference will stay as it is learned.
    """

    def __init__(self, *, pinned: bool = False) -> None:
        self.pinned = pinned

    def learn(
        self, context: Context, rows: StreamRows, indices: NDArray[np.int64]
    ) -> tuple[SegmentRouting, list[Finding]]:
        """The monitor whose reference is learned from these rows, with their stream indices (n), and what is reported.

        A stretch of rows that differs from the rest, as in an incident, is left out of the reference and reported.
        """
        monitor = ReferenceMonitor.learn(context, rows, indices, pinned=self.pinned)
        stretch = warmup_check.incident(monitor.original.reference, rows, context.specs.input_length)
        if stretch is None:
            return SegmentRouting(monitor), []
        usual = np.flatnonzero(~stretch.inside(len(rows)))
        clean = ReferenceMonitor.learn(context, rows.take(usual), indices[usual], pinned=self.pinned)
        finding = warmup_check.report(context, clean.original.reference, rows, indices, stretch)
        return (SegmentRouting(monitor), []) if finding is None else (SegmentRouting(clean), [finding])
