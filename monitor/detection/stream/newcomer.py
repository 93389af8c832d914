"""Stream names with few events, stored in a cheap form until there are enough to be worth a monitor.

An application that puts a request id where the stream's name belongs makes a new name with every event. A monitor takes
11 kB from its first event on, most of which it needs for the events to come; a name with one event and no more to come
is stored here as that event, compressed. A monitor that takes the rows over later is the same, bit for bit, as one that
had been there from the first row.

Pure.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import numpy as np

from monitor.detection.records.log_format import decode_message, encode
from monitor.detection.settings import DetectionSettings
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.features.batch import FeatureBatch

MAX_EVENTS = 4
"""Events with which a name is a newcomer still. No detector can find anything in so few, silence included (it needs
five windows with events before the gap), so nothing is found later than it would be by a monitor."""


def can_wait(settings: DetectionSettings) -> bool:
    """Whether a stream with these settings may begin as a newcomer.

    Not where the settings ask for a judgement from the first event on: silence after a stated time, objectives,
    a threshold that a few events may break.
    """
    few_decide = any(threshold.needed <= MAX_EVENTS for threshold in settings.thresholds)
    return settings.silence_after is None and not settings.slo and not few_decide


class NewcomerState(StateRecord):
    """Of `Newcomer`, with its turn in the log (`StreamInLog.turn`). Ids are bytes: one may hold half a character, which
    no text in a snapshot may."""

    turn: int
    ids: list[bytes]
    rows: tuple[bytes, ...]
    last_time: float | None
    clocks: tuple[float, ...]


class Newcomer:
    """A stream name with at most `MAX_EVENTS` events.

    Attributes
    ----------
    settings
        Those that its monitor will have.
    last_time
        The latest event time among them (seconds since 1970); None where no row has one.
    """

    __slots__ = ("_clocks", "_ids", "_rows", "last_time", "settings")

    def __init__(self, settings: DetectionSettings) -> None:
        self.settings = settings
        self.last_time: float | None = None
        self._ids: tuple[str, ...] = ()
        self._rows: tuple[bytes, ...] = ()
        self._clocks: tuple[float, ...] = ()

    @property
    def events(self) -> int:
        """Rows kept."""
        return len(self._ids)

    def takes(self, rows: FeatureBatch) -> bool:
        """Whether it stays a newcomer with these rows: few enough, and no id twice (only a monitor compares those)."""
        ids = [*self._ids, *rows.ids]
        return len(ids) <= MAX_EVENTS and len(set(ids)) == len(ids)

    def hold(self, rows: FeatureBatch, clock: float) -> None:
        """Keep rows that it `takes`, and where the log's clock stood when they came (NaN before its first tick)."""
        self._ids = (*self._ids, *rows.ids)
        parts = [zlib.compress(part, 1) for part in encode(rows)]
        self._rows = (*self._rows, *parts)
        self._clocks = (*self._clocks, *(clock for _ in parts))
        known = rows.times[np.isfinite(rows.times)]
        if len(known):
            self.last_time = max(float(known.max()), -math.inf if self.last_time is None else self.last_time)

    def rows(self) -> Iterator[tuple[FeatureBatch, float]]:
        """The rows as they came, message by message, each with the log's clock."""
        for part, clock in zip(self._rows, self._clocks, strict=True):
            batch = decode_message(zlib.decompress(part))
            assert isinstance(batch, FeatureBatch)
            yield batch, clock

    def to_state(self, turn: int) -> NewcomerState:
        """For a snapshot."""
        ids = [one.encode("utf-8", "surrogatepass") for one in self._ids]
        return NewcomerState(turn, ids, self._rows, self.last_time, self._clocks)

    @classmethod
    def from_state(cls, state: NewcomerState, settings: DetectionSettings) -> Newcomer:
        """The newcomer that `state` described."""
        newcomer = cls(settings)
        newcomer._ids = tuple(one.decode("utf-8", "surrogatepass") for one in state.ids)
        newcomer._rows, newcomer._clocks = state.rows, state.clocks
        newcomer.last_time = state.last_time
        return newcomer
