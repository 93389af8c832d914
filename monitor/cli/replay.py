"""`oqm replay FILE...`: what the monitor would have found in these events, and what other settings would have raised.

`--past` takes the place of files: the rows that stand in `oqm.features`, measured when they came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.connection import Connection, with_optional_connection
from monitor.cli.options import AsJson, ColumnMap, ConfigFile, CriteriaOption, Limit, StreamName, column_map, existing
from monitor.cli.output import notes, print_json, tables
from monitor.cli.replay_sources import FileSource, LogSource
from monitor.errors import ConfigError
from pipelines.replay.watched import Watched, nothing_judged, watched_line

if TYPE_CHECKING:
    from monitor.detection.records.finding import Finding

EXIT_NOT_JUDGED = 3
"""The answer is neither yes nor no: something that was asked about could not be judged."""

OptionalFiles = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE...]", help="JSONL, CSV or Parquet; .gz, .bz2, .xz and .zst too.", show_default=False),
]

Past = Annotated[
    bool, typer.Option("--past", help="Read oqm.features instead of files; with --stream only that stream.")
]

WhatIfs = Annotated[
    bool, typer.Option("--what-if", help="Show what other budgets, floors and features would have raised.")
]

Full = Annotated[bool, typer.Option("--full", help="Show each finding as the whole alert that receivers get.")]

Tries = Annotated[
    list[str] | None,
    typer.Option(
        "--try",
        metavar="KEY=VALUE[; ...]",
        help="Show what these settings would have raised: alert_budget='1 per 7d', floors.number=0.5, "
        "exclude=output.tone.*; repeatable, one row each.",
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
    criteria: CriteriaOption = None,
    past: Past = False,
    what_if: WhatIfs = False,
    tries: Tries = None,
    full: Full = False,
    fail_on_finding: Annotated[
        bool, typer.Option("--fail-on-finding", help="Exit with code 1 if something fired; for use in a build.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Watch the events of files as if they had been published, and print the findings.

    Runs the code of the worker, with the same findings: in this process, or through a Kafka with --broker. Events of
    one stream are taken in the order of their times, from all files together. Time is that of the events.

    The last line reports how much was watched (with --json on stderr). Exit code 0: events were judged; 1: something
    fired (with --fail-on-finding); 2: wrong input; 3: nothing could be judged, for example too few events.

    --full shows of each finding what receivers get: all features, advice, and outputs from before and after.

    --what-if and --try show what other settings would have raised, beside the given ones. --past reads the rows that
    the worker has measured already, from oqm.features, instead of files.
    """
    from monitor.settings import load_settings
    from monitor.settings.criteria_file import load_criteria, with_criteria

    settings = load_settings(config)
    if criteria is not None:
        if past:
            raise ConfigError("--criteria checks the outputs of files; --past reads what was measured when they came")
        settings = with_criteria(settings, load_criteria(criteria))
    _fits_together(files, past, limit, map, bool(what_if or tries), connection)
    if full and (json or what_if or tries):
        raise ConfigError(
            "--full shows findings as text: leave it out with --json (whole already), --what-if and --try"
        )
    source: FileSource | LogSource
    if past:
        source = LogSource(connection.over(settings), stream)
    else:
        source = FileSource(settings, existing(files or []), column_map(map), stream, limit, connection)
    fired = _compare(source, tries, as_json=json) if what_if or tries else _find(source, as_json=json, full=full)
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


def _find(source: FileSource | LogSource, *, as_json: bool, full: bool) -> bool:
    """Print what is found; whether something fired."""
    from monitor.cli.findings_table import findings_table, full_alerts

    found: list[Finding] = []
    for finding in source.findings():
        found.append(finding)
        if as_json:
            # At once: a reader of the pipe follows what a long replay finds.
            print_json(finding, flush=True)
    if found and full:
        console = tables()
        for alert in full_alerts(found, source.settings, source.specs):
            console.print(alert, soft_wrap=True)
            console.print()
    elif found and not as_json:
        tables().print(findings_table(found))
    _say_watched(source, Counter(finding.state.value for finding in found if not finding.is_update), as_json=as_json)
    return any(finding.opens for finding in found)


def _say_watched(source: FileSource | LogSource, found: Counter[str], *, as_json: bool) -> None:
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


def _compare(source: FileSource | LogSource, tries: Sequence[str] | None, *, as_json: bool) -> bool:
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
