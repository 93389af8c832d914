"""Dead letters of detect: rows that one stream's monitor could not judge, taken out of the message they came in.

The value is a message of `oqm.features` (`monitor.detection.records.log_format`) with these rows alone, so nothing
measured is lost. The headers say what a person or a program needs in order to publish the events again: the stream,
and for each row its partition and offset in `oqm.outputs` and its event id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from monitor.detection.records.log_format import encode
from monitor.detection.stream.failed_stream import Unjudged
from monitor.features.batch import FeatureBatch
from pipelines.kafka.dead_letters import EVENTS_HEADER, SOURCE_HEADER, STREAM_HEADER, DeadLetter
from pipelines.kafka.topics import TopicFacts

MOST_HEADER_BYTES = 32 * 2**10
"""Of `EVENTS_HEADER`; a letter that would need more becomes several. Brokers take more, viewers cut it."""


@dataclass(frozen=True)
class RowsMessage:
    """The message of a dead letter: as `ordered_buffer.Message`, with rows of one stream in place of all."""

    partition: int
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None
    value: bytes | None


def letters_of(
    unjudged: Unjudged, partition: int, offset: int, timestamp: int, outputs: TopicFacts
) -> Iterator[DeadLetter]:
    """The dead letters that hold the rows of `unjudged`; none where it has no rows.

    `partition`, `offset` and `timestamp` (ms) are those of the message of `oqm.features` that was being applied.
    """
    rows = unjudged.rows
    if rows is None or not len(rows):
        return
    events = _events(rows)
    if len(events) > MOST_HEADER_BYTES and len(rows) > 1:
        for half in np.array_split(np.arange(len(rows), dtype=np.intp), 2):
            part = Unjudged(unjudged.stream, unjudged.reason, unjudged.detail, rows=rows.take(half))
            yield from letters_of(part, partition, offset, timestamp, outputs)
        return
    source = outputs.name if rows.source == outputs.id else rows.source
    more = (
        (STREAM_HEADER, unjudged.stream.encode("utf-8", "surrogatepass")),
        (SOURCE_HEADER, source.encode("utf-8", "surrogatepass")),
        (EVENTS_HEADER, events[:MOST_HEADER_BYTES]),
    )
    for value in encode(rows):
        message = RowsMessage(partition, offset, timestamp, (), None, value)
        yield DeadLetter(message, unjudged.reason, unjudged.detail, more)


def _events(rows: FeatureBatch) -> bytes:
    places = zip(rows.source_partitions.tolist(), rows.source_offsets.tolist(), rows.ids, strict=True)
    clean = [(p, o, event_id.encode("utf-8", "replace").decode()) for p, o, event_id in places]
    return msgspec.json.encode(clean)
