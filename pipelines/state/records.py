"""The records of the state topic: streams' snapshots, anchors and partitions' positions; the key says which it is."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiokafka import ConsumerRecord

from monitor.detection.records.status import StreamStatus
from monitor.errors import StateError
from monitor.judgment.anchor_book import AnchorBookState

VERSION = 1
"""Of the format. A record of another version is refused: reading it wrongly would lose or repeat events."""
STREAM_PREFIX = b"stream/"
ANCHORS_PREFIX = b"anchors/"
POSITION_PREFIX = b"position/"


class StreamRecord(msgspec.Struct, frozen=True):
    """A stream as of position `at` of its detect partition (of `partitions`), in the features topic with id `topic`."""

    topic: str
    partitions: int
    at: int
    status: StreamStatus
    snapshot: bytes
    v: int = VERSION


class PositionRecord(msgspec.Struct, frozen=True):
    """The next offset to apply of a partition of the topic with id `topic`, which has `partitions`.

    `clock`: log times of the first and the latest tick before it, where a detect partition has had one.
    """

    topic: str
    partitions: int
    next: int
    v: int = VERSION
    clock: tuple[float, float] | None = None


class AnchorsRecord(msgspec.Struct, frozen=True):
    """The anchors of one criterion, as of the judgments in a topic with id `topic`."""

    topic: str
    book: AnchorBookState
    v: int = VERSION


class _Version(msgspec.Struct):
    v: int


_encoder = msgspec.msgpack.Encoder()
_version = msgspec.msgpack.Decoder(_Version)
_stream_record = msgspec.msgpack.Decoder(StreamRecord, strict=False)
_position_record = msgspec.msgpack.Decoder(PositionRecord)
_anchors_record = msgspec.msgpack.Decoder(AnchorsRecord)
R = TypeVar("R", StreamRecord, PositionRecord, AnchorsRecord)


def stream_key(stream: str) -> bytes:
    """The key of a stream's record; `stream_of` reverses it."""
    return STREAM_PREFIX + stream.encode("utf-8", "surrogatepass")


def stream_of(key: bytes) -> str:
    """The stream that the key of a stream's record names."""
    return key.removeprefix(STREAM_PREFIX).decode("utf-8", "surrogatepass")


def encode(record: StreamRecord | PositionRecord | AnchorsRecord) -> bytes:
    """The value of a message of the state topic."""
    return _encoder.encode(record)


def decode_stream(record: ConsumerRecord[bytes, bytes], value: bytes) -> StreamRecord:
    """The stream's record in `value` of `record`. Raises `StateError` for anything else and for another version."""
    return _decode(_stream_record, record, value)


def decode_position(record: ConsumerRecord[bytes, bytes], value: bytes) -> PositionRecord:
    """As `decode_stream`, for the record of a position."""
    return _decode(_position_record, record, value)


def decode_anchors(record: ConsumerRecord[bytes, bytes], value: bytes) -> AnchorsRecord:
    """As `decode_stream`, for the record of a criterion's anchors."""
    return _decode(_anchors_record, record, value)


def _decode(decoder: msgspec.msgpack.Decoder[R], record: ConsumerRecord[bytes, bytes], value: bytes) -> R:
    try:
        version = _version.decode(value).v
        if version != VERSION:
            raise StateError(
                f"{record.topic} holds state of format version {version}, this worker reads {VERSION}: "
                "run the version that wrote it, or stop all workers, delete the topic and run: oqm topics"
            )
        return decoder.decode(value)
    except msgspec.DecodeError as error:
        raise StateError(
            f"{record.topic} partition {record.partition} offset {record.offset} is not a checkpoint: {error}"
        ) from error
