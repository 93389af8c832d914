"""How two versions differ that answer the same traffic: sums over pieces of rows in which both stand.

What is compared of a row is its whitened view and the rare flags (`compared_scores`); how large and how sure a
difference is comes from all columns (`VersionDifference.shift`). Pure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detection.diagnosis.shift import LEAST_VARIANCE, Shift
from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.reference import Reference
from monitor.detection.reference.views import Joint
from monitor.detection.state.snapshot_codec import StateRecord

Array = NDArray[np.float64]

FEWEST_FREEDOM = 9
"""Degrees of freedom from which the versions' own scatter is used; of fewer, the reference's variance is."""


class VersionDifferenceState(StateRecord):
    """Of `VersionDifference`; `sums` are those of the difference, the old and the new version, and squares (4, d)."""

    since: int
    counts: NDArray[np.int64]
    weight: float
    sums: Array
    freedom: int


class VersionDifference:
    """Sums over pieces of rows, within each of which the two versions are compared.

    Attributes
    ----------
    since
        Stream index from which the sums are taken.
    counts
        Rows of the old version and of the new one.
    weight
        What the mean difference rests on: for each piece, old rows times new rows over all rows.
    """

    def __init__(self, d: int, since: int) -> None:
        self.since = since
        self.counts: NDArray[np.int64] = np.zeros(2, dtype=np.int64)
        self.weight = 0.0
        self._difference: Array = np.zeros(d)
        self._old: Array = np.zeros(d)
        self._new: Array = np.zeros(d)
        self._squares: Array = np.zeros(d)  # within each version's part of a piece
        self._freedom = 0

    @property
    def width(self) -> int:
        """Columns (d)."""
        return len(self._difference)

    def add(self, y: Array, new: NDArray[np.bool_]) -> None:
        """A piece's rows y (n, d), both versions among them; `new` (n) marks those of the new one."""
        own, other = y[new], y[~new]
        weight = len(own) * len(other) / len(y)
        means = own.mean(0), other.mean(0)
        self.weight += weight
        self.counts += (len(other), len(own))
        self._difference += weight * (means[0] - means[1])
        self._old += other.sum(0)
        self._new += own.sum(0)
        self._squares += ((own - means[0]) ** 2).sum(0) + ((other - means[1]) ** 2).sum(0)
        self._freedom += len(y) - 2

    def shift(self, reference: Reference) -> Shift:
        """How far the new version is from the old one, in the units of a shift from a reference."""
        k = reference.moments.numbers
        variance = reference.variance
        if self._freedom >= FEWEST_FREEDOM:
            variance = np.maximum(self._squares / self._freedom, variance)
        size = self._difference / self.weight
        surety = size / np.sqrt(np.maximum(variance, LEAST_VARIANCE) / self.weight)
        size[:k] /= reference.sd[:k]
        return Shift(size=size, surety=surety, rows=int(self.counts[1]))

    def rates(self, j: int) -> tuple[float, float]:
        """Mean of column j, of the old version and of the new one."""
        return float(self._old[j] / self.counts[0]), float(self._new[j] / self.counts[1])

    def old_mean(self) -> Array:
        """Mean of the old version's rows (d)."""
        return np.asarray(self._old / max(int(self.counts[0]), 1))

    def length(self, joint: Joint) -> float:
        """Length of the mean difference in a joint's whitened view, noise taken off."""
        mean = self._difference / self.weight
        u = mean[: len(joint.project)] @ joint.project
        return float(np.sqrt(np.maximum((u * u - 1 / self.weight).sum(), 0.0)))

    def to_state(self) -> VersionDifferenceState:
        """For a snapshot."""
        sums = np.stack([self._difference, self._old, self._new, self._squares])
        return VersionDifferenceState(self.since, self.counts, self.weight, sums, self._freedom)

    @classmethod
    def from_state(cls, state: VersionDifferenceState) -> VersionDifference:
        """The sums that `state` described."""
        difference = cls(0, state.since)
        difference.counts, difference.weight, difference._freedom = state.counts, state.weight, state.freedom
        rows = (row.copy() for row in state.sums)
        difference._difference, difference._old, difference._new, difference._squares = rows
        return difference


def compared_width(reference: Reference) -> int:
    """How many coordinates `compared_scores` has."""
    joints = reference.outputs.joints
    return (joints[0].project.shape[1] if joints else 0) + len(_rare(reference))


def compared_scores(reference: Reference, y: Array) -> Array:
    """What is compared of rows y (n, d): the whitened view of outputs and call, and the rare flags (n, m)."""
    centred = y - reference.mean
    rare = _rare(reference)
    parts = [centred[:, rare] / reference.sd[rare]]
    for joint in reference.outputs.joints[:1]:
        parts.insert(0, centred[:, : len(joint.project)] @ joint.project)
    scores: Array = np.clip(np.concatenate(parts, axis=1), -CLIP, CLIP)
    return scores


def _rare(reference: Reference) -> NDArray[np.intp]:
    """Columns of the flags that are bet on and too rare for the whitened view."""
    columns = np.concatenate([reference.outputs.rates.columns, reference.outputs.failures.columns])
    return columns[columns >= reference.moments.core]
