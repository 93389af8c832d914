"""What people's labels say of a stream, and of the evaluator that judged the same outputs.

Some of the judged outputs are drawn for people, with a probability that depends on the verdict (failures more often).
So there are three estimates of one rate: the evaluator alone, people alone, and both by cells
(`monitor.judgment.cells`). Labels belong to one stream, criterion and evaluator version. Made by the store's estimates
(`monitor.store.estimating`). Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from monitor.judgment.agreement import agreement
from monitor.judgment.cells import Cell, corrected
from monitor.judgment.estimates import StratumCounts, estimate
from monitor.judgment.verdicts import Verdicts
from monitor.statistics.rates import Interval

_NAMES = {True: "pass", False: "fail"}
"""Of the evaluator's verdicts."""


FEWEST_LABELS = 30
"""People's labels from which a rate is given: with 10, intervals of 95 % covered 67 to 96 % in simulation."""


class Rate(msgspec.Struct, frozen=True):
    """A share of all outputs, with the bounds of its interval."""

    rate: float
    low: float
    high: float


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """Two raters on the same outputs: how many both passed, the first alone, the second alone, and none.

    `observed` is the share on which they agree; `kappa` (Cohen) and `alpha` (Krippendorff) are None where fewer than 50
    outputs, or 10 of the smaller class, make them meaningless.
    """

    both_pass: int
    first_only: int
    second_only: int
    both_fail: int
    observed: float
    kappa: float | None
    alpha: float | None

    @property
    def items(self) -> int:
        """Outputs that both rated."""
        return self.both_pass + self.first_only + self.second_only + self.both_fail


class LabelKey(NamedTuple):
    """Whose verdicts labels are about, as `monitor.store.quality.Judged` has it; `group`: the segment or slice."""

    stream: str
    criterion: str
    evaluator: str
    identity: str
    group: tuple[str, ...]


@dataclass
class Labels:
    """What people say of the outputs that one evaluator judged by one criterion.

    Attributes
    ----------
    counts
        By stratum and the evaluator's verdict (true: passed). Each label is weighted by one over the probability with
        which the output came to people: that of being judged times that of being drawn for people. `missing` counts
        those who could not tell.
    open
        Outputs that were drawn and wait for a person.
    doubled
        How often a first and a second person said (passed, passed), and so on, of the same output.
    """

    counts: dict[tuple[str, bool], Verdicts] = field(default_factory=dict)
    open: int = 0
    doubled: Counter[tuple[bool, bool]] = field(default_factory=Counter)

    def add(self, other: Labels) -> None:
        """Take those of another part of the same population."""
        for key, sums in other.counts.items():
            self.counts.setdefault(key, Verdicts()).add(sums)
        self.open += other.open
        self.doubled.update(other.doubled)


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What labels add to an estimate; the fields are those of `monitor.judgment.quality.Quality`."""

    people: int = 0
    alone: Rate | None = None
    both: Rate | None = None
    borrowed: bool = False
    unsure: int = 0
    open: int = 0
    with_people: Agreed | None = None
    among_people: Agreed | None = None


def calibrate(
    strata: Mapping[str, StratumCounts], labels: Labels, *, alpha: float = 0.05, always_valid: bool = True
) -> Calibration:
    """The rate by people alone and by both, of the outputs counted in `strata` with the evaluator's verdicts."""
    counts = labels.counts
    people = sum(sums.passed + sums.failed for sums in counts.values())
    unsure = sum(sums.missing for sums in counts.values())
    known = Calibration(
        people=people,
        unsure=unsure,
        open=labels.open,
        with_people=_agreed(
            Counter({(passed, said): n for passed in (True, False) for said, n in _said(counts, passed).items()})
        ),
        among_people=_agreed(labels.doubled),
    )
    if people < FEWEST_LABELS:
        return known
    by_stratum = {name: Verdicts() for name in strata}
    for (name, _), sums in counts.items():
        by_stratum.setdefault(name, Verdicts()).add(sums)
    alone = estimate(
        {name: sums.counts(strata[name].seen if name in strata else 0) for name, sums in by_stratum.items()},
        alpha=alpha,
        always_valid=always_valid,
    )
    seen = sum(each.seen for each in strata.values())
    cells = {}
    for name in by_stratum:
        judged = strata.get(name, StratumCounts())
        for passed, number in ((True, judged.passed), (False, judged.failed)):
            said = counts.get((name, passed), Verdicts()).counts(0)
            cells[name, _NAMES[passed]] = Cell(number, said.judged, said.passed)
    both = corrected(
        cells,
        {name: each.seen / seen for name, each in strata.items() if each.seen},
        alpha=alpha,
        all_judged=all(each.judged >= each.seen for each in strata.values()),
        always_valid=always_valid,
    )
    return msgspec.structs.replace(
        known,
        alone=None if alone is None else _rate(alone.interval),
        both=None if both is None else _rate(both.interval),
        borrowed=both is not None and bool(both.pooled),
    )


def _said(counts: Mapping[tuple[str, bool], Verdicts], passed: bool) -> dict[bool, int]:
    """How often people passed and failed what the evaluator gave this verdict."""
    same = [sums for (_, verdict), sums in counts.items() if verdict is passed]
    return {True: sum(sums.passed for sums in same), False: sum(sums.failed for sums in same)}


def _agreed(pairs: Counter[tuple[bool, bool]]) -> Agreed | None:
    found = agreement(pairs.elements())
    if not found.items:
        return None
    return Agreed(
        both_pass=found.both_pass,
        first_only=found.first_only,
        second_only=found.second_only,
        both_fail=found.both_fail,
        observed=found.observed,
        kappa=found.kappa,
        alpha=found.alpha,
    )


def _rate(interval: Interval) -> Rate:
    return Rate(interval.rate, interval.low, interval.high)
