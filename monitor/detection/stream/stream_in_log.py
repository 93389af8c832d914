"""`StreamInLog`: one stream of a partition with its place in the log, and how that is written. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np

from monitor.detection.records.finding import Finding, State
from monitor.detection.stream.failed_stream import FailedStream
from monitor.detection.stream.newcomer import Newcomer
from monitor.detection.stream.stream_monitor import StreamMonitor
from monitor.features.batch import FeatureBatch

FORMAT = 1
"""Of snapshots of a stream with its place; the monitor's own state in them has a format of its own."""

Watched: TypeAlias = StreamMonitor | FailedStream | Newcomer


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
        In a replay, time of its own latest tick; NaN where ticks are for all streams.
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

    def note(self, findings: Sequence[Finding]) -> None:
        """Remember which of these fire from now on."""
        for finding in findings:
            if finding.state is State.FIRING:
                self.open[finding.id] = finding
            elif finding.state is State.RESOLVED:
                self.open.pop(finding.id, None)

    # State. A record holds the place, and under one of the keys `monitor`, `failed` and `newcomer` what watches.

    def record(self) -> dict[str, Any]:
        """The place in the log as plain data, without what watches the stream and without open findings."""
        return {
            "format": FORMAT,
            "applied": self.applied,
            "fence": self.fence,
            "seen": _none_for_nan(self.seen),
            "doubted": _none_for_nan(self.doubted),
        }

    def open_plain(self) -> list[Any]:
        """The findings that fire as plain data."""
        return [msgspec.to_builtins(finding) for finding in self.open.values()]

    @classmethod
    def from_record(cls, monitor: Watched, record: dict[str, Any], *, new_log: bool) -> StreamInLog:
        """The place that a record described, for a restored monitor.

        `new_log`: the record is of another incarnation of the log; its offset says nothing here. Versions up to 93e1875
        wrote no `seen` and `doubted`.
        """
        stream = cls(monitor)
        stream.applied = -1 if new_log else record["applied"]
        stream.fence = {source: {int(p): o for p, o in fence.items()} for source, fence in record["fence"].items()}
        stream.seen = _nan_for_none(record.get("seen"))
        stream.doubted = _nan_for_none(record.get("doubted"))
        stream.saved = True
        stream.open = {plain["id"]: msgspec.convert(plain, Finding) for plain in record.get("open", [])}
        return stream


def _nan_for_none(value: float | None) -> float:
    return math.nan if value is None else value


def _none_for_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
