from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.log_format import (
    Tick,
    decode_message,
    encode,
    encode_control,
    encode_tick,
    partition_for,
)
from monitor.errors import InvalidEvent, StateError
from monitor.features.batch import FeatureBatch
from monitor.features.families.dependencies import Called

# Lone surrogates included: JSON can carry them, UTF-8 cannot.
text = st.text(st.characters(codec=None), max_size=12)


called = st.builds(Called, st.floats(0, 1e6, width=32), st.booleans(), st.none() | text)


@st.composite
def batches(draw: st.DrawFn, max_rows: int = 12) -> FeatureBatch:
    n = draw(st.integers(0, max_rows))
    names = draw(st.lists(text, max_size=4, unique=True))
    column = st.lists(text, min_size=n, max_size=n)
    categories = draw(st.dictionaries(text, st.lists(st.none() | text, min_size=n, max_size=n), max_size=2))
    dimensions = draw(st.none() | st.integers(1, 5))
    return FeatureBatch(
        names=tuple(name.encode("utf-8", "replace").decode() for name in names),
        values=draw(npst.arrays(np.float32, (n, len(names)), elements=st.floats(width=32))),
        streams=draw(column),
        ids=draw(column),
        times=draw(npst.arrays(np.float64, n)),
        digests=draw(npst.arrays(np.uint64, n)),
        source=draw(st.text(max_size=5)),
        source_partitions=draw(npst.arrays(np.int32, n)),
        source_offsets=draw(npst.arrays(np.int64, n)),
        segments=draw(st.lists(st.dictionaries(text, text, max_size=3), min_size=n, max_size=n)),
        input_excerpts=draw(column),
        output_excerpts=draw(column),
        categories={name.encode("utf-8", "replace").decode(): values for name, values in categories.items()},
        embeddings=None
        if dimensions is None
        else draw(npst.arrays(np.float16, (n, dimensions), elements=st.floats(width=16))),
        calls=draw(st.none() | st.lists(st.dictionaries(text, called, max_size=3), min_size=n, max_size=n)),
    )


def assert_same(one: FeatureBatch, other: FeatureBatch) -> None:
    for field in dataclasses.fields(FeatureBatch):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, field.name
            assert a.shape == b.shape, field.name
            assert a.tobytes() == b.tobytes(), field.name
        else:
            assert a == b, field.name


def decoded(message: bytes) -> FeatureBatch:
    batch = decode_message(message)
    assert isinstance(batch, FeatureBatch)
    return batch


def rows(n: int, width: int = 8) -> FeatureBatch:
    return FeatureBatch(
        names=("output.length.chars", "output.length.words"),
        values=np.arange(2 * n, dtype=np.float32).reshape(n, 2),
        streams=[f"s{i % 3}" for i in range(n)],
        ids=[f"{i:0{width}d}" for i in range(n)],
        times=np.arange(n, dtype=np.float64),
        digests=np.arange(n, dtype=np.uint64),
        source="topic",
        source_partitions=np.zeros(n, dtype=np.int32),
        source_offsets=np.arange(n, dtype=np.int64),
        segments=[{"model.name": "a"} for _ in range(n)],
        input_excerpts=["in"] * n,
        output_excerpts=["out"] * n,
        embeddings=np.ones((n, 4), dtype=np.float16),
    )


@given(batches())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_batch_survives_the_round_trip_bit_for_bit(batch: FeatureBatch) -> None:
    (message,) = encode(batch)
    assert_same(batch, decoded(message))
    assert encode(decoded(message)) == [message]


@given(st.integers(1, 400), st.integers(1_000, 20_000))
@settings(deadline=None)
def test_large_batches_are_split_in_row_order_and_below_the_limit(n: int, limit: int) -> None:
    batch = rows(n)
    messages = encode(batch, limit)
    assert max(map(len, messages)) <= limit
    parts = [decoded(message) for message in messages]
    assert [i for part in parts for i in part.ids] == list(batch.ids)
    assert np.concatenate([part.values for part in parts]).tobytes() == batch.values.tobytes()


def test_one_row_beyond_the_limit_is_refused() -> None:
    with pytest.raises(StateError, match="one row takes"):
        encode(rows(1, width=5_000), limit=2_000)


def test_attributes_are_in_an_order_that_does_not_depend_on_the_batch() -> None:
    batch = rows(2)
    batch.segments = [{"b": "1", "a": "2"}, {"a": "2", "b": "1"}]
    assert [list(row) for row in decoded(encode(batch)[0]).segments] == [["a", "b"], ["a", "b"]]


def test_a_message_of_before_dependencies_were_measured_separately_is_read() -> None:
    (message,) = encode(rows(3))
    older = msgspec.msgpack.decode(message)
    del older["calls"]
    assert_same(decoded(msgspec.msgpack.encode(older)), rows(3))


def test_calls_of_unequal_length_are_refused() -> None:
    batch = dataclasses.replace(rows(2), calls=[{"orders": Called(0.1, False, "ab")}, {}])
    (message,) = encode(batch)
    record = msgspec.msgpack.decode(message)
    record["calls"][0] = np.asarray([1, 1], dtype="<u4").tobytes()
    with pytest.raises(InvalidEvent, match="unequal length"):
        decode_message(msgspec.msgpack.encode(record))


@given(st.floats(allow_nan=False))
def test_ticks_survive_the_round_trip(time: float) -> None:
    assert decode_message(encode_tick(time)) == Tick(time)
    assert decode_message(encode_tick(time, "bot/answer")) == Tick(time, "bot/answer")
    older = msgspec.msgpack.encode({"kind": "tick", "time": time, "v": 1})
    assert decode_message(older) == Tick(time), "ticks of older workers name no stream"


@given(
    st.sampled_from(ControlAction),
    st.text(max_size=8),
    st.none() | st.floats(allow_nan=False),
    st.dictionaries(st.text(max_size=4), st.none() | st.booleans() | st.text(max_size=4) | st.lists(st.integers(0, 9))),
)
def test_control_rows_survive_the_round_trip(
    action: ControlAction, stream: str, time: float | None, data: dict[str, Any]
) -> None:
    control = Control(action=action, stream=stream, time=time, by="me", data=data)
    assert decode_message(encode_control(control)) == control


@pytest.mark.parametrize("kind", ["rows", "tick", "control"])
def test_another_format_version_is_refused_with_what_to_do(kind: str) -> None:
    with pytest.raises(StateError, match=r"format version 2.*upgrade the detect workers"):
        decode_message(msgspec.msgpack.encode({"v": 2, "kind": kind, "anything": 1}))


@given(st.binary(max_size=60))
def test_foreign_bytes_are_refused(message: bytes) -> None:
    with pytest.raises(InvalidEvent):
        decode_message(message)


@given(st.data())
@settings(deadline=None)
def test_a_damaged_message_is_refused_or_read_never_a_crash(data: st.DataObject) -> None:
    message = bytearray(encode(rows(5))[0])
    message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidEvent, StateError):
        decode_message(bytes(message))


def test_partitions_are_stable_for_good() -> None:
    # Written down: another hash would send a stream's rows to a worker without its state.
    assert [partition_for(s, 12) for s in ("support-bot/answer", "", "näive", "\ud800")] == [2, 0, 2, 8]


@given(st.text(max_size=20), st.integers(1, 64))
def test_every_stream_has_a_partition(stream: str, n: int) -> None:
    assert 0 <= partition_for(stream, n) < n
