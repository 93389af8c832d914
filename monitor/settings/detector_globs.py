"""What each entry of `detectors` matches: the one place that reads these globs.

Used by the checks of settings, which refuse a glob that no feature has, and by `oqm check-config`, which shows the
others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from monitor.config_values.plain_errors import Location
from monitor.detection.settings import DetectionSettings, DetectorChoice
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.features.base import FeatureSpec

DYNAMIC = ("call.dependency.", "output.check.")
"""Beginnings of features whose names depend on the traffic or the criteria: a glob over them may match what is not
known here."""


class GlobFate(Enum):
    """What becomes of an entry of `detectors`."""

    WATCHES = auto()
    REPLACED = auto()  # a later entry matches each of its numbers
    NO_NUMBER = auto()  # it matches flags and categories only, which stay in the joint evidence
    NOT_YET_KNOWN = auto()  # such names are known only with a stream's events
    LEFT_OUT = auto()  # by features, exclude or the families that are measured
    UNKNOWN = auto()  # no feature has such a name


class GlobMatch(NamedTuple):
    """One entry of `detectors`: where it stands, what becomes of it, and which features it matches.

    `numbers` are those that it gets, `others` the flags and categories, with their kind.
    """

    at: Location
    choice: DetectorChoice
    fate: GlobFate
    numbers: list[str]
    others: list[str]


def detector_globs(settings: Settings) -> list[GlobMatch]:
    """A match for each entry of `detectors`, in the order of the file; none where there are no entries."""
    places: list[tuple[Location, DetectionSettings, DetectionSettings]] = [
        (("detection",), settings.detection, settings.detection)
    ]
    for index, override in enumerate(settings.streams):
        if "detectors" in override.model_fields_set:
            places.append((("streams", index), override, settings.for_stream(override.match).detection))
    if not any(given.detectors for _, given, _ in places):
        return []
    # Here, because they load the tables of the features, which is needed only where there are entries.
    from monitor.detection.columns.embedding_distance import DISTANCE
    from monitor.features.registry import OFF, default_extractors

    every = [*(spec for family in default_extractors() for spec in family.features), DISTANCE]
    chosen = {family.family for family in default_extractors(settings.features.families)}
    if settings.features.embedding == OFF:
        chosen.discard("embedding")
    measured = [spec for family in default_extractors() if family.family in chosen for spec in family.features]
    if settings.features.embedding != OFF:
        measured.append(DISTANCE)
    return [
        match
        for place, given, detection in places
        for match in _matches(place, given.detectors, detection, every, measured)
    ]


def _matches(
    place: Location,
    choices: Sequence[DetectorChoice],
    detection: DetectionSettings,
    every: Sequence[FeatureSpec],
    measured: Sequence[FeatureSpec],
) -> Iterator[GlobMatch]:
    from monitor.detection.columns.watched_columns import watched
    from monitor.features.base import Kind

    used = watched(measured, detection.features, detection.exclude)
    for index, choice in enumerate(choices):
        matching = [spec for spec in used if fnmatchcase(spec.name, choice.features)]
        numbers = [spec.name for spec in matching if spec.kind in (Kind.NUMBER, Kind.COUNT)]
        others = [f"{spec.name} ({spec.kind.value})" for spec in matching if spec.kind in (Kind.FLAG, Kind.CATEGORY)]
        later = choices[index + 1 :]
        mine = [name for name in numbers if not any(fnmatchcase(name, each.features) for each in later)]
        if mine:
            fate = GlobFate.WATCHES
        elif numbers:
            fate = GlobFate.REPLACED
        elif others:
            fate = GlobFate.NO_NUMBER
        elif choice.features.startswith(DYNAMIC):
            fate = GlobFate.NOT_YET_KNOWN
        elif any(fnmatchcase(spec.name, choice.features) for spec in every):
            fate = GlobFate.LEFT_OUT
        else:
            fate = GlobFate.UNKNOWN
        yield GlobMatch((*place, "detectors", index), choice, fate, mine, others)
