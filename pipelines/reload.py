"""Which changes of the settings a running worker takes over, and which need a restart.

Called by the worker when it has read its settings again (SIGHUP). Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from monitor.settings import Settings

AT_RESTART = ("broker", "topics", "features", "worker", "metrics")
"""Sections that open connections, own topics, or define what a row of the log holds."""
ALERTING_AT_RESTART = ("group_window", "flapping")
"""The state of incidents and of flapping is built with these from the whole log of alerts."""


class Change(NamedTuple):
    """What is different: the settings to go on with, the keys that change now, and those that need a restart."""

    settings: Settings
    now: list[str]
    at_restart: list[str]


def compare(old: Settings, new: Settings) -> Change:
    """What of `new` a worker that runs with `old` takes over. What needs a restart stays as in `old`."""
    at_restart = [name for name in AT_RESTART if getattr(new, name) != getattr(old, name)]
    kept = {name: getattr(old, name) for name in at_restart}
    alerting = {name: getattr(old.alerting, name) for name in ALERTING_AT_RESTART}
    at_restart += [f"alerting.{n}" for n in ALERTING_AT_RESTART if getattr(new.alerting, n) != alerting[n]]
    merged = new.model_copy(update={**kept, "alerting": new.alerting.model_copy(update=alerting)})
    now = [name for name in type(new).model_fields if getattr(merged, name) != getattr(old, name)]
    return Change(merged, now, at_restart)
