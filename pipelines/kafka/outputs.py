"""Outputs as applications published them, found in `oqm.outputs` by stream and time, by alert, or by id."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kafka.consumer.fetcher import ConsumerRecord

from monitor.errors import InvalidEvent
from monitor.events.decode import decode_event
from monitor.events.schema import OutputEvent
from monitor.settings import Settings
from pipelines.kafka.topic_window import TopicWindow, topic_window
from pipelines.kafka.topics import read_topics

AROUND_S = 1_800.0
"""Span on each side of an alert or event within which its neighbours are looked for by default."""


@dataclass(frozen=True, slots=True)
class Output:
    """An output event and its place in `oqm.outputs`."""

    event: OutputEvent
    partition: int
    offset: int

    @property
    def order(self) -> tuple[float, int, int]:
        """By time, then by place."""
        return (self.event.time or 0.0, self.partition, self.offset)


Wanted = Callable[[OutputEvent], bool]


def of_stream(stream: str) -> Wanted:
    """Whether an event is one of this stream."""
    return lambda event: event.stream == stream


class Outputs:
    """Finds outputs in the topic. `outputs_of` makes it."""

    def __init__(self, window: TopicWindow, topic: str) -> None:
        self._window = window
        self._topic = topic
        self.unreadable = 0
        """Messages met that are no output events; the worker has put them into the dead letters."""

    def newest(self, wanted: Wanted, limit: int, now_s: float, hint: bytes = b"") -> list[Output]:
        """The `limit` newest outputs that are wanted, oldest first."""
        found: list[Output] = []
        for part in self._window.backwards(now_s):
            missing = limit - len(found)
            found += heapq.nlargest(missing, self._decoded(part, wanted, hint), key=lambda one: one.order)
            if len(found) >= limit:
                break
        return sorted(found, key=lambda one: one.order)

    def since(
        self, wanted: Wanted, since_s: float, until_s: float | None, limit: int, hint: bytes = b""
    ) -> list[Output]:
        """The first `limit` outputs that are wanted from a moment on, oldest first."""
        found = self._decoded(self._window.between(since_s, until_s), wanted, hint)
        return heapq.nsmallest(limit, found, key=lambda one: one.order)

    def around(
        self, wanted: Wanted, moment_s: float, limit: int, span_s: float = AROUND_S, hint: bytes = b""
    ) -> list[Output]:
        """Half of `limit` outputs from before a moment, and the rest from then on, oldest first."""
        part = self._window.between(moment_s - span_s, moment_s + span_s)
        near = sorted(self._decoded(part, wanted, hint), key=lambda one: one.order)
        first = next((k for k, one in enumerate(near) if (one.event.time or 0.0) >= moment_s), len(near))
        start = max(0, min(first - limit // 2, len(near) - limit))
        return near[start : start + limit]

    def find(self, event_id: str, now_s: float, stream: str | None = None) -> Output | None:
        """The newest output with this id; one that the application gave none is named by its place in the topic."""
        topic, _, place = event_id.rpartition("/")[0].rpartition("/")
        offset = event_id.rpartition("/")[2]
        if topic == self._topic and place.isdecimal() and offset.isdecimal():
            record = self._window.at(int(place), int(offset))
            placed = [] if record is None else list(self._decoded([record], lambda event: event.id == event_id))
            if placed:
                return placed[0]
        wanted = self._is(event_id, stream)
        found = self.newest(wanted, 1, now_s, plain_part(event_id))
        return found[0] if found else None

    @staticmethod
    def _is(event_id: str, stream: str | None) -> Wanted:
        return lambda event: event.id == event_id and stream in (None, event.stream)

    def _decoded(self, records: Iterable[ConsumerRecord], wanted: Wanted, hint: bytes = b"") -> Iterator[Output]:
        """Those that are wanted; `hint`: bytes that a wanted message must hold, as looking is cheaper than decoding."""
        for record in records:
            if hint and hint not in (record.value or b"") and not _says(record, hint):
                continue
            try:
                decoded = decode_event(
                    record.value,
                    record.headers or (),
                    default_id=f"{self._topic}/{record.partition}/{record.offset}",
                    timestamp=record.timestamp / 1000.0,
                )
            except InvalidEvent:
                self.unreadable += 1
                continue
            if wanted(decoded.event):
                yield Output(decoded.event, record.partition, record.offset)


def _says(record: ConsumerRecord, hint: bytes) -> bool:
    """Whether a header holds the bytes: CloudEvents in binary mode carry their id there."""
    return any(value is not None and hint in value for _, value in record.headers or ())


def plain_part(name: str) -> bytes:
    """Bytes that each message with this name holds: the first part of the name that no JSON writer escapes.

    The first, as the end of a stream's name may have been made by the reader (`service/chat`).
    """
    plain = re.match(r"[A-Za-z0-9_.-]+", name)
    return plain[0].encode() if plain else b""


@contextmanager
def outputs_of(settings: Settings) -> Iterator[Outputs]:
    """The outputs topic of these settings. Raises `BrokerError` where Kafka or the topic is not there."""
    facts = read_topics(settings.broker, settings.topics).outputs
    with topic_window(settings.broker, facts.name, facts.partitions) as window:
        yield Outputs(window, facts.name)
