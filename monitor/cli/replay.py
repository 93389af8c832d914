"""`oqm replay FILE...`: what the monitor would have found in these events, and what other settings would have raised.

`--past` takes the place of files: the rows that stand in `oqm.features`, measured when they came.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.connection import Connection, with_optional_connection
from monitor.cli.options import AsJson, ColumnMap, ConfigFile, Limit, StreamName, column_map, existing
from monitor.cli.output import Rejected, notes, print_json, progress, say_understood, tables
from monitor.cli.watched import Watched, nothing_judged, watched_line, watched_streams
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.detection import StreamMonitor
    from monitor.detection.records.finding import Finding
    from monitor.detection.stream.failed_stream import FailedStream
    from monitor.events import OutputEvent
    from monitor.settings import Settings
    from pipelines.replay.what_if import Candidate, Outcome

EXIT_NOT_JUDGED = 3
"""The answer is neither yes nor no: something that was asked about could not be judged."""

OptionalFiles = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE...]", help="JSONL, CSV or Parquet; .gz, .bz2, .xz and .zst too.", show_default=False),
]
Past = Annotated[
    bool, typer.Option("--past", help="What oqm.features holds, in place of files; only of --stream where it is given.")
]
WhatIfs = Annotated[
    bool, typer.Option("--what-if", help="A table of what other budgets, floors and features would have raised.")
]
Tries = Annotated[
    list[str] | None,
    typer.Option(
        "--try",
        metavar="KEY=VALUE[; ...]",
        help="The same for settings of your own: alert_budget='1 per 7d', floors.number=0.5, exclude=output.tone.*; "
        "repeatable, each one a row.",
        show_default=False,
    ),
]


@with_optional_connection
def command(
    connection: Connection,
    files: OptionalFiles = None,
    json: AsJson = False,
    stream: StreamName = None,
    map: ColumnMap = None,
    limit: Limit = None,
    past: Past = False,
    what_if: WhatIfs = False,
    tries: Tries = None,
    fail_on_finding: Annotated[
        bool, typer.Option("--fail-on-finding", help="Exit with code 1 if something fired; for use in a build.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Watch the events of files as if they had been published, and print what was found.

    The same code as in the worker, and the same findings: in this process, or through a Kafka with --broker. What files
    hold of one stream is one stream, in the order of its times; other streams change nothing. Time is that of events.

    The last line says how much was watched (with --json on stderr). Exit code 0: events were judged; 1: something
    fired (with --fail-on-finding); 2: wrong input; 3: nothing could be judged, such as too few events.

    With --what-if or --try: what other settings would have raised, beside the settings as they are. With --past the
    stream's past is read from oqm.features, where it has been measured already.
    """
    from monitor.settings import load_settings

    settings = load_settings(config)
    _fits_together(files, past, limit, map, bool(what_if or tries), connection)
    source: _Files | _Past
    if past:
        source = _Past(connection.over(settings), stream)
    else:
        source = _Files(settings, existing(files or []), column_map(map), stream, limit, connection)
    fired = _compare(source, tries, as_json=json) if what_if or tries else _find(source, as_json=json)
    if fail_on_finding and fired:
        raise typer.Exit(1)
    if source.failed or (nothing_judged(source.watched) and not fired):
        raise typer.Exit(EXIT_NOT_JUDGED)


def _fits_together(
    files: list[Path] | None,
    past: bool,
    limit: int | None,
    columns: list[str] | None,
    comparing: bool,
    connection: Connection,
) -> None:
    if past == bool(files):
        raise ConfigError("give files, or --past for what oqm.features holds: one of the two")
    if past and (limit is not None or columns):
        raise ConfigError("--limit and --map are for files; --past reads what was measured, all of it")
    if comparing and connection.broker and not past:
        raise ConfigError("--what-if and --try measure files in this process: leave --broker out, or use --past")


def _find(source: _Files | _Past, *, as_json: bool) -> bool:
    """Print what is found; whether something fired."""
    from monitor.cli.findings_table import findings_table
    from monitor.detection.records.finding import State

    found: list[Finding] = []
    for finding in source.findings():
        found.append(finding)
        if as_json:
            # At once: a reader of the pipe follows what a long replay finds.
            print_json(finding, flush=True)
    if found and not as_json:
        tables().print(findings_table(found))
    _say_watched(source, Counter(finding.state.value for finding in found), as_json=as_json)
    return any(finding.state is State.FIRING for finding in found)


def _say_watched(source: _Files | _Past, found: Counter[str], *, as_json: bool) -> None:
    """What could not be judged, and the last line: how much was watched, and what was found in it."""
    for name, why in sorted(source.failed.items()):
        notes().print(f"could not be judged: {name}: {why}", style="red", markup=False, soft_wrap=True)
    line = watched_line(source.watched, found, source.skipped)
    if as_json:
        notes().print(line, soft_wrap=True, markup=False)
        return
    judged = not nothing_judged(source.watched)
    style = ("" if found else "green") if judged else "yellow"
    tables().print(line, style=style, soft_wrap=True, markup=False)


def _compare(source: _Files | _Past, tries: Sequence[str] | None, *, as_json: bool) -> bool:
    """Print what each candidate would have raised; whether something fired with the settings as they are."""
    from monitor.cli.what_if_table import what_if_table
    from pipelines.replay.what_if import AS_CONFIGURED, candidate, grid

    candidates = [candidate(text) for text in tries] if tries else grid(source.settings.detection)
    outcomes = source.outcomes(candidates)
    if as_json:
        for outcome in outcomes:
            print_json(outcome)
    else:
        tables().print(what_if_table(outcomes))
    mine = [outcome for outcome in outcomes if outcome.candidate == AS_CONFIGURED]
    source.watched = [
        Watched(one.stream, one.events, one.judged_from, source.warmup(one.stream), one.duplicates, bool(one.unjudged))
        for one in mine
        if one.events or one.duplicates
    ]
    found = Counter(firing=0, resolved=0, info=0)
    for one in mine:
        found.update(firing=one.fired, resolved=one.resolved, info=one.info)
    _say_watched(source, found, as_json=as_json)
    return any(outcome.fired for outcome in outcomes if outcome.candidate == AS_CONFIGURED)


@dataclass
class _Source:
    """Where events come from, and afterwards what was watched of them.

    Attributes
    ----------
    watched
        One for each stream.
    skipped
        Rows of files that were no events.
    """

    settings: Settings
    watched: list[Watched] = field(default_factory=list, init=False)
    skipped: int = field(default=0, init=False)

    def warmup(self, stream: str) -> int:
        """How many events a stream's reference is learned from."""
        return self.settings.for_stream(stream).detection.warmup


@dataclass
class _Files(_Source):
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
        from pipelines.replay.replay import featurizer_for, partition_monitor, replay
        from pipelines.replay.through_kafka import replay_through_broker

        with self._events() as events, _bar("replay") as bar:
            if self.connection.broker:
                run = f"replay-{uuid.uuid4().hex[:8]}"
                settings = self.connection.over(self.settings)
                found = replay_through_broker(
                    events, settings, run, progress=bar.done, watched=self._note_watched, failed=self.failed
                )
                yield from bar.counting(found)
            else:
                featurizer = featurizer_for(self.settings)
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
        from pipelines.replay.replay import featurizer_for
        from pipelines.replay.what_if import try_on_events

        with self._events() as events, _bar("what if") as bar:
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
class _Past(_Source):
    """The rows of `oqm.features`, partition by partition."""

    stream: str | None
    failed: dict[str, str] = field(default_factory=dict)
    """As of `_Files`."""

    def findings(self) -> Iterator[Finding]:
        """What a pass over the log finds, in order."""
        from pipelines.feature_log.reader import past_of
        from pipelines.replay.replay import featurizer_for, partition_monitor, pass_over

        specs = featurizer_for(self.settings).specs
        with _bar("past") as bar:
            for log in past_of(self.settings, self.stream):
                monitor = partition_monitor(self.settings, specs)
                yield from bar.counting(pass_over(log, monitor, self.stream))
                self.watched += watched_streams(monitor.streams)
                self.failed |= monitor.not_judged()
                _nothing_there(self.stream, monitor.streams)

    def outcomes(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """What each candidate would have raised."""
        from pipelines.feature_log.reader import past_of
        from pipelines.replay.replay import featurizer_for
        from pipelines.replay.what_if import try_on_log

        specs = featurizer_for(self.settings).specs
        found: list[Outcome] = []
        with _bar("what if") as bar:
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


class _Bar:
    def __init__(self, update: Callable[[int, int], None]) -> None:
        self._update = update
        self._done = 0
        self._fired = 0

    def done(self, events: int) -> None:
        self._done = events
        self._update(events, self._fired)

    def counting(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        for finding in findings:
            self._fired += finding.state.value == "firing"
            yield finding


@contextmanager
def _bar(what: str) -> Iterator[_Bar]:
    with progress(notes()) as shown:
        task = shown.add_task(what, total=None, note="")
        yield _Bar(lambda done, fired: shown.update(task, completed=done, note=f"{fired} fired"))
