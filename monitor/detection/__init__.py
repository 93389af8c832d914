"""Detection: reference, evidence, detectors, diagnosis, state. Pure: no I/O and no clock.

Each public name is loaded when it is first used, so that reading settings loads no detector.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitor.detection.detectors.base import Detector, Reading, Status
    from monitor.detection.detectors.e_detector import EDetector
    from monitor.detection.records.control import Control, ControlAction
    from monitor.detection.records.finding import Finding, FindingKind, State
    from monitor.detection.records.status import FeatureStatus, StreamState, StreamStatus
    from monitor.detection.settings import DetectionSettings
    from monitor.detection.stream.partition_monitor import PartitionMonitor
    from monitor.detection.stream.stream_monitor import StreamMonitor

_HOMES = {
    "ControlAction": "records.control",
    "Control": "records.control",
    "DetectionSettings": "settings",
    "Detector": "detectors.base",
    "EDetector": "detectors.e_detector",
    "FeatureStatus": "records.status",
    "Finding": "records.finding",
    "FindingKind": "records.finding",
    "PartitionMonitor": "stream.partition_monitor",
    "Reading": "detectors.base",
    "State": "records.finding",
    "Status": "detectors.base",
    "StreamMonitor": "stream.stream_monitor",
    "StreamState": "records.status",
    "StreamStatus": "records.status",
}

__all__ = [
    "Control",
    "ControlAction",
    "DetectionSettings",
    "Detector",
    "EDetector",
    "FeatureStatus",
    "Finding",
    "FindingKind",
    "PartitionMonitor",
    "Reading",
    "State",
    "Status",
    "StreamMonitor",
    "StreamState",
    "StreamStatus",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
