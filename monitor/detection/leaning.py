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

from monitor.detection.moments import CLIP
from monitor.detection.reference import Array32, Joint

Array = NDArray[np.float64]

LEAN_RATES = np.array([0.2, 0.07, 0.02])
"""Memory of the leaning bets: about 5, 14 and 50 events."""
ZONE_JOINT = 0.12
"""Standard deviations of a whitened coordinate that count as the same."""
STEP = (-2.0, 3.0)
"""Bounds of one event's log bet: no single event decides."""

CHUNK = 32
"""Rows whose leans are worked out by one product of matrices; longer blocks are taken in so many at a time."""

_AGE = np.arange(CHUNK)
_WEIGHTS = np.stack(
    [np.where(_AGE[:, None] > _AGE, a * (1 - a) ** np.maximum(_AGE[:, None] - 1 - _AGE, 0), 0.0) for a in LEAN_RATES]
).astype(np.float32)
DECAY = ((1 - LEAN_RATES[:, None]) ** np.arange(CHUNK + 1)).astype(np.float32)
"""What is left of a lean after so many rows (rates, CHUNK + 1)."""
FADED: Array32 = LEAN_RATES[:, None].astype(np.float32) * DECAY[:, :CHUNK]
"""What a row adds to a lean when so many others have come after it (rates, CHUNK)."""


class Leaning:
    """What a tilt earns and costs on one whitened view."""

    def __init__(self, joint: Joint) -> None:
        self._joint = joint
        a = LEAN_RATES[:, None]
        m = joint.project.shape[1]
        threshold = 0.5 * np.sqrt(a / (2 - a) * joint.long_run * 2 * np.log(max(m, 2)))
        self._threshold = threshold.astype(np.float32)[:, None]
        self._precision = 1 / joint.long_run
        self._half_long_run = joint.long_run / 2
        self._half_extra = joint.extra / 2

    def log_bets(self, u: Array32, before: Array32, floor: Array32) -> Array32:
        """Log bets (rows, rates) on scores u (rows, m) that leaned by `before` (rates, rows, m).

        `floor` (m) or (rows, m) is the zone of indifference with the reference's error.
        """
        joint = self._joint
        tilt = np.maximum(before, -self._threshold)
        np.minimum(tilt, self._threshold, out=tilt)
        np.subtract(before, tilt, out=tilt)
        tilt *= self._precision
        np.maximum(tilt, -1, out=tilt)
        np.minimum(tilt, 1, out=tilt)
        gain: Array32 = np.einsum("rtm,tm->rt", tilt, u)
        size = np.abs(tilt)
        gain -= size @ floor if floor.ndim == 1 else np.einsum("rtm,tm->rt", size, floor)
        size *= size
        gain -= size @ self._half_long_run
        along = tilt @ joint.axes
        along *= along
        gain -= along @ self._half_extra
        np.maximum(gain, STEP[0], out=gain)
        np.minimum(gain, STEP[1], out=gain)
        return gain.T


class LeaningBet:
    """The joint bet on one whitened view: state is where recent scores lean, (3 rates, m)."""

    def __init__(self, joint: Joint) -> None:
        self._joint = joint
        self._leaning = Leaning(joint)
        self._floor = np.float32(ZONE_JOINT) + joint.error
        self.lean: Array32 = np.zeros((len(LEAN_RATES), joint.project.shape[1]), dtype=np.float32)

    def whitened(self, centred: Array32) -> Array32:
        """Whitened scores (rows, m) of rows y - mean (rows, d)."""
        project = self._joint.project
        u: Array32 = np.clip(centred[:, : len(project)] @ project, -CLIP, CLIP)
        return u

    def log_bets(self, u: Array32, counts: Array32) -> Array32:
        """Log bets (rows, rates) of a block's whitened scores (rows, m), each counted so much; moves the lean on."""
        rows, m = u.shape
        counted = u * counts[:, None]
        last = (rows - 1) // CHUNK * CHUNK
        if not last:
            before = self._step(counted)
        else:
            # All chunks but the last at once, except for where they start from.
            whole = counted[:last].reshape(-1, CHUNK, m)
            before = np.empty((len(LEAN_RATES), rows, m), dtype=np.float32)
            inside = before[:, :last].reshape(len(LEAN_RATES), -1, CHUNK, m)
            np.matmul(_WEIGHTS[:, None], whole, out=inside)
            for chunk, added in enumerate(FADED[:, ::-1] @ whole):
                inside[:, chunk] += DECAY[:, :CHUNK, None] * self.lean[:, None]
                self.lean = self.lean * DECAY[:, CHUNK, None] + added
            before[:, last:] = self._step(counted[last:])
        return self._leaning.log_bets(u, before, self._floor)

    def _step(self, counted: Array32) -> Array32:
        """Where scores leaned before each of at most `CHUNK` rows of counted scores (rates, rows, m); moves on."""
        rows = len(counted)
        before: Array32 = _WEIGHTS[:, :rows, :rows] @ counted
        before += DECAY[:, :rows, None] * self.lean[:, None]
        self.lean = self.lean * DECAY[:, rows, None] + FADED[:, rows - 1 :: -1] @ counted
        return before
