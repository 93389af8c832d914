"""`oqm deadletter`: messages that could not be used, why, and sending them back once the cause is mended."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from monitor.alerting.rendering.moments import moment
from monitor.cli.connection import Connection, with_connection
from monitor.cli.fitted_table import FittedTable
from monitor.cli.moments import parse_moment
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.settings import Settings
    from pipelines.kafka.dead_letter_log import Letter

EXIT_NONE = 1
"""There are no dead letters: a script can ask."""
_PLACE = re.compile(r"(\d{1,9})/(\d{1,18})")
_BEGINNING_BYTES = 80
"""Of a message in the list; `show` has it whole."""

Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only those written since this time: 13:00 (UTC), 2h, 2026-11-30.",
        show_default=False,
    ),
]
Reason = Annotated[
    str | None,
    typer.Option("--reason", metavar="CODE", help="Only those with this reason, such as not_json.", show_default=False),
]


def group() -> typer.Typer:
    """The command group."""
    app = typer.Typer(
        help="Messages that could not be used: list them, and send them back after the cause is fixed.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    app.command("list")(list_letters)
    app.command("show")(show)
    app.command("requeue")(requeue)
    return app


def _settings(connection: Connection, config: ConfigFile) -> Settings:
    from monitor.settings import load_settings

    return connection.over(load_settings(config))


def _moment(since: str | None) -> float | None:
    return None if since is None else parse_moment(since, time.time(), "--since")


@with_connection
def list_letters(
    connection: Connection,
    since: Since = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Only the newest N.")] = 20,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List dead letters, oldest first, and how many there are by reason. Exit code 1 where there are none."""
    from pipelines.kafka.dead_letter_log import read_letters

    settings = _settings(connection, config)
    listing = read_letters(settings, _moment(since), reason, limit)
    if json:
        for letter in listing.letters:
            print_json(as_record(letter))
    else:
        name = settings.topics.deadletter.name
        if listing.letters:
            tables().print(_table(listing.letters))
        counted = ", ".join(f"{code} {count:,}" for code, count in listing.by_reason.most_common())
        line = (
            f"{listing.by_reason.total():,} dead letters in {name}: {counted}"
            if counted
            else f"no dead letters in {name}"
        )
        if reason is not None and not listing.letters and counted:
            line += f"; none of the reason {reason}"
        notes().print(line, markup=False, soft_wrap=True)
    if not listing.letters:
        raise typer.Exit(EXIT_NONE)


def _table(letters: list[Letter]) -> FittedTable:
    why = "why, and what the message begins with"
    table = FittedTable("place", "written (UTC)", "reason", why, prose=(why,))
    for letter in letters:
        text = Text(letter.detail)
        text.append(f"\n{beginning(letter.value)}", style="dim")
        table.add_row(letter.place, moment(letter.time, zone=False), letter.reason, text)
    return table


def beginning(value: bytes | None) -> str:
    """The first bytes of a message on one line: text, or hexadecimal where it is none."""
    from monitor.alerting.rendering.terminal_text import plain

    if not value:
        return "(empty)"
    part = value[:_BEGINNING_BYTES]
    more = "…" if len(value) > _BEGINNING_BYTES else ""
    try:
        # A character that the cut splits is no sign of binary data.
        return plain(part.decode("utf-8", "strict" if len(part) == len(value) else "ignore")) + more
    except UnicodeDecodeError:
        return f"{len(value):,} bytes that are no UTF-8: {part[:32].hex(' ')}{more}"


def as_record(letter: Letter) -> dict[str, Any]:
    """A letter as `--json` prints it; `value` is text, or `value_base64` where the bytes are no UTF-8."""
    import base64

    record: dict[str, Any] = {
        "place": letter.place,
        "time": letter.time,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.source_partition,
        "offset": letter.source_offset,
        "requeued": letter.requeued,
        "cut": letter.cut,
        "headers": {name: value.decode("utf-8", "replace") for name, value in letter.headers},
    }
    try:
        record["value"] = None if letter.value is None else letter.value.decode()
    except UnicodeDecodeError:
        record["value_base64"] = base64.b64encode(letter.value or b"").decode()
    return record


Places = Annotated[
    list[str] | None,
    typer.Argument(metavar="PLACE...", help="As `oqm deadletter list` gives them: 0/17.", show_default=False),
]


@with_connection
def show(
    connection: Connection,
    place: Annotated[str, typer.Argument(metavar="PLACE", help="As `oqm deadletter list` gives it: 0/17.")],
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show one dead letter in full: why, where it came from, its headers and its bytes."""
    letter = _at(_settings(connection, config), [place])[0]
    if json:
        print_json(as_record(letter))
        return
    from monitor.alerting.rendering.terminal_text import plain

    console = tables()
    facts = {
        "reason": letter.reason,
        "why": letter.detail,
        "written": moment(letter.time),
        "from": f"{letter.topic}/{letter.source_partition}/{letter.source_offset}",
        "key": plain((letter.key or b"").decode("utf-8", "replace")),
        "sent back": f"{letter.requeued} times" if letter.requeued else "never",
        **{f"header {name}": plain(value.decode("utf-8", "replace")) for name, value in letter.headers},
    }
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        if value:
            console.print(f"{name:{width}}{value}", markup=False, soft_wrap=True)
    console.print()
    try:
        for line in (letter.value or b"").decode().split("\n"):
            console.print(plain(line), markup=False, soft_wrap=True)
    except UnicodeDecodeError:
        data = letter.value or b""
        for start in range(0, min(len(data), 512), 16):
            console.print(f"{start:06x}  {data[start : start + 16].hex(' ')}", markup=False)
        console.print(f"({len(data):,} bytes; --json has them all as base64)", markup=False)


@with_connection
def requeue(
    connection: Connection,
    places: Places = None,
    reason: Reason = None,
    since: Since = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending back.")] = False,
    config: ConfigFile = None,
) -> None:
    """Send the original messages back to the topic they came from: chosen ones, or all of a --reason.

    Fix the cause first, or they come back. An event that was applied after all counts as a duplicate.
    """
    from pipelines.kafka.dead_letter_log import originals, read_letters, send_back

    if not places and reason is None:
        raise ConfigError("name the letters (oqm deadletter list), or all of one kind with --reason CODE")
    settings = _settings(connection, config)
    letters = _at(settings, places) if places else read_letters(settings, _moment(since), reason, None).letters
    ready = [letter for letter in letters if (why := _hindrance(letter, settings)) is None or _skip(letter, why)]
    if not ready:
        notes().print("nothing to send back", soft_wrap=True)
        raise typer.Exit(EXIT_NONE)
    topic = settings.topics.outputs.name
    ready, lost = originals(settings, ready)
    if not ready:
        raise ConfigError(f"{lost:,} events cannot be sent back: {topic} no longer holds them")
    if not yes:
        typer.confirm(f"Send {len(ready):,} messages back to {topic}?", abort=True, err=True)
    asyncio.run(send_back(settings, ready))
    notes().print(f"{len(ready):,} messages sent back to {topic}", markup=False, soft_wrap=True)
    if lost:
        raise ConfigError(f"{lost:,} events could not be sent back: {topic} no longer holds them")


def _hindrance(letter: Letter, settings: Settings) -> str | None:
    """Why a letter cannot be sent back; None where it can."""
    if letter.cut:
        return "only its beginning was kept, as the message was too large"
    if letter.value is None:
        return "the message had no value"
    if letter.events:
        return None
    if letter.topic != settings.topics.outputs.name:
        origin, outputs = letter.topic or "an unknown topic", settings.topics.outputs.name
        return f"it came from {origin}; only what came from {outputs} goes back"
    return None


def _skip(letter: Letter, why: str) -> bool:
    notes().print(f"{letter.place} left where it is: {why}", style="yellow", markup=False, soft_wrap=True)
    return False


def _at(settings: Settings, places: list[str]) -> list[Letter]:
    from pipelines.kafka.dead_letter_log import read_letters_at

    wanted = []
    for place in places:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise ConfigError(f"{place}: must be a place such as 0/17, as oqm deadletter list gives it")
        wanted.append((int(match[1]), int(match[2])))
    letters = read_letters_at(settings, wanted)
    for place, letter in zip(places, letters, strict=True):
        if letter is None:
            raise ConfigError(f"{place}: no such dead letter in {settings.topics.deadletter.name}")
    return [letter for letter in letters if letter is not None]
