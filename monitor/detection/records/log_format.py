"""What travels in the log `oqm.features`: batches of feature rows, ticks and control rows, as versioned msgpack.

A message is one msgpack map with `v` (format version) and `kind` (`rows`, `tick` or `control`). Rows are columnar:
numbers as little-endian arrays, strings as one UTF-8 text with the length of each, strings that repeat (streams,
categories, segments) as a table of the distinct ones and a code per row. Decoding gives back exactly what was encoded.

Pure. May import `monitor.detection.records.control`, `monitor.features` and `monitor.errors` only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Sized
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.records.control import Control
from monitor.errors import InvalidEvent, StateError
from monitor.features.batch import FeatureBatch
from monitor.features.families.dependencies import NO_CALLS, Called, Calls
from monitor.features.keyed import NO_KEYED, Keyed

VERSION = 1  # of messages in oqm.features: raised by a change that workers of today would misread
MAX_MESSAGE_BYTES = 900_000
"""Below the 1,000,000 bytes that brokers and clients accept by default, with room for the record's own header."""

_ABSENT = -1  # code of a missing category


class Tick(msgspec.Struct, frozen=True, tag_field="kind", tag="tick"):
    """Event time in a detect partition's log: seconds since 1970, of all its streams, or of `stream` alone.

    A worker's ticks are for all streams; those of a replay follow from one stream's rows and are for that stream.
    """

    time: float
    stream: str | None = None
    v: int = VERSION


class _Text(msgspec.Struct, array_like=True):
    """n strings as one UTF-8 text (lone surrogates pass) and n lengths in characters (uint32)."""

    text: bytes
    lengths: bytes


class _Coded(msgspec.Struct, array_like=True):
    """n strings or None as codes (int32) into a table."""

    table: _Text
    codes: bytes


class _Calls(msgspec.Struct, array_like=True):
    """What n events say of the dependencies they called: how many each (uint32), and a column for each fact of those.

    Columns are names, seconds (float32), failed (uint8) and shapes.
    """

    counts: bytes
    names: _Coded
    durations: bytes
    failed: bytes
    shapes: _Coded


class _KeyedRows(msgspec.Struct, array_like=True):
    """What n events say under names with a key: how many names each (uint32), and of each name its value.

    A value is a number (float32), or a text; where there is a text the number is NaN and counts for nothing.
    """

    counts: bytes
    names: _Coded
    numbers: bytes
    texts: _Coded


class _Rows(msgspec.Struct, tag_field="kind", tag="rows"):
    n: int
    names: list[str]
    values: bytes
    streams: _Coded
    ids: _Text
    times: bytes
    digests: bytes
    source: str
    source_partitions: bytes
    source_offsets: bytes
    segments: list[list[tuple[bytes, bytes]]]
    segment_codes: bytes
    input_excerpts: _Text
    output_excerpts: _Text
    categories: dict[str, _Coded]
    dimensions: int | None
    embeddings: bytes
    v: int = VERSION
    # Messages of older workers have none of these, and those workers skip them.
    calls: _Calls | None = None
    keyed: _KeyedRows | None = None
    strata: _Coded | None = None


class _ControlRow(msgspec.Struct, tag_field="kind", tag="control"):
    control: Control
    v: int = VERSION


class _Version(msgspec.Struct):
    v: int


Message: TypeAlias = FeatureBatch | Tick | Control

_encoder = msgspec.msgpack.Encoder()
_version = msgspec.msgpack.Decoder(_Version)
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(_Rows | Tick | _ControlRow)


def _text(strings: Sequence[str]) -> _Text:
    lengths = np.fromiter(map(len, strings), dtype="<u4", count=len(strings))
    return _Text("".join(strings).encode("utf-8", "surrogatepass"), lengths.tobytes())


def _strings(packed: _Text) -> list[str]:
    text = packed.text.decode("utf-8", "surrogatepass")
    lengths = np.frombuffer(packed.lengths, dtype="<u4").tolist()
    return [text[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]


class _Table(dict[Any, int]):
    """Codes of items in order of first appearance; a new item gets the next one. None has a separate one."""

    def __init__(self) -> None:
        super().__init__({None: _ABSENT})

    def __missing__(self, item: Any) -> int:
        code = self[item] = len(self) - 1
        return code

    def items_coded(self) -> list[Any]:
        """The items, by code."""
        return [item for item in self if item is not None]


def _codes(items: Sequence[Any], table: _Table) -> bytes:
    return np.fromiter(map(table.__getitem__, items), dtype="<i4", count=len(items)).tobytes()


class _Mappings(dict[tuple[tuple[str, str], ...], int]):
    """Codes of mappings, given as their pairs. Two that differ in order alone have one code.

    Pairs are kept sorted: the order in which a row's attributes are seen must not depend on which rows it travels with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table = _Table()

    def __missing__(self, pairs: tuple[tuple[str, str], ...]) -> int:
        code = self[pairs] = self.table[tuple(sorted(pairs))]
        return code


def _coded(strings: Sequence[str | None]) -> _Coded:
    table = _Table()
    codes = _codes(strings, table)
    return _Coded(_text(table.items_coded()), codes)


def _uncoded(packed: _Coded) -> list[str | None]:
    table: list[str | None] = [*_strings(packed.table), None]  # code -1 is the last one
    return [table[code] for code in np.frombuffer(packed.codes, dtype="<i4").tolist()]


def _calls_coded(calls: Sequence[Calls]) -> _Calls:
    called = [one for each in calls for one in each.values()]
    return _Calls(
        np.fromiter(map(len, calls), dtype="<u4", count=len(calls)).tobytes(),
        _coded([name for each in calls for name in each]),
        np.fromiter((one.duration_s for one in called), dtype="<f4", count=len(called)).tobytes(),
        np.fromiter((one.failed for one in called), dtype="<u1", count=len(called)).tobytes(),
        _coded([one.shape for one in called]),
    )


def _calls_uncoded(packed: _Calls) -> list[Calls]:
    counts = np.frombuffer(packed.counts, dtype="<u4").tolist()
    names = _uncoded(packed.names)
    called = list(
        map(
            Called,
            np.frombuffer(packed.durations, dtype="<f4").tolist(),
            np.frombuffer(packed.failed, dtype="<u1").astype(bool).tolist(),
            _uncoded(packed.shapes),
        )
    )
    if not sum(counts) == len(names) == len(called):
        raise ValueError("columns of unequal length")
    return [
        {str(name): one for name, one in zip(names[start:end], called[start:end], strict=True)}
        if start < end
        else NO_CALLS
        for start, end in pairwise(accumulate(counts, initial=0))
    ]


def _keyed_coded(keyed: Sequence[Keyed]) -> _KeyedRows:
    values = [value for each in keyed for value in each.values()]
    return _KeyedRows(
        np.fromiter(map(len, keyed), dtype="<u4", count=len(keyed)).tobytes(),
        _coded([name for each in keyed for name in each]),
        np.array([np.nan if isinstance(value, str) else value for value in values], dtype="<f4").tobytes(),
        _coded([value if isinstance(value, str) else None for value in values]),
    )


def _keyed_uncoded(packed: _KeyedRows) -> list[Keyed]:
    counts = np.frombuffer(packed.counts, dtype="<u4").tolist()
    names, texts = _uncoded(packed.names), _uncoded(packed.texts)
    numbers = np.frombuffer(packed.numbers, dtype="<f4").tolist()
    if not sum(counts) == len(names) == len(texts) == len(numbers):
        raise ValueError("columns of unequal length")
    values = [number if text is None else text for number, text in zip(numbers, texts, strict=True)]
    return [
        {str(name): value for name, value in zip(names[start:end], values[start:end], strict=True)}
        if start < end
        else NO_KEYED
        for start, end in pairwise(accumulate(counts, initial=0))
    ]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _array(values: NDArray[Any], dtype: str) -> bytes:
    return np.ascontiguousarray(values, dtype=dtype).tobytes()


def _encode_rows(batch: FeatureBatch) -> bytes:
    n = len(batch)
    mappings = _Mappings()
    pairs = map(tuple, map(dict.items, batch.segments))
    segment_codes = np.fromiter(map(mappings.__getitem__, pairs), dtype="<i4", count=n)
    embeddings = batch.embeddings
    return _encoder.encode(
        _Rows(
            n=n,
            names=list(batch.names),
            values=_array(batch.values, "<f4"),
            streams=_coded(batch.streams),
            ids=_text(batch.ids),
            times=_array(batch.times, "<f8"),
            digests=_array(batch.digests, "<u8"),
            source=batch.source,
            source_partitions=_array(batch.source_partitions, "<i4"),
            source_offsets=_array(batch.source_offsets, "<i8"),
            segments=[
                [(_bytes(key), _bytes(value)) for key, value in mapping] for mapping in mappings.table.items_coded()
            ],
            segment_codes=segment_codes.tobytes(),
            input_excerpts=_text(batch.input_excerpts),
            output_excerpts=_text(batch.output_excerpts),
            categories={name: _coded(column) for name, column in batch.categories.items()},
            dimensions=None if embeddings is None else embeddings.shape[1],
            embeddings=b"" if embeddings is None else _array(embeddings, "<f2"),
            calls=None if batch.calls is None else _calls_coded(batch.calls),
            keyed=None if batch.keyed is None else _keyed_coded(batch.keyed),
            strata=None if batch.strata is None else _coded(batch.strata),
        )
    )


def encode(batch: FeatureBatch, limit: int = MAX_MESSAGE_BYTES) -> list[bytes]:
    """The batch as one message, or as several in row order where one would be larger than `limit` bytes.

    Raises `StateError` where a single row is larger than that.
    """
    message = _encode_rows(batch)
    if len(message) <= limit:
        return [message]
    if len(batch) <= 1:
        raise StateError(f"one row takes {len(message)} bytes, a message may take {limit}")
    parts = min(len(batch), len(message) // limit + 1)
    return [part for rows in np.array_split(np.arange(len(batch)), parts) for part in encode(batch.take(rows), limit)]


def encode_tick(time: float, stream: str | None = None) -> bytes:
    """A tick as one message, for all streams or for one; `time` in seconds since 1970."""
    return _encoder.encode(Tick(time, stream))


def encode_control(control: Control) -> bytes:
    """A control row as one message."""
    return _encoder.encode(_ControlRow(control))


def decode_message(message: bytes) -> Message:
    """What a message of `oqm.features` holds.

    Arrays of a batch are read-only views of the message. Raises `InvalidEvent` for bytes that are no such message, and
    `StateError` for a format version that this code does not read.
    """
    try:
        version = _version.decode(message).v
        if version != VERSION:
            raise StateError(
                f"a message of oqm.features has format version {version}, this worker reads {VERSION}: "
                "upgrade the detect workers before the featurize workers"
            )
        row = _decoder.decode(message)
        if isinstance(row, Tick):
            return row
        if isinstance(row, _ControlRow):
            return row.control
        return _decode_rows(row)
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise InvalidEvent("not_features", f"not a message of oqm.features: {error}") from error


def _decode_rows(rows: _Rows) -> FeatureBatch:
    n = rows.n
    mappings = [
        {key.decode("utf-8", "surrogatepass"): value.decode("utf-8", "surrogatepass") for key, value in mapping}
        for mapping in rows.segments
    ]
    streams = _uncoded(rows.streams)
    batch = FeatureBatch(
        names=tuple(rows.names),
        values=np.frombuffer(rows.values, dtype="<f4").reshape(n, len(rows.names)),
        streams=[stream for stream in streams if stream is not None],
        ids=_strings(rows.ids),
        times=np.frombuffer(rows.times, dtype="<f8"),
        digests=np.frombuffer(rows.digests, dtype="<u8"),
        source=rows.source,
        source_partitions=np.frombuffer(rows.source_partitions, dtype="<i4"),
        source_offsets=np.frombuffer(rows.source_offsets, dtype="<i8"),
        segments=[mappings[code] for code in np.frombuffer(rows.segment_codes, dtype="<i4").tolist()],
        input_excerpts=_strings(rows.input_excerpts),
        output_excerpts=_strings(rows.output_excerpts),
        categories={name: _uncoded(column) for name, column in rows.categories.items()},
        embeddings=None
        if rows.dimensions is None
        else np.frombuffer(rows.embeddings, dtype="<f2").reshape(n, rows.dimensions),
        calls=None if rows.calls is None else _calls_uncoded(rows.calls),
        keyed=None if rows.keyed is None else _keyed_uncoded(rows.keyed),
        strata=None if rows.strata is None else _uncoded(rows.strata),
    )
    columns: tuple[Sized, ...] = (
        batch.streams,
        batch.ids,
        batch.times,
        batch.digests,
        batch.source_partitions,
        batch.source_offsets,
        batch.segments,
        batch.input_excerpts,
        batch.output_excerpts,
        *batch.categories.values(),
        *([] if batch.calls is None else [batch.calls]),
        *([] if batch.keyed is None else [batch.keyed]),
        *([] if batch.strata is None else [batch.strata]),
    )
    if any(len(column) != n for column in columns):
        raise ValueError("columns of unequal length")
    return batch


@lru_cache(maxsize=65_536)
def partition_for(stream: str, n_partitions: int) -> int:
    """The detect partition of a stream: the same everywhere and for good, from 0 to `n_partitions` - 1."""
    digest = hashlib.blake2b(_bytes(stream), digest_size=8).digest()
    return int.from_bytes(digest, "big") % n_partitions
