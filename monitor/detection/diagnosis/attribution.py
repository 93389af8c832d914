"""Where a change comes from: a segment, the mix of segments, the inputs, or the outputs themselves.

The reference keeps, for each attribute with few values, how often each value came and the mean row it came with
(`monitor.detection.reference.segment_means`). So after a change each segment is compared with itself before, and the
rest with itself (within), and what a mere change of shares would have done is computed (between).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from monitor.detection.columns.recent_rows import VERSIONS, Segments
from monitor.detection.diagnosis.shift import Shift
from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.reference import Reference
from monitor.detection.reference.segment_means import SegmentMeans, beyond
from monitor.detection.reference.views import Joint
from monitor.features.families.feedback import OF_ATTRIBUTES
from monitor.features.keyed import has_key, split_key

Array = NDArray[np.float64]

MOST_COLUMNS, LEAST_SURETY = 8, 2.5
"""Columns by which segments are compared: the surest of the change, with this many standard errors at least; more only
add noise."""
FEWEST_ROWS, LEAST_SHARE = 4, 0.03
"""Rows, and share of the changed rows, from which a segment or a version can be named: of fewer, one event decides."""
NEW_VERSION_SHARE = 0.01
"""Share of the reference below which a version is new: one that served a test before is, too."""
NEARLY_ALL = 0.9
"""Share of the rows from which on a segment is the whole stream, and a version that came with all rows the cause."""
FEWEST_ROWS_OUTSIDE = 6
"""Rows outside a segment that it takes to say that they did not change."""
MOST_OUTSIDE_OF_CARRIER, MOST_OUTSIDE = 0.5, 0.4
"""Share of a segment's effect that the rest may have for the segment to carry the change. A segment whose own bets
crossed is believed sooner: they are evidence from all its rows."""
LEAST_SURETY_INSIDE = 3.0
"""Standard errors, over all columns together, by which a segment that is named must itself have moved."""
CHANCE = 0.05
"""A segment is named if chance would make one of all the segments differ from the rest like this less often."""
PERMUTATIONS = 4000
"""Random choices of rows, so that one chance in a thousand can be distinguished from one in a hundred."""
MEAN_ABSOLUTE_NOISE = 0.8
"""Mean absolute value of a standard normal variable: what noise alone adds to a mean absolute shift."""
LEAST_SHARE_MOVED, LEAST_SHARE_KNOWN, MOST_LEFT = 0.1, 0.95, 0.3
"""A mere change of shares: this much of the traffic moved between values, this much of it has values that the reference
knows, and of the shift less than this share is left when the shares are taken into account."""
OUTWEIGHS = 1.35
"""Outputs that moved this many times as far as the inputs changed by themselves."""
MOST_LEFT_BY_INPUTS = 0.4
"""Share of the outputs' shift that a regression on the inputs may leave, for the inputs to explain it."""
COMPARED = 64
"""Rows from which they are compared. Right after an alarm the shift of the outputs is overestimated, since an alarm
comes when they happen to lie far (optional stopping)."""
PERHAPS, SURELY = 1e-3, 1e-6
"""Inputs may have moved, or did, where chance would carry them as far less often than this."""
INPUT_SURETY, INPUT_SIZE, INPUT_RATE = 4.0, 0.25, 0.05
"""An input feature moved where its shift has this many standard errors, and this size in standard deviations of a
number or as a change of a rate: the default effect floors."""

Pair: TypeAlias = tuple[str, str]
"""A segment: an attribute and its value."""


@dataclass(frozen=True)
class Attribution:
    """Where a change comes from.

    `segment` carries it, or None for the whole stream; `new_versions` are version attributes with a value that the
    reference had not; `mix` says that only the shares of segments moved, `new_segments` which segments the reference
    never saw. `perhaps` may carry it: there are too few rows to decide.
    """

    segment: dict[str, str] | None = None
    new_versions: dict[str, str] = field(default_factory=dict)
    known_versions: bool = False
    mix: bool = False
    new_segments: list[Pair] = field(default_factory=list)
    perhaps: Pair | None = None


def attribute(
    reference: Reference,
    table: SegmentMeans,
    y: Array,
    segments: Sequence[Segments],
    moved: Shift,
    carrier: Pair | None = None,
) -> Attribution:
    """Compare rows y (n, d) after a change with the reference, segment by segment.

    `carrier` is the segment whose bets crossed, if it was one: sequential evidence from all its rows, which decides
    unless the others changed too.
    """
    rows = _Changed(reference, table, y, segments, moved)
    known, fresh = rows.versions()
    if not len(rows.columns):
        return Attribution(None, fresh, known)
    new_segments = [] if fresh else rows.new_segments()
    if new_segments:
        return Attribution(dict(new_segments[:1]), fresh, known, mix=True, new_segments=new_segments)
    for pair in fresh.items():
        if len(rows.members[pair]) > NEARLY_ALL * rows.n:
            # All rows came with it: a few rows of one segment or another prove nothing beside that.
            return Attribution(dict([pair]), fresh, known)
    if carrier is not None and rows.is_carried_by(carrier):
        return Attribution(dict([carrier]), fresh, known)
    best, perhaps = rows.most_changed(fresh)
    if not fresh and rows.is_mix():
        return Attribution(None, fresh, known, mix=True)
    if best is None:
        return Attribution(None, fresh, known, perhaps=perhaps)
    return Attribution(dict([best]), fresh, known)


class _Changed:
    """The rows after a change, by segment, and the columns that moved most surely.

    Attributes
    ----------
    n
        How many rows there are.
    columns
        The columns by which segments are compared.
    members
        Positions of the rows of each segment.
    """

    def __init__(
        self, reference: Reference, table: SegmentMeans, y: Array, segments: Sequence[Segments], moved: Shift
    ) -> None:
        self.n = len(y)
        self.columns = _surest_columns(reference, moved)
        self.members: dict[Pair, list[int]] = {}
        for row, pairs in enumerate(segments):
            for pair in pairs:
                self.members.setdefault(pair, []).append(row)
        self._reference, self._table, self._y, self._segments, self._moved = reference, table, y, segments, moved
        self._own = _of_attributes(reference, self.columns)
        self._enough = max(FEWEST_ROWS, LEAST_SHARE * self.n)

    def versions(self) -> tuple[bool, dict[str, str]]:
        """Whether the reference knows versions, and those that are new, by attribute: the most frequent of each."""
        known = False
        new: dict[str, str] = {}
        for name in VERSIONS:
            known = known or bool(self._table.values(name))
            fresh = {
                value: len(rows)
                for (attribute, value), rows in self.members.items()
                if attribute == name and self._table.share(attribute, value) < NEW_VERSION_SHARE
            }
            if fresh and not self._table.is_wide(name):
                value = max(fresh, key=lambda v: (fresh[v], v))
                if fresh[value] >= self._enough:
                    new[name] = value
        return known, new

    def new_segments(self) -> list[Pair]:
        """Values of one attribute that the reference never saw and without whose rows nothing would have moved."""
        for name in self._table.attributes():
            if name in VERSIONS or len(self._table.values(name)) < 2 or self._says_itself(name):
                continue
            new = {v: rows for (a, v), rows in self.members.items() if a == name and not self._table.share(a, v)}
            rows = sorted(row for held in new.values() for row in held)
            if len(rows) < self._enough:
                continue
            rest = np.setdiff1d(np.arange(self.n), rows)
            inside = self._effect(rows, None)
            outside = self._effect(rest, None) if len(rest) >= FEWEST_ROWS else (0.0, 0.0)
            if outside[0] <= MOST_OUTSIDE * inside[0]:
                return [(name, value) for value in sorted(new, key=lambda v: (-len(new[v]), v))]
        return []

    def is_carried_by(self, pair: Pair) -> bool:
        """Whether the segment whose bets crossed carries the change: the others did not change as it did."""
        if pair not in self.members or pair[0] in self._own:
            return False
        inside, outside, rest = self._both_sides(pair)
        return (
            rest >= FEWEST_ROWS_OUTSIDE
            and outside[0] <= MOST_OUTSIDE_OF_CARRIER * inside[0]
            and self._chance(pair) <= CHANCE
        )

    def most_changed(self, new_versions: Mapping[str, str]) -> tuple[Pair | None, Pair | None]:
        """The segment that changed more than the rest, and where there is none, the one that may have."""
        candidates = self._candidates(new_versions)
        chances: dict[Pair, float] = {}
        best: tuple[tuple[float, int, int], Pair] | None = None
        for pair, rows in candidates.items():
            name, value = pair
            inside, outside, rest = self._both_sides(pair)
            if rest < FEWEST_ROWS_OUTSIDE and self._table.share(name, value) > 0:
                continue  # nearly all rows are of this segment, as before: nothing distinguishes it from the stream
            if inside[1] < LEAST_SURETY_INSIDE or (rest >= FEWEST_ROWS and outside[0] > MOST_OUTSIDE * inside[0]):
                continue
            # A version that was not there before is a cause by itself, not one of many segments.
            chances[pair] = self._chance(pair) if rest and name not in new_versions else 0.0
            if chances[pair] * len(candidates) > CHANCE:
                continue
            preferred = -VERSIONS.index(name) if name in VERSIONS else -len(VERSIONS)
            key = (round(inside[0] - outside[0], 1), len(rows), preferred)
            if best is None or key > best[0]:
                best = (key, pair)
        if best is not None:
            return best[1], None
        likely = [pair for pair, chance in chances.items() if chance <= CHANCE]
        return None, min(likely, key=chances.__getitem__, default=None)

    def _candidates(self, new_versions: Mapping[str, str]) -> dict[Pair, list[int]]:
        """Segments that may be named: of enough rows, and not nearly the whole stream already in the reference."""
        table = self._table
        return {
            (name, value): rows
            for (name, value), rows in sorted(self.members.items())
            if len(rows) >= self._enough
            and name not in self._own
            and not table.is_wide(name)
            and table.share(name, value) <= NEARLY_ALL
            and (name in table.attributes() or name in new_versions)
        }

    def is_mix(self) -> bool:
        """Whether the shift is that of a change of shares between the values of an attribute, and no more."""
        reference, table = self._reference, self._table
        noise = MEAN_ABSOLUTE_NOISE / np.sqrt(self.n)
        for name in table.attributes():
            values = table.values(name)
            if len(values) < 2 or self._says_itself(name):
                continue
            columns = np.setdiff1d(self.columns, self._own.get(name, ()))
            mean = self._y[:, columns].mean(0)
            size = float(np.abs((mean - reference.mean[columns]) / reference.sd[columns]).mean())
            now = {value: len(self.members.get((name, value), ())) / self.n for value in values}
            moved = 0.5 * sum(abs(now[value] - table.share(name, value)) for value in values)
            if moved < LEAST_SHARE_MOVED or sum(now.values()) < LEAST_SHARE_KNOWN:
                continue
            expected = np.zeros(table.d)
            for value in values:
                own = table.mean(name, value)
                expected += now[value] * (reference.mean if own is None else own)
            left = (mean - expected[columns]) / reference.sd[columns]
            if float(np.maximum(np.abs(left) - noise, 0).mean()) < MOST_LEFT * max(size - noise, 1e-9):
                return True
        return False

    def _says_itself(self, name: str) -> bool:
        """Whether nothing moved surely but what this attribute says, as thumbs: its shares explain no other change."""
        if name not in self._own:
            return False
        others = np.setdiff1d(self.columns, self._own[name])
        return not (np.abs(self._moved.surety[others]) >= INPUT_SURETY).any()

    def _both_sides(self, pair: Pair) -> tuple[tuple[float, float], tuple[float, float], int]:
        """The effect inside a segment and outside of it, each against its own past, and how many rows are outside."""
        rows = self.members[pair]
        rest = np.setdiff1d(np.arange(self.n), rows)
        inside = self._effect(rows, self._table.mean(*pair))
        outside = self._effect(rest, self._rest_mean(pair[0], rest)) if len(rest) else (0.0, 0.0)
        return inside, outside, len(rest)

    def _effect(self, rows: Sequence[int] | NDArray[np.intp], base: Array | None) -> tuple[float, float]:
        """Mean absolute shift of the columns in some rows, in standard deviations and in standard errors.

        `base` (d) is what they were before; None: the reference's mean.
        """
        y, reference, columns = self._y[rows], self._reference, self.columns
        mean = reference.mean if base is None else base
        size = np.abs(y[:, columns].mean(0) - mean[columns]) / reference.sd[columns]
        noise = MEAN_ABSOLUTE_NOISE / np.sqrt(len(y))
        effect = float(np.maximum(size - noise, 0).mean())
        return effect, float(np.sqrt((size * size).mean() * len(y)))

    def _rest_mean(self, name: str, rows: NDArray[np.intp]) -> Array | None:
        """What the reference says of rows with these values of an attribute."""
        total = np.zeros(self._table.d)
        weight = 0
        for row in rows:
            value = dict(self._segments[row]).get(name)
            mean = self._table.mean(name, value) if value is not None else None
            if mean is not None:
                total += mean
                weight += 1
        return total / weight if weight else None

    def _chance(self, pair: Pair) -> float:
        """How often as many of the rows, chosen at random, would lie as far along the change as this segment's do.

        A permutation test (Fisher 1935; Good 2005): it holds however few rows there are, and where five of forty show
        all of the change.
        """
        along = self._along(pair[0])
        rows = self.members[pair]
        drawn = along[self._permutations[:, : len(rows)]].sum(1)
        # Sums in another order may differ in the last digits.
        return float((1 + (drawn >= along[rows].sum() - 1e-9).sum()) / (1 + PERMUTATIONS))

    @cached_property
    def _permutations(self) -> NDArray[np.intp]:
        """Rows in random orders (PERMUTATIONS, n), the same for the same number of rows."""
        return np.random.default_rng(self.n).permuted(np.tile(np.arange(self.n), (PERMUTATIONS, 1)), axis=1)

    def _along(self, attribute: str) -> Array:
        """How far the rows lie along the change (n), each from where its own value of the attribute was before."""
        columns = self.columns
        mean, sd = self._reference.mean[columns], self._reference.sd[columns]
        values = [dict(pairs).get(attribute) for pairs in self._segments]
        usual = dict.fromkeys(values, mean)
        for value in usual:
            own = None if value is None else self._table.mean(attribute, value)
            if value is not None and own is not None:
                # What a few rows differ by at random would distinguish the segments row by row.
                error = sd / np.sqrt(self._table.count(attribute, value))
                usual[value] = mean + beyond(own[columns] - mean, error)
        z = (self._y[:, columns] - np.stack([usual[value] for value in values])) / sd
        return np.asarray(np.clip(z, -CLIP, CLIP) @ np.sign(self._moved.size[columns]))


def _surest_columns(reference: Reference, moved: Shift) -> NDArray[np.intp]:
    """The columns that moved most surely, inputs left out."""
    surety = np.where(reference.is_input, 0.0, np.abs(moved.surety))
    order = np.argsort(-surety)[:MOST_COLUMNS]
    return order[surety[order] > LEAST_SURETY]


def _of_attributes(reference: Reference, columns: NDArray[np.intp]) -> dict[str, list[int]]:
    """Those of these columns that are an attribute of the events themselves (feedback), by the name of its segments."""
    own: dict[str, list[int]] = {}
    for j in columns.tolist():
        name = reference.layout.name(j)
        if has_key(name) and split_key(name)[0] in OF_ATTRIBUTES:
            own.setdefault(f"attributes.{split_key(name)[1]}", []).append(j)
    return own


def inputs_moved(reference: Reference, moved: Shift) -> bool:
    """Whether any input feature shifted surely."""
    sure = reference.is_input & moved.certain(INPUT_SURETY)
    k = reference.moments.numbers
    size = np.abs(moved.size)
    large = np.concatenate([size[:k] > INPUT_SIZE, size[k:] > INPUT_RATE])
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
    return left < OUTWEIGHS * inputs or left < MOST_LEFT_BY_INPUTS * raw


def _shift_length(reference: Reference, joint: Joint, y: Array) -> float:
    mean, noise = _shifted(reference, joint, y)
    return float(np.sqrt(np.maximum((mean * mean - noise).sum(), 0.0)))


def _shifted(reference: Reference, joint: Joint, y: Array) -> tuple[Array, Array]:
    """Mean of rows y (n, d) in the joint's whitened scores, and its variance without a shift."""
    core = reference.moments.core
    u = np.clip((y[:, :core] - reference.mean[:core]) @ joint.project, -CLIP, CLIP)
    return u.mean(0), np.asarray(joint.long_run / len(y) + joint.error**2, dtype=np.float64)
