"""`PartitionMonitor`: all streams of one detect partition, and the rules that make an effect happen exactly once.

A stream's state carries the offset in `oqm.features` up to which it was applied, and per source partition the highest
source offset applied (the fence). So a message that comes again, or rows that featurize sent twice, change nothing.
Pure: what it returns is a function of the log.

A stream's life: a name with a few events is a `Newcomer`; then a `StreamMonitor` watches it; where that raises an
exception, a `FailedStream` stands in its place until a person acts; a stream that is removed, or had no event for
`forget_after`, is gone. What is not judged on the way is handed to `report`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from monitor.config_values.durations import in_words
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.finding import Ended, Finding, Resolution, resolved
from monitor.detection.records.status import StreamStatus
from monitor.detection.settings import DetectionSettings
from monitor.detection.state import migration
from monitor.detection.state.snapshot_codec import decode, encode
from monitor.detection.stream.due_times import DueTimes
from monitor.detection.stream.failed_stream import (
    STREAM_FAILED,
    TOO_MANY_STREAMS,
    FailedStream,
    Failure,
    Unjudged,
    in_one_line,
    unknown,
)
from monitor.detection.stream.forgetting import Look, hour_of, look
from monitor.detection.stream.newcomer import Newcomer, can_wait
from monitor.detection.stream.newcomers import Newcomers
from monitor.detection.stream.stream_in_log import FORMAT, StreamInLog, StreamInLogState, Watched
from monitor.detection.stream.stream_monitor import RESOLVED_BY, StreamMonitor
from monitor.errors import InvalidEvent, OqmError, StateError
from monitor.features.base import FeatureSpec
from monitor.features.batch import FeatureBatch

MAX_STREAMS = 20_000
"""Streams of a partition, at most, where the settings say nothing: two times what the largest fleet that was measured
has in one partition. As newcomers they take 40 MB, as monitors far more than any worker has: memory is what limits
those."""


class PartitionMonitor:
    """Streams by name, created when first seen.

    Parameters
    ----------
    settings_for
        Detection settings of a stream by its name.
    specs
        Declarations of the features that batches carry; none: the features of the default registry.
    max_streams
        Streams at most. A further name takes the place of the newcomer that was seen least recently; where there is no
        newcomer, its rows are not judged.
    specs_of
        Declarations for a stream whose rows are no outputs, by its name; None for one that has those of `specs`.

    Attributes
    ----------
    report
        Called with what is not judged, as it happens; does nothing unless it is set.
    unjudged
        Rows that were handed back so far, by reason.
    began, time
        Log times of the first and of the latest tick, NaN before the first: `clock` has both.
    """

    def __init__(
        self,
        settings_for: Callable[[str], DetectionSettings] | None = None,
        specs: Sequence[FeatureSpec] | None = None,
        max_streams: int = MAX_STREAMS,
        specs_of: Callable[[str], Sequence[FeatureSpec] | None] | None = None,
    ) -> None:
        self.report: Callable[[Unjudged], None] = lambda _: None
        self.unjudged: Counter[str] = Counter()
        self.began = self.time = math.nan
        default = DetectionSettings()
        self._settings_for = settings_for or (lambda _stream: default)
        self._specs = specs
        self._specs_of = specs_of or (lambda _stream: None)
        self._max_streams = max_streams
        self._owned: dict[str, StreamInLog] = {}
        self._newcomers = Newcomers(specs)
        self._turn = 0
        self._changed: set[str] = set()
        self._ended: set[str] = set()
        self._ended_at = -1  # the highest offset at which a stream ended: no earlier message may create it again
        self._looked = math.nan  # the hour of the latest look for streams to forget
        self._unreadable: set[str] = set()  # streams whose status raised, reported once
        self._due = DueTimes()
        self._clock_offset = -1

    @property
    def clock(self) -> tuple[float, float] | None:
        """Log times of the first and the latest tick, by which late rows are recognised; None: there was none.

        What a checkpoint keeps of the partition itself (`pipelines.state.checkpoint`).
        """
        return None if math.isnan(self.time) else (self.began, self.time)

    @clock.setter
    def clock(self, clock: tuple[float, float] | None) -> None:
        """Go on from a checkpoint, after the streams' snapshots were taken over."""
        self.began, self.time = (math.nan, math.nan) if clock is None else clock
        for owned in self._owned.values():
            if clock is not None and isinstance(owned.monitor, StreamMonitor) and math.isnan(owned.monitor.clock):
                owned.monitor.reach_on_time(self.time)

    @property
    def streams(self) -> dict[str, StreamMonitor | FailedStream]:
        """What watches each stream, by name. Of newcomers a monitor is made for the asking: for tests and notebooks."""
        return {name: self.stream(name) for name in self._owned}

    def stream(self, name: str) -> StreamMonitor | FailedStream:
        """What watches this stream. Raises `KeyError` where there is none."""
        watched = self._owned[name].monitor
        if not isinstance(watched, Newcomer):
            return watched
        monitor = StreamMonitor(name, watched.settings, self._specs_for(name))
        for rows, clock in watched.rows():
            if not math.isnan(clock):
                monitor.reach(clock)
            monitor.observe(rows)
        return monitor

    def __contains__(self, stream: str) -> bool:
        return stream in self._owned

    @property
    def newcomers(self) -> int:
        """How many names have so few events that nothing is judged yet."""
        return len(self._newcomers)

    @property
    def failed(self) -> dict[str, Failure]:
        """The streams that cannot be judged, and why."""
        return {
            name: owned.monitor.failure
            for name, owned in self._owned.items()
            if isinstance(owned.monitor, FailedStream)
        }

    def not_judged(self) -> dict[str, str]:
        """What could not be judged, for people: failed streams, and names beyond the cap, each with the reason."""
        said = {stream: failure.sentence for stream, failure in self.failed.items()}
        if beyond := self.unjudged[TOO_MANY_STREAMS]:
            said["stream names"] = (
                f"{beyond:,} events, there are more names than worker.max_streams ({self._max_streams:,})"
            )
        return said

    # The log

    def apply(self, batch: FeatureBatch, offset: int) -> list[Finding]:
        """Apply one message of `oqm.features` at `offset`; rows applied before are dropped."""
        findings: list[Finding] = []
        for stream, rows in batch.by_stream():
            owned = self._owned.get(stream) or self._admit(stream, rows, offset)
            if owned is None or offset <= owned.applied:
                continue
            fresh = owned.fresh_rows(rows)
            if fresh is not None:
                self._turn += 1
                owned.seen, owned.doubted, owned.turn = self._time_of(owned), math.nan, self._turn
                findings += self._take(stream, owned, fresh, offset)
            owned.applied = offset
            self._changed.add(stream)
            self._expect(stream, owned)
        return findings

    def tick(self, time: float, offset: int, stream: str | None = None) -> list[Finding]:
        """Event time has reached `time`, for every stream here, of which only those that are due are visited.

        With `stream`, as in a replay: for that stream alone, by its own clock, and one without rows has none.
        """
        if stream is not None:
            return self._tick_alone(stream, time, offset)
        if math.isnan(self.began):
            self.began = time
        findings = self._forget(time, offset)
        self._reach(time, offset)
        for due in self._due.take(time):
            findings += self._tick_stream(due, self._owned[due], time, offset)
        return findings

    def _tick_alone(self, stream: str, time: float, offset: int) -> list[Finding]:
        """A tick of one stream, whose clock no other stream's ticks move.

        It comes before a row of the stream, so it is no reason to forget the stream, however long the pause was.
        """
        owned = self._owned.get(stream)
        if owned is None or offset <= owned.applied:
            return []
        owned.time = time
        return self._tick_stream(stream, owned, time, offset)

    def _tick_stream(self, stream: str, owned: StreamInLog, time: float, offset: int) -> list[Finding]:
        monitor = owned.monitor
        findings: list[Finding] = []
        if offset > owned.applied and isinstance(monitor, StreamMonitor):
            found = self._contained(stream, owned, "tick", offset, partial(_ticked, monitor, time))
            if found is not None:
                findings = found
                owned.applied = offset
                self._changed.add(stream)
        self._expect(stream, owned)
        return findings

    def _reach(self, time: float, offset: int) -> None:
        """A tick that comes again says nothing new; the first one says how late the rows before it are."""
        if offset <= self._clock_offset:
            return
        if math.isnan(self.time):
            for stream, owned in self._owned.items():
                monitor = owned.monitor
                if offset <= owned.applied or not isinstance(monitor, StreamMonitor) or not math.isnan(monitor.clock):
                    continue
                monitor.reach(time)
                if monitor.behind_s is not None:  # else `clock` says the same of the snapshot that stands
                    self._changed.add(stream)
                self._expect(stream, owned)
        self.time, self._clock_offset = time, offset

    def _expect(self, stream: str, owned: StreamInLog) -> None:
        """Note from which log time on a tick can change something in this stream."""
        monitor = owned.monitor
        if isinstance(monitor, StreamMonitor):
            self._due.report(stream, monitor.next_due())

    def control(self, control: Control, offset: int) -> list[Finding]:
        """A decision about one stream takes effect at `offset`; about a stream that is not there it does nothing."""
        stream, action = control.stream, control.action
        owned = self._owned.get(stream)
        if owned is None or offset <= owned.applied:
            return []
        if action is ControlAction.REMOVE:
            end = Resolution(how=Ended.REMOVED, why="stream removed", by=control.by, time=control.time)
            return self._end(stream, owned, end, offset)
        if action in (ControlAction.JUDGED, ControlAction.FOLLOWED):
            revised = owned.judge(control) if action is ControlAction.JUDGED else owned.follow(control)
            owned.applied = offset
            self._changed.add(stream)
            return revised
        findings: list[Finding] = []
        if isinstance(owned.monitor, Newcomer):
            if action is ControlAction.SETTINGS:
                return []  # it takes those that hold when it becomes a monitor
            findings += self._promote(stream, owned, owned.monitor, offset)
        if isinstance(owned.monitor, FailedStream) and action in (ControlAction.PIN, ControlAction.DEPLOY):
            how, why = RESOLVED_BY[action]
            end = Resolution(how=how, why=why, by=control.by, time=control.time)
            findings += [resolved(finding, end) for finding in owned.open.values()]
            owned.open.clear()
            owned.monitor = self._made(stream, owned.monitor.settings, offset, owned.monitor.events)
        monitor = owned.monitor
        assert not isinstance(monitor, Newcomer)
        found = self._contained(stream, owned, "control", offset, lambda: monitor.control(control))
        owned.applied = offset
        self._changed.add(stream)
        self._expect(stream, owned)
        return findings + (found or [])

    def close(self) -> list[Finding]:
        """End of a replay: judge what still waits, stream by stream."""
        findings: list[Finding] = []
        for stream, owned in list(self._owned.items()):
            monitor = owned.monitor
            if isinstance(monitor, StreamMonitor):
                findings += self._contained(stream, owned, "close", owned.applied, monitor.close) or []
        return findings

    def outdated(self) -> list[Control]:
        """Control rows that bring streams restored under other settings to those they should have now.

        Settings take effect at an offset of the log like everything else, so that a pass over it finds the same.
        """
        return [
            Control(
                action=ControlAction.SETTINGS, stream=stream, data=wanted.model_dump(mode="json"), by="configuration"
            )
            for stream, owned in self._owned.items()
            if not isinstance(owned.monitor, Newcomer)
            and (wanted := self._settings_for(stream)) != owned.monitor.settings
        ]

    # One stream

    def _time_of(self, owned: StreamInLog) -> float:
        """Where the clock stands that a stream goes by: its own, or that of all."""
        return self.time if math.isnan(owned.time) else owned.time

    def _hand_back(self, unjudged: Unjudged) -> None:
        if unjudged.rows is not None:
            self.unjudged[unjudged.reason] += len(unjudged.rows)
        self.report(unjudged)

    def _admit(self, stream: str, rows: FeatureBatch, offset: int) -> StreamInLog | None:
        """A place for a stream that was not there; None where it cannot have one, which is reported."""
        if offset <= self._ended_at:
            return None
        if len(self._owned) >= self._max_streams and not self._make_room(offset):
            detail = f"{len(self._owned):,} streams are watched, which is as many as worker.max_streams allows"
            self._hand_back(Unjudged(stream, TOO_MANY_STREAMS, detail, rows=rows))
            return None
        settings = self._settings_for(stream)
        self._owned[stream] = owned = StreamInLog(Newcomer(settings))
        self._ended.discard(stream)
        if can_wait(settings):
            self._newcomers.add(stream)
        else:
            self._promote(stream, owned, Newcomer(settings), offset)
        return owned

    def _make_room(self, offset: int) -> bool:
        """Give up the newcomer that was seen least recently; whether there was one."""
        stream = self._newcomers.least_recent(self._owned)
        if stream is None:
            return False
        owned = self._owned[stream]
        assert isinstance(owned.monitor, Newcomer)
        detail = (
            f"gave way to newer names after {owned.monitor.events} events: there are more than "
            f"{self._max_streams:,} (worker.max_streams)"
        )
        for rows, _ in owned.monitor.rows():
            self._hand_back(Unjudged(stream, TOO_MANY_STREAMS, detail, rows=rows))
        self._end(stream, owned, Resolution(how=Ended.FORGOTTEN, why=detail), offset)
        return True

    def _take(self, stream: str, owned: StreamInLog, rows: FeatureBatch, offset: int) -> list[Finding]:
        """Rows of a stream that were not applied before."""
        findings: list[Finding] = []
        if isinstance(owned.monitor, Newcomer):
            if owned.monitor.takes(rows):
                owned.monitor.hold(rows, self._time_of(owned))
                self._newcomers.seen(stream)
                return []
            findings = self._promote(stream, owned, owned.monitor, offset)
        return findings + self._observe(stream, owned, rows, offset, self._time_of(owned))

    def _promote(self, stream: str, owned: StreamInLog, newcomer: Newcomer, offset: int) -> list[Finding]:
        """From here on a monitor watches the stream; it takes the newcomer's rows."""
        self._newcomers.remove(stream)
        owned.monitor = self._made(stream, newcomer.settings, offset, 0)
        return [f for rows, clock in newcomer.rows() for f in self._observe(stream, owned, rows, offset, clock)]

    def _specs_for(self, stream: str) -> Sequence[FeatureSpec] | None:
        return self._specs_of(stream) or self._specs

    def _made(self, stream: str, settings: DetectionSettings, offset: int, events: int) -> StreamMonitor | FailedStream:
        """A monitor of a stream that had this many events before."""
        try:
            monitor = StreamMonitor(stream, settings, self._specs_for(stream))
        except MemoryError:
            raise
        except Exception as error:  # as in `_contained`
            failure = Failure("create", in_one_line(error), offset, events)
            self._hand_back(Unjudged(stream, STREAM_FAILED, failure.sentence, "create", None, error))
            return FailedStream(stream, settings, failure, events, None)
        monitor.events = events
        return monitor

    def _observe(self, stream: str, owned: StreamInLog, rows: FeatureBatch, offset: int, clock: float) -> list[Finding]:
        """Rows that came when the log's clock stood at `clock` (NaN: before its first tick)."""
        monitor = owned.monitor
        if isinstance(monitor, StreamMonitor):
            if not math.isnan(clock):
                monitor.reach(clock)
            return self._contained(stream, owned, "observe", offset, lambda: monitor.observe(rows), rows) or []
        assert isinstance(monitor, FailedStream)
        monitor.count(rows)
        self._hand_back(Unjudged(stream, STREAM_FAILED, monitor.failure.sentence, rows=rows))
        return []

    def _contained(
        self,
        stream: str,
        owned: StreamInLog,
        doing: str,
        offset: int,
        call: Callable[[], list[Finding] | None],
        rows: FeatureBatch | None = None,
    ) -> list[Finding] | None:
        """What a call of one stream's monitor finds; where it raises, the stream has failed and the others go on.

        This is the one place where catching every exception is right. A monitor is a few thousand lines that meet
        whatever an application says; an unforeseen exception there is about this stream alone, and passed on
        it would take with it the findings of streams that were applied before in the same message, the rows of those
        behind it, and the ticks of all. Nothing is hidden: the exception is reported (logged, counted, in `oqm
        streams`), the stream is `unknown`, and its rows are kept in the dead letters. Not caught is lack of memory,
        which is not the stream's, and what the caller foresees (`InvalidEvent`: a control row that makes no sense).
        """
        monitor = owned.monitor
        seen, first = monitor.events, monitor.events
        if isinstance(monitor, StreamMonitor):
            monitor.found = []
            first -= monitor.waiting
        try:
            findings = call()
        except (MemoryError, InvalidEvent):
            raise
        except Exception as error:
            # What was found before it raised was found in rows before those that it raised on: it stands.
            findings = list(monitor.found) if isinstance(monitor, StreamMonitor) else []
            self._fail(stream, owned, Failure(doing, in_one_line(error), offset, first), error, seen, rows)
        return None if findings is None else owned.reported(findings)

    def _fail(
        self,
        stream: str,
        owned: StreamInLog,
        failure: Failure,
        error: Exception,
        seen: int,
        rows: FeatureBatch | None = None,
    ) -> None:
        """Put a `FailedStream` in the place of a monitor that raised; `seen` events came before these rows."""
        broken = owned.monitor
        assert not isinstance(broken, Newcomer)
        self._due.forget(stream)
        owned.monitor = failed = FailedStream(stream, broken.settings, failure, seen, broken.last_time)
        if rows is not None:
            failed.count(rows)
        self._changed.add(stream)
        self._hand_back(Unjudged(stream, STREAM_FAILED, failure.sentence, failure.doing, rows, error))

    def _forget(self, time: float, offset: int) -> list[Finding]:
        """End the streams that had no event for `forget_after` (`monitor.detection.stream.forgetting`)."""
        hour = hour_of(time)
        if hour == self._looked:
            return []
        self._looked = hour
        findings: list[Finding] = []
        for stream, owned in list(self._owned.items()):
            if offset <= owned.applied:
                continue
            found = look(owned, hour, self.began)
            if found is Look.CHANGED:
                self._changed.add(stream)
            elif found is Look.FORGET:
                why = f"no event for {in_words(owned.monitor.settings.forget_after)}, the stream is forgotten"
                findings += self._end(stream, owned, Resolution(how=Ended.FORGOTTEN, why=why), offset)
        return findings

    def _end(self, stream: str, owned: StreamInLog, end: Resolution, offset: int) -> list[Finding]:
        """The stream is gone; its open findings are resolved."""
        del self._owned[stream]
        self._due.forget(stream)
        self._newcomers.remove(stream)
        self._changed.discard(stream)
        self._unreadable.discard(stream)
        if owned.saved:
            self._ended.add(stream)
        self._ended_at = max(self._ended_at, offset - 1)
        return [resolved(finding, end) for finding in owned.open.values()]

    # Outside

    def status(self, stream: str) -> StreamStatus:
        """Where the stream stands; `unknown` where its monitor cannot say. Raises `KeyError` where there is none."""
        owned = self._owned[stream]
        monitor = owned.monitor
        if isinstance(monitor, Newcomer):
            return self._newcomers.status(stream, monitor)
        if isinstance(monitor, FailedStream):
            return monitor.status(list(owned.open.values()))
        try:
            return monitor.status()
        except MemoryError:
            raise
        except Exception as error:  # as in `_contained`; it goes on judging, since only its status failed
            detail = f"its state cannot be read: {in_one_line(error)}"
            if stream not in self._unreadable:
                self._unreadable.add(stream)
                self._hand_back(Unjudged(stream, STREAM_FAILED, detail, "status", None, error))
            return unknown(stream, detail, monitor.events, monitor.last_time, list(owned.open.values()))

    def statuses(self) -> dict[str, StreamStatus]:
        """Where every stream stands now."""
        return {stream: self.status(stream) for stream in self._owned}

    def changed(self) -> dict[str, bytes]:
        """Snapshots of the streams that changed since the last call.

        A stream whose state cannot be written has failed: going on without would lose what it knows at the next
        restart, and no one would be informed.
        """
        snapshots = {}
        for stream in sorted(self._changed):
            owned = self._owned[stream]
            monitor, snapshot = owned.monitor, None
            if isinstance(monitor, StreamMonitor):
                try:
                    snapshot = monitor.snapshot()
                except MemoryError:
                    raise
                except Exception as error:  # as in `_contained`
                    failure = Failure("snapshot", in_one_line(error), owned.applied, monitor.events)
                    self._fail(stream, owned, failure, error, monitor.events)
            snapshots[stream] = encode(owned.to_state(snapshot))
            owned.saved = True
        self._changed.clear()
        return snapshots

    def ended(self) -> set[str]:
        """Streams that are gone since the last call, of those that `changed` or a restore has named."""
        ended, self._ended = self._ended, set()
        return ended

    def restore(self, stream: str, snapshot: bytes, *, new_log: bool = False) -> None:
        """Take over a stream's snapshot; one that is older than the present state is ignored.

        `new_log`: the snapshot is of another incarnation of `oqm.features`; its place in that log says nothing here.
        """
        try:
            state = decode(snapshot, StreamInLogState, FORMAT, stream, migration.stream_in_log)
        except msgspec.ValidationError as wrong:
            raise StateError(f"stream {stream!r}: not a snapshot: {wrong}") from wrong
        held = self._owned.get(stream)
        if held is not None and state.applied < held.applied:
            return
        settings = self._settings_for(stream)
        owned = StreamInLog.from_state(self._restored(stream, state, settings), state, new_log=new_log)
        self._owned[stream] = owned
        self._newcomers.remove(stream)
        self._due.forget(stream)
        self._expect(stream, owned)
        if isinstance(owned.monitor, Newcomer):
            self._turn = max(self._turn, owned.turn)
            self._newcomers.restore(stream)

    def _restored(self, stream: str, state: StreamInLogState, settings: DetectionSettings) -> Watched:
        """What watches a stream by its record; a monitor whose state cannot be read has failed."""
        if state.failed is not None:
            return FailedStream.from_state(stream, state.failed)
        if state.newcomer is not None:
            return Newcomer.from_state(state.newcomer, settings)
        if state.monitor is None:
            raise StateError(f"stream {stream!r}: its snapshot does not say what watches it")
        monitor = StreamMonitor(stream, settings, self._specs_for(stream))
        try:
            monitor.restore(state.monitor)
        except (MemoryError, OqmError):
            raise
        except Exception as error:  # as in `_contained`: a state that cannot be read is one stream's, not the worker's
            failure = Failure("restore", in_one_line(error), state.applied, monitor.events)
            self._changed.add(stream)
            self._hand_back(Unjudged(stream, STREAM_FAILED, failure.sentence, "restore", None, error))
            return FailedStream(stream, settings, failure, monitor.events, None)
        return monitor


def _ticked(monitor: StreamMonitor, time: float) -> list[Finding] | None:
    """What a tick finds; None where the stream does not wait for one."""
    return monitor.tick(time) if monitor.waits_for(time) else None
