"""Parameters of the detectors that settings may choose, and which of their values mean something.

Separate from the detectors, so that reading settings loads none of them. Called by the table of detectors and by their
constructors. May import nothing from this project.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """One parameter: its values lie above `low` and below `high`, and are whole numbers if `whole`."""

    low: float
    high: float
    whole: bool = False

    def wanted(self, value: float) -> str:
        """What the value must be; empty where it is that."""
        if self.whole and self.high == math.inf:
            fits = math.isfinite(value) and value == int(value) and value > self.low
            return "" if fits else f"a whole number >= {self.low + 1:g}"
        if not self.low < value < self.high:
            return f"> {self.low:g} and < {self.high:g}"
        return "a whole number" if self.whole and value != int(value) else ""


@dataclass(frozen=True)
class Parameters:
    """The parameters of one detector.

    Attributes
    ----------
    known
        By name.
    together
        Says what several of them must fulfil together; empty where they do.
    """

    known: Mapping[str, Parameter]
    together: Callable[[Mapping[str, float]], str] = lambda given: ""

    def check(self, detector: str, given: Mapping[str, float]) -> None:
        """Raise `ValueError` that names the parameter and what it must be."""
        for name, value in given.items():
            if name not in self.known:
                raise ValueError(f"{detector} has no parameter {name!r}; it has {', '.join(sorted(self.known))}")
            wanted = self.known[name].wanted(value)
            if wanted:
                raise ValueError(f"{detector} {name} must be {wanted}, not {value:g}")
        wanted = self.together(given)
        if wanted:
            raise ValueError(f"{detector} {wanted}")

    def typed(self, given: Mapping[str, float]) -> dict[str, float]:
        """The parameters in the types in which the detector counts and compares them."""
        whole = {name for name, parameter in self.known.items() if parameter.whole}
        return {k: int(v) if k in whole and v == int(v) else float(v) for k, v in given.items()}


def _windows_fit(given: Mapping[str, float]) -> str:
    """KSWIN compares the newest `stat_size` values with as many of the rest of its window."""
    fits = given.get("window_size", 100) >= 2 * given.get("stat_size", 30)
    return "" if fits else "window_size must be at least twice stat_size"


EVIDENCE = Parameters({"warmup": Parameter(29, math.inf, whole=True), "mean_run_length": Parameter(1, 1e15)})
ADWIN = Parameters(
    {
        "delta": Parameter(0, 1),
        "clock": Parameter(0, 1e9, whole=True),
        "max_buckets": Parameter(1, 1e3, whole=True),
        "min_window_length": Parameter(0, 1e6, whole=True),
        "grace_period": Parameter(0, 1e9, whole=True),
    }
)
PAGE_HINKLEY = Parameters(
    {
        "min_instances": Parameter(0, 1e9, whole=True),
        "delta": Parameter(0, 1e12),
        "threshold": Parameter(0, 1e12),
        "alpha": Parameter(0, 1.0000001),  # 1 is allowed: nothing is forgotten
    }
)
KSWIN = Parameters(
    {
        "alpha": Parameter(0, 1),
        "window_size": Parameter(1, 1e6, whole=True),
        "stat_size": Parameter(0, 1e6, whole=True),
        "seed": Parameter(-1, 2**32, whole=True),
    },
    _windows_fit,
)
