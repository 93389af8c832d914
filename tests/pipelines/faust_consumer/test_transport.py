from __future__ import annotations

from aiokafka import AIOKafkaConsumer
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from pipelines.faust_consumer.transport import RUN_BYTES, RUN_RECORDS, in_time_order, runs
from tests.pipelines.records import Record


@given(st.lists(st.integers(0, RUN_BYTES + 10), max_size=8), st.integers(0, 3 * RUN_RECORDS))
def test_runs_are_the_records_in_order_and_bounded(sizes: list[int], small: int) -> None:
    records = [Record(0, i, value=bytes(size)) for i, size in enumerate([*sizes, *[1] * small])]
    cut = runs(records)
    assert [record.offset for run in cut for record in run] == list(range(len(records)))
    for run in cut:
        assert 1 <= len(run) <= RUN_RECORDS
        assert len(run) == 1 or sum(record.serialized_value_size for record in run) <= RUN_BYTES


def test_partitions_take_turns_by_time() -> None:
    early = [Record(0, i, timestamp=1_000 + i) for i in range(2 * RUN_RECORDS)]
    late = [Record(1, i, timestamp=1_010 + i) for i in range(2 * RUN_RECORDS)]
    order = [tp.partition for tp, _ in in_time_order({TP("t", 1): late, TP("t", 0): early})]
    assert order == [0, 1, 0, 1]


def test_a_partition_with_a_wrong_clock_keeps_its_order() -> None:
    records = [Record(0, i, timestamp=10_000 - i) for i in range(3 * RUN_RECORDS)]
    offsets = [run[0].offset for _, run in in_time_order({TP("t", 0): records})]
    assert offsets == sorted(offsets)


async def test_aiokafka_still_keeps_what_is_set_for_its_fetches_where_we_say_it() -> None:
    consumer = AIOKafkaConsumer(fetch_min_bytes=7, fetch_max_wait_ms=8)
    assert (consumer._fetch_min_bytes, consumer._fetch_max_wait_ms) == (7, 8)
    await consumer.stop()
