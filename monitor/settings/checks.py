"""Settings that are well formed and cannot do what they say: routes that reach nobody, globs that match nothing.

`load_settings` refuses what is no valid setting. What is checked here needs more than one value: the sinks, the names
of features, files and packages of this machine. `oqm check-config` and the start of a worker call it; commands that
only read do not, so that they work on a machine that lacks the worker's files.
May import `monitor.settings` and below.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from monitor.alerting.lifecycle.maintenance import DAYS
from monitor.config_values.plain_errors import Location, did_you_mean, dotted
from monitor.config_values.token_function import token_function
from monitor.detection.records.finding import Severity
from monitor.detection.settings import DetectionSettings
from monitor.errors import ConfigError
from monitor.settings import Settings, load_settings, read_settings_text
from monitor.settings.yaml_loader import durations_without_unit, lines_of
from monitor.sinks.config import SinkConfig

DYNAMIC = ("call.dependency.", "output.check.")
"""Beginnings of features whose names depend on the traffic or the criteria: a glob over them may match what is not
known here."""
LEAST_STUCK_AFTER_S = 60.0
"""A micro-batch of 1,024 outputs may take half a minute with a transformer: a worker must not end itself during one."""
_SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


class Problem(NamedTuple):
    """What cannot work, at which key; `error`: a worker refuses to start with it, else it is a warning."""

    at: Location
    what: str
    error: bool = True


class Checked(NamedTuple):
    """Settings that a worker may start with, and the lines of what is doubtful about them."""

    settings: Settings
    warnings: list[str]


def load_checked(path: str | Path | None, *, environ: Mapping[str, str] | None = None) -> Checked:
    """As `load_settings`, with all checks. Raises `ConfigError` with one line per error, in order of lines."""
    settings = load_settings(path, environ=environ)
    if path is None:
        found, line = problems(settings), None
    else:
        text = read_settings_text(path)
        line = lines_of(text)
        found = [*problems(settings), *_without_unit(text)]
        found.sort(key=lambda problem: line(problem.at))

    def shown(problem: Problem) -> str:
        place = f"{path}:{line(problem.at)} " if line is not None else ""
        return f"{place}{dotted(problem.at)}: {problem.what}"

    errors = [shown(problem) for problem in found if problem.error]
    if errors:
        raise ConfigError("\n".join(errors))
    return Checked(settings, [shown(problem) for problem in found])


def problems(settings: Settings) -> list[Problem]:
    """Everything that cannot work as it is written, errors and warnings."""
    return [
        *_routes(settings),
        *_features(settings),
        *_sizes(settings),
        *_patterns(settings),
        *_files(settings),
        *_links(settings),
    ]


def _without_unit(text: str) -> Iterator[Problem]:
    for at, number in durations_without_unit(Settings, text):
        yield Problem(at, f"has no unit and is taken as {number} seconds: write {number}s, or {number}m", error=False)


def _routes(settings: Settings) -> Iterator[Problem]:
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
    for at, detection, route in _watched(settings):
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


def _watched(settings: Settings) -> Iterator[tuple[Location, DetectionSettings, str]]:
    """The settings of detection with their place in the file and the route: the defaults, and each override's."""
    yield ("detection",), settings.detection, settings.alerting.route
    for index in range(len(settings.streams)):
        detection, _, route = settings.merged(index)
        yield ("streams", index), detection, route


def _features(settings: Settings) -> Iterator[Problem]:
    # Imported here: what a family measures is not needed to read settings.
    from monitor.features.registry import OFF, STATIC, default_extractors

    families = sorted({extractor.family for extractor in default_extractors()})
    known = False
    for index, glob in enumerate(settings.features.families):
        if any(fnmatchcase(family, glob) for family in families):
            known = True
        else:
            what = f"no family of features is called {glob}{did_you_mean(glob, families)}"
            yield Problem(("features", "families", index), what)
    embedding = settings.features.embedding
    if embedding not in (OFF, STATIC):
        yield from _model(embedding)
    if not known:
        return
    yield from _features_of_checks(settings)
    every = [spec.name for extractor in default_extractors() for spec in extractor.features]
    measured = [
        spec.name
        for extractor in default_extractors(settings.features.families)
        for spec in extractor.features
        if embedding != OFF or extractor.family != "embedding"
    ]
    for at, detection, _ in _watched(settings):
        given = settings.detection if at == ("detection",) else settings.streams[int(at[1])]
        of_detectors = [(("detectors", n, "features"), choice.features) for n, choice in enumerate(given.detectors)]
        reported = False
        globs: list[tuple[Location, str, bool]] = [
            *((("features", n), glob, True) for n, glob in enumerate(given.features)),
            *((("exclude", n), glob, False) for n, glob in enumerate(given.exclude)),
            *((place, glob, True) for place, glob in of_detectors),
        ]
        for place, glob, needed in globs:
            if any(fnmatchcase(name, glob) for name in measured) or glob.startswith(DYNAMIC):
                continue
            if any(fnmatchcase(name, glob) for name in every):
                if place[0] == "detectors":
                    continue  # `oqm check-config` says of each entry what it watches
                what = f"{glob} matches features that features.families and features.embedding leave out"
                yield Problem((*at, *place), what, error=False)
            else:
                guess = did_you_mean(glob, _names_like(glob, every), otherwise="such as")
                yield Problem((*at, *place), f"no feature is called {glob}{guess}", error=needed)
                reported = reported or needed
        watched = [name for name in measured if _is_watched(name, detection)]
        sets_them = at == ("detection",) or {"features", "exclude"} & given.model_fields_set
        if (
            sets_them
            and not reported
            and not watched
            and not any(glob.startswith(DYNAMIC) for glob in detection.features)
        ):
            yield Problem((*at, "features"), "features and exclude together leave nothing to watch")


def _features_of_checks(settings: Settings) -> Iterator[Problem]:
    """Checks of features that nothing measures."""
    from monitor.features.registry import default_extractors

    specs = {spec.name: spec for extractor in default_extractors() for spec in extractor.features}
    for index, override in enumerate(settings.streams):
        for place, criterion in enumerate(override.criteria):
            if (wrong := criterion.check.wrong_features(specs)) is not None:
                yield Problem(("streams", index, "criteria", place, "check"), wrong)


def _is_watched(name: str, detection: DetectionSettings) -> bool:
    chosen = any(fnmatchcase(name, glob) for glob in detection.features)
    return chosen and not any(fnmatchcase(name, glob) for glob in detection.exclude)


def _names_like(glob: str, names: Iterable[str]) -> list[str]:
    """The names to compare a misspelt glob with: as many parts as it has, its own wildcard at the end."""
    if "*" not in glob:
        return sorted(names)
    parts = glob.rstrip("*").rstrip(".").count(".") + 1
    return sorted({".".join(name.split(".")[:parts]) + ".*" for name in names})


def _model(embedding: str) -> Iterator[Problem]:
    at = ("features", "embedding")
    near = did_you_mean(embedding, ("static", "off"), otherwise="")
    guess = near if near.endswith("?") else ""
    looks_like_a_folder = Path(embedding).is_absolute() or embedding.startswith((".", "~"))
    if looks_like_a_folder and not Path(embedding).is_dir():
        yield Problem(at, f"there is no folder {embedding}{guess}")
    elif importlib.util.find_spec("sentence_transformers") is None:
        what = f"the model {embedding} needs sentence-transformers, which is not installed{guess}"
        yield Problem(at, what if guess else f"{what}: pip install 'output-quality-monitor[transformers]'")
    elif not Path(embedding).is_dir() and not _is_kept_here(embedding):
        what = f"the model {embedding} is not on this machine: the worker looks for it on the network at its start"
        yield Problem(at, what + guess, error=False)


def _is_kept_here(model: str) -> bool:
    """Whether the model lies in the folder where sentence-transformers keeps what it has fetched."""
    from huggingface_hub import try_to_load_from_cache

    names = (model,) if "/" in model else (f"sentence-transformers/{model}", model)
    return any(isinstance(try_to_load_from_cache(name, "config.json"), str) for name in names)


def _sizes(settings: Settings) -> Iterator[Problem]:
    for at, detection, _ in _watched(settings):
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


def _patterns(settings: Settings) -> Iterator[Problem]:
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


def _files(settings: Settings) -> Iterator[Problem]:
    ssl = settings.broker.ssl
    given: list[tuple[Location, str | None]] = [
        (("broker", "ssl", name), getattr(ssl, name)) for name in ("ca_file", "cert_file", "key_file")
    ]
    for index, sink in enumerate(settings.sinks):
        given.append((("sinks", index, "ca_file"), getattr(sink, "ca_file", None)))
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


def _links(settings: Settings) -> Iterator[Problem]:
    for name, template in settings.links:
        if template and not template.startswith(("http://", "https://")):
            yield Problem(("links", name), "does not begin with http:// or https://: it is no link", error=False)
