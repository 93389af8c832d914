"""`LateFeatures`: features that came after a monitor's reference was learned, watched beside it.

A new version of the software measures more, an application sends a column that it did not send before, or changed
settings include what they left out. The columns of a reference are fixed, so what comes later could not be judged until
the next reference; and learning a new one only for it would leave the whole stream unwatched for a warm-up. So:

- Rows in which such a feature is measured are *gathered*, as many as a first reference takes (`warmup`). Meanwhile the
  monitor goes on as if they were not there: its evidence is the same bit for bit.
- Then they are the reference of a *group*: a `ReferenceMonitor` that sees the late features alone, learns their
  moments and bets on them. What is asked (the inputs that the first reference knows) is part of a group's reference,
  so that outputs that follow other inputs are explained by them; but only the first monitor bets on those inputs. Late
  features of the input have a separate group from those of outputs and calls.
- With the next reference of the stream (a deploy or a pin) all features are in one reference again, and groups end.
  A group's reference matures as the first one does, or stays as first learned where that one is pinned; `accept`,
  provisional references and recovery are those of any monitor.

A feature measured in less than half of a reference's rows (`MIN_MEASURED_SHARE`) is left out of it and comes late: few
rows say little of it, and the standard errors of a reference are those of all its rows. A feature that is not measured
any more is absent from the rows, which says nothing (`StreamRows.joined`); rows without any feature of a group do not
reach the group.

The alert budget. While there are groups they have `SHARE` of the stream's budget together, in equal parts, and the
monitor has the rest: evidence is averaged with these weights, so the threshold of the monitor rises by a factor of
1 / (1 - SHARE), which costs it a hundredth of its delay, and that of a group is 1 / (its part) times as high: a change
of 3 sd in one of them takes an event or two more. While rows are gathered nothing bets on them and the monitor has all.

One cause is reported once. A finding of a group waits until the next rows are judged (or their time is up), since the
monitor may find the same change in them. It is suppressed while the monitor has a finding that fires and was raised
after the group's change began: that one reports the change with more features. It is reported if it outlasts that one
by the events that resolve a finding. A change that begins later is another one and is reported.

Rows of a changed state are no reference for a later one: gathering begins again when a finding of the monitor opens or
is resolved, and a group that was learned while one was open is learned again after it is resolved. What is accepted is
normal, so there it stays. What such a group finds while the monitor's finding is open may be the way back, so it is
reported only if that finding is not resolved within `OUTLASTS` times the events that resolve one.

Columns with a key (of single dependencies, keys of JSON outputs, attributes) do not come late: they are chosen with a
reference (`monitor.detection.columns.dependency_columns`, `keyed_columns`). Groups are bounded (`MAX_GROUPS`): beyond,
the youngest one is gathered again together with what is new.

Called by `monitor.detection.stream.segment_routing`, one `LateFeatures` for each of its monitors. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.flag_reader import UNCOUNTED
from monitor.detection.columns.stream_rows import StreamRows, StreamRowsState
from monitor.detection.columns.watched_columns import watched
from monitor.detection.diagnosis.alert_correlation import OUTLASTS
from monitor.detection.records.context import Context
from monitor.detection.records.finding import Driver, Finding, Resolution, State
from monitor.detection.settings import DetectionSettings
from monitor.detection.stream.reference_monitor import ReferenceMonitor, ReferenceMonitorState
from monitor.features.base import FeatureSpec
from monitor.features.keyed import has_key

SHARE = 0.1
"""Share of the alert budget that groups have while there are any: it costs the monitor a hundredth of its delay."""
MAX_GROUPS = 6
"""Groups of a monitor: their state and their cost are each about a fifth of the monitor's."""
INPUT_SIDE = "input"
"""The side of features of what was asked (`FeatureSpec.side`)."""


class _Looked(NamedTuple):
    """For which columns, settings and declarations it was last worked out what is new, and what was."""

    names: tuple[str, ...]
    categories: tuple[str, ...]
    settings: DetectionSettings
    declared: Sequence[FeatureSpec]
    found: tuple[FeatureSpec, ...]


class LateFeaturesState(msgspec.Struct, frozen=True, kw_only=True):
    """Of `LateFeatures`: each group with whether it was learned while the monitor had a finding open, and what is
    gathered for the next one: its foremost feature, rows and their stream indices."""

    groups: list[tuple[ReferenceMonitorState, bool]]
    gathered: tuple[str, StreamRowsState, NDArray[np.int64]] | None
    suppressed: dict[str, int]
    waiting: list[str]
    open: bool
    closed_at: int


class LateFeatures:
    """What came after one monitor's reference.

    Attributes
    ----------
    groups
        Monitors of late features, in the order in which they were learned.
    suppressed
        Ids of findings of groups that are not reported as long as the monitor's report the change, with the number of
        rows that the monitor had seen when each was found.
    waiting
        Ids of those that are reported with the next rows, unless the monitor finds the change, too.
    """

    __slots__ = ("_closed_at", "_gathered", "_learned_open", "_looked", "_open", "groups", "suppressed", "waiting")

    def __init__(self) -> None:
        self.groups: list[ReferenceMonitor] = []
        self.suppressed: dict[str, int] = {}
        self.waiting: list[str] = []
        # Of each group, whether it was learned while the monitor had a finding open.
        self._learned_open: list[bool] = []
        self._gathered: tuple[str, StreamRows, NDArray[np.int64]] | None = None
        self._open = False
        self._closed_at = 0
        self._looked: _Looked | None = None

    @property
    def settled(self) -> bool:
        """Whether no group has a finding open or learns a provisional reference."""
        return all(group.settled for group in self.groups)

    @property
    def empty(self) -> bool:
        """Whether nothing came late so far, or all of it is in the reference by now."""
        return not self.groups and self._gathered is None

    def context_of_monitor(self, context: Context) -> Context:
        """The context for the monitor itself: groups have a share of its budget."""
        return replace(context, threshold=context.threshold / (1 - SHARE)) if self.groups else context

    def scale(self) -> float:
        """What a group's evidence is multiplied by to stand beside the monitor's, with the monitor's threshold."""
        return SHARE / max(1, len(self.groups))

    def judge(
        self, context: Context, monitor: ReferenceMonitor, rows: StreamRows, indices: NDArray[np.int64]
    ) -> list[Finding]:
        """Take rows that the monitor has just judged, with their stream indices (n); what groups found in them."""
        self._follow(monitor)
        candidates = self._candidates(context, monitor, rows)
        if not candidates and not self.groups:
            return []
        found: list[tuple[Finding, bool]] = []
        known = monitor.features_known()
        own_context = replace(context, threshold=context.threshold / self.scale())
        for group, learned_open in zip(self.groups, self._learned_open, strict=True):
            of = [context.specs[name] for name in sorted(group.features_known() - known) if name in context.specs]
            measured = np.asarray(_measured(rows, of).any(axis=1))
            found += [(finding, learned_open) for finding in _judged(own_context, group, rows, indices, measured)]
        reported = self._report(context, monitor, found)
        if candidates:
            self._gather(context, monitor, candidates, rows, indices)
        return reported

    def resolve(self, why: Resolution) -> list[Finding]:
        """Close what groups have open; those that fired and were reported are reported as resolved."""
        unreported = self.unreported()
        found = [finding for group in self.groups for finding in group.resolve(why) if finding.id not in unreported]
        self.suppressed, self.waiting = {}, []
        return found

    def unreported(self) -> set[str]:
        """Ids of open findings that were not reported."""
        return {*self.suppressed, *self.waiting}

    def flush(self) -> list[Finding]:
        """The time of the next rows is up: what waits for them is reported."""
        reported = self._open_of(self.waiting)
        self.waiting = []
        return reported

    def _open_of(self, ids: Collection[str]) -> list[Finding]:
        return [finding for group in self.groups for finding in group.open if finding.id in ids]

    def accept(self) -> None:
        """The state as it is has become normal, for the monitor and for each group."""
        self.suppressed, self.waiting = {}, []
        self._open = False
        self._learned_open = [False] * len(self.groups)

    def _follow(self, monitor: ReferenceMonitor) -> None:
        """Note whether the monitor has a finding open, and what that means for what is gathered or was."""
        now = bool(monitor.open)
        if now == self._open:
            return
        self._open = now
        self._gathered = None
        if now:
            return
        self._closed_at = monitor.seen
        gone = [group for group, there in zip(self.groups, self._learned_open, strict=True) if there]
        ids = {finding.id for group in gone for finding in group.open}
        self.suppressed = {own: since for own, since in self.suppressed.items() if own not in ids}
        self._keep([group for group in self.groups if group not in gone])

    def _keep(self, groups: list[ReferenceMonitor]) -> None:
        """These groups and no others."""
        flags = dict(zip(map(id, self.groups), self._learned_open, strict=True))
        self.groups, self._learned_open = groups, [flags.get(id(group), self._open) for group in groups]
        self._looked = None

    def _report(
        self, context: Context, monitor: ReferenceMonitor, found: Sequence[tuple[Finding, bool]]
    ) -> list[Finding]:
        """What is reported now of the findings that waited for these rows, were found in them, or were suppressed.

        With each finding goes whether its group was learned while the monitor had one open.
        """
        reported: list[Finding] = []
        patience = context.settings.recovery
        for finding in self._open_of(self.waiting):
            if _reports(monitor, finding):
                self.suppressed[finding.id] = monitor.seen
            else:
                reported.append(finding)
        self.waiting = []
        for finding, learned_open in found:
            if finding.is_update:
                if finding.id not in self.unreported():
                    reported.append(finding)
            elif finding.state is State.RESOLVED:
                if finding.id not in self.suppressed and finding.id not in self.waiting:
                    reported.append(finding)
                self.suppressed.pop(finding.id, None)
                self.waiting = [own for own in self.waiting if own != finding.id]
            elif finding.state is State.INFO:
                if finding.driver is not Driver.MIX and not _same(monitor.open, finding):
                    reported.append(finding)
            elif _reports(monitor, finding) or (learned_open and monitor.open):
                self.suppressed[finding.id] = monitor.seen
            else:
                self.waiting.append(finding.id)
        for finding in self._open_of(self.suppressed):
            over = not monitor.open and monitor.seen - self._closed_at >= patience
            other = monitor.open and not _reports(monitor, finding)
            if over or (other and monitor.seen - self.suppressed[finding.id] >= OUTLASTS * patience):
                del self.suppressed[finding.id]
                reported.append(finding)
        return reported

    # What is new

    def _candidates(self, context: Context, monitor: ReferenceMonitor, rows: StreamRows) -> tuple[FeatureSpec, ...]:
        """Features of these columns that are to be watched and that neither the monitor nor a group knows."""
        last = self._looked
        if (
            last is not None
            and last.settings is context.settings
            and last.declared is context.declared
            and last.names == rows.names
            and last.categories == (*rows.categories,)
        ):
            return last.found
        known = monitor.features_known().union(*(group.features_known() for group in self.groups))
        columns = {*rows.names, *rows.categories}
        found = tuple(
            spec
            for spec in watched(context.declared, context.settings.features, context.settings.exclude)
            if spec.name in columns and spec.name not in known and not has_key(spec.name)
        )
        self._looked = _Looked(rows.names, (*rows.categories,), context.settings, context.declared, found)
        return found

    def _gather(
        self,
        context: Context,
        monitor: ReferenceMonitor,
        candidates: Sequence[FeatureSpec],
        rows: StreamRows,
        indices: NDArray[np.int64],
    ) -> None:
        """Gather the rows in which the foremost candidate is measured; enough of them make groups."""
        measured = _measured(rows, candidates)
        counts = dict(zip((spec.name for spec in candidates), measured.sum(axis=0).tolist(), strict=True))
        if not any(counts.values()):
            return
        if self._gathered is not None and not counts.get(self._gathered[0]):
            self._gathered = None  # what it was for does not come any more, and something else does
        if self._gathered is None and len(self.groups) >= MAX_GROUPS:
            if self.groups[-1].settled:
                self._keep(self.groups[:-1])
            return
        foremost = max(counts, key=lambda name: (counts[name], name)) if self._gathered is None else self._gathered[0]
        inputs = [
            spec for spec in context.declared if spec.side == INPUT_SIDE and spec.name in monitor.features_known()
        ]
        place = [spec.name for spec in candidates].index(foremost)
        chosen = np.flatnonzero(measured[:, place])
        wanted = frozenset(spec.name for spec in (*candidates, *inputs))
        part, where = rows.take(chosen).only(wanted).without_calls(), indices[chosen]
        if self._gathered is not None:
            part = self._gathered[1].joined(part)
            where = np.concatenate([self._gathered[2], where])
        part = part.thinned()
        self._gathered = (foremost, part, where)
        if len(part) < context.settings.warmup:
            return
        self._gathered = None
        late_inputs = [spec for spec in candidates if spec.side == INPUT_SIDE]
        others = [spec for spec in candidates if spec.side != INPUT_SIDE]
        for own, declared in ((late_inputs, late_inputs), (others, [*inputs, *others])):
            if own:
                group = ReferenceMonitor.learn(
                    replace(context, declared=declared), part, where, pinned=monitor.pinned, inputs=own is late_inputs
                )
                if group.features_known() & {spec.name for spec in own}:
                    self._keep([*self.groups, group])

    # State

    def to_state(self) -> LateFeaturesState:
        """For a snapshot."""
        gathered = self._gathered
        return LateFeaturesState(
            groups=[(g.to_state(), there) for g, there in zip(self.groups, self._learned_open, strict=True)],
            gathered=None if gathered is None else (gathered[0], gathered[1].to_state(), gathered[2]),
            suppressed=self.suppressed,
            waiting=self.waiting,
            open=self._open,
            closed_at=self._closed_at,
        )

    @classmethod
    def from_state(cls, state: LateFeaturesState, settings: DetectionSettings) -> LateFeatures:
        """What `state` described; it goes on bit for bit."""
        late = cls()
        late.groups = [ReferenceMonitor.from_state(group, settings) for group, _ in state.groups]
        late._learned_open = [there for _, there in state.groups]
        if state.gathered is not None:
            foremost, rows, indices = state.gathered
            late._gathered = (foremost, StreamRows.from_state(rows), indices)
        late.suppressed, late.waiting = state.suppressed, state.waiting
        late._open, late._closed_at = state.open, state.closed_at
        return late


def _reports(monitor: ReferenceMonitor, finding: Finding) -> bool:
    """Whether a finding of the monitor that fires tells of the change that a group found."""
    return _same((known for known in monitor.open if known.state is State.FIRING), finding)


def _same(known: Iterable[Finding], finding: Finding) -> bool:
    """Whether a change may have begun before one of the known findings was raised: then it is the same one."""
    return any(finding.began_at.low <= one.raised_at.index for one in known)


def _measured(rows: StreamRows, specs: Sequence[FeatureSpec]) -> NDArray[np.bool_]:
    """Where each of these features is measured (n, specs); a distance is where it has a value."""
    columns = [rows.present(spec.name) if spec.name in UNCOUNTED else rows.measured(spec) for spec in specs]
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), dtype=bool)


def _judged(
    context: Context, group: ReferenceMonitor, rows: StreamRows, indices: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> list[Finding]:
    """What a group finds in the chosen rows (n)."""
    if not chosen.all():
        places = np.flatnonzero(chosen)
        rows, indices = rows.take(places), indices[places]
    findings: list[Finding] = []
    start = 0
    while start < len(rows):
        found, taken = group.judge(context, rows.part(start), indices[start:])
        group.new_segments.clear()  # which segments are new the monitor itself says: its reference is older
        findings += found
        start += taken
    return findings
