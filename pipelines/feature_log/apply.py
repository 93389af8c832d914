"""Messages of `oqm.features`, decoded and applied to the monitor of their detect partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from monitor.detection import Finding, PartitionMonitor
from monitor.detection.records.control import Control
from monitor.detection.records.log_format import Tick, decode_message
from monitor.errors import InvalidEvent
from monitor.features.batch import FeatureBatch


class LogRecord(Protocol):
    """A message of one detect partition of `oqm.features`."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


def apply(monitor: PartitionMonitor, content: FeatureBatch | Tick | Control, offset: int) -> list[Finding]:
    """Apply what stands at `offset` of the log: rows, a tick or a control row."""
    if isinstance(content, FeatureBatch):
        return monitor.apply(content, offset)
    if isinstance(content, Tick):
        return monitor.tick(content.time, offset, content.stream)
    return monitor.control(content, offset)


def contents(
    log: Iterable[LogRecord], stream: str | None = None
) -> Iterator[tuple[int, FeatureBatch | Tick | Control]]:
    """Offset and content of each message of a partition; where a stream is named, what concerns it, and all ticks."""
    for record in log:
        try:
            content = decode_message(record.value or b"")
        except InvalidEvent:
            continue
        if stream is not None and isinstance(content, Control) and content.stream != stream:
            continue
        if stream is not None and isinstance(content, Tick) and content.stream not in (None, stream):
            continue
        if stream is not None and isinstance(content, FeatureBatch):
            own = np.flatnonzero([name == stream for name in content.streams])
            if not len(own):
                continue
            content = content.take(own)
        yield record.offset, content
