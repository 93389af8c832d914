"""Which of the last rows a finding quotes: usual ones from before the change, and those that show it best. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import RecentRows
from monitor.detection.records.finding import EXAMPLES, Excerpt
from monitor.detection.reference.reference import Reference

Array = NDArray[np.float64]

MAX_ROWS_BEFORE_A_CHANGE = 40
"""Rows before a change among which usual examples are looked for: excerpts of 40 rows are held."""
CLIP = 4.0
"""Standard deviations beyond which a feature says no more of how well a row shows the change: one value far out must
not choose the example."""


def typical(reference: Reference, history: RecentRows, before: int, y: Array | None = None) -> list[Excerpt]:
    """Of the rows before a position whose excerpts are held, those nearest to the reference's centre.

    `y` (n, d) are the scores of the last rows before it, where they are at hand. Empty where too few rows are held.
    """
    start = max(history.first_excerpt, before - MAX_ROWS_BEFORE_A_CHANGE)
    if before - start < EXAMPLES:
        return []
    if y is None or len(y) < before - start:
        y = reference.scores(*history.read(start, before))
    far = (np.abs(y[start - before :] - reference.mean) / reference.sd).mean(1)
    nearest = start + np.sort(np.argsort(far, kind="stable")[:EXAMPLES])
    return [history.excerpt(int(position)) for position in nearest]


def showing(reference: Reference, history: RecentRows, position: int) -> list[Excerpt]:
    """Of the rows from a position on, those that lie furthest in the direction of the change."""
    y = reference.scores(*history.read(position, len(history)))
    z = np.clip((y - reference.mean) / reference.sd, -CLIP, CLIP)
    start = max(0, history.first_excerpt - position)
    along = z[start:] @ z.mean(0)
    furthest = position + start + np.sort(np.argsort(-along, kind="stable")[:EXAMPLES])
    return [history.excerpt(int(place)) for place in furthest]
