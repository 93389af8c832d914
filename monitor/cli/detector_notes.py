"""What `oqm check-config` shows of `detectors`: which numbers get one, and what of a glob stays in the evidence.

A glob that only matches what no detector of a single number can judge is valid and changes nothing, which is easily
overlooked: it is a warning. A glob that no feature has is an error, found by the checks of the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from monitor.settings import Settings
    from monitor.settings.detector_globs import GlobMatch

MAX_NAMES = 4
"""Names that a line shows; a glob may match a hundred."""


class Note(NamedTuple):
    """A line, and whether it is a warning."""

    text: str
    warns: bool


def detector_notes(settings: Settings) -> list[Note]:
    """A line for each entry of `detectors`, in the order of the file; `settings` have passed their checks."""
    from monitor.settings.detector_globs import GlobFate, detector_globs

    return [Note(_line(match), match.fate is not GlobFate.WATCHES) for match in detector_globs(settings)]


def _line(match: GlobMatch) -> str:
    from monitor.config_values.plain_errors import dotted
    from monitor.settings.detector_globs import GlobFate

    who = f'{dotted(match.at)}: {match.choice.detector} on "{match.choice.features}"'
    stays = f"; flags and categories stay in the evidence: {_some(match.others)}" if match.others else ""
    match match.fate:
        case GlobFate.WATCHES:
            count = len(match.numbers)
            return f"{who} watches {count} number{'s' * (count != 1)}: {_some(match.numbers)}{stays}"
        case GlobFate.REPLACED:
            return f"{who} has no effect: each number that it matches is matched by a later entry"
        case GlobFate.NO_NUMBER:
            return f"{who} matches no number and has no effect{stays}"
        case GlobFate.NOT_YET_KNOWN:
            known = "those of single dependencies and of checks are known with a stream's events"
            return f"{who} matches no feature that is known now; {known}"
        case GlobFate.LEFT_OUT:
            return f"{who} has no effect: what it matches is left out by features or exclude, or not measured"
        case GlobFate.UNKNOWN:
            return f"{who} matches no feature and has no effect; oqm features FILE shows their names"


def _some(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
