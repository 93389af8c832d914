"""How soon a fall of judged quality is found, how soon a changed evaluator, and how often either is reported wrongly.

    python -m benchmarks.judged            # a minute or two: fewer runs of the same settings
    python -m benchmarks.judged --full     # as in docs/benchmarks.md

Delays are over the reference's own uncertainty: each run draws its own reference, of as many verdicts as the row says,
lets the monitor learn from the first 100 of them and mature on the rest, and then lowers the share that passes. The
monitor is that of a stream of verdicts (`monitor.settings.derived`), with the threshold of one false alarm in 10,000
verdicts. The bound is that of a known share: log of the threshold over the divergence of the two shares (Lorden 1971).

Anchors are 120 labelled outputs, half of which people failed, a fifth of them borderline, judged five times when the
evaluator is pinned and then 30 a day in turn.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.criteria.anchors import Anchor
from monitor.criteria.criterion import Criterion
from monitor.criteria.derived import judged_features, judged_stream
from monitor.detection import Finding, StreamMonitor
from monitor.detection.settings import DetectionSettings
from monitor.features.batch import FeatureBatch
from monitor.judgment.anchor_book import DAY_S, AnchorBook
from monitor.judgment.records import Judgment, Purpose
from monitor.settings.derived import judged_detection

CRITERION = Criterion.model_validate({"name": "answers", "pass": "addresses what was asked", "evaluator": "main"})
STREAM = judged_stream("shop/answers", CRITERION.name)
SPECS = judged_features([CRITERION])
VERDICTS_A_DAY = 200
SETTINGS = judged_detection(DetectionSettings(alert_budget=(1.0, 10_000 / VERDICTS_A_DAY * DAY_S)))
"""One false alarm in 10,000 verdicts, at as many a day."""
PASSED_BEFORE = 0.92
FALLS = (0.80, 0.70)
REFERENCES = (100, 200, 400, 1_000, 2_000)
"""Verdicts before the fall."""
CALM_VERDICTS = 10_000
"""Verdicts without a fall of a run that counts false alarms."""
LONGEST = 800
"""Verdicts after a fall within which it must be found."""
ANCHORS, SURE_PASS, SURE_FAIL, BORDERLINE = 120, 0.97, 0.10, 0.2
SHIFTS = (0.10, 0.25, -0.10)
"""Share of the failures that pass from then on; negative: of the passes that fail."""
CHANGED_ON_DAY, DAYS_AFTER = 30, 90


def rows(failed: NDArray[np.bool_], first: int) -> FeatureBatch:
    """Verdicts (n) as rows of the derived stream, the first of which is its event number `first`."""
    n = len(failed)
    numbers = np.arange(first, first + n)
    return FeatureBatch(
        names=(CRITERION.feature,),
        values=failed.astype(np.float32)[:, None],
        streams=[STREAM] * n,
        ids=[f"e{number}" for number in numbers],
        times=1.79e9 + DAY_S / VERDICTS_A_DAY * numbers,
        digests=(numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15),
        segments=[{"evaluator": "main a1"}] * n,
        input_excerpts=[""] * n,
        output_excerpts=[""] * n,
        source="judgments",
        source_partitions=np.zeros(n, dtype=np.int32),
        source_offsets=numbers.astype(np.int64),
    )


def opened(found: Sequence[Finding]) -> list[int]:
    """Event numbers at which findings that fire were raised."""
    return [finding.raised_at.index for finding in found if finding.opens]


def delay(seed: int, learned: int, passes: float) -> float | None:
    """Verdicts until a fall is found, infinite where it is not; None where something was found before it."""
    rng = np.random.default_rng(seed)
    monitor = StreamMonitor(STREAM, SETTINGS, SPECS)
    if opened(monitor.observe(rows(rng.random(learned) >= PASSED_BEFORE, 0))):
        return None
    for first in range(learned, learned + LONGEST, 32):
        if at := opened(monitor.observe(rows(rng.random(32) >= passes, first))):
            return at[0] - learned + 1
    return math.inf


def false_alarms(seed: int, verdicts: int) -> int:
    """Findings that fire in so many verdicts without a fall."""
    rng = np.random.default_rng(seed)
    return len(opened(StreamMonitor(STREAM, SETTINGS, SPECS).observe(rows(rng.random(verdicts) >= PASSED_BEFORE, 0))))


def bound(passes: float, threshold: float = 10_000.0) -> float:
    """Verdicts that a fall to this share takes at least, where the share before is known."""
    p, q = passes, PASSED_BEFORE
    return math.log(threshold) / (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))


class Evaluator:
    """An evaluator with a probability to pass for each anchor (n), and its book."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        made = [Anchor(output=f"answer {seed} {number}", passed=number % 2 == 0) for number in range(ANCHORS)]
        self.anchors = {anchor.id: anchor for anchor in made}
        unsure = self.rng.random(ANCHORS) < BORDERLINE
        usual = np.where([anchor.passed for anchor in made], SURE_PASS, SURE_FAIL)
        passes = np.where(unsure, self.rng.uniform(0.2, 0.8, ANCHORS), usual)
        self.passes = dict(zip(self.anchors, passes.tolist(), strict=True))
        self.book = AnchorBook(CRITERION.name, self.anchors, CRITERION.anchors_per_day)
        self._offset = 0

    def changes(self, shift: float) -> None:
        """From now on a share of its failures passes, or of its passes fails."""
        self.passes = {k: p + shift * (1 - p) if shift > 0 else p * (1 + shift) for k, p in self.passes.items()}

    def judges(self, names: Sequence[str], time: float) -> list[Finding]:
        """Verdicts on anchors, as they come from the log."""
        found: list[Finding] = []
        for name in names:
            self._offset += 1
            judgment = Judgment(
                stream=self.book.stream,
                event=f"{name}@{self._offset}",
                time=time,
                judged_at=time,
                criterion=CRITERION.name,
                purpose=Purpose.ANCHOR,
                anchor=name,
                passed=bool(self.rng.random() < self.passes[name]),
                evaluator="main",
                identity="a1",
            )
            found += self.book.apply(judgment, self._offset)
        return found

    def first_alarm(self, days: int, shift: float = 0.0, on_day: int = -1) -> float | None:
        """Day of the first finding, from the day after it was pinned; None where there is none."""
        assert self.judges(self.book.due(0.0), 0.0) == []
        for step in range(days * CRITERION.anchors_per_day):
            day = step / CRITERION.anchors_per_day
            if step == on_day * CRITERION.anchors_per_day:
                self.changes(shift)
            time = DAY_S * (1 + day)
            if self.judges(self.book.due(time), time):
                return day
        return None


def report_falls(runs: int) -> None:
    """Delays by the size of the fall and of the reference."""
    for passes in FALLS:
        print(f"fall from {PASSED_BEFORE:.0%} to {passes:.0%}: bound {bound(passes):.0f} verdicts where 92 % is known")
        for learned in REFERENCES:
            found = [delay(seed, learned, passes) for seed in range(runs)]
            known = [each for each in found if each is not None]
            median, late = np.quantile(known, [0.5, 0.9], method="lower")
            missed, before = sum(each == math.inf for each in known), len(found) - len(known)
            print(
                f"    {learned:5,} judged before: found after {median:.0f} in the median, {late:.0f} in 9 of 10; "
                f"not within {LONGEST}: {missed} of {len(known)}; alarms before the fall: {before}",
                flush=True,
            )


def report_false_alarms(runs: int) -> None:
    """Findings without a fall."""
    alarms = sum(false_alarms(10_000 + seed, CALM_VERDICTS) for seed in range(runs))
    print(f"no fall: {alarms} false alarms in {runs * CALM_VERDICTS:,} verdicts (asked: 1 in 10,000)", flush=True)


def report_anchors(years: int, runs: int) -> None:
    """The evaluator's own drift."""
    alarms = sum(Evaluator(seed).first_alarm(365) is not None for seed in range(years))
    print(f"evaluator as it was: a false alarm in {alarms} of {years} simulated years", flush=True)
    for shift in SHIFTS:
        days = [
            Evaluator(1_000 + seed).first_alarm(CHANGED_ON_DAY + DAYS_AFTER, shift, CHANGED_ON_DAY)
            for seed in range(runs)
        ]
        after = [
            math.inf if day is None else day - CHANGED_ON_DAY for day in days if day is None or day >= CHANGED_ON_DAY
        ]
        what = f"{shift:.0%} of failures pass" if shift > 0 else f"{-shift:.0%} of passes fail"
        found = sum(day < math.inf for day in after)
        print(f"    {what}: found {found} of {len(after)} within {DAYS_AFTER} days, median {np.median(after):.1f} days",
              flush=True)  # fmt: skip


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--full", action="store_true", help="as many runs as docs/benchmarks.md has")
    full = parser.parse_args().full
    report_falls(60 if full else 12)
    report_false_alarms(30 if full else 3)
    report_anchors(100 if full else 8, 40 if full else 8)


if __name__ == "__main__":
    main()
