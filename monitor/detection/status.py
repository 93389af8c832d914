"""What can be read off a stream at any moment: for metrics, `oqm streams` and dashboards."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class StreamState(StrEnum):
    """State of a stream. `unknown` is never reported as fine: the monitor cannot tell."""

    WARMING = "warming"
    STABLE = "stable"
    DRIFT = "drift"
    SILENT = "silent"
    UNKNOWN = "unknown"


class FeatureStatus(msgspec.Struct, frozen=True):
    """A feature now: its value in the reference and lately (median, rate), and log10 evidence for it alone."""

    reference: float | None
    current: float | None
    evidence: float


class StreamStatus(msgspec.Struct, frozen=True):
    """A stream now. `events` were applied once each; evidence and threshold are log10."""

    stream: str
    state: StreamState
    events: int
    last_event_time: float | None
    firing: list[str]
    duplicates: int
    id_conflicts: int
    log_evidence: float
    log_threshold: float
    features: dict[str, FeatureStatus]
