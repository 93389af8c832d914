"""How `oqm review` finds the queue: in the ledger of the settings, or over HTTP; and who reviews."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.ledger_option import ledger_address
from monitor.cli.output import notes
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.review.desk import Reviewer
    from monitor.store.base import TraceStore

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="OQM_URL",
        help="Of a running `oqm serve`; without it the ledger is opened here.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Holds the token for --url, with the scope review; without it OQM_TOKEN is read.",
        show_default=False,
    ),
]
ByOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        envvar="OQM_REVIEWER",
        help="Who reviews; without it the user of this machine. With --url it is the token's person.",
        show_default=False,
    ),
]


@contextmanager
def desk(
    url: str | None,
    token_file: Path | None,
    by: str | None,
    ledger: str | None,
    store: str | None,
    config: Path | None,
) -> Iterator[Reviewer]:
    """The queue. Raises `ConfigError` where options contradict one another or nothing says where it is."""
    if url is not None:
        from monitor.review.http_desk import HttpDesk

        if ledger or by:
            raise ConfigError(f"{'--ledger' if ledger else '--as'}: has no meaning with --url, whose token decides")
        remote = HttpDesk(url, _token(token_file))
        try:
            yield remote
        finally:
            remote.close()
        return
    if token_file is not None:
        raise ConfigError("--token-file: is for --url")
    from monitor.ledger.open import open_ledger
    from monitor.review.desk import Desk
    from monitor.settings import load_settings

    settings = load_settings(config)
    location = store or settings.store.location
    address = ledger_address(settings, ledger or (None if settings.serve.database else store))
    open_ledger(address, read_only=True).close()  # a wrong address is said, and makes no new ledger
    queue = open_ledger(address)
    try:
        traces = _traces(location)
        try:
            yield Desk(settings, queue, traces, by or _user(), time.time)
        finally:
            if traces is not None:
                traces.close()
    finally:
        queue.close()


def _traces(location: str) -> TraceStore | None:
    """Where outputs are shown from. None, said on stderr, where it is not there: what is held is decided anyway."""
    from monitor.store.base import StoreError
    from monitor.store.open import open_store

    if not location:
        return None
    try:
        return open_store(location, read_only=True)
    except StoreError as error:
        notes().print(f"texts of outputs are not shown: {error}", markup=False)
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for its user
        raise ConfigError("--as: say who reviews; this machine has no name for the user") from None


def _token(path: Path | None) -> str:
    if path is None:
        token = os.environ.get("OQM_TOKEN", "")
        if not token:
            raise ConfigError("--url: needs a token: set OQM_TOKEN, or give --token-file FILE")
        return token
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {path}: cannot be read: {error}") from None
