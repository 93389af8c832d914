"""Faust's Kafka transport, handing an agent one message for each run of records instead of one for each record.

Faust costs what it costs per message: two tasks, four turns of the event loop, sensors, a queue; 110 us on the machine
where aiokafka delivers a record in 4. So the records of a partition that were fetched together travel through Faust as
one message whose value is the list of them; rebalances, flow control and generations work on it as on any other.
Nothing here depends on acknowledgements: the topics are declared without (`acks=False`).

What is fetched together is up to the broker, which answers with the first record that it has unless asked to wait:
at 100 events a second it answered 100 times a second, at 3 ms each. So it waits, for `FETCH_BYTES` or `FETCH_WAIT_MS`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.protocol.group import LeaveGroupRequest
from faust.serializers.schemas import Schema
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, AppT
from faust.types.tuples import ConsumerMessage, Message

RUN_RECORDS = 64
"""Most records in one message: enough that Faust costs 2 us a record, and few enough to take partitions in turns."""
RUN_BYTES = 2**20  # one message's worth: what `_QUEUE` holds is bounded by it
_LEAVE_WITHIN_S = 2.0
"""For the answer to a leave request of a worker that ends: without it the session time-out removes the member."""
FETCH_BYTES = 2**17  # some hundred events: a fetch of fewer costs the broker as much
FETCH_WAIT_MS = 100
"""A tenth of a second at most, on each of the two topics that an event passes, is what the fewer fetches cost."""


def runs(records: Sequence[ConsumerRecord[Any, Any]]) -> list[Sequence[ConsumerRecord[Any, Any]]]:
    """The records in their order, cut into runs of bounded number and size; a larger record is a run by itself."""
    cut: list[Sequence[ConsumerRecord[Any, Any]]] = []
    start = size = 0
    for position, record in enumerate(records):
        more = max(0, record.serialized_value_size)
        if position > start and (position - start >= RUN_RECORDS or size + more > RUN_BYTES):
            cut.append(records[start:position])
            start, size = position, 0
        size += more
    if start < len(records):
        cut.append(records[start:])
    return cut


def in_time_order(
    fetched: Mapping[TP, Sequence[ConsumerRecord[Any, Any]]],
) -> list[tuple[TP, Sequence[ConsumerRecord[Any, Any]]]]:
    """The runs of all partitions, oldest first; a partition's own stay in their order.

    So that the buffer, which takes the oldest message it holds, has all partitions to choose from.
    """
    timed = []
    for tp, records in fetched.items():
        latest = 0
        for number, run in enumerate(runs(records)):
            latest = max(latest, run[0].timestamp or 0)
            timed.append((latest, tp.topic, tp.partition, number, TP(tp.topic, tp.partition), run))
    timed.sort(key=lambda entry: entry[:4])
    return [(tp, run) for *_, tp, run in timed]


class RunConsumerThread(AIOKafkaConsumerThread):
    """Faust's thread with the aiokafka consumer, whose fetches wait for enough."""

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no settings for these; the fetcher takes them when the consumer starts.
        consumer._fetch_min_bytes = FETCH_BYTES
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_thread_stop(self) -> None:
        """End the consumer, also while it waits for its group."""
        if self._consumer is not None:
            await _stop_joining(self._consumer)
        await super().on_thread_stop()


async def _stop_joining(consumer: AIOKafkaConsumer) -> None:
    """Break off a join of the group that the broker has not answered, and leave the group; else do nothing.

    `AIOKafkaConsumer.stop` waits for that answer, which takes half of the session time-out on the embedded broker, and
    on Kafka as long as another member takes to join again. The leave request goes over another connection: a broker
    answers the requests of one connection in their order.
    """
    coordinator = consumer._coordinator
    task = getattr(coordinator, "_coordination_task", None)
    # True from the moment at which the partitions have been given back until the group's answer.
    if task is None or task.done() or not coordinator._performed_join_prepare:
        return
    task.cancel()
    await asyncio.wait({task})
    node, member = coordinator.coordinator_id, coordinator.member_id
    if node is not None and member:
        with contextlib.suppress(KafkaError, TimeoutError):
            request = LeaveGroupRequest(coordinator.group_id, member)
            await asyncio.wait_for(consumer._client.send(node, request), _LEAVE_WITHIN_S)
    coordinator.reset_generation()  # so that it does not ask to leave once more, behind the join


class RunConsumer(Consumer):
    """The aiokafka consumer of Faust, one message a run."""

    def _new_consumer_thread(self) -> RunConsumerThread:
        return RunConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109  Faust's name
        """Fetch, as `faust.transport.consumer.Consumer.getmany` does, and yield a message for each run."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            # Fetched while the flow was being stopped: dropped, and the buffer's position says what comes next. A
            # partition may have gone to another worker by now: where that goes on is not ours to say.
            with contextlib.suppress(IllegalStateError):
                await self.perform_seek()
            return
        for tp, run in in_time_order(records):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            if active is None or tp in active or tp in self._buffered_partitions:
                yield tp, self._run_message(tp, run)

    def _run_message(self, tp: TP, run: Sequence[ConsumerRecord[Any, Any]]) -> Message:
        # Placed at its last record: Faust drops what lies before the offset it has read.
        last = run[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            timestamp=(last.timestamp or 0) / 1000.0,
            timestamp_type=last.timestamp_type,
            headers=None,
            key=None,
            value=cast(Any, run),
            checksum=None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )


class RunTransport(Transport):
    """Faust's aiokafka transport with `RunConsumer`."""

    Consumer = RunConsumer


class RunSchema(Schema[Any, Any]):
    """Gives the agent the run as it is: raw records, to be parsed where that is total."""

    def loads_key(self, app: AppT, message: Message, **_: Any) -> None:
        """Runs have no key."""

    def loads_value(self, app: AppT, message: Message, **_: Any) -> Any:
        """The records."""
        return message.value
