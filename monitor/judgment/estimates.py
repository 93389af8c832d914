"""The pass rate of all outputs of a stream, from the few that were judged.

The sample is not uniform on purpose: outputs that look suspicious are judged more often. So the plain mean of the
verdicts is wrong always. Strata are the combinations of rules that applied; the share of each stratum among all outputs
is known, as every output is counted, and

    rate = sum over strata of (share of the stratum) x (rate among its judged outputs)       (post-stratification)

An evaluator that failed to answer leaves a *missing* verdict, which is never a failure; where more than 2 % are
missing, the bounds with all of them passing and all of them failing are given as well. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scipy.special import ndtri

from monitor.judgment.intervals import sequence, weighted_sum
from monitor.statistics.rates import UNKNOWN, Interval, wilson

MISSING_SHOWN_FROM = 0.02
"""Share of missing verdicts from which the estimate also gives what they could change: below, the interval is wider."""


@dataclass(slots=True)
class StratumCounts:
    """What is known of one stratum: outputs seen, and verdicts among those judged."""

    seen: int = 0
    passed: float = 0.0
    failed: float = 0.0
    missing: int = 0

    @property
    def judged(self) -> float:
        """Outputs with a verdict."""
        return self.passed + self.failed


@dataclass(frozen=True, slots=True)
class Estimate:
    """A pass rate of all outputs.

    Attributes
    ----------
    interval
        Rate, lower and upper bound.
    level
        Confidence asked for, such as 0.95.
    always_valid
        Whether the interval holds at every look together, and not at one look only.
    seen, judged, missing
        Outputs counted; with a verdict; drawn, but without one.
    if_missing
        Lowest and highest rate if all missing verdicts failed or passed; None where too few are missing to matter.
    unjudged_share
        Share of the outputs in strata without a single verdict: of these nothing is known, which widens the interval.
    """

    interval: Interval
    level: float
    always_valid: bool
    seen: int
    judged: float
    missing: int
    if_missing: tuple[float, float] | None = None
    unjudged_share: float = 0.0
    strata: Mapping[str, Interval] = field(default_factory=dict)


def estimate(strata: Mapping[str, StratumCounts], *, alpha: float = 0.05, always_valid: bool = True) -> Estimate | None:
    """The pass rate over all strata; None where no output was seen.

    With `always_valid` each stratum's confidence sequence at alpha / (number of strata), bounds added up (a union
    bound: exact, and wider); without, Wilson's intervals combined by MOVER, for one look.
    """
    seen = sum(counts.seen for counts in strata.values())
    if not seen:
        return None
    used = {name: counts for name, counts in strata.items() if counts.seen}
    shares = {name: counts.seen / seen for name, counts in used.items()}
    one = sequence if always_valid else wilson
    level = alpha / len(used) if always_valid else alpha
    by_stratum = {
        name: one(counts.passed, counts.judged, level) if counts.judged else UNKNOWN for name, counts in used.items()
    }
    judged = sum(counts.judged for counts in used.values())
    known = {name: part for name, part in by_stratum.items() if used[name].judged}
    # The rate of strata that nobody judged is taken to be that of the others; their bounds stay 0 to 1.
    weight = sum(shares[name] for name in known)
    rate = sum(shares[name] * part.rate for name, part in known.items()) / weight if weight else 0.5
    parts = {name: part if name in known else Interval(rate, 0.0, 1.0) for name, part in by_stratum.items()}
    if always_valid:
        low = sum(shares[name] * part.low for name, part in parts.items())
        high = sum(shares[name] * part.high for name, part in parts.items())
        whole = Interval(rate, low, high)
    else:
        whole = weighted_sum([(shares[name], part) for name, part in parts.items()], z=float(ndtri(1 - alpha / 2)))
    missing = sum(counts.missing for counts in used.values())
    return Estimate(
        interval=whole,
        level=1 - alpha,
        always_valid=always_valid,
        seen=seen,
        judged=judged,
        missing=missing,
        if_missing=_if_missing(used, shares, rate) if missing > MISSING_SHOWN_FROM * (judged + missing) else None,
        unjudged_share=1.0 - weight,
        strata=by_stratum,
    )


def _if_missing(strata: Mapping[str, StratumCounts], shares: Mapping[str, float], rate: float) -> tuple[float, float]:
    """The rate if all missing verdicts were failures, and if all were passes."""
    low = high = 0.0
    for name, counts in strata.items():
        drawn = counts.judged + counts.missing
        low += shares[name] * (counts.passed / drawn if drawn else rate)
        high += shares[name] * ((counts.passed + counts.missing) / drawn if drawn else rate)
    return low, high
