"""Two versions that run at the same time, compared with each other while they run.

A stream's reference says what was; a roll-out asks what is: on the same traffic, at the same time, does the new version
answer as the old one does? Whatever moves both (the questions, the hour, a slow dependency) is no answer to that, and
what the new version does to a tenth of the traffic hardly shows in all of it. So the rows of two versions that come
mixed with each other are compared row by row with their neighbours (`monitor.detection.evidence.two_sample`).

Versions run at the same time from the moment that an older one comes again after a newer one, until one of them has not
come for `GONE` rows. A plain switch from one to the other is therefore no comparison. While there are comparisons, they
have `SHARE` of the stream's alert budget and the reference monitors the rest, so that all evidence of a stream keeps
one budget.

What differs by its effect floor fires, as a separate finding that names the new version; less is information, and so
is a difference of the inputs that explains that of the outputs: then it is the routing that differs. A finding is
resolved when the versions agree again, or when one of them is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.detection.canary.comparison import VersionComparison, VersionComparisonState
from monitor.detection.canary.explanation import Basis
from monitor.detection.canary.versions import GONE, MOST_VERSIONS, Versions, VersionsState
from monitor.detection.columns.recent_rows import VERSIONS, RecentRows, each_once, segments_of
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.records.context import Context
from monitor.detection.records.finding import Ended, Finding, Resolution
from monitor.detection.reference.learned_reference import LearnedReference
from monitor.detection.state.snapshot_codec import StateRecord

SHARE = 0.2
"""Share of the alert budget that comparisons have while there are any; it delays the other evidence by a hundredth."""
MOST_PAIRS = 3
"""Comparisons of a stream at a time: they share one part of its budget, so each more makes the others slower."""


class CanaryMonitorState(StateRecord):
    """Of `CanaryMonitor`: versions by attribute, comparisons, and the accepted pairs (attribute, old, new)."""

    versions: dict[str, VersionsState]
    pairs: list[VersionComparisonState]
    accepted: list[tuple[str, str, str]]


class CanaryMonitor:
    """All comparisons of one stream.

    Attributes
    ----------
    pairs
        The comparisons that run, oldest first.
    """

    def __init__(self) -> None:
        self.pairs: list[VersionComparison] = []
        self._versions: dict[str, Versions] = {}
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
                versions = self._versions[attribute] = Versions()
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
        length that the stream's budget asks for, and `firing` the drift findings that fire: a version that one was
        attributed to is information here.
        """
        for mixed in self.note(context.settings.canary, rows, indices):
            self._compare(*mixed, normal=normal)
        if not self.pairs:
            return []
        findings: list[Finding] = []
        numbers, flags = rows.read_as(normal.reference.layout)
        y = normal.reference.scores(numbers, flags, segments_of(rows.segments))
        threshold = asked * len(self.pairs) / SHARE
        basis = Basis(context, normal, history)
        reported = [self._of(finding.segment) for finding in firing]
        for pair in list(self.pairs):
            findings += pair.take(basis, rows, indices, y, threshold, drift_fires=pair in reported)
            findings += self._end(pair, int(indices[-1]), context.settings.canary)
        return findings

    def _compare(self, attribute: str, old: str, new: str, *, normal: LearnedReference) -> None:
        known = self._versions[attribute].known
        if len(self.pairs) >= MOST_PAIRS or (attribute, old, new) in self._accepted or not {old, new} <= set(known):
            return
        firsts = known[old].first, known[new].first
        for pair in self.pairs:
            if firsts == pair.firsts or (pair.attribute, pair.new) == (attribute, new):
                return  # the same rows under another attribute's name, or this version is being compared
        self.pairs.append(VersionComparison(attribute, old, new, firsts, normal))

    def _end(self, pair: VersionComparison, now: int, attributes: Sequence[str]) -> list[Finding]:
        """End a comparison of which one side is gone."""
        versions = self._versions[pair.attribute]
        gone = [value for value in (pair.old, pair.new) if versions.is_gone(value, now)]
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
        """What a drift that was attributed to a version becomes where that version runs beside another."""
        pair = self._of(drift.segment)
        return None if pair is None else pair.confirm(Basis(context, normal, history), drift)

    def tells(self, segment: dict[str, str] | None) -> bool:
        """Whether a finding that fires names this segment already."""
        pair = self._of(segment)
        return pair is not None and pair.open is not None

    def _of(self, segment: dict[str, str] | None) -> VersionComparison | None:
        """The comparison whose new version a segment names, under whichever attribute."""
        if not segment or len(segment) != 1:
            return None
        ((attribute, value),) = segment.items()
        known = self._versions[attribute].known.get(value) if attribute in self._versions else None
        for pair in self.pairs:
            same = known is not None and attribute in VERSIONS and known.first == pair.first
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
        """Close what is open and end all comparisons; they begin again with the next rows."""
        findings = [finding for pair in self.pairs for finding in pair.resolve(why)]
        self.pairs = []
        return findings

    # State

    def to_state(self) -> CanaryMonitorState:
        """For a snapshot."""
        versions = {name: own.to_state() for name, own in self._versions.items()}
        return CanaryMonitorState(versions, [pair.to_state() for pair in self.pairs], self._accepted)

    @classmethod
    def from_state(cls, state: CanaryMonitorState) -> CanaryMonitor:
        """The comparisons that `state` described."""
        canary = cls()
        canary._versions = {name: Versions.from_state(own) for name, own in state.versions.items()}
        canary.pairs = [VersionComparison.from_state(pair) for pair in state.pairs]
        canary._accepted = state.accepted
        return canary
