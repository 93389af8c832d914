"""Who carries a change: a segment, the mix of segments, the inputs, or the outputs themselves.

The reference keeps, for each attribute with few values, how often each value came and the mean row it came with
(`monitor.detection.reference.segment_means`). So after a change each segment is compared with itself before, and the
rest with itself (within), and what a mere change of shares would have done is computed (between).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from monitor.detection.columns.recent_rows import VERSIONS, Segments
from monitor.detection.diagnosis.shift import Shift
from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.reference import Joint, Reference
from monitor.detection.reference.segment_means import SegmentMeans, beyond

Array = NDArray[np.float64]

TELLING_REST = 6
"""Rows outside a segment that it takes to say that they did not change."""
CHANCE = 0.05
"""A segment is named if chance would set one of all the segments apart from the others like this less often."""
LOTS = 4000
"""Times that rows are chosen by lot, so that one chance in a thousand can be told from one in a hundred."""
OUTWEIGHS = 1.35
"""Outputs that moved this many times as far as the inputs changed by themselves."""
COMPARED = 64
"""Rows from which they are compared: an alarm comes when outputs happen to lie far, so soon after a change they seem to
have moved further than they did."""
PERHAPS, SURELY = 1e-3, 1e-6
"""Inputs may have moved, or did, where chance would carry them as far less often than this."""


@dataclass(frozen=True)
class Attribution:
    """What a change is laid to.

    `segment` carries it, or None for the whole stream; `new_versions` are version attributes with a value that the
    reference had not; `mix` says that only the shares of segments moved, `strangers` which segments the reference never
    saw. `perhaps` carries it, too few rows being there to tell.
    """

    segment: dict[str, str] | None = None
    new_versions: dict[str, str] = field(default_factory=dict)
    known_versions: bool = False
    mix: bool = False
    strangers: list[tuple[str, str]] = field(default_factory=list)
    perhaps: tuple[str, str] | None = None


def attribute(
    reference: Reference,
    table: SegmentMeans,
    y: Array,
    segments: Sequence[Segments],
    moved: Shift,
    carrier: tuple[str, str] | None = None,
) -> Attribution:
    """Compare rows y (n, d) after a change with the reference, segment by segment.

    `carrier` is the segment whose bets told of the change, if it was one: sequential evidence from all its rows, which
    decides unless the others changed too.
    """
    n = len(y)
    columns = _telling(reference, moved)
    members: dict[tuple[str, str], list[int]] = {}
    for row, pairs in enumerate(segments):
        for pair in pairs:
            members.setdefault(pair, []).append(row)
    enough = max(4, 0.03 * n)
    new_versions: dict[str, str] = {}
    known = False
    for name in VERSIONS:
        known = known or bool(table.values(name))
        fresh = {v: len(rows) for (a, v), rows in members.items() if a == name and table.share(a, v) < 0.01}
        if fresh and not table.is_wide(name):
            value = max(fresh, key=lambda v: (fresh[v], v))
            if fresh[value] >= enough:
                new_versions[name] = value
    if not len(columns):
        return Attribution(None, new_versions, known)
    strangers = [] if new_versions else _strangers(reference, table, y, members, columns)
    if strangers:
        return Attribution(dict(strangers[:1]), new_versions, known, mix=True, strangers=strangers)
    for name, value in new_versions.items():
        if len(members[(name, value)]) > 0.9 * n:
            # All rows came with it: a few rows of one segment or another prove nothing beside that.
            return Attribution({name: value}, new_versions, known)

    @cache
    def lots() -> NDArray[np.intp]:
        return np.random.default_rng(n).permuted(np.tile(np.arange(n), (LOTS, 1)), axis=1)

    def by_chance(pair: tuple[str, str]) -> float:
        """How often as many of the rows, chosen by lot, would lie as far along the change as this segment's do.

        A permutation test (Fisher 1935; Good 2005): it holds however few rows there are, and where five of forty show
        all of the change.
        """
        along = _along(reference, table, moved, columns, y, segments, pair[0])
        rows = members[pair]
        drawn = along[lots()[:, : len(rows)]].sum(1)
        return float((1 + (drawn >= along[rows].sum() - 1e-9).sum()) / (1 + LOTS))

    if carrier is not None and carrier in members:
        rows = members[carrier]
        rest = np.setdiff1d(np.arange(n), rows)
        inside = _effect(reference, columns, y[rows], table.mean(*carrier))
        outside = _effect(reference, columns, y[rest], _rest_mean(table, carrier[0], segments, rest))
        if len(rest) >= TELLING_REST and outside[0] <= 0.5 * inside[0] and by_chance(carrier) <= CHANCE:
            return Attribution(dict([carrier]), new_versions, known)
    candidates = {
        (name, value): rows
        for (name, value), rows in sorted(members.items())
        if len(rows) >= enough
        and not table.is_wide(name)
        and table.share(name, value) <= 0.9
        and (name in table.attributes() or name in new_versions)
    }
    chances = {}
    best: tuple[tuple[float, int, int], tuple[str, str]] | None = None
    for pair, rows in candidates.items():
        name, value = pair
        inside = _effect(reference, columns, y[rows], table.mean(name, value))
        rest = np.setdiff1d(np.arange(n), rows)
        if len(rest) < TELLING_REST and table.share(name, value) > 0:
            continue  # nearly all rows are of this segment, as before: nothing tells it from the whole stream
        outside = (0.0, 0.0)
        if len(rest):
            outside = _effect(reference, columns, y[rest], _rest_mean(table, name, segments, rest))
        if inside[1] < 3.0 or (len(rest) >= 4 and (outside[0] > 0.4 * inside[0])):
            continue
        # A version that was not there before is a cause by itself, not one of many segments.
        chances[pair] = by_chance(pair) if len(rest) and name not in new_versions else 0.0
        if chances[pair] * len(candidates) > CHANCE:
            continue
        preferred = -VERSIONS.index(name) if name in VERSIONS else -len(VERSIONS)
        key = (round(inside[0] - outside[0], 1), len(rows), preferred)
        if best is None or key > best[0]:
            best = (key, pair)
    mix = not new_versions and _is_mix(reference, table, y, members, columns)
    if mix:
        return Attribution(None, new_versions, known, mix)
    if best is None:
        likely = [pair for pair, chance in chances.items() if chance <= CHANCE]
        return Attribution(None, new_versions, known, perhaps=min(likely, key=chances.__getitem__, default=None))
    return Attribution(dict([best[1]]), new_versions, known)


def _strangers(
    reference: Reference,
    table: SegmentMeans,
    y: Array,
    members: dict[tuple[str, str], list[int]],
    columns: NDArray[np.intp],
) -> list[tuple[str, str]]:
    """Values of one attribute that the reference never saw and without whose rows nothing would have moved."""
    n = len(y)
    for name in table.attributes():
        if name in VERSIONS or len(table.values(name)) < 2:
            continue
        new = {value: rows for (a, value), rows in members.items() if a == name and not table.share(a, value)}
        rows = sorted(row for held in new.values() for row in held)
        if len(rows) < max(4, 0.03 * n):
            continue
        rest = np.setdiff1d(np.arange(n), rows)
        inside = _effect(reference, columns, y[rows], None)
        outside = _effect(reference, columns, y[rest], None) if len(rest) >= 4 else (0.0, 0.0)
        if outside[0] <= 0.4 * inside[0]:
            return [(name, value) for value in sorted(new, key=lambda v: (-len(new[v]), v))]
    return []


def _telling(reference: Reference, moved: Shift) -> NDArray[np.intp]:
    """The columns that moved most surely, inputs left out."""
    surety = np.where(reference.is_input, 0.0, np.abs(moved.surety))
    order = np.argsort(-surety)[:8]
    return order[surety[order] > 2.5]


def _effect(reference: Reference, columns: NDArray[np.intp], y: Array, base: Array | None) -> tuple[float, float]:
    """Mean absolute shift of the columns in standard deviations, and in standard errors."""
    mean = reference.mean if base is None else base
    size = np.abs(y[:, columns].mean(0) - mean[columns]) / reference.sd[columns]
    # The mean absolute value of noise alone is 0.8 standard errors.
    noise = 0.8 / np.sqrt(len(y))
    effect = float(np.maximum(size - noise, 0).mean())
    return effect, float(np.sqrt((size * size).mean() * len(y)))


def _along(
    reference: Reference,
    table: SegmentMeans,
    moved: Shift,
    columns: NDArray[np.intp],
    y: Array,
    segments: Sequence[Segments],
    attribute: str,
) -> Array:
    """How far rows y (n, d) lie along the change (n), each from where its own value of the attribute was before."""
    mean, sd = reference.mean[columns], reference.sd[columns]
    values = [dict(pairs).get(attribute) for pairs in segments]
    usual = dict.fromkeys(values, mean)
    for value in usual:
        own = None if value is None else table.mean(attribute, value)
        if value is not None and own is not None:
            # What a few rows differ by at random would tell the segments apart row by row.
            error = sd / np.sqrt(table.count(attribute, value))
            usual[value] = mean + beyond(own[columns] - mean, error)
    z = (y[:, columns] - np.stack([usual[value] for value in values])) / sd
    return np.asarray(np.clip(z, -CLIP, CLIP) @ np.sign(moved.size[columns]))


def _rest_mean(table: SegmentMeans, name: str, segments: Sequence[Segments], rows: NDArray[np.intp]) -> Array | None:
    """What the reference says of rows with these values of an attribute."""
    total = np.zeros(table.d)
    weight = 0
    for row in rows:
        value = dict(segments[row]).get(name)
        mean = table.mean(name, value) if value is not None else None
        if mean is not None:
            total += mean
            weight += 1
    return total / weight if weight else None


def _is_mix(
    reference: Reference,
    table: SegmentMeans,
    y: Array,
    members: dict[tuple[str, str], list[int]],
    columns: NDArray[np.intp],
) -> bool:
    n = len(y)
    actual = (y[:, columns].mean(0) - reference.mean[columns]) / reference.sd[columns]
    size = float(np.abs(actual).mean())
    for name in table.attributes():
        values = table.values(name)
        if len(values) < 2:
            continue
        now = {value: len(members.get((name, value), ())) / n for value in values}
        moved = 0.5 * sum(abs(now[value] - table.share(name, value)) for value in values)
        if moved < 0.1 or sum(now.values()) < 0.95:
            continue
        expected = np.zeros(table.d)
        for value in values:
            mean = table.mean(name, value)
            expected += now[value] * (reference.mean if mean is None else mean)
        left = (y[:, columns].mean(0) - expected[columns]) / reference.sd[columns]
        noise = 0.8 / np.sqrt(n)
        if float(np.maximum(np.abs(left) - noise, 0).mean()) < 0.3 * max(size - noise, 1e-9):
            return True
    return False


def inputs_moved(reference: Reference, moved: Shift) -> bool:
    """Whether any input feature shifted surely."""
    sure = reference.is_input & moved.certain(4.0)
    k = reference.moments.numbers
    size = np.abs(moved.size)
    large = np.concatenate([size[:k] > 0.25, size[k:] > 0.05])
    return bool((sure & large).any())


def inputs_moved_together(reference: Reference, y: Array, chance: float = SURELY) -> bool:
    """Whether the inputs of rows y (n, d) moved, taken together: another subject lies along no single direction."""
    if len(reference.outputs.joints) < 2 or reference.asked is None or not len(y):
        return False
    mean, noise = _shifted(reference, reference.asked, y)
    return bool(chdtrc(len(mean), float((mean * mean / noise).sum())) < chance)


def explained_by_inputs(reference: Reference, y: Array) -> bool:
    """Whether the outputs of rows y (n, d) moved no further than other inputs can explain.

    What a linear regression on the inputs leaves of the outputs is compared with how far the inputs themselves moved,
    both as lengths of whitened shifts: a regression learned on one kind of question leaves much of another kind's
    answers unexplained, and the more so the further away the questions are.
    """
    if reference.asked is None or not inputs_moved_together(reference, y):
        return False
    joints = reference.outputs.joints
    views = (reference.asked, joints[1], joints[0])
    return moved_no_further(*(_shift_length(reference, joint, y) for joint in views))


def moved_no_further(inputs: float, left: float, raw: float) -> bool:
    """Whether outputs moved no further than the inputs make them: by lengths of whitened shifts, of the inputs, of what
    a regression on them leaves of the outputs, and of the outputs as they are."""
    return left < OUTWEIGHS * inputs or left < 0.4 * raw


def _shift_length(reference: Reference, joint: Joint, y: Array) -> float:
    mean, noise = _shifted(reference, joint, y)
    return float(np.sqrt(np.maximum((mean * mean - noise).sum(), 0.0)))


def _shifted(reference: Reference, joint: Joint, y: Array) -> tuple[Array, Array]:
    """Mean of rows y (n, d) in the joint's whitened scores, and its variance without a shift."""
    core = reference.moments.core
    u = np.clip((y[:, :core] - reference.mean[:core]) @ joint.project, -CLIP, CLIP)
    return u.mean(0), np.asarray(joint.long_run / len(y) + joint.error**2, dtype=np.float64)
