"""judged: judgments in; feature rows of derived streams (`monitor.criteria.derived`) and alerts of evaluators out.

A verdict on an output of the uniform sample becomes one row of `~judged/<stream>/<criterion>` in `oqm.features`, with
the judgment's own place in the log as its source: what a crash sends again stops at the same fence as outputs do
(`monitor.detection.stream.stream_in_log`), and an output that is judged twice by one criterion counts once, as any
event id that comes twice does. Verdicts on anchors go to their criterion's `AnchorBook`, whose state this stage keeps.

Runs with the role detect, and not with judge: derived streams belong to detection, which watches them also where
judgments come from somewhere else (people's labels, another installation's workers), and workers that judge need no
right to write to `oqm.features`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.criteria.criterion import JUDGED_PREFIX
from monitor.criteria.derived import EVALUATOR, evaluator_name, judged_stream
from monitor.detection import Finding
from monitor.detection.records.log_format import encode, partition_for
from monitor.errors import InvalidEvent, StateError
from monitor.events import excerpt_parts
from monitor.events.redaction import excerpts
from monitor.features.batch import FeatureBatch
from monitor.judgment.records import Judgment, Purpose, decode_judgment
from pipelines.kafka.dead_letters import PROCESSING_FAILED, DeadLetter
from pipelines.kafka.ordered_buffer import Batch, Message, OrderedBuffer
from pipelines.kafka.producer import Outgoing
from pipelines.kafka.topics import TopicFacts
from pipelines.stages.anchors import AnchorDesk
from pipelines.stages.base import Stage, StageServices
from pipelines.state.positions import Positions

log = logging.getLogger(__name__)

_POSITIONS_EVERY_S = 1.0
"""A crash repeats at most this much work; its repeated rows stop at the fence."""


@dataclass(slots=True)
class Derived:
    """A batch after the worker thread: messages of each derived stream in order, what could not be read, and the
    verdicts on anchors."""

    messages: dict[str, list[bytes]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    anchors: list[tuple[Message, Judgment]] = field(default_factory=list)
    seconds: float = 0.0


class JudgmentReader:
    """Bytes of `oqm.judgments` to messages of `oqm.features`. Pure, and total.

    Parameters
    ----------
    source
        The topic that is read: its id goes with each row, for the fence.
    detect_partitions
        Number of partitions of `oqm.features`.
    excerpts
        Whether rows carry the evaluator's reasons, masked, for the examples of alerts.
    """

    def __init__(self, source: TopicFacts, detect_partitions: int, *, excerpts: bool = True) -> None:
        self._source = source
        self._partitions = detect_partitions
        self._excerpts = excerpts

    def partition_of(self, stream: str) -> int:
        """The detect partition of a derived stream."""
        return partition_for(stream, self._partitions)

    def read(self, messages: Sequence[Message]) -> Derived:
        """Decode, choose, encode. Never raises for what a message holds."""
        started = time.thread_time()
        result = Derived()
        rows_of: dict[tuple[str, str], list[tuple[Message, Judgment]]] = {}
        for message in messages:
            try:
                judgment = decode_judgment(message.value or b"")
            except InvalidEvent as error:
                result.letters.append(DeadLetter(message, error.reason, error.detail))
                continue
            if judgment.purpose is Purpose.ANCHOR:
                result.anchors.append((message, judgment))
            elif is_evidence(judgment):
                key = judged_stream(judgment.stream, judgment.criterion), judgment.criterion
                rows_of.setdefault(key, []).append((message, judgment))
        for (stream, criterion), rows in rows_of.items():
            self._encode(stream, criterion, rows, result)
        result.seconds = time.thread_time() - started
        return result

    def _encode(self, stream: str, criterion: str, rows: list[tuple[Message, Judgment]], result: Derived) -> None:
        try:
            result.messages.setdefault(stream, []).extend(encode(self._batch(stream, criterion, rows)))
        except Exception as error:
            if len(rows) == 1:
                result.letters.append(_failed(rows[0][0], error))
                return
            for row in rows:  # one by one, only what cannot be encoded is lost
                self._encode(stream, criterion, [row], result)

    def _batch(self, stream: str, criterion: str, rows: list[tuple[Message, Judgment]]) -> FeatureBatch:
        judged = [judgment for _, judgment in rows]
        return FeatureBatch(
            names=(JUDGED_PREFIX + criterion,),
            values=np.array([[not judgment.passed] for judgment in judged], dtype=np.float32),
            streams=[stream] * len(rows),
            ids=[judgment.event for judgment in judged],
            times=np.array([judgment.time for judgment in judged], dtype=np.float64),
            digests=np.array([_digest(judgment) for judgment in judged], dtype=np.uint64),
            source=self._source.id,
            source_partitions=np.array([message.partition for message, _ in rows], dtype=np.int32),
            source_offsets=np.array([message.offset for message, _ in rows], dtype=np.int64),
            segments=[
                {**judgment.segments, EVALUATOR: evaluator_name(judgment.evaluator, judgment.identity)}
                for judgment in judged
            ],
            input_excerpts=[""] * len(rows),
            output_excerpts=_reasons(judged) if self._excerpts else [""] * len(rows),
        )


def is_evidence(judgment: Judgment) -> bool:
    """Whether a verdict may enter drift detection.

    It must be of an output that the uniform rule alone would have drawn: what else is drawn varies with what happens,
    and would be a drift of its own. A missing verdict says nothing of the output.
    """
    return judgment.purpose is Purpose.SAMPLE and judgment.by_uniform and judgment.passed is not None


def _digest(judgment: Judgment) -> int:
    """Of what is judged, and not of the verdict: the same output judged again is a repetition, whatever is said."""
    said = f"{judgment.stream}\0{judgment.event}\0{judgment.criterion}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "little")


def _reasons(judged: Sequence[Judgment]) -> list[str]:
    """What an alert quotes of each output: the verdict with the evaluator's reason, masked."""
    reasons = excerpts([judgment.rationale for judgment in judged])
    return [
        excerpt_parts.joined(excerpt_parts.Parts(f"{'passes' if judgment.passed else 'fails'}: {reason}"))
        if reason
        else ("passes" if judgment.passed else "fails")
        for judgment, reason in zip(judged, reasons, strict=True)
    ]


def _failed(message: Message, error: Exception) -> DeadLetter:
    if isinstance(error, StateError):
        return DeadLetter(message, "row_too_large", str(error))
    log.exception("judgment failed on partition %d offset %d", message.partition, message.offset, exc_info=error)
    return DeadLetter(message, PROCESSING_FAILED, f"{type(error).__name__}: {error}")


class JudgedOutputs(Stage):
    """The stage behind the agent that reads judgments.

    Parameters
    ----------
    services
        Shared by all stages of the worker.
    buffer
        Messages of `oqm.judgments`.
    reader
        Makes rows of them.
    positions
        Where this stage's positions are kept.
    anchors
        Watches the evaluators by the criteria's anchors.
    alert
        Makes the alert of a finding.
    """

    name = "judged"

    def __init__(
        self,
        services: StageServices,
        buffer: OrderedBuffer,
        reader: JudgmentReader,
        positions: Positions,
        anchors: AnchorDesk,
        alert: Callable[[Finding], Alert],
    ) -> None:
        super().__init__(services.topics.judgments, buffer, services)
        self._reader = reader
        self._positions = positions
        self._anchors = anchors
        self._alert = alert
        self._sent: dict[int, int] = {}
        self._written_at = 0.0
        self._in_hand = False

    async def _restored(self, partitions: list[int]) -> dict[int, int]:
        self._sent = await self._positions.restore(partitions)
        await self._anchors.restore(partitions)
        self._in_hand = False
        return dict(self._sent)

    async def _process(self, batch: Batch) -> None:
        self._in_hand = True
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
        await self._raise(self._anchors.apply(result.anchors))
        self._sent.update(batch.positions())
        self._in_hand = False
        stats = self._stats
        stats.messages[self.name] += len(batch.messages)
        stats.batches[self.name] += 1
        stats.busy_s[self.name] += result.seconds
        stats.batch_seconds[self.name].observe(result.seconds)
        stats.progress_at = self._clock()
        self._letters.check_share(len(batch.messages), result.letters)
        if self._clock() - self._written_at >= _POSITIONS_EVERY_S:
            await self._write_positions()

    async def _raise(self, findings: list[Finding]) -> None:
        """Put alerts on `oqm.alerts`, confirmed, before the state that knows of them: a crash repeats them."""
        if findings:
            raised = [self._alert(finding) for finding in findings]
            await self._producer.send(
                Outgoing(self._topics.alerts.name, key=one.id.encode(), value=alerts.encode(one)) for one in raised
            )
            self._stats.findings.update(finding.state.value for finding in findings)

    async def _write_positions(self) -> None:
        if self._in_hand:
            return  # cancelled before its alerts were confirmed: the state in memory is not to be kept
        await self._anchors.write()
        moved = {partition: offset for partition, offset in self._sent.items() if self.done.get(partition) != offset}
        if moved:
            await self._positions.write(moved)
            self.done.update(moved)
        self._written_at = self._clock()

    async def idle(self) -> None:
        """Ask for the anchors that are due, and write positions when nothing comes: called by the worker's timer."""
        if self.buffer.idle and not self._lock.locked():
            async with self._lock:
                await self._producer.send(self._anchors.requests(self._clock()))
                await self._write_positions()
