"""Is it the outputs or the evaluation model? A fixed set of labelled outputs, judged again day after day.

Each anchor is judged `repeats` times when the evaluator is pinned; the share of passes is its baseline. Later each new
verdict is compared with that anchor's own baseline, d = verdict - baseline, which has a mean of about zero while the
evaluator stays the same. Evidence against that: bets up and down, over all anchors and over the good and the bad ones
separately, each of which first pays an indifference zone (a baseline of few repeats is itself an estimate):

    e = 1 + size x (+-d - ZONE),    R <- (R + 1) e,    alarm where the mean of R exceeds the number of verdicts in
    `period`

(Shiryaev-Roberts e-detector: Shin, Ramdas and Rinaldo 2023.) The threshold is the mean number of verdicts between false
alarms. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ZONE = 0.02
"""Change of the pass rate that is not worth an alarm. Without it a baseline of five repeats alarmed in 65 to 88 % of
simulated years; with it in 10 to 13 %, one a year being 63 %."""
SIZES = (0.05, 0.1, 0.2, 0.4, 0.7)
"""Sizes of the bets, small to large changes; all below 1 / (1 + ZONE), so that no bet can lose everything."""


@dataclass(frozen=True, slots=True)
class AnchorAlarm:
    """The evaluator changed.

    `lenient` says that it passes more than before; `group` is `all`, `good` or `bad`, where that shows most.
    """

    verdicts: int
    lenient: bool
    group: str


class AnchorWatch:
    """Evidence that an evaluator judges its anchors differently from when it was pinned.

    Parameters
    ----------
    baselines
        Per anchor the share of passes when the evaluator was pinned, in [0, 1].
    good
        Per anchor whether people passed it.
    verdicts_in_period
        Verdicts on anchors in the period in which one false alarm is allowed (a year by default elsewhere).
    """

    GROUPS = ("all", "good", "bad")

    def __init__(self, baselines: dict[str, float], good: dict[str, bool], verdicts_in_period: float) -> None:
        self._baselines = baselines
        self._good = good
        self._threshold = verdicts_in_period
        self._evidence: npt.NDArray[np.float64] = np.zeros((3, 2, len(SIZES)))
        self.verdicts = 0

    @property
    def evidence(self) -> float:
        """The mean of all bets' evidence; an alarm where it exceeds the verdicts in the period."""
        return float(self._evidence.mean())

    def observe(self, anchor: str, passed: bool) -> AnchorAlarm | None:
        """One new verdict. After an alarm evidence starts from zero. Raises `KeyError` for an unknown anchor."""
        d = float(passed) - self._baselines[anchor]
        e = 1 + np.asarray(SIZES) * (np.array([[d], [-d]]) - ZONE)
        groups = [0, 1 if self._good[anchor] else 2]
        self._evidence[groups] = (self._evidence[groups] + 1) * e
        self.verdicts += 1
        if self.evidence <= self._threshold:
            return None
        most = np.unravel_index(int(self._evidence.mean(2).argmax()), (3, 2))
        alarm = AnchorAlarm(self.verdicts, bool(most[1] == 0), self.GROUPS[int(most[0])])
        self._evidence[:] = 0
        return alarm

    def snapshot(self) -> dict[str, object]:
        """Plain data."""
        return {"evidence": self._evidence.tolist(), "verdicts": self.verdicts}

    def restore(self, plain: dict[str, object]) -> None:
        """Go on where `snapshot` was taken."""
        self._evidence = np.asarray(plain["evidence"], dtype=np.float64)
        self.verdicts = int(str(plain["verdicts"]))
