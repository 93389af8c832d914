"""`oqm replay FILE...`: what the monitor would have found in these events."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.connection import Connection, with_optional_connection
from monitor.cli.options import AsJson, ColumnMap, ConfigFile, Files, Limit, StreamName, column_map, existing
from monitor.cli.output import Rejected, notes, print_json, progress, tables

if TYPE_CHECKING:
    from monitor.detection.finding import Finding
    from monitor.errors import InvalidEvent
    from monitor.events import OutputEvent


@with_optional_connection
def command(
    connection: Connection,
    files: Files,
    json: AsJson = False,
    stream: StreamName = None,
    map: ColumnMap = None,
    limit: Limit = None,
    fail_on_finding: Annotated[
        bool, typer.Option("--fail-on-finding", help="Exit with code 1 if something fired; for use in a build.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Watch the events of files as if they had been published, and print what was found.

    The same code as in the worker, and the same findings: in this process, or through a Kafka with --broker. Files are
    read one after another; what they hold of one stream is one stream. Time is that of the events.
    """
    from monitor.detection.finding import State
    from monitor.settings import load_settings
    from pipelines.offline import featurizer_for, partition_monitor, replay
    from pipelines.through_broker import replay_through_broker

    settings = load_settings(config)
    records = _records(existing(files), column_map(map), stream)
    console = notes()
    rejected = Rejected(console)
    events = rejected.drop_from(islice(records, limit))
    found: list[Finding] = []
    with progress(console) as bar:
        task = bar.add_task("replay", total=None, note="")

        def done(n: int) -> None:
            bar.update(task, completed=n, note=f"{sum(f.state is State.FIRING for f in found)} fired")

        if connection.broker:
            run = f"replay-{uuid.uuid4().hex[:8]}"
            findings = replay_through_broker(events, connection.over(settings), run, progress=done)
        else:
            featurizer = featurizer_for(settings)
            monitor = partition_monitor(settings, featurizer.specs)
            findings = replay(events, settings, featurizer=featurizer, monitor=monitor, progress=done)
        for finding in findings:
            if finding.state is State.PENDING:
                continue
            found.append(finding)
            if json:
                # At once: a reader of the pipe follows what a long replay finds.
                print_json(finding, flush=True)
    rejected.summarise()
    if not json:
        from monitor.cli.findings_table import findings_table

        tables().print(findings_table(found))
    if fail_on_finding and any(finding.state is State.FIRING for finding in found):
        raise typer.Exit(1)


def _records(
    files: Sequence[Path], mapping: dict[str, str], stream: str | None
) -> Iterator[OutputEvent | InvalidEvent]:
    """The records of all files, in order, each file opened when its turn comes."""
    from monitor.events.files import read_events

    return chain.from_iterable(read_events(path, mapping, stream) for path in files)
