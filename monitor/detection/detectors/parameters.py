"""Parameters of the detectors that settings may choose, and which of their values mean something.

Apart from the detectors themselves, so that reading settings loads none of them. May import nothing from this project.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

# (lowest, highest) value with a meaning, both exclusive unless integral
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "adwin": {
        "delta": (0, 1),
        "clock": (0, 1e9),
        "max_buckets": (1, 1e3),
        "min_window_length": (0, 1e6),
        "grace_period": (0, 1e9),
    },
    "page_hinkley": {"min_instances": (0, 1e9), "delta": (0, 1e12), "threshold": (0, 1e12), "alpha": (0, 1.0000001)},
    "kswin": {"alpha": (0, 1), "window_size": (1, 1e6), "stat_size": (0, 1e6), "seed": (-1, 2**32)},
}
INTEGRAL = {
    "clock",
    "max_buckets",
    "min_window_length",
    "grace_period",
    "min_instances",
    "window_size",
    "stat_size",
    "seed",
}


def check_river(detector: str, parameters: Mapping[str, float]) -> None:
    """Raise `ValueError` that names the parameter and its range where river itself would accept nonsense."""
    allowed = RANGES[detector]
    for name, value in parameters.items():
        if name not in allowed:
            raise ValueError(f"{detector} has no parameter {name!r}; it has {', '.join(sorted(allowed))}")
        low, high = allowed[name]
        if not low < value < high:
            raise ValueError(f"{detector} {name} must be > {low:g} and < {high:g}, not {value:g}")
        if name in INTEGRAL and value != int(value):
            raise ValueError(f"{detector} {name} must be a whole number, not {value:g}")
    if detector == "kswin" and parameters.get("window_size", 100) < 2 * parameters.get("stat_size", 30):
        raise ValueError("kswin window_size must be at least twice stat_size")


def typed(parameters: Mapping[str, float]) -> dict[str, float]:
    """Parameters in the types that river counts and compares them in."""
    return {k: int(v) if k in INTEGRAL and v == int(v) else float(v) for k, v in parameters.items()}


def check_evidence(parameters: Mapping[str, float]) -> None:
    """Raise `ValueError` that names the parameter and what it must be."""
    for name, value in parameters.items():
        if name == "warmup":
            if not math.isfinite(value) or value != int(value) or value < 30:
                raise ValueError(f"evidence warmup must be a whole number >= 30, not {value:g}")
        elif name == "mean_run_length":
            if not 1 < value < 1e15:
                raise ValueError(f"evidence mean_run_length must be > 1 and < 1e15, not {value:g}")
        else:
            raise ValueError(f"evidence has no parameter {name!r}; it has mean_run_length, warmup")
