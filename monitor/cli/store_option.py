"""How a command finds the trace store: `--store` or `OQM_STORE`, else the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.settings import Settings
    from monitor.store.base import TraceStore

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FOLDER|URL",
        envvar="OQM_STORE",
        help="Where the trace store is; without it, store.location of the settings.",
        show_default=False,
    ),
]


def opened(settings: Settings, store: str | None) -> TraceStore:
    """The store, to be read. Raises `ConfigError` where nothing says where it is, `StoreError` where it cannot be."""
    from monitor.store.open import open_store

    location = store or settings.store.location
    if not location:
        raise ConfigError("no trace store: give --store, or --config with store.location")
    return open_store(location, read_only=True)
