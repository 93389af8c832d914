"""What counts as the same as the reference: zones of indifference, wider while a reference is young.

Called by `monitor.detection.reference.reference`. Pure.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from monitor.detection.reference.moments import PLACE, SPREAD
from monitor.detection.reference.young_reference import GROWN

Array = NDArray[np.float64]

ZONE_SINGLE = 0.12
"""Standard deviations of a single number that count as the same."""
ZONE_SPREAD = 0.1
"""Relative change of a single number's variance that counts as the same."""
_AROUND = 16
"""Points at which the edge of a zone is looked at."""


def young_widening(n: int) -> float:
    """Factor on the standard errors of a reference of n rows: 1 from `GROWN` rows on, 1.7 at 200, 2.2 at 100.

    What counts as the same as the reference is a fixed zone and one standard error. Of the error that is really there,
    1 / sqrt(n) a coordinate at any n, the fixed zone covers 2.4 times as much at 400 rows, but only 1.7 times at 200
    and 1.2 at 100: the reference's own error then looks like a change sooner or later. The factor makes a young zone as
    many of its standard errors wide as that of a grown reference: (zone + factor / sqrt(n)) sqrt(n) is the same for
    every n up to `GROWN`. A reference without numbers, as of a stream of verdicts, has no such zone and is not widened.
    """
    return 1.0 + ZONE_SINGLE * max(0.0, math.sqrt(GROWN) - math.sqrt(n))


def zone_cost(error: Array) -> Array:
    """What the best place and spread within the zone of indifference would earn the bets on single numbers (bets, k).

    The zone is an ellipse around mean 0 and variance 1; the standard error of a mean is `error` (k). For z normal with
    mean m and variance v, log E e^(a z + b z^2) = (a m + b m^2 + a^2 v / 2) / (1 - 2 b v) - log(1 - 2 b v) / 2.
    """
    a, b = PLACE[:, None], SPREAD[:, None]

    def expected(m: Array | float, v: Array | float) -> Array:
        rest = np.maximum(1 - 2 * b * v, 0.05)
        return np.asarray((a * m + b * m * m + a * a * v / 2) / rest - np.log(rest) / 2)

    place, spread = ZONE_SINGLE + error, np.minimum(ZONE_SPREAD + np.sqrt(2) * error, 0.9)
    around = 2 * np.pi * np.arange(_AROUND) / _AROUND
    most = np.max([expected(place * np.cos(t), 1 + spread * np.sin(t)) for t in around], axis=0)
    return np.asarray(most - expected(0.0, 1.0))
