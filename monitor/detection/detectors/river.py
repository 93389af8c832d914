"""River's drift detectors behind the `Detector` contract: ADWIN, Page-Hinkley, KSWIN.

What river leaves to the caller is done here: non-finite values are rejected before they reach the detector (one NaN
blinds ADWIN and Page-Hinkley for good, without an error, in 0.26), parameters are checked against the range in which
the algorithm means something, and KSWIN is seeded so that a restored detector goes on as the original would.

A snapshot holds a pickle, because ADWIN keeps its state in compiled code. It is read as plain values
(`monitor.detection.detectors.river_state`): whoever can write to the state topic still cannot run code on a worker.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.detection.detectors import river_state
from monitor.detection.detectors.base import Reading, Status
from monitor.detection.detectors.parameters import ADWIN, KSWIN, PAGE_HINKLEY, Parameters
from monitor.errors import StateError

FORMAT = 1  # of snapshots; nothing has changed in them so far
_SCALAR = ("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar"), ("numpy", "dtype")


@dataclass(frozen=True)
class RiverKind:
    """What differs from one of river's detectors to another.

    Attributes
    ----------
    river_class
        Its class in `river.drift`.
    threshold
        The parameter that is its threshold, and river's default of it.
    pickled
        Module and name of all that its pickle may mention (`monitor.detection.detectors.river_state`).
    fixed
        Parameters that are given where settings give none, other than river's own defaults.
    scored_by_p_value
        Whether its score is its last p-value; else 1 where it found drift, and 0.
    """

    river_class: str
    parameters: Parameters
    threshold: tuple[str, float]
    pickled: frozenset[tuple[str, str]]
    fixed: Mapping[str, float] = field(default_factory=dict)
    scored_by_p_value: bool = False


KINDS: Mapping[str, RiverKind] = {
    "adwin": RiverKind(
        "ADWIN",
        ADWIN,
        ("delta", 0.002),
        frozenset({("river.drift.adwin", "ADWIN"), ("river._river_rust.drift", "AdaptiveWindowing")}),
    ),
    "page_hinkley": RiverKind(
        "PageHinkley",
        PAGE_HINKLEY,
        ("threshold", 50.0),
        # `getattr` is how a bound method is pickled: which of its tests Page-Hinkley makes. It is not looked at.
        frozenset({("river.drift.page_hinkley", "PageHinkley"), ("river.stats.mean", "Mean"), ("builtins", "getattr")}),
    ),
    "kswin": RiverKind(
        "KSWIN",
        KSWIN,
        ("alpha", 0.005),
        # KSWIN's last p-value was a scalar of numpy's in snapshots of earlier versions.
        frozenset({("river.drift.kswin", "KSWIN"), ("collections", "deque"), ("random", "Random"), *_SCALAR}),
        fixed={"seed": 1},
        scored_by_p_value=True,
    ),
}


class RiverDetector:
    """One river detector on one feature.

    Parameters
    ----------
    detector
        `adwin` (Bifet and Gavalda 2007), `page_hinkley` (Page 1954) or `kswin` (Raab, Heusinger, Schleif 2020).
    parameters
        River's own keyword arguments; river's defaults where absent.
    """

    def __init__(self, detector: str, parameters: Mapping[str, float] | None = None) -> None:
        self.detector = detector
        self._kind = KINDS[detector]
        self.parameters = self._kind.parameters.typed(parameters or {})
        self._kind.parameters.check(detector, self.parameters)
        self._n = 0
        self._inner = self._fresh(self.parameters)
        self._last = Reading(Status.WARMING, 0.0, self._threshold(), 0)

    def _fresh(self, parameters: Mapping[str, float]) -> Any:
        # Here, because it loads scikit-learn and pandas where they are installed: seconds, for a detector few choose.
        from river import drift

        return getattr(drift, self._kind.river_class)(**{**self._kind.fixed, **parameters})

    def _threshold(self) -> float:
        name, value = self._kind.threshold
        return float(self.parameters.get(name, value))

    def update(self, value: float) -> Reading:
        """Take one value; non-finite ones change nothing. River's detectors start afresh by themselves after drift."""
        if not math.isfinite(value):
            return self._last
        try:
            self._inner.update(value)
        except BaseException as wrong:
            # Its compiled part gives up only on a state that it never had: one that was restored from a snapshot which
            # somebody else wrote. It starts from the beginning, and the worker goes on.
            if not river_state.is_panic(wrong):
                raise
            self._inner = self._fresh(self.parameters)
            self._inner.update(value)
        if self._kind.scored_by_p_value:
            self._inner.p_value = float(self._inner.p_value)  # a scalar of numpy's would be one more name in a snapshot
        self._n += 1
        found = bool(self._inner.drift_detected)
        score = float(self._inner.p_value) if self._kind.scored_by_p_value else float(found)
        warm = self._n >= int(self.parameters.get("min_instances", self.parameters.get("window_size", 30)))
        status = Status.DRIFT if found else Status.STABLE if warm else Status.WARMING
        self._last = Reading(status, score, self._threshold(), self._n)
        return self._last

    def snapshot(self) -> dict[str, Any]:
        """Format, name, parameters, count and river's own state."""
        return {
            "format": FORMAT,
            "detector": self.detector,
            "parameters": self.parameters,
            "n": self._n,
            "inner": pickle.dumps(self._inner),
            "last": [self._last.status.value, self._last.score, self._last.threshold, self._last.n_seen],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot of the same detector, with the parameters that stand in it.

        Raises `StateError`, and stays as it is, where the snapshot is of another detector or format or is none.
        """
        if state.get("format") != FORMAT or state.get("detector") != self.detector:
            raise StateError(
                f"snapshot of {state.get('detector')!r} format {state.get('format')!r} cannot be read by "
                f"{self.detector!r} format {FORMAT}"
            )
        try:
            parameters = self._kind.parameters.typed(state["parameters"])
            self._kind.parameters.check(self.detector, parameters)
            count = int(state["n"])
            status, score, threshold, n = state["last"]
            last = Reading(Status(status), float(score), float(threshold), int(n))
            data = state["inner"]
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as wrong:
            raise StateError(f"snapshot of {self.detector!r} cannot be read: {wrong}") from wrong
        self._inner = river_state.load(self.detector, data, self._fresh(parameters), self._kind.pickled)
        self.parameters, self._n, self._last = parameters, count, last


def make(name: str, parameters: Mapping[str, float]) -> RiverDetector:
    """Called by the table of detectors for each of `KINDS`."""
    return RiverDetector(name, parameters)
