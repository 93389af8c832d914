"""Where `oqm replay` takes events from: files, or the rows of `oqm.features` that were measured before."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli.connection import Connection
from monitor.cli.output import Rejected, notes, progress, say_understood
from monitor.errors import ConfigError
from pipelines.replay.watched import Watched, watched_streams

if TYPE_CHECKING:
    from monitor.detection import StreamMonitor
    from monitor.detection.records.finding import Finding
    from monitor.detection.stream.failed_stream import FailedStream
    from monitor.events import OutputEvent
    from monitor.features.base import FeatureSpec
    from monitor.settings import Settings
    from pipelines.replay.what_if import Candidate, Outcome


@dataclass
class Source:
    """Where events come from, and afterwards what was watched of them.

    Attributes
    ----------
    watched
        One for each stream.
    skipped
        Rows of files that were no events.
    specs
        Declarations of what is measured; there once findings are taken.
    """

    settings: Settings
    watched: list[Watched] = field(default_factory=list, init=False)
    skipped: int = field(default=0, init=False)
    specs: Sequence[FeatureSpec] = field(default=(), init=False)

    def warmup(self, stream: str) -> int:
        """How many events a stream's reference is learned from."""
        return self.settings.for_stream(stream).detection.warmup


@dataclass
class FileSource(Source):
    """The events of files, measured here or by way of a broker."""

    files: Sequence[Path]
    columns: dict[str, str]
    stream: str | None
    limit: int | None
    connection: Connection
    failed: dict[str, str] = field(default_factory=dict)
    """Streams that could not be judged to their end, and why; filled once the findings or outcomes are taken."""

    def findings(self) -> Iterator[Finding]:
        """What is found, in order."""
        from pipelines.build import featurizer_for, partition_monitor
        from pipelines.replay.replay import replay
        from pipelines.replay.through_kafka import replay_through_broker

        featurizer = featurizer_for(self.settings)
        self.specs = featurizer.specs
        with self._events() as events, replay_progress("replay") as bar:
            if self.connection.broker:
                run = f"replay-{uuid.uuid4().hex[:8]}"
                settings = self.connection.over(self.settings)
                found = replay_through_broker(
                    events, settings, run, progress=bar.done, watched=self._note_watched, failed=self.failed
                )
                yield from bar.counting(found)
            else:
                monitor = partition_monitor(self.settings, featurizer.specs)
                yield from bar.counting(
                    replay(events, self.settings, featurizer=featurizer, monitor=monitor, progress=bar.done)
                )
                self._note_watched(monitor.streams)
                self.failed |= monitor.not_judged()

    def _note_watched(self, monitors: Mapping[str, StreamMonitor | FailedStream]) -> None:
        self.watched = watched_streams(monitors)

    def outcomes(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """What each candidate would have raised."""
        from pipelines.build import featurizer_for
        from pipelines.replay.what_if import try_on_events

        with self._events() as events, replay_progress("what if") as bar:
            found = try_on_events(events, self.settings, candidates, featurizer_for(self.settings), bar.done)
        self.failed |= _unjudged(found)
        return found

    @contextmanager
    def _events(self) -> Iterator[Iterator[OutputEvent]]:
        from monitor.events.files.notes import FileNotes
        from pipelines.replay.in_order import read_in_order

        rejected, understood = Rejected(notes()), FileNotes()
        records = read_in_order(self.files, self.columns, self.stream, limit=self.limit, notes=understood)
        yield rejected.drop_from(records)
        say_understood(understood)
        rejected.summarise()
        self.skipped = rejected.reasons.total()


@dataclass
class LogSource(Source):
    """The rows of `oqm.features`, partition by partition."""

    stream: str | None
    failed: dict[str, str] = field(default_factory=dict)
    """As of `FileSource`."""

    def findings(self) -> Iterator[Finding]:
        """What a pass over the log finds, in order."""
        from pipelines.build import featurizer_for, partition_monitor
        from pipelines.feature_log.reader import past_of
        from pipelines.replay.replay import pass_over

        self.specs = specs = featurizer_for(self.settings).specs
        with replay_progress("past") as bar:
            for log in past_of(self.settings, self.stream):
                monitor = partition_monitor(self.settings, specs)
                yield from bar.counting(pass_over(log, monitor, self.stream))
                self.watched += watched_streams(monitor.streams)
                self.failed |= monitor.not_judged()
                _nothing_there(self.stream, monitor.streams)

    def outcomes(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """What each candidate would have raised."""
        from pipelines.build import featurizer_for
        from pipelines.feature_log.reader import past_of
        from pipelines.replay.what_if import try_on_log

        specs = featurizer_for(self.settings).specs
        found: list[Outcome] = []
        with replay_progress("what if") as bar:
            for log in past_of(self.settings, self.stream):
                found += try_on_log(log, self.settings, candidates, specs, self.stream, bar.done)
        _nothing_there(self.stream, found)
        self.failed |= _unjudged(found)
        return found


def _unjudged(outcomes: Iterable[Outcome]) -> dict[str, str]:
    return {outcome.stream: outcome.unjudged for outcome in outcomes if outcome.unjudged}


def _nothing_there(stream: str | None, found: Iterable[object]) -> None:
    """Raises `ConfigError` where the log holds nothing of the stream asked for: "no findings" would be no answer."""
    if stream is not None and not list(found):
        raise ConfigError(f"the log holds no event of stream {stream!r}; oqm streams shows what there is")


class ReplayProgress:
    """A bar on stderr with the number of events and of findings that fired."""

    def __init__(self, update: Callable[[int, int], None]) -> None:
        self._update = update
        self._done = 0
        self._fired = 0

    def done(self, events: int) -> None:
        """Show that `events` events are done, in all."""
        self._done = events
        self._update(events, self._fired)

    def counting(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """`findings` as they are, counted."""
        for finding in findings:
            self._fired += finding.state.value == "firing"
            yield finding


@contextmanager
def replay_progress(what: str) -> Iterator[ReplayProgress]:
    """A bar called `what` while the block runs."""
    with progress(notes()) as shown:
        task = shown.add_task(what, total=None, note="")
        yield ReplayProgress(lambda done, fired: shown.update(task, completed=done, note=f"{fired} fired"))
