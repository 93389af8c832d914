"""Which waiting rows of a stream are judged together, and how long they wait.

The log alone decides (times of rows and ticks), so how rows were cut into batches changes nothing. Pure.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.stream_rows import StreamRows

LEAST_BLOCK = 32
"""Rows that are judged together, at least: a block has a fixed cost, and with this many it is a third of the whole."""
MOST_BLOCK = 256
"""Rows that are judged together, at most: larger blocks cost no less per row."""
BLOCK_SPAN_S = 0.5
"""Event time that a settled stream's block spans before it is judged, unless it has `MOST_BLOCK` rows: rows of a busy
stream wait no longer than those of a slow one, and cost a fraction."""
BLOCK_WAIT_S = 5.0
"""Event time after which rows that are too few for a block are judged anyway: the time between two ticks."""


def next_block(times: NDArray[np.float64], *, settled: bool) -> int:
    """How many of the waiting rows, of which these are the times (n), are judged next; 0: more must come.

    `settled` says that nothing goes on which is looked at block by block; otherwise blocks are as short as they may be.
    """
    if len(times) < LEAST_BLOCK:
        return 0
    if not settled:
        return LEAST_BLOCK
    short = np.abs(times[LEAST_BLOCK - 1 : MOST_BLOCK] - times[0]) < BLOCK_SPAN_S  # and not where it is unknown
    if not short.all():
        return LEAST_BLOCK + int(np.argmin(short))
    return MOST_BLOCK if len(times) >= MOST_BLOCK else 0


def due_at(waiting: StreamRows) -> float:
    """Time at which waiting rows are judged even if no more come; -inf where they have no time."""
    first = float(waiting.times[0])
    return first + _longest_wait(waiting) if math.isfinite(first) else -math.inf


def is_due(waiting: StreamRows, time: float) -> bool:
    """Whether the time of the waiting rows is up."""
    first = float(waiting.times[0])
    return not math.isfinite(first) or time - first >= _longest_wait(waiting)


def _longest_wait(waiting: StreamRows) -> float:
    return BLOCK_WAIT_S if len(waiting) < LEAST_BLOCK else BLOCK_SPAN_S
