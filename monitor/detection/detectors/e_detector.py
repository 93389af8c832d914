"""An e-detector for one number: the evidence of all features, for a single one, behind the `Detector` contract.

Streams use the evidence over all features at once (`StreamMonitor`); this is the same for a single sequence of values,
in a notebook or for a feature that is to be watched alone.

Source: Shin, Ramdas, Rinaldo, *E-detectors: a nonparametric framework for sequential change detection* (2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from monitor.detection.columns.normal_scores import compress
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.detectors.base import Reading, Status
from monitor.detection.detectors.parameters import EVIDENCE
from monitor.detection.evidence.shiryaev_roberts import Evidence, EvidenceState
from monitor.detection.reference.learned_reference import LearnedReference, LearnedReferenceState, marks_of
from monitor.detection.state.snapshot_codec import from_plain, pack, to_plain, unpack
from monitor.errors import StateError

FORMAT = 2  # of snapshots; 2 since means of products are kept in half precision
NAME = "evidence"


class EDetector:
    """Sequential evidence that a number left its reference.

    Parameters
    ----------
    warmup
        Values of the reference.
    mean_run_length
        Values between false alarms, in the mean: the threshold of evidence.

    Examples
    --------
    >>> import random
    >>> from monitor.detection import EDetector
    >>> rng = random.Random(7)
    >>> detector = EDetector(warmup=300, mean_run_length=100_000)
    >>> values = [rng.gauss(0, 1) for _ in range(800)] + [rng.gauss(1.5, 1) for _ in range(100)]
    >>> [i for i, value in enumerate(values) if detector.update(value).status == "drift"][:1]
    [812]
    """

    def __init__(self, warmup: int = 400, mean_run_length: float = 100_000) -> None:
        EVIDENCE.check("evidence", {"warmup": warmup, "mean_run_length": mean_run_length})
        self.warmup = int(warmup)
        self.mean_run_length = float(mean_run_length)
        self._n = 0
        self._gathered: list[float] = []
        self._normal: LearnedReference | None = None
        self._evidence: Evidence | None = None
        self._last = Reading(Status.WARMING, 0.0, self.mean_run_length, 0)

    def update(self, value: float) -> Reading:
        """Take one value; non-finite ones change nothing. The score is the evidence, the threshold the run length."""
        if not math.isfinite(value):
            return self._last
        self._n += 1
        if self._normal is None or self._evidence is None:
            self._gathered.append(float(value))
            if len(self._gathered) >= self.warmup:
                self._learn()
            self._last = Reading(Status.WARMING, 0.0, self.mean_run_length, self._n)
            return self._last
        reference = self._normal.reference
        y = reference.scores(compress(np.asarray([[value]])), np.empty((1, 0)), [()])
        score = float(self._evidence.block(y, np.ones(1), [()])[0])
        drift = score >= self.mean_run_length
        if drift:
            self._evidence.restart()
        self._last = Reading(Status.DRIFT if drift else Status.STABLE, score, self.mean_run_length, self._n)
        return self._last

    def learn(self, values: Sequence[float]) -> None:
        """Take values of a reference that is already there as the first ones, the latest `warmup` of the finite ones.

        Called once, before the first `update`: a stream's new reference need not be waited for a second time.
        """
        for value in [value for value in values if math.isfinite(value)][-self.warmup :]:
            self.update(value)

    def _learn(self) -> None:
        values = compress(np.asarray(self._gathered)[:, None])
        digests = np.asarray([_digest(value) for value in self._gathered], dtype=np.uint64)
        flags = np.empty((len(values), 0))
        layout, marks = WatchedColumns(["value"], [], 0), marks_of(digests)
        self._normal = LearnedReference.learn(layout, values, flags, [()] * len(values), marks, 1)
        self._gathered = []
        self._begin()

    def _begin(self) -> None:
        assert self._normal is not None
        reference = self._normal.reference
        self._evidence = Evidence(reference.outputs, reference.mean)

    def snapshot(self) -> dict[str, Any]:
        """Parameters, what was gathered or learned, and the evidence."""
        return {
            "format": FORMAT,
            "detector": NAME,
            "parameters": [self.warmup, self.mean_run_length],
            "n": self._n,
            "gathered": pack(np.asarray(self._gathered)),
            "normal": None if self._normal is None else to_plain(self._normal.to_state()),
            "evidence": None if self._evidence is None else to_plain(self._evidence.to_state()),
            "last": [self._last.status.value, self._last.score, self._last.threshold, self._last.n_seen],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot of an `EDetector`. Raises `StateError`, and stays as it is, where it is none."""
        if state.get("format") != FORMAT or state.get("detector") != NAME:
            raise StateError(
                f"snapshot of {state.get('detector')!r} format {state.get('format')!r} cannot be read by "
                f"{NAME!r} format {FORMAT}"
            )
        try:
            warmup, mean_run_length = state["parameters"]
            EVIDENCE.check("evidence", {"warmup": warmup, "mean_run_length": mean_run_length})
            taken = EDetector(warmup, mean_run_length)
            taken._n = int(state["n"])
            taken._gathered = unpack(state["gathered"]).tolist()
            if state["normal"] is not None:
                taken._normal = LearnedReference.from_state(from_plain(state["normal"], LearnedReferenceState))
                taken._begin()
                assert taken._evidence is not None
                taken._evidence.restore(from_plain(state["evidence"], EvidenceState))
            status, score, threshold, n = state["last"]
            taken._last = Reading(Status(status), float(score), float(threshold), int(n))
        except (KeyError, TypeError, ValueError, msgspec.ValidationError) as wrong:
            raise StateError(f"snapshot of {NAME!r} cannot be read: {wrong}") from wrong
        vars(self).update(vars(taken))


def _digest(value: float) -> int:
    return int.from_bytes(blake2b(repr(value).encode(), digest_size=8).digest(), "big")


def make(name: str, parameters: Mapping[str, Any]) -> EDetector:
    """Called by the table of detectors, which has one of this kind."""
    return EDetector(**parameters)
