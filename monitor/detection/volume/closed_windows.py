"""Windows of event time that are over: how many events each had, and how many are usual. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Window(NamedTuple):
    """One window.

    Attributes
    ----------
    events, capped
        Its events, and the same without what a short burst has in excess.
    least, typical, most
        How many are usual: by the hour of the week where that is known, else by the windows just before.
    recent_least, recent_most
        How many are usual by the windows just before alone.
    """

    events: float
    capped: float
    least: float
    typical: float
    most: float
    recent_least: float
    recent_most: float


WIDTH = len(Window._fields)
_PLACE = {name: place for place, name in enumerate(Window._fields)}


@dataclass(frozen=True, eq=False)
class ClosedWindows:
    """The last windows, oldest first: one row for each, one column for each field of `Window` (n, 7)."""

    rows: Array

    @classmethod
    def none(cls) -> ClosedWindows:
        """No windows."""
        return cls(np.empty((0, WIDTH)))

    @classmethod
    def without_events(cls, n: int) -> ClosedWindows:
        """n windows in which nothing came and nothing is usual."""
        return cls(np.zeros((n, WIDTH)))

    def __len__(self) -> int:
        return len(self.rows)

    def last(self, n: int) -> ClosedWindows:
        """The last n windows."""
        return ClosedWindows(self.rows[-n:])

    def newest_first(self, n: int) -> ClosedWindows:
        """The last n windows, the newest first."""
        return ClosedWindows(self.rows[: -n - 1 : -1])

    def and_one(self, window: Window, most: int) -> ClosedWindows:
        """These and one more, `most` of them at most."""
        return ClosedWindows(np.vstack([self.rows[1 - most :], window]))

    @property
    def events(self) -> Array:
        """Events of each window (n)."""
        return self._column("events")

    @property
    def capped(self) -> Array:
        """Events without the excess of short bursts (n)."""
        return self._column("capped")

    @property
    def least(self) -> Array:
        """How many are usual at least (n)."""
        return self._column("least")

    @property
    def typical(self) -> Array:
        """How many are typical (n)."""
        return self._column("typical")

    @property
    def most(self) -> Array:
        """How many are usual at most (n)."""
        return self._column("most")

    @property
    def recent_least(self) -> Array:
        """How many are usual at least, by the windows just before (n)."""
        return self._column("recent_least")

    @property
    def recent_most(self) -> Array:
        """How many are usual at most, by the windows just before (n)."""
        return self._column("recent_most")

    def _column(self, name: str) -> Array:
        return self.rows[:, _PLACE[name]]
