"""`oqm replay FILE...`: what the monitor would have found in these events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.connection import Connection, with_optional_connection
from monitor.cli.options import AsJson, ColumnMap, ConfigFile, Files, Limit, StreamName, column_map, existing
from monitor.cli.output import Rejected, notes, print_json, progress, tables

if TYPE_CHECKING:
    from monitor.detection.finding import Finding


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
    read one after another; what they hold of one stream is one stream.
    """
    raise NotImplementedError
