"""The leaning bet: on whitened scores, in the direction in which recent ones lean.

The bet on an event is e^(t u - cost), u being its whitened scores. The tilt t is the exponentially weighted mean of the
scores before it (so it is known in advance), at three rates, soft-thresholded by what the mean of so few rows shows
anyway (Donoho and Johnstone 1994), over the reference's long-run variance. The cost is that of a normal score with the
long-run variance, plus what the leading axes of autocorrelation have on top, plus the zone of indifference: a plug-in
martingale (Fedorova, Gammerman, Nouretdinov, Vovk 2012) against *near the reference*.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detection.moments import BLOCK, CLIP
from monitor.detection.reference import Joint

Array = NDArray[np.float64]

LEAN_RATES = np.array([0.2, 0.07, 0.02])
"""Memory of the leaning bets: about 5, 14 and 50 events."""
ZONE_JOINT = 0.12
"""Standard deviations of a whitened coordinate that count as the same."""
STEP = (-2.0, 3.0)
"""Bounds of one event's log bet: no single event decides."""

_AGE = np.arange(BLOCK)
_WEIGHTS = np.stack(
    [np.where(_AGE[:, None] > _AGE, a * (1 - a) ** np.maximum(_AGE[:, None] - 1 - _AGE, 0), 0.0) for a in LEAN_RATES]
)
_DECAY = (1 - LEAN_RATES[:, None]) ** np.arange(BLOCK + 1)


class Leaning:
    """What a tilt earns and costs on one whitened view."""

    def __init__(self, joint: Joint) -> None:
        self._joint = joint
        a = LEAN_RATES[:, None]
        m = joint.project.shape[1]
        self._threshold = 0.5 * np.sqrt(a / (2 - a) * joint.long_run * 2 * np.log(max(m, 2)))

    def log_bets(self, u: Array, before: Array, floor: Array) -> Array:
        """Log bets (rows, rates) on scores u (rows, m) that leaned by `before` (rates, rows, m).

        `floor` (m) or (rows, m) is the zone of indifference with the reference's error.
        """
        joint = self._joint
        size = np.minimum(np.maximum(np.abs(before) - self._threshold[:, None], 0) / joint.long_run, 1.0)
        tilt = np.copysign(size, before)
        cost = 0.5 * ((size * size) @ joint.long_run + (tilt @ joint.axes) ** 2 @ joint.extra)
        gain = (tilt * u - size * floor).sum(-1) - cost
        bounded: Array = np.clip(gain, *STEP).T
        return bounded


class LeaningBet:
    """The joint bet on one whitened view: state is where recent scores lean, (3 rates, m)."""

    def __init__(self, joint: Joint) -> None:
        self._joint = joint
        self._leaning = Leaning(joint)
        self._floor = ZONE_JOINT + joint.error
        self.lean = np.zeros((len(LEAN_RATES), joint.project.shape[1]))

    def whitened(self, centred: Array) -> Array:
        """Whitened scores (rows, m) of rows y - mean (rows, d)."""
        project = self._joint.project
        return np.clip(centred[:, : len(project)] @ project, -CLIP, CLIP)

    def log_bets(self, u: Array, counts: Array) -> Array:
        """Log bets (rows, rates) of a block's whitened scores (rows, m), each counted so much; moves the lean on."""
        rows = len(u)
        counted = u * counts[:, None]
        before = _WEIGHTS[:, :rows, :rows] @ counted + _DECAY[:, :rows, None] * self.lean[:, None, :]
        fade = LEAN_RATES[:, None] * _DECAY[:, :rows][:, ::-1]
        self.lean = self.lean * _DECAY[:, rows, None] + fade @ counted
        return self._leaning.log_bets(u, before, self._floor)
