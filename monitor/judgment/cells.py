"""Verdicts of an evaluation model, corrected by people who looked at some of the same outputs.

The model's own pass rate is off by as much as the model errs. People are right and few. So each verdict v of the model
(in each stratum h) is a *cell*: how often it came is known from many outputs, and what people say of it from few,

    rate = sum over cells of q(h, v) x p(h, v),    q = share of the verdict, p = share that people pass in the cell.

Wilson's interval of each p, combined by MOVER, plus the variance of q (two-phase stratified sampling: Cochran 1977,
section 12.2). Cells with fewer than `FEWEST` labels take p from that verdict over all strata. Calibration belongs to
one stream, criterion and evaluator version and is never carried over. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import ndtri

from monitor.judgment.intervals import weighted_sum
from monitor.statistics.rates import UNKNOWN, Interval, wilson

FEWEST = 8
"""Labels that a cell needs for a rate by itself: with fewer, intervals of 95 % covered under 93 % in simulation."""


@dataclass(slots=True)
class Cell:
    """One verdict of the evaluation model in one stratum.

    Attributes
    ----------
    judged
        Outputs to which the model gave this verdict.
    looked_at, passed
        How many of them people looked at, and passed.
    """

    judged: float = 0.0
    looked_at: float = 0.0
    passed: float = 0.0


@dataclass(frozen=True, slots=True)
class Corrected:
    """The pass rate by people's measure, from both.

    `pooled` names the cells that had too few labels to stand alone.
    """

    interval: Interval
    level: float
    people: float
    judged: float
    pooled: tuple[tuple[str, str], ...]


def corrected(
    cells: Mapping[tuple[str, str], Cell],
    shares: Mapping[str, float],
    *,
    alpha: float = 0.05,
    all_judged: bool = False,
    looked_share: float = 0.0,
) -> Corrected | None:
    """The pass rate of all outputs, by people's measure, for one look.

    Parameters
    ----------
    cells
        By (stratum, verdict).
    shares
        Share of each stratum among all outputs; they add up to 1.
    all_judged
        Whether the model judged every output: then the shares of verdicts are exact.
    looked_share
        Share of all outputs that people saw, for the correction of a finite population; 0 where it is small.

    Returns None where people looked at nothing, or the model judged nothing.
    """
    people = sum(cell.looked_at for cell in cells.values())
    judged = sum(cell.judged for cell in cells.values())
    if not people or not judged:
        return None
    z = float(ndtri(1 - alpha / 2))
    finite = (1 - looked_share) ** 0.5
    verdicts = sorted({verdict for _, verdict in cells})
    overall = {
        verdict: (
            sum(cell.passed for (_, v), cell in cells.items() if v == verdict),
            sum(cell.looked_at for (_, v), cell in cells.items() if v == verdict),
        )
        for verdict in verdicts
    }
    parts: list[tuple[float, Interval]] = []
    pooled: list[tuple[str, str]] = []
    variance = 0.0
    strata = {stratum for stratum, _ in cells}
    for stratum, share in shares.items():
        own = {verdict: cells.get((stratum, verdict), Cell()) for verdict in verdicts}
        n = sum(cell.judged for cell in own.values())
        if stratum not in strata or not n:
            parts.append((share, UNKNOWN))
            continue
        mean = square = 0.0
        for verdict, cell in own.items():
            q = cell.judged / n
            if cell.looked_at < FEWEST and len(shares) > 1:
                if cell.judged:
                    pooled.append((stratum, verdict))
                interval = wilson(*overall[verdict], alpha)
            else:
                interval = wilson(cell.passed, cell.looked_at, alpha)
            interval = Interval(
                interval.rate,
                interval.rate - finite * (interval.rate - interval.low),
                interval.rate + finite * (interval.high - interval.rate),
            )
            parts.append((share * q, interval))
            mean += q * interval.rate
            square += q * interval.rate**2
        if not all_judged:
            variance += share**2 * max(0.0, square - mean**2) / n
    return Corrected(weighted_sum(parts, variance, z), 1 - alpha, people, judged, tuple(sorted(pooled)))
