"""`ThresholdMonitor`: a stream's fixed thresholds, from rows to findings of kind `threshold`.

They need no reference, so they are judged from the stream's first events on, and nothing that learns or is accepted
changes them: they share no evidence and no budget with drift, and neither hides the other. Each threshold has at most
one finding that holds. It opens when a look (`monitor.detection.thresholds.window_counts`) sees the value outside its
limit, and ends when one sees it inside by the margin. With too few events in the window nothing is said, and what is
open stays open: that the traffic stopped is no sign that all is well.

Called by `monitor.detection.stream.stream_monitor`. Pure: time comes with rows and ticks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.config_values.thresholds import Threshold
from monitor.detection.diagnosis.finding_builder import Quoted, build
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import (
    EXAMPLES,
    BeganAt,
    Ended,
    Excerpt,
    Finding,
    FindingKind,
    RaisedAt,
    Resolution,
    Severity,
    resolved,
)
from monitor.detection.records.plain_numbers import finite
from monitor.detection.records.status import ThresholdStatus
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.detection.thresholds import wording
from monitor.detection.thresholds.limited_values import limited_values
from monitor.detection.thresholds.window_counts import Reading, SectionState, WindowCounts
from monitor.features.batch import FeatureBatch


class ThresholdState(StateRecord):
    """Of the watch of one threshold; the threshold as in settings."""

    threshold: dict[str, Any]
    number: int | None
    counted: int
    since: float | None
    sections: list[SectionState]
    examples: list[Excerpt]
    open: Finding | None


class Found(NamedTuple):
    """A finding, and the position among the rows of the row after which it was found."""

    row: int
    finding: Finding


class _Watch:
    """One threshold: its window, the last events beyond its limit, and the finding that holds."""

    def __init__(self, threshold: Threshold) -> None:
        self.threshold = threshold
        self.counts = WindowCounts(threshold)
        self.examples: list[Excerpt] = []
        self.open: Finding | None = None

    def to_state(self) -> ThresholdState:
        counts = self.counts
        return ThresholdState(
            self.threshold.model_dump(mode="json", exclude_none=True),
            counts.number,
            counts.counted,
            counts.since,
            counts.to_state(),
            self.examples,
            self.open,
        )

    @classmethod
    def from_state(cls, state: ThresholdState) -> _Watch:
        watch = cls(Threshold.model_validate(state.threshold))
        watch.counts.number, watch.counts.counted, watch.counts.since = state.number, state.counted, state.since
        watch.counts.restore(state.sections)
        watch.examples, watch.open = state.examples, state.open
        return watch


class ThresholdMonitor:
    """Watches a stream's thresholds, which come from its settings with each call."""

    def __init__(self, stream: str, features: DeclaredFeatures) -> None:
        self.stream = stream
        self._features = features
        self._watches: dict[str, _Watch] = {}

    @property
    def open(self) -> list[Finding]:
        """What fires now."""
        return [watch.open for watch in self._watches.values() if watch.open is not None]

    @property
    def waits(self) -> bool:
        """Whether the passing of time alone may change anything."""
        return any(watch.counts.by_time and watch.counts.holds for watch in self._watches.values())

    def next_due(self) -> float:
        """The stream's own time before which a tick changes nothing; infinite: none does."""
        ends = (w.counts.now + w.counts.length for w in self._watches.values() if w.counts.by_time and w.counts.holds)
        return min(ends, default=math.inf)

    def choose(self, thresholds: Sequence[Threshold]) -> list[Finding]:
        """Watch these thresholds; one that is gone or was changed ends, and starts from zero."""
        found: list[Finding] = []
        for name, watch in list(self._watches.items()):
            if watch.threshold not in thresholds:
                if watch.open is not None:
                    why = Resolution(how=Ended.REPLACED, why="the threshold was changed in the settings")
                    found.append(resolved(watch.open, why))
                del self._watches[name]
        for threshold in thresholds:
            if threshold.name not in self._watches:
                self._watches[threshold.name] = _Watch(threshold)
        return found

    def observe(self, batch: FeatureBatch, first: int) -> list[Found]:
        """Take rows (n) of this stream that were not taken before, `first` being the stream index of the first.

        What is found comes in the order of the rows.
        """
        found: list[Found] = []
        for watch in self._watches.values():
            values = limited_values(batch, watch.threshold)
            usable = np.isfinite(values)
            if watch.counts.by_time:
                usable &= np.isfinite(batch.times)
            rows = np.flatnonzero(usable)
            if len(rows):
                take = self._by_time if watch.counts.by_time else self._by_events
                found += take(watch, batch, values, rows, first)
        return sorted(found, key=lambda each: each.row)

    def _by_events(
        self, watch: _Watch, batch: FeatureBatch, values: NDArray[np.float32], rows: NDArray[np.intp], first: int
    ) -> Iterator[Found]:
        start = 0
        while start < len(rows):
            part = rows[start : start + watch.counts.by_events(len(rows) - start)]
            part = self._to_first_beyond(watch, values, part)
            self._count(watch, batch, values, part, first)
            start += len(part)
            row = int(part[-1])
            at = RaisedAt(batch.ids[row], first + row, finite(float(batch.times[row])))
            section_over = watch.counts.counted % int(watch.counts.length) == 0
            if section_over or self._decides_alone(watch, values[part[-1:]]):
                yield from (Found(row, finding) for finding in self._look(watch, at, open_section=not section_over))

    def _by_time(
        self, watch: _Watch, batch: FeatureBatch, values: NDArray[np.float32], rows: NDArray[np.intp], first: int
    ) -> Iterator[Found]:
        latest = np.maximum.accumulate(np.floor(batch.times[rows] / watch.counts.length))
        edges = np.flatnonzero(np.diff(latest, prepend=-np.inf))
        for start, stop in zip(edges, [*edges[1:], len(rows)], strict=True):
            row = int(rows[start])
            for _ in watch.counts.advance(float(batch.times[row])):
                at = RaisedAt(batch.ids[row], first + row, watch.counts.now)
                yield from (Found(row, finding) for finding in self._look(watch, at))
            while start < stop:
                part = self._to_first_beyond(watch, values, rows[start:stop])
                self._count(watch, batch, values, part, first)
                start += len(part)
                row = int(part[-1])
                if self._decides_alone(watch, values[part[-1:]]):
                    at = RaisedAt(batch.ids[row], first + row, float(batch.times[row]))
                    yield from (Found(row, finding) for finding in self._look(watch, at, open_section=True))

    def _decides_alone(self, watch: _Watch, value: NDArray[np.float32]) -> bool:
        """Whether one value (1) is looked at though its section is not over, since it may be an alert by itself."""
        return watch.open is None and watch.threshold.needed == 1 and bool(watch.counts.beyond(value)[0])

    def _to_first_beyond(self, watch: _Watch, values: NDArray[np.float32], part: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows up to the first that may be an alert by itself; all of them where none is."""
        if watch.open is not None or watch.threshold.needed > 1:
            return part
        beyond = watch.counts.beyond(values[part])
        return part[: int(np.argmax(beyond)) + 1] if beyond.any() else part

    def _count(
        self, watch: _Watch, batch: FeatureBatch, values: NDArray[np.float32], rows: NDArray[np.intp], first: int
    ) -> None:
        taken = values[rows]
        watch.counts.count(taken, rows + first, batch.times[rows])
        for row in rows[np.flatnonzero(watch.counts.beyond(taken))[-EXAMPLES:]].tolist():
            example = Excerpt(batch.ids[row], batch.input_excerpts[row], batch.output_excerpts[row])
            watch.examples = [*watch.examples, example][-EXAMPLES:]

    def tick(self, time: float, index: int) -> list[Finding]:
        """The stream's own time has reached `time`; `index` is that of its last event."""
        found: list[Finding] = []
        for watch in self._watches.values():
            if watch.counts.by_time and watch.counts.holds and math.isfinite(time):
                for _ in watch.counts.advance(time):
                    found += self._look(watch, RaisedAt(None, index, watch.counts.now))
        return found

    def _look(self, watch: _Watch, at: RaisedAt, *, open_section: bool = False) -> list[Finding]:
        reading = watch.counts.read(open_section=open_section)
        if not reading.known:
            return []
        if watch.open is None:
            if not reading.outside:
                return []
            watch.open = self._finding(watch, reading, at)
            return [watch.open]
        if not reading.recovered:
            return []
        ended, watch.open, watch.examples = watch.open, None, []
        why = wording.back_inside(watch.threshold, reading, self._features)
        return [resolved(ended, Resolution(how=Ended.RECOVERED, why=why, index=at.index, time=at.time))]

    def _finding(self, watch: _Watch, reading: Reading, at: RaisedAt) -> Finding:
        threshold = watch.threshold
        began = watch.counts.began() or (at.index, at.time)
        since = None if began[1] is None else finite(began[1])
        return build(
            self.stream,
            FindingKind.THRESHOLD,
            (
                f"{self.stream}: {wording.headline(threshold, reading, self._features)}",
                wording.cause(threshold, reading, self._features),
            ),
            (at, BeganAt(began[0], began[0], at.index, since)),
            fires=True,
            named={"threshold": threshold.name},
            severity=Severity(threshold.severity),
            quoted=Quoted.of([], watch.examples),
        )

    def statuses(self) -> list[ThresholdStatus]:
        """Where each threshold stands now."""
        found = []
        for name, watch in self._watches.items():
            reading = watch.counts.read(open_section=True)
            firing = watch.open is not None
            state = "unknown" if not reading.known else "outside" if firing or reading.outside else "inside"
            said = wording.state_in_words(watch.threshold, reading, self._features, firing=firing)
            value = reading.value if reading.known else None
            found.append(ThresholdStatus(name, state, value, reading.values, firing, said))
        return found

    def to_state(self) -> dict[str, ThresholdState]:
        """For a snapshot: each threshold by its name."""
        return {name: watch.to_state() for name, watch in self._watches.items()}

    @classmethod
    def from_state(cls, stream: str, features: DeclaredFeatures, state: dict[str, ThresholdState]) -> ThresholdMonitor:
        """The watches that `state` described; they go on bit for bit."""
        monitor = cls(stream, features)
        monitor._watches = {name: _Watch.from_state(each) for name, each in state.items()}
        return monitor
