"""`oqm version`: which version this is."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from monitor.cli.output import tables

DISTRIBUTION = "output-quality-monitor"


def installed_version() -> str:
    """Version of the installed distribution, `unknown` when run from a source tree that was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def command() -> None:
    """Print the version of the monitor and of the Python that runs it."""
    tables().print(f"{DISTRIBUTION} {installed_version()} (Python {platform.python_version()})")
