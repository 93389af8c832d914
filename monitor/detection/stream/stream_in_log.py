"""`StreamInLog`: one stream of a partition with its place in the log, and how that is written. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from monitor.detection.records import followed as followed_record
from monitor.detection.records.control import Control
from monitor.detection.records.finding import Finding, State
from monitor.detection.records.judged import from_data, severity_by
from monitor.detection.stream.failed_stream import FailedStream, FailedStreamState
from monitor.detection.stream.newcomer import Newcomer, NewcomerState
from monitor.detection.stream.stream_monitor import StreamMonitor
from monitor.features.batch import FeatureBatch

FORMAT = 2
"""Of snapshots of a stream with its place; the monitor's state in them has its own format."""

Watched: TypeAlias = StreamMonitor | FailedStream | Newcomer


class StreamInLogState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of `StreamInLog`. Of `monitor` (a `StreamMonitor`'s snapshot), `failed` and `newcomer` one is there.

    `open` is None where the monitor's state alone says what fires, as versions up to 93e1875 wrote it.
    """

    format: int
    applied: int
    fence: dict[str, dict[int, int]]
    seen: float | None = None
    doubted: float | None = None
    open: list[Finding] | None = None
    monitor: bytes | None = None
    failed: FailedStreamState | None = None
    newcomer: NewcomerState | None = None


class StreamInLog:
    """A stream with its place in the log.

    Attributes
    ----------
    monitor
        What watches it.
    applied
        Offset of the last message that was applied to it.
    fence
        By source, the highest offset applied of each source partition.
    open
        Findings that fire, as they were reported: kept beside the monitor, whose state may be half changed when it
        raises an exception.
    seen
        Log time of the last tick before its latest rows; NaN where none came.
    doubted
        The hour in which it was first found due to be forgotten; NaN where it is not.
    turn
        Rises with each message that has rows of the stream.
    saved
        Whether a snapshot of it was handed out.
    time
        In a replay, time of the stream's latest tick; NaN where ticks are for all streams.
    """

    __slots__ = ("applied", "doubted", "fence", "monitor", "open", "saved", "seen", "time", "turn")

    def __init__(self, monitor: Watched) -> None:
        self.monitor = monitor
        self.applied = -1
        self.fence: dict[str, dict[int, int]] = {}
        self.open: dict[str, Finding] = {}
        self.seen = math.nan
        self.doubted = math.nan
        self.turn = 0
        self.saved = False
        self.time = math.nan

    def fresh_rows(self, batch: FeatureBatch) -> FeatureBatch | None:
        """The rows beyond the fence, which moves up to them; None if there are none."""
        fence = self.fence.setdefault(batch.source, {})
        keep = []
        places = zip(batch.source_partitions.tolist(), batch.source_offsets.tolist(), strict=True)
        for row, (partition, offset) in enumerate(places):
            if offset > fence.get(partition, -1):
                fence[partition] = offset
                keep.append(row)
        if len(keep) == len(batch):
            return batch
        return batch.take(np.asarray(keep, dtype=np.intp)) if keep else None

    def reported(self, findings: Sequence[Finding]) -> list[Finding]:
        """These findings as everybody gets them; remembers which fire from now on.

        What was concluded of a finding from verdicts stands in each later transition of it, and moves its severity: the
        monitor, which measures it again, knows nothing of them.
        """
        shown = [self._with_verdicts(finding) for finding in findings]
        for finding in shown:
            if finding.state is State.FIRING:
                self.open[finding.id] = finding
            elif finding.state is State.RESOLVED:
                self.open.pop(finding.id, None)
        return shown

    def judge(self, control: Control) -> list[Finding]:
        """The finding that a control row `judged` is about, as a revision with the conclusion; none if it is over.

        The first conclusion stands, unless it could not tell and a later look can say more: a row that the judge sends
        again after a restart changes nothing. Raises `InvalidEvent` for a row that cannot be read.
        """
        identity, judged = from_data(control.data)
        known = self.open.get(identity)
        if known is None or not judged.follows(known.judged):
            return []
        severity = severity_by(known.severity, known.kind, judged)
        revised = msgspec.structs.replace(known, judged=judged, severity=severity, revision=known.revision + 1)
        self.open[identity] = revised
        return [revised]

    def follow(self, control: Control) -> list[Finding]:
        """The finding that a control row `followed` is about, as a revision with the numbers; none if it is over.

        Larger numbers take the place of smaller ones: a row that is sent again after a restart changes nothing. Raises
        `InvalidEvent` for a row that cannot be read.
        """
        identity, followed = followed_record.from_data(control.data)
        known = self.open.get(identity)
        if known is None or not followed.follows(known.followed):
            return []
        revised = msgspec.structs.replace(known, followed=followed, revision=known.revision + 1)
        self.open[identity] = revised
        return [revised]

    def _with_verdicts(self, finding: Finding) -> Finding:
        known = self.open.get(finding.id)
        if known is None or (known.judged is None and known.followed is None):
            return finding
        revision = known.revision + finding.is_update
        severity = finding.severity
        if known.judged is not None:
            severity = severity_by(severity, finding.kind, known.judged)
        return msgspec.structs.replace(
            finding, judged=known.judged, followed=known.followed, severity=severity, revision=revision
        )

    # State

    def to_state(self, monitor: bytes | None) -> StreamInLogState:
        """For a snapshot; `monitor` is that of a `StreamMonitor`, None where something else watches."""
        watched = self.monitor
        return StreamInLogState(
            format=FORMAT,
            applied=self.applied,
            fence=self.fence,
            seen=_none_for_nan(self.seen),
            doubted=_none_for_nan(self.doubted),
            open=list(self.open.values()),
            monitor=monitor,
            failed=watched.to_state() if isinstance(watched, FailedStream) else None,
            newcomer=watched.to_state(self.turn) if isinstance(watched, Newcomer) else None,
        )

    @classmethod
    def from_state(cls, monitor: Watched, state: StreamInLogState, *, new_log: bool) -> StreamInLog:
        """The place that `state` described, for a restored monitor.

        `new_log`: the state is of another incarnation of the log; its offset says nothing here.
        """
        stream = cls(monitor)
        stream.applied = -1 if new_log else state.applied
        stream.fence = state.fence
        stream.seen, stream.doubted = _nan_for_none(state.seen), _nan_for_none(state.doubted)
        stream.saved = True
        if state.newcomer is not None:
            stream.turn = state.newcomer.turn
        if state.open is not None:
            stream.open = {finding.id: finding for finding in state.open}
        elif isinstance(monitor, StreamMonitor):
            stream.open = {finding.id: finding for finding in monitor.firing()}
        return stream


def _nan_for_none(value: float | None) -> float:
    return math.nan if value is None else value


def _none_for_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
