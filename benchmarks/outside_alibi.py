"""Runs in alibi-detect's own environment (`benchmarks.outside`): its online Cramer-von Mises detector on one feature.

Reads an `.npz` with `reference` (n), `same` (m, no change) and `others` (r, m, changed from the first); prints one line
of JSON: positions of alarms in `same`, and for each of `others` the events to the first alarm, or null.

Its expected run time is set to 1,000 events: setting thresholds is a simulation, and 10,000 took seven minutes for each
reference.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from alibi_detect.cd import CVMDriftOnline

RUN_TIME = 1_000
WINDOWS = [25, 50, 100]


def main(path: str) -> None:
    """Watch each stream."""
    arrays = np.load(path)
    detector = CVMDriftOnline(
        arrays["reference"].astype(np.float32), ert=RUN_TIME, window_sizes=WINDOWS, n_bootstraps=10_000, verbose=False
    )
    alarms = []
    for position, value in enumerate(arrays["same"].astype(np.float32)):
        if detector.predict(np.array([value]))["data"]["is_drift"]:
            alarms.append(position)
            detector.reset_state()
    delays = []
    for stream in arrays["others"].astype(np.float32):
        detector.reset_state()
        found = (n for n, v in enumerate(stream, 1) if detector.predict(np.array([v]))["data"]["is_drift"])
        delays.append(next(found, None))
    print(json.dumps({"alarms": alarms, "delays": delays}))


if __name__ == "__main__":
    main(sys.argv[1])
