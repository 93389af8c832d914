"""Checks of values that make no sense together, of patterns without effect, and of files and links."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from monitor.alerting.lifecycle.maintenance import DAYS
from monitor.config_values.plain_errors import Location
from monitor.config_values.token_function import token_function
from monitor.criteria.anchors import read_anchors
from monitor.detection.settings import DetectionSettings
from monitor.errors import ConfigError
from monitor.settings import Settings
from monitor.settings.problem import Problem

LEAST_STUCK_AFTER_S = 60.0
"""A micro-batch of 1,024 outputs may take half a minute with a transformer: a worker must not end itself during one."""


def watched(settings: Settings) -> Iterator[tuple[Location, DetectionSettings, str]]:
    """The settings of detection with their place in the file and the route: the defaults, and each override's."""
    yield ("detection",), settings.detection, settings.alerting.route
    for index in range(len(settings.streams)):
        detection, _, route = settings.merged(index)
        yield ("streams", index), detection, route


def value_problems(settings: Settings) -> Iterator[Problem]:
    """Values that are valid each and make no sense together."""
    for at, detection, _ in watched(settings):
        given = settings.detection if at == ("detection",) else settings.streams[int(at[1])]
        if {"mature", "warmup"} & given.model_fields_set and 0 < detection.mature < detection.warmup:
            what = (
                f"mature {detection.mature} is below warmup {detection.warmup}: the reference is frozen as soon as it "
                "is learned, as with mature: 0"
            )
            key = "mature" if "mature" in given.model_fields_set else "warmup"
            yield Problem((*at, key), what, error=False)
    if settings.worker.stuck_after < LEAST_STUCK_AFTER_S:
        what = f"a batch may take longer than {settings.worker.stuck_after:g} s: the worker would end itself during one"
        yield Problem(("worker", "stuck_after"), what, error=False)
    delivery = settings.delivery
    if delivery.first_retry > delivery.longest_retry:
        what = "is longer than longest_retry, which is the wait from the first failure on"
        yield Problem(("delivery", "first_retry"), what, error=False)
    if delivery.give_up_after < delivery.first_retry:
        what = "is shorter than first_retry: an alert is tried again once, and given up"
        yield Problem(("delivery", "give_up_after"), what, error=False)
    for index, window in enumerate(settings.maintenance):
        weekly = window.weekly
        if weekly is not None and set(weekly.days) == set(DAYS) and weekly.start == weekly.end:
            what = "never ends: the alerts of these streams are never sent"
            yield Problem(("maintenance", index, "weekly"), what, error=False)


def pattern_problems(settings: Settings) -> Iterator[Problem]:
    """Overrides and windows whose glob has no effect, or is a regular expression."""
    for index, override in enumerate(settings.streams):
        for later in range(index + 1, len(settings.streams)):
            other = settings.streams[later]
            if covers(other.match, override.match) and _keys(override) <= _keys(other):
                what = (
                    f"{override.match} has no effect: streams[{later}] ({other.match}) matches the same streams, sets "
                    "the same keys and, as the later one, wins"
                )
                yield Problem(("streams", index, "match"), what, error=False)
                break
        if not override.model_fields_set - {"match"}:
            yield Problem(("streams", index, "match"), f"{override.match} sets nothing", error=False)
    given = [(("streams", index), override.match) for index, override in enumerate(settings.streams)]
    given += [(("maintenance", index), window.match) for index, window in enumerate(settings.maintenance)]
    for at, pattern in given:
        if re.search(r"\.\*|^\^|\$$|\\", pattern):
            what = f"{pattern} looks like a regular expression and is read as a glob: * is any text, ? one character"
            yield Problem((*at, "match"), what, error=False)


def covers(wide: str, narrow: str) -> bool:
    """Whether the glob `wide` surely matches every name that `narrow` does; False where that is not sure."""
    if "?" in wide or "[" in wide:
        return wide == narrow
    return fnmatchcase(narrow, wide)


def _keys(override: DetectionSettings, before: str = "") -> set[str]:
    """The keys that an override sets, those of a section one by one."""
    found: set[str] = set()
    for name in override.model_fields_set - {"match"}:
        value = getattr(override, name)
        inner = getattr(value, "model_fields_set", None)
        found |= {f"{name}.{key}" for key in inner} if inner is not None else {name}
    return found


def file_problems(settings: Settings) -> Iterator[Problem]:
    """Files that cannot be read, and a token provider that cannot be imported."""
    ssl = settings.broker.ssl
    given: list[tuple[Location, str | None]] = [
        (("broker", "ssl", name), getattr(ssl, name)) for name in ("ca_file", "cert_file", "key_file")
    ]
    for index, sink in enumerate(settings.sinks):
        given.append((("sinks", index, "ca_file"), getattr(sink, "ca_file", None)))
    yield from _anchors(settings)
    for at, path in given:
        if path is None:
            continue
        if not Path(path).is_file():
            yield Problem(at, f"{path}: no such file")
        elif not os.access(path, os.R_OK):
            yield Problem(at, f"{path} cannot be read by this user")
    if settings.broker.sasl.token_provider is not None:
        try:
            token_function(settings.broker.sasl.token_provider)
        except ConfigError as error:
            yield Problem(("broker", "sasl", "token_provider"), str(error).partition(": ")[2])


def _anchors(settings: Settings) -> Iterator[Problem]:
    """Files of anchors that a worker could not read."""
    for index, override in enumerate(settings.streams):
        for place, criterion in enumerate(override.criteria):
            if criterion.anchors is None:
                continue
            try:
                anchors = read_anchors(criterion.anchors)
            except ConfigError as error:
                yield Problem(("streams", index, "criteria", place, "anchors"), str(error))
                continue
            labels = {anchor.passed for anchor in anchors.values()}
            if len(labels) == 2:
                continue
            what = "holds no anchor"
            if labels:
                what = (
                    f"holds only anchors that {'pass' if True in labels else 'fail'}; half of them should be failures"
                )
            at = ("streams", index, "criteria", place, "anchors")
            yield Problem(at, f"{criterion.anchors} {what}", error=False)


def link_problems(settings: Settings) -> Iterator[Problem]:
    """Links that no browser opens."""
    for name, template in settings.links:
        if template and not template.startswith(("http://", "https://")):
            yield Problem(("links", name), "does not begin with http:// or https://: it is no link", error=False)
