"""`oqm events STREAM` and `oqm event show ID`: outputs as applications published them, read from Kafka by time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from monitor.alerting.rendering.moments import moment
from monitor.cli.connection import Connection, with_connection
from monitor.cli.moments import parse_moment
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.events.schema import OutputEvent
    from monitor.settings import Settings
    from pipelines.kafka.outputs import Output, Outputs
    from pipelines.stages.notify.alert_log import Entry

EXIT_NONE = 1
"""Nothing was found: the answer is "no"."""
_EXCERPT_CHARS = 200
"""Of an output in a table: two to three lines of a terminal. `oqm event show` has it whole."""

StreamOption = Annotated[
    str | None, typer.Option("--stream", metavar="NAME", help="Only in this stream.", show_default=False)
]


@with_connection
def command(
    connection: Connection,
    stream: Annotated[
        str | None,
        typer.Argument(metavar="[STREAM]", help="Name of the stream; with --alert the alert's.", show_default=False),
    ] = None,
    alert: Annotated[
        str | None,
        typer.Option("--alert", metavar="ID", help="Around the beginning of this alert's change.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="From this time on: 13:00 (UTC), 2h, 2026-11-30T13:00.", show_default=False
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Up to this time; with --since.", show_default=False)
    ] = None,
    around: Annotated[
        str | None, typer.Option("--around", metavar="ID", help="Around the output with this id.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most N outputs.")] = 20,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show outputs of a stream, oldest first, and end: the newest, or those around an alert, a time or an output.

    With --json each line is an event that `oqm replay` and `oqm features` read.
    """
    from monitor.settings import load_settings
    from pipelines.kafka.outputs import outputs_of

    if sum(option is not None for option in (alert, since, around)) > 1:
        raise ConfigError("give one of --alert, --since and --around")
    if until is not None and since is None:
        raise ConfigError("--until goes with --since")
    if stream is None and alert is None and around is None:
        raise ConfigError("name a STREAM, or give --alert ID or --around ID; oqm streams lists the streams")
    settings = connection.over(load_settings(config))
    now = time.time()
    span = None if since is None else _span(since, until, now)
    entry = None if alert is None else _alert(settings, alert)
    if entry is not None:
        if stream not in (None, entry.alert.stream):
            raise ConfigError(f"--alert {alert}: is an alert of {entry.alert.stream}, not of {stream}")
        stream = entry.alert.stream
    with outputs_of(settings) as outputs:
        centre = _centre(outputs, entry, around, stream, now)
        if around is not None and stream is None:
            assert centre is not None
            stream = centre[1]
        assert stream is not None
        found = _found(outputs, stream, centre, span, limit, now)
        _show(found, stream, json=json)
        if outputs.unreadable:
            notes().print(f"{outputs.unreadable:,} messages were no output events: oqm deadletter list", soft_wrap=True)
    if not found:
        raise typer.Exit(EXIT_NONE)


def _alert(settings: Settings, identity: str) -> Entry:
    import asyncio

    from monitor.cli.alert import _chosen
    from pipelines.stages.notify.alert_log import read_alerts

    return _chosen(asyncio.run(read_alerts(settings, time.time())), identity)[0]


def _centre(
    outputs: Outputs, entry: Entry | None, around: str | None, stream: str | None, now: float
) -> tuple[float, str] | None:
    """Time and stream of what the outputs are wanted around."""
    if entry is not None:
        began = entry.alert.began_at.time
        moment = began if began is not None else entry.alert.raised_at.time
        if moment is None:
            raise ConfigError(f"--alert {entry.alert.fingerprint}: its events have no times; use --since")
        return moment, entry.alert.stream
    if around is None:
        return None
    output = outputs.find(around, now, stream)
    if output is None or output.event.time is None:
        raise ConfigError(f"--around {around}: Kafka holds no output with this id")
    return output.event.time, output.event.stream


def _found(
    outputs: Outputs,
    stream: str,
    centre: tuple[float, str] | None,
    span: tuple[float, float | None] | None,
    limit: int,
    now: float,
) -> list[Output]:
    from pipelines.kafka.outputs import of_stream, plain_part

    wanted, hint = of_stream(stream), plain_part(stream)
    if centre is not None:
        return outputs.around(wanted, centre[0], limit, hint=hint)
    if span is None:
        return outputs.newest(wanted, limit, now, hint)
    return outputs.since(wanted, *span, limit, hint)


def _span(since: str, until: str | None, now: float) -> tuple[float, float | None]:
    """Both moments in seconds since 1970; wrong ones are refused before Kafka is asked for anything."""
    start = parse_moment(since, now, "--since")
    stop = None if until is None else parse_moment(until, now, "--until")
    if stop is not None and stop <= start:
        raise ConfigError(f"--until {until}: must be later than --since {since}")
    return start, stop


def _show(found: list[Output], stream: str, *, json: bool) -> None:
    from monitor.alerting.rendering.terminal_text import plain
    from monitor.events.schema import as_published

    if json:
        for output in found:
            print_json(as_published(output.event))
        return
    if not found:
        notes().print(f"no outputs of {stream} there; oqm streams lists the streams", markup=False, soft_wrap=True)
        return
    console = tables()
    for output in found:
        event = output.event
        facts = [moment(event.time, zone=False), event.id or "", *_facts(event)]
        console.print(f"[bold]{escape('  '.join(facts))}[/bold]", soft_wrap=True)
        console.print(f"  in   {_excerpt(plain(event.input or ''))}", markup=False, soft_wrap=True)
        said = event.output if event.output is not None else f"(no output) {event.error or ''}"
        console.print(f"  out  {_excerpt(plain(said))}", markup=False, soft_wrap=True)


def _facts(event: OutputEvent) -> list[str]:
    facts = [str(part) for part in (event.model.name, event.model.version, event.finish_reason) if part]
    if event.latency.total_s is not None:
        facts.append(f"{event.latency.total_s:.3g} s")
    if event.error:
        facts.append("error")
    failed = [call.dependency for call in event.calls if call.error]
    return facts + [f"{name} failed" for name in failed]


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT_CHARS else f"{text[: _EXCERPT_CHARS - 1]}…"


def group() -> typer.Typer:
    """The command group `oqm event`."""
    app = typer.Typer(help="Show one output in full.", no_args_is_help=True, rich_markup_mode="markdown")
    app.callback()(lambda: None)
    app.command("show")(show)
    return app


@with_connection
def show(
    connection: Connection,
    identity: Annotated[str, typer.Argument(metavar="ID", help="Id of the event, as alerts give it.")],
    stream: StreamOption = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show one output in full, as the application published it."""
    from monitor.events.schema import as_published
    from monitor.settings import load_settings
    from pipelines.kafka.outputs import outputs_of

    settings = connection.over(load_settings(config))
    with outputs_of(settings) as outputs:
        output = outputs.find(identity, time.time(), stream)
    if output is None:
        where = f" in {stream}" if stream else ""
        topic, kept = settings.topics.outputs.name, settings.topics.outputs.retention / 86_400
        notes().print(
            f"{topic} holds no output with the id {identity}{where}; it keeps {kept:.0f} days",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(EXIT_NONE)
    if json:
        print_json(as_published(output.event))
        return
    _show_whole(output, settings.topics.outputs.name)


def _show_whole(output: Output, topic: str) -> None:
    from monitor.alerting.rendering.terminal_text import plain
    from monitor.events.schema import as_published

    event, console = output.event, tables()
    fields = as_published(event)
    texts = {name: fields.pop(name, None) for name in ("input", "output", "error")}
    prompt = (fields.get("prompt") or {}).pop("text", None)
    width = max(len(name) for name in [*fields, "place"]) + 2
    fields["time"] = moment(event.time)
    fields["place"] = f"{topic}/{output.partition}/{output.offset}"
    for name, value in fields.items():
        if value not in (None, {}, []):
            console.print(f"{name:{width}}{_flat(value)}", markup=False, soft_wrap=True)
    for name, text in (("prompt", prompt), *texts.items()):
        if text:
            console.print(f"\n[bold]{name}[/bold]")
            for line in str(text).split("\n"):
                console.print(f"  {plain(line)}", markup=False, soft_wrap=True)


def _flat(value: Any) -> str:
    from monitor.alerting.rendering.terminal_text import plain

    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, list):
        return "; ".join(_flat(part) for part in value)
    return plain(str(value))
