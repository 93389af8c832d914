"""How records of state are written and read, and what is refused."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.detection.detectors.chosen import PATIENCE
from monitor.detection.state import migration
from monitor.detection.state.snapshot_codec import (
    StateRecord,
    decode,
    encode,
    from_plain,
    squeeze,
    to_plain,
    unsqueeze,
)
from monitor.errors import StateError

FORMAT = 7


class Part(StateRecord):
    some: NDArray[np.float32]
    more: NDArray[np.int64] | None


class Whole(msgspec.Struct):
    format: int
    parts: dict[str, Part]


def whole() -> Whole:
    return Whole(FORMAT, {"a": Part(np.asarray([[1.0, np.nan]], dtype=np.float32), None), "b": part(np.arange(3))})


def part(more: NDArray[np.int64]) -> Part:
    return Part(np.empty((0, 4), dtype=np.float32), more)


def never(_: dict[str, object]) -> dict[str, object]:
    raise StateError("unknown format")


def test_arrays_come_back_with_type_shape_and_bits_and_can_be_written_to() -> None:
    read = unsqueeze(squeeze(whole()), Whole, FORMAT, "s", never)
    for name, expected in whole().parts.items():
        found = read.parts[name]
        assert (found.some.dtype, found.some.shape) == (expected.some.dtype, expected.some.shape)
        assert found.some.tobytes() == expected.some.tobytes()
        found.some[:] = 5
    assert read.parts["a"].more is None
    assert read.parts["b"].more is not None
    assert read.parts["b"].more.tolist() == [0, 1, 2]
    assert encode(from_plain(to_plain(whole()), Whole)) == encode(whole())


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode("x")])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(StateError, match="'s': not a snapshot"):
        decode(data, Whole, FORMAT, "s", never)


@pytest.mark.parametrize("found", [None, 6, 8, "x"])
def test_a_format_that_no_migration_knows_is_refused_with_what_to_do(found: object) -> None:
    with pytest.raises(StateError, match=r"'s': snapshot format .* this version reads 7: run the version that wrote"):
        decode(msgspec.msgpack.encode({"format": found}), Whole, FORMAT, "s", never)


def test_an_earlier_format_is_migrated() -> None:
    def migrate(old: dict[str, object]) -> dict[str, object]:
        return {"format": FORMAT, "parts": {old["name"]: to_plain(part(np.arange(2)))}}

    read = decode(msgspec.msgpack.encode({"format": 6, "name": "c"}), Whole, FORMAT, "s", migrate)
    assert encode(read) == encode(Whole(FORMAT, {"c": part(np.arange(2))}))


@pytest.mark.parametrize("parts", [{"a": [1, None]}, {"a": []}, 5])
def test_a_record_of_the_right_format_with_something_else_in_it_is_refused(parts: object) -> None:
    with pytest.raises((msgspec.ValidationError, StateError)):
        decode(msgspec.msgpack.encode({"format": FORMAT, "parts": parts}), Whole, FORMAT, "s", never)


def test_what_cannot_be_state_is_not_written() -> None:
    with pytest.raises(NotImplementedError, match="state cannot hold object"):
        encode(Whole(FORMAT, {"a": object()}))  # type: ignore[dict-item]


@pytest.mark.parametrize("step", [migration.stream_monitor, migration.stream_in_log])
@pytest.mark.parametrize("found", [None, 0, 99, "2"])
def test_a_migration_knows_the_formats_that_it_reads(step: object, found: object) -> None:
    assert callable(step)
    with pytest.raises(StateError):
        step({"format": found})


def test_information_waits_after_a_migration_as_long_as_in_a_new_stream() -> None:
    assert migration.FIRST_WAIT == PATIENCE
