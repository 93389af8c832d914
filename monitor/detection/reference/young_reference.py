"""What a short warm-up does differently: every threshold in rows was chosen on warm-ups of 400 events.

Pure; imports nothing of the project.
"""

from __future__ import annotations

GROWN = 400
"""Rows from which a reference is no longer young."""


def least_rows(of_grown: int, n: int, fewest: int) -> int:
    """Rows of a warm-up of n that are as large a share of it as `of_grown` are of `GROWN`; at least `fewest`.

    Never more than `of_grown`: a longer warm-up asks for no more rows.
    """
    return min(of_grown, max(fewest, of_grown * n // GROWN))
