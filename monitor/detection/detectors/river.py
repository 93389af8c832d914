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
from typing import Any

from monitor.detection.detectors import river_state
from monitor.detection.detectors.base import Reading, Status
from monitor.detection.detectors.parameters import check_river, typed
from monitor.errors import StateError

FORMAT = 1


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
        self.parameters = typed(parameters or {})
        check_river(detector, self.parameters)
        self._n = 0
        self._inner = self._fresh(self.parameters)
        self._last = Reading(Status.WARMING, 0.0, self._threshold(), 0)

    def _fresh(self, parameters: Mapping[str, float]) -> Any:
        # Here, because it loads scikit-learn and pandas where they are installed: seconds, for a detector few choose.
        from river import drift

        given: dict[str, Any] = dict(parameters)
        make: Any = {"adwin": drift.ADWIN, "page_hinkley": drift.PageHinkley, "kswin": drift.KSWIN}[self.detector]
        if self.detector == "kswin":
            given.setdefault("seed", 1)
        return make(**given)

    def _threshold(self) -> float:
        defaults = {"adwin": ("delta", 0.002), "page_hinkley": ("threshold", 50.0), "kswin": ("alpha", 0.005)}
        name, value = defaults[self.detector]
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
        if self.detector == "kswin":
            self._inner.p_value = float(self._inner.p_value)  # a scalar of numpy's would be one more name in a snapshot
        self._n += 1
        found = bool(self._inner.drift_detected)
        score = float(getattr(self._inner, "p_value", 0.0) or 0.0) if self.detector == "kswin" else float(found)
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
            parameters = typed(state["parameters"])
            check_river(self.detector, parameters)
            count = int(state["n"])
            status, score, threshold, n = state["last"]
            last = Reading(Status(status), float(score), float(threshold), int(n))
            data = state["inner"]
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as wrong:
            raise StateError(f"snapshot of {self.detector!r} cannot be read: {wrong}") from wrong
        self._inner = river_state.load(self.detector, data, self._fresh(parameters))
        self.parameters, self._n, self._last = parameters, count, last
