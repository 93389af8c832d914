"""`oqm version` and `oqm --version`: which version this is."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from monitor.cli.output import tables

DISTRIBUTION = "output-quality-monitor"


def installed_version() -> str:
    """Version of the installed distribution, `unknown` when run from a source tree that was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def _print_and_end(asked: bool) -> None:
    if asked:
        command()
        raise typer.Exit


def option(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_and_end, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options of `oqm` itself; `--version` prints it and ends."""


def command() -> None:
    """Print the version of the monitor and of the Python that runs it."""
    tables().print(f"{DISTRIBUTION} {installed_version()} (Python {platform.python_version()})")
