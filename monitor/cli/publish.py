"""`oqm publish FILE`: the events of a file, as if an application had published them."""

from __future__ import annotations


def command() -> None:
    """Publish."""
    raise NotImplementedError
