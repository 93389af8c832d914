"""How a command finds the ledger: `--ledger` or `OQM_LEDGER`, else the settings, else beside the trace store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.ledger.base import Ledger
    from monitor.settings import Settings

LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="FOLDER|URL",
        envvar="OQM_LEDGER",
        help="Where the ledger is; without it, serve.database of the settings, else where the trace store is.",
        show_default=False,
    ),
]


def location_of(settings: Settings, ledger: str | None, store: str | None) -> str:
    """The ledger's address. Raises `ConfigError` where nothing says where it is."""
    location = ledger or settings.serve.database or store or settings.store.location
    if not location:
        raise ConfigError("no ledger: give --ledger or --store, or --config with serve.database or store.location")
    return location


def found_ledger(settings: Settings, ledger: str | None, store: str | None) -> Ledger | None:
    """The ledger, to be read; None where there is none and none was named. Raises `LedgerError`."""
    from monitor.ledger.base import NoLedger
    from monitor.ledger.open import open_ledger

    try:
        return open_ledger(location_of(settings, ledger, store), read_only=True)
    except NoLedger:
        if ledger or settings.serve.database:
            raise
        return None
