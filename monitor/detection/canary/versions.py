"""Which versions of a stream run at the same time, by when each came first and last. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.detection.state.snapshot_codec import StateRecord

GONE = 1_000
"""Rows of the stream after which a version that did not come runs no longer: one that serves 1 % of the traffic is
missing for this long by chance once in 20,000 times."""
MOST_VERSIONS = 8
"""Versions of one attribute that are remembered; an attribute with more at a time (a request's id, say) is none."""


@dataclass
class Appearance:
    """Stream indices of a version's first and last row."""

    first: int
    last: int


class VersionsState(StateRecord):
    """Of `Versions`: of each value the stream indices of its first and last row."""

    known: dict[str, tuple[int, int]]
    latest: str | None
    wide: bool


class Versions:
    """Values of one attribute, by when they came.

    Attributes
    ----------
    known
        The values that are remembered.
    wide
        Whether the attribute has too many values at a time to name a version; then nothing more is remembered.
    """

    def __init__(self) -> None:
        self.known: dict[str, Appearance] = {}
        self.wide = False
        self._latest: str | None = None

    def take(self, values: Sequence[str | None], indices: NDArray[np.int64]) -> list[tuple[str, str]]:
        """Note rows' values (n) and stream indices (n); pairs (older, newer) of which the older came again.

        A pair runs at the same time from then on: a plain switch from one to the other is none.
        """
        if self.wide:
            return []
        if len(set(values)) == 1:
            if values[0] is None:
                return []
            if values[0] == self._latest:
                self.known[self._latest].last = int(indices[-1])
                return []
        mixed: list[tuple[str, str]] = []
        for value, index in zip(values, indices.tolist(), strict=True):
            if value is None:
                continue
            if value not in self.known and not self._has_room(index):
                self.known, self._latest, self.wide = {}, None, True
                return []
            appearance = self.known.setdefault(value, Appearance(index, index))
            appearance.last = index
            before, self._latest = self._latest, value
            if before in self.known and self.known[before].first > appearance.first:
                pair = (value, before)
                if pair not in mixed:
                    mixed.append(pair)
        return mixed

    def is_gone(self, value: str, now: int) -> bool:
        """Whether a version runs no longer, at this stream index."""
        return value not in self.known or now - self.known[value].last >= GONE

    def _has_room(self, now: int) -> bool:
        """Whether one more version can be remembered; those that are gone make room."""
        if len(self.known) >= MOST_VERSIONS:
            self.known = {value: places for value, places in self.known.items() if now - places.last < GONE}
        return len(self.known) < MOST_VERSIONS

    def to_state(self) -> VersionsState:
        """For a snapshot."""
        known = {value: (places.first, places.last) for value, places in self.known.items()}
        return VersionsState(known, self._latest, self.wide)

    @classmethod
    def from_state(cls, state: VersionsState) -> Versions:
        """The versions that `state` described."""
        versions = cls()
        versions.known = {value: Appearance(*places) for value, places in state.known.items()}
        versions._latest, versions.wide = state.latest, state.wide
        return versions
