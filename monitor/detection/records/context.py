"""`Context`: what all monitors of one stream share while a block of rows is judged. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.settings import DetectionSettings
from monitor.features.base import FeatureSpec


@dataclass(frozen=True)
class Context:
    """What a reference monitor shares with its stream.

    Attributes
    ----------
    stream
        The stream's name, for findings.
    settings
        How the stream is watched.
    declared, specs
        Declarations of the features that its rows may carry, in order and by name.
    threshold
        Evidence that is examined: the mean number of rows between false alarms that the alert budget asks for.
    """

    stream: str
    settings: DetectionSettings
    declared: Sequence[FeatureSpec]
    specs: DeclaredFeatures
    threshold: float
