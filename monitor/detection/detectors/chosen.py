"""`Alone`: the detectors of single numbers that the settings choose for one track.

Which columns have one. `detectors` in the settings are globs over feature names. Each *number* of the track's layout
that matches gets the detector of the last entry that matches, and leaves the joint evidence with the next reference
that is learned. Nothing else leaves it: flags, categories, numbers that were constant in the reference, and flags made
of a number (its tail, whether it is zero) stay, as no detector of a single number judges them. A number that has left
the evidence and whose entry is removed from the settings is watched by `evidence` with its defaults until the next
reference takes it back: no setting makes a number unwatched.

When they start. Each detector starts from the beginning with every new reference of the track: the first one, a
provisional one after a finding, the original one after recovery, and those of a pin and a deploy, which are first ones.
`accept` changes no reference (the provisional one becomes the original), so detectors go on, started with that one.
River's detectors adapt and start with the first row behind the reference; `evidence`, which has a separate reference,
takes the last rows of the new normal for it, as far as they are still there.

What a drift leads to. A detector that finds drift has forgotten it the next moment, so a drift that is too young to be
judged (few rows after it, or inputs that moved with it) is noted and judged again `AGAIN` times at most. It fires only
where its own number moved, surely and by its floor; else it is information, reported once per `PATIENCE` rows, doubled
each time, and neither the evidence of the other columns nor the maturing of the reference takes notice of it.

Called by `monitor.detection.stream.reference_monitor`. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.normal_scores import expand
from monitor.detection.detectors import registry
from monitor.detection.detectors.base import Detector, Status
from monitor.detection.detectors.e_detector import EDetector
from monitor.detection.records.finding import Finding
from monitor.detection.reference.reference import Reference
from monitor.detection.settings import DetectionSettings
from monitor.detection.state.snapshot_codec import StateRecord

AGAIN = 2
"""Times that a drift which is too young, or not sure yet, is judged again, 64 rows later each: 128 rows more show a
shift of 0.4 standard deviations, which is not far from the floor."""
PATIENCE, PATIENCE_MOST = 200, 12_800
"""Rows for which information of a detector is not repeated: as many as for the evidence."""


class AloneState(StateRecord):
    """Of `Alone`: the detectors' own snapshots, noted drifts (row and times judged) by number, and how long information
    waits."""

    detectors: dict[str, Any]
    again: dict[str, tuple[int, int]]
    told_until: int
    wait: int


class Alone:
    """Detectors by the name of their number.

    Attributes
    ----------
    detectors
        What watches each number that has a detector.
    """

    __slots__ = ("_again", "_told_until", "_wait", "detectors")

    def __init__(self) -> None:
        self.detectors: dict[str, Detector] = {}
        self._again: dict[str, tuple[int, int]] = {}
        self._told_until, self._wait = 0, PATIENCE

    @staticmethod
    def excluded(names: list[str], settings: DetectionSettings) -> frozenset[str]:
        """Of the numbers of a layout those that leave the evidence: each has a detector chosen for it."""
        return frozenset(name for name in names if registry.chosen_for(name, settings.detectors) is not None)

    def begin(self, reference: Reference, settings: DetectionSettings, numbers: NDArray[np.float16]) -> None:
        """A new reference holds from the next row on; `numbers` (n, k), compressed, are its last rows."""
        self.detectors = {}
        self._again = {}
        self.choose(reference, settings, numbers)

    def choose(self, reference: Reference, settings: DetectionSettings, numbers: NDArray[np.float16]) -> None:
        """Detectors as these settings say: those that are there already go on, the others start from the beginning."""
        held, self.detectors = self.detectors, {}
        for name, (detector, parameters) in _wanted(reference, settings).items():
            known = held.get(name)
            fresh = registry.build(detector, parameters)
            self.detectors[name] = (
                known if _alike(known, fresh) and known is not None else _learned(fresh, reference, name, numbers)
            )
        self._again = {name: due for name, due in self._again.items() if name in self.detectors}

    def first_drift(self, names: list[str], numbers: NDArray[np.float16], seen: int) -> tuple[int, int] | None:
        """First row at which a detector finds drift, or at which a noted one is due, and its column.

        Rows (n, k), compressed, follow `seen` earlier ones; none behind the row that is returned are taken.
        """
        if not self.detectors:
            return None
        watching = [(names.index(name), name, detector) for name, detector in self.detectors.items()]
        for row, values in enumerate(expand(numbers)):
            readings = [(column, name, each.update(float(values[column]))) for column, name, each in watching]
            found = [
                column
                for column, name, reading in readings
                if reading.status is Status.DRIFT or self._again.get(name, (seen + row + 1, 0))[0] <= seen + row
            ]
            if found:
                return row, min(found)
        return None

    def may_look_again(self, name: str) -> bool:
        """Whether a drift of this number may be judged again later: that was not done `AGAIN` times already."""
        return self._again.get(name, (0, 0))[1] < AGAIN

    def look_again(self, name: str, at: int) -> None:
        """Note to judge a drift of this number again at row `at`."""
        self._again[name] = (at, self._again.get(name, (0, 0))[1] + 1)

    def judged(self, name: str) -> None:
        """The drift of this number has been judged."""
        self._again.pop(name, None)

    def tells(self, seen: int) -> bool:
        """Whether information is reported at row `seen`; if so, further information waits."""
        if seen < self._told_until:
            return False
        self._told_until = seen + self._wait
        self._wait = min(2 * self._wait, PATIENCE_MOST)
        return True

    def unconfirmed(self, name: str, finding: Finding) -> Finding:
        """Information about a drift of this number that its rows do not confirm, in separate words."""
        found = f"{self.detectors[name].snapshot()['detector']} found drift in {name}"
        title = f"{finding.stream}: {found}, which moved less than its floor or not surely"
        cause = (
            f"Since event {finding.began_at.index}: {found}. The number did not move surely and by its effect floor, "
            "so this is information. If it comes often, the detector's parameters are too sensitive for this number."
        )
        return msgspec.structs.replace(finding, title=title, cause=cause)

    def to_state(self) -> AloneState:
        """For a snapshot."""
        detectors = {name: detector.snapshot() for name, detector in self.detectors.items()}
        return AloneState(detectors, self._again, self._told_until, self._wait)

    def restore(
        self, state: AloneState, reference: Reference, settings: DetectionSettings, numbers: NDArray[np.float16]
    ) -> None:
        """Take over what `state` described, as far as these settings choose it.

        State of a number for which the settings choose no detector, or another one, is not even read: the number gets
        what they choose, from the beginning. So is state that cannot be read.
        """
        for name, (detector, parameters) in _wanted(reference, settings).items():
            known = registry.restored(detector, parameters, state.detectors.get(name))
            if known is not None:
                self.detectors[name] = known
        self._again, self._told_until, self._wait = state.again, state.told_until, state.wait
        self.choose(reference, settings, numbers)


def _wanted(reference: Reference, settings: DetectionSettings) -> dict[str, tuple[str, dict[str, float]]]:
    """Detector and parameters of each number that has one, in the layout's order."""
    wanted: dict[str, tuple[str, dict[str, float]]] = {}
    for name in reference.layout.numbers:
        choice = registry.chosen_for(name, settings.detectors)
        if choice is not None:
            wanted[name] = choice.detector, dict(choice.parameters)
        elif name in reference.excluded:
            wanted[name] = registry.EVIDENCE, {}
    return wanted


def _alike(known: Detector | None, fresh: Detector) -> bool:
    """Whether a detector is what would be built."""
    if known is None:
        return False
    one, other = known.snapshot(), fresh.snapshot()
    return all(one[key] == other[key] for key in ("detector", "parameters"))


def _learned(detector: Detector, reference: Reference, name: str, numbers: NDArray[np.float16]) -> Detector:
    """The detector; one with a separate reference has taken a number's values in these rows (n, k) for it."""
    if isinstance(detector, EDetector):
        detector.learn(expand(numbers[:, reference.layout.numbers.index(name)]).tolist())
    return detector
