"""Detection: reference, evidence, detectors, attribution, state. Pure: no I/O and no clock of its own."""

from monitor.detection.base import Detector, Reading, Status
from monitor.detection.control import Action, Control
from monitor.detection.e_detector import EDetector
from monitor.detection.finding import Finding, FindingKind, State
from monitor.detection.partition import PartitionMonitor
from monitor.detection.settings import DetectionSettings
from monitor.detection.status import FeatureStatus, StreamState, StreamStatus
from monitor.detection.stream_monitor import StreamMonitor

__all__ = [
    "Action",
    "Control",
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
