"""Checks of the names of features, families and models: that each matches something."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from monitor.config_values.plain_errors import Location, did_you_mean
from monitor.criteria.derived import judged_features
from monitor.detection.settings import DetectionSettings
from monitor.settings import Settings
from monitor.settings.check_values import watched
from monitor.settings.detector_globs import DYNAMIC, GlobFate, detector_globs
from monitor.settings.problem import Problem


def feature_problems(settings: Settings) -> Iterator[Problem]:
    """Names and globs of families, models and features that match nothing, or leave nothing to watch."""
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
    if settings.features.embedding not in (OFF, STATIC):
        yield from _model(settings.features.embedding)
    if not known:
        return
    yield from _features_of_checks(settings)
    names = Names.of(settings)
    refused = {match.at[:-2] for match in detector_globs(settings) if match.fate is GlobFate.UNKNOWN}
    for match in detector_globs(settings):
        if match.fate is GlobFate.UNKNOWN:
            yield Problem((*match.at, "features"), _no_such_feature(match.choice.features, names))
    for at, detection, _ in watched(settings):
        yield from _globs(settings, at, detection, names, refused=at in refused)


class Names(NamedTuple):
    """Names of features: all that exist, and those that the settings have measured."""

    every: list[str]
    measured: list[str]

    @classmethod
    def of(cls, settings: Settings) -> Names:
        """As the settings choose families and embedding."""
        from monitor.features.registry import OFF, default_extractors

        embedding = settings.features.embedding
        judged = [spec.name for spec in judged_features(settings.judged)]
        return cls(
            every=[spec.name for extractor in default_extractors() for spec in extractor.features] + judged,
            measured=[
                spec.name
                for extractor in default_extractors(settings.features.families)
                for spec in extractor.features
                if embedding != OFF or extractor.family != "embedding"
            ]
            + judged,
        )


def _globs(
    settings: Settings, at: Location, detection: DetectionSettings, names: Names, *, refused: bool
) -> Iterator[Problem]:
    """The globs of `features` and `exclude` at one place, `at`; `refused`: another glob there is a mistake already."""
    given = settings.detection if at == ("detection",) else settings.streams[int(at[1])]
    globs: list[tuple[Location, str, bool]] = [
        *((("features", n), glob, True) for n, glob in enumerate(given.features)),
        *((("exclude", n), glob, False) for n, glob in enumerate(given.exclude)),
    ]
    for place, glob, needed in globs:
        if any(fnmatchcase(name, glob) for name in names.measured) or glob.startswith(DYNAMIC):
            continue
        if any(fnmatchcase(name, glob) for name in names.every):
            what = f"{glob} matches features that features.families and features.embedding leave out"
            yield Problem((*at, *place), what, error=False)
        else:
            yield Problem((*at, *place), _no_such_feature(glob, names), error=needed)
            refused = refused or needed
    sets_them = at == ("detection",) or {"features", "exclude"} & given.model_fields_set
    left = any(_is_watched(name, detection) for name in names.measured)
    may_come = any(glob.startswith(DYNAMIC) for glob in detection.features)
    if sets_them and not refused and not left and not may_come:
        yield Problem((*at, "features"), "features and exclude together leave nothing to watch")


def _no_such_feature(glob: str, names: Names) -> str:
    return f"no feature is called {glob}{did_you_mean(glob, _names_like(glob, names.every), otherwise='such as')}"


def _features_of_checks(settings: Settings) -> Iterator[Problem]:
    """Checks of features that nothing measures."""
    from monitor.features.registry import default_extractors

    specs = {spec.name: spec for extractor in default_extractors() for spec in extractor.features}
    for index, override in enumerate(settings.streams):
        for place, criterion in enumerate(override.criteria):
            if criterion.check is not None and (wrong := criterion.check.wrong_features(specs)) is not None:
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
