"""What is written in which order, and what a restore makes of it: on a state topic in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import msgspec
import pytest

from monitor.detection.records.status import StreamState, StreamStatus
from monitor.errors import StateError
from monitor.settings import Broker, Settings
from pipelines.kafka.producer import Outgoing
from pipelines.kafka.topics import TopicFacts, TopicMap
from pipelines.state import checkpoint as checkpoint_module
from pipelines.state import positions as positions_module
from pipelines.state.checkpoint import DetectCheckpoint, read_statuses
from pipelines.state.positions import Positions
from tests.pipelines.records import Record

BROKER = Settings().broker


class StateTopic:
    """The state topic: calls of `send` as they came, and their records."""

    def __init__(self) -> None:
        self.calls: list[list[Outgoing]] = []

    async def send(self, messages: Iterable[Outgoing]) -> list[None]:
        self.calls.append(list(messages))
        return []

    async def read_to_end(self, _: Broker, __: str, partitions: Iterable[int]) -> AsyncIterator[Record]:
        wanted = set(partitions)
        for offset, message in enumerate(message for call in self.calls for message in call):
            if message.partition in wanted:
                yield Record(
                    message.partition,
                    offset,
                    message.value,
                    key=message.key,
                    headers=list(message.headers),
                    topic="oqm.state",
                )


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> StateTopic:
    topic = StateTopic()
    for module in (checkpoint_module, positions_module):
        monkeypatch.setattr(module, "read_to_end", topic.read_to_end)
    return topic


def topics(features_id: str = "features-1", partitions: int = 4, outputs_id: str = "outputs-1") -> TopicMap:
    return TopicMap(
        outputs=TopicFacts("oqm.outputs", outputs_id, 8),
        features=TopicFacts("oqm.features", features_id, partitions),
        alerts=TopicFacts("oqm.alerts", "alerts-1", 1),
        deadletter=TopicFacts("oqm.deadletter", "dead-1", 1),
        state=TopicFacts("oqm.state", "state-1", partitions + 1),
        outbox=TopicFacts("oqm.outbox", "outbox-1", 1),
        sampled=TopicFacts("oqm.sampled", "sampled-1", 4),
        judgments=TopicFacts("oqm.judgments", "judgments-1", 4),
        feedback=TopicFacts("oqm.feedback", "feedback-1", 4),
        actions=TopicFacts("oqm.actions", "actions-1", 4),
        reviews=TopicFacts("oqm.reviews", "reviews-1", 4),
    )


def checkpoint(state: StateTopic, where: TopicMap | None = None) -> DetectCheckpoint:
    return DetectCheckpoint(BROKER, state, where or topics())  # type: ignore[arg-type]


def status(stream: str, events: int) -> StreamStatus:
    return StreamStatus(stream, StreamState.STABLE, events, None, [], 0, 0, 0.0, 5.0, {})


def streams(**snapshots: bytes) -> dict[str, tuple[StreamStatus, bytes]]:
    return {stream: (status(stream, len(data)), data) for stream, data in snapshots.items()}


async def test_snapshots_are_confirmed_before_the_position_is_sent(state: StateTopic) -> None:
    await checkpoint(state).write(2, 70, streams(a=b"1", b=b"2"))
    snapshots, position = state.calls
    assert len(snapshots) == 2
    assert len(position) == 1
    assert {message.partition for message in [*snapshots, *position]} == {2}


async def test_the_highest_position_wins_over_a_zombies_late_write(state: StateTopic) -> None:
    ours = checkpoint(state)
    await ours.write(0, 90, streams(a=b"newer"))
    await ours.write(0, 40, streams(a=b"late", b=b"only"))
    restored = (await ours.restore([0, 1]))[0]
    assert restored.position == 90
    assert restored.streams["a"].snapshot == b"newer"
    assert restored.streams["b"].snapshot == b"only"
    assert (await ours.restore([0, 1]))[1].position == 0


async def test_a_features_topic_made_anew_starts_at_0_and_keeps_its_streams(state: StateTopic) -> None:
    await checkpoint(state).write(0, 90, streams(a=b"old", b=b"old"))
    anew = checkpoint(state, topics(features_id="features-2"))
    await anew.write(0, 5, streams(b=b"new"))
    restored = (await anew.restore([0]))[0]
    assert restored.position == 5
    assert {stream: record.snapshot for stream, record in restored.streams.items()} == {"b": b"new"}
    assert {stream: record.snapshot for stream, record in restored.elsewhere.items()} == {"a": b"old"}


async def test_another_number_of_partitions_is_refused_with_how_to_move(state: StateTopic) -> None:
    await checkpoint(state).write(0, 90, streams(a=b"1"))
    with pytest.raises(StateError, match=r"written with 4 detect partitions, oqm.features has 6.*Go back to 4"):
        await checkpoint(state, topics(partitions=6)).restore([0])


async def test_another_format_version_is_refused_and_never_misread(state: StateTopic) -> None:
    await checkpoint(state).write(0, 90, streams(a=b"1"))
    (first, *_), _ = state.calls
    record = msgspec.msgpack.decode(first.value or b"")
    state.calls.append([Outgoing("oqm.state", msgspec.msgpack.encode({**record, "v": 2}), first.key, 0)])
    with pytest.raises(StateError, match="format version 2, this worker reads 1"):
        await checkpoint(state).restore([0])


async def test_statuses_are_the_latest_and_say_whether_they_are_of_this_log(state: StateTopic) -> None:
    await checkpoint(state).write(0, 90, streams(a=b"12345", gone=b"1"))
    anew = checkpoint(state, topics(features_id="features-2"))
    await anew.write(0, 5, streams(a=b"1234567"))
    await anew.write(0, 3, streams(a=b"123456"))
    found = await read_statuses(BROKER, topics(features_id="features-2"))
    assert {stream: (one.events, current) for stream, (one, current) in found.items()} == {
        "a": (7, True),
        "gone": (1, False),
    }


async def test_positions_of_agents_without_state_only_rise_and_belong_to_their_topic(state: StateTopic) -> None:
    def positions(where: TopicMap) -> Positions:
        return Positions(BROKER, state, where, where.outputs)  # type: ignore[arg-type]

    await positions(topics()).write({0: 10, 3: 7})
    await positions(topics()).write({0: 8})
    assert await positions(topics()).restore([0, 1, 3]) == {0: 10, 1: 0, 3: 7}
    assert await positions(topics(outputs_id="outputs-2")).restore([0, 3]) == {0: 0, 3: 0}
    assert {message.partition for call in state.calls for message in call} == {topics().positions_partition}


async def test_streams_with_half_characters_in_their_names_come_back(state: StateTopic) -> None:
    name = "bot/\ud800"
    await checkpoint(state).write(0, 1, {name: (status("bot", 1), b"x")})
    assert list((await checkpoint(state).restore([0]))[0].streams) == [name]


async def test_a_stream_that_ended_is_gone_until_it_begins_again(state: StateTopic) -> None:
    ours = checkpoint(state)
    await ours.write(0, 90, streams(a=b"1", b=b"2"), clock=(5.0, 90.0))
    await ours.write(0, 100, {}, ended={"a"}, clock=(5.0, 100.0))
    restored = (await ours.restore([0]))[0]
    assert set(restored.streams) == {"b"}
    assert (restored.position, restored.clock) == (100, (5.0, 100.0))
    assert set(await read_statuses(BROKER, topics())) == {"b"}
    await ours.write(0, 110, streams(a=b"anew"))
    assert (await ours.restore([0]))[0].streams["a"].snapshot == b"anew"
    assert set(await read_statuses(BROKER, topics())) == {"a", "b"}


async def test_what_a_zombie_writes_late_does_not_bring_a_stream_back(state: StateTopic) -> None:
    ours = checkpoint(state)
    await ours.write(0, 90, streams(a=b"1"))
    await ours.write(0, 100, {}, ended={"a"})
    await ours.write(0, 95, streams(a=b"late"))
    assert (await ours.restore([0]))[0].streams == {}
    assert await read_statuses(BROKER, topics()) == {}


async def test_a_stream_of_an_earlier_topic_ends_too(state: StateTopic) -> None:
    await checkpoint(state).write(0, 90, streams(a=b"old"))
    anew = checkpoint(state, topics(features_id="features-2"))
    await anew.write(0, 5, {}, ended={"a"})
    restored = (await anew.restore([0]))[0]
    assert (restored.streams, restored.elsewhere) == ({}, {})


async def test_a_position_without_a_clock_is_read(state: StateTopic) -> None:
    """As versions before wrote it."""
    await checkpoint(state).write(0, 90, streams(a=b"1"))
    record = msgspec.msgpack.decode(state.calls[1][0].value or b"")
    del record["clock"]
    state.calls[1] = [Outgoing("oqm.state", msgspec.msgpack.encode(record), state.calls[1][0].key, 0)]
    restored = (await checkpoint(state).restore([0]))[0]
    assert (restored.position, restored.clock) == (90, None)
