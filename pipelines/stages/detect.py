"""detect: feature rows in, findings out. One owner per detect partition; what it concludes is a function of the log.

Per batch: apply in the worker thread; alerts confirmed on `oqm.alerts`; and at intervals a checkpoint (snapshots of
the streams that changed, then the position). The alerts come first: a crash in between repeats them under the same id.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.detection import Finding, PartitionMonitor, StreamMonitor
from monitor.detection.records.control import Control
from monitor.detection.records.log_format import decode_message, encode_control, encode_tick
from monitor.detection.records.status import StreamStatus
from monitor.detection.stream.failed_stream import FailedStream, Unjudged
from monitor.errors import InvalidEvent, OqmError
from monitor.features.batch import FeatureBatch
from pipelines.feature_log.apply import apply
from pipelines.kafka.dead_letters import PROCESSING_FAILED, DeadLetter
from pipelines.kafka.ordered_buffer import Batch, Message, OrderedBuffer
from pipelines.kafka.producer import Outgoing
from pipelines.stages.base import Stage, StageServices
from pipelines.stages.stream_letters import letters_of
from pipelines.state.checkpoint import DetectCheckpoint

log = logging.getLogger(__name__)

MIN_PAUSE_PER_SNAPSHOT_TIME = 9.0
"""From the end of a checkpoint to the next one, as a multiple of the time that its snapshots took: those of thousands
of streams take seconds, and take a tenth of the time at most. What Kafka took to confirm them does not count: after a
broker's restart the next checkpoint is due as always."""


@dataclass(slots=True)
class Applied:
    """A batch after the worker thread. `rejected` counts rows that went to the dead letters, by reason."""

    findings: list[Finding] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    times: list[NDArray[np.float64]] = field(default_factory=list)
    seconds: float = 0.0


class Detect(Stage):
    """The stage behind the detect agent.

    Parameters
    ----------
    services
        Shared by all stages of the worker.
    buffer
        Messages of `oqm.features`.
    monitor
        Makes the monitor of one detect partition.
    alert
        Makes the alert of a finding.
    checkpoint
        Where snapshots and positions are kept.
    checkpoint_every_s
        Seconds between two checkpoints, at least.
    on_findings
        Called with findings once their alerts are confirmed.
    """

    name = "detect"

    def __init__(
        self,
        services: StageServices,
        buffer: OrderedBuffer,
        monitor: Callable[[], PartitionMonitor],
        alert: Callable[[Finding], Alert],
        checkpoint: DetectCheckpoint,
        checkpoint_every_s: float,
        on_findings: Callable[[list[Finding]], None] | None = None,
    ) -> None:
        super().__init__(services.topics.features, buffer, services)
        self._monitor = monitor
        self._alert = alert
        self._checkpoint = checkpoint
        self._checkpoint_every_s = checkpoint_every_s
        self._on_findings = on_findings
        self._monitors: dict[int, PartitionMonitor] = {}
        self._applied: dict[int, int] = {}
        self._statuses: dict[str, StreamStatus] = {}
        self._changed_settings: dict[int, list[Control]] = {}
        self._due_at = 0.0
        self._in_hand = False
        self._late: set[str] = set()  # streams whose times lay far behind at the last checkpoint
        self._failures: Counter[str] = Counter()  # of streams' monitors, by call; counted in the worker thread

    @property
    def restored(self) -> int:
        """Records that restores have read so far."""
        return self._checkpoint.restored

    async def _restored(self, partitions: list[int]) -> dict[int, int]:
        found = await self._checkpoint.restore(partitions)
        self._monitors = {partition: self._monitor() for partition in partitions}
        self._applied = {partition: found[partition].position for partition in partitions}
        self._statuses = {}
        self._in_hand = False

        def take_over() -> None:
            for partition, restored in found.items():
                monitor = self._monitors[partition]
                monitor.report = self._note
                for stream, record in restored.streams.items():
                    monitor.restore(stream, record.snapshot)
                for stream, record in restored.elsewhere.items():
                    monitor.restore(stream, record.snapshot, new_log=True)
                monitor.clock = restored.clock
                self._statuses |= monitor.statuses()
                self._changed_settings[partition] = monitor.outdated()

        await asyncio.get_running_loop().run_in_executor(self._pool, take_over)
        self._count()
        self._due_at = self._clock() + self._checkpoint_every_s
        return dict(self._applied)

    def _note(self, unjudged: Unjudged) -> None:
        """Log a failure and remember it for the metrics; called in the worker thread."""
        if unjudged.error is not None:
            self._failures[unjudged.doing] += 1
            log.error("stream %r: %s", unjudged.stream, unjudged.detail, exc_info=unjudged.error)

    def _reject(self, result: Applied, message: Message, unjudged: Unjudged) -> None:
        """As `_note`; its rows become dead letters."""
        self._note(unjudged)
        if unjudged.rows is not None:
            result.rejected[unjudged.reason] += len(unjudged.rows)
        place = (message.partition, message.offset, message.timestamp)
        result.letters += letters_of(unjudged, *place, self._topics.outputs)

    def _apply(self, messages: Sequence[Message]) -> Applied:
        started = time.thread_time()
        result = Applied()
        for message in messages:
            monitor = self._monitors[message.partition]
            monitor.report = functools.partial(self._reject, result, message)
            try:
                content = decode_message(message.value or b"")
                result.findings += apply(monitor, content, message.offset)
                if isinstance(content, FeatureBatch):
                    result.times.append(content.times)
            except InvalidEvent as error:
                result.letters.append(DeadLetter(message, error.reason, error.detail))
            except (OqmError, MemoryError):
                raise  # a log of another version: going on would misread it; and memory is short for all streams
            except Exception as error:
                # A fault of ours in one message, outside of any stream's monitor (those are contained one by one). Its
                # rows are kept in the dead letter; the log goes on without them.
                log.exception("detect failed on partition %d offset %d", message.partition, message.offset)
                result.letters.append(DeadLetter(message, PROCESSING_FAILED, f"{type(error).__name__}: {error}"))
            finally:
                monitor.report = self._note
        result.seconds = time.thread_time() - started
        return result

    async def _process(self, batch: Batch) -> None:
        self._in_hand = True
        result = await asyncio.get_running_loop().run_in_executor(self._pool, self._apply, batch.messages)
        await self._letters.write(result.letters, self.source.name)
        await self._raise(result.findings)
        self._applied.update(batch.positions())
        self._in_hand = False
        stats = self._stats
        stats.messages[self.name] += len(batch.messages)
        stats.batches[self.name] += 1
        stats.busy_s[self.name] += result.seconds
        stats.batch_seconds[self.name].observe(result.seconds)
        now = self._clock()
        for times in result.times:
            for time_of_event in times.tolist():
                stats.delay.observe(now - time_of_event)
        stats.unjudged.update(result.rejected)
        stats.stream_failures = Counter(self._failures)
        stats.progress_at = self._clock()
        self._letters.check_share(len(batch.messages), result.letters)
        if self._clock() >= self._due_at:
            await self._write_positions()

    async def _raise(self, findings: list[Finding]) -> None:
        """Put alerts on `oqm.alerts`, confirmed."""
        if not findings:
            return
        raised = [self._alert(finding) for finding in findings]
        await self._producer.send(
            Outgoing(self._topics.alerts.name, key=alert.id.encode(), value=alerts.encode(alert)) for alert in raised
        )
        self._stats.findings.update(finding.state.value for finding in findings if not finding.is_update)
        if self._on_findings is not None:
            self._on_findings(findings)

    async def close(self) -> None:
        """The end of a replay: judge the rows that wait for their block to fill."""
        async with self._lock:
            for monitor in self._monitors.values():
                await self._raise(await asyncio.get_running_loop().run_in_executor(self._pool, monitor.close))

    @property
    def streams(self) -> dict[str, StreamMonitor | FailedStream]:
        """What watches each stream owned here, by name."""
        return {name: held for monitor in self._monitors.values() for name, held in monitor.streams.items()}

    @property
    def applied(self) -> dict[int, int]:
        """Per partition the next offset to apply."""
        return dict(self._applied)

    async def _write_positions(self) -> None:
        if self._in_hand:
            # Cancelled between applying a batch and confirming its alerts: a snapshot now would hold rows whose alerts
            # were never written, and the stream's fence would keep them from being found again. The last one stands.
            return
        took = 0.0
        moved = {p: offset for p, offset in self._applied.items() if self.done.get(p) != offset}
        loop = asyncio.get_running_loop()
        for partition, position in moved.items():
            began = self._clock()
            changed, ended = await loop.run_in_executor(self._pool, self._changed, partition)
            took += self._clock() - began
            await self._checkpoint.write(partition, position, changed, ended, self._monitors[partition].clock)
            self.done[partition] = position
            for stream in ended:
                self._statuses.pop(stream, None)
            for stream, (status, _) in changed.items():
                self._statuses[stream] = status
        if moved:
            self._count()
            self._note_late_times()
        self._due_at = self._clock() + max(self._checkpoint_every_s, MIN_PAUSE_PER_SNAPSHOT_TIME * took)

    def _note_late_times(self) -> None:
        """Say in the log which streams' times have fallen far behind since the last checkpoint, or caught up."""
        late = {stream for stream, status in self._statuses.items() if status.behind_s is not None}
        new, over = late - self._late, self._late - late
        self._late = late
        if new:
            first = self._statuses[min(new)]
            log.warning("streams whose times lie far behind: %d more, such as %s: %s", len(new), min(new), first.note())
        if over:
            log.info("volume and silence are judged again, since times have caught up: streams: %d", len(over))

    def _changed(self, partition: int) -> tuple[dict[str, tuple[StreamStatus, bytes]], set[str]]:
        """Status and snapshot of each stream that changed since the last checkpoint, and the streams that ended."""
        monitor = self._monitors[partition]
        ended = monitor.ended()
        return {stream: (monitor.status(stream), data) for stream, data in monitor.changed().items()}, ended

    def _count(self) -> None:
        """What metrics say of the streams, as of now."""
        self._stats.statuses = dict(self._statuses)
        self._stats.newcomers = sum(monitor.newcomers for monitor in self._monitors.values())
        self._stats.stream_failures = Counter(self._failures)

    def not_judged(self) -> dict[str, str]:
        """What could not be judged, for people, as of `PartitionMonitor.not_judged`."""
        return {name: why for monitor in self._monitors.values() for name, why in monitor.not_judged().items()}

    async def settle(self) -> None:
        """As for every stage; streams of partitions given back vanish from the metrics."""
        await super().settle()
        self._monitors = {}
        self._applied = {}
        self._statuses = {}
        self._count()

    async def idle(self) -> None:
        """Write a checkpoint when it is due and nothing comes: called by the worker's timer."""
        due = self._clock() >= self._due_at
        if due and self.buffer.idle and not self._lock.locked():
            async with self._lock:
                await self._write_positions()

    async def settings_changed(self) -> None:
        """The settings are others from now on: streams that they concern get them with the next tick, by the log."""
        async with self._lock:
            for partition, monitor in self._monitors.items():
                changed = await asyncio.get_running_loop().run_in_executor(self._pool, monitor.outdated)
                self._changed_settings[partition] = changed

    async def tick(self) -> None:
        """Append the time to every detect partition owned here, and settings that changed since a restore."""
        now = self._clock()
        name = self._topics.features.name
        owned = list(self.buffer.next)
        changed = [
            Outgoing(name, partition=partition, value=encode_control(control))
            for partition in owned
            for control in self._changed_settings.pop(partition, [])
        ]
        if changed:
            log.info("settings of %d streams changed and take effect from here in the log", len(changed))
        await self._producer.send(
            [*changed, *(Outgoing(name, partition=partition, value=encode_tick(now)) for partition in owned)]
        )
