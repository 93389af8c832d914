"""featurize: outputs in, feature rows out. No state but its positions; all the expensive work.

A batch is decoded and measured in the one worker thread while the batch before it is being confirmed by the broker.
Rows reach a detect partition in the order of their source offsets, each message confirmed before the next is sent
(`pipelines.kafka.producer` says why).
"""

from __future__ import annotations

import asyncio
import copy
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from monitor.detection.records.log_format import Tick, encode, encode_tick, partition_for
from monitor.errors import InvalidEvent, StateError
from monitor.events import decode_event
from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch
from monitor.features.featurizer import Featurizer
from monitor.telemetry.call_stats import CallStats
from pipelines.feature_log.ticks import EventTimeTicks
from pipelines.kafka.dead_letters import PROCESSING_FAILED, DeadLetter
from pipelines.kafka.ordered_buffer import Batch, Message, OrderedBuffer
from pipelines.kafka.producer import Outgoing
from pipelines.kafka.topics import TopicFacts
from pipelines.stages.base import Stage, StageServices
from pipelines.stages.draw import OutputDraw
from pipelines.state.positions import Positions

log = logging.getLogger(__name__)

# A crash repeats at most this much work of featurize; its repeated rows stop at the fence.
_POSITIONS_EVERY_S = 1.0


@dataclass(slots=True)
class Featurized:
    """A batch after the worker thread: messages per detect partition in order, keys and values of those for the
    judge, and what could not be used."""

    messages: dict[int, list[bytes]] = field(default_factory=dict)
    sampled: list[tuple[bytes, bytes]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    events: int = 0
    clamped: int = 0
    time_units: Counter[str] = field(default_factory=Counter)
    calls: CallStats = field(default_factory=CallStats)
    seconds: float = 0.0


class EventReader:
    """Bytes of `oqm.outputs` to messages of `oqm.features`; pure but for the features' own caches, and total.

    Parameters
    ----------
    featurizer
        Measures the events.
    source
        The topic that is read: its id goes with each row, for the fence.
    detect_partitions
        Number of partitions of `oqm.features`.
    ticks
        In a replay: where the time in the log comes from, in place of the wall clock.
    draw
        Draws the outputs that an evaluation model judges; None where none is judged.
    """

    def __init__(
        self,
        featurizer: Featurizer,
        source: TopicFacts,
        detect_partitions: int,
        ticks: EventTimeTicks | None = None,
        draw: OutputDraw | None = None,
    ) -> None:
        self._featurizer = featurizer
        self._draw = draw
        self._ticks = ticks
        self._source = source
        self._partitions = detect_partitions

    @property
    def failures(self) -> Counter[str]:
        """Events on which a feature family failed, by family."""
        return self._featurizer.failures

    def read(self, messages: Sequence[Message]) -> Featurized:
        """Decode, measure, encode. Never raises for what a message holds."""
        started = time.thread_time()
        result = Featurized()
        usable: list[Message] = []
        events: list[OutputEvent] = []
        for message in messages:
            try:
                decoded = decode_event(
                    message.value,
                    message.headers or (),
                    default_id=f"{self._source.name}/{message.partition}/{message.offset}",
                    # In a replay an event without a time stays without one, and none is late.
                    timestamp=message.timestamp / 1000.0 if self._ticks is None else None,
                )
            except InvalidEvent as error:
                result.letters.append(DeadLetter(message, error.reason, error.detail))
            except Exception as error:
                # A bug of the reader, not of the message: kept whole for whoever corrects it, and counted towards the
                # limit that stops the worker.
                result.letters.append(_failed(message, error))
            else:
                usable.append(message)
                events.append(decoded.event)
                result.clamped += decoded.clamped
                if decoded.time_unit is not None:
                    result.time_units[decoded.time_unit] += 1
        if events:
            self._measure(usable, events, result)
        result.events = len(events)
        result.calls = CallStats.of(events)
        result.seconds = time.thread_time() - started
        return result

    def _measure(self, usable: list[Message], events: list[OutputEvent], result: Featurized) -> None:
        ticks = copy.copy(self._ticks)
        try:
            batch = self._featurizer.featurize(
                events,
                source=self._source.id,
                partitions=np.array([message.partition for message in usable], dtype=np.int32),
                offsets=np.array([message.offset for message in usable], dtype=np.int64),
            )
            sampled = self._draw.draw(batch, events) if self._draw is not None else []
            if self._ticks is None:
                self._encode(batch, result)
            else:
                self._encode_with_ticks(batch, self._ticks, result)
            result.sampled += sampled
        except Exception as error:
            if len(events) == 1:
                result.letters.append(_failed(usable[0], error))
                return
            # Something in this batch is poison beyond what the featurizer itself contains. One by one, only that is
            # lost; rows keep their order, and event time goes on from where it stood before the batch.
            result.messages.clear()
            self._ticks = ticks  # of rows that are measured again now
            for message, event in zip(usable, events, strict=True):
                self._measure([message], [event], result)

    def _encode_with_ticks(self, batch: FeatureBatch, ticks: EventTimeTicks, result: Featurized) -> None:
        for part in ticks.interleave(batch):
            if isinstance(part, Tick):
                partition = partition_for(part.stream or "", self._partitions)
                result.messages.setdefault(partition, []).append(encode_tick(part.time, part.stream))
            else:
                self._encode(part, result)

    def _encode(self, batch: FeatureBatch, result: Featurized) -> None:
        """Rows grouped by detect partition, and there by stream; a stream's rows keep their order."""
        rows_of: dict[str, list[int]] = {}
        for row, stream in enumerate(batch.streams):
            rows_of.setdefault(stream, []).append(row)
        rows_in: dict[int, list[int]] = {}
        for stream, rows in rows_of.items():
            rows_in.setdefault(partition_for(stream, self._partitions), []).extend(rows)
        encoded = {partition: encode(batch.take(np.array(rows, dtype=np.intp))) for partition, rows in rows_in.items()}
        for partition, parts in encoded.items():
            result.messages.setdefault(partition, []).extend(parts)


def _failed(message: Message, error: Exception) -> DeadLetter:
    if isinstance(error, StateError):
        # The message itself is the cause (an id of a megabyte): does not count towards the limit that stops the worker.
        return DeadLetter(message, "row_too_large", str(error))
    log.exception("processing failed on partition %d offset %d", message.partition, message.offset, exc_info=error)
    return DeadLetter(message, PROCESSING_FAILED, f"{type(error).__name__}: {error}")


class Featurize(Stage):
    """The stage behind the featurize agent.

    Parameters
    ----------
    services
        Shared by all stages of the worker.
    buffer
        Messages of `oqm.outputs`.
    reader
        Measures them.
    positions
        Where this stage's positions are kept.
    """

    name = "featurize"

    def __init__(
        self,
        services: StageServices,
        buffer: OrderedBuffer,
        reader: EventReader,
        positions: Positions,
    ) -> None:
        super().__init__(services.topics.outputs, buffer, services)
        self._reader = reader
        self._positions = positions
        self.log_ends: dict[int, int] = {}
        """Per detect partition the offset after the last message written."""
        self._sent: dict[int, int] = {}
        self._sending: asyncio.Task[None] | None = None
        self._written_at = 0.0

    async def _restored(self, partitions: list[int]) -> dict[int, int]:
        self._sent = await self._positions.restore(partitions)
        return dict(self._sent)

    async def _process(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._pool, self._reader.read, batch.messages)
        await self._sending_done()
        self._sending = asyncio.create_task(self._send(batch, result), name="featurize-send")

    async def _sending_done(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending

    async def _send(self, batch: Batch, result: Featurized) -> None:
        await self._letters.write(result.letters, self.source.name)
        name = self._topics.features.name
        # Drawn outputs are confirmed before this stage's positions move: a crash may repeat them, never lose one.
        drawn = [Outgoing(self._topics.sampled.name, key=key, value=value) for key, value in result.sampled]
        for messages in zip_longest(*result.messages.values()):
            rows = (
                Outgoing(name, partition=partition, value=value)
                for partition, value in zip(result.messages, messages, strict=True)
                if value is not None
            )
            written = await self._producer.send([*drawn, *rows])
            self.log_ends.update((one.partition, one.offset + 1) for one in written if one.topic == name)
            drawn = []
        self._sent.update(batch.positions())
        stats = self._stats
        stats.events += result.events
        stats.clamped += result.clamped
        stats.sampled += len(result.sampled)
        for unit in result.time_units.keys() - stats.time_units.keys():
            log.warning("events come with times in %s since 1970; they are read so, though seconds are asked for", unit)
        stats.time_units.update(result.time_units)
        result.calls.add_to(stats)
        stats.messages[self.name] += len(batch.messages)
        stats.batches[self.name] += 1
        stats.busy_s[self.name] += result.seconds
        stats.batch_seconds[self.name].observe(result.seconds)
        stats.feature_failures = self._reader.failures
        stats.progress_at = self._clock()
        self._letters.check_share(len(batch.messages), result.letters)
        if self._clock() - self._written_at >= _POSITIONS_EVERY_S:
            await self._write_sent()

    async def _write_sent(self) -> None:
        moved = {partition: offset for partition, offset in self._sent.items() if self.done.get(partition) != offset}
        if moved:
            await self._positions.write(moved)
            self.done.update(moved)
        self._written_at = self._clock()

    async def _write_positions(self) -> None:
        await self._sending_done()
        await self._write_sent()

    async def idle(self) -> None:
        """Write positions when nothing comes: called by the worker's timer."""
        if self.buffer.idle and not self._lock.locked():
            async with self._lock:
                await self._write_positions()
