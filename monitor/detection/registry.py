"""The explicit table of detectors that `monitor.yaml` can choose per feature. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.detection.base import Detector
from monitor.detection.e_detector import EDetector
from monitor.detection.e_detector import check_parameters as check_evidence
from monitor.detection.river_adapters import RANGES, RiverDetector
from monitor.detection.river_adapters import check_parameters as check_river
from monitor.errors import StateError

EVIDENCE = "evidence"
NAMES = (EVIDENCE, *RANGES)


def build(name: str, parameters: Mapping[str, float] | None = None) -> Detector:
    """The detector of this name. Raises `ValueError` that says which parameter is wrong."""
    check(name, parameters or {})
    if name == EVIDENCE:
        given: dict[str, Any] = dict(parameters or {})
        return EDetector(**given)
    return RiverDetector(name, parameters)


def check(name: str, parameters: Mapping[str, float]) -> None:
    """Raise `ValueError` for an unknown detector or parameters that mean nothing to it."""
    if name == EVIDENCE:
        check_evidence(parameters)
    elif name in RANGES:
        check_river(name, parameters)
    else:
        raise ValueError(f"no detector {name!r}; there are {', '.join(NAMES)}")


def restore(state: dict[str, Any]) -> Detector:
    """The detector that a snapshot was taken of."""
    name = state.get("detector")
    if name not in NAMES:
        raise StateError(f"snapshot of a detector {name!r} that this version does not know")
    detector = EDetector() if name == EVIDENCE else RiverDetector(str(name))
    detector.restore(state)
    return detector
