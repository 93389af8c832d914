"""`oqm alert`: what fires, who acknowledged it, what people do about it; and a sample to try a sink with.

Each action is a record in `oqm.alerts`, so it works from any machine and everybody sees it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from monitor.alerting.rendering.moments import moment
from monitor.cli.connection import Connection, with_connection
from monitor.cli.fitted_table import FittedTable
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables
from monitor.cli.reference import By, user_name
from monitor.errors import ConfigError
from monitor.sinks.log.terminal_block import AlertBlock, style_of

if TYPE_CHECKING:
    from monitor.alerting.lifecycle.annotation import AnnotationAction
    from monitor.detection.records.finding import State
    from monitor.settings import Settings
    from monitor.sinks.base import Sink
    from pipelines.stages.notify.alert_log import Entry

Id = Annotated[
    str, typer.Argument(help="The alert's id, its first characters, or an incident's id for all of its alerts.")
]

_MIN_PREFIX_CHARS = 4
"""Shorter beginnings of an id match alerts by chance."""
_MAX_SNOOZE_S = 30 * 86_400.0
"""Nobody remembers a longer one; an alert that nobody wants for a month is a false alarm."""


def group() -> typer.Typer:
    """The command group."""
    app = typer.Typer(
        help="List alerts, acknowledge, snooze, or mark them false.", no_args_is_help=True, rich_markup_mode=None
    )
    app.command("list")(list_alerts)
    app.command("show")(show)
    app.command("ack")(ack)
    app.command("snooze")(snooze)
    app.command("false-alarm")(false_alarm)
    app.command("test")(send_sample)
    return app


@with_connection
def list_alerts(
    connection: Connection,
    everything: Annotated[bool, typer.Option("--all", help="Include alerts that are over.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the alerts that fire, the latest last, with who acknowledged them and why one is not sent."""
    entries = [entry for entry in _read(_settings(connection, config)) if everything or entry.fires]
    if json:
        for entry in entries:
            print_json(as_record(entry))
        return
    tables().print(_table(entries, "alerts" if everything else "alerts fire", time.time()))


@with_connection
def show(connection: Connection, identity: Id, json: AsJson = False, config: ConfigFile = None) -> None:
    """Show an alert as it was sent, and what people did about it."""
    console = tables()
    for entry in _chosen(_read(_settings(connection, config)), identity):
        if json:
            print_json(as_record(entry) | {"alert": entry.alert})
            continue
        console.print(AlertBlock(entry.alert), soft_wrap=True)
        for line in _said(entry, time.time()):
            console.print(line, markup=False, soft_wrap=True)


@with_connection
def ack(connection: Connection, identity: Id, by: By = None, config: ConfigFile = None) -> None:
    """Acknowledge an alert: receivers that call people stop, and no message follows at the end of a snooze."""
    from monitor.alerting.lifecycle.annotation import AnnotationAction

    _say(_settings(connection, config), identity, AnnotationAction.ACK, by, None, "acknowledged")


@with_connection
def snooze(
    connection: Connection,
    identity: Id,
    duration: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="Such as 30m, 2h or 1d; 0s ends a snooze.")
    ],
    by: By = None,
    config: ConfigFile = None,
) -> None:
    """Snooze an alert: its cause is not sent again until then; if it still fires then, it is sent again."""
    from monitor.alerting.lifecycle.annotation import AnnotationAction
    from monitor.config_values.durations import parse_duration

    try:
        seconds = parse_duration(duration)
    except ValueError as error:
        raise ConfigError(f"--for {duration}: {error}") from None
    if seconds > _MAX_SNOOZE_S:
        raise ConfigError(f"--for {duration}: must be at most 30d; an alert that nobody wants to get is a false alarm")
    until = time.time() + seconds
    what = f"snoozed until {moment(until)}" if seconds else "no longer snoozed"
    _say(_settings(connection, config), identity, AnnotationAction.SNOOZE, by, until, what)


@with_connection
def false_alarm(connection: Connection, identity: Id, by: By = None, config: ConfigFile = None) -> None:
    """Mark an alert as false: receivers get its end, and it counts against the stream's alert budget."""
    from monitor.alerting.lifecycle.annotation import AnnotationAction

    _say(_settings(connection, config), identity, AnnotationAction.FALSE_ALARM, by, None, "marked false")


def send_sample(
    sink: Annotated[
        str, typer.Option("--sink", metavar="NAME", help="Name of a sink in the settings.", show_default=False)
    ],
    keep_firing: Annotated[
        bool, typer.Option("--keep-firing", help="Do not send the resolution, which otherwise follows at once.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Send a sample alert to one sink, and its resolution.

    The sample is marked as a test, in the stream oqm-test, and each run has a new id. No Kafka is needed.
    """
    from monitor.detection.records.finding import State
    from monitor.settings import load_settings

    settings = load_settings(config)
    states = [State.FIRING] if keep_firing else [State.FIRING, State.RESOLVED]
    chosen = _sink(settings, sink)
    identity = asyncio.run(_send_samples(settings, chosen, states, time.time()))
    sent = "firing" if keep_firing else "firing and resolved"
    notes().print(f"delivered to {sink}: {sent}, alert {identity}", markup=False, soft_wrap=True)


def as_record(entry: Entry) -> dict[str, Any]:
    """An alert as `oqm alert list --json` prints it; times in seconds since 1970."""
    alert, said = entry.alert, entry.said
    return {
        "id": alert.fingerprint,
        "incident": alert.incident,
        "state": alert.state.value,
        "severity": alert.severity.value,
        "stream": alert.stream,
        "kind": alert.kind.value,
        "title": alert.title,
        "began_at": alert.began_at.time,
        "raised_at": alert.raised_at.time,
        "owner": alert.owner,
        "acked_by": said.acked_by,
        "snoozed_until": said.snoozed_until,
        "false_by": said.false_by,
        "held_back": entry.held.value if entry.held is not None else None,
        "flapping": entry.flapping,
        "sent_to": {sink: outcome.value for sink, outcome in sorted(entry.sent_to.items())},
        "unsent": entry.unsent,
        "revision": alert.revision,
        "measured_events": alert.measured_events,
    }


def _settings(connection: Connection, config: ConfigFile) -> Settings:
    from monitor.settings import load_settings

    return connection.over(load_settings(config))


def _read(settings: Settings) -> list[Entry]:
    from pipelines.stages.notify.alert_log import read_alerts

    return asyncio.run(read_alerts(settings, time.time()))


def _chosen(entries: Sequence[Entry], identity: str) -> list[Entry]:
    """Those of an incident, or the one alert whose id begins so."""
    exact = [entry for entry in entries if identity in (entry.alert.fingerprint, entry.alert.incident)]
    if exact:
        return exact
    if len(identity) < _MIN_PREFIX_CHARS:
        raise ConfigError(f"{identity}: give at least {_MIN_PREFIX_CHARS} characters of an alert's id")
    begun = [entry for entry in entries if entry.alert.fingerprint.startswith(identity)]
    if not begun:
        raise ConfigError(f"{identity}: no such alert or incident; oqm alert list --all shows those there are")
    if len(begun) > 1:
        raise ConfigError(f"{identity}: {len(begun)} alerts begin so: {', '.join(e.alert.fingerprint for e in begun)}")
    return begun


def _say(
    settings: Settings, identity: str, action: AnnotationAction, by: str | None, until: float | None, what: str
) -> None:
    from monitor.alerting.lifecycle.annotation import Annotation, AnnotationAction
    from pipelines.stages.notify.alert_log import annotate

    chosen = _chosen(_read(settings), identity)
    if action is not AnnotationAction.FALSE_ALARM:
        over = [entry for entry in chosen if not entry.fires]
        chosen = [entry for entry in chosen if entry.fires]
        if not chosen:
            raise ConfigError(f"{identity}: {over[0].alert.state.value}, so it cannot be acknowledged or snoozed")
    who, now = by or user_name(), time.time()
    said = [
        (entry.partition, Annotation(fingerprint=entry.alert.fingerprint, action=action, time=now, by=who, until=until))
        for entry in chosen
    ]
    asyncio.run(annotate(settings, said))
    for entry in chosen:
        line = f"{entry.alert.fingerprint} {what} by {who}: {entry.alert.stream}: {entry.alert.title}"
        notes().print(line, markup=False, soft_wrap=True)


def _table(entries: Sequence[Entry], what: str, now: float) -> FittedTable:
    title = f"{len(entries):,} {what} at {datetime.fromtimestamp(now, UTC):%H:%M:%S} UTC"
    table = FittedTable("id", "state", "stream", "what", "since", "notes", prose=("what", "notes"), title=title)
    for entry in entries:
        alert = entry.alert
        table.add_row(
            alert.fingerprint,
            Text(
                alert.severity.value if entry.fires else alert.state.value, style=style_of(alert.state, alert.severity)
            ),
            alert.stream,
            alert.title,
            moment(alert.began_at.time),
            "; ".join(_notes(entry, now)),
        )
    return table


def _notes(entry: Entry, now: float) -> list[str]:
    from monitor.alerting.rendering.alert_facts import (  # bring events and findings: not for `oqm --help`
        judged,
        refined,
    )

    said, found = entry.said, []
    if entry.fires and (again := refined(entry.alert)):
        found.append(again)
    if entry.fires and (harm := judged(entry.alert)):
        found.append(harm)
    if said.false_by is not None:
        found.append(f"marked false by {said.false_by}")
    if said.acked_by is not None:
        found.append(f"acknowledged by {said.acked_by}")
    if said.snoozed_until is not None and said.snoozed_until > now:
        found.append(f"snoozed until {moment(said.snoozed_until)} by {said.snoozed_by}")
    if entry.flapping:
        found.append("flapping")
    if entry.held is not None:
        found.append(f"not sent: {entry.held.value}")
    if entry.unsent is not None:
        found.append(entry.unsent)
    failed = [sink for sink, outcome in sorted(entry.sent_to.items()) if outcome.value == "failed"]
    if failed:
        found.append(f"failed at {', '.join(failed)}")
    return found


def _said(entry: Entry, now: float) -> list[str]:
    return [f"* {note}" for note in _notes(entry, now)]


def _sink(settings: Settings, name: str) -> Sink:
    from monitor.sinks.registry import build_sinks

    configs = [config for config in settings.sinks if config.name == name]
    if not configs:
        known = ", ".join(config.name for config in settings.sinks)
        raise ConfigError(f"--sink {name}: no such sink in the settings, there are: {known}")
    return build_sinks(configs)[0]


async def _send_samples(settings: Settings, sink: Sink, states: list[State], now: float) -> str:
    from monitor.alerting.rendering.samples import drill_alert

    alerts = [drill_alert(state, time=now, links=settings.links) for state in states]
    try:
        for alert in alerts:
            await sink.send(alert)
    finally:
        await sink.close()
    return alerts[0].fingerprint
