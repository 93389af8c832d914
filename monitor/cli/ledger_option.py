"""How a command finds the ledger of actions: `--ledger` or `OQM_LEDGER`, else the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.settings import Settings

LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="FOLDER|URL",
        envvar="OQM_LEDGER",
        help="Where the ledger is; without it serve.database of the settings, else store.location.",
        show_default=False,
    ),
]


def ledger_address(settings: Settings, ledger: str | None) -> str:
    """The ledger's address. Raises `ConfigError` where nothing says where it is."""
    address = ledger or settings.serve.database or settings.store.location
    if not address:
        raise ConfigError("no ledger: give --ledger FOLDER, or --config with serve.database")
    return address
