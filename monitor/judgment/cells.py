"""Verdicts of an evaluation model, corrected by people who looked at some of the same outputs.

The model's own pass rate is off by as much as the model errs. People are right and few. So each verdict v of the model
(in each stratum h) is a *cell*: how often it came is known from many outputs, and what people say of it from few,

    rate = sum over cells of q(h, v) x p(h, v),    q = share of the verdict, p = share that people pass in the cell.

Wilson's interval of each p, combined by MOVER, plus the variance of q (two-phase stratified sampling: Cochran 1977,
section 12.2); or confidence sequences of all p and q, which hold at every look. Where a cell has fewer than `FEWEST`
labels, those of its verdict in all strata are taken together, each with the share of outputs that it stands for; of a
cell without any, nothing is known. Calibration belongs to one stream, criterion and evaluator version and is never
carried over. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scipy.special import ndtri

from monitor.judgment.intervals import sequence, weighted_sum
from monitor.statistics.rates import Interval, wilson

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

    `pooled` names the cells, by stratum and verdict, that have too few labels to stand alone.
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
    always_valid: bool = False,
) -> Corrected | None:
    """The pass rate of all outputs, by people's measure.

    Parameters
    ----------
    cells
        By (stratum, verdict).
    shares
        Share of each stratum among all outputs; they add up to 1.
    all_judged
        Whether the model judged every output: then the shares of verdicts are exact, and each cell is a finite
        population of which people saw a part.
    always_valid
        Whether the interval shall hold at all looks together: confidence sequences of every rate and every share of a
        verdict, each at half of `alpha`, in place of Wilson's intervals. MOVER of sequences has no proof; from 30
        labels on it was wrong at any of 40 looks in less than 5 % of simulated streams, at two thirds of the width of
        a union bound.

    Returns None where people looked at nothing, or the model judged nothing.
    """
    people = sum(cell.looked_at for cell in cells.values())
    judged = sum(cell.judged for cell in cells.values())
    if not people or not judged:
        return None
    verdicts = sorted({verdict for _, verdict in cells})
    one, each = (sequence, alpha / 2) if always_valid else (wilson, alpha)
    few = {
        (stratum, verdict)
        for (stratum, verdict), cell in cells.items()
        if len(shares) > 1 and cell.judged and cell.looked_at < FEWEST and stratum in shares
    }
    pools = {verdict: _pool(cells, shares, verdict) for _, verdict in few}
    strata: list[_Stratum] = []
    for stratum, share in shares.items():
        own = {verdict: cells.get((stratum, verdict), Cell()) for verdict in verdicts}
        n = sum(cell.judged for cell in own.values())
        parts = []
        for verdict, cell in own.items():
            used = pools.get(verdict, cell)
            rate = one(used.passed, used.looked_at, each)
            if all_judged and not always_valid:
                rate = _narrowed(rate, used)
            if cell.judged and not cell.looked_at:
                rate = Interval(rate.rate, 0.0, 1.0)
            if n:
                parts.append((verdict, cell.judged / n, rate))
        strata.append(_Stratum(stratum, share, 0.0 if all_judged else n, parts))
    z = float(ndtri(1 - alpha / 2))
    interval = _at_all_looks(strata, pools, each) if always_valid else _at_one_look(strata, pools, z)
    return Corrected(interval, 1 - alpha, people, judged, tuple(sorted(few)))


def _pool(cells: Mapping[tuple[str, str], Cell], shares: Mapping[str, float], verdict: str) -> Cell:
    """One verdict's labels of all strata together, each label with the share of the outputs that it stands for.

    They count as the number of labels of one weight that would say as much (Kish 1965).
    """
    judged = {name: sum(cell.judged for (of, _), cell in cells.items() if of == name) for name in shares}
    weight = square = passed = number = 0.0
    for name, share in shares.items():
        cell = cells.get((name, verdict), Cell())
        number += cell.judged
        if cell.looked_at:
            part = share * cell.judged / judged[name] if judged[name] else 0.0
            weight += part
            square += part**2 / cell.looked_at
            passed += part * cell.passed / cell.looked_at
    if not square:
        return Cell(number)
    effective = weight**2 / square
    return Cell(number, effective, effective * passed / weight)


class _Stratum(NamedTuple):
    """What an estimate takes of a stratum.

    `verdicts` is the number on which the shares of verdicts rest, 0 where these are exact; `parts` has for each verdict
    its share and the rate that people pass, and nothing where the model judged none of the stratum.
    """

    name: str
    share: float
    verdicts: float
    parts: list[tuple[str, float, Interval]]

    @property
    def rate(self) -> float:
        return sum(q * interval.rate for _, q, interval in self.parts)


def _unjudged(strata: Sequence[_Stratum]) -> Interval:
    """What is taken of strata without verdicts: the rate of the others, and nothing is known of it."""
    known = [stratum for stratum in strata if stratum.parts]
    return Interval(sum(each.share * each.rate for each in known) / sum(each.share for each in known), 0.0, 1.0)


def _at_one_look(strata: Sequence[_Stratum], pooled: Collection[str], z: float) -> Interval:
    variance = sum(
        stratum.share**2 * _variance_of_shares(stratum) / stratum.verdicts for stratum in strata if stratum.verdicts
    )
    return weighted_sum(_rates(strata, pooled), variance, z)


def _at_all_looks(strata: Sequence[_Stratum], pooled: Collection[str], alpha: float) -> Interval:
    rates = weighted_sum(_rates(strata, pooled))
    below, above = (rates.rate - rates.low) ** 2, (rates.high - rates.rate) ** 2
    for _, share, n, parts in strata:
        if n and parts:
            # What a verdict's share moves: its rate less that of the last verdict, which has the rest of the shares.
            for _, q, interval in parts[:-1]:
                moves, sequence_of = share * (interval.rate - parts[-1][2].rate), sequence(q * n, n, alpha)
                arms = sequence_of.rate - sequence_of.low, sequence_of.high - sequence_of.rate
                lower, upper = arms if moves >= 0 else arms[::-1]
                below += (moves * lower) ** 2
                above += (moves * upper) ** 2
    return Interval(rates.rate, max(0.0, rates.rate - below**0.5), min(1.0, rates.rate + above**0.5))


def _rates(strata: Sequence[_Stratum], pooled: Collection[str]) -> list[tuple[float, Interval]]:
    """The independent parts of the rate. Rates that share labels, as those of a verdict whose cells are taken together,
    are one part: their errors add up."""
    groups: dict[tuple[str, str], list[tuple[float, Interval]]] = {}
    for stratum in strata:
        for verdict, q, interval in stratum.parts or [("", 1.0, _unjudged(strata))]:
            of = ("", verdict) if verdict in pooled else (stratum.name, verdict)
            groups.setdefault(of, []).append((stratum.share * q, interval))
    return [(1.0, _whole(group)) for group in groups.values()]


def _whole(parts: Sequence[tuple[float, Interval]]) -> Interval:
    """The sum of rates whose errors go together."""
    return Interval(*(sum(weight * getattr(one, name) for weight, one in parts) for name in ("rate", "low", "high")))


def _narrowed(interval: Interval, cell: Cell) -> Interval:
    """The interval with both arms corrected for a finite population, the cell (Cochran 1977, section 2.6)."""
    if not cell.judged:
        return interval
    finite = max(0.0, 1 - cell.looked_at / cell.judged) ** 0.5
    return Interval(
        interval.rate,
        interval.rate - finite * (interval.rate - interval.low),
        interval.rate + finite * (interval.high - interval.rate),
    )


def _variance_of_shares(stratum: _Stratum) -> float:
    """Variance, of one output, that shares q of verdicts add to sum(q x p)."""
    square = sum(q * interval.rate**2 for _, q, interval in stratum.parts)
    return max(0.0, square - stratum.rate**2)
