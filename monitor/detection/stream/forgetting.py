"""When a stream without events is forgotten.

Looked for once in an hour of log time, and decided by the hour alone, so that a restart within it decides the same.
Two looks must agree: one tick of a worker whose clock is wrong must not cost every reference. Pure.
"""

from __future__ import annotations

import math
from enum import Enum, auto

from monitor.detection.stream.failed_stream import FailedStream
from monitor.detection.stream.stream_in_log import StreamInLog

LOOK_EVERY_S = 3600.0
"""Log time between two looks for streams to forget. Each walks over all streams; `forget_after` is at least a day."""


class Look(Enum):
    """What a look found of one stream."""

    NOTHING = auto()  # its place has not changed
    CHANGED = auto()  # what is remembered of it has changed, and must be written
    FORGET = auto()


def hour_of(time: float) -> float:
    """The hour of a log time, as the time at which it began."""
    return time // LOOK_EVERY_S * LOOK_EVERY_S


def look(stream: StreamInLog, hour: float, began: float) -> Look:
    """One stream's part of a look in this hour; `began` is the time of the log's first tick."""
    if isinstance(stream.monitor, FailedStream):
        return Look.NOTHING  # a stream that failed waits for a person
    seen = began if math.isnan(stream.seen) else stream.seen
    if seen > hour + LOOK_EVERY_S:  # the clock was set back
        stream.seen = hour
        return Look.CHANGED
    if hour - seen <= stream.monitor.settings.forget_after:
        if math.isnan(stream.doubted):
            return Look.NOTHING
        stream.doubted = math.nan
        return Look.CHANGED
    if math.isnan(stream.doubted):
        stream.doubted = hour
        return Look.CHANGED
    return Look.FORGET if hour > stream.doubted else Look.NOTHING
