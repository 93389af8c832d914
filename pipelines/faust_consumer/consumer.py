"""The Faust app: one agent a stage, each passing raw messages to its `OrderedBuffer`; and what happens on a rebalance.

What Faust 0.15.3 does, and what is done about it here:

* `on_partitions_assigned` does not hold the flow back while its handler awaits, `on_rebalance_complete` does: state is
  restored there.
* A `seek` in a running flow is undone by the batch in flight: stop the flow, wait, seek and wait, resume.
* Acknowledgements are not used at all (`acks=False`): the group's offsets are moved by `commit`, to positions that
  have been written, for lag monitors and as the place where Faust starts to read.
* Its cost is per message: `pipelines.faust_consumer.transport` makes a message of many records.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import faust
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from monitor.errors import BrokerError, OqmError
from monitor.settings import Broker
from monitor.telemetry.worker_stats import WorkerStats
from pipelines.faust_consumer.options import faust_options
from pipelines.faust_consumer.transport import RunSchema, RunTransport
from pipelines.kafka.log_reader import read_at
from pipelines.kafka.ordered_buffer import OrderedBuffer
from pipelines.stages.base import Stage

log = logging.getLogger(__name__)

_STALLED_AFTER_S = 5.0  # longer than any fetch waits: nothing new in spite of a later end is a dropped message
_RESTORE_AGAIN_S = 2.0  # a broker takes some seconds to restart: soon enough, and no flood of attempts
_ANSWER_WITHIN_S = 2.0  # of a commit that the loop waits for; it goes on, and the answer counts when it comes
SILENT_AFTER_S = 30.0
"""Kafka counts as away when it has not answered for this time: a broker restarts in less."""
_NO_ANSWER = (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError, KafkaTimeoutError)
_REPAIR_EVERY_S = 0.5  # of one partition: messages that were fetched before the repair still report the same gap
# Runs of records between Faust's consumer and an agent: each may be 1 MiB.
_QUEUE = 32


@dataclass(frozen=True)
class GroupMembership:
    """The consumer group that the worker is a member of, and after how many seconds without a sign it is removed."""

    name: str
    session_timeout_s: float


class FaustConsumer:
    """A Faust app and the stages it feeds.

    Parameters
    ----------
    broker, group
        Where Kafka is, and the consumer group.
    stages
        What takes the messages; each has another topic.
    stats
        What `/metrics` shows: lag, whether Kafka answers.
    fail
        Called with what ends the worker.
    folder
        For Faust's own files; removed when the worker ends.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        broker: Broker,
        group: GroupMembership,
        stages: Iterable[Stage],
        stats: WorkerStats,
        fail: Callable[[BaseException], None],
        folder: Path,
        clock: Callable[[], float],
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._stages = {stage.source.name: stage for stage in stages}
        self._stats = stats
        self._fail = fail
        self._repairing = asyncio.Lock()
        self._repairs: set[asyncio.Task[None]] = set()
        self._repaired_at: dict[TP, float] = {}
        self._heard_at: dict[TP, float] = {}
        self._seen_next: dict[TP, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._answered_at = time.monotonic()
        self._ending = False
        self._paused_after_s = group.session_timeout_s / 2
        self._beat_at = self._woke_at = time.monotonic()
        self._unsure = False
        self.restores = 0
        """Rises with each attempt to restore; for the watchdog."""
        self.app = self._build(group, folder)

    def _build(self, group: GroupMembership, folder: Path) -> faust.App:
        session_timeout_s = group.session_timeout_s
        app = faust.App(
            group.name,
            **faust_options(self._broker),
            broker_session_timeout=session_timeout_s,
            # Kafka's own rule: a third of the session at most.
            broker_heartbeat_interval=min(3.0, session_timeout_s / 4),
            broker_request_timeout=max(90.0, session_timeout_s + 30.0),
            consumer_auto_offset_reset="earliest",
            stream_buffer_maxsize=_QUEUE,
            producer_max_request_size=2**20,
            # Nothing is created behind the operator's back, and no topic that we do not use.
            topic_allow_declare=False,
            topic_disable_leader=True,
            store="memory://",
            stream_wait_empty=False,
            web_enabled=False,
            worker_redirect_stdouts=False,
            autodiscover=False,
            datadir=folder,
            loop=asyncio.get_running_loop(),
        )
        app.transport = RunTransport(app.conf.broker_consumer, app)
        for name, stage in self._stages.items():
            topic = app.topic(name, schema=RunSchema(), acks=False, internal=False)
            app.agent(topic, name=stage.name)(_feeder(stage.buffer))
        app.on_rebalance_complete.connect(self._restore, weak=False)
        app.on_partitions_revoked.connect(self._settle, weak=False)
        return app

    async def _restore(self, *_: Any, **__: Any) -> None:
        while not self._ending:
            self.restores += 1
            owned = self.app.consumer.assignment()
            try:
                for name, stage in self._stages.items():
                    await stage.restore(tp.partition for tp in owned if tp.topic == name)
            except BrokerError as error:
                # Kafka has gone away again. Nothing flows until this is done, so it is done when Kafka is back: a
                # worker that ended here would be started again and again until then.
                log.warning("state cannot be read, again in %.0f s: %s", _RESTORE_AGAIN_S, error)
                await asyncio.sleep(_RESTORE_AGAIN_S)
            except (OqmError, OSError) as error:
                self._fail(error)
                return
            else:
                break
        now = time.monotonic()
        self._heard_at = dict.fromkeys(owned, now)
        self._answered_at = now
        self._stats.assigned = True
        self._unsure = False
        shares = ", ".join(f"{stage.name} {len(stage.buffer.next)}" for stage in self._stages.values())
        log.info("worker ready, partitions: %s", shares)

    async def _settle(self, *_: Any, **__: Any) -> None:
        self._stats.assigned = False
        if self._ending:
            return
        try:
            for stage in self._stages.values():
                await stage.settle()
            await self._commit_to_group()
        except OqmError as error:
            self._fail(error)

    @property
    def assigned(self) -> bool:
        """Whether partitions are assigned and their state is restored."""
        return self._stats.assigned

    def beat(self) -> None:
        """The event loop turns: called several times a second."""
        now = time.monotonic()
        if now - self._beat_at > self._paused_after_s:
            log.warning("this process stood still for %.0f s: others may have taken over", now - self._beat_at)
            self._woke_at, self._unsure = now, True
        self._beat_at = now

    def is_owner(self) -> bool:
        """Whether what was owned is owned still: not after a standstill, until the group has answered again.

        A worker that wakes after SIGSTOP, or with its virtual machine, finds its timers due before it learns that its
        partitions went to another. What it would send then may be over: a receiver would take a late "firing" as new.
        """
        return not self._unsure and time.monotonic() - self._beat_at <= self._paused_after_s

    async def stop(self) -> None:
        """End the consumer. The stages are settled before, or not at all: their worker met an error."""
        self._ending = True
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.gather(self._committing, return_exceptions=True)
        await self.app.stop()

    def on_gap(self, topic: str, partition: int, offset: int) -> None:
        """A later offset came than the expected one: set the flow back to that."""
        tp = TP(topic, partition)
        if self._repairing.locked() or time.monotonic() - self._repaired_at.get(tp, 0.0) < _REPAIR_EVERY_S:
            return
        task = asyncio.get_running_loop().create_task(self._repair(tp, offset), name=f"repair-{topic}-{partition}")
        self._repairs.add(task)
        task.add_done_callback(self._repaired)

    def _repaired(self, task: asyncio.Task[None]) -> None:
        self._repairs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _repair(self, tp: TP, came: int | None) -> None:
        async with self._repairing:
            buffer = self._stages[tp.topic].buffer
            epoch, expected = buffer.epoch, buffer.next.get(tp.partition)
            self._repaired_at[tp] = self._heard_at[tp] = time.monotonic()
            if expected is None:
                return
            # The gap may be real: transaction markers take offsets, retention takes messages.
            try:
                start, first = await read_at(self._broker, tp.topic, tp.partition, expected)
            except BrokerError as error:
                log.info("%s: not set back to %d for now: %s", tp, expected, error)
                return
            if buffer.epoch != epoch or buffer.next.get(tp.partition) != expected:
                return
            if expected < start:
                gone = start - expected
                log.error("%s: %d messages from offset %d are gone from the log, not applied", tp, gone, expected)
                self._stats.lost[tp.topic] += gone
            if first is not None and first > expected:
                buffer.next[tp.partition] = expected = first
            if first is None:
                return  # nothing to come back to yet
            self._stats.repairs[tp.topic] += 1
            log.info("%s: offset %s came, %d is next: back to it", tp, came, expected)
            consumer = cast(Consumer, self.app.consumer)
            consumer.stop_flow()
            await consumer.wait_for_stopped_flow()
            await consumer.seek_wait({tp: expected})
            consumer.resume_flow()

    async def commit(self) -> None:
        """Commit the written positions to the consumer group, and measure lag."""
        lag: dict[tuple[str, int], int] = {}
        now = self._clock()
        self._stats.working_s = {stage.name: stage.working_s for stage in self._stages.values()}
        self._stats.behind_s = {
            stage.name: max(0.0, now - stage.oldest_ms / 1_000) if stage.oldest_ms is not None else 0.0
            for stage in self._stages.values()
        }
        for name, stage in self._stages.items():
            for partition, following in stage.buffer.next.items():
                tp = TP(name, partition)
                lag[name, partition] = max(0, self._end(tp) - following) + stage.buffer.held(partition)
        self._stats.lag = lag
        await self._commit_to_group()

    async def _commit_to_group(self) -> None:
        """Move the group's offsets; where Kafka takes long to answer, go on without waiting for it."""
        owned = self.app.consumer.assignment()
        positions = {
            TopicPartition(name, partition): OffsetAndMetadata(at, "")
            for name, stage in self._stages.items()
            for partition, at in stage.done.items()
            if at and (name, partition) in owned
        }
        if not positions:
            self._answered_at = time.monotonic()  # nothing was asked
            return
        if self._committing is None or self._committing.done():
            self._committing = asyncio.get_running_loop().create_task(self._commit_positions(positions), name="commit")
        await asyncio.wait({self._committing}, timeout=_ANSWER_WITHIN_S)
        if self._committing.done():
            self._committing.result()
        self._stats.kafka_silent = time.monotonic() - self._answered_at > SILENT_AFTER_S

    async def _commit_positions(self, positions: dict[TopicPartition, OffsetAndMetadata]) -> None:
        # Past Faust: its `Consumer.commit` commits what it takes for acknowledged, and its driver's commit crashes the
        # app where a broker restarts. These offsets are for others to look at: one that fails comes again in 2 s.
        thread, began = cast(Consumer, self.app.consumer)._thread, time.monotonic()
        try:
            await thread.call_thread(thread._ensure_consumer().commit, positions)
        except KafkaError as error:
            log.info("the group's offsets were not moved: %s", error or type(error).__name__)
            if isinstance(error, _NO_ANSWER):
                return
        else:
            # What Faust's own look at a stuck commit goes by.
            now = time.monotonic()
            thread.tp_last_committed_at.update({TP(tp.topic, tp.partition): now for tp in positions})
            if began >= self._woke_at:
                self._unsure = False
        self._answered_at = time.monotonic()

    async def look_for_stalls(self) -> None:
        """Where nothing comes although the log holds more, set the flow back to the position (Faust drops messages)."""
        now = time.monotonic()
        for name, stage in self._stages.items():
            for partition, following in list(stage.buffer.next.items()):
                tp = TP(name, partition)
                waiting = stage.buffer.full or not stage.buffer.idle
                if waiting or self._moved(tp, following) or self._end(tp) <= following:
                    self._heard_at[tp] = now
                elif now - self._heard_at.get(tp, now) > _STALLED_AFTER_S and not self._repairing.locked():
                    await self._repair(tp, None)

    def _end(self, tp: TP) -> int:
        """The log's end as of the last fetch; 0 where that is not known, or the partition is being given back."""
        consumer = self.app.consumer
        return (consumer.highwater(tp) or 0) if tp in consumer.assignment() else 0

    def _moved(self, tp: TP, following: int) -> bool:
        before = self._seen_next.get(tp)
        self._seen_next[tp] = following
        return before != following


def _feeder(buffer: OrderedBuffer) -> Callable[[Any], Any]:
    async def feed(stream: Any) -> None:
        async for records in stream:
            buffer.offer(records)
            if buffer.full:
                await buffer.room()

    return feed
