"""`SloMonitor`: a stream's service level objectives, from rows to findings.

Each objective has its own counts (`monitor.detection.slo.burn_rate`) and at most one finding that holds; a graver one
takes its place. It ends when the short window of its rule is fine. One that goes with a drift finding that fires is
information (`monitor.detection.diagnosis.alert_correlation`). Pure: time comes with rows and ticks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.config_values.durations import in_words
from monitor.detection.columns.normal_scores import compress
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.diagnosis import alert_correlation, feature_changes
from monitor.detection.diagnosis.finding_builder import Quoted, build
from monitor.detection.diagnosis.rounding import rounded
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import (
    EXAMPLES,
    TAIL,
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
    resolved,
)
from monitor.detection.settings import Objective
from monitor.detection.slo.burn_rate import FEWEST_BAD_LATELY, MINUTE_S, RULES, Budget, BudgetState, Rule
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.features.base import Role

Column: TypeAlias = NDArray[np.float16] | NDArray[np.float64]


class WatchState(StateRecord):
    """Of the watch of one objective; the objective as in settings."""

    objective: dict[str, Any]
    budget: BudgetState
    began: tuple[int, float] | None
    bad: list[str]
    open: Finding | None
    rule: int
    models: list[str | None]
    alone: float | None


class _Watch:
    """One objective: its counts, when it began to be missed, the last bad events and their models, and what holds.

    `alone` is since when no drift finding covers what is open and does not fire, in seconds.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.budget = Budget(1.0 - objective.objective, objective.period)
        self.began: tuple[int, float] | None = None
        self.bad: list[str] = []
        self.models: list[str | None] = []
        self.open: Finding | None = None
        self.rule = 0
        self.alone: float | None = None

    def to_state(self) -> WatchState:
        return WatchState(
            self.objective.model_dump(),
            self.budget.to_state(),
            self.began,
            self.bad,
            self.open,
            self.rule,
            self.models,
            self.alone,
        )

    @classmethod
    def from_state(cls, state: WatchState) -> _Watch:
        watch = cls(Objective.model_validate(state.objective))
        watch.budget = Budget.from_state(state.budget)
        watch.began, watch.bad, watch.rule = state.began, state.bad, state.rule
        watch.open, watch.models, watch.alone = state.open, state.models, state.alone
        return watch


class SloMonitor:
    """Watches a stream's objectives, which come from its settings with each call."""

    def __init__(self, stream: str, features: DeclaredFeatures) -> None:
        self.stream = stream
        self._features = features
        self._watches: dict[str, _Watch] = {}

    @property
    def open(self) -> list[Finding]:
        """What fires now."""
        held = (watch.open for watch in self._watches.values())
        return [finding for finding in held if finding is not None and finding.state is State.FIRING]

    def observe(
        self,
        rows: StreamRows,
        indices: NDArray[np.int64],
        objectives: Sequence[Objective],
        drifts: Sequence[Finding] = (),
    ) -> list[Finding]:
        """Take rows with their stream indices (n), while these drift findings fire."""
        found = self._take_up(objectives)
        latency, error = (rows.column(name) for name in counted_features(self._features))
        for watch in self._watches.values():
            counted, bad = _judged(watch.objective, len(rows), latency, error)
            known = np.flatnonzero(counted)
            since = 0
            for place in chain(watch.budget.observe(rows.times[known], bad[known]), [len(known)]):
                for row in (int(row) for row in known[since:place] if bad[row]):
                    watch.began = watch.began or (int(indices[row]), float(rows.times[row]))
                    watch.bad = [*watch.bad, rows.ids[row]][-EXAMPLES:]
                    watch.models = [*watch.models, rows.segments[row].get("model.name")][-EXAMPLES:]
                since = place
                if place < len(known):
                    row = int(known[place])
                    found += self._look(watch, RaisedAt(rows.ids[row], int(indices[row]), watch.budget.now), drifts)
        return found

    @property
    def holds(self) -> bool:
        """Whether there is an open finding, firing or not, that time may end."""
        return any(watch.open is not None for watch in self._watches.values())

    def due(self, time: float) -> bool:
        """Whether the stream's time `time` could end a finding."""
        return any(time - watch.budget.now >= MINUTE_S for watch in self._watches.values() if watch.open is not None)

    def next_due(self) -> float:
        """The stream's time before which `due` is false; infinite: always."""
        return min(
            (watch.budget.now + MINUTE_S for watch in self._watches.values() if watch.open and watch.budget.now > 0),
            default=math.inf,
        )

    def tick(
        self, time: float, index: int, objectives: Sequence[Objective], drifts: Sequence[Finding] = ()
    ) -> list[Finding]:
        """The stream's time has reached `time`; `index` is that of its last event. As `observe` else."""
        found = self._take_up(objectives)
        for watch in self._watches.values():
            if watch.open is not None and watch.budget.advance(time):
                found += self._look(watch, RaisedAt(None, index, watch.budget.now), drifts)
        return found

    def _take_up(self, objectives: Sequence[Objective]) -> list[Finding]:
        """Watch these objectives; one that is gone or was changed starts from zero."""
        found: list[Finding] = []
        for name, watch in list(self._watches.items()):
            if watch.objective not in objectives:
                found += self._end(watch, "the objective was changed", how=Ended.REPLACED)
                del self._watches[name]
        for objective in objectives:
            if objective.name not in self._watches:
                self._watches[objective.name] = _Watch(objective)
        return found

    def _look(self, watch: _Watch, at: RaisedAt, drifts: Sequence[Finding]) -> list[Finding]:
        """A minute is over: what begins by that, or ends."""
        if watch.budget.window(RULES[0].short).burn < 1.0:
            watch.began = None
        burning = next((place for place, rule in enumerate(RULES) if watch.budget.burning(rule)), None)
        if burning is not None and (watch.open is None or RULES[burning].pages > RULES[watch.rule].pages):
            found = self._end(watch, "it burns faster now, which is an alert by itself", at, how=Ended.REPLACED)
            watch.rule = burning
            watch.open = self._with(self._finding(watch, RULES[burning], at), drifts)
            return [*found, watch.open]
        if watch.open is None:
            return []
        if burning is None and watch.budget.calm(RULES[watch.rule]):
            short = _span(RULES[watch.rule].short)
            return self._end(watch, f"the last {short} are within the objective's rate again", at)
        return self._outlast(watch, at, drifts) if watch.open.state is State.INFO else []

    def _outlast(self, watch: _Watch, at: RaisedAt, drifts: Sequence[Finding]) -> list[Finding]:
        """What goes with a drift finding fires when that has ended and the short window since then burns as well."""
        assert watch.open is not None
        held, rule = watch.open, RULES[watch.rule]
        now = self._finding(watch, rule, at)
        finding = self._with(
            msgspec.structs.replace(now, id=held.id, raised_at=held.raised_at, began_at=held.began_at), drifts
        )
        if finding.state is State.INFO:
            watch.alone = None
            return []
        watch.alone = watch.alone or watch.budget.now
        if watch.budget.now - watch.alone < rule.short:
            return []
        watch.open, watch.alone = finding, None
        return [finding]

    def _end(self, watch: _Watch, why: str, at: RaisedAt | None = None, how: Ended = Ended.RECOVERED) -> list[Finding]:
        ended, watch.open, watch.alone = watch.open, None, None
        if ended is None or ended.state is State.INFO:
            return []
        index, time = (None, None) if at is None else (at.index, at.time)
        return [resolved(ended, Resolution(how=how, why=why, index=index, time=time))]

    def _finding(self, watch: _Watch, rule: Rule, at: RaisedAt) -> Finding:
        objective, budget = watch.objective, watch.budget
        kind = FindingKind.ERRORS if objective.latency_s is None else FindingKind.LATENCY
        lately, window = budget.window(rule.short), budget.window(rule.long)
        rate = rounded(window.bad / window.events)
        bad = "ended in an error" if objective.latency_s is None else f"took longer than {objective.latency_s:g} s"
        burn = f"its error budget burns {window.burn:.1f} times too fast"
        spent, left = budget.spent(), budget.lasts(window.burn)
        rest = (
            "all of it is spent"
            if spent >= 1
            else f"{spent:.1%} of it is spent, at this rate the rest in {_span(left)}"
        )
        first, began = watch.began or (at.index, at.time)
        role = _counted_role(objective)
        counted = self._features.leading(role) or role.value
        name = counted if objective.latency_s is None else f"{counted}{TAIL}"
        above = None if objective.latency_s is None else f"above {objective.latency_s:g} s"
        cause = (
            f"{window.bad:,} of {window.events:,} events within {_span(rule.long)}, and {lately.bad:,} of "
            f"{lately.events:,} within {_span(rule.short)}, {bad}; the objective {objective.name} allows "
            f"{budget.allowed:.3g} of them in {_span(budget.period)}. So {burn} (reported from {rule.rate:g} "
            f"times on): {rest}."
        )
        title = f"{self.stream}: {objective.name}: {rate:.1%} of events {bad} within {_span(rule.long)}: {burn}"
        return build(
            self.stream,
            kind,
            (title, cause),
            (at, BeganAt(first, first, at.index, began)),
            fires=True,
            driver=Driver.CALL,
            changes=[FeatureChange(name, rounded(budget.allowed), rate, round(window.burn, 2), above)],
            named={"slo": objective.name},
            severity=Severity.CRITICAL if rule.pages else Severity.WARNING,
            quoted=Quoted(Examples([], watch.bad)),
            model=next((model for model in watch.models if 2 * watch.models.count(model) > len(watch.models)), None),
        )

    def _with(self, burn: Finding, drifts: Sequence[Finding]) -> Finding:
        """An objective's finding beside these, if it goes with one of them: information unless it is graver."""
        drift = alert_correlation.drift_beside(burn, drifts, self._features)
        if drift is None:
            return burn
        both = alert_correlation.beside(burn, drift)
        others = [change for change in drift.features if change.name != burn.features[0].name]
        both = msgspec.structs.replace(both, features=[*burn.features, *others][: feature_changes.MOST_FEATURES])
        return alert_correlation.as_information(both) if alert_correlation.is_as_grave(drift, burn) else both

    def to_state(self) -> dict[str, WatchState]:
        """For a snapshot: each objective by its name."""
        return {name: watch.to_state() for name, watch in self._watches.items()}

    @classmethod
    def from_state(cls, stream: str, features: DeclaredFeatures, state: dict[str, WatchState]) -> SloMonitor:
        """The watches that `state` described; they go on bit for bit."""
        watched = cls(stream, features)
        watched._watches = {name: _Watch.from_state(held) for name, held in state.items()}
        return watched


def cost(
    objectives: Sequence[Objective],
    changes: Sequence[FeatureChange],
    rows: int,
    latency: NDArray[np.float16] | None,
    error: Column | None,
    features: DeclaredFeatures,
) -> list[str]:
    """How fast the objectives that count what changed burn by some rows' compressed latencies (n) and errors (n)."""
    said = []
    for objective in objectives:
        role, (counted, bad) = _counted_role(objective), _judged(objective, rows, latency, error)
        n, k, allowed = int(counted.sum()), int((counted & bad).sum()), 1.0 - objective.objective
        if k >= FEWEST_BAD_LATELY and k > allowed * n and alert_correlation.moved(role, changes, features):
            said.append(
                f"Of the {n:,} events since then {k:,} miss the objective {objective.name}, whose error budget burns "
                f"{k / n / allowed:.1f} times too fast by that."
            )
    return said


def counted_features(features: DeclaredFeatures) -> tuple[str | None, str | None]:
    """The features that objectives count: the latency, and whether a call ended in an error."""
    return features.leading(Role.LATENCY), features.leading(Role.ERROR)


def _counted_role(objective: Objective) -> Role:
    return Role.ERROR if objective.latency_s is None else Role.LATENCY


def _judged(
    objective: Objective, rows: int, latency: NDArray[np.float16] | None, error: Column | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows (n) an objective counts, and which of them are bad; latency is that of calls without an error."""
    none = np.zeros(rows, dtype=bool)
    failed = none if error is None else np.asarray(error > 0)
    if objective.latency_s is None:
        return (none if error is None else np.isfinite(error)), failed
    if latency is None:
        return none, none
    return np.isfinite(latency) & ~failed, np.asarray(latency > compress(np.asarray(objective.latency_s)))


def _span(seconds: float) -> str:
    """`5 min`, `1 h`, `3 days`."""
    return in_words(seconds if seconds >= MINUTE_S else math.ceil(seconds), least=1.0)
