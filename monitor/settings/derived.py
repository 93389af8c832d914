"""How streams of verdicts are watched, given how their parent stream is. Pure."""

from __future__ import annotations

from monitor.criteria.criterion import JUDGED_PREFIX
from monitor.criteria.derived import FEEDBACK_PREFIX
from monitor.detection.settings import DetectionSettings

WARMUP = 100
"""Verdicts that the first reference is learned from: at 2 % of some thousand outputs a day they take a day or two."""
MATURE = 5_000
"""Verdicts up to which the reference matures. Verdicts are few and their rate is all that is known: with 400 a fall
from 92 to 80 % takes 350 verdicts to find, with 1,000 half of that (`benchmarks/judged.py`)."""
FAILURE_FLOOR = 0.03
"""Smallest change of the pass rate worth an alert: three outputs in a hundred, as for other flags. The lower floor of
faults is for what a program sees in every output; an evaluator errs in as many."""
RECOVERY = 100
"""Verdicts over which a change must be back, at least: as many as a reference is first learned from."""


def judged_detection(parent: DetectionSettings) -> DetectionSettings:
    """Detection settings of a stream of verdicts on outputs of a stream with these settings.

    The alert budget, the time after which it is forgotten, and the attributes whose versions are compared are the
    parent's. Its features, detectors, objectives and floors are about other columns. How many verdicts come depends on
    the draw and the evaluator, so neither their rate nor silence says anything of the application.
    """
    floors = parent.floors.model_copy(update={"failure": FAILURE_FLOOR})
    return DetectionSettings(
        alert_budget=parent.alert_budget,
        forget_after=parent.forget_after,
        canary=parent.canary,
        warmup=WARMUP,
        mature=MATURE,
        recovery=RECOVERY,
        features=(f"{JUDGED_PREFIX}*",),
        floors=floors,
        alert_on=("output",),
        watch_volume=False,
    )


def feedback_detection(parent: DetectionSettings) -> DetectionSettings:
    """Detection settings of a stream of users' feedback: as for verdicts, which are as few and as alike."""
    return judged_detection(parent).model_copy(update={"features": (f"{FEEDBACK_PREFIX}*",)})
