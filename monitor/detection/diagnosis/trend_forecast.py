"""When a growing share of the context window reaches its limit: by the turn of a conversation, and by time.

The slope is the median of the slopes between all pairs of rows (Theil 1950; Sen 1968), which a few odd rows do not
move, with Sen's interval from Kendall's statistic. Where that interval does not keep clear of zero, or is too wide to
say when, or the limit lies far beyond what was seen, there is no honest forecast, and none is made.

Pure. May import `monitor.config_values.durations` only.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.config_values.durations import in_words

LIMIT = 1.0  # share of the context window at which it is full
FEWEST = 20
"""Rows from which a trend is looked for."""
FEWEST_ELSEWHERE = 3
"""Rows with another x than the commonest: with fewer, no interval of this confidence is there, however many rows."""
MOST = 256
"""Rows that are looked at, the latest: pairs are their square."""
CONFIDENCE = 0.99
"""Of the interval of the slope: where nothing grows, a forecast is made once in 200 findings at most."""
WIDEST = 4.0
"""How many times its lower end the upper end of the interval may be."""
TURNS_REACH, TIME_REACH = 5.0, 20.0
"""How many times the range seen a forecast may reach beyond it; conversations do not get many times as long as seen."""

Array = NDArray[Any]


class Trend(NamedTuple):
    """Growth of the share a unit of x, and the x at which the limit is reached."""

    slope: float
    full_at: float


def trend(x: Array, share: Array, reach: float) -> Trend | None:
    """The trend of shares (n) over x (n), NaN for unknown; None where they do not surely grow or say too little.

    Or where the limit lies further beyond the x seen than `reach` times their range.
    """
    known = np.isfinite(x) & np.isfinite(share)
    x, share = (np.asarray(side[known][-MOST:], dtype=np.float64) for side in (x, share))
    n = len(x)
    if n < FEWEST or n - np.unique(x, return_counts=True)[1].max() < FEWEST_ELSEWHERE:
        return None
    # 50 MB that only a worker pays which has a forecast to make.
    from scipy.stats import theilslopes

    with np.errstate(invalid="ignore"):  # shares and x that are nearly all the same have no interval
        slope, _, low, high = map(float, theilslopes(share, x, CONFIDENCE))
    if not 0 < low <= high <= WIDEST * low:
        return None
    full_at = (LIMIT - float(np.median(share - slope * x))) / slope
    if full_at > x.max() + reach * (x.max() - x.min()):
        return None
    return Trend(slope, full_at)


def words(share: Array, turn: Array, time: Array) -> str:
    """A forecast from the rows (n) since a change in one sentence, empty where there is none.

    share is that of the context window in use, turn that of the conversation, time in seconds; NaN for unknown.
    """
    parts = []
    by_turn = trend(turn, share, TURNS_REACH)
    if by_turn is not None:
        last = max(math.ceil(by_turn.full_at), 1)
        parts.append(f"at {100 * by_turn.slope:+.1f} points a turn the window is full at turn {last:,}")
    by_time = trend(time, share, TIME_REACH)
    if by_time is not None:
        left = by_time.full_at - float(np.nanmax(time))
        parts.append("at the present rate " + (f"in {in_words(left)}" if left > 0 else "now"))
    sentence = ", and ".join(parts)
    if by_time is not None and by_turn is None:
        sentence = "the window is full " + sentence
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""
