"""`StreamMonitor`: watches one stream, from feature rows to findings.

A stream warms up on its first events, which become its reference. From then on rows are judged in blocks that the log
alone decides (`LEAST_BLOCK` rows, of a busy stream those of half a second, or what has waited when a tick says its time
is up), so how rows were cut into batches changes nothing. What a block brings to light is worked out by a
`ReferenceMonitor`.

Pure: time comes with rows and ticks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.canary.canary_monitor import CanaryMonitor
from monitor.detection.columns.dependency_columns import DependencyColumns
from monitor.detection.columns.duplicates import RecentEvents
from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.columns.keyed_columns import KeyedColumns
from monitor.detection.columns.recent_rows import Segments, segments_of
from monitor.detection.columns.stream_rows import Centre, StreamRows
from monitor.detection.columns.watched_columns import watched
from monitor.detection.diagnosis import alert_correlation
from monitor.detection.records.control import Control, ControlAction, settings_after
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import Ended, Finding, Resolution, State
from monitor.detection.records.status import FeatureStatus, OpenAlert, StreamState, StreamStatus
from monitor.detection.settings import DetectionSettings
from monitor.detection.slo.slo_monitor import SloMonitor, counted_features
from monitor.detection.state.snapshot_codec import squeeze, unsqueeze
from monitor.detection.stream import warmup_check
from monitor.detection.stream.late_features import LateFeatures
from monitor.detection.stream.reference_monitor import RECENT, RELEARN, Context, ReferenceMonitor, finite, log10
from monitor.detection.volume.volume_monitor import VolumeMonitor
from monitor.features.base import FeatureSpec
from monitor.features.batch import FeatureBatch

FORMAT = 2
MONTH_S = 30 * 86400.0
EVENTS_A_MONTH = 100_000
"""What a stream without times is taken to carry in 30 days."""
LEAST_RUN = 10_000
"""The mean run length asked for is never shorter: a stream of ten events a day must not page for coincidences."""
LEAST_BLOCK = 32
"""Rows that are judged at once, at least: what a block costs whatever it holds is paid by so many."""
MOST_BLOCK = 256
"""Rows that are judged at once, at most."""
BLOCK_SPAN_S = 0.5
"""Event time that a settled stream's block spans before it is judged, unless it has `MOST_BLOCK` rows: a busy stream's
rows wait no longer than those of a quiet one, and cost a fraction."""
BLOCK_WAIT_S = 5.0
"""Event time after which rows that are too few for a block are judged anyway."""
ROUNDING_S = 1e-3
"""By which a due time is early: above what sums of times since 1970 lose in rounding, far below the time of a tick."""
MOST_SEGMENTS = 4
"""Segments that are learned and judged apart; rows of further ones stay with the rest."""
RESOLVED_BY = {
    ControlAction.ACCEPT: (Ended.ACCEPTED, "accepted as the new normal"),
    ControlAction.DEPLOY: (Ended.DEPLOYED, "a deploy was marked"),
    ControlAction.PIN: (Ended.PINNED, "a new reference was pinned"),
}

_REJOINED = Resolution(how=Ended.REPLACED, why="its version is judged with the others again")


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
        self.found: list[Finding] = []
        self._declared, _ = _known(tuple(_default_specs() if specs is None else specs), (DISTANCE,))
        self._recent = RecentEvents()
        self._centre = Centre(self.settings.warmup)
        self._waiting: StreamRows | None = None
        self._last_time = math.nan
        self._idle: float | None = None  # time of the first tick since the last event
        self._rate = 0.0
        self._volume = VolumeMonitor(stream)
        self._main = ReferenceMonitor()
        self._apart: dict[tuple[str, str], ReferenceMonitor] = {}
        self._gathering: dict[tuple[str, str], tuple[StreamRows, NDArray[np.int64]] | None] = {}
        self._late: dict[tuple[str, str] | None, LateFeatures] = {}  # by the segment of its track; None: the main one's
        self._canary = CanaryMonitor()
        self._depend_on(DependencyColumns(), KeyedColumns())
        self._objectives = SloMonitor(stream, self._specs)
        self._held: list[Finding] = []
        self._untold: dict[str, int | None] = {}  # what holds and is information, and since when nothing tells it

    # Input

    def observe(self, batch: FeatureBatch) -> list[Finding]:
        """Take rows of this stream, in log order; duplicates are counted and dropped."""
        if not len(batch):
            return []
        keep = self._recent.admit(batch.ids, batch.digests)
        if not keep.all():
            if not keep.any():
                return []
            batch = batch.take(np.flatnonzero(keep))
        embeddings = batch.embeddings if DISTANCE.name in self._columns else None
        rows = StreamRows.of(batch, self._centre.distances(embeddings, len(batch)), self._columns)
        seen = self.events
        self.events += len(rows)
        self._idle = None
        times = rows.times[np.isfinite(rows.times)]
        if len(times):
            self._last_time = float(np.fmax(self._last_time, times.max()))
        waiting = rows if self._waiting is None else self._waiting.joined(rows)
        findings: list[Finding] = []
        self.found = findings
        first, start = self.events - len(waiting), 0
        counted = 0
        while need := self._block(waiting.times[start:]):
            # Volume sees the rows before their block is judged, in any cut: so findings come in the log's order.
            end = first + start + need - seen
            findings += self._volume.observe(rows.times[counted:end], seen + counted, self.settings, self.clock)
            findings += self._judge(waiting.part(start, start + need), first + start)
            start, counted = start + need, end
        findings += self._volume.observe(rows.times[counted:], seen + counted, self.settings, self.clock)
        self._waiting = self._held_back(waiting.part(start)) if start < len(waiting) else None
        return findings

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
        if self._waiting is not None and self._main.warm:
            first = float(self._waiting.times[0])
            due = min(due, first + self._patience() if math.isfinite(first) else -math.inf)
        elif self._main.warm and any(late.waiting for late in self._late.values()):
            due = min(due, self._last_time + BLOCK_WAIT_S if math.isfinite(self._last_time) else -math.inf)
        if self._objectives.holds:
            if self._idle is None:
                return -math.inf
            own = self._objectives.next_due() - self._last_time + self._idle
            due = min(due, own if math.isfinite(own) else math.inf)
        return due - ROUNDING_S

    def waits_for(self, time: float) -> bool:
        """Whether a tick at `time` could change anything (rows waiting, silence due)."""
        if math.isnan(self.clock):
            self.reach(time)
        volume_due = self._volume.due(time, self._last_time, self.settings)
        burns = self._objectives.holds and (self._idle is None or self._objectives.due(self._own_time(time)))
        return self._due(time) or volume_due or burns

    def tick(self, time: float) -> list[Finding]:
        """Event time has reached `time` (seconds since 1970)."""
        self.reach(time)
        findings = self.close() if self._due(time) else []
        self.found = findings
        last = max(self.events - 1, 0)
        findings += self._volume.tick(time, self._last_time, last, self.settings)
        if self._objectives.holds and self._idle is None:
            self._idle = time
        return findings + self._objectives.tick(self._own_time(time), last, self.settings.slo, self._drifts())

    def close(self) -> list[Finding]:
        """Judge the rows that wait for their block to fill: their time is up, or a replay ends."""
        if not self._main.warm:
            return []
        findings: list[Finding] = []
        if self._waiting is not None:
            rows, self._waiting = self._waiting, None
            findings = self._judge(rows, self.events - len(rows))
        for late in self._late.values():
            findings += self._once(self._tell(late.flush()))
        return findings

    def control(self, control: Control) -> list[Finding]:
        """A decision takes effect here; rows before it are judged first.

        Raises `InvalidEvent` for settings that make no sense, before anything has changed.
        """
        settings = self.settings
        if control.action is ControlAction.SETTINGS:
            settings = settings_after(settings, control)
        findings = self.found = self.close()
        if control.action is ControlAction.SETTINGS:
            self.settings = settings
            for track in self._tracks():
                track.choose(settings)
            held = self._columns
            self._depend_on(self._dependencies, self._keyed)
            if not self._main.warm and not self._columns <= held:
                self._waiting = None  # rows without what is watched from now on say nothing of it: gathered anew
            return findings
        how, said = RESOLVED_BY[control.action]
        why = Resolution(how=how, why=said, by=control.by, index=max(self.events - 1, 0), time=finite(self._last_time))
        for late in self._late.values():
            findings += self._once(self._tell(late.resolve(why)))
            late.accept()
        for track in self._tracks():
            findings += self._once(self._tell(track.resolve(why)))
            track.accept()
        findings += self._canary.accept(why) if control.action is ControlAction.ACCEPT else self._canary.resolve(why)
        findings += self._volume.decide(why)
        if control.action is not ControlAction.ACCEPT:
            self._main = ReferenceMonitor(pinned=control.action is ControlAction.PIN)
            self._apart, self._gathering, self._late = {}, {}, {}
            self._waiting = None
        return findings

    def _block(self, times: NDArray[np.float64]) -> int:
        """How many of the waiting rows, of which these are the times (n), are judged next; 0: more must come."""
        if not self._main.warm:
            return self.settings.warmup if len(times) >= self.settings.warmup else 0
        if len(times) < LEAST_BLOCK:
            return 0
        if not self._settled():
            return LEAST_BLOCK
        short = np.abs(times[LEAST_BLOCK - 1 : MOST_BLOCK] - times[0]) < BLOCK_SPAN_S  # and not where it is unknown
        if not short.all():
            return LEAST_BLOCK + int(np.argmin(short))
        return MOST_BLOCK if len(times) >= MOST_BLOCK else 0

    def _settled(self) -> bool:
        """Whether nothing goes on that is looked at block by block: a finding, a comparison, a segment of its own."""
        late = all(late.settled for late in self._late.values())
        return late and self._main.settled and not (self._apart or self._gathering or self._canary.pairs)

    def _held_back(self, rows: StreamRows) -> StreamRows:
        """Rows that wait, without what nobody will look at."""
        rows = rows.only(self._columns)
        return rows if self._main.warm else rows.thinned()

    def _due(self, time: float) -> bool:
        if not self._main.warm:
            return False
        if self._waiting is None:
            late = any(late.waiting for late in self._late.values())
            return late and not time - self._last_time < BLOCK_WAIT_S
        first = float(self._waiting.times[0])
        return not math.isfinite(first) or time - first >= self._patience()

    def _patience(self) -> float:
        """How long the rows that wait may wait."""
        assert self._waiting is not None
        return BLOCK_WAIT_S if len(self._waiting) < LEAST_BLOCK else BLOCK_SPAN_S

    def _own_time(self, time: float) -> float:
        """The stream's own time at a tick: its last event's, and what has passed since. Events may come late."""
        return self._last_time + (0.0 if self._idle is None else time - self._idle)

    # Blocks

    def _judge(self, rows: StreamRows, first: int) -> list[Finding]:
        """Rows of one block; `first` is the stream index of the first."""
        rows = rows.only(self._columns)
        if not self._main.warm:
            self._depend_on(DependencyColumns.of(rows), KeyedColumns.of(rows))
        rows = self._keyed.as_columns(rows, learning=not self._main.warm)
        rows = self._dependencies.told_apart(rows)
        context = self._context()
        indices = np.arange(first, first + len(rows), dtype=np.int64)
        burning = self._objectives.observe(rows, indices, self.settings.slo, self._drifts())
        if not self._main.warm:
            times = rows.times[np.isfinite(rows.times)]
            span = float(times.max() - times.min()) if len(times) > 1 else 0.0
            self._rate = (len(times) - 1) / span if span > 0 and self._volume.rate_known else 0.0
            self._canary.note(self.settings.canary, rows, indices)
            return burning + self._learn(context, rows.thinned(), indices)
        if self.judged_from is None:
            self.judged_from = first
        if not self._apart and not self._gathering:
            findings = self._judge_track(context, self._main, rows, indices)
        else:
            findings = self._judge_apart(context, rows, indices)
        findings = self._once(self._judge_versions(context, rows, indices, findings))
        return burning + findings + self._outlasting(int(indices[-1]))

    def _learn(self, context: Context, rows: StreamRows, indices: NDArray[np.int64]) -> list[Finding]:
        """Learn the reference; from the rows outside of a stretch that differs from the rest, and say so."""
        pinned = self._main.pinned
        self._main.warm_up(context, rows, indices)
        assert self._main.original is not None
        stretch = warmup_check.incident(self._main.original.reference, rows, context.specs.input_length)
        if stretch is None:
            return []
        usual = np.flatnonzero(~stretch.inside(len(rows)))
        clean = ReferenceMonitor(pinned=pinned)
        clean.warm_up(context, rows.take(usual), indices[usual])
        assert clean.original is not None
        finding = warmup_check.report(context, clean.original.reference, rows, indices, stretch)
        if finding is None:
            return []
        self._main = clean
        return [finding]

    def _judge_apart(self, context: Context, rows: StreamRows, indices: NDArray[np.int64]) -> list[Finding]:
        groups: dict[tuple[str, str] | None, list[int]] = {}
        known = [*self._apart, *self._gathering]
        for row, segments in enumerate(rows.segments):
            own = next((pair for pair in known if segments.get(pair[0]) == pair[1]), None)
            groups.setdefault(own, []).append(row)
        findings: list[Finding] = []
        for own, members in groups.items():
            chosen = np.asarray(members, dtype=np.intp)
            part, where = rows.take(chosen), indices[chosen]
            if own is None:
                findings += self._judge_track(context, self._main, part, where)
            elif own in self._apart:
                findings += self._judge_track(context, self._apart[own], part, where, own)
            else:
                self._gather(context, own, part, where)
        return findings

    def _judge_track(
        self,
        context: Context,
        track: ReferenceMonitor,
        rows: StreamRows,
        indices: NDArray[np.int64],
        own: tuple[str, str] | None = None,
    ) -> list[Finding]:
        """A track's rows; segments that it finds new are set apart from the next row on.

        `own` is the segment of a track that is not the main one.
        """
        late = self._late.get(own)
        if late is None:
            late = self._late[own] = LateFeatures()
        findings, taken = track.judge(late.context_of_track(context), rows, indices)
        findings += late.judge(context, track, rows if taken == len(rows) else rows.part(0, taken), indices[:taken])
        fresh = [pair for pair in track.strangers if pair not in self._gathering and pair not in self._apart]
        track.strangers.clear()
        for stranger in fresh[: MOST_SEGMENTS - len(self._gathering) - len(self._apart)]:
            self._gathering[stranger] = None
        if taken == len(rows):
            return findings
        rows, indices = rows.part(taken), indices[taken:]
        if track is self._main:
            return findings + self._judge_apart(context, rows, indices)
        return findings + self._judge_track(context, track, rows, indices, own)

    def _gather(self, context: Context, own: tuple[str, str], rows: StreamRows, indices: NDArray[np.int64]) -> None:
        held = self._gathering[own]
        if held is not None:
            rows, indices = held[0].joined(rows), np.concatenate([held[1], indices])
        rows = rows.thinned()
        self._gathering[own] = (rows, indices)
        if len(rows) >= RELEARN:
            track = ReferenceMonitor()
            track.warm_up(context, rows, indices)
            self._apart[own] = track
            del self._gathering[own]

    def _judge_versions(
        self, context: Context, rows: StreamRows, indices: NDArray[np.int64], findings: list[Finding]
    ) -> list[Finding]:
        """Compare versions that run at the same time; a drift that is theirs is told as the difference of the two."""
        normal, history = self._main.original, self._main.history
        assert normal is not None
        just = {finding.id for finding in findings}
        firing = [finding for finding in self._firing() if finding.id not in just]
        compared = self._canary.judge(context, rows, indices, normal, history, self.mean_run_length(), firing)
        told: list[Finding] = []
        for finding in findings:
            instead = None
            if finding.state is State.FIRING and not self._canary.tells(finding.segment):
                instead = self._canary.confirm(context, normal, history, finding)
            if instead is not None:
                compared.append(instead)
            told += self._tell([finding])
        for finding in compared:
            told.append(finding)
            (own,) = (finding.segment or {}).items()
            apart = own in self._apart or own in self._gathering
            if finding.state is State.FIRING and not apart and len(self._gathering) + len(self._apart) < MOST_SEGMENTS:
                # Known to differ, its rows would only blur what the others are held against.
                self._gathering[own] = None
            if finding.state is State.RESOLVED:
                self._gathering.pop(own, None)
                track = self._apart.pop(own, None)
                told += track.resolve(_REJOINED) if track else []
                late = self._late.pop(own, None)
                told += late.resolve(_REJOINED) if late else []
                # What the finding stood for is told as what it is, as long as it lasts.
                still = {f.id for track in self._tracks() for f in track.open}
                told += [held for held in self._held if held.id in still]
                self._held = []
        return told

    def _tell(self, findings: list[Finding]) -> list[Finding]:
        """Findings of the tracks, less those that a comparison of versions tells."""
        told = []
        for finding in findings:
            held = finding.id in {f.id for f in self._held}
            if finding.state is State.FIRING and self._canary.tells(finding.segment):
                self._held.append(finding)
            elif held:
                self._held = [f for f in self._held if f.id != finding.id]
            else:
                told.append(finding)
        return told

    def _once(self, findings: list[Finding]) -> list[Finding]:
        """Findings of drift; those that an objective's finding says already are information, and end silently."""
        told = []
        for finding in findings:
            if finding.state is State.FIRING:
                burn = alert_correlation.said_by(finding, self._objectives.open, self._specs)
                if burn is not None:
                    self._untold[finding.id] = None
                    finding = alert_correlation.as_information(alert_correlation.beside(finding, burn))
            elif finding.id in self._untold:
                del self._untold[finding.id]
                continue
            told.append(finding)
        return told

    def _outlasting(self, index: int) -> list[Finding]:
        """What was information beside an objective's finding, and goes on though that has ended; `index` is reached."""
        told = []
        for finding in [f for track in self._tracks() for f in track.open if f.id in self._untold]:
            since = self._untold[finding.id]
            if alert_correlation.said_by(finding, self._objectives.open, self._specs) is not None:
                self._untold[finding.id] = None
            elif since is None:
                self._untold[finding.id] = index
            elif index - since >= alert_correlation.OUTLASTS * self.settings.recovery:
                del self._untold[finding.id]
                told.append(finding)
        return told

    def _drifts(self) -> list[Finding]:
        """Findings of drift that fire, as far as they are told."""
        return [f for f in self._firing() if f.id not in self._untold] + self._canary.open

    def _tracks(self) -> tuple[ReferenceMonitor, ...]:
        """The tracks of rows, and then those of late features."""
        return (*self._tracks_of_rows(), *(group for late in self._late.values() for group in late.groups))

    def _tracks_of_rows(self) -> tuple[ReferenceMonitor, ...]:
        """The main track and those of segments; a row belongs to exactly one of them."""
        return (self._main, *self._apart.values())

    def _firing(self) -> list[Finding]:
        """What the tracks found and told."""
        held = {f.id for f in self._held}.union(*(late.untold() for late in self._late.values()))
        return [f for track in self._tracks() for f in track.open if f.state is State.FIRING and f.id not in held]

    def _context(self) -> Context:
        asked = self.mean_run_length() / (1 - self._canary.share)
        return Context(self.stream, self.settings, self._watched, self._specs, asked)

    def _depend_on(self, dependencies: DependencyColumns, keyed: KeyedColumns) -> None:
        self._dependencies = dependencies
        self._keyed = keyed
        self._watched, self._specs = _known(self._declared, (*dependencies.specs, *keyed.specs))
        self._columns = _columns(self._declared, self.settings.features, self.settings.exclude)

    def mean_run_length(self) -> float:
        """Events between false alarms that the budget asks for: the threshold of evidence."""
        alerts, period = self.settings.alert_budget
        expected = self._rate * period if self._rate > 0 else EVENTS_A_MONTH * period / MONTH_S
        return max(expected / alerts, LEAST_RUN)

    # Outside

    @property
    def last_time(self) -> float | None:
        """Time of the latest event (seconds since 1970); None where no event had one."""
        return finite(self._last_time)

    @property
    def waiting(self) -> int:
        """Events that wait for their block to fill."""
        return 0 if self._waiting is None else len(self._waiting)

    def firing(self) -> list[Finding]:
        """The findings that fire, as they were reported: those of drift, of volume and silence, and of objectives."""
        return self._drifts() + self._volume.firing() + self._objectives.open

    def status(self) -> StreamStatus:
        """Where the stream stands now."""
        tracks = self._tracks_of_rows()
        late = [g.log_evidence() + log10(each.scale()) for each in self._late.values() for g in each.groups]
        fire = self.firing()
        state = StreamState.STABLE if self._main.warm else StreamState.WARMING
        if fire:
            state = StreamState.DRIFT
        if self._volume.silence is not None:
            state = StreamState.SILENT
        return StreamStatus(
            stream=self.stream,
            state=state,
            events=self.events,
            last_event_time=finite(self._last_time),
            firing=[f.id for f in fire],
            duplicates=self._recent.duplicates,
            id_conflicts=self._recent.id_conflicts,
            log_evidence=max(*(track.log_evidence() for track in tracks), *late, log10(self._canary.evidence())),
            log_threshold=math.log10(self.mean_run_length()),
            features=self._features(),
            keys=[name for name in self._keyed.names if name in self._main.features_known()],
            open=[OpenAlert(f.id, f.kind.value, f.began_at.time, f.evidence) for f in fire],
            segments=self._main.shares(self._recent_segments()),
            learned=self._learned(),
            learns=self.settings.warmup,
            young=self._main.original is not None and self._main.original.reference.young,
            behind_s=self.behind_s,
        )

    def _learned(self) -> int:
        """Events of the first reference that have come; all of them once it is learned."""
        if self._main.warm:
            return self.settings.warmup
        return 0 if self._waiting is None else len(self._waiting)

    def _features(self) -> dict[str, FeatureStatus]:
        """What the main track says of each feature, and its groups of late ones."""
        late = self._late.get(None)
        features = {name: status for group in late.groups for name, status in group.features().items()} if late else {}
        return {**features, **self._main.features()}

    def _recent_segments(self) -> list[Segments]:
        """Segments of the stream's last `RECENT` judged rows, whichever track holds them."""
        rows = [row for track in self._tracks_of_rows() for row in track.recent()]
        for held in self._gathering.values():
            if held is not None:
                gathered, indices = held
                rows += zip(indices[-RECENT:].tolist(), segments_of(gathered.segments[-RECENT:]), strict=True)
        return [segments for _, segments in sorted(rows)[-RECENT:]]

    # State

    def snapshot(self) -> bytes:
        """The whole state as versioned plain data."""
        gathering = [
            [own, None if held is None else [held[0].plain(), held[1].tolist()]]
            for own, held in self._gathering.items()
        ]
        state: dict[str, Any] = {
            "format": FORMAT,
            "settings": self.settings.model_dump(mode="json"),
            "events": self.events,
            "times": [self._last_time, self._rate],
            "recent": self._recent.plain(),
            "centre": self._centre.plain(),
            "waiting": None if self._waiting is None else self._waiting.plain(),
            "volume": self._volume.plain(),
            "main": self._main.plain(),
            "apart": [[own, track.plain()] for own, track in self._apart.items()],
            "gathering": gathering,
            "late": [[own, late.plain()] for own, late in self._late.items() if not late.empty],
            "canary": self._canary.plain(),
            "held": [msgspec.to_builtins(finding) for finding in self._held],
            "dependencies": self._dependencies.names,
            "keyed": self._keyed.plain(),
            "slo": self._objectives.plain(),
            "untold": list(self._untold.items()),
            "idle": self._idle,
            "clock": self.clock,
        }
        return squeeze(state)

    def restore(self, data: bytes) -> None:
        """Take over a snapshot and go on bit for bit as the original would. Raises `StateError` for another format."""
        state = unsqueeze(data, FORMAT, self.stream)
        self.settings = _settings(msgspec.json.encode(state["settings"]))
        self.events = state["events"]
        self._last_time, self._rate = state["times"]
        self._recent = RecentEvents.from_plain(state["recent"])
        self._centre = Centre.from_plain(state["centre"])
        self._waiting = None if state["waiting"] is None else StreamRows.from_plain(state["waiting"])
        if "volume" in state:
            self._volume = VolumeMonitor.from_plain(self.stream, state["volume"], self._last_time)
        else:
            self._volume = VolumeMonitor(self.stream)
            self._volume.silence = None if state["silence"] is None else msgspec.convert(state["silence"], Finding)
        self._main = ReferenceMonitor.from_plain(state["main"], self.settings)
        self._apart = {(a, v): ReferenceMonitor.from_plain(plain, self.settings) for (a, v), plain in state["apart"]}
        self._gathering = {
            (a, v): None if held is None else (StreamRows.from_plain(held[0]), np.asarray(held[1], dtype=np.int64))
            for (a, v), held in state["gathering"]
        }
        self._late = {
            None if own is None else (own[0], own[1]): LateFeatures.from_plain(plain, self.settings)
            for own, plain in state.get("late", [])
        }
        self._canary = CanaryMonitor.from_plain(state["canary"]) if "canary" in state else CanaryMonitor()
        self._held = [msgspec.convert(finding, Finding) for finding in state.get("held", [])]
        keyed = KeyedColumns.from_plain(state.get("keyed", []))
        self._depend_on(DependencyColumns(tuple(state.get("dependencies", ()))), keyed)
        self._objectives = SloMonitor.from_plain(self.stream, self._specs, state.get("slo", {}))
        self._untold = dict(state.get("untold", []))
        self._idle = state.get("idle")
        self.clock = state.get("clock", math.nan)


@lru_cache(maxsize=1)
def _default_specs() -> tuple[FeatureSpec, ...]:
    # Imported here because a caller with features of its own need not load the built-in tables.
    from monitor.features.registry import default_extractors

    return tuple(spec for family in default_extractors() for spec in family.features)


# What the streams of a process have in common is held once.


@lru_cache(maxsize=64)
def _settings(json: bytes | None) -> DetectionSettings:
    return DetectionSettings() if json is None else DetectionSettings.model_validate_json(json)


@lru_cache(maxsize=64)
def _known(
    declared: tuple[FeatureSpec, ...], more: tuple[FeatureSpec, ...]
) -> tuple[tuple[FeatureSpec, ...], DeclaredFeatures]:
    """Both, and by name."""
    specs = (*declared, *more)
    return specs, DeclaredFeatures(specs)


@lru_cache(maxsize=64)
def _columns(declared: tuple[FeatureSpec, ...], use: tuple[str, ...], leave_out: tuple[str, ...]) -> frozenset[str]:
    """The columns that a stream's rows need: those that are watched, those of objectives, and where an input is."""
    features = DeclaredFeatures(declared)
    needed = (features.input_length, *counted_features(features))
    return frozenset([*(spec.name for spec in watched(declared, use, leave_out)), *filter(None, needed)])
