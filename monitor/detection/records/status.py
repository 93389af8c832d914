"""What can be read off a stream at any moment: for metrics, `oqm streams` and dashboards."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.config_values.durations import in_words


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


class OpenAlert(msgspec.Struct, frozen=True):
    """An alert that fires now: when its change began (seconds since 1970), and the log10 evidence that raised it.

    Both are None where they are not known: without times, and for silence.
    """

    id: str
    kind: str
    began: float | None
    evidence: float | None = None


class SegmentShare(msgspec.Struct, frozen=True):
    """Share of a stream's rows with this value of an attribute: in the reference, and over the last 64 rows judged."""

    attribute: str
    value: str
    reference: float
    current: float


class ThresholdStatus(msgspec.Struct, frozen=True):
    """A fixed threshold now.

    `state` is inside, outside, or unknown where too few events say anything; `value` is None then. `firing`:
    its alert is open, which it stays while nothing can be said. `events` are those with a value in the window. `words`
    is one line for people.
    """

    name: str
    state: str
    value: float | None
    events: int
    firing: bool
    words: str


class StreamStatus(msgspec.Struct, frozen=True):
    """A stream now. `events` were applied once each; evidence and threshold are log10.

    `open` are the alerts that fire, which `firing` names; `segments` the values that carry most of the traffic. Of the
    `learns` events that the first reference takes, `learned` have come; a `young` reference has few rows, so for now
    only large changes are found. The three are 0, 0 and false in the states of older versions.
    `behind_s` is how far the times of its events lie behind the log's clock, in seconds, where that is too far to judge
    volume and silence; else None. `reason` says why the state is `unknown`; it is empty in every other state.
    `thresholds` are the fixed ones that the settings have for the stream.
    `keys` names the watched columns with a key: keys of JSON outputs, arguments of tools, attributes.
    """

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
    open: list[OpenAlert] = []
    segments: list[SegmentShare] = []
    learned: int = 0
    learns: int = 0
    young: bool = False
    behind_s: float | None = None
    reason: str = ""
    keys: list[str] = []
    thresholds: list[ThresholdStatus] = []

    def note(self) -> str | None:
        """What is not judged of the stream, and why, for a person; None: everything is."""
        if self.behind_s is None:
            return None
        return f"times lie {in_words(self.behind_s)} behind: volume and silence are not judged"
