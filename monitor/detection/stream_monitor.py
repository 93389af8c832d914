"""`StreamMonitor`: watches one stream, from feature rows to findings. Being written; the interface stands."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.detection.control import Control
from monitor.detection.finding import Finding
from monitor.detection.settings import DetectionSettings
from monitor.detection.status import StreamState, StreamStatus
from monitor.features.base import FeatureSpec
from monitor.features.batch import FeatureBatch


class StreamMonitor:
    """Watches one stream."""

    def __init__(
        self, stream: str, settings: DetectionSettings | None = None, specs: Sequence[FeatureSpec] | None = None
    ) -> None:
        self.stream = stream
        self.settings = settings or DetectionSettings()
        self.specs = tuple(specs or ())
        self.events = 0

    def observe(self, batch: FeatureBatch) -> list[Finding]:
        """Take rows of this stream, in log order."""
        self.events += len(batch)
        return []

    def waits_for(self, time: float) -> bool:
        """Whether a tick at `time` could change anything (rows waiting, silence due)."""
        return False

    def tick(self, time: float) -> list[Finding]:
        """Event time has reached `time` (seconds since 1970)."""
        return []

    def control(self, control: Control) -> list[Finding]:
        """A decision takes effect here."""
        return []

    def close(self) -> list[Finding]:
        """End of a replay: judge the rows still waiting for their block to fill."""
        return []

    def snapshot(self) -> bytes:
        """The whole state as versioned plain data."""
        return msgspec.msgpack.encode({"events": self.events})

    def restore(self, data: bytes) -> None:
        """Take over a snapshot and go on bit for bit as the original would."""
        self.events = msgspec.msgpack.decode(data)["events"]

    def status(self) -> StreamStatus:
        """Where the stream stands now."""
        return StreamStatus(self.stream, StreamState.WARMING, self.events, None, [], 0, 0, float("-inf"), 5.0, {})
