"""Which of the last rows a finding quotes: usual ones from before the change, and those that show it best. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import RecentRows
from monitor.detection.diagnosis.excerpt_window import alike
from monitor.detection.records.finding import EXAMPLES, Excerpt
from monitor.detection.reference.reference import Reference

Array = NDArray[np.float64]

MAX_ROWS_BEFORE_A_CHANGE = 40
"""Rows before a change among which usual examples are looked for: excerpts of 40 rows are kept."""
CLIP = 4.0
"""Standard deviations beyond which a feature says no more of how well a row shows the change: one value far out must
not choose the example."""


def typical(reference: Reference, history: RecentRows, before: int, y: Array | None = None) -> list[Excerpt]:
    """Of the rows before a position whose excerpts are kept, those nearest to the reference's centre.

    `y` (n, d) are the scores of the last rows before it, where they are at hand. Empty where too few rows are kept.
    """
    start = max(history.first_excerpt, before - MAX_ROWS_BEFORE_A_CHANGE)
    if before - start < EXAMPLES:
        return []
    if y is None or len(y) < before - start:
        y = reference.scores(*history.read(start, before))
    far = (np.abs(y[start - before :] - reference.mean) / reference.sd).mean(1)
    nearest = start + np.sort(np.argsort(far, kind="stable")[:EXAMPLES])
    return [history.excerpt(int(position)) for position in nearest]


def like(history: RecentRows, before: int, usual: list[Excerpt], after: list[Excerpt]) -> list[Excerpt]:
    """For each example after a change one from before it, with the most similar input; else one of the usual ones.

    Looked for among the rows before the position whose excerpts are kept, and the usual ones.
    """
    start = max(history.first_excerpt, before - MAX_ROWS_BEFORE_A_CHANGE)
    return side_by_side([*usual, *(history.excerpt(place) for place in range(start, before))], usual, after)


def side_by_side(candidates: list[Excerpt], usual: list[Excerpt], after: list[Excerpt]) -> list[Excerpt]:
    """As many as are usual, in the order of the examples after a change: with the most similar inputs, else the usual.

    The usual ones are among the candidates.
    """
    left = list({each.event_id: each for each in candidates}.values())
    paired: list[Excerpt | None] = []
    for example in after[: len(usual)]:
        place = alike(example.input, left)
        paired.append(None if place is None else left.pop(place))
    taken = {each.event_id for each in paired if each is not None}
    others = iter([each for each in usual if each.event_id not in taken])
    filled = [next(others, None) if each is None else each for each in paired]
    return [each for each in [*filled, *others] if each is not None][: len(usual)]


def showing(reference: Reference, history: RecentRows, position: int) -> list[Excerpt]:
    """Of the rows from a position on, those that lie furthest in the direction of the change."""
    y = reference.scores(*history.read(position, len(history)))
    z = np.clip((y - reference.mean) / reference.sd, -CLIP, CLIP)
    start = max(0, history.first_excerpt - position)
    along = z[start:] @ z.mean(0)
    furthest = position + start + np.sort(np.argsort(-along, kind="stable")[:EXAMPLES])
    return [history.excerpt(int(place)) for place in furthest]
