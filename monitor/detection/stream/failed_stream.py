"""What a detect partition hands back instead of judging it: rows of a stream that failed, or that has no place.

`PartitionMonitor` makes these; detect (`pipelines.stages.detect`) logs them, counts them and writes their rows to the
dead letters. Pure.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from monitor.detection.records.control import Control, ControlAction, settings_after
from monitor.detection.records.finding import Finding
from monitor.detection.records.status import OpenAlert, StreamState, StreamStatus
from monitor.detection.settings import DetectionSettings
from monitor.features.batch import FeatureBatch

STREAM_FAILED = "stream_failed"
"""Reason of dead letters: this stream's monitor raised an exception, here or earlier."""
TOO_MANY_STREAMS = "too_many_streams"
"""Reason of dead letters: there are more stream names than `worker.max_streams`."""
_LONGEST_REASON = 300  # characters of an exception's text: some carry a whole document
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")


@dataclass(frozen=True, slots=True)
class Unjudged:
    """One occasion on which a stream's rows were not judged.

    Attributes
    ----------
    reason
        `STREAM_FAILED` or `TOO_MANY_STREAMS`.
    detail
        One sentence for people.
    doing
        Which call raised: observe, tick, control, close, status, snapshot or restore; empty where none did.
    rows
        The rows, all of this stream; None where the call that raised had none.
    error
        The exception, on the occasion on which it was raised; None afterwards.
    """

    stream: str
    reason: str
    detail: str
    doing: str = ""
    rows: FeatureBatch | None = None
    error: Exception | None = None


def in_one_line(error: Exception) -> str:
    """`ValueError: what it says`, the same in every process: without addresses in memory, and not too long."""
    said = " ".join(_ADDRESS.sub("0x...", str(error)).split())[:_LONGEST_REASON]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class Failure(msgspec.Struct, frozen=True):
    """Why a stream cannot be judged. `offset` is the place in `oqm.features`, `index` the first event not judged."""

    doing: str
    reason: str
    offset: int
    index: int

    @property
    def sentence(self) -> str:
        """What people read in `oqm streams` and in dead letters."""
        return f"not judged since event {self.index:,}: {self.reason} (in {self.doing}, offset {self.offset})"


class FailedStreamState(msgspec.Struct, frozen=True, kw_only=True):
    """Of `FailedStream`."""

    failure: Failure
    settings: dict[str, Any]
    events: int
    last_time: float | None


class FailedStream:
    """Stands where a stream's monitor stood before it raised an exception.

    The monitor's state may be half changed, so it is gone. This judges nothing and reports the stream as `unknown`,
    until `oqm reference pin` or `deploy` has the partition put a new monitor in its place. The alerts that fire are
    kept by the partition: they neither resolve nor get lost meanwhile.

    Attributes
    ----------
    events
        Events that came, those that were not judged included: so a later finding has an index, and with it an id, that
        no earlier one had.
    """

    def __init__(
        self, stream: str, settings: DetectionSettings, failure: Failure, events: int, last_time: float | None
    ) -> None:
        self.stream = stream
        self.settings = settings
        self.failure = failure
        self.events = events
        self.last_time = last_time

    def count(self, rows: FeatureBatch) -> None:
        """Rows that came and are not judged."""
        self.events += len(rows)
        times = rows.times[rows.times < math.inf]
        if len(times):
            self.last_time = max(float(times.max()), self.last_time if self.last_time is not None else -math.inf)

    def control(self, control: Control) -> list[Finding]:
        """Settings are taken over; a decision about the reference does nothing here (pin and deploy: the partition)."""
        if control.action is ControlAction.SETTINGS:
            self.settings = settings_after(self.settings, control)
        return []

    def status(self, firing: list[Finding]) -> StreamStatus:
        """The stream as `unknown`, with the alerts that fired when it failed."""
        return unknown(self.stream, self.failure.sentence, self.events, self.last_time, firing)

    def to_state(self) -> FailedStreamState:
        """For a snapshot."""
        settings = self.settings.model_dump(mode="json")
        return FailedStreamState(failure=self.failure, settings=settings, events=self.events, last_time=self.last_time)

    @classmethod
    def from_state(cls, stream: str, state: FailedStreamState) -> FailedStream:
        """The failed stream that `state` described."""
        settings = DetectionSettings.model_validate(state.settings)
        return cls(stream, settings, state.failure, state.events, state.last_time)


def unknown(stream: str, reason: str, events: int, last_time: float | None, firing: list[Finding]) -> StreamStatus:
    """The status of a stream whose state is not known."""
    return StreamStatus(
        stream=stream,
        state=StreamState.UNKNOWN,
        events=events,
        last_event_time=last_time,
        firing=[finding.id for finding in firing],
        duplicates=0,
        id_conflicts=0,
        log_evidence=0.0,
        log_threshold=0.0,
        features={},
        open=[OpenAlert(f.id, f.kind.value, f.began_at.time, f.evidence) for f in firing],
        reason=reason,
    )
