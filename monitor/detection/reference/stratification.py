"""Strata: rows are compared with others of their own class, where the class is known and makes a difference.

A stream often mixes tasks whose outputs differ by nature. If the reference shows that one attribute (a task, a prompt's
name, a language) explains part of the variance, each class's mean is taken off its rows before anything else looks at
them. Then more of one class is no change, and what is left varies less, so a change within the classes shows sooner
(post-stratification: Cochran, *Sampling Techniques*, 1977). Means of small classes are shrunk towards no difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import VERSIONS, Segments, each_once
from monitor.detection.reference.young_reference import least_rows
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

SMALLEST = 20
"""Rows of a class below which its mean is not learned; also the rows that the shrinkage counts as known beforehand."""
FEWEST = 10
"""The same for a short warm-up. With 20 of 200 twice as much of what classes differ by is left in as of 400, for good:
offsets do not mature. The mix of a day then looks like a change of the outputs."""
MOST_CLASSES = 24  # with more, 400 rows hold fewer than 17 of a class: too few to learn its mean from
WORTH = 0.02
"""Adjusted share of variance, mean over the numbers, from which an attribute is worth stratifying by."""
NEVER = frozenset(VERSIONS) - {"prompt.name"}
"""A version is what is watched; taking its mean off would hide what it changes."""


class StratificationState(StateRecord):
    """Of `Stratification`."""

    attribute: str | None
    offsets: dict[str, Array]


class Stratification:
    """Mean scores by class of one attribute; nothing to take off where there is no such attribute.

    Attributes
    ----------
    attribute
        Its name, or None.
    offsets
        Mean scores (k) by value, relative to the mean over all.
    """

    def __init__(self, attribute: str | None = None, offsets: dict[str, Array] | None = None) -> None:
        self.attribute = attribute
        self.offsets = offsets or {}

    @classmethod
    def learn(cls, scores: Array, segments: Sequence[Segments]) -> Stratification:
        """Choose the attribute that explains most of scores (n, k), if any is worth it."""
        n = len(scores)
        smallest = least_rows(SMALLEST, n, FEWEST)
        centred = scores - scores.mean(0)
        total = (centred * centred).sum(0)
        used = total > 1e-9
        best = cls()
        worth = WORTH
        for name in sorted({pair[0] for segment in segments for pair in segment} - NEVER):
            rows: dict[str, list[int]] = {}
            for row, segment in enumerate(segments):
                rows.setdefault(dict(segment).get(name, ""), []).append(row)
            large = {value: members for value, members in rows.items() if len(members) >= smallest}
            if len(rows) > MOST_CLASSES or len(large) < 2 or not used.any():
                continue
            means = {value: centred[members].mean(0) for value, members in large.items()}
            between = sum(len(large[value]) * mean * mean for value, mean in means.items())
            explained = 1 - (1 - between[used] / total[used]) * (n - 1) / (n - len(large))
            if float(explained.mean()) > worth:
                worth = float(explained.mean())
                offsets = {v: m * (len(large[v]) / (len(large[v]) + smallest)) for v, m in means.items()}
                best = cls(name, offsets)
        return best

    def take_off(self, scores: Array, segments: Sequence[Segments]) -> Array:
        """Scores (n, k) less the mean of each row's class; rows of an unknown class stay as they are."""
        if self.attribute is None or not segments:
            return scores
        nothing = np.zeros(scores.shape[1])
        values = {name: dict(each).get(self.attribute, "") for name, each in each_once(segments).items()}
        return scores - np.stack([self.offsets.get(values[id(segment)], nothing) for segment in segments])

    def to_state(self) -> StratificationState:
        """For a snapshot."""
        return StratificationState(self.attribute, self.offsets)

    @classmethod
    def from_state(cls, state: StratificationState) -> Stratification:
        """The strata that `state` described."""
        return cls(state.attribute, state.offsets)
