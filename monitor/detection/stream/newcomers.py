"""`Newcomers`: the names of a partition that are newcomers, and what their status is.

`monitor.detection.stream.partition_monitor` asks which of them gives way when there are more names than allowed. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from monitor.detection.records.status import StreamStatus
from monitor.detection.settings import DetectionSettings
from monitor.detection.stream.newcomer import Newcomer
from monitor.detection.stream.stream_in_log import StreamInLog
from monitor.detection.stream.stream_monitor import StreamMonitor
from monitor.features.base import FeatureSpec

MAX_STATUSES = 16
"""Settings whose status without events is kept: an installation has a handful of them for thousands of streams."""


class Newcomers:
    """Names by when they were last seen."""

    def __init__(self, specs: Sequence[FeatureSpec] | None) -> None:
        self._specs = specs
        self._names: dict[str, None] = {}  # seen least recently first
        self._in_order = True  # whether they are: not right after a restore
        self._statuses: list[tuple[DetectionSettings, StreamStatus]] = []

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str) -> None:
        """A name is a newcomer, seen now."""
        self._names[name] = None

    def restore(self, name: str) -> None:
        """A name is a newcomer, seen some time ago (`StreamInLog.turn`)."""
        self._names[name] = None
        self._in_order = False

    def seen(self, name: str) -> None:
        """Rows of this newcomer came."""
        self._names[name] = self._names.pop(name)

    def remove(self, name: str) -> None:
        """A name is no newcomer any more."""
        self._names.pop(name, None)

    def least_recent(self, streams: Mapping[str, StreamInLog]) -> str | None:
        """The newcomer that was seen least recently, if there is one."""
        if not self._in_order:
            self._names = dict.fromkeys(sorted(self._names, key=lambda name: streams[name].turn))
            self._in_order = True
        return next(iter(self._names), None)

    def status(self, stream: str, newcomer: Newcomer) -> StreamStatus:
        """As its monitor would report it, without making a monitor for each name."""
        status = next((known for settings, known in self._statuses if settings is newcomer.settings), None)
        if status is None:
            status = StreamMonitor("", newcomer.settings, self._specs).status()
            # Streams with the same settings share one object; the latest few are kept.
            self._statuses = [(newcomer.settings, status), *self._statuses[: MAX_STATUSES - 1]]
        events = newcomer.events
        return msgspec.structs.replace(
            status, stream=stream, events=events, learned=events, last_event_time=newcomer.last_time
        )
