"""`SegmentRouting`: which monitor judges which rows of a stream.

The main monitor has all rows. Segments that are absent from its reference, and versions that a comparison found to
differ, are separated: their rows are gathered, a reference is learned from them, and a further `ReferenceMonitor`
judges them from then on. Each has a `LateFeatures` for features that came after its reference was learned.

Called by `monitor.detection.stream.stream_monitor`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import Segments, segments_of
from monitor.detection.columns.stream_rows import StreamRows, StreamRowsState
from monitor.detection.records.context import Context
from monitor.detection.records.finding import Finding, Resolution, State
from monitor.detection.records.plain_numbers import log10
from monitor.detection.records.status import FeatureStatus
from monitor.detection.settings import DetectionSettings
from monitor.detection.stream.late_features import LateFeatures, LateFeaturesState
from monitor.detection.stream.population_status import RECENT_ROWS
from monitor.detection.stream.reference_monitor import (
    PROVISIONAL_REFERENCE_ROWS,
    ReferenceMonitor,
    ReferenceMonitorState,
)

Segment = tuple[str, str]

MAX_SEPARATE_SEGMENTS = 4
"""Segments that are judged separately; rows of further ones stay with the rest. Each costs a stream's memory and time
again, and references of less than a fifth of the traffic mature slowly."""


class SegmentRoutingState(msgspec.Struct, frozen=True, kw_only=True):
    """Of `SegmentRouting`: monitors of separate segments, rows and stream indices of those that are gathered, and late
    features by the segment of their monitor (None: the main one)."""

    main: ReferenceMonitorState
    separate: list[tuple[Segment, ReferenceMonitorState]]
    gathering: list[tuple[Segment, tuple[StreamRowsState, NDArray[np.int64]] | None]]
    late: list[tuple[Segment | None, LateFeaturesState]]


class SegmentRouting:
    """The monitors of a stream that has a reference.

    Attributes
    ----------
    main
        Judges the rows of no separate segment.
    """

    def __init__(self, main: ReferenceMonitor) -> None:
        self.main = main
        self._separate: dict[Segment, ReferenceMonitor] = {}
        # Segments whose rows are gathered for a reference, with the rows so far and their stream indices.
        self._gathering: dict[Segment, tuple[StreamRows, NDArray[np.int64]] | None] = {}
        self._late: dict[Segment | None, LateFeatures] = {}  # by the segment of the monitor; None: the main one's

    # Rows

    def judge(self, context: Context, rows: StreamRows, indices: NDArray[np.int64]) -> list[Finding]:
        """Rows of a block with their stream indices (n), each judged by the monitor that it belongs to."""
        if not self._separate and not self._gathering:
            return self._judge_by(context, self.main, rows, indices)
        groups: dict[Segment | None, list[int]] = {}
        known = [*self._separate, *self._gathering]
        for row, segments in enumerate(rows.segments):
            own = next((pair for pair in known if segments.get(pair[0]) == pair[1]), None)
            groups.setdefault(own, []).append(row)
        findings: list[Finding] = []
        for own, members in groups.items():
            chosen = np.asarray(members, dtype=np.intp)
            part, where = rows.take(chosen), indices[chosen]
            if own is None:
                findings += self._judge_by(context, self.main, part, where)
            elif own in self._separate:
                findings += self._judge_by(context, self._separate[own], part, where, own)
            else:
                self._gather(context, own, part, where)
        return findings

    def _judge_by(
        self,
        context: Context,
        monitor: ReferenceMonitor,
        rows: StreamRows,
        indices: NDArray[np.int64],
        own: Segment | None = None,
    ) -> list[Finding]:
        """A monitor's rows; segments that it finds new are separated from the next row on.

        `own` is the segment of a monitor that is not the main one.
        """
        late = self._late.get(own)
        if late is None:
            late = self._late[own] = LateFeatures()
        findings, taken = monitor.judge(late.context_of_monitor(context), rows, indices)
        judged = rows if taken == len(rows) else rows.part(0, taken)
        findings += late.judge(context, monitor, judged, indices[:taken])
        for segment in monitor.new_segments:
            self.separate(segment)
        monitor.new_segments.clear()
        if taken == len(rows):
            return findings
        rows, indices = rows.part(taken), indices[taken:]
        if monitor is self.main:
            return findings + self.judge(context, rows, indices)
        return findings + self._judge_by(context, monitor, rows, indices, own)

    def _gather(self, context: Context, own: Segment, rows: StreamRows, indices: NDArray[np.int64]) -> None:
        """Rows of a separate segment that has no reference yet; enough of them become one."""
        before = self._gathering[own]
        if before is not None:
            rows, indices = before[0].joined(rows), np.concatenate([before[1], indices])
        rows = rows.thinned()
        self._gathering[own] = (rows, indices)
        if len(rows) >= PROVISIONAL_REFERENCE_ROWS:
            self._separate[own] = ReferenceMonitor.learn(context, rows, indices)
            del self._gathering[own]

    # Segments

    def separate(self, segment: Segment) -> None:
        """Gather a segment's rows from the next one on, unless it is separate or as many are as may be."""
        known = segment in self._separate or segment in self._gathering
        if not known and len(self._separate) + len(self._gathering) < MAX_SEPARATE_SEGMENTS:
            self._gathering[segment] = None

    def rejoin(self, segment: Segment, why: Resolution) -> list[Finding]:
        """A segment is judged with the others again; what was open of it is resolved."""
        self._gathering.pop(segment, None)
        found: list[Finding] = []
        monitor = self._separate.pop(segment, None)
        if monitor is not None:
            found += monitor.resolve(why)
        late = self._late.pop(segment, None)
        if late is not None:
            found += late.resolve(why)
        return found

    # Decisions

    def choose(self, settings: DetectionSettings) -> None:
        """Detectors of single numbers as changed settings say."""
        for monitor in self.monitors():
            monitor.choose(settings)

    def accept(self, why: Resolution) -> list[Finding]:
        """What is normal now becomes the reference of each monitor; what was open is resolved."""
        found: list[Finding] = []
        for late in self._late.values():
            found += late.resolve(why)
            late.accept()
        for monitor in self.monitors():
            found += monitor.resolve(why)
            monitor.accept()
        return found

    def flush_late(self) -> list[Finding]:
        """The time of the next rows is up: what late features wait to report."""
        return [finding for late in self._late.values() for finding in late.flush()]

    # What goes on

    def monitors_of_rows(self) -> tuple[ReferenceMonitor, ...]:
        """The main monitor and those of segments; a row belongs to exactly one of them."""
        return (self.main, *self._separate.values())

    def monitors(self) -> tuple[ReferenceMonitor, ...]:
        """The monitors of rows, and then those of late features."""
        return (*self.monitors_of_rows(), *(group for late in self._late.values() for group in late.groups))

    def open(self) -> Iterator[Finding]:
        """All open findings, firing or information."""
        return (finding for monitor in self.monitors() for finding in monitor.open)

    def firing(self) -> list[Finding]:
        """The open findings that fire, less those of late features that have not been reported."""
        unreported = set[str]().union(*(late.unreported() for late in self._late.values()))
        return [f for f in self.open() if f.state is State.FIRING and f.id not in unreported]

    @property
    def settled(self) -> bool:
        """Whether nothing goes on that is looked at block by block: a finding, a separate segment."""
        late = all(late.settled for late in self._late.values())
        return late and self.main.settled and not (self._separate or self._gathering)

    @property
    def late_features_wait(self) -> bool:
        """Whether a finding of late features waits for the next rows."""
        return any(late.waiting for late in self._late.values())

    # Status

    def log_evidence(self) -> list[float]:
        """log10 of the evidence of each monitor, on the scale of the stream's budget."""
        late = [g.log_evidence() + log10(each.scale()) for each in self._late.values() for g in each.groups]
        return [*(monitor.log_evidence() for monitor in self.monitors_of_rows()), *late]

    def features(self) -> dict[str, FeatureStatus]:
        """What the main monitor says of each feature, and its groups of late ones."""
        late = self._late.get(None)
        groups = late.groups if late is not None else []
        features = {name: status for group in groups for name, status in group.features().items()}
        return {**features, **self.main.features()}

    def recent_segments(self) -> list[Segments]:
        """Segments of the stream's last `RECENT_ROWS` judged rows, whichever monitor holds them."""
        rows = [row for monitor in self.monitors_of_rows() for row in monitor.recent()]
        for held in self._gathering.values():
            if held is not None:
                gathered, indices = held
                latest = segments_of(gathered.segments[-RECENT_ROWS:])
                rows += zip(indices[-RECENT_ROWS:].tolist(), latest, strict=True)
        return [segments for _, segments in sorted(rows)[-RECENT_ROWS:]]

    # State

    def to_state(self) -> SegmentRoutingState:
        """For a snapshot; keys are those of the stream's."""
        return SegmentRoutingState(
            main=self.main.to_state(),
            separate=[(own, monitor.to_state()) for own, monitor in self._separate.items()],
            gathering=[
                (own, None if held is None else (held[0].to_state(), held[1])) for own, held in self._gathering.items()
            ],
            late=[(own, late.to_state()) for own, late in self._late.items() if not late.empty],
        )

    @classmethod
    def from_state(cls, state: SegmentRoutingState, settings: DetectionSettings) -> SegmentRouting:
        """The monitors that `state` described."""
        routing = cls(ReferenceMonitor.from_state(state.main, settings))
        routing._separate = {own: ReferenceMonitor.from_state(held, settings) for own, held in state.separate}
        routing._gathering = {
            own: None if held is None else (StreamRows.from_state(held[0]), held[1]) for own, held in state.gathering
        }
        routing._late = {own: LateFeatures.from_state(late, settings) for own, late in state.late}
        return routing
