"""`StreamMonitor`: watches one stream, from feature rows to findings.

A stream warms up on its first events, which become its reference (`WarmingUp`). From then on rows are judged in blocks
(`monitor.detection.stream.blocks`), each row by one `ReferenceMonitor` (`SegmentRouting`). Beside these stand the
comparison of versions, the service level objectives, the fixed thresholds and the volume of events, each of which finds
things by itself; `Suppression` sees to it that one cause is reported once.

Called by `monitor.detection.stream.partition_monitor`. Pure: time comes with rows and ticks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.canary.canary_monitor import CanaryMonitor, CanaryMonitorState
from monitor.detection.columns.duplicates import RecentEvents, RecentEventsState
from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.columns.stream_rows import Centre, CentreState, StreamRows, StreamRowsState
from monitor.detection.diagnosis import alert_correlation
from monitor.detection.records.context import Context
from monitor.detection.records.control import Control, ControlAction, settings_after
from monitor.detection.records.finding import Ended, Finding, Resolution, State, published
from monitor.detection.records.plain_numbers import finite, log10
from monitor.detection.records.status import OpenAlert, StreamState, StreamStatus
from monitor.detection.settings import DetectionSettings
from monitor.detection.slo.slo_monitor import SloMonitor, WatchState
from monitor.detection.state import migration
from monitor.detection.state.snapshot_codec import squeeze, unsqueeze
from monitor.detection.stream.blocks import BLOCK_WAIT_S, due_at, is_due, next_block
from monitor.detection.stream.segment_routing import SegmentRouting, SegmentRoutingState
from monitor.detection.stream.suppression import Suppression, SuppressionState
from monitor.detection.stream.warming_up import WarmingUp
from monitor.detection.stream.watched_features import WatchedFeatures, WatchedFeaturesState
from monitor.detection.thresholds.threshold_monitor import Found, ThresholdMonitor, ThresholdState
from monitor.detection.volume.volume_monitor import VolumeMonitor, VolumeMonitorState
from monitor.features.base import FeatureSpec
from monitor.features.batch import FeatureBatch

FORMAT = 3
"""Of snapshots."""
MONTH_S = 30 * 86400.0  # seconds of the 30 days in which `EVENTS_A_MONTH` is counted
EVENTS_A_MONTH = 100_000
"""What a stream without times is assumed to carry in 30 days: one event in 26 s."""
MIN_RUN_LENGTH = 10_000
"""Events between false alarms that are asked for, at least: a stream of ten events a day must not page for
coincidences, however many alerts a month its budget allows."""
ROUNDING_S = 1e-3
"""By which a due time is early: above what sums of times since 1970 lose in rounding, far below the time of a tick."""
RESOLVED_BY = {
    ControlAction.ACCEPT: (Ended.ACCEPTED, "accepted as the new normal"),
    ControlAction.DEPLOY: (Ended.DEPLOYED, "a deploy was marked"),
    ControlAction.PIN: (Ended.PINNED, "a new reference was pinned"),
}

_REJOINED = Resolution(how=Ended.REPLACED, why="its version is judged with the others again")


class StreamMonitorState(msgspec.Struct, frozen=True, kw_only=True):
    """Of `StreamMonitor`; `monitors` is None where it warms up, and `pinned` says whether its reference will stay."""

    format: int
    settings: dict[str, Any]
    events: int
    last_time: float
    rate: float
    idle: float | None
    clock: float
    recent: RecentEventsState
    centre: CentreState
    waiting: StreamRowsState | None
    volume: VolumeMonitorState
    pinned: bool
    monitors: SegmentRoutingState | None
    canary: CanaryMonitorState
    suppression: SuppressionState
    features: WatchedFeaturesState
    objectives: dict[str, WatchState]
    thresholds: dict[str, ThresholdState] = {}  # absent where an earlier version wrote it


class StreamMonitor:
    """Watches one stream.

    Parameters
    ----------
    stream
        Its name, for findings.
    settings
        How it is watched.
    specs
        Declarations of the features that its batches carry; none: those of the default registry.

    Attributes
    ----------
    events
        Events applied, once each.
    judged_from
        Index of the first event that was judged, rather than learned from; None where none was yet.
    clock
        Time of the log's last tick, which late events are measured by (seconds since 1970; NaN: none came).
    found
        What the call under way has found so far: where it raises, this much is known and was in the log before that.
    """

    def __init__(
        self, stream: str, settings: DetectionSettings | None = None, specs: Sequence[FeatureSpec] | None = None
    ) -> None:
        self.stream = stream
        self.settings = settings or _settings(None)
        self.events = 0
        self.judged_from: int | None = None
        self.clock = math.nan
        self._found: list[Finding] = []
        self._features = WatchedFeatures(specs, self.settings)
        self._recent = RecentEvents()
        self._centre = Centre(self.settings.warmup)
        self._waiting: StreamRows | None = None
        self._last_time = math.nan
        self._idle: float | None = None  # time of the first tick since the last event
        self._rate = 0.0
        self._volume = VolumeMonitor(stream)
        self._monitors: WarmingUp | SegmentRouting = WarmingUp()
        self._canary = CanaryMonitor()
        self._objectives = SloMonitor(stream, self._features.by_name)
        self._suppression = Suppression()
        self._thresholds = ThresholdMonitor(stream, self._features.by_name)
        self._thresholds.choose(self.settings.thresholds)

    # Input

    def observe(self, batch: FeatureBatch) -> list[Finding]:
        """Take rows of this stream, in log order; duplicates are counted and dropped.

        An event counts as a duplicate where its id is among those of the last 2,048 events. Raises `ValueError` for a
        batch that holds rows of several streams: as one stream they would be judged wrongly.
        """
        return _published(self._observed(batch))

    def _observed(self, batch: FeatureBatch) -> list[Finding]:
        if not len(batch):
            return []
        if len(names := set(batch.streams)) > 1:
            raise ValueError(
                f"the batch holds rows of {len(names)} streams ({', '.join(sorted(names)[:3])}): give those of one, "
                "or use monitor.Watch, which watches each separately"
            )
        keep = self._recent.admit(batch.ids, batch.digests)
        if not keep.all():
            if not keep.any():
                return []
            batch = batch.take(np.flatnonzero(keep))
        columns = self._features.columns
        embeddings = batch.embeddings if DISTANCE.name in columns else None
        rows = StreamRows.of(batch, self._centre.distances(embeddings, len(batch)), columns)
        seen = self.events
        self.events += len(rows)
        self._idle = None
        times = rows.times[np.isfinite(rows.times)]
        if len(times):
            self._last_time = float(np.fmax(self._last_time, times.max()))
        waiting = rows if self._waiting is None else self._waiting.joined(rows)
        findings: list[Finding] = []
        self._found = findings
        first, start = self.events - len(waiting), 0
        counted = 0
        limited = self._thresholds.observe(batch, seen)
        while need := self._next_block(waiting.times[start:]):
            # Volume sees the rows before their block is judged, in any cut: so findings come in the log's order.
            end = first + start + need - seen
            findings += self._by_volume_and_thresholds(rows.times, counted, end, seen, limited)
            findings += self._judge(waiting.part(start, start + need), first + start)
            start, counted = start + need, end
        findings += self._by_volume_and_thresholds(rows.times, counted, len(rows), seen, limited)
        self._waiting = self._kept(waiting.part(start)) if start < len(waiting) else None
        return findings

    def _by_volume_and_thresholds(
        self, times: NDArray[np.float64], start: int, stop: int, seen: int, limited: list[Found]
    ) -> list[Finding]:
        """What volume and thresholds find in the rows from `start` to `stop`, row by row, so in any cut the same way.

        `seen` is the stream index of the batch's first row. What thresholds found there is taken out of `limited`.
        """
        findings: list[Finding] = []
        while limited and limited[0].row < stop:
            row, finding = limited.pop(0)
            findings += self._volume.observe(times[start : row + 1], seen + start, self.settings, self.clock)
            findings.append(finding)
            start = row + 1
        return findings + self._volume.observe(times[start:stop], seen + start, self.settings, self.clock)

    def reach(self, clock: float) -> None:
        """The log's clock stands at `clock`; rows that come next are measured by it."""
        if math.isnan(self.clock):
            self._volume.first_clock(clock, self._last_time)
        self.clock = clock

    def reach_on_time(self, clock: float) -> None:
        """As `reach`, for a snapshot from before the log's first tick, which found the rows in it on time."""
        self._volume.first_clock(self._last_time, self._last_time)
        self.clock = clock

    @property
    def behind_s(self) -> float | None:
        """How far its times lie behind the log's clock, where too far to judge volume and silence; else None."""
        return self._volume.behind_s

    def next_due(self) -> float:
        """A time before which `waits_for` is false unless rows come or a decision is taken. Costs little.

        -inf: the next tick may change something; inf: none will.
        """
        due = self._volume.next_due(self._last_time, self.settings)
        if isinstance(self._monitors, SegmentRouting):
            if self._waiting is not None:
                due = min(due, due_at(self._waiting))
            elif self._monitors.late_features_wait:
                due = min(due, self._last_time + BLOCK_WAIT_S if math.isfinite(self._last_time) else -math.inf)
        if self._objectives.holds or self._thresholds.waits:
            if self._idle is None:
                return -math.inf
            own = min(self._objectives.next_due(), self._thresholds.next_due()) - self._last_time + self._idle
            due = min(due, own if math.isfinite(own) else math.inf)
        return due - ROUNDING_S

    def waits_for(self, time: float) -> bool:
        """Whether a tick at `time` could change anything (rows waiting, silence due)."""
        if math.isnan(self.clock):
            self.reach(time)
        volume_due = self._volume.due(time, self._last_time, self.settings)
        burns = self._objectives.holds and (self._idle is None or self._objectives.due(self._own_time(time)))
        passes = self._thresholds.waits and (self._idle is None or self._own_time(time) >= self._thresholds.next_due())
        return self._rows_due(time) or volume_due or burns or passes

    def tick(self, time: float) -> list[Finding]:
        """Event time has reached `time` (seconds since 1970)."""
        return _published(self._ticked(time))

    def _ticked(self, time: float) -> list[Finding]:
        self.reach(time)
        findings = self._closed() if self._rows_due(time) else []
        self._found = findings
        last = max(self.events - 1, 0)
        findings += self._volume.tick(time, self._last_time, last, self.settings)
        if (self._objectives.holds or self._thresholds.waits) and self._idle is None:
            self._idle = time
        findings += self._thresholds.tick(self._own_time(time), last)
        return findings + self._objectives.tick(self._own_time(time), last, self.settings.slo, self._drifts())

    def close(self) -> list[Finding]:
        """Judge the rows that wait for their block to fill: their time is up, or a replay ends."""
        return _published(self._closed())

    def _closed(self) -> list[Finding]:
        monitors = self._monitors
        if isinstance(monitors, WarmingUp):
            return []
        findings: list[Finding] = []
        if self._waiting is not None:
            rows, self._waiting = self._waiting, None
            findings = self._judge(rows, self.events - len(rows))
        return findings + self._reported(monitors.flush_late())

    def control(self, control: Control) -> list[Finding]:
        """A decision takes effect here; rows before it are judged first.

        Raises `InvalidEvent` for settings that make no sense, before anything has changed.
        """
        return _published(self._controlled(control))

    @property
    def found(self) -> list[Finding]:
        """What the last call found before it raised, if it did."""
        return _published(self._found)

    @found.setter
    def found(self, findings: list[Finding]) -> None:
        self._found = findings

    def _controlled(self, control: Control) -> list[Finding]:
        settings = self.settings
        if control.action is ControlAction.SETTINGS:
            settings = settings_after(settings, control)
        findings = self._found = self._closed()
        if control.action is ControlAction.SETTINGS:
            self._choose(settings)
            return findings + self._thresholds.choose(settings.thresholds)
        how, said = RESOLVED_BY[control.action]
        why = Resolution(how=how, why=said, by=control.by, index=max(self.events - 1, 0), time=finite(self._last_time))
        if isinstance(self._monitors, SegmentRouting):
            findings += self._reported(self._monitors.accept(why))
        findings += self._canary.accept(why) if control.action is ControlAction.ACCEPT else self._canary.resolve(why)
        findings += self._volume.decide(why)
        if control.action is not ControlAction.ACCEPT:
            self._monitors = WarmingUp(pinned=control.action is ControlAction.PIN)
            self._waiting = None
        return findings

    def _choose(self, settings: DetectionSettings) -> None:
        """Changed settings take effect."""
        self.settings = settings
        known = self._features.columns
        self._features = self._features.with_settings(settings)
        if isinstance(self._monitors, SegmentRouting):
            self._monitors.choose(settings)
        elif not self._features.columns <= known:
            # Rows without what is watched from now on say nothing of it: the warm-up begins again.
            self._waiting = None

    # Blocks

    def _next_block(self, times: NDArray[np.float64]) -> int:
        """How many of the waiting rows, of which these are the times (n), are judged next; 0: more must come."""
        if isinstance(self._monitors, WarmingUp):
            return self.settings.warmup if len(times) >= self.settings.warmup else 0
        return next_block(times, settled=self._monitors.settled and not self._canary.pairs)

    def _kept(self, rows: StreamRows) -> StreamRows:
        """Rows that wait, without what nothing will read."""
        rows = rows.only(self._features.columns)
        return rows.thinned() if isinstance(self._monitors, WarmingUp) else rows

    def _rows_due(self, time: float) -> bool:
        """Whether the time of waiting rows is up, or that of findings that wait for the next rows."""
        if isinstance(self._monitors, WarmingUp):
            return False
        if self._waiting is None:
            return self._monitors.late_features_wait and not time - self._last_time < BLOCK_WAIT_S
        return is_due(self._waiting, time)

    def _own_time(self, time: float) -> float:
        """The stream's own time at a tick: its last event's, and what has passed since. Events may come late."""
        return self._last_time + (0.0 if self._idle is None else time - self._idle)

    def _judge(self, rows: StreamRows, first: int) -> list[Finding]:
        """Rows of one block; `first` is the stream index of the first."""
        rows = rows.only(self._features.columns)
        monitors = self._monitors
        if isinstance(monitors, WarmingUp):
            self._features = self._features.chosen_from(rows, self.settings)
        rows = self._features.as_columns(rows, learning=isinstance(monitors, WarmingUp))
        context = self._context()
        indices = np.arange(first, first + len(rows), dtype=np.int64)
        burning = self._objectives.observe(rows, indices, self.settings.slo, self._drifts())
        if isinstance(monitors, WarmingUp):
            return burning + self._learn(context, monitors, rows, indices)
        if self.judged_from is None:
            self.judged_from = first
        drifts = monitors.judge(context, rows, indices)
        findings = self._beside_objectives(self._compare_versions(context, monitors, rows, indices, drifts))
        return burning + findings + self._outlasting(monitors, int(indices[-1]))

    def _learn(
        self, context: Context, warming: WarmingUp, rows: StreamRows, indices: NDArray[np.int64]
    ) -> list[Finding]:
        """The rows of a warm-up become the reference."""
        times = rows.times[np.isfinite(rows.times)]
        span = float(times.max() - times.min()) if len(times) > 1 else 0.0
        self._rate = (len(times) - 1) / span if span > 0 and self._volume.rate_known else 0.0
        self._canary.note(self.settings.canary, rows, indices)
        self._monitors, findings = warming.learn(context, rows.thinned(), indices)
        return findings

    # One cause is reported once

    def _compare_versions(
        self,
        context: Context,
        monitors: SegmentRouting,
        rows: StreamRows,
        indices: NDArray[np.int64],
        drifts: list[Finding],
    ) -> list[Finding]:
        """Compare versions that run at the same time; drift that is theirs is reported as the difference of the two."""
        normal, history = monitors.main.original, monitors.main.history
        just = {finding.id for finding in drifts if not finding.is_update}
        firing = [finding for finding in self._firing(monitors) if finding.id not in just]
        compared = self._canary.judge(context, rows, indices, normal, history, self.mean_run_length(), firing)
        reported: list[Finding] = []
        for finding in drifts:
            instead = None
            if finding.opens and not self._canary.tells(finding.segment):
                instead = self._canary.confirm(context, normal, history, finding)
            if instead is not None:
                compared.append(instead)
            reported += self._suppression.without_compared([finding], self._canary)
        for finding in compared:
            reported.append(finding)
            (version,) = (finding.segment or {}).items()
            if finding.state is State.FIRING:
                # Known to differ, its rows would only blur what the others are compared with.
                monitors.separate(version)
            if finding.state is State.RESOLVED:
                reported += monitors.rejoin(version, _REJOINED)
                reported += self._suppression.comparison_ended({f.id for f in monitors.open()})
        return reported

    def _beside_objectives(self, drifts: list[Finding]) -> list[Finding]:
        return self._suppression.beside_objectives(drifts, self._objectives.open, self._features.by_name)

    def _outlasting(self, monitors: SegmentRouting, index: int) -> list[Finding]:
        """Drift that was information beside an objective's finding, and goes on though that has ended."""
        rows = alert_correlation.OUTLASTS * self.settings.recovery
        return self._suppression.outlasting(index, monitors.open(), self._objectives.open, self._features.by_name, rows)

    def _reported(self, drifts: list[Finding]) -> list[Finding]:
        """Findings of drift as far as nothing else reports them."""
        return self._beside_objectives(self._suppression.without_compared(drifts, self._canary))

    def _firing(self, monitors: SegmentRouting) -> list[Finding]:
        """Findings of drift that fire, less those that a comparison of versions reports."""
        return self._suppression.reported(monitors.firing())

    def _drifts(self) -> list[Finding]:
        """Findings of drift and of comparisons that fire, as they were reported."""
        found = self._firing(self._monitors) if isinstance(self._monitors, SegmentRouting) else []
        return [f for f in found if not self._suppression.is_beside_objective(f)] + self._canary.open

    def _context(self) -> Context:
        threshold = self.mean_run_length() / (1 - self._canary.share)
        return Context(self.stream, self.settings, self._features.specs, self._features.by_name, threshold)

    def mean_run_length(self) -> float:
        """Events between false alarms that the budget asks for: the threshold of evidence."""
        alerts, period = self.settings.alert_budget
        expected = self._rate * period if self._rate > 0 else EVENTS_A_MONTH * period / MONTH_S
        return max(expected / alerts, MIN_RUN_LENGTH)

    # Status

    @property
    def last_time(self) -> float | None:
        """Time of the latest event (seconds since 1970); None where no event had one."""
        return finite(self._last_time)

    @property
    def waiting(self) -> int:
        """Events that wait for their block to fill."""
        return 0 if self._waiting is None else len(self._waiting)

    def firing(self) -> list[Finding]:
        """The findings that fire, as they were reported: those of drift, volume, silence, objectives and thresholds."""
        return _published(self._drifts() + self._volume.firing() + self._objectives.open + self._thresholds.open)

    def status(self) -> StreamStatus:
        """Where the stream stands now."""
        monitors = self._monitors if isinstance(self._monitors, SegmentRouting) else None
        fire = self.firing()
        state = StreamState.WARMING if monitors is None else StreamState.STABLE
        if fire:
            state = StreamState.DRIFT
        if self._volume.silence is not None:
            state = StreamState.SILENT
        evidence = [log10(self._canary.evidence())]
        return StreamStatus(
            stream=self.stream,
            state=state,
            events=self.events,
            last_event_time=self.last_time,
            firing=[f.id for f in fire],
            duplicates=self._recent.duplicates,
            id_conflicts=self._recent.id_conflicts,
            log_evidence=max(evidence if monitors is None else [*monitors.log_evidence(), *evidence]),
            log_threshold=math.log10(self.mean_run_length()),
            features={} if monitors is None else monitors.features(),
            keys=[] if monitors is None else self._keys(monitors),
            open=[OpenAlert(f.id, f.kind.value, f.began_at.time, f.evidence) for f in fire],
            segments=[] if monitors is None else monitors.main.shares(monitors.recent_segments()),
            learned=self.waiting if monitors is None else self.settings.warmup,
            learns=self.settings.warmup,
            young=monitors is not None and monitors.main.original.reference.young,
            behind_s=self.behind_s,
            thresholds=self._thresholds.statuses(),
        )

    def _keys(self, monitors: SegmentRouting) -> list[str]:
        """The watched columns with a key."""
        return [name for name in self._features.keyed.names if name in monitors.main.features_known()]

    # State

    def snapshot(self) -> bytes:
        """The whole state, with its format."""
        monitors = self._monitors
        return squeeze(
            StreamMonitorState(
                format=FORMAT,
                settings=self.settings.model_dump(mode="json"),
                events=self.events,
                last_time=self._last_time,
                rate=self._rate,
                idle=self._idle,
                clock=self.clock,
                recent=self._recent.to_state(),
                centre=self._centre.to_state(),
                waiting=None if self._waiting is None else self._waiting.to_state(),
                volume=self._volume.to_state(),
                pinned=monitors.pinned if isinstance(monitors, WarmingUp) else monitors.main.pinned,
                monitors=None if isinstance(monitors, WarmingUp) else monitors.to_state(),
                canary=self._canary.to_state(),
                suppression=self._suppression.to_state(),
                features=self._features.to_state(),
                objectives=self._objectives.to_state(),
                thresholds=self._thresholds.to_state(),
            )
        )

    def restore(self, data: bytes) -> None:
        """Take over a snapshot and go on bit for bit as the original would.

        Raises `StateError` for a format that cannot be read, and `msgspec.ValidationError` where something is missing
        or of another type.
        """
        state = unsqueeze(data, StreamMonitorState, FORMAT, self.stream, migration.stream_monitor)
        self.settings = _settings(msgspec.json.encode(state.settings))
        self.events = state.events
        self._last_time, self._rate = state.last_time, state.rate
        self._idle, self.clock = state.idle, state.clock
        self._recent = RecentEvents.from_state(state.recent)
        self._centre = Centre.from_state(state.centre)
        self._waiting = None if state.waiting is None else StreamRows.from_state(state.waiting)
        self._volume = VolumeMonitor.from_state(self.stream, state.volume)
        self._monitors = (
            WarmingUp(pinned=state.pinned)
            if state.monitors is None
            else SegmentRouting.from_state(state.monitors, self.settings)
        )
        self._canary = CanaryMonitor.from_state(state.canary)
        self._suppression = Suppression.from_state(state.suppression)
        self._features = self._features.restored(state.features, self.settings)
        self._objectives = SloMonitor.from_state(self.stream, self._features.by_name, state.objectives)
        self._thresholds = ThresholdMonitor.from_state(self.stream, self._features.by_name, state.thresholds)
        self._thresholds.choose(self.settings.thresholds)


@lru_cache(maxsize=64)
def _settings(json: bytes | None) -> DetectionSettings:
    """Equal settings once for all streams of a process, which holds thousands that are watched alike."""
    return DetectionSettings() if json is None else DetectionSettings.model_validate_json(json)


def _published(findings: list[Finding]) -> list[Finding]:
    return [published(finding) for finding in findings]
