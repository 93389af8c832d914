"""Changes of a part of the outputs: how many lie beyond nearly all that the reference holds.

Where one answer in ten is cut short, the median stays where it was and the mean hardly moves, so neither says what
happened. The share of outputs below the shortest fiftieth of the reference does: 12 % where 2 % were before. `of_some`
measures that for every number of the outputs; the surer of it and of the feature's level is what a finding says.

Called by `diagnose` for what a finding names. Decisions about alerts do not depend on it. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from monitor.detection.columns.embedding_distance import DISTANCE
from monitor.detection.columns.flags import FlagKind
from monitor.detection.columns.normal_scores import KNOTS, expand
from monitor.detection.diagnosis.rounding import number, rounded
from monitor.detection.diagnosis.shift import rate_sureties
from monitor.detection.records.finding import TAIL, FeatureChange
from monitor.detection.reference.reference import Reference
from monitor.features.base import FeatureSpec
from monitor.features.keyed import has_key

MOST_BEFORE = 0.03
"""Share of the reference beyond an edge, at most: with more, one output in ten that changed is not seen among them."""
MOST_AFTER = 0.5
"""Share of the outputs beyond it from which on the median says it."""
UNLIKE = "unlike the usual ones"
"""What is said of outputs that are about something else: a distance between embeddings says nothing to a person."""
FEWEST_BEYOND = 3
"""Outputs beyond an edge from which they are a part of the traffic and not an accident."""
LEAST_SURETY = 3.0
"""Standard errors by which their share must have risen: by chance once in 700."""
LEAST_RISE = 0.03
"""Rise of the share that is worth a sentence: one output in thirty."""
LEFT_OF_SIMILARITY = 1 / 3
"""Outputs that keep less than this share of the usual similarity to a stream's outputs are about something else.
Answers of one sentence in place of four keep half of it (measured in English and German)."""


class OfSome(NamedTuple):
    """What part of the outputs lies beyond an edge: the changes, and how sure each is, by its name."""

    changes: list[FeatureChange]
    sureties: dict[str, float]


class _Edge(NamedTuple):
    """A value with few of the reference's beyond it: on which side, and what share."""

    value: float
    above: bool
    before: float


def is_far(before: object, after: object) -> bool:
    """Whether outputs at this distance from the centre of a stream's outputs are about something else than before."""
    return isinstance(before, float | int) and isinstance(after, float | int) and after > _far(before)


def _far(distance: float) -> float:
    return 1 - (1 - distance) * LEFT_OF_SIMILARITY


def of_some(
    reference: Reference,
    numbers: NDArray[np.float16],
    specs: Mapping[str, FeatureSpec],
    known: Sequence[FeatureChange],
    sureties: Mapping[str, float],
) -> OfSome:
    """The numbers of which a part of the outputs lies beyond nearly all of the reference.

    `numbers` (n, k) are the rows after the change, before ranking; `known` are the changes of the features' levels and
    `sureties` the standard errors of these. A feature is left out where its level moved more surely and shows it.
    """
    levels = {change.name: change for change in known}
    changes, sure = [], {}
    for j, name in enumerate(reference.layout.numbers):
        if not _may_be_said(reference, j, name, specs):
            continue
        values = expand(numbers[:, j])
        values = values[np.isfinite(values)]
        best = max((_beyond(reference, values, edge) for edge in _edges(reference, j, name)), default=None)
        if best is None:
            continue
        surety, share, hits, edge = best
        sure[f"{name}{TAIL}"] = surety
        level = levels.get(name)
        shown = level is not None and not level.statistic and level.before != level.after
        if hits < FEWEST_BEYOND or share - edge.before < LEAST_RISE or share >= MOST_AFTER:
            continue
        if surety < LEAST_SURETY or (shown and surety < sureties.get(name, 0.0)):
            continue
        sure[f"{name}{TAIL}"] = max(surety, sureties.get(name, 0.0))
        changes.append(_change(name, edge, share, len(values), specs.get(name)))
    return OfSome(sorted(changes, key=lambda change: -sure[change.name]), sure)


def _may_be_said(reference: Reference, j: int, name: str, specs: Mapping[str, FeatureSpec]) -> bool:
    """Whether it is a number of the outputs that a person can be told of; times have a watched tail already."""
    spec = specs.get(name)
    return (
        not bool(reference.is_input[j])
        and name.startswith("output.")
        and not has_key(name)
        and not (spec is not None and spec.opaque)
        and reference.layout.flag_place(name, FlagKind.TAIL) is None
    )


def _edges(reference: Reference, j: int, name: str) -> list[_Edge]:
    """Where the outermost few of the reference begin, on both sides."""
    if name == DISTANCE.name:
        far = _far(reference.ranks.median(j))
        x, z = reference.ranks.knots(j)
        natural = np.sign(x) * np.expm1(np.abs(x))
        return [_Edge(far, True, float(1 - ndtr(np.interp(far, natural, z))))]
    found = []
    for above in (True, False):
        edge = _outermost(reference, j, above=above)
        if edge is not None:
            found.append(edge)
    return found


def _outermost(reference: Reference, j: int, *, above: bool) -> _Edge | None:
    """The innermost value with at most `MOST_BEFORE` of the reference beyond it.

    Knots hold mid-ranks. Where a feature has few values, each is a knot, so the share of each, and by them the share
    beyond, is exact; else a value has no share worth mentioning, and the mid-rank is the share.
    """
    x, z = reference.ranks.knots(j)
    x, z = x[1:-1], z[1:-1]  # the first and last ones are margins, which nothing has
    if not len(x):
        return None
    ranks = ndtr(z)
    if above:
        x, ranks = x[::-1], 1 - ranks[::-1]
    beyond, edge = 0.0, None
    for value, rank in zip(x.tolist(), ranks.tolist(), strict=True):
        share = beyond if len(x) < KNOTS - 1 else rank
        if share > MOST_BEFORE:
            break
        edge = _Edge(math.copysign(math.expm1(abs(value)), value), above, max(share, 0.0))
        beyond = 2 * rank - beyond
    return edge


def _beyond(reference: Reference, values: NDArray[np.float64], edge: _Edge) -> tuple[float, float, int, _Edge]:
    """How surely more values lie beyond an edge than before, their share and number."""
    # Half precision rounds what is held; a value at the edge is not beyond it.
    slack = 1e-3 * max(abs(edge.value), 1e-6)
    hits = int((values > edge.value + slack).sum() if edge.above else (values < edge.value - slack).sum())
    share = hits / max(len(values), 1)
    one = np.ones(1)
    surety = float(rate_sureties(share * one, max(len(values), 1), edge.before * one, reference.effective)[0])
    return surety, share, hits, edge


def _change(name: str, edge: _Edge, share: float, events: int, spec: FeatureSpec | None) -> FeatureChange:
    """The change of a share; its effect is in multiples of `MOST_BEFORE`, signed as the feature moved."""
    unit = f" {spec.unit}" if spec is not None and spec.unit else ""
    value = f"{'above' if edge.above else 'below'} {number(rounded(edge.value))}{unit}"
    if name == DISTANCE.name:
        value = UNLIKE
    effect = (share - edge.before) / MOST_BEFORE
    return FeatureChange(
        f"{name}{TAIL}", rounded(edge.before), rounded(share), round(effect if edge.above else -effect, 2), value,
        events=events,
    )  # fmt: skip
