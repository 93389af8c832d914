"""What an event says of each external dependency it called: time, failures and shape of response, by its name.

The call family (`monitor.features.families.call`) sums over an event's dependencies; here they stay separate, so that a
finding can name the one that failed, got slow or changed its format. Columns are called
`call.dependency.<what>[<dependency>]` and have no value where an event did not call it: that says nothing of the
dependency.

Pure. May import its neighbours in this package and `monitor.events`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.events.schema import Call, OutputEvent
from monitor.features.base import FeatureSpec, Kind, Role, Worse

LONGEST_NAME = 64  # characters: a name is a part of the feature's name in findings
MOST_IN_AN_EVENT = 32
"""Dependencies of one event that are measured separately, the first ones."""
MOST_SHAPES = 8  # the value is a category, and a list of more shapes would hardly come twice
DURATION, ERRORS, SHAPE = "call.dependency.duration_s", "call.dependency.errors", "call.dependency.shape"
_LARGEST = float(np.finfo(np.float32).max)
_FINE = frozenset({"ok", "success", "succeeded", "completed", "unset", "0"})


class Called(NamedTuple):
    """What one event says of one dependency: seconds in all its calls (NaN: not said), whether any failed, shapes."""

    duration_s: float
    failed: bool
    shape: str | None


Calls = Mapping[str, Called]
"""What an event says of its dependencies, by name; empty where it called none."""
NO_CALLS: Calls = {}


def failed(call: Call) -> bool:
    """Whether an external call failed: it says so, or its status is an HTTP error or any word that is not success."""
    if call.error:
        return True
    status = call.status
    if status is None:
        return False
    if isinstance(status, str) and not status.strip().isdecimal():
        return status.strip().lower() not in _FINE
    return int(status) >= 400


def calls_of(events: Sequence[OutputEvent]) -> list[Calls] | None:
    """The dependencies that each of n events called, by name; None where none of them called any."""
    if not any(event.calls for event in events):
        return None
    return [_calls(event.calls) if event.calls else NO_CALLS for event in events]


def _calls(calls: Sequence[Call]) -> Calls:
    by_name: dict[str, list[Call]] = {}
    for call in calls:
        name = clean(call.dependency[:LONGEST_NAME])
        if name in by_name:
            by_name[name].append(call)
        elif len(by_name) < MOST_IN_AN_EVENT:
            by_name[name] = [call]
    return {name: _called(own) for name, own in by_name.items()}


def _called(calls: Sequence[Call]) -> Called:
    known = [call.duration_s for call in calls if call.duration_s is not None]
    seconds = sum(known) if known else math.nan
    shapes = sorted({clean(call.shape[:LONGEST_NAME]) for call in calls if call.shape})[:MOST_SHAPES]
    # In single precision, as it travels.
    duration = float(np.float32(seconds)) if seconds <= _LARGEST else math.nan
    return Called(duration, any(map(_surely_failed, calls)), ", ".join(shapes) or None)


def _surely_failed(call: Call) -> bool:
    try:
        return failed(call)
    except ValueError:  # a status of thousands of digits
        return False


def clean(name: str) -> str:
    """Half surrogate pairs, which no message can hold, become question marks."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")


def keyed(feature: str, dependency: str) -> str:
    """The name of a feature of one dependency: `call.dependency.shape[orders]`."""
    return f"{feature}[{dependency}]"


def is_keyed(name: str) -> bool:
    """Whether a name is that of a feature of one dependency."""
    return name.endswith("]") and name.startswith("call.dependency.")


def dependency_specs(dependency: str) -> tuple[FeatureSpec, FeatureSpec, FeatureSpec]:
    """Declarations of what is known of one dependency: time, failures, shape."""
    return (
        FeatureSpec(
            keyed(DURATION, dependency),
            Kind.NUMBER,
            f"time spent in calls to {dependency}",
            "s",
            Worse.UP,
            role=Role.DEPENDENCY,
            lead=2,
        ),
        FeatureSpec(
            keyed(ERRORS, dependency),
            Kind.FLAG,
            f"calls to {dependency} that failed",
            "",
            Worse.UP,
            True,
            role=Role.DEPENDENCY,
            lead=0,
        ),
        FeatureSpec(
            keyed(SHAPE, dependency), Kind.CATEGORY, f"shape of {dependency}'s response", role=Role.DEPENDENCY, lead=1
        ),
    )


@lru_cache(maxsize=4096)
def keyed_spec(name: str) -> FeatureSpec | None:
    """The declaration of a feature of one dependency by its name; None for any other name."""
    if not is_keyed(name):
        return None
    feature, _, dependency = name[:-1].partition("[")
    return next((spec for spec in dependency_specs(dependency) if spec.name == keyed(feature, dependency)), None)


def columns(
    calls: Sequence[Calls], dependencies: Sequence[str], uncalled: str | None
) -> tuple[tuple[str, ...], NDArray[np.float64], dict[str, list[str | None]]]:
    """Columns of n events for these m dependencies: names, values (n, 2 m), shapes by name.

    Two values each: seconds, and 1 or 0 for whether a call failed. NaN, and `uncalled` for a shape, where an event did
    not call the dependency or does not say.
    """
    values = np.full((len(calls), 2 * len(dependencies)), np.nan)
    shapes: dict[str, list[str | None]] = {keyed(SHAPE, name): [uncalled] * len(calls) for name in dependencies}
    place = {name: k for k, name in enumerate(dependencies)}
    by_place = list(shapes.values())
    for row, called in enumerate(calls):
        for name, one in called.items():
            k = place.get(name)
            if k is None:
                continue
            values[row, 2 * k] = one.duration_s
            values[row, 2 * k + 1] = one.failed
            if one.shape is not None:
                by_place[k][row] = one.shape
    names = tuple(keyed(feature, name) for name in dependencies for feature in (DURATION, ERRORS))
    return names, values, shapes
