"""feedback: what users say of outputs in, feature rows of `~feedback/<stream>/<kind>` out. No state but its positions.

A thumb or a rating whose sender names the stream becomes one row in `oqm.features`, with its own place in the log as
its source, so what a crash sends again stops at the fence of detection. The same said twice of one output counts once,
as any event that comes twice does; another vote on the same output is another row. Who answers chooses to, so such a
stream says how content those are who answer, and changes with who they are as well. A correction is no row: all of them
are of outputs that were wrong.

Malformed records go to the dead letters with the reason. Runs with the role detect.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from monitor.criteria.derived import FEEDBACK, feedback_stream
from monitor.detection.records.log_format import encode, partition_for
from monitor.errors import InvalidEvent, StateError
from monitor.events import excerpt_parts
from monitor.events.redaction import excerpts
from monitor.features.batch import FeatureBatch
from monitor.judgment.feedback import CORRECTION, is_good, read_feedback
from monitor.judgment.records import Feedback
from pipelines.kafka.dead_letters import PROCESSING_FAILED, DeadLetter
from pipelines.kafka.ordered_buffer import Batch, Message, OrderedBuffer
from pipelines.kafka.producer import Outgoing
from pipelines.kafka.topics import TopicFacts
from pipelines.stages.base import Stage, StageServices
from pipelines.state.positions import Positions

log = logging.getLogger(__name__)

_POSITIONS_EVERY_S = 1.0
"""A crash repeats at most this much work; its repeated rows stop at the fence."""


class Said:
    """A batch after the worker thread: messages of each stream of feedback in order, and what could not be read."""

    __slots__ = ("letters", "messages", "seconds")

    def __init__(self) -> None:
        self.messages: dict[str, list[bytes]] = {}
        self.letters: list[DeadLetter] = []
        self.seconds = 0.0


class FeedbackReader:
    """Bytes of `oqm.feedback` to messages of `oqm.features`. Pure, and total.

    Parameters
    ----------
    source
        The topic that is read: its id goes with each row, for the fence.
    detect_partitions
        Number of partitions of `oqm.features`.
    excerpts
        Whether rows carry users' comments, masked, for the examples of alerts.
    """

    def __init__(self, source: TopicFacts, detect_partitions: int, *, excerpts: bool = True) -> None:
        self._source = source
        self._partitions = detect_partitions
        self._excerpts = excerpts

    def partition_of(self, stream: str) -> int:
        """The detect partition of a stream of feedback."""
        return partition_for(stream, self._partitions)

    def read(self, messages: Sequence[Message]) -> Said:
        """Decode, choose, encode. Never raises for what a message holds."""
        started = time.thread_time()
        result = Said()
        rows_of: dict[str, list[tuple[Message, Feedback]]] = {}
        for message in messages:
            try:
                said = read_feedback(message.value or b"")
            except InvalidEvent as error:
                result.letters.append(DeadLetter(message, error.reason, error.detail))
                continue
            if said.stream is not None and said.kind != CORRECTION and is_good(said) is not None:
                rows_of.setdefault(feedback_stream(said.stream, said.kind), []).append((message, said))
        for stream, rows in rows_of.items():
            self._encode(stream, rows, result)
        result.seconds = time.thread_time() - started
        return result

    def _encode(self, stream: str, rows: list[tuple[Message, Feedback]], result: Said) -> None:
        try:
            result.messages.setdefault(stream, []).extend(encode(self._batch(stream, rows)))
        except Exception as error:
            if len(rows) == 1:
                result.letters.append(_failed(rows[0][0], error))
                return
            for row in rows:  # one by one, only what cannot be encoded is lost
                self._encode(stream, [row], result)

    def _batch(self, stream: str, rows: list[tuple[Message, Feedback]]) -> FeatureBatch:
        said = [one for _, one in rows]
        times = [message.timestamp / 1000.0 if one.time is None else one.time for message, one in rows]
        return FeatureBatch(
            names=(FEEDBACK.name,),
            values=np.array([[not is_good(one)] for one in said], dtype=np.float32),
            streams=[stream] * len(rows),
            ids=[one.event for one in said],
            times=np.array(times, dtype=np.float64),
            digests=np.array([_digest(one) for one in said], dtype=np.uint64),
            source=self._source.id,
            source_partitions=np.array([message.partition for message, _ in rows], dtype=np.int32),
            source_offsets=np.array([message.offset for message, _ in rows], dtype=np.int64),
            segments=[{}] * len(rows),
            input_excerpts=[""] * len(rows),
            output_excerpts=_comments(said) if self._excerpts else [""] * len(rows),
        )


def _digest(said: Feedback) -> int:
    """Of the output and what is said of it: the same vote again is a repetition, another one is not."""
    text = f"{said.stream}\0{said.event}\0{said.kind}\0{said.value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def _comments(said: Sequence[Feedback]) -> list[str]:
    """What an alert quotes of each: the vote with the comment, masked."""
    comments = excerpts([one.text or "" for one in said])
    return [
        excerpt_parts.joined(excerpt_parts.Parts(f"{_vote(one)}: {comment}" if comment else _vote(one)))
        for one, comment in zip(said, comments, strict=True)
    ]


def _vote(said: Feedback) -> str:
    if isinstance(said.value, bool) or said.value is None or said.scale is None:
        return "up" if said.value else "down"
    return f"{said.value:g} of {said.scale[0]:g} to {said.scale[1]:g}"


def _failed(message: Message, error: Exception) -> DeadLetter:
    if isinstance(error, StateError):
        return DeadLetter(message, "row_too_large", str(error))
    log.exception("feedback failed on partition %d offset %d", message.partition, message.offset, exc_info=error)
    return DeadLetter(message, PROCESSING_FAILED, f"{type(error).__name__}: {error}")


class FeedbackRows(Stage):
    """The stage behind the agent that reads feedback.

    Parameters
    ----------
    services
        Shared by all stages of the worker.
    buffer
        Messages of `oqm.feedback`.
    reader
        Makes rows of them.
    positions
        Where this stage's positions are kept.
    """

    name = "feedback"

    def __init__(
        self, services: StageServices, buffer: OrderedBuffer, reader: FeedbackReader, positions: Positions
    ) -> None:
        super().__init__(services.topics.feedback, buffer, services)
        self._reader = reader
        self._positions = positions
        self._sent: dict[int, int] = {}
        self._written_at = 0.0

    async def _restored(self, partitions: list[int]) -> dict[int, int]:
        self._sent = await self._positions.restore(partitions)
        return dict(self._sent)

    async def _process(self, batch: Batch) -> None:
        result = await asyncio.get_running_loop().run_in_executor(self._pool, self._reader.read, batch.messages)
        await self._letters.write(result.letters, self.source.name)
        name = self._topics.features.name
        partitions = [self._reader.partition_of(stream) for stream in result.messages]
        # Of each stream one message after another, each confirmed: if they overtook one another the fence drops some.
        for messages in zip_longest(*result.messages.values()):
            await self._producer.send(
                Outgoing(name, partition=partition, value=value)
                for partition, value in zip(partitions, messages, strict=True)
                if value is not None
            )
        self._sent.update(batch.positions())
        stats = self._stats
        stats.messages[self.name] += len(batch.messages)
        stats.batches[self.name] += 1
        stats.busy_s[self.name] += result.seconds
        stats.batch_seconds[self.name].observe(result.seconds)
        stats.progress_at = self._clock()
        self._letters.check_share(len(batch.messages), result.letters)
        if self._clock() - self._written_at >= _POSITIONS_EVERY_S:
            await self._write_positions()

    async def _write_positions(self) -> None:
        moved = {partition: offset for partition, offset in self._sent.items() if self.done.get(partition) != offset}
        if moved:
            await self._positions.write(moved)
            self.done.update(moved)
        self._written_at = self._clock()

    async def idle(self) -> None:
        """Write positions when nothing comes: called by the worker's timer."""
        if self.buffer.idle and not self._lock.locked():
            async with self._lock:
                await self._write_positions()
