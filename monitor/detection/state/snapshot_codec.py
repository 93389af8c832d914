"""How state is written: one typed record for each class that has state, arrays as dtype, shape and bytes.

A class with state has a `StateRecord` beside it, and makes one with `to_state`; `from_state` (or `restore`, where the
object needs more than its state) takes it back, bit for bit. Records hold no code. A record may share lists and arrays
with the object that made it: it is written at once and not kept.

`squeeze` and `unsqueeze` are for a stream's snapshot, `encode` and `decode` for a record that holds such snapshots;
`to_plain` and `from_plain` for state inside a detector's snapshot, which is plain data by its protocol. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, TypeVar, get_origin

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.errors import StateError

COMPRESSION = 5
"""Of zlib: two thirds of the size for a millisecond. A checkpoint writes every changed stream."""


class StateRecord(msgspec.Struct, array_like=True):
    """Base of the records of state. On the wire a record is an array of its fields, without their names."""


R = TypeVar("R", bound=msgspec.Struct)
Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes a record of an earlier format as plain data, and returns it in the present one. Raises `StateError` where it
does not know the format."""


def pack(array: NDArray[Any]) -> list[Any]:
    """An array as [dtype, shape, bytes], little-endian, C order."""
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return [little.dtype.str, list(little.shape), little.tobytes()]


def unpack(plain: list[Any]) -> NDArray[Any]:
    """The array that `pack` encoded, writable."""
    try:
        dtype, shape, data = plain
        return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape).copy()
    except (TypeError, ValueError) as wrong:
        raise StateError(f"snapshot holds an array that cannot be read: {wrong}") from wrong


def _written(item: Any) -> Any:
    """msgspec's hook for what it cannot write itself."""
    if isinstance(item, np.ndarray):
        return pack(item)
    raise NotImplementedError(f"state cannot hold {type(item).__name__}")


def _read(kind: Any, plain: Any) -> Any:
    """msgspec's hook for what it cannot read itself."""
    if (get_origin(kind) or kind) is np.ndarray:
        return unpack(plain)
    raise NotImplementedError(f"state cannot hold {kind}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_written)


class _Version(msgspec.Struct):
    """What is read of a record before its format is known."""

    format: Any = None


def encode(record: msgspec.Struct) -> bytes:
    """A record as msgpack."""
    return _encoder.encode(record)


def decode(data: bytes, kind: type[R], expected: int, stream: str, migrate: Migration) -> R:
    """The record of this kind that `data` holds, `migrate`d where its format is not the expected one.

    Raises `StateError` where `data` is no record or of a format that `migrate` does not know, and
    `msgspec.ValidationError` where the record lacks something or holds something else than `kind` says.
    """
    try:
        found = msgspec.msgpack.decode(data, type=_Version).format
        earlier: dict[str, Any] | None = None if found == expected else msgspec.msgpack.decode(data)
    except msgspec.DecodeError as wrong:
        raise StateError(f"stream {stream!r}: not a snapshot: {wrong}") from wrong
    if earlier is None:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_read)
    try:
        migrated = migrate(earlier)
    except StateError as wrong:
        raise StateError(
            f"stream {stream!r}: snapshot format {found!r}, this version reads {expected}: run the version that wrote "
            "it, or stop all workers, delete the state topic and run: oqm topics (references are learned again)"
        ) from wrong
    return from_plain(migrated, kind)


def squeeze(record: msgspec.Struct) -> bytes:
    """A record as compressed msgpack."""
    return zlib.compress(encode(record), COMPRESSION)


def unsqueeze(data: bytes, kind: type[R], expected: int, stream: str, migrate: Migration) -> R:
    """What `squeeze` made of a record; see `decode`."""
    try:
        plain = zlib.decompress(data)
    except zlib.error as wrong:
        raise StateError(f"stream {stream!r}: not a snapshot: {wrong}") from wrong
    return decode(plain, kind, expected, stream, migrate)


def to_plain(record: msgspec.Struct) -> Any:
    """A record as lists, dicts, numbers, strings and bytes."""
    return msgspec.to_builtins(record, enc_hook=_written, builtin_types=(bytes,))


def from_plain(plain: Any, kind: type[R]) -> R:
    """The record that `to_plain` encoded. Raises `msgspec.ValidationError` where it is none of this kind."""
    return msgspec.convert(plain, kind, dec_hook=_read)
