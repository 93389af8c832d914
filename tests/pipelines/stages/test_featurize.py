from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from monitor.detection.records.log_format import Tick, decode_message, encode, partition_for
from monitor.errors import StateError
from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch
from monitor.features.featurizer import Featurizer
from monitor.settings import Settings
from pipelines.build import featurizer_for
from pipelines.feature_log.ticks import EventTimeTicks
from pipelines.kafka.dead_letters import PROCESSING_FAILED
from pipelines.kafka.topics import TopicFacts
from pipelines.stages import featurize as module
from pipelines.stages.featurize import EventReader, Featurized
from tests.pipelines.records import Record

OUTPUTS = TopicFacts("oqm.outputs", "topic-id", 4)


@pytest.fixture(scope="module")
def featurizer() -> Featurizer:
    return featurizer_for(Settings())


def message(offset: int, partition: int = 0, **fields: Any) -> Record:
    return Record(partition, offset, json.dumps({"stream": "bot/answer", "output": "All is well.", **fields}).encode())


def batches(result: Featurized) -> dict[int, list[FeatureBatch]]:
    found: dict[int, list[FeatureBatch]] = {}
    for partition, messages in result.messages.items():
        for one in messages:
            batch = decode_message(one)
            assert isinstance(batch, FeatureBatch)
            found.setdefault(partition, []).append(batch)
    return found


def test_times_in_other_units_are_read_and_counted(featurizer: Featurizer) -> None:
    now = 1_790_000_000
    messages = [
        message(0, time=now),
        message(1, time=now * 1000),
        message(2, time=now * 10**6),
        message(3, time="noon"),
    ]
    for one in messages:
        one.timestamp = now * 1000
    result = EventReader(featurizer, OUTPUTS, 1).read(messages)
    [batch] = batches(result)[0]
    assert batch.times.tolist() == [now] * 3
    assert result.time_units == {"milliseconds": 1, "microseconds": 1}
    assert (result.clamped, len(result.letters)) == (0, 1)


def test_a_streams_ticks_go_to_its_partition_and_a_batch_that_is_taken_again_has_them_too(
    featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(poison: bool) -> dict[int, list[Any]]:
        reader = EventReader(featurizer, OUTPUTS, 2, EventTimeTicks())
        streams = ["bot/a", "bot/b"]
        messages = [message(i, stream=streams[i % 2], time=1.79e9 + 60.0 * i) for i in range(6)]
        with monkeypatch.context() as patched:
            if poison:
                featurize = Featurizer.featurize

                def fails_together(self: Featurizer, events: Sequence[OutputEvent], **places: Any) -> FeatureBatch:
                    if len(events) > 1:
                        raise RuntimeError("too many")
                    return featurize(self, events, **places)

                patched.setattr(Featurizer, "featurize", fails_together)
            result = reader.read(messages)
        assert not result.letters
        found: dict[int, list[Any]] = {}
        for partition, written in result.messages.items():
            for one in map(decode_message, written):
                parts = one.ids if isinstance(one, FeatureBatch) else [one]
                found.setdefault(partition, []).extend(parts)
        return found

    found = of(poison=False)
    for partition, parts in found.items():
        ticks = [part for part in parts if isinstance(part, Tick)]
        assert ticks
        assert {partition_for(tick.stream or "", 2) for tick in ticks} == {partition}
    assert {k: sorted(map(str, v)) for k, v in of(poison=True).items()} == {
        k: sorted(map(str, v)) for k, v in found.items()
    }


def test_rows_go_to_their_streams_partition_grouped_and_in_order(featurizer: Featurizer) -> None:
    streams = [f"bot-{i % 5}/answer" for i in range(40)]
    messages = [message(i, partition=i % 4, stream=stream) for i, stream in enumerate(streams)]
    result = EventReader(featurizer, OUTPUTS, 3).read(messages)
    found = batches(result)
    assert set(found) == {partition_for(stream, 3) for stream in streams}
    for partition, (batch,) in found.items():
        assert {partition_for(stream, 3) for stream in batch.streams} == {partition}
        assert batch.source == "topic-id"
        seen = list(dict.fromkeys(batch.streams))
        assert list(batch.streams) == sorted(batch.streams, key=seen.index), "grouped by stream"
        for stream in seen:
            offsets = [o for o, s in zip(batch.source_offsets.tolist(), batch.streams, strict=True) if s == stream]
            assert offsets == sorted(offsets)
    assert result.events == 40
    assert not result.letters


def test_an_event_without_id_and_time_gets_its_place_and_kafkas_time(featurizer: Featurizer) -> None:
    ((batch,),) = batches(EventReader(featurizer, OUTPUTS, 1).read([message(7, partition=2)])).values()
    assert list(batch.ids) == ["oqm.outputs/2/7"]
    assert batch.times.tolist() == [1_700_000_000.0]


def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on(featurizer: Featurizer) -> None:
    messages = [message(0), Record(0, 1, b"{nope"), Record(0, 2, None), message(3)]
    result = EventReader(featurizer, OUTPUTS, 1).read(messages)
    assert [letter.message.offset for letter in result.letters] == [1, 2]
    assert all(letter.reason and letter.detail for letter in result.letters)
    ((batch,),) = batches(result).values()
    assert batch.source_offsets.tolist() == [0, 3]


class Poisoned:
    """A featurizer with a fault of its own that one event brings out."""

    def __init__(self, inner: Featurizer, error: Exception) -> None:
        self._inner = inner
        self._error = error

    def featurize(self, events: Sequence[OutputEvent], **where: Any) -> FeatureBatch:
        if any(event.output == "poison" for event in events):
            raise self._error
        return self._inner.featurize(events, **where)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("a fault of ours"), PROCESSING_FAILED),
        (StateError("one row takes 2 MB"), "row_too_large"),  # the message's doing: not for the limit on our faults
    ],
)
def test_poison_takes_only_itself(featurizer: Featurizer, error: Exception, reason: str) -> None:
    messages = [message(0), message(1, output="poison"), message(2)]
    reader = EventReader(Poisoned(featurizer, error), OUTPUTS, 1)  # type: ignore[arg-type]
    result = reader.read(messages)
    (letter,) = result.letters
    assert (letter.message.offset, letter.reason) == (1, reason)
    assert [b.source_offsets.tolist() for found in batches(result).values() for b in found] == [[0], [2]]


def test_a_row_that_cannot_be_written_takes_no_tick_of_a_replay(
    featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(batch: FeatureBatch) -> list[bytes]:
        if "large" in batch.ids:
            raise StateError("one row takes 2 MB")
        return encode(batch)

    monkeypatch.setattr(module, "encode", refusing)

    def log(name: str) -> list[Tick]:
        messages = [message(n, time=1_700_000_000 + 60 * n, id=name if n == 1 else str(n)) for n in range(4)]
        result = EventReader(featurizer, OUTPUTS, 1, EventTimeTicks()).read(messages)
        return [one for one in map(decode_message, result.messages[0]) if isinstance(one, Tick)]

    assert log("small")
    assert log("large") == log("small")
