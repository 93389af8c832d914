"""A stream's volume as findings: what `rate_change` reports, in words, and the ones that are open.

Events whose times lie far behind the log's clock (`monitor.detection.volume.lateness`) are neither counted nor missed.

Pure. May import `monitor.detection.volume.rate_change`, `lateness`, `finding`, `diagnosis` and `settings`, and
`monitor.config_values.durations` only.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.config_values.durations import in_words
from monitor.detection.diagnosis.finding_builder import build
from monitor.detection.diagnosis.rounding import number
from monitor.detection.records.finding import (
    BeganAt,
    Ended,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Resolution,
    State,
    resolved,
)
from monitor.detection.settings import DetectionSettings
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.detection.volume.lateness import Lateness, LatenessState
from monitor.detection.volume.rate_change import NIGHT_S, WEEK_S, Change, Direction, Volume, VolumeState
from monitor.events.times import in_calendar

RATE = "stream.events_per_hour"
"""What findings about volume name; no feature of an event."""
LARGEST_EFFECT = 20.0  # floors; also where one side is 0, so that there is no ratio
CONFIRM_S = 60.0
"""Between the ticks that first and finally find a stream silent. A monitor that was down for an hour finds every stream
silent at its first tick; the rows that wait for it come within the minute."""

_NOT_WATCHED = Resolution(how=Ended.REPLACED, why="volume is no longer watched (watch_volume: false)")


class VolumeMonitorState(StateRecord):
    """Of `VolumeMonitor`."""

    open: Finding | None
    silence: Finding | None
    doubted: float
    volume: VolumeState
    lateness: LatenessState


class VolumeMonitor:
    """Findings about the volume of one stream: one of kind `volume`, and one of `silence`.

    Attributes
    ----------
    open, silence
        The findings that hold now; one that only informs is open, too.
    """

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.open: Finding | None = None
        self.silence: Finding | None = None
        self._volume = Volume()
        self._lateness = Lateness()
        self._doubted = math.nan  # time of the tick that found it silent first

    @property
    def behind_s(self) -> float | None:
        """How far the times lie behind the log's clock, in seconds, where that is too far to judge them; else None."""
        return self._lateness.behind_s

    @property
    def rate_known(self) -> bool:
        """Whether the times of the latest events say how often events come."""
        return not self._lateness.at_limit

    def observe(
        self, times: NDArray[np.float64], first: int, settings: DetectionSettings, clock: float = math.nan
    ) -> list[Finding]:
        """Take rows' times (n; NaN where unknown), `first` being the stream index of the first.

        `clock` is the time of the log's last tick before them (seconds since 1970; NaN: there was none).
        """
        if not settings.watch_volume:
            # Events from here on are not counted: if volume is watched again, what is usual is learned from then on.
            self._volume, self._lateness = Volume(), Lateness()
            return self._end_silence(_NOT_WATCHED) + self._end(_NOT_WATCHED)
        if not len(times):
            return []
        self._volume.ask(settings.floors.volume, settings.alert_budget)
        times, jumps = self._lateness.take(times, clock, *self._volume.reached)
        came = float(times[0])
        why = "events came again"
        if self._lateness.on_hold:
            why += f"; their times lie {in_words(self._lateness.lag)} behind"
        again = Resolution(how=Ended.RECOVERED, why=why, index=first, time=came if math.isfinite(came) else None)
        findings: list[Finding] = self._end_silence(again)
        start = 0
        for row, time in jumps:
            findings += self._count(times[start:row], first + start, settings)
            self._volume.resume(time)
            start = row
        return findings + self._count(times[start:], first + start, settings)

    def _count(self, times: NDArray[np.float64], first: int, settings: DetectionSettings) -> list[Finding]:
        findings: list[Finding] = []
        for change in self._volume.observe(times, first):
            if change is None:
                findings += self._end(
                    Resolution(
                        how=Ended.RECOVERED, why="events come as often as usual again", time=self._volume.ended.pop(0)
                    )
                )
            else:
                self.open = _changed(self.stream, change, settings)
                findings.append(self.open)
        return findings

    def first_clock(self, time: float, last_time: float) -> None:
        """The log's first tick comes at `time`; `last_time` is that of the latest event before it (NaN if unknown)."""
        self._lateness.first_clock(time, last_time)

    def due(self, time: float, last_time: float, settings: DetectionSettings) -> bool:
        """Whether a tick at `time` changes anything; `last_time` is that of the latest event (NaN if unknown)."""
        if not settings.watch_volume:
            return self._holds
        if self.silence is not None or not math.isfinite(last_time):
            return False
        if settings.silence_after is not None:
            return time - self._last_came(last_time) > settings.silence_after
        if self._lateness.on_hold or time < self._doubted + CONFIRM_S:
            return False
        self._volume.ask(settings.floors.volume, settings.alert_budget)
        return self._volume.stopped(time) is not None

    def next_due(self, last_time: float, settings: DetectionSettings) -> float:
        """A time before which no tick changes anything unless events come; infinite: none will. Costs little."""
        if not settings.watch_volume:
            return -math.inf if self._holds else math.inf
        if self.silence is not None or not math.isfinite(last_time):
            return math.inf
        if settings.silence_after is not None:
            return self._last_came(last_time) + settings.silence_after
        if self._lateness.on_hold:
            return math.inf
        self._volume.ask(settings.floors.volume, settings.alert_budget)
        return float(np.fmax(self._volume.stops_after(), self._doubted + CONFIRM_S))

    @property
    def _holds(self) -> bool:
        return self.silence is not None or self.open is not None

    def _last_came(self, last_time: float) -> float:
        """When the last event came, by its own time if that can be relied on."""
        return self._lateness.last_came if self._lateness.on_hold else last_time

    def tick(self, time: float, last_time: float, last: int, settings: DetectionSettings) -> list[Finding]:
        """Event time has reached `time` (seconds since 1970); `last` is the stream index of the latest event."""
        if not self.due(time, last_time, settings):
            return []
        if not settings.watch_volume:
            return self._end_silence(_NOT_WATCHED) + self._end(_NOT_WATCHED)
        if settings.silence_after is None and math.isnan(self._doubted):
            self._doubted = time
            return []
        self.silence = self._silent(time, last_time, last, settings)
        return [self.silence]

    def decide(self, why: Resolution) -> list[Finding]:
        """A change of the rate that is open is accepted: the rate that it has now is the usual one."""
        if self.open is None:
            return []
        self._volume.accept()
        return self._end(why)

    def firing(self) -> list[Finding]:
        """Open findings that fire."""
        return [f for f in (self.open, self.silence) if f is not None and f.state is State.FIRING]

    def _end(self, why: Resolution) -> list[Finding]:
        ended, self.open = self.open, None
        return _ended(ended, why)

    def _end_silence(self, why: Resolution) -> list[Finding]:
        ended, self.silence = self.silence, None
        self._doubted = math.nan
        return _ended(ended, why)

    def _silent(self, time: float, last_time: float, last: int, settings: DetectionSettings) -> Finding:
        gap = time - self._last_came(last_time)
        if settings.silence_after is not None:
            fires = True
            cause = f"No event for {gap:,.0f} s; the setting silence_after is {settings.silence_after:,.0f} s."
        else:
            fires = "volume" in settings.alert_on
            usual = number(_round(self._volume.usual(last_time).typical * 3600))
            where = _where(last_time, self._volume.age(last_time))
            cause = (
                f"No event since {_moment(last_time)}, for {in_words(gap)}, where {usual} an hour are usual {where}."
            )
        title = f"{self.stream}: silent for {gap:,.0f} s"
        began = BeganAt(last, last, last, last_time)
        return _finding(self.stream, FindingKind.SILENCE, RaisedAt(None, last, time), began, title, cause, fires=fires)

    # State

    def to_state(self) -> VolumeMonitorState:
        """For a snapshot."""
        return VolumeMonitorState(
            self.open, self.silence, self._doubted, self._volume.to_state(), self._lateness.to_state()
        )

    @classmethod
    def from_state(cls, stream: str, state: VolumeMonitorState) -> VolumeMonitor:
        """The watch that `state` described; it goes on bit for bit."""
        watch = cls(stream)
        watch.open, watch.silence, watch._doubted = state.open, state.silence, state.doubted
        watch._volume, watch._lateness = Volume.from_state(state.volume), Lateness.from_state(state.lateness)
        return watch


def _ended(ended: Finding | None, why: Resolution) -> list[Finding]:
    if ended is None or ended.state is not State.FIRING:
        return []
    return [resolved(ended, why)]


def _changed(stream: str, change: Change, settings: DetectionSettings) -> Finding:
    span = change.found - change.since
    before, after = change.before * 3600, change.count / span * 3600
    bound = "at least" if change.direction is Direction.FELL else "at most"
    cause = (
        f"Since {_moment(change.since)}, within {in_words(span)}: {number(change.count)} events, where {bound} "
        f"{number(_round(change.usual))} are usual {_where(change.since, change.known_s)}."
    )
    relative = f" ({after / before - 1:+.0%})" if before > 0 else ""
    title = (
        f"{stream}: events {change.direction.value} from {number(_round(before))} to "
        f"{number(_round(after))} an hour{relative}"
    )
    first = min(change.first, change.last)
    began = BeganAt(first, max(first - change.about, 0), min(first + change.about, change.last), change.since)
    effect = LARGEST_EFFECT if after > before else -LARGEST_EFFECT
    if before > 0 and after > 0:
        effect = math.log(after / before) / -math.log(1.0 - settings.floors.volume)
        effect = round(min(max(effect, -LARGEST_EFFECT), LARGEST_EFFECT), 2)
    rate = FeatureChange(RATE, _round(before), _round(after), effect)
    raised = RaisedAt(None, change.last, change.found)
    fires = "volume" in settings.alert_on
    return _finding(stream, FindingKind.VOLUME, raised, began, title, cause, rate, fires=fires)


def _finding(
    stream: str,
    kind: FindingKind,
    raised: RaisedAt,
    began: BeganAt,
    title: str,
    cause: str,
    *features: FeatureChange,
    fires: bool,
) -> Finding:
    return build(stream, kind, (title, cause), (raised, began), fires=fires, changes=features)


def _where(time: float, known_s: float) -> str:
    """When what is usual is usual, for a stream that has been seen for `known_s` seconds."""
    if known_s >= WEEK_S:
        return f"at this hour of a {in_calendar(time):%A}"
    if known_s >= NIGHT_S:
        return "at this hour of other days and just before"
    return f"by what came just before (it has been watched for {in_words(known_s)}, and no evening is known yet)"


def _moment(time: float) -> str:
    return f"{in_calendar(time):%Y-%m-%d %H:%M} UTC"


def _round(value: float) -> float:
    return float(f"{value:.3g}")
