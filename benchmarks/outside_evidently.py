"""Runs in Evidently's own environment (`benchmarks.outside`): which windows its default preset flags.

Reads an `.npz` with `reference` (n, k) and `windows` (w, m, k), column 0 being the output's length; prints one line of
JSON: for each window whether data set drift, drift of the length, and drift of any column was found.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset


def main(path: str) -> None:
    """Judge each window against the reference."""
    arrays = np.load(path)
    names = [f"f{number}" for number in range(arrays["reference"].shape[1])]
    reference = pd.DataFrame(arrays["reference"], columns=names)
    # A constant column has no test to run.
    names = [name for name in names if reference[name].nunique() > 1]
    found = []
    for window in arrays["windows"]:
        current = pd.DataFrame(window, columns=list(reference.columns))[names]
        metrics = Report([DataDriftPreset()]).run(current, reference[names]).dict()["metrics"]
        share = next(m["value"]["share"] for m in metrics if m["metric_name"].startswith("DriftedColumnsCount"))
        columns = {m["config"]["column"]: _drifted(m) for m in metrics if m["metric_name"].startswith("ValueDrift")}
        found.append({"dataset": share >= 0.5, "length": columns["f0"], "any": any(columns.values())})
    print(json.dumps({"windows": found}))


def _drifted(metric: dict) -> bool:
    value, threshold = float(metric["value"]), float(metric["config"]["threshold"])
    by_p_value = "p_value" in metric["config"]["method"]
    return bool(value < threshold if by_p_value else value >= threshold)


if __name__ == "__main__":
    main(sys.argv[1])
