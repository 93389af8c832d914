"""The directional bet: on whitened scores, in the direction of recent ones.

The bet on an event is e^(t u - cost), u being its whitened scores. The tilt t is the exponentially weighted mean of the
scores before it (so it is known in advance), at three rates, soft-thresholded by what the mean of that few rows shows
by chance (Donoho and Johnstone 1994), over the reference's long-run variance. The cost is that of a normal score with
the long-run variance, plus what the leading axes of autocorrelation have on top, plus the third power of the tilt times
what flags have over normal scores, plus the zone of indifference: a plug-in martingale (Fedorova, Gammerman,
Nouretdinov, Vovk 2012) against *near the reference*.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.views import Array32, Joint
from monitor.detection.state.jit import compiled

FORGETTING_RATES = np.array([0.2, 0.07, 0.02])
"""Weight of a new event in the mean of recent scores. Memories of about 5, 14 and 50 events: a large change is found
in a few events by the first, a small one by the last."""
ZONE_JOINT = 0.12
"""Standard deviations of a whitened coordinate that count as the same: a bet on a smaller shift would win slowly on
what no reference is sure of."""
STEP = (-2.0, 3.0)
"""Bounds of one event's log bet: no single event decides."""
_RATES, _STEP = FORGETTING_RATES.astype(np.float32), np.array(STEP, dtype=np.float32)


class DirectionalEvidence:
    """What a tilt earns and costs on one whitened view."""

    def __init__(self, joint: Joint) -> None:
        a = FORGETTING_RATES[:, None]
        m = joint.project.shape[1]
        threshold = 0.5 * np.sqrt(a / (2 - a) * joint.long_run * 2 * np.log(max(m, 2)))
        self._joint = joint
        skew = np.zeros((2, m)) if joint.skew is None else joint.skew
        self._skew = np.ascontiguousarray(skew, dtype=np.float32)
        self._thresholds = threshold.astype(np.float32)
        self._axes = np.array(joint.axes.T, dtype=np.float32, order="C")

    def log_bets(
        self, u: Array32, counts: Array32, codes: NDArray[np.intp], floors: Array32, recent: Array32
    ) -> Array32:
        """Log bets (rows, rates) on scores u (rows, m), each weighted by its count; `recent` takes the rows in.

        A row is bet on in the direction of the earlier ones of its segment. `codes` (rows) is the place of its segment
        in `recent` (rates, segments, m), the means of recent scores, and in `floors` (segments, m), the zone of
        indifference with the reference's error; it is negative for rows that are not bet on.
        """
        joint = self._joint
        return _log_bets(
            u, counts, codes, floors, recent, self._thresholds, joint.long_run, self._axes, joint.extra, self._skew
        )


@compiled
def _log_bets(
    u: Array32,
    counts: Array32,
    codes: NDArray[np.intp],
    floors: Array32,
    recent: Array32,
    thresholds: Array32,
    long_run: Array32,
    axes: Array32,
    extra: Array32,
    skew: Array32,
) -> Array32:
    rows, m = u.shape
    out = np.zeros((rows, len(_RATES)), dtype=np.float32)
    tilt = np.empty(m, dtype=np.float32)
    one, half = np.float32(1), np.float32(0.5)
    for row in range(rows):
        own = codes[row]
        if own < 0:
            continue
        count = counts[row]
        scores = u[row]
        floor = floors[own]
        for rate in range(len(_RATES)):
            mean = recent[rate, own]
            threshold = thresholds[rate]
            gain = np.float32(0)
            for i in range(m):
                past = mean[i]
                beyond = past - min(max(past, -threshold[i]), threshold[i])
                t = min(max(beyond / long_run[i], -one), one)
                tilt[i] = t
                size = abs(t)
                over = skew[0, i] if t > 0 else skew[1, i]
                gain += t * scores[i] - size * (floor[i] + size * (half * long_run[i] + size * over))
                mean[i] = past + _RATES[rate] * (scores[i] * count - past)
            for leading in range(len(extra)):
                axis = axes[leading]
                along = np.float32(0)
                for i in range(m):
                    along += tilt[i] * axis[i]
                gain -= half * along * along * extra[leading]
            out[row, rate] = min(max(gain, _STEP[0]), _STEP[1])
    return out


class DirectionalBet:
    """The joint bet on one whitened view: state is the mean of recent scores, (3 rates, m)."""

    def __init__(self, joint: Joint) -> None:
        self._project = joint.project
        self._bets = DirectionalEvidence(joint)
        self._floor = (np.float32(ZONE_JOINT) + joint.error)[None]
        self.recent: Array32 = np.zeros((len(FORGETTING_RATES), joint.project.shape[1]), dtype=np.float32)

    def whitened(self, centred: Array32) -> Array32:
        """Whitened scores (rows, m) of rows y - mean (rows, d)."""
        u: Array32 = np.clip(centred[:, : len(self._project)] @ self._project, -CLIP, CLIP)
        return u

    def log_bets(self, u: Array32, counts: Array32) -> Array32:
        """Log bets (rows, rates) of a block's whitened scores (rows, m), weighted by their counts."""
        everywhere = np.zeros(len(u), dtype=np.intp)
        return self._bets.log_bets(u, counts, everywhere, self._floor, self.recent[:, None])
