"""`PartitionMonitor`: all streams of one detect partition, and the rules that make an effect happen exactly once.

A stream's state carries the offset in `oqm.features` up to which it was applied, and per source partition the highest
source offset applied (the fence). So a message that comes again, or rows that featurize sent twice, change nothing.
Pure: what it returns is a function of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from monitor.detection.control import Action, Control
from monitor.detection.finding import Finding
from monitor.detection.plain import decode
from monitor.detection.settings import DetectionSettings
from monitor.detection.stream_monitor import StreamMonitor
from monitor.features.base import FeatureSpec
from monitor.features.batch import FeatureBatch

FORMAT = 1


class _Owned:
    """A stream with its place in the log."""

    __slots__ = ("applied", "fence", "monitor")

    def __init__(self, monitor: StreamMonitor) -> None:
        self.monitor = monitor
        self.applied = -1
        self.fence: dict[str, dict[int, int]] = {}

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


class PartitionMonitor:
    """Streams by name, created when first seen.

    Parameters
    ----------
    settings_for
        Detection settings of a stream by its name.
    specs
        Declarations of the features that batches carry; none: the features of the default registry.
    """

    def __init__(
        self,
        settings_for: Callable[[str], DetectionSettings] | None = None,
        specs: Sequence[FeatureSpec] | None = None,
    ) -> None:
        self._settings_for = settings_for or (lambda _stream: DetectionSettings())
        self._specs = specs
        self._owned: dict[str, _Owned] = {}
        self._changed: set[str] = set()

    @property
    def streams(self) -> dict[str, StreamMonitor]:
        """The streams' monitors by name."""
        return {name: owned.monitor for name, owned in self._owned.items()}

    def _own(self, stream: str) -> _Owned:
        owned = self._owned.get(stream)
        if owned is None:
            owned = self._owned[stream] = _Owned(StreamMonitor(stream, self._settings_for(stream), self._specs))
        return owned

    def apply(self, batch: FeatureBatch, offset: int) -> list[Finding]:
        """Apply one message of `oqm.features` at `offset`; rows applied before are dropped."""
        findings: list[Finding] = []
        for stream, rows in batch.by_stream():
            owned = self._own(stream)
            if offset <= owned.applied:
                continue
            fresh = owned.fresh_rows(rows)
            if fresh is not None:
                findings += owned.monitor.observe(fresh)
            owned.applied = offset
            self._changed.add(stream)
        return findings

    def tick(self, time: float, offset: int, stream: str | None = None) -> list[Finding]:
        """Event time has reached `time`, for every stream here or for `stream` alone; one without rows has no ticks."""
        findings: list[Finding] = []
        ticked = self._owned if stream is None else {stream: self._owned[stream]} if stream in self._owned else {}
        for stream, owned in ticked.items():
            if offset <= owned.applied:
                continue
            if owned.monitor.waits_for(time):
                findings += owned.monitor.tick(time)
                owned.applied = offset
                self._changed.add(stream)
        return findings

    def control(self, control: Control, offset: int) -> list[Finding]:
        """A decision about one stream takes effect at `offset`."""
        owned = self._own(control.stream)
        if offset <= owned.applied:
            return []
        findings = owned.monitor.control(control)
        owned.applied = offset
        self._changed.add(control.stream)
        return findings

    def outdated(self) -> list[Control]:
        """Control rows that bring streams restored under other settings to those they should have now.

        Settings take effect at an offset of the log like everything else, so that a pass over it finds the same.
        """
        return [
            Control(action=Action.SETTINGS, stream=stream, data=wanted.model_dump(mode="json"), by="configuration")
            for stream, owned in self._owned.items()
            if (wanted := self._settings_for(stream)) != owned.monitor.settings
        ]

    def close(self) -> list[Finding]:
        """End of a replay: judge what still waits, stream by stream."""
        return [finding for owned in self._owned.values() for finding in owned.monitor.close()]

    def changed(self) -> dict[str, bytes]:
        """Snapshots of the streams that changed since the last call."""
        snapshots = {}
        for stream in sorted(self._changed):
            owned = self._owned[stream]
            record: dict[str, Any] = {
                "format": FORMAT,
                "applied": owned.applied,
                "fence": owned.fence,
                "monitor": owned.monitor.snapshot(),
            }
            snapshots[stream] = msgspec.msgpack.encode(record)
        self._changed.clear()
        return snapshots

    def restore(self, stream: str, snapshot: bytes, *, new_log: bool = False) -> None:
        """Take over a stream's snapshot; an older one than what is held is ignored.

        `new_log`: the snapshot is of another incarnation of `oqm.features`; its place in that log says nothing here.
        """
        record = decode(snapshot, FORMAT, stream)
        owned = self._own(stream)
        if record["applied"] < owned.applied:
            return
        owned.applied = -1 if new_log else record["applied"]
        owned.fence = {source: {int(p): o for p, o in fence.items()} for source, fence in record["fence"].items()}
        owned.monitor.restore(record["monitor"])
