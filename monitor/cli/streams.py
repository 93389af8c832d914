"""`oqm streams`: what is watched, and where it stands, as detect last wrote it down in Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from monitor.cli.connection import Connection, with_connection
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import is_screen, print_json, tables
from monitor.cli.reference import By, Stream, decide, known_stream, user_name
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.detection.records.status import StreamStatus
    from monitor.settings import Settings

_REFRESH_S = 2.0
"""Between two reads of the state, which detect writes every ten seconds."""
_COLOURS = {"warming": "yellow", "stable": "green", "drift": "bold red", "silent": "magenta", "unknown": "magenta"}
_MOST_NOTES = 5
"""Streams with a note that are named below the table: more would push the table off a screen of 24 lines."""
_MOST_THRESHOLDS = 8
"""Thresholds that are shown below the table, for the same reason; --json has all."""
_THRESHOLDS_FIRST = ("outside", "unknown", "inside")
_WHY_NOT_WATCHED = "too few events of its reference have it, its values are not of this kind, or each has another"
_LOUDEST_FIRST = ("drift", "silent", "unknown", "warming", "stable")


def group() -> typer.Typer:
    """The command with its subcommand."""
    app = typer.Typer(rich_markup_mode="markdown", invoke_without_command=True)
    app.callback(invoke_without_command=True)(command)
    app.command("remove")(remove)
    return app


@with_connection
def command(
    connection: Connection,
    ctx: typer.Context,
    json: AsJson = False,
    once: Annotated[bool, typer.Option("--once", help="Print once instead of a live table on a terminal.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show every stream with its state: warming, stable, drift, silent or unknown.

    A stream that is warming learns from its first events what is normal, and none is judged yet: "learning 140 of 200".
    A "young" stream is judged, but only large changes are found until its reference has more events.

    Reads the state that detect keeps in Kafka, from any machine; it is as old as the last checkpoint (seconds).
    """
    from monitor.settings import load_settings
    from pipelines.state.stream_status import stream_statuses

    if ctx.invoked_subcommand is not None:
        _nothing_before(ctx)
        return
    settings = connection.over(load_settings(config))
    statuses = asyncio.run(stream_statuses(settings))
    if json:
        for status in statuses:
            print_json(as_record(status, _declared(settings, status.stream)))
        return

    def table() -> Table:
        return _table(statuses, time.time(), settings)

    console = tables()
    if once or not is_screen(console):
        console.print(table())
        return
    with Live(table(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(_REFRESH_S)
            statuses = asyncio.run(stream_statuses(settings))
            live.update(table(), refresh=True)


@with_connection
def remove(connection: Connection, stream: Stream, by: By = None, config: ConfigFile = None) -> None:
    """Remove a stream: its reference and state are deleted, and its open alerts are resolved.

    If events come again, it is a new stream.
    """
    from monitor.detection.records.control import Control, ControlAction
    from monitor.settings import load_settings

    settings = connection.over(load_settings(config))
    known_stream(settings, stream)
    decide(settings, Control(action=ControlAction.REMOVE, stream=stream, time=time.time(), by=by or user_name()))


def _nothing_before(ctx: typer.Context) -> None:
    """Raises `ConfigError` for an option between `streams` and its subcommand, which would not reach that."""
    for name in ctx.params:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = next(p.opts[0] for p in ctx.command.params if p.name == name)
            raise ConfigError(f"{option} has no effect before {ctx.invoked_subcommand}: put it behind")


def as_record(status: StreamStatus, declared: Collection[str] = ()) -> dict[str, Any]:
    """A status as the published record; `note` and `times_behind_s` are there only where something is not judged,
    `attributes` and `thresholds` where any are watched, `attributes_not_watched` where some of the `declared` ones are
    not."""
    noted: dict[str, Any] = {}
    if status.behind_s is not None:
        noted = {"times_behind_s": round(status.behind_s, 1), "note": status.note()}
    return {
        "stream": status.stream,
        "state": status.state.value,
        "events": status.events,
        "last_event_time": status.last_event_time,
        "firing": status.firing,
        "learned": status.learned,
        "learns": status.learns,
        "young": status.young,
        **noted,
        **({"thresholds": status.thresholds} if status.thresholds else {}),
        **({"attributes": attributes} if (attributes := watched_attributes(status)) else {}),
        **({"attributes_not_watched": missing} if (missing := unwatched_attributes(status, declared)) else {}),
        **({"reason": status.reason} if status.reason else {}),
    }


def watched_attributes(status: StreamStatus) -> list[str]:
    """The attributes of the application that a stream watches as features: ratings, scores, labels, numbers."""
    from monitor.features.families.feedback import OF_ATTRIBUTES  # loads the features, which --help does not need
    from monitor.features.keyed import split_key

    return sorted({key for feature, key in map(split_key, status.keys) if feature in OF_ATTRIBUTES})


def unwatched_attributes(status: StreamStatus, declared: Collection[str]) -> list[str]:
    """The declared attributes that a stream with a reference does not watch: too few events have a usable value."""
    if status.state.value in ("warming", "unknown"):
        return []
    return sorted(set(declared) - set(watched_attributes(status)))


def _declared(settings: Settings, stream: str) -> list[str]:
    """The attributes that the settings declare for a stream, but those that are to be ignored."""
    attributes = settings.for_stream(stream).detection.attributes
    return [attribute.name for attribute in attributes if attribute.kind != "ignore"]


def _table(statuses: Iterable[StreamStatus], now: float, settings: Settings | None = None) -> Table:
    ordered = sorted(statuses, key=lambda status: (_LOUDEST_FIRST.index(status.state.value), status.stream))
    table = Table(title_justify="left")
    for head in ("stream", "state", "events", "last event", "evidence", "firing"):
        # How far a stream has learned stays on one line in a narrow terminal too.
        table.add_column(head, no_wrap=head == "state", overflow="fold")
    table.title = f"{len(ordered):,} streams at {datetime.fromtimestamp(now, UTC):%H:%M:%S} UTC"
    reasons = any(status.reason for status in ordered)
    if reasons:
        table.add_column("why unknown", overflow="fold")
    for status in ordered:
        # log10 of the evidence against log10 of what an alert takes.
        evidence = f"{max(0.0, status.log_evidence):.1f} of {status.log_threshold:.1f}"
        table.add_row(
            Text(status.stream),
            Text(_state(status), style=_COLOURS[status.state.value]),
            f"{status.events:,}",
            _ago(now, status.last_event_time),
            evidence,
            ", ".join(status.firing),
            *([Text(status.reason)] if reasons else []),
        )
    table.caption = _notes(ordered, settings)
    table.caption_justify = "left"
    return table


def _state(status: StreamStatus) -> str:
    """The state, and how far the stream has learned where that limits what it can find."""
    if status.state.value == "warming" and status.learns:
        return f"warming, learning {status.learned:,} of {status.learns:,}"
    if status.young:
        return f"{status.state.value}, young"
    return status.state.value


def _notes(statuses: Iterable[StreamStatus], settings: Settings | None) -> Text | None:
    statuses = list(statuses)
    noted = [f"{status.stream}: {note}" for status in statuses if (note := status.note()) is not None]
    watching = ((status.stream, watched_attributes(status)) for status in statuses)
    noted += [f"{stream}: watches the attributes {', '.join(names)}" for stream, names in watching if names]
    if settings is not None:
        for status in statuses:
            if missing := unwatched_attributes(status, _declared(settings, status.stream)):
                noted.append(
                    f"{status.stream}: does not watch {', '.join(missing)}, though declared: {_WHY_NOT_WATCHED}"
                )
    more = [f"and {len(noted) - _MOST_NOTES:,} more streams with such a note"] if len(noted) > _MOST_NOTES else []
    lines = [*noted[:_MOST_NOTES], *more, *_of_thresholds(statuses)]
    return Text("\n".join(lines)) if lines else None


def _of_thresholds(statuses: Sequence[StreamStatus]) -> list[str]:
    """A line for each fixed threshold: those with an alert first, then those of which nothing can be said."""
    limited = [(status.stream, threshold) for status in statuses for threshold in status.thresholds]
    limited.sort(key=lambda each: (not each[1].firing, _THRESHOLDS_FIRST.index(each[1].state)))
    lines = [f"{stream}: threshold {threshold.name}: {threshold.words}" for stream, threshold in limited]
    more = [f"and {len(lines) - _MOST_THRESHOLDS:,} more thresholds"] if len(lines) > _MOST_THRESHOLDS else []
    return [*lines[:_MOST_THRESHOLDS], *more]


def _ago(now: float, then: float | None) -> str:
    if then is None:
        return "-"
    seconds = max(0.0, now - then)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
