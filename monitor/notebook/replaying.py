"""`replay` watches outputs as if they had been published; `Watch` does so batch by batch, as they come."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from monitor.alerting.rendering.moments import moment
from monitor.detection import StreamMonitor
from monitor.detection.records.finding import Finding, State
from monitor.features.batch import FeatureBatch
from monitor.notebook.html_table import html_table
from monitor.notebook.rows import Data, Rows, read
from monitor.settings import Settings, load_settings
from pipelines.build import featurizer_for, partition_monitor
from pipelines.feature_log.apply import apply
from pipelines.feature_log.ticks import EventTimeTicks
from pipelines.replay.watched import watched_line, watched_streams

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

EVENTS_PER_STEP = 64
"""Events between two points of the evidence that a plot shows; what is found does not depend on it."""


class Replay(Sequence[Finding]):
    """What was found, in order, and how much was watched. A sequence of findings.

    Attributes
    ----------
    findings
        All transitions: firing, resolved, and information, and each time one that fires was measured again.
    line
        How much was watched, and what of it could not be judged. "No findings" means nothing without it.
    notes
        What was understood of the data, and how many rows were skipped and why.
    """

    def __init__(self, findings: Sequence[Finding], line: str, notes: Sequence[str], history: History) -> None:
        self.findings = tuple(findings)
        self.line = line
        self.notes = tuple(notes)
        self._history = history

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Finding]: ...
    def __getitem__(self, index: int | slice) -> Finding | Sequence[Finding]:
        """A finding, or several."""
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def firing(self) -> tuple[Finding, ...]:
        """Those that fired."""
        return tuple(one for one in self.findings if one.opens)

    def to_frame(self) -> pandas.DataFrame:
        """One row per finding: state, stream, title, kind, severity, where it began and was raised, newest figures."""
        import pandas

        return pandas.DataFrame(self._rows(), columns=list(_COLUMNS))

    def __repr__(self) -> str:
        lines = [
            f"{row['state']}: {row['title']} (event {row['raised at event']})" + _again(row) for row in self._rows()
        ]
        return "\n".join([*lines, self.line])

    def _rows(self) -> list[dict[str, Any]]:
        """A row per finding and end; a firing one that was measured again says in the same row what came of it."""
        newest = {one.id: one for one in self.findings if one.is_update}
        shown = (one for one in self.findings if not one.is_update)
        return [_row(one, newest.get(one.id) if one.state is State.FIRING else None) for one in shown]

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, self._rows(), [self.line, *self.notes])

    def plot(self, finding: int = 0) -> Figure:
        """The features of a firing finding before and after, and the stream's evidence over its events.

        `finding` counts those in `firing`. Raises `ConfigError` where there is no such one, or the extra is missing.
        """
        from monitor.notebook.plots import plot_finding

        return plot_finding(self.firing, finding, self._history)


class History:
    """What a plot needs of the streams that were watched: rows and evidence, stream by stream."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self._values: defaultdict[str, list[NDArray[np.float32]]] = defaultdict(list)
        self.evidence: defaultdict[str, list[tuple[int, float, float]]] = defaultdict(list)
        """Per stream: number of events, log10 evidence and log10 threshold."""

    def add(self, batch: FeatureBatch) -> None:
        """The rows of a batch."""
        self.names = batch.names
        streams = np.array(batch.streams, dtype=object)
        for stream in dict.fromkeys(batch.streams):
            self._values[stream].append(batch.values[streams == stream])

    def values(self, stream: str, feature: str) -> NDArray[np.float32]:
        """(n) values of a feature in the stream's order; empty where the feature has no numbers."""
        if feature not in self.names or not self._values[stream]:
            return np.empty(0, np.float32)
        column = self.names.index(feature)
        return np.concatenate([part[:, column] for part in self._values[stream]])


class Watch:
    """Watches streams in a notebook: `feed` it outputs as they come.

        watch = Watch()
        watch.feed(monday)
        watch.feed(tuesday)

    Outputs that were fed before are counted as duplicates and not applied, so a cell may be run twice.

    Parameters
    ----------
    settings
        A `Settings`, the path of a settings file, or a mapping of settings such as
        `{"detection": {"alert_budget": "1 per 7d"}}`; the defaults where None.
    stream
        Name of the stream of outputs that name none.
    columns
        {field: column} where the data's columns have other names: {"output": "answer", "model.name": "engine"}.
    """

    def __init__(
        self,
        settings: Settings | Mapping[str, Any] | str | Path | None = None,
        *,
        stream: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = as_settings(settings)
        self._stream = stream
        self._columns = columns
        self._featurizer = featurizer_for(self.settings)
        self._monitor = partition_monitor(self.settings, self._featurizer.specs)
        self._ticks = EventTimeTicks()
        self._offset = count()
        self._rows = 0
        self._seen: set[tuple[str, str]] = set()
        self._history = History()
        self.duplicates = 0
        self._skipped: Counter[str] = Counter()

    def feed(self, data: Data, *, last: bool = False) -> Replay:
        """What is found in these outputs, after all that were fed before; `last`: no more will come (see `close`).

        Raises `ConfigError` for data that cannot be read.
        """
        rows = read(data, self._stream, self._columns)
        findings = list(self._apply(rows))
        return self._result([*findings, *self._monitor.close()] if last else findings, rows)

    def close(self) -> Replay:
        """Judge what still waits for its block to fill; what is found in it."""
        return self._result(list(self._monitor.close()), Rows([]))

    def _apply(self, rows: Rows) -> Iterator[Finding]:
        fresh = []
        for event in rows.events:
            key = event.stream, event.id or ""
            if key in self._seen:
                self.duplicates += 1
            else:
                self._seen.add(key)
                fresh.append(event)
        self._skipped += rows.skipped
        for start in range(0, len(fresh), EVENTS_PER_STEP):
            part = fresh[start : start + EVENTS_PER_STEP]
            offsets = np.arange(self._rows, self._rows + len(part), dtype=np.int64)
            self._rows += len(part)
            batch = self._featurizer.featurize(
                part, source="notebook", partitions=np.zeros(len(part), np.int32), offsets=offsets
            )
            self._history.add(batch)
            for content in self._ticks.interleave(batch):
                yield from apply(self._monitor, content, next(self._offset))
            for stream in dict.fromkeys(batch.streams):
                self._note_evidence(stream)

    def _note_evidence(self, stream: str) -> None:
        monitor = self._monitor.streams.get(stream)
        if isinstance(monitor, StreamMonitor):
            status = monitor.status()
            self._history.evidence[stream].append((status.events, status.log_evidence, status.log_threshold))

    def _result(self, findings: list[Finding], rows: Rows) -> Replay:
        found = Counter(one.state.value for one in findings if not one.is_update)
        watched = watched_streams(self._monitor.streams)
        line = watched_line(watched, found, self._skipped.total(), self.duplicates)
        notes = [*rows.notes, *(f"{n:,} rows skipped: {reason}" for reason, n in rows.skipped.items())]
        notes += [f"could not be judged: {stream}: {why}" for stream, why in sorted(self._monitor.not_judged().items())]
        return Replay(findings, line, notes, self._history)


def replay(
    data: Data,
    settings: Settings | Mapping[str, Any] | str | Path | None = None,
    *,
    stream: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Replay:
    """Watch outputs as if they had been published, in the order given, and say what was found.

    Parameters are those of `Watch`; `data` is a file's path, a DataFrame with a row an output, or a list of mappings,
    `OutputEvent`s or texts. Ids that are missing are made of the content. Raises `ConfigError` with what to change.
    """
    return Watch(settings, stream=stream, columns=columns).feed(data, last=True)


def as_settings(given: Settings | Mapping[str, Any] | str | Path | None) -> Settings:
    """Settings from what a notebook gives. Raises `ConfigError` in an operator's words."""
    from pydantic import ValidationError

    from monitor.config_values.plain_errors import first_sentence
    from monitor.errors import ConfigError

    if isinstance(given, Settings):
        return given
    if given is None or isinstance(given, str | Path):
        return load_settings(given)
    try:
        return Settings.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigError(f"settings: {first_sentence(Settings, error)}") from None


_COLUMNS = ("state", "stream", "title", "kind", "severity", "began at event", "raised at event", "began", "event id",
            "measured again")  # fmt: skip


def _row(one: Finding, newest: Finding | None = None) -> dict[str, Any]:
    began = one.began_at
    time = getattr(began, "time", None)
    return {
        "state": one.state.value,
        "stream": one.stream,
        "title": one.title,
        "kind": one.kind.value,
        "severity": one.severity.value,
        "began at event": getattr(began, "index", None),
        "raised at event": one.raised_at.index,
        "began": None if time is None else moment(time),
        "event id": one.raised_at.event_id,
        "measured again": None
        if newest is None
        else f"on {newest.measured_events:,} events, {newest.severity.value}: {newest.title}",
    }


def _again(row: Mapping[str, Any]) -> str:
    return f"; measured again {row['measured again']}" if row["measured again"] else ""
