"""Which changes of the settings a running worker takes over, and which need a restart.

Called by the worker on SIGHUP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from monitor.errors import ConfigError
from monitor.settings import Settings

log = logging.getLogger(__name__)

Reread: TypeAlias = Callable[[], tuple[Settings, list[str]]]
"""Reads the settings again: them, and their warnings. Raises `ConfigError`."""

AT_RESTART = ("broker", "topics", "features", "worker", "store", "serve", "evaluators", "judging", "metrics")
"""Sections that open connections, own topics, or define what a row of the log holds."""
ALERTING_AT_RESTART = ("group_window", "flapping")
"""The state of incidents and of flapping is built with these from the whole log of alerts."""


class SettingsChange(NamedTuple):
    """What is different: the settings to go on with, the keys that change now, and those that need a restart."""

    settings: Settings
    now: list[str]
    at_restart: list[str]


def compare(old: Settings, new: Settings) -> SettingsChange:
    """What of `new` a worker that runs with `old` takes over. What needs a restart stays as in `old`. Pure."""
    at_restart = [name for name in AT_RESTART if getattr(new, name) != getattr(old, name)]
    kept = {name: getattr(old, name) for name in at_restart}
    alerting = {name: getattr(old.alerting, name) for name in ALERTING_AT_RESTART}
    at_restart += [f"alerting.{n}" for n in ALERTING_AT_RESTART if getattr(new.alerting, n) != alerting[n]]
    if new.criteria != old.criteria:
        at_restart.append("streams[].criteria")
    if _attributes(new) != _attributes(old):
        at_restart.append("attributes")
    merged = new.model_copy(update={**kept, "alerting": new.alerting.model_copy(update=alerting)})
    now = [name for name in type(new).model_fields if getattr(merged, name) != getattr(old, name)]
    return SettingsChange(merged, now, at_restart)


def _attributes(settings: Settings) -> list[object]:
    """What is declared of attributes, for all streams and by pattern: featurize reads it at its start."""
    return [settings.detection.attributes, *((one.match, one.attributes) for one in settings.streams if one.attributes)]


async def reread_settings(reread: Reread | None, settings: Settings) -> SettingsChange | None:
    """Read the settings again, log what changes and what does not; None where nothing changes now."""
    if reread is None:
        log.warning("SIGHUP: there is no settings file to read again")
        return None
    try:
        found, warnings = await asyncio.to_thread(reread)
    except ConfigError as error:
        for line in str(error).splitlines():
            log.error("settings kept as they are: %s", line)
        return None
    for line in warnings:
        log.warning("%s", line)
    change = compare(settings, found)
    for key in change.at_restart:
        log.warning("settings: %s has changed and takes effect when the worker is started again", key)
    if not change.now:
        log.info("settings read again: %s", "no change that a running worker takes over")
        return None
    return change
