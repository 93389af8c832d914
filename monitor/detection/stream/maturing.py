"""`Maturing`: rows that stayed calm for a while are added to a young reference. Pure."""

from __future__ import annotations

from monitor.detection.columns.recent_rows import RecentRows
from monitor.detection.reference.learned_reference import LearnedReference
from monitor.detection.reference.moments import UNIT

DELAY_ROWS = 128
"""Rows that must follow a row, all calm, before it matures the reference: several times the delay of a large change, so
that the first rows of a change do not become part of what is normal."""


class Maturing:
    """Counts calm rows, and adds those that are old enough to the reference.

    Attributes
    ----------
    calm
        Latest rows in turn that were calm and are not in the reference.
    """

    def __init__(self, calm: int = 0) -> None:
        self.calm = calm

    def reset(self) -> None:
        """A row was not calm: those before it are not added."""
        self.calm = 0

    def take(self, normal: LearnedReference, history: RecentRows, rows: int, limit: int) -> bool:
        """These rows, the last ones kept, were calm; whether the reference grew (towards `limit` rows) by `UNIT`."""
        self.calm += rows
        if self.calm < DELAY_ROWS + UNIT or not normal.grows(limit):
            return False
        start, stop = len(history) - self.calm, len(history) - self.calm + UNIT
        self.calm -= UNIT
        if start < 0:
            return False
        y = normal.reference.scores(*history.read(start, stop))
        normal.add(y, history.segments[start:stop], history.marks[start:stop])
        return True
