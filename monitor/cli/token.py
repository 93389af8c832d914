"""`oqm token`: who may ask the HTTP service for what."""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.alerting.rendering.moments import moment
from monitor.cli.ledger_option import LedgerOption, ledger_address
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables
from monitor.errors import ConfigError
from monitor.serve.scopes import MEANINGS, Scope

if TYPE_CHECKING:
    from monitor.actions.states import Token
    from monitor.ledger.base import Ledger

EXIT_NONE = 1
"""There is no such token."""
EVERY_APP = "*"
_ACTING = frozenset({Scope.GATE, Scope.ACT})
"""Scopes of programs that act."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the token, as the audit log shows it.")]


def group() -> typer.Typer:
    """The command group."""
    app = typer.Typer(
        help="Tokens of the HTTP service (`oqm serve`): each has a name and the scopes that it needs, and no more.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    app.command("create")(create)
    app.command("list")(list_)
    app.command("revoke")(revoke)
    return app


def create(
    name: Name,
    scope: Annotated[
        list[Scope],
        typer.Option(
            "--scope",
            help="What it may do; repeatable. " + " ".join(f"{one}: {what}." for one, what in MEANINGS.items()),
        ),
    ],
    app: Annotated[
        str,
        typer.Option("--app", metavar="APP", help="Whose actions it is for; '*': those of every app (people only)."),
    ] = "default",
    person: Annotated[
        str | None,
        typer.Option("--person", metavar="NAME", help="The person who uses it; needed to approve.", show_default=False),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="SPAN|never", help="How long it is valid: 12h, 90d, never.")
    ] = "90d",
    ledger: LedgerOption = None,
    config: ConfigFile = None,
) -> None:
    """Make a token, and print its secret, which is shown this once and stored as a hash."""
    scopes = list(dict.fromkeys(scope))
    _refuse_powerful(scopes, app, person)
    now = time.time()
    with _Opened(ledger, config) as found:
        secret = found.token_create(
            name,
            [one.value for one in scopes],
            now,
            app=app,
            person=person or "",
            expires_at=_end(expires, now),
            by=_operator(),
        )
    typer.echo(secret)
    notes().print(
        f"token {name} for {', '.join(scopes)}; keep the secret, it is not shown again", markup=False, soft_wrap=True
    )


def _refuse_powerful(scopes: list[Scope], app: str, person: str | None) -> None:
    """Who acts does not approve: an agent that gets hold of a token must not be able to do both."""
    acting = [one for one in scopes if one in _ACTING]
    if Scope.APPROVE in scopes and acting:
        raise ConfigError(f"--scope approve goes with no --scope {acting[0]}: make two tokens, one for the person")
    if Scope.APPROVE in scopes and not (person or "").strip():
        raise ConfigError("--scope approve needs --person NAME: an approval is a person's")
    if app == EVERY_APP and acting:
        raise ConfigError(f"--scope {acting[0]} needs --app APP: what acts, acts for one app")


def _end(span: str, now: float) -> float | None:
    from monitor.config_values.durations import parse_duration

    if span == "never":
        return None
    try:
        seconds = parse_duration(span)
    except ValueError as error:
        raise ConfigError(f"--expires {span}: {error}, or never") from None
    if seconds <= 0:
        raise ConfigError(f"--expires {span}: must be above 0")
    return now + seconds


def list_(
    json: AsJson = False,
    ledger: LedgerOption = None,
    config: ConfigFile = None,
) -> None:
    """List the tokens, revoked and expired ones too; secrets are not stored and cannot be shown."""
    with _Opened(ledger, config, read_only=True) as found:
        tokens = sorted(found.token_list(), key=lambda token: token.name)
    now = time.time()
    if json:
        for token in tokens:
            print_json({**_fields(token), "valid": _standing(token, now) == "valid"})
    elif tokens:
        _print_table(tokens, now)
    else:
        notes().print("there are no tokens: oqm token create NAME --scope read", markup=False, soft_wrap=True)


def revoke(name: Name, ledger: LedgerOption = None, config: ConfigFile = None) -> None:
    """End a token at once. Exit code 1: there is none with this name."""
    with _Opened(ledger, config) as found:
        done = found.token_revoke(name, time.time(), by=_operator())
    notes().print(
        f"token {name} is revoked" if done else f"there is no token {name}: oqm token list",
        markup=False,
        soft_wrap=True,
    )
    if not done:
        raise typer.Exit(EXIT_NONE)


class _Opened:
    """The ledger that the options name, closed at the end."""

    def __init__(self, ledger: str | None, config: ConfigFile, *, read_only: bool = False) -> None:
        from monitor.ledger.open import open_ledger
        from monitor.settings import load_settings

        self._ledger = open_ledger(ledger_address(load_settings(config), ledger), read_only=read_only)

    def __enter__(self) -> Ledger:
        return self._ledger

    def __exit__(self, *_: object) -> None:
        self._ledger.close()


def _operator() -> str:
    """Who runs the command, for the audit log."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return "operator"


def _standing(token: Token, now: float) -> str:
    if token.revoked_at is not None:
        return f"revoked {moment(token.revoked_at)}"
    if token.expires_at is not None and token.expires_at <= now:
        return f"expired {moment(token.expires_at)}"
    return "valid"


def _fields(token: Token) -> dict[str, object]:
    import msgspec

    fields: dict[str, object] = msgspec.to_builtins(token)
    return fields


def _print_table(tokens: list[Token], now: float) -> None:
    from monitor.alerting.rendering.terminal_text import plain
    from monitor.cli.fitted_table import FittedTable

    table = FittedTable(
        "name", "scopes", "app", "person", "valid until (UTC)", "standing", prose=("scopes", "standing")
    )
    for token in tokens:
        until = "for good" if token.expires_at is None else moment(token.expires_at)
        table.add_row(
            plain(token.name), ", ".join(token.scopes), plain(token.app), plain(token.person), until,
            _standing(token, now),
        )  # fmt: skip
    tables().print(table)
