"""Two versions that run at the same time, compared with each other while they run.

A stream's reference says what was; a roll-out asks what is: on the same traffic, at the same time, does the new version
answer as the old one does? Whatever moves both (the questions, the hour, a slow dependency) is no answer to that, and
what the new version does to a tenth of the traffic hardly shows in all of it. So the rows of two versions that come
mixed with each other are compared row by row with their neighbours (`monitor.detection.evidence.two_sample`).

Versions run at the same time from the moment that an older one comes again after a newer one, until one of them has not
come for `GONE` rows. A plain switch from one to the other is therefore no comparison. While there are comparisons, they
have `SHARE` of the stream's alert budget and the tracks the rest, so that all evidence of a stream keeps one budget.

What differs by its effect floor fires, as a finding of its own that names the new version; less is information, and so
is a difference of the inputs that explains that of the outputs: then it is the routing that differs. A finding is
resolved when the versions agree again, or when one of them is gone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.duplicates import Repetitions
from monitor.detection.columns.normal_scores import expand
from monitor.detection.columns.recent_rows import VERSIONS, RecentRows, each_once, segments_of
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.columns.watched_columns import FlagKind
from monitor.detection.diagnosis import attribution, explain
from monitor.detection.diagnosis.change_point import TEMPER, Shift
from monitor.detection.evidence.two_sample import PIECE, TwoSampleTest
from monitor.detection.records.finding import (
    EXAMPLES,
    BeganAt,
    Driver,
    Ended,
    Examples,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Resolution,
    Severity,
    State,
    finding_id,
    resolved,
)
from monitor.detection.reference.learned_reference import LearnedReference
from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.reference import Joint, Reference
from monitor.detection.state.snapshot_codec import pack, unpack
from monitor.detection.stream.recovery import Column, columns_of_difference, limit, not_back
from monitor.detection.stream.reference_monitor import FEW, PATIENCE, PATIENCE_MOST, Context, columns_of, finite
from monitor.features.base import FeatureSpec, Kind

Array = NDArray[np.float64]

SHARE = 0.2
"""Share of the alert budget that comparisons have while there are any; it costs the tracks a hundredth of a delay."""
GONE = 1_000
"""Rows of the stream after which a version that did not come runs no longer."""
MOST_PAIRS = 3
MOST_VERSIONS = 8
"""Versions of one attribute that are remembered; an attribute with more at a time (a request's id, say) is none."""
NEW = 32
"""Rows of a new version within which a difference is taken to have been there from its first row on."""
GAINS = 64
"""Latest pieces whose gains are kept, for when a difference began."""
AGREE = 80.0
"""Rows of the rarer version, about, by which it is told that versions agree again: a share of 2 % of faults shows among
so many four times in five."""


AGREED = limit(PIECE)
"""Log of the evidence by which they agree again."""


class _Versions:
    """Values of one attribute, by when they came first and last (stream indices)."""

    def __init__(self) -> None:
        self.known: dict[str, list[int]] = {}
        self.latest: str | None = None
        self.wide = False

    def take(self, values: Sequence[str | None], indices: NDArray[np.int64]) -> list[tuple[str, str]]:
        """Note rows; pairs (older, newer) of which the older one came again after the newer one."""
        if self.wide:
            return []
        if len(set(values)) == 1:
            if values[0] is None:
                return []
            if values[0] == self.latest:
                self.known[self.latest][1] = int(indices[-1])
                return []
        mixed: list[tuple[str, str]] = []
        for value, index in zip(values, indices.tolist(), strict=True):
            if value is None:
                continue
            if value not in self.known:
                if len(self.known) >= MOST_VERSIONS:
                    self.known = {name: places for name, places in self.known.items() if index - places[1] < GONE}
                if len(self.known) >= MOST_VERSIONS:
                    self.known, self.latest, self.wide = {}, None, True
                    return []
                self.known[value] = [index, index]
            self.known[value][1] = index
            before, self.latest = self.latest, value
            if before in self.known and self.known[before][0] > self.known[value][0]:
                pair = (value, before)
                if pair not in mixed:
                    mixed.append(pair)
        return mixed


class _Difference:
    """Sums over pieces: the mean difference between two versions within them, what each version gave, and the noise."""

    def __init__(self, d: int, since: int) -> None:
        self.since = since
        self.counts: NDArray[np.int64] = np.zeros(2, dtype=np.int64)
        self.weight = 0.0
        # Difference; sums of the old and of the new version's rows; squares within each version's part of a piece.
        self.sums: Array = np.zeros((4, d))
        self.freedom = 0

    def add(self, y: Array, new: NDArray[np.bool_]) -> None:
        """A piece's rows y (n, d), both versions among them."""
        own, other = y[new], y[~new]
        weight = len(own) * len(other) / len(y)
        means = own.mean(0), other.mean(0)
        self.weight += weight
        self.counts += (len(other), len(own))
        self.sums[0] += weight * (means[0] - means[1])
        self.sums[1] += other.sum(0)
        self.sums[2] += own.sum(0)
        self.sums[3] += ((own - means[0]) ** 2).sum(0) + ((other - means[1]) ** 2).sum(0)
        self.freedom += len(y) - 2

    def shift(self, reference: Reference) -> Shift:
        """How far the new version is from the old one, as a shift between a reference and rows is told."""
        k = reference.moments.numbers
        variance = reference.variance
        if self.freedom > 8:
            variance = np.maximum(self.sums[3] / self.freedom, variance)
        size = self.sums[0] / self.weight
        surety = size / np.sqrt(np.maximum(variance, 1e-6) / self.weight)
        size[:k] /= reference.sd[:k]
        return Shift(size=size, surety=surety, rows=int(self.counts[1]))

    def rates(self, j: int) -> tuple[float, float]:
        """Mean of column j, of the old version and of the new one."""
        return float(self.sums[1, j] / self.counts[0]), float(self.sums[2, j] / self.counts[1])

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [self.since, pack(self.counts), self.weight, pack(self.sums), self.freedom]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> _Difference:
        """The sums that `plain` described."""
        since, counts, weight, sums, freedom = plain
        difference = cls(0, since)
        difference.counts, difference.weight, difference.freedom = unpack(counts), weight, freedom
        difference.sums = unpack(sums)
        return difference


class _VersionPair:
    """One comparison: an attribute, its older and its newer value, and what their rows say."""

    def __init__(self, attribute: str, old: str, new: str, firsts: tuple[int, int], normal: LearnedReference) -> None:
        self.attribute = attribute
        self.old = old
        self.new = new
        self.firsts = firsts
        self.first = first = firsts[1]
        self.open: Finding | None = None
        self._told = False
        self._repetitions = Repetitions()
        self._begin(normal, first)

    def _begin(self, normal: LearnedReference, since: int) -> None:
        reference = normal.reference
        d = len(reference.mean)
        self._basis = normal.version
        self._test = TwoSampleTest(_width(reference))
        self._difference = _Difference(d, since)
        self._window = None if self.open is None else _Difference(d, since)
        self._tested: list[Column] = []
        self._y: Array = np.zeros((0, d))
        self._new: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._indices: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._gains: list[list[float]] = []
        self._cusum = 0.0
        self._seen = 0
        self._rows = 0
        self._quiet = [0, PATIENCE]

    @property
    def segment(self) -> dict[str, str]:
        """The new version."""
        return {self.attribute: self.new}

    def evidence(self) -> float:
        """Evidence that the versions differ."""
        return self._test.total()

    def take(
        self, context: Context, rows: StreamRows, indices: NDArray[np.int64], y: Array,
        normal: LearnedReference, history: RecentRows,
        threshold: float, paged: bool,
    ) -> list[Finding]:  # fmt: skip
        """Rows of the stream, those of other versions too; what the comparison brought to light.

        `paged`: a drift that was laid to the new version fires already.
        """
        if normal.version != self._basis or _width(normal.reference) != self._test.m:
            self._begin(normal, int(indices[0]))
        values = [segments.get(self.attribute) for segments in rows.segments]
        labelled = np.asarray([(value in (self.old, self.new), value == self.new) for value in values], dtype=bool)
        mine = np.flatnonzero(labelled[:, 0] & (indices >= self.first))
        if not len(mine):
            return []
        # A client that asks the same again and again is not so many answers, above all not if it has one version.
        counts = self._repetitions.counts(rows.digests[mine], rows.present(context.specs.input_length)[mine])
        self._repetitions.remember(rows.digests[mine])
        mine = mine[counts == 1.0]
        self._y = np.concatenate([self._y, y[mine]])
        self._new = np.concatenate([self._new, labelled[mine, 1]])
        self._indices = np.concatenate([self._indices, indices[mine]])
        findings: list[Finding] = []
        while len(self._new) >= PIECE:
            at = int(self._indices[PIECE - 1])
            crossed = self._piece(normal.reference, threshold)
            where = int(np.searchsorted(indices, at))
            raised = RaisedAt(rows.ids[where], at, finite(rows.times[where]))
            if self.open is not None:
                findings += self._agree(context, normal.reference, raised)
            elif crossed:
                findings += self._examine(context, normal.reference, history, raised, threshold, paged)
        return findings

    def _piece(self, reference: Reference, threshold: float) -> bool:
        """Take the first `PIECE` rows that wait; whether the evidence is above the threshold."""
        y, new = self._y[:PIECE], self._new[:PIECE]
        first, last = int(self._indices[0]), int(self._indices[PIECE - 1])
        self._y, self._new, self._indices = self._y[PIECE:], self._new[PIECE:], self._indices[PIECE:]
        self._rows += PIECE
        if int((new[1:] != new[:-1]).sum()) < 2:
            return False  # one after the other is a change in time, and only one version nothing to compare
        if self._window is not None:
            self._window.add(y, new)
            weight = float(new.sum() * (~new).sum() / PIECE)
            apart = (y[new].mean(0) - y[~new].mean(0)) / reference.sd
            for column in self._tested:
                column.add(weight, weight * float(apart[column.place]))
        gain = self._test.piece(_scores(reference, y), new)
        self._seen += int(new.sum())
        self._cusum += gain
        if self._cusum < 0:
            self._cusum = 0.0
            if self._seen > NEW:
                self._difference = _Difference(y.shape[1], last + 1)
                self._gains.clear()
                return False
        self._difference.add(y, new)
        self._gains = [*self._gains, [first, gain]][-GAINS:]
        return self._test.total() >= threshold and self._rows >= self._quiet[0]

    # Findings

    def _examine(
        self,
        context: Context,
        reference: Reference,
        history: RecentRows,
        raised: RaisedAt,
        threshold: float,
        paged: bool,
    ) -> list[Finding]:
        moved = self._difference.shift(reference)
        changes = self._changes(context, reference, history, moved, (2.5, 1.5, 0.0) if moved.rows <= FEW else (2.5,))
        driver = self._driver(context, reference, moved, changes)
        fires = bool(changes) and driver.value in context.settings.alert_on and not paged
        if not changes and moved.rows <= FEW:
            self._quiet[0] = self._rows + FEW
            return []
        certainty = (math.log10(max(self._test.total(), 1e-300)), math.log10(threshold))
        finding = self._finding(context, reference, history, fires, driver, changes, raised, certainty)
        self._test.restart()
        if fires:
            self._open(context, reference, finding, moved)
            self._quiet = [0, PATIENCE]
            return [finding]
        told, self._told = self._told, True
        self._quiet = [self._rows + self._quiet[1], min(2 * self._quiet[1], PATIENCE_MOST)]
        return [] if told else [finding]

    def confirm(
        self, context: Context, normal: LearnedReference, history: RecentRows, drift: Finding
    ) -> Finding | None:
        """The finding that the versions differ, where a drift was laid to the new one and their rows bear it out."""
        if self.open is not None or normal.version != self._basis or not self._difference.weight:
            return None
        reference = normal.reference
        moved = self._difference.shift(reference)
        changes = self._changes(context, reference, history, moved, (2.5,))
        driver = self._driver(context, reference, moved, changes)
        if not changes or driver.value not in context.settings.alert_on:
            return None
        certainty = (drift.evidence or 0.0, drift.threshold or 0.0)
        found = self._finding(context, reference, history, True, driver, changes, drift.raised_at, certainty)
        self._test.restart()
        self._open(context, reference, found, moved)
        return found

    def _open(self, context: Context, reference: Reference, finding: Finding, moved: Shift) -> None:
        """A finding fires from now on: what it names must agree again."""
        self.open = finding
        self._window = _Difference(len(reference.mean), finding.raised_at.index)
        distance = moved.size.copy()
        distance[reference.moments.numbers :] /= reference.sd[reference.moments.numbers :]
        effect = explain.effects(reference, moved, context.settings.floors)
        floors = np.abs(distance / np.where(effect == 0, 1.0, effect))
        self._tested = columns_of_difference(
            distance, moved.surety, floors, self._named(reference, finding), self._difference.weight
        )

    def _named(self, reference: Reference, finding: Finding) -> NDArray[np.bool_]:
        """The columns (d) that a finding names."""
        named = {change.name for change in finding.features}
        return np.asarray([reference.layout.name(j) in named for j in range(len(reference.mean))], dtype=bool)

    def _changes(
        self, context: Context, reference: Reference, history: RecentRows, moved: Shift, sureties: Sequence[float]
    ) -> list[FeatureChange]:
        effect = np.where(reference.is_input, 0.0, explain.effects(reference, moved, context.settings.floors))
        kept = self._kept(history)

        def sides(j: int) -> tuple[float | None, float | None]:
            return self._sides(context.specs.get(reference.layout.name(j)), reference, history, kept, j)

        changes: list[FeatureChange] = []
        for sure in sureties:
            changes = explain.feature_changes(
                reference, moved, effect, history.numbers, history.flag_values(), context.specs, sure=sure, sides=sides
            )
            if changes:
                break
        return changes

    def _kept(self, history: RecentRows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Positions among the rows that the stream holds, of the old version and of the new one."""
        values = [dict(segments).get(self.attribute) for segments in history.segments]
        since = history.indices >= self._difference.since
        old, new = (
            np.flatnonzero(since & np.asarray([value == own for value in values], dtype=bool))
            for own in (self.old, self.new)
        )
        return old, new

    def _sides(
        self, spec: FeatureSpec | None, reference: Reference, history: RecentRows,
        kept: tuple[NDArray[np.intp], NDArray[np.intp]], j: int,
    ) -> tuple[float | None, float | None]:  # fmt: skip
        """Column j of the old version and of the new one: medians of what is held, or rates of all that came."""
        layout, k = reference.layout, reference.moments.numbers
        if j < k:
            medians = [_median(history, rows, j) for rows in kept]
            if spec is None or spec.kind is not Kind.COUNT:
                return medians[0], medians[1]
            whole = [None if median is None else float(round(median)) for median in medians]
            nonzero = layout.flag_place(layout.numbers[j], FlagKind.NONZERO)
            if whole[0] != whole[1] or nonzero is None:
                return whole[0], whole[1]
            j = k + nonzero
        old, new = self._difference.rates(j)
        return explain.rounded(old), explain.rounded(new)

    def _driver(self, context: Context, reference: Reference, moved: Shift, changes: Sequence[FeatureChange]) -> Driver:
        """Whose doing: the routing's, if the inputs differ and the outputs no further than such inputs make them.

        Nothing of faults, which are few, shows in how far the means of outputs moved.
        """
        joints = reference.outputs.joints
        decisive = explain.decisive(reference, moved, changes, context.specs)
        faults = any(explain.is_fault(change, context.specs.get(change.name)) for change in decisive)
        if not faults and attribution.inputs_moved(reference, moved) and reference.inputs.joints and len(joints) > 1:
            views = (reference.inputs.joints[0], joints[1], joints[0])
            if attribution.moved_no_further(*(self._length(joint) for joint in views)):
                return Driver.INPUT
        return explain.driver_of(decisive, context.specs)

    def _length(self, joint: Joint) -> float:
        mean = self._difference.sums[0] / self._difference.weight
        u = mean[: len(joint.project)] @ joint.project
        return float(np.sqrt(np.maximum((u * u - 1 / self._difference.weight).sum(), 0.0)))

    def _finding(
        self, context: Context, reference: Reference, history: RecentRows, fires: bool, driver: Driver,
        changes: list[FeatureChange], raised: RaisedAt, certainty: tuple[float, float],
    ) -> Finding:  # fmt: skip
        began = self._began(history, raised.index)
        title, cause = self._words(context, driver, changes, began.index)
        before, after = self._examples(reference, history)
        held = history.first_excerpt
        return Finding(
            stream=context.stream,
            state=State.FIRING if fires else State.INFO,
            id=finding_id(context.stream, FindingKind.CANARY, driver, self.segment, raised.index),
            kind=FindingKind.CANARY,
            cause=cause,
            driver=driver,
            raised_at=raised,
            began_at=began,
            features=changes,
            segment=self.segment,
            examples=Examples(*([history.event_id(at) for at in side] for side in (before, after))),
            title=title,
            severity=explain.severity_of(changes, context.specs) if fires else Severity.INFO,
            runbook=explain.runbook_of(FindingKind.CANARY, changes),
            evidence=round(certainty[0], 2),
            threshold=round(certainty[1], 2),
            excerpts_before=[history.excerpt(at) for at in before if at >= held],
            excerpts_after=[history.excerpt(at) for at in after if at >= held],
        )

    def _began(self, history: RecentRows, raised: int) -> BeganAt:
        """From the new version's first row on, unless the versions had agreed for a while; with a 90 % interval."""
        starts = np.asarray([start for start, _ in self._gains] or [float(self.first)])
        total = np.cumsum(np.asarray([gain for _, gain in self._gains] or [0.0])[::-1])[::-1]
        share = np.exp(np.maximum((total - total.max()) * TEMPER, -700))
        share = np.cumsum(share) / share.sum()
        low, high = (int(starts[min(int(np.searchsorted(share, q)), len(starts) - 1)]) for q in (0.05, 0.95))
        index = max(self._difference.since, self.first)
        place = np.flatnonzero(history.indices == index)
        time = finite(history.times[place[0]]) if len(place) else None
        return BeganAt(index, min(low, index), min(max(high, index), raised), time)

    def _words(self, context: Context, driver: Driver, changes: Sequence[FeatureChange], began: int) -> tuple[str, str]:
        versions = f"{self.attribute}={self.new} beside {self.old}"
        if not changes:
            parts = ["no single feature differs by its floor, many do together"]
        else:
            parts = [explain.phrase(change, context.specs) for change in changes[:3]]
        more = f"; and {len(changes) - 3} more features with them" if len(changes) > 3 else ""
        why = "The two had the same traffic at the same time."
        if driver is Driver.INPUT:
            why = "But they are not asked the same, which explains it: look at how requests are routed."
        title = f"{context.stream}: {self.attribute}={self.new} differs from {self.old}: {parts[0]}"
        return title, f"Since event {began}, {versions}: {'; '.join(parts)}{more}. {why}"

    def _examples(self, reference: Reference, history: RecentRows) -> tuple[list[int], list[int]]:
        """Rows that the stream holds: of the old version the most usual, of the new one those furthest from it."""
        old, new = self._kept(history)
        mean = self._difference.sums[1] / max(int(self._difference.counts[0]), 1)
        apart = np.clip(self._difference.shift(reference).size, -CLIP, CLIP)
        chosen = []
        for rows, sign in ((old, 1.0), (new, -1.0)):
            spoken = rows[rows >= history.first_excerpt]
            rows = spoken if len(spoken) >= EXAMPLES else rows[rows >= history.first_id]
            y = reference.scores(
                history.numbers[rows], history.flag_values()[rows], [history.segments[row] for row in rows]
            )
            z = np.clip((y - mean) / reference.sd, -CLIP, CLIP)
            far = np.abs(z).mean(1) if sign > 0 else -(z @ apart)
            chosen.append([int(rows[at]) for at in np.sort(np.argsort(far, kind="stable")[:EXAMPLES])])
        return chosen[0], chosen[1]

    # After a finding

    def _agree(self, context: Context, reference: Reference, raised: RaisedAt) -> list[Finding]:
        """Whether what the finding named has stopped to differ.

        The test of recovery must be sure of that (`monitor.detection.stream.recovery`), and over a window of rows
        nothing may differ by its floor.
        """
        assert self.open is not None
        window = self._window
        if window is None or window.weight < AGREE or window.counts.sum() < context.settings.recovery:
            return []
        moved = window.shift(reference)
        effect = explain.effects(reference, moved, context.settings.floors)
        columns = self._named(reference, self.open)
        self._window = _Difference(len(effect), int(window.since))
        if not_back(self._tested, AGREED):
            return []
        if (columns & (np.abs(effect) >= 1.0) & moved.certain(1.0)).any():
            return []
        back = int(window.counts.sum())
        why = f"the two agree again over {back:,} of their events"
        return self.resolve(Resolution(how=Ended.RECOVERED, why=why, index=raised.index, time=raised.time))

    def resolve(self, why: Resolution) -> list[Finding]:
        """Close what is open."""
        if self.open is None:
            return []
        ended = resolved(self.open, why)
        self.open, self._window, self._tested = None, None, []
        self._test.restart()
        self._difference = _Difference(self._difference.sums.shape[1], ended.raised_at.index)
        self._gains.clear()
        self._cusum = 0.0
        return [ended]

    # State

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [
            [self.attribute, self.old, self.new, self.firsts, self._basis, self._told],
            None if self.open is None else msgspec.to_builtins(self.open),
            self._repetitions.plain(),
            self._test.plain(),
            self._difference.plain(),
            None if self._window is None else self._window.plain(),
            [pack(self._y), pack(self._new.astype(np.uint8)), pack(self._indices)],
            [self._gains, self._cusum, self._seen, self._rows, self._quiet],
            [msgspec.to_builtins(column) for column in self._tested],
        ]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> _VersionPair:
        """The comparison that `plain` described."""
        names, found, repetitions, test, difference, window, waiting, counts, *later = plain
        pair = cls.__new__(cls)
        pair.attribute, pair.old, pair.new, firsts, pair._basis, pair._told = names
        pair.firsts = (firsts[0], firsts[1])
        pair.first = firsts[1]
        pair.open = None if found is None else msgspec.convert(found, Finding)
        tested = later[0] if later else []  # a snapshot from before the test of recovery has none
        pair._tested = [msgspec.convert(column, Column) for column in tested]
        pair._repetitions = Repetitions.from_plain(repetitions)
        pair._test = TwoSampleTest.from_plain(test)
        pair._difference = _Difference.from_plain(difference)
        pair._window = None if window is None else _Difference.from_plain(window)
        pair._y, pair._indices = unpack(waiting[0]), unpack(waiting[2])
        pair._new = unpack(waiting[1]).astype(bool)
        pair._gains, pair._cusum, pair._seen, pair._rows, pair._quiet = counts
        return pair


class CanaryMonitor:
    """All comparisons of one stream.

    Attributes
    ----------
    pairs
        The comparisons that run, oldest first.
    """

    def __init__(self) -> None:
        self.pairs: list[_VersionPair] = []
        self._versions: dict[str, _Versions] = {}
        self._accepted: list[tuple[str, str, str]] = []

    @property
    def share(self) -> float:
        """Share of the stream's alert budget that the comparisons have now."""
        return SHARE if self.pairs else 0.0

    @property
    def open(self) -> list[Finding]:
        """Findings that fire now."""
        return [pair.open for pair in self.pairs if pair.open is not None]

    def note(
        self, attributes: Sequence[str], rows: StreamRows, indices: NDArray[np.int64]
    ) -> list[tuple[str, str, str]]:
        """Remember which versions came when; attribute, older and newer value of those that run at the same time."""
        mixed = []
        there = {name for mapping in each_once(rows.segments).values() for name in mapping}
        for attribute in attributes:
            versions = self._versions.get(attribute)
            if versions is None:
                if attribute not in there:
                    continue
                versions = self._versions[attribute] = _Versions()
            values = [segments.get(attribute) for segments in rows.segments]
            mixed += [(attribute, old, new) for old, new in versions.take(values, indices)]
        return mixed

    def judge(
        self, context: Context, rows: StreamRows, indices: NDArray[np.int64], normal: LearnedReference,
        history: RecentRows, asked: float,
        firing: Sequence[Finding],
    ) -> list[Finding]:  # fmt: skip
        """Take rows with their stream indices; what they say of versions that run at the same time.

        `normal` is the reference by which rows are scored, `history` the stream's last rows, `asked` the mean run
        length that the stream's budget asks for, and `firing` what the tracks have told: a version that a drift was
        laid to is information here.
        """
        for mixed in self.note(context.settings.canary, rows, indices):
            self._compare(*mixed, normal=normal)
        if not self.pairs:
            return []
        findings: list[Finding] = []
        numbers, flags = columns_of(normal.reference.layout, rows)
        y = normal.reference.scores(numbers, flags, segments_of(rows.segments))
        threshold = asked * len(self.pairs) / SHARE
        told = [self._of(finding.segment) for finding in firing]
        for pair in list(self.pairs):
            findings += pair.take(context, rows, indices, y, normal, history, threshold, pair in told)
            findings += self._end(pair, int(indices[-1]), context.settings.canary)
        return findings

    def _compare(self, attribute: str, old: str, new: str, *, normal: LearnedReference) -> None:
        known = self._versions[attribute].known
        if len(self.pairs) >= MOST_PAIRS or (attribute, old, new) in self._accepted or not {old, new} <= set(known):
            return
        firsts = known[old][0], known[new][0]
        for pair in self.pairs:
            if firsts == pair.firsts or (pair.attribute, pair.new) == (attribute, new):
                return  # the same rows under another attribute's name, or this version is being compared
        self.pairs.append(_VersionPair(attribute, old, new, firsts, normal))

    def _end(self, pair: _VersionPair, now: int, attributes: Sequence[str]) -> list[Finding]:
        """End a comparison of which one side is gone."""
        versions = self._versions[pair.attribute]
        known = versions.known
        gone = [v for v in (pair.old, pair.new) if v not in known or now - known[v][1] >= GONE]
        if not gone and pair.attribute in attributes:
            return []
        self.pairs.remove(pair)
        if versions.wide:
            why = f"{pair.attribute} has more than {MOST_VERSIONS} values at a time: it names no version"
        elif not gone:
            why = f"the setting canary no longer names {pair.attribute}"
        else:
            why = f"{pair.attribute}={gone[0]} has not come for {GONE:,} events"
        return pair.resolve(Resolution(how=Ended.REPLACED, why=why, index=now))

    def confirm(
        self, context: Context, normal: LearnedReference, history: RecentRows, drift: Finding
    ) -> Finding | None:
        """What a drift that was laid to a version becomes where that version runs beside another."""
        pair = self._of(drift.segment)
        return None if pair is None else pair.confirm(context, normal, history, drift)

    def tells(self, segment: dict[str, str] | None) -> bool:
        """Whether a finding that fires names this segment already."""
        pair = self._of(segment)
        return pair is not None and pair.open is not None

    def _of(self, segment: dict[str, str] | None) -> _VersionPair | None:
        """The comparison whose new version a segment names, under whichever attribute."""
        if not segment or len(segment) != 1:
            return None
        ((attribute, value),) = segment.items()
        known = self._versions[attribute].known.get(value) if attribute in self._versions else None
        for pair in self.pairs:
            same = known is not None and attribute in VERSIONS and known[0] == pair.first
            if pair.segment == segment or same:
                return pair
        return None

    def evidence(self) -> float:
        """Evidence of the comparisons, on the scale on which the stream's budget is its threshold."""
        return max((pair.evidence() * SHARE / len(self.pairs) for pair in self.pairs), default=0.0)

    def accept(self, why: Resolution) -> list[Finding]:
        """What differs now is accepted: those versions are not compared again."""
        findings: list[Finding] = []
        for pair in [pair for pair in self.pairs if pair.open is not None]:
            findings += pair.resolve(why)
            self.pairs.remove(pair)
            self._accepted = [*self._accepted, (pair.attribute, pair.old, pair.new)][-MOST_VERSIONS:]
        return findings

    def resolve(self, why: Resolution) -> list[Finding]:
        """Close what is open and compare anew."""
        findings = [finding for pair in self.pairs for finding in pair.resolve(why)]
        self.pairs = []
        return findings

    # State

    def plain(self) -> list[Any]:
        """Plain data for a snapshot."""
        return [
            [[name, own.known, own.latest, own.wide] for name, own in self._versions.items()],
            [pair.plain() for pair in self.pairs],
            self._accepted,
        ]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> CanaryMonitor:
        """The comparisons that `plain` described."""
        versions, pairs, accepted = plain
        canary = cls()
        for name, known, latest, wide in versions:
            own = canary._versions[name] = _Versions()
            own.known = {value: list(places) for value, places in known.items()}
            own.latest, own.wide = latest, wide
        canary.pairs = [_VersionPair.from_plain(pair) for pair in pairs]
        canary._accepted = [(attribute, old, new) for attribute, old, new in accepted]
        return canary


def _width(reference: Reference) -> int:
    """How many coordinates `_scores` has."""
    joints = reference.outputs.joints
    return (joints[0].project.shape[1] if joints else 0) + len(_rare(reference))


def _rare(reference: Reference) -> NDArray[np.intp]:
    """Columns of the flags that are bet on and too rare for the whitened view."""
    columns = np.concatenate([reference.outputs.rates.columns, reference.outputs.failures.columns])
    return columns[columns >= reference.moments.core]


def _scores(reference: Reference, y: Array) -> Array:
    """What is compared of rows y (n, d): the whitened view of outputs and call, and the rare flags (n, m)."""
    centred = y - reference.mean
    rare = _rare(reference)
    parts = [centred[:, rare] / reference.sd[rare]]
    for joint in reference.outputs.joints[:1]:
        parts.insert(0, centred[:, : len(joint.project)] @ joint.project)
    scores: Array = np.clip(np.concatenate(parts, axis=1), -CLIP, CLIP)
    return scores


def _median(history: RecentRows, rows: NDArray[np.intp], column: int) -> float | None:
    values = expand(history.numbers[rows, column])
    values = values[np.isfinite(values)]
    return explain.rounded(float(np.median(values))) if len(values) else None
