"""The outputs of one stream around a change, found in `oqm.features`.

A finding counts a stream's events; where those stand in `oqm.outputs` say the feature rows. They are read backwards
from the log's end, as an alert is mostly seconds old, and then forwards as new ones come.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kafka import TopicPartition

from monitor.alerting.alert import Alert
from monitor.detection.records.finding import Driver
from monitor.detection.records.log_format import decode_message, partition_for
from monitor.errors import InvalidEvent
from monitor.features.batch import FeatureBatch
from monitor.judgment.records import Side
from pipelines.kafka.topics import TopicMap

FIRST_PART = 32
"""Messages of the log that are read first, backwards; each further part has twice as many."""
MOST_MESSAGES = 20_000
"""Messages that are read backwards, at most: some hours of a busy partition, and some ten seconds of work."""
POLL_MS = 200
LEAST_OF_SEGMENT = 8
"""Outputs of a changed segment from before the change that are enough to be compared alone; with fewer (a new version
has none) the outputs of all segments are what was before."""


class Row(NamedTuple):
    """One output of the stream, in the order of the log: where it stands in `oqm.outputs`, and its segments."""

    event: str
    time: float
    digest: int
    partition: int
    offset: int
    segments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sides:
    """Rows before and since a change, oldest first.

    `lacking` says why there are few, empty where there are enough. `have_come`: there are enough since the change,
    which is the side on which more come.
    """

    rows: Mapping[Side, Sequence[Row]]
    lacking: str = ""
    have_come: bool = True


class StreamRows:
    """Rows of the stream of one alert.

    Parameters
    ----------
    consumer
        Reads `oqm.features` for this object alone while it is called; has no group.
    topics
        The topics as they are.
    alert
        A firing alert.
    """

    def __init__(self, consumer: Any, topics: TopicMap, alert: Alert) -> None:
        self._consumer = consumer
        self._source = topics.outputs.id
        self._alert = alert
        self._where = TopicPartition(topics.features.name, partition_for(alert.stream, topics.features.partitions))
        self._rows: list[Row] = []
        self._next = 0

    def look_back(self, wanted: int) -> None:
        """Read backwards until there are `wanted` outputs before the change, or the log or `MOST_MESSAGES` end."""
        start = self._consumer.beginning_offsets([self._where])[self._where]
        end = self._consumer.end_offsets([self._where])[self._where]
        self._next = high = end
        size = FIRST_PART
        while high > start and end - high < MOST_MESSAGES:
            low = max(start, high - size)
            self._rows = [*self._read(low, high), *self._rows]
            if self._are_enough(wanted):
                return
            high, size = low, 2 * size

    def go_on(self) -> None:
        """Read what was written since."""
        end = self._consumer.end_offsets([self._where])[self._where]
        self._rows += self._read(self._next, end)
        self._next = max(self._next, end)

    def sides(self, wanted: int, known: Container[str] = ()) -> Sides:
        """Outputs with which each side has `wanted`: the last before the change, and since it spread to the latest.

        The rows of the change point's interval are on neither side. Since the first rows after a change are those by
        which it was found, later ones say as much of it and more of what goes on. `known` holds ids of outputs that
        are there already: they count, and are not given again.
        """
        rows, alert = _once(self._rows), self._alert
        before, after = self._split(rows)
        if alert.segment and alert.driver is not Driver.MIX:
            of_segment = [row for row in before if _is_of(row, alert.segment)]
            before = of_segment if len(of_segment) >= LEAST_OF_SEGMENT else before
            after = [row for row in after if _is_of(row, alert.segment)]
        sides, few = {}, []
        for side, words, there in ((Side.BEFORE, "before", before[-wanted:]), (Side.AFTER, "after", after)):
            fresh = [row for row in there if row.event not in known]
            sides[side] = spread(fresh, max(0, wanted - (len(there) - len(fresh))))
            if len(there) < wanted:
                few.append(f"{_number(len(there))} {words} the change found in the log")
        return Sides(sides, " and ".join(few), len(after) >= wanted)

    def _are_enough(self, wanted: int) -> bool:
        """Whether the change and enough before it are among the rows, of its segment where that is frequent enough."""
        before, _ = self._split(_once(self._rows))
        segment = self._alert.segment
        if not segment or self._alert.driver is Driver.MIX:
            return len(before) >= wanted
        # A segment of 5 % of the traffic has its outputs in 20 times as many.
        return sum(_is_of(row, segment) for row in before) >= wanted or len(before) >= 20 * wanted

    def _split(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """Rows surely before and surely since the change; both empty where the rows do not reach it."""
        began, raised = self._alert.began_at, self._alert.raised_at
        at = next((k for k in range(len(rows) - 1, -1, -1) if rows[k].event == raised.event_id), None)
        if at is not None:
            first = raised.index - at  # the stream's number of the oldest row here
            low, high = began.low - first, began.high - first
            return list(rows[: max(0, low)]), list(rows[max(0, high) :])
        if began.time is None:
            return [], []
        return [row for row in rows if row.time < began.time], [row for row in rows if row.time >= began.time]

    def _read(self, start: int, stop: int) -> list[Row]:
        """The stream's rows in the messages from one offset to before another."""
        if start >= stop:
            return []
        rows: list[Row] = []
        named = self._alert.stream.encode("utf-8", "surrogatepass")
        self._consumer.assign([self._where])
        self._consumer.seek(self._where, start)
        while self._consumer.position(self._where) < stop:
            for record in self._consumer.poll(timeout_ms=POLL_MS).get(self._where, []):
                # A look at the bytes costs a hundredth of decoding, and most messages may be of other streams.
                if record.offset < stop and named in (record.value or b""):
                    rows += self._rows_of(record.value)
        return rows

    def _rows_of(self, message: bytes) -> Iterable[Row]:
        try:
            batch = decode_message(message)
        except InvalidEvent:  # detect has put it into the dead letters
            return []
        if not isinstance(batch, FeatureBatch) or batch.source != self._source:
            return []
        stream = self._alert.stream
        return [
            Row(
                batch.ids[k],
                float(batch.times[k]),
                int(batch.digests[k]),
                int(batch.source_partitions[k]),
                int(batch.source_offsets[k]),
                batch.segments[k],
            )
            for k in range(len(batch))
            if batch.streams[k] == stream
        ]


def spread(rows: Sequence[Row], wanted: int) -> list[Row]:
    """At most `wanted` of the rows, at equal distances, the first and the last among them."""
    if len(rows) <= wanted:
        return list(rows)
    if wanted < 2:
        return list(rows[len(rows) - wanted :])
    return [rows[round(k * (len(rows) - 1) / (wanted - 1))] for k in range(wanted)]


def _once(rows: Iterable[Row]) -> list[Row]:
    """Without rows that stand in the log again, as detection counts them: same place, or same id and content."""
    places: set[tuple[int, int]] = set()
    contents: set[tuple[str, int]] = set()
    kept = []
    for row in rows:
        if (row.partition, row.offset) in places or (row.event, row.digest) in contents:
            continue
        places.add((row.partition, row.offset))
        contents.add((row.event, row.digest))
        kept.append(row)
    return kept


def _is_of(row: Row, segment: Mapping[str, str]) -> bool:
    return all(row.segments.get(name) == value for name, value in segment.items())


def _number(count: int) -> str:
    return f"only {count} outputs" if count != 1 else "only 1 output"
