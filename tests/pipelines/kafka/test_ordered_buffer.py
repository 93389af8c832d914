from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kafka.ordered_buffer import OrderedBuffer
from tests.pipelines.records import Record


def buffer(batch: int = 4, linger_s: float = 0.0, **options: int) -> tuple[OrderedBuffer, list[tuple[int, int]]]:
    gaps: list[tuple[int, int]] = []
    return OrderedBuffer(batch, linger_s, lambda partition, offset: gaps.append((partition, offset)), **options), gaps


async def test_messages_come_in_order_and_none_twice() -> None:
    ours, gaps = buffer()
    ours.assign({0: 5})
    ours.offer([Record(0, 4), Record(0, 5), Record(0, 6), Record(0, 5)])
    batch = await ours.take()
    assert [message.offset for message in batch.messages] == [5, 6]
    assert batch.positions() == {0: 7}
    assert not gaps


async def test_a_gap_is_reported_and_nothing_after_it_is_taken() -> None:
    ours, gaps = buffer()
    ours.assign({0: 0})
    ours.offer([Record(0, 0), Record(0, 2), Record(0, 3)])
    assert gaps == [(0, 2), (0, 3)]
    assert ours.next == {0: 1}
    ours.offer([Record(0, 1), Record(0, 2)])
    assert [message.offset for message in (await ours.take()).messages] == [0, 1, 2]


async def test_partitions_of_others_are_left_alone() -> None:
    ours, gaps = buffer()
    ours.assign({1: 0})
    ours.offer([Record(0, 0), Record(1, 0)])
    assert [message.partition for message in (await ours.take()).messages] == [1]
    assert not gaps


async def test_a_new_assignment_drops_what_was_held() -> None:
    ours, _ = buffer()
    ours.assign({0: 0})
    ours.offer([Record(0, 0)])
    before = ours.epoch
    ours.revoke()
    assert ours.idle
    ours.assign({0: 0})
    assert ours.epoch > before
    ours.offer([Record(0, 0)])
    assert (await ours.take()).epoch == ours.epoch


async def test_the_oldest_is_taken_first_over_all_partitions() -> None:
    ours, _ = buffer(batch=6)
    ours.assign({0: 0, 1: 0})
    ours.offer([Record(0, offset, timestamp=10 * offset) for offset in range(3)])
    ours.offer([Record(1, offset, timestamp=10 * offset + 5) for offset in range(3)])
    assert [message.timestamp for message in (await ours.take()).messages] == [0, 5, 10, 15, 20, 25]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=60), st.integers(1, 7))
def test_a_partition_keeps_its_order_whatever_its_times_say(arrivals: list[tuple[int, int]], batch: int) -> None:
    async def run() -> None:
        ours, _ = buffer(batch=batch)
        ours.assign(dict.fromkeys(range(4), 0))
        offsets = dict.fromkeys(range(4), 0)
        for partition, timestamp in arrivals:
            ours.offer([Record(partition, offsets[partition], timestamp=timestamp)])
            offsets[partition] += 1
        taken: dict[int, list[int]] = {partition: [] for partition in range(4)}
        while not ours.idle:
            messages = (await ours.take()).messages
            assert len(messages) <= batch
            for message in messages:
                taken[message.partition].append(message.offset)
        assert taken == {partition: list(range(n)) for partition, n in offsets.items()}

    asyncio.run(run())


@pytest.mark.parametrize("limits", [{"capacity": 8}, {"max_bytes": 8 * 100}])
async def test_the_agent_waits_when_the_buffer_is_full(limits: dict[str, int]) -> None:
    ours, _ = buffer(batch=4, **limits)
    ours.assign({0: 0})
    ours.offer([Record(0, offset, value=b"x" * 100) for offset in range(8)])
    assert ours.full
    waiting = asyncio.create_task(ours.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await ours.take()
    await asyncio.wait_for(waiting, 1)


async def test_a_large_message_is_a_batch_of_its_own() -> None:
    ours, _ = buffer(batch=10, max_bytes=400)
    ours.assign({0: 0})
    ours.offer([Record(0, 0, value=b"x" * 1000), Record(0, 1)])
    assert len((await ours.take()).messages) == 1
    assert len((await ours.take()).messages) == 1


async def test_a_batch_that_is_not_full_comes_after_the_linger() -> None:
    ours, _ = buffer(batch=10, linger_s=0.01)
    ours.assign({0: 0})
    taking = asyncio.create_task(ours.take())
    await asyncio.sleep(0)
    ours.offer([Record(0, 0)])
    ours.offer([Record(0, 1)])
    assert [message.offset for message in (await asyncio.wait_for(taking, 5)).messages] == [0, 1]


async def test_what_came_while_a_batch_was_worked_on_waits_for_more_too() -> None:
    ours, _ = buffer(batch=10, linger_s=0.01)
    ours.assign({0: 0})
    ours.offer([Record(0, 0)])
    await asyncio.wait_for(ours.take(), 5)
    ours.offer([Record(0, 1)])
    taking = asyncio.create_task(ours.take())
    await asyncio.sleep(0)
    ours.offer([Record(0, 2)])
    assert [message.offset for message in (await asyncio.wait_for(taking, 5)).messages] == [1, 2]


async def test_a_full_batch_does_not_wait() -> None:
    ours, _ = buffer(batch=2, linger_s=60)
    ours.assign({0: 0})
    ours.offer([Record(0, 0), Record(0, 1), Record(0, 2)])
    assert [message.offset for message in (await asyncio.wait_for(ours.take(), 5)).messages] == [0, 1]
