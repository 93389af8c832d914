"""The table of detectors that `monitor.yaml` can choose per feature. A new one is a module and a line here.

Names in settings, their check, the text of the configuration and the contract suite follow from the table. A detector's
module is imported when one is built: settings name and check detectors without loading any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol

from monitor.detection.detectors.base import Detector
from monitor.detection.detectors.parameters import ADWIN, KSWIN, PAGE_HINKLEY, Parameters
from monitor.detection.detectors.parameters import EVIDENCE as EVIDENCE_PARAMETERS
from monitor.errors import StateError


@dataclass(frozen=True)
class Entry:
    """One detector: the module whose `make(name, parameters)` builds it, and its parameters."""

    module: str
    parameters: Parameters


EVIDENCE = "evidence"
DETECTORS: Mapping[str, Entry] = MappingProxyType(
    {
        EVIDENCE: Entry("monitor.detection.detectors.e_detector", EVIDENCE_PARAMETERS),
        "adwin": Entry("monitor.detection.detectors.river", ADWIN),
        "page_hinkley": Entry("monitor.detection.detectors.river", PAGE_HINKLEY),
        "kswin": Entry("monitor.detection.detectors.river", KSWIN),
    }
)
NAMES = tuple(DETECTORS)
"""What `detector` may be in the settings."""


class Choice(Protocol):
    """One entry of `detectors` in the settings (`monitor.detection.settings.DetectorChoice`)."""

    @property
    def features(self) -> str:
        """Glob over the names of features."""
        ...

    @property
    def detector(self) -> str:
        """One of `NAMES`."""
        ...

    @property
    def parameters(self) -> Mapping[str, float]:
        """Of that detector."""
        ...


def build(name: str, parameters: Mapping[str, float] | None = None) -> Detector:
    """The detector of this name. Raises `ValueError` that says which parameter is wrong."""
    check(name, parameters or {})
    made: Detector = import_module(DETECTORS[name].module).make(name, dict(parameters or {}))
    return made


def check(name: str, parameters: Mapping[str, float]) -> None:
    """Raise `ValueError` for an unknown detector or parameters that mean nothing to it."""
    if name not in DETECTORS:
        raise ValueError(f"no detector {name!r}; there are {', '.join(NAMES)}")
    DETECTORS[name].parameters.check(name, parameters)


def chosen_for(name: str, choices: Iterable[Choice]) -> Choice | None:
    """Of the choices whose glob matches the feature of this name, the last."""
    found = None
    for choice in choices:
        if fnmatchcase(name, choice.features):
            found = choice
    return found


def restored(name: str, parameters: Mapping[str, float], state: object) -> Detector | None:
    """The detector of this name and these parameters as a snapshot has it; None where the snapshot is of none such.

    Called when a stream is restored. It never raises: a snapshot that cannot be read (another detector's, other
    parameters, another format, or something that is no detector's state at all) means that the detector starts from
    the beginning, as it does for every new reference. What a snapshot says decides this, and nothing else does, so all
    workers that restore it go on alike.
    """
    detector = build(name, parameters)
    given = detector.snapshot()
    if not isinstance(state, dict) or any(state.get(key) != given[key] for key in ("detector", "parameters")):
        return None
    try:
        detector.restore(state)
    except StateError:
        return None
    return detector


def restore(state: dict[str, Any]) -> Detector:
    """The detector that a snapshot was taken of."""
    name = state.get("detector")
    if name not in NAMES:
        raise StateError(f"snapshot of a detector {name!r} that this version does not know")
    detector = build(str(name))
    detector.restore(state)
    return detector
