"""What `oqm check-config` says of `detectors`: which numbers get one, and what of a glob stays in the evidence.

A glob that matches nothing, or only what no detector of a single number can judge, is no mistake of syntax and changes
nothing, which is easily overlooked: it is a warning. May import settings and features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from monitor.detection.settings import DetectionSettings, DetectorChoice
    from monitor.features.base import FeatureSpec
    from monitor.settings import Settings

SHOWN = 4
"""Names that a line shows; a glob may match a hundred."""
DEPENDENCIES = "call.dependency."
"""How the names of features begin that are known only with a stream's traffic: those of single dependencies."""


class Note(NamedTuple):
    """A line, and whether it is a warning."""

    text: str
    warns: bool


def detector_notes(settings: Settings) -> list[Note]:
    """A line for each entry of `detectors`, in the file's order; none where there are no entries."""
    places: list[tuple[str, DetectionSettings, DetectionSettings]] = [
        ("detection", settings.detection, settings.detection)
    ]
    for index, override in enumerate(settings.streams):
        if "detectors" in override.model_fields_set:
            places.append((f"streams[{index}]", override, settings.for_stream(override.match).detection))
    if not any(given.detectors for _, given, _ in places):
        return []
    # Here, because it loads the tables of the features, which the check needs for nothing else.
    from monitor.detection.columns.embedding_distance import DISTANCE
    from monitor.features.registry import default_extractors

    families = default_extractors(settings.features.families)
    specs = [*(spec for family in families for spec in family.features), DISTANCE]
    return [note for place, given, holds in places for note in _notes(place, given.detectors, holds, specs)]


def _notes(
    place: str, choices: Sequence[DetectorChoice], holds: DetectionSettings, specs: Sequence[FeatureSpec]
) -> Iterator[Note]:
    from monitor.detection.columns.watched_columns import watched
    from monitor.features.base import Kind

    used = watched(specs, holds.features, holds.exclude)
    for index, choice in enumerate(choices):
        who = f'{place}.detectors[{index}]: {choice.detector} on "{choice.features}"'
        matching = [spec for spec in used if fnmatchcase(spec.name, choice.features)]
        numbers = [spec.name for spec in matching if spec.kind in (Kind.NUMBER, Kind.COUNT)]
        others = [f"{spec.name} ({spec.kind.value})" for spec in matching if spec.kind in (Kind.FLAG, Kind.CATEGORY)]
        later = choices[index + 1 :]
        own = [name for name in numbers if not any(fnmatchcase(name, each.features) for each in later)]
        stays = f"; flags and categories stay in the evidence: {_some(others)}" if others else ""
        if own:
            yield Note(f"{who} watches {_count(len(own), 'number')}: {_some(own)}{stays}", warns=False)
        elif numbers:
            yield Note(f"{who} has no effect: each number that it matches is matched by a later entry", warns=True)
        elif others:
            yield Note(f"{who} matches no number and has no effect{stays}", warns=True)
        elif choice.features.startswith(DEPENDENCIES):
            yield Note(
                f"{who} matches no feature that is known now; those of single dependencies are known with a stream's "
                "events",
                warns=True,
            )
        elif any(fnmatchcase(spec.name, choice.features) for spec in specs):
            yield Note(f"{who} has no effect: what it matches is left out by features or exclude", warns=True)
        else:
            yield Note(f"{who} matches no feature and has no effect; oqm features FILE shows their names", warns=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
