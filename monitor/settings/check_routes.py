"""Checks of routes and sinks: that each alert reaches somebody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from monitor.config_values.plain_errors import Location, did_you_mean
from monitor.detection.records.finding import Severity
from monitor.settings import Settings
from monitor.settings.check_values import covers, watched
from monitor.settings.problem import Problem
from monitor.sinks.config import SinkConfig

_SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


def route_problems(settings: Settings) -> Iterator[Problem]:
    """Routes that no sink takes, sinks that get nothing, severities that reach nobody."""
    if not settings.sinks:
        yield Problem(("sinks",), "is empty: alerts are sent to nobody, and only `oqm alert list` shows them", False)
        return
    used = _used_routes(settings)
    patterns = sorted({pattern for sink in settings.sinks for pattern in sink.routes})
    for route, at in used.items():
        takers = [sink for sink in settings.sinks if any(fnmatchcase(route, pattern) for pattern in sink.routes)]
        if not takers:
            guess = did_you_mean(route, patterns, otherwise="which take")
            yield Problem(at, f"route {route} reaches nobody: no sink takes it{guess}")
            continue
        least = min((sink.min_severity for sink in takers), key=_SEVERITIES.index)
        if least is Severity.CRITICAL:
            what = f"no sink of route {route} takes less than critical: its alerts of severity warning reach nobody"
            yield Problem(_least_severity_at(settings, takers), what, error=False)
    for at, detection, route in watched(settings):
        takers = [sink for sink in settings.sinks if any(fnmatchcase(route, pattern) for pattern in sink.routes)]
        if takers and not detection.alert_on and all(sink.min_severity is not Severity.INFO for sink in takers):
            what = f"nothing that is found there pages, and no sink of route {route} takes severity info: nobody hears"
            yield Problem((*at, "alert_on"), what, error=False)
    for index, sink in enumerate(settings.sinks):
        for pattern in sink.routes:
            if not any(fnmatchcase(route, pattern) for route in used):
                what = f"no stream has a route {pattern}{did_you_mean(pattern, sorted(used), otherwise='which have')}"
                yield Problem(("sinks", index, "routes"), what, error=False)


def _used_routes(settings: Settings) -> dict[str, Location]:
    """Each route that a stream may have, with the first place that names it."""
    chosen = [(index, override) for index, override in enumerate(settings.streams) if override.route is not None]
    found: dict[str, Location] = {}
    if not any(covers(override.match, "*") for _, override in chosen):
        found[settings.alerting.route] = ("alerting", "route")
    for position, (index, override) in enumerate(chosen):
        wins = not any(covers(later.match, override.match) for _, later in chosen[position + 1 :])
        if wins and override.route is not None:
            found.setdefault(override.route, ("streams", index, "route"))
    return found


def _least_severity_at(settings: Settings, takers: Sequence[SinkConfig]) -> Location:
    return "sinks", [sink.name for sink in settings.sinks].index(takers[0].name), "min_severity"
