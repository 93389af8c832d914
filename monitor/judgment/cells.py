"""Verdicts of an evaluation model, corrected by people who looked at some of the same outputs.

The model's own pass rate is off by as much as the model errs. People are right and few. So each verdict v of the model
(in each stratum h) is a *cell*: how often it came is known from many outputs, and what people say of it from few,

    rate = sum over cells of q(h, v) x p(h, v),    q = share of the verdict, p = share that people pass in the cell.

Wilson's interval of each p, combined by MOVER, plus the variance of q (two-phase stratified sampling: Cochran 1977,
section 12.2); or confidence sequences of all p and q, which hold at every look. Cells with fewer than `FEWEST` labels
take p from that verdict over all strata. Calibration belongs to one stream, criterion and evaluator version and is
never carried over. Pure.
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
        verdict, each at `alpha` over their number, in place of Wilson's intervals and MOVER.

    Returns None where people looked at nothing, or the model judged nothing.
    """
    people = sum(cell.looked_at for cell in cells.values())
    judged = sum(cell.judged for cell in cells.values())
    if not people or not judged:
        return None
    verdicts = sorted({verdict for _, verdict in cells})
    over_all = {verdict: _over_all_strata(cells, verdict) for verdict in verdicts}
    # Every rate of a cell, and in each stratum the shares of all verdicts but one, which is what the others leave.
    each = alpha / (len(shares) * (2 * len(verdicts) - 1)) if always_valid else alpha
    one = sequence if always_valid else wilson
    strata: list[_Stratum] = []
    pooled: list[tuple[str, str]] = []
    for stratum, share in shares.items():
        own = {verdict: cells.get((stratum, verdict), Cell()) for verdict in verdicts}
        n = sum(cell.judged for cell in own.values())
        few = {verdict for verdict, cell in own.items() if cell.looked_at < FEWEST and len(shares) > 1}
        pooled += [(stratum, verdict) for verdict in few if own[verdict].judged]
        used = {verdict: over_all[verdict] if verdict in few else cell for verdict, cell in own.items()}
        finite = all_judged and not always_valid
        rates = {
            verdict: _narrowed(one(cell.passed, cell.looked_at, each), cell if finite else None)
            for verdict, cell in used.items()
        }
        parts = [(verdict, own[verdict].judged / n, rates[verdict]) for verdict in verdicts] if n else []
        strata.append(_Stratum(stratum, share, 0.0 if all_judged else n, parts))
    if always_valid:
        interval = _at_all_looks(strata, each)
    else:
        interval = _at_one_look(strata, {verdict for _, verdict in pooled}, float(ndtri(1 - alpha / 2)))
    return Corrected(interval, 1 - alpha, people, judged, tuple(sorted(pooled)))


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
    """Rates that share labels, as a verdict's do where some of its cells borrow from the others, are added up with
    their whole errors; the others are independent."""
    groups: dict[tuple[str, str], list[tuple[float, Interval]]] = {}
    variance = 0.0
    for stratum in strata:
        for verdict, q, interval in stratum.parts or [("", 1.0, _unjudged(strata))]:
            of = ("", verdict) if verdict in pooled else (stratum.name, verdict)
            groups.setdefault(of, []).append((stratum.share * q, interval))
        if stratum.verdicts:
            variance += stratum.share**2 * _variance_of_shares(stratum) / stratum.verdicts
    return weighted_sum([(1.0, _whole(group)) for group in groups.values()], variance, z)


def _whole(parts: Sequence[tuple[float, Interval]]) -> Interval:
    """The sum of rates whose errors go together."""
    return Interval(*(sum(weight * getattr(one, name) for weight, one in parts) for name in ("rate", "low", "high")))


def _at_all_looks(strata: Sequence[_Stratum], alpha: float) -> Interval:
    """Bounds that hold whatever the rates and shares are within their sequences: a union bound, hence exact."""
    rate = low = high = 0.0
    for _, share, n, parts in strata:
        known = [(q, interval) for _, q, interval in parts] or [(1.0, _unjudged(strata))]
        rate += share * sum(q * interval.rate for q, interval in known)
        shares = [sequence(q * n, n, alpha) if n else Interval(q, q, q) for q, _ in known]
        low += share * _least(shares, [interval.low for _, interval in known])
        high += share * (1 - _least(shares, [1 - interval.high for _, interval in known]))
    return Interval(rate, max(0.0, low), min(1.0, high))


def _least(shares: Sequence[Interval], values: Sequence[float]) -> float:
    """The smallest mean of `values` with weights inside of `shares` that add up to 1."""
    left = 1.0 - sum(share.low for share in shares)
    total = 0.0
    for share, value in sorted(zip(shares, values, strict=True), key=lambda pair: pair[1]):
        more = min(left, share.high - share.low)
        total += (share.low + more) * value
        left -= more
    return total


def _over_all_strata(cells: Mapping[tuple[str, str], Cell], verdict: str) -> Cell:
    """What people say of one verdict, whatever the stratum."""
    same = [cell for (_, other), cell in cells.items() if other == verdict]
    return Cell(*(sum(getattr(cell, name) for cell in same) for name in ("judged", "looked_at", "passed")))


def _narrowed(interval: Interval, cell: Cell | None) -> Interval:
    """The interval with both arms corrected for a finite population, the cell (Cochran 1977, section 2.6)."""
    if cell is None or not cell.judged:
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
