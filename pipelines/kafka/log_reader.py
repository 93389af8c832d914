"""Reading partitions of a topic without a consumer group: to their end as of now, at an offset, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from monitor.errors import BrokerError
from monitor.settings import Broker
from pipelines.kafka.connection import async_client_options, quiet_client_logs, unreachable


@asynccontextmanager
async def reader(broker: Broker) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, for reading whole partitions or single offsets. Raises `BrokerError`."""
    consumer = AIOKafkaConsumer(
        **async_client_options(broker), client_id="oqm-reader", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    with quiet_client_logs():
        try:
            await consumer.start()
        except asyncio.CancelledError:
            await consumer.stop()
            raise
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise unreachable(broker, error) from error
    try:
        yield consumer
    except KafkaError as error:
        raise BrokerError(f"Kafka at {broker.bootstrap}: {error or type(error).__name__}") from error
    finally:
        await consumer.stop()


async def read_to_end(
    broker: Broker, topic: str, partitions: Iterable[int]
) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
    """Every record of these partitions up to their end as of now.

    The embedded broker gives for the end the first offset of the last batch, plus one: reached with that batch, which
    is read whole.
    """
    wanted = [TopicPartition(topic, partition) for partition in partitions]
    if not wanted:
        return
    async with reader(broker) as consumer:
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        await consumer.seek_to_beginning(*wanted)
        open_ones = {partition for partition in wanted if ends[partition] > 0}
        while open_ones:
            for records in (await consumer.getmany(*open_ones, timeout_ms=200)).values():
                for record in records:
                    yield record
            open_ones = {tp for tp in open_ones if await consumer.position(tp) < ends[tp]}


async def read_at(broker: Broker, topic: str, partition: int, offset: int) -> tuple[int, int | None]:
    """The log's start, and the offset of the first record at or after `offset`; None where there is none yet."""
    where = TopicPartition(topic, partition)
    async with reader(broker) as consumer:
        consumer.assign([where])
        start = (await consumer.beginning_offsets([where]))[where]
        end = (await consumer.end_offsets([where]))[where]
        offset = max(offset, start)
        consumer.seek(where, offset)
        while await consumer.position(where) < end:
            for records in (await consumer.getmany(where, timeout_ms=200)).values():
                if records:
                    return start, records[0].offset
        return start, None


async def answers(broker: Broker, topic: str, within_s: float) -> bool:
    """Whether Kafka says within `within_s` seconds where this topic ends."""
    try:
        async with asyncio.timeout(within_s), reader(broker) as consumer:
            await consumer.end_offsets([TopicPartition(topic, 0)])
    except (BrokerError, TimeoutError):
        return False
    return True
