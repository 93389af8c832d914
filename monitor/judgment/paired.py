"""The same inputs before and after a change: does quality fall by more than a stated share?

Each case is run `r` times before and after; b and a are its means over the runs, in [0, 1]. The question is whether
quality fell by more than theta (10 % by default) *of the baseline*. As a linear contrast of each pair,
d = a - (1 - theta) b, it is answered by a one-sided t-test on the cases (Fieller 1954), cases of one conversation
averaged first.

- pass: the lower bound of the mean of d is above 0: surely less than theta was lost (non-inferiority);
- fail: surely more than theta was lost; at the last look also where more was lost by the point estimate and the loss
  itself is significant;
- cannot tell: neither; the open cases are run again, at looks of 1, 2, 4 and 8 runs, with alpha divided by the number
  of looks (Bonferroni: valid whatever the looks share).

A comparison of two means alone fails 14 % of the builds that lost 5 % and passes 18 % of those that lost 15 % (100
cases; `benchmarks/judgment.py`). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import stats

LOOKS = (1, 2, 4, 8)
"""Runs of each case after which a verdict is sought: a clear answer costs one run, an open one eight."""
THETA = 0.10
"""Share of the baseline that may be lost."""
ALPHA = 0.05
"""Error of each side, over all looks."""

Floats = npt.NDArray[np.float64]


class Verdict(StrEnum):
    """What a comparison concludes."""

    PASS = "pass"
    FAIL = "fail"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the same cases.

    Attributes
    ----------
    verdict
        As the module describes.
    before, after
        Mean quality, in [0, 1].
    loss
        Share of the baseline that was lost, with a 90 % interval (`loss_low`, `loss_high`); negative: gained.
    p_fail
        One-sided p-value of "not more than theta was lost", for corrections over several criteria.
    units
        Independent units compared: cases, or conversations.
    """

    verdict: Verdict
    before: float
    after: float
    loss: float
    loss_low: float
    loss_high: float
    p_fail: float
    p_pass: float
    units: int


def cluster_means(values: Sequence[float], clusters: Sequence[Hashable]) -> Floats:
    """The mean of each cluster, in the order in which clusters first come (n cases -> m clusters)."""
    sums: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums.setdefault(cluster, []).append(value)
    return np.array([sum(part) / len(part) for part in sums.values()])


def compare(
    before: Sequence[float],
    after: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    theta: float = THETA,
    look: int = 0,
    looks: int = len(LOOKS),
    alpha: float = ALPHA,
) -> Comparison:
    """Compare each case's mean quality before and after, both (n) and in [0, 1].

    `look` counts from 0; at the last one of `looks` the verdict may also rest on a significant loss whose point
    estimate exceeds theta. Raises `ValueError` for fewer than two units, or sides of different length.
    """
    b, a = np.asarray(before, float), np.asarray(after, float)
    if len(a) != len(b):
        raise ValueError(f"before has {len(b)} cases and after {len(a)}: both must be the same cases")
    if clusters is not None:
        b, a = cluster_means(b.tolist(), clusters), cluster_means(a.tolist(), clusters)
    if len(b) < 2:
        raise ValueError("at least two cases (or conversations) are needed to compare")
    each = alpha / looks
    p_fail = _p_above_zero((1 - theta) * b - a)
    p_pass = _p_above_zero(a - (1 - theta) * b)
    over = a.mean() < (1 - theta) * b.mean()
    last = look >= looks - 1
    if p_fail < each or (last and over and _p_above_zero(b - a) < alpha):
        verdict = Verdict.FAIL
    elif p_pass < each:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.CANNOT_TELL
    low, high = _loss_interval(b, a)
    loss = 1 - float(a.mean() / b.mean()) if b.mean() > 0 else math.nan
    return Comparison(verdict, float(b.mean()), float(a.mean()), loss, low, high, p_fail, p_pass, len(b))


def _p_above_zero(d: Floats) -> float:
    """One-sided p-value of "the mean of d is not above 0"; d (n) without variation is taken at its word."""
    n = len(d)
    sd = float(d.std(ddof=1))
    mean = float(d.mean())
    if sd < 1e-12:
        return 0.0 if mean > 1e-12 else 1.0
    return float(stats.t.sf(mean / (sd / math.sqrt(n)), n - 1))


def _loss_interval(b: Floats, a: Floats, alpha: float = 0.10) -> tuple[float, float]:
    """The shares of the baseline that the two one-sided tests do not exclude (Fieller's interval), by their roots."""
    n = len(b)
    t2 = float(stats.t.ppf(1 - alpha / 2, n - 1)) ** 2 / n
    mb, ma = float(b.mean()), float(a.mean())
    vb, va, cov = float(b.var(ddof=1)), float(a.var(ddof=1)), float(np.cov(b, a)[0, 1])
    # All rho with (ma - rho mb)^2 <= t2 (va - 2 rho cov + rho^2 vb).
    qa, qb, qc = mb * mb - t2 * vb, -2 * (ma * mb - t2 * cov), ma * ma - t2 * va
    root = qb * qb - 4 * qa * qc
    if qa <= 0 or root < 0:
        return -math.inf, 1.0
    low, high = (-qb - math.sqrt(root)) / (2 * qa), (-qb + math.sqrt(root)) / (2 * qa)
    return 1 - high, min(1.0, 1 - low)


def cases_needed(
    baseline: float,
    *,
    run_share: float = 0.5,
    runs: int = 1,
    theta: float = THETA,
    alpha: float = ALPHA,
    power: float = 0.8,
) -> int:
    """Cases with which a change without effect passes with this power, at one look.

    `run_share`: share of a verdict's variance that lies between runs of one case rather than between cases.
    """
    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(power))
    s2 = baseline * (1 - baseline)
    variance = s2 * run_share * (1 + (1 - theta) ** 2) / runs + s2 * (1 - run_share) * theta**2
    return max(2, math.ceil(z * z * variance / (theta * baseline) ** 2))
