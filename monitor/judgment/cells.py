"""Verdicts of an evaluation model, corrected by people who looked at some of the same outputs.

The model's own pass rate is off by as much as the model errs. People are right and few. So each verdict v of the model
(in each stratum h) is a *cell*: how often it came is known from many outputs, and what people say of it from few,

    rate = sum over cells of q(h, v) x p(h, v),    q = share of the verdict, p = share that people pass in the cell.

Wilson's interval of each p, combined by MOVER, plus the variance of q (two-phase stratified sampling: Cochran 1977,
section 12.2). Cells with fewer than `FEWEST` labels take p from that verdict over all strata. Calibration belongs to
one stream, criterion and evaluator version and is never carried over. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    verdicts = sorted({verdict for _, verdict in cells})
    over_all = {verdict: _over_all_strata(cells, verdict) for verdict in verdicts}
    finite = (1 - looked_share) ** 0.5
    parts: list[tuple[float, Interval]] = []
    pooled: list[tuple[str, str]] = []
    variance = 0.0
    for stratum, share in shares.items():
        own = {verdict: cells.get((stratum, verdict), Cell()) for verdict in verdicts}
        n = sum(cell.judged for cell in own.values())
        if not n:
            parts.append((share, UNKNOWN))
            continue
        few = {verdict for verdict, cell in own.items() if cell.looked_at < FEWEST and len(shares) > 1}
        pooled += [(stratum, verdict) for verdict in few if own[verdict].judged]
        rates = [
            (cell.judged / n, _narrowed(_rate(over_all[verdict] if verdict in few else cell, alpha), finite))
            for verdict, cell in own.items()
        ]
        parts += [(share * q, interval) for q, interval in rates]
        if not all_judged:
            variance += share**2 * _variance_of_shares(rates) / n
    z = float(ndtri(1 - alpha / 2))
    return Corrected(weighted_sum(parts, variance, z), 1 - alpha, people, judged, tuple(sorted(pooled)))


def _over_all_strata(cells: Mapping[tuple[str, str], Cell], verdict: str) -> Cell:
    """What people say of one verdict, whatever the stratum."""
    same = [cell for (_, other), cell in cells.items() if other == verdict]
    return Cell(0.0, sum(cell.looked_at for cell in same), sum(cell.passed for cell in same))


def _rate(cell: Cell, alpha: float) -> Interval:
    """The share that people pass in a cell."""
    return wilson(cell.passed, cell.looked_at, alpha)


def _narrowed(interval: Interval, finite: float) -> Interval:
    """The interval with both arms times `finite`, the correction of a finite population (Cochran 1977, section 2.6)."""
    return Interval(
        interval.rate,
        interval.rate - finite * (interval.rate - interval.low),
        interval.rate + finite * (interval.high - interval.rate),
    )


def _variance_of_shares(rates: Sequence[tuple[float, Interval]]) -> float:
    """Variance, of one output, that shares q of verdicts add to sum(q x p), by (q, interval of p) of each verdict."""
    mean = square = 0.0
    for q, interval in rates:
        mean += q * interval.rate
        square += q * interval.rate**2
    return max(0.0, square - mean**2)
