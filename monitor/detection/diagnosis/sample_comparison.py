"""What differs between two finite samples of outputs: two files, before and after a change of prompt or model.

A pager judges a stream event by event; a build has 50 answers of each side and asks once. So each feature is compared
once, with an interval, and the p-values are corrected for the number of features (Holm 1979). Where both sides answer
the same questions, rows are compared in pairs, which needs far fewer of them.

| feature | unpaired | paired | interval of the difference, 95 % |
|---|---|---|---|
| number, count | Mann-Whitney (1947) | Wilcoxon signed-rank (1945) | bootstrap of the means or medians |
| flag | Fisher's exact test | McNemar, exact | Newcombe (1998), method 10; paired: bootstrap |
| category | permutation of the total variation | the same, sides of pairs swapped | of the value that moved
most |

A difference counts if it is significant *and* at least its effect floor (`floors` of the settings). A feature whose
interval lies within its floor is the same. All others cannot be decided with this number of rows, and are counted as
such. Pure: random draws come from a fixed seed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from monitor.detection.settings import Floors
from monitor.features.base import FeatureSpec, Kind
from monitor.features.batch import FeatureBatch
from monitor.features.families.keyed_templates import spec_of
from monitor.statistics.rates import difference, wilson
from monitor.statistics.several_tests import holm

FEWEST_ROWS = 30
"""Rows on each side from which a comparison says anything: below, even a rate of 10 % may not have come up once."""
ALPHA = 0.05  # of intervals and, corrected for their number, of tests: the convention that readers expect
RESAMPLES = 1_000
"""Bootstrap and permutation draws: the end of a 95 % interval then varies by about a twentieth of its width."""
PAIRED_FROM = 0.9
"""Share of the rows of both sides that must answer the same questions for rows to be compared in pairs."""
MOST_CATEGORIES = 20
"""Values of a category that are compared; rarer ones count as one."""
NORMAL_PER_IQR = 1.349
"""Interquartile range of a normal distribution in standard deviations: makes the middle half a robust deviation."""
_SEED = 7  # any number: the same two samples give the same intervals at each call

Floats = NDArray[np.float64]


class Outcome(StrEnum):
    """What is known of one feature."""

    CHANGED = "changed"  # significant, and at least the floor
    SMALL = "small"  # significant, and below the floor
    SAME = "same"  # surely within the floor
    OPEN = "open"  # too few rows to say


@dataclass(frozen=True, slots=True)
class Difference:
    """One feature on both sides.

    Attributes
    ----------
    spec
        Its declaration.
    statistic
        What `before` and `after` are: `median`, `mean`, `rate` (of a flag), `share` (of `value`), `missing` (rate).
    low, high
        95 % interval of `after - before`.
    effect
        The difference in multiples of the effect floor, signed.
    p
        P-value, before the correction for the number of features.
    value
        Of a category, the value whose share moved most.
    rows
        Rows with a value, before and after (both the number of pairs where rows are paired).
    """

    spec: FeatureSpec
    statistic: str
    before: float
    after: float
    low: float
    high: float
    effect: float
    p: float
    outcome: Outcome
    value: str | None = None
    rows: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class SampleComparison:
    """All features of two samples.

    Attributes
    ----------
    differences
        One for each feature that has values on both sides, the largest effects of each outcome first.
    pairs
        Positions (old row, new row) of the same question; None where rows are not paired.
    """

    old_rows: int
    new_rows: int
    differences: tuple[Difference, ...]
    pairs: tuple[tuple[int, int], ...] | None

    def of(self, outcome: Outcome) -> list[Difference]:
        """The features with this outcome."""
        return [one for one in self.differences if one.outcome is outcome]

    @property
    def inputs_changed(self) -> bool:
        """Whether the questions differ, so that outputs may differ because of them."""
        return any(one.spec.side == "input" for one in self.of(Outcome.CHANGED))


def compare_samples(
    old: FeatureBatch,
    new: FeatureBatch,
    specs: Sequence[FeatureSpec],
    floors: Floors,
    keys: tuple[Sequence[str | None], Sequence[str | None]] | None = None,
) -> SampleComparison:
    """Compare two samples feature by feature.

    Parameters
    ----------
    old, new
        Rows of both sides, measured by the same featurizer.
    specs
        Declarations of the features.
    keys
        Per row of each side what pairs it with a row of the other (its question), None for no key; without keys rows
        are not paired.

    Raises `ValueError` where a side has fewer than `FEWEST_ROWS` rows.
    """
    if min(len(old), len(new)) < FEWEST_ROWS:
        raise ValueError(f"at least {FEWEST_ROWS} rows are needed on each side, there are {len(old)} and {len(new)}")
    pairs = None if keys is None else _pairs(*keys)
    if pairs is not None:
        old_rows, new_rows = (np.array(side, dtype=np.intp) for side in zip(*pairs, strict=True))
        old, new = old.take(old_rows), new.take(new_rows)
    rng = np.random.default_rng(_SEED)
    found: list[Difference] = []
    for spec, before, after in _columns(old, new, specs):
        found += _compared(spec, before, after, floors, pairs is not None, rng)
    found = _decided(found)
    order = {outcome: place for place, outcome in enumerate(Outcome)}
    # Which way a direction of meaning moved says nothing to a person: after all others.
    found.sort(key=lambda one: (order[one.outcome], one.spec.opaque, -abs(one.effect), one.spec.name))
    return SampleComparison(len(old), len(new), tuple(found), pairs)


def _pairs(old: Sequence[str | None], new: Sequence[str | None]) -> tuple[tuple[int, int], ...] | None:
    """Rows that answer the same question; None where these are too few, or too few to compare."""
    places: dict[str, list[int]] = {}
    for row, key in enumerate(new):
        if key:
            places.setdefault(key, []).append(row)
    found = []
    for row, key in enumerate(old):
        if key and places.get(key):
            found.append((row, places[key].pop(0)))
    enough = len(found) >= max(FEWEST_ROWS, PAIRED_FROM * max(len(old), len(new)))
    return tuple(found) if enough else None


Column = Floats | list[str | None]


def _columns(
    old: FeatureBatch, new: FeatureBatch, specs: Sequence[FeatureSpec]
) -> list[tuple[FeatureSpec, Column, Column]]:
    """Both sides of each feature that is declared, those of each dependency among them."""
    found: list[tuple[FeatureSpec, Column, Column]] = []
    for spec in specs:
        if spec.kind is Kind.VECTOR:
            continue
        if spec.kind is Kind.CATEGORY:
            if spec.name in old.categories and spec.name in new.categories:
                found.append((spec, list(old.categories[spec.name]), list(new.categories[spec.name])))
        elif spec.name in old.names and spec.name in new.names:
            numbers = [batch.values[:, batch.names.index(spec.name)].astype(np.float64) for batch in (old, new)]
            found.append((spec, numbers[0], numbers[1]))
    called = old.dependencies(), new.dependencies()
    for name in sorted(set(called[0]) & set(called[1])):
        declared = spec_of(name)
        if declared is None:
            continue
        sides = [list(side[name]) for side in called]
        if declared.kind is Kind.CATEGORY:
            texts = [[None if value is None else str(value) for value in side] for side in sides]
            found.append((declared, texts[0], texts[1]))
        else:
            found.append((declared, np.asarray(sides[0], np.float64), np.asarray(sides[1], np.float64)))
    return found


def _compared(
    spec: FeatureSpec, before: Column, after: Column, floors: Floors, paired: bool, rng: np.random.Generator
) -> list[Difference]:
    there = tuple(_present(side) for side in (before, after))
    found = []
    absent = tuple(~side for side in there)
    if any(side.any() for side in absent) and not all(side.all() for side in absent):
        # A feature that cannot be measured on one side only is a change by itself.
        rates = [side.astype(np.float64) for side in absent]
        found.append(_rates(spec, rates[0], rates[1], floors.flag, paired, rng, "missing"))
    if paired:
        there = (there[0] & there[1],) * 2
    if min(int(side.sum()) for side in there) < FEWEST_ROWS:
        return found
    if isinstance(before, list) or isinstance(after, list):
        values = [
            [str(value) for value, ok in zip(side, mask, strict=True) if ok]
            for side, mask in zip((before, after), there, strict=True)
        ]
        found.append(_categories(spec, values[0], values[1], floors.category, paired, rng))
        return found
    old, new = before[there[0]], after[there[1]]
    if spec.kind is Kind.FLAG:
        floor = floors.failure if spec.failure else floors.flag
        found.append(_rates(spec, old, new, floor, paired, rng, "rate"))
    else:
        found.append(_numbers(spec, old, new, floors.number, paired, rng))
    return found


def _present(side: Column) -> NDArray[np.bool_]:
    if isinstance(side, list):
        return np.array([value is not None for value in side], dtype=bool)
    return np.isfinite(side)


def _numbers(
    spec: FeatureSpec, old: Floats, new: Floats, floor: float, paired: bool, rng: np.random.Generator
) -> Difference:
    """Medians where they say anything; means where most values are the same, as of a count that is mostly zero."""
    medians = float(np.median(old)), float(np.median(new))
    by_median = medians[0] != medians[1]
    low, high = _bootstrap(old, new, paired, rng, median=by_median)
    before, after = medians if by_median else (float(old.mean()), float(new.mean()))
    if paired:
        p = 1.0 if np.array_equal(old, new) else float(stats.wilcoxon(old, new, zero_method="zsplit").pvalue)
    else:
        p = 1.0 if len(np.unique(np.concatenate([old, new]))) == 1 else float(stats.mannwhitneyu(old, new).pvalue)
    quarter, three_quarters = np.quantile(old, [0.25, 0.75])
    deviation = float((three_quarters - quarter) / NORMAL_PER_IQR) or float(old.std()) or float(new.std()) or 1.0
    unit = floor * deviation if floor else deviation
    statistic = "median" if by_median else "mean"
    return _difference(spec, statistic, before, after, low, high, unit, p, (len(old), len(new)))


def _bootstrap(
    old: Floats, new: Floats, paired: bool, rng: np.random.Generator, *, median: bool
) -> tuple[float, float]:
    """95 % percentile interval of the difference of the means, or of the medians (Efron 1979)."""
    chosen_old = rng.integers(len(old), size=(RESAMPLES, len(old)))
    chosen_new = chosen_old if paired else rng.integers(len(new), size=(RESAMPLES, len(new)))
    sides = [side[chosen] for side, chosen in ((old, chosen_old), (new, chosen_new))]
    of_old, of_new = (np.median(side, axis=1) if median else side.mean(axis=1) for side in sides)
    draws = of_new - of_old
    low, high = np.quantile(draws, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def _rates(
    spec: FeatureSpec,
    old: Floats,
    new: Floats,
    floor: float,
    paired: bool,
    rng: np.random.Generator,
    statistic: str,
) -> Difference:
    before, after = float(old.mean()), float(new.mean())
    low, high = _newcombe(old, new)
    if paired:
        up, down = int(((new > 0.5) & (old <= 0.5)).sum()), int(((new <= 0.5) & (old > 0.5)).sum())
        p = float(stats.binomtest(up, up + down).pvalue) if up + down else 1.0
        if up + down:  # where no pair differs the bootstrap has no width: Newcombe's interval stays
            low, high = _bootstrap(old, new, True, rng, median=False)
    else:
        table = np.array([[int((side > 0.5).sum()), int((side <= 0.5).sum())] for side in (old, new)])
        p = float(stats.fisher_exact(table).pvalue)
    return _difference(spec, statistic, before, after, low, high, floor, p, (len(old), len(new)))


def _newcombe(old: Floats, new: Floats) -> tuple[float, float]:
    """Interval of the difference of two rates, of flags old (n) and new (m)."""
    before, after = (wilson(int((side > 0.5).sum()), len(side), ALPHA) for side in (old, new))
    interval = difference(before, after)
    return interval.low, interval.high


def _categories(
    spec: FeatureSpec,
    old: list[str],
    new: list[str],
    floor: float,
    paired: bool,
    rng: np.random.Generator,
) -> Difference:
    common = [value for value, _ in Counter(old + new).most_common(MOST_CATEGORIES)]
    place = {value: k for k, value in enumerate(common)}
    rest = len(common)
    a, b = (np.array([place.get(value, rest) for value in side]) for side in (old, new))
    counts = [np.bincount(side, minlength=rest + 1) / len(side) for side in (a, b)]
    moved = counts[1] - counts[0]
    distance = float(np.abs(moved).sum() / 2)
    most = int(np.argmax(np.abs(moved[:rest]))) if rest else 0
    p = _permuted(a, b, rest + 1, distance, paired, rng)
    low, high = _newcombe((a == most).astype(float), (b == most).astype(float))
    effect = distance / floor if floor else distance
    one = _difference(
        spec,
        "share",
        float(counts[0][most]),
        float(counts[1][most]),
        low,
        high,
        floor,
        p,
        (len(a), len(b)),
        common[most],
    )
    return replace(one, effect=math.copysign(effect, moved[most]))


def _permuted(
    a: NDArray[np.intp], b: NDArray[np.intp], size: int, distance: float, paired: bool, rng: np.random.Generator
) -> float:
    """Share of random relabellings whose total variation distance is at least the observed one."""
    if distance == 0:
        return 1.0
    both = np.concatenate([a, b])
    hits = 0
    for _ in range(RESAMPLES):
        if paired:
            swap = rng.random(len(a)) < 0.5
            one, other = np.where(swap, b, a), np.where(swap, a, b)
        else:
            mixed = rng.permutation(both)
            one, other = mixed[: len(a)], mixed[len(a) :]
        shares = [np.bincount(side, minlength=size) / len(side) for side in (one, other)]
        hits += float(np.abs(shares[1] - shares[0]).sum() / 2) >= distance - 1e-12
    return (hits + 1) / (RESAMPLES + 1)


def _difference(
    spec: FeatureSpec,
    statistic: str,
    before: float,
    after: float,
    low: float,
    high: float,
    floor: float,
    p: float,
    rows: tuple[int, int],
    value: str | None = None,
) -> Difference:
    """The difference with what its interval alone says: the same within the floor, or open."""
    effect = (after - before) / floor if floor else after - before
    inside = floor > 0 and -floor < low and high < floor
    outcome = Outcome.SAME if inside else Outcome.OPEN
    return Difference(spec, statistic, before, after, low, high, effect, p, outcome, value, rows)


def _decided(found: Sequence[Difference]) -> list[Difference]:
    """With the outcome of those that are significant after Holm's correction for their number."""
    return [
        replace(one, outcome=Outcome.CHANGED if abs(one.effect) >= 1.0 else Outcome.SMALL) if significant else one
        for one, significant in zip(found, holm([one.p for one in found], ALPHA), strict=True)
    ]


def summary(found: SampleComparison) -> Mapping[Outcome, int]:
    """How many features have each outcome."""
    counts = Counter(one.outcome for one in found.differences)
    return {outcome: counts[outcome] for outcome in Outcome}
