"""`AnchorBook`: verdicts on one criterion's anchors, from the log to findings that the evaluator changed.

An evaluator is *pinned* by its first `REPEATS` verdicts on each anchor: their pass rate is that anchor's baseline.
Later verdicts are compared with it (`monitor.judgment.anchors.AnchorWatch`). Verdicts of another identity, whose
baseline is not known yet, are compared with the baseline of the one before: so a changed evaluator is reported also
where its provider says that it changed. Once it has its own baseline, it is compared with that, and what was open is
over.

The state is a function of the judgments in the log; which anchors are asked next follows from it and from the time.
Called by the stage that reads judgments, and by `oqm anchors list`. Pure.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from monitor.criteria.anchors import Anchor
from monitor.criteria.criterion import JUDGED_PREFIX
from monitor.criteria.derived import anchor_stream, evaluator_name
from monitor.detection.diagnosis.finding_builder import Certainty, Quoted, build
from monitor.detection.diagnosis.sentences import share
from monitor.detection.records.finding import (
    BeganAt,
    Ended,
    Examples,
    Excerpt,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Resolution,
    resolved,
)
from monitor.events.redaction import excerpt
from monitor.events.times import in_calendar
from monitor.judgment.anchors import ZONE, AnchorAlarm, AnchorWatch
from monitor.judgment.records import Judgment, Purpose
from monitor.statistics.rates import wilson

REPEATS = 5
"""Verdicts on each anchor that make its baseline: with fewer, its error alone looks like a change sooner or later."""
DAYS_BETWEEN_FALSE_ALARMS = 365.0
"""Days in which one false alarm is allowed: a changed evaluator is rare, and whoever is called has no quick remedy."""
DAY_S = 86_400.0
ASK_AGAIN_S = 7_200.0
"""Seconds after which verdicts that a baseline lacks are asked for once more: twice as long as an output waits for an
evaluator that does not answer, by default."""
LEAST_ROUNDS = 120
"""Verdicts over which a change is measured, at least: each anchor twice where those are more. A single round looks by
chance now and then as if a change that goes on were over."""
ERRORS_WHEN_GONE = 0.5
"""Standard errors beyond the indifference zone within which the last rounds must lie for a change to be over. The size
of the change when it was found is no measure: chance has made that large."""
FAR = 0.5
"""Distance of a verdict from its anchor's baseline from which it is an example of a change."""
UNJUDGEABLE = frozenset({"unreadable", "refused", "no_text"})
"""Why a verdict is missing where that is due to the output. Other reasons (time-out, blocked, budget) are due to the
evaluator, and the same anchor is asked again."""
LEAST_JUDGED = 0.5
"""Share of the anchors that must have verdicts for an evaluator to be pinned."""
MOST_BASELINES = 4
"""Identities whose baselines are kept: a provider that serves two fingerprints by turns needs two."""
MOST_SEEN = 256
"""Requests whose verdicts are remembered, as a judge that crashes gives them twice: what it has in hand at a time."""
MOST_EXAMPLES = 3  # anchors that an alert names: as many as it has examples of outputs
_GROUPS = {"all": "its anchors", "good": "the anchors that people passed", "bad": "the anchors that people failed"}


class Baseline(msgspec.Struct, kw_only=True):
    """Verdicts by which an evaluator is pinned.

    Attributes
    ----------
    identity, pin
        Of which evaluator; which baseline of it, where an operator asked for another one.
    evaluator
        Its name in the settings.
    since
        Time of its first verdict.
    counts
        By anchor, passes and verdicts.
    """

    identity: str
    pin: str
    evaluator: str
    since: float
    counts: dict[str, tuple[int, int]] = {}

    def level(self, anchor: str) -> float | None:
        """Share of passes, where there are enough verdicts."""
        passes, verdicts = self.counts.get(anchor, (0, 0))
        return passes / verdicts if verdicts >= REPEATS else None


class Verdict(msgspec.Struct, frozen=True):
    """A verdict that was compared, with the baseline that it was compared with."""

    anchor: str
    passed: bool
    time: float
    level: float
    rationale: str = ""


class Open(msgspec.Struct, kw_only=True):
    """A finding that holds: on which anchors the change was found, its direction, and verdicts since."""

    finding: Finding
    group: str
    lenient: bool
    since: int = 0


class AnchorBookState(msgspec.Struct, kw_only=True):
    """All that a book knows. `applied` is the offset of the last judgment applied, `missing` counts missing verdicts by
    anchor since its last one."""

    applied: int = -1
    baselines: list[Baseline] = []
    pinned: int | None = None
    latest: int | None = None
    evidence: dict[str, object] = {}
    recent: list[Verdict] = []
    verdicts: int = 0
    missing: dict[str, int] = {}
    seen: list[int] = []
    open: Open | None = None
    asked_baseline_at: float = -math.inf
    asked_at: float = -math.inf
    turn: int = 0


class AnchorBook:
    """The anchors of one criterion.

    Parameters
    ----------
    criterion
        Its name.
    anchors
        The labelled outputs by id.
    per_day
        Anchors judged a day.
    state
        Where to go on.
    """

    def __init__(
        self, criterion: str, anchors: Mapping[str, Anchor], per_day: int, state: AnchorBookState | None = None
    ) -> None:
        self.criterion = criterion
        self.stream = anchor_stream(criterion)
        self.state = state or AnchorBookState()
        self._anchors = anchors
        self._per_day = per_day
        self._levels: dict[str, float] = {}
        good = {name: anchor.passed for name, anchor in anchors.items()}
        self._watch = AnchorWatch(self._levels, good, per_day * DAYS_BETWEEN_FALSE_ALARMS)
        if self.state.evidence:
            self._watch.restore(self.state.evidence)

    @property
    def log_evidence(self) -> tuple[float, float]:
        """log10 of the evidence and of the threshold."""
        evidence = max(self._watch.evidence, 1e-9)
        return math.log10(evidence), math.log10(self._per_day * DAYS_BETWEEN_FALSE_ALARMS)

    @property
    def pinned(self) -> Baseline | None:
        """The baseline in use; None as long as none is complete."""
        return None if self.state.pinned is None else self.state.baselines[self.state.pinned]

    # The log

    def apply(self, judgment: Judgment, offset: int) -> list[Finding]:
        """Take a judgment that stands at `offset` of its partition; what it opens or ends.

        What is no verdict on one of these anchors, comes again, or was remembered by the evaluator changes nothing.
        """
        state = self.state
        if judgment.purpose is not Purpose.ANCHOR or judgment.criterion != self.criterion or offset <= state.applied:
            return []
        state.applied = offset
        name = judgment.anchor or ""
        if name not in self._anchors or judgment.cached or self._came(judgment):
            return []
        if judgment.passed is None:
            if judgment.missing in UNJUDGEABLE:
                state.missing[name] = state.missing.get(name, 0) + 1
            return self._completed(judgment)
        state.missing.pop(name, None)
        place = self._place_of(judgment)
        base = state.baselines[place]
        state.latest = place
        passes, verdicts = base.counts.get(name, (0, 0))
        level = base.level(name)
        if level is None:
            base.counts[name] = (passes + judgment.passed, verdicts + 1)
            # Of a baseline that an operator asked for nothing is compared: that it differs is why it is asked for.
            if (pinned := self.pinned) is not None and pinned is not base and not base.pin:
                level = pinned.level(name)
        found = [] if level is None else self._compared(judgment, name, level)
        return found + self._completed(judgment)

    def _came(self, judgment: Judgment) -> bool:
        mark = zlib.crc32(judgment.event.encode("utf-8", "surrogatepass"))
        if mark in self.state.seen:
            return True
        self.state.seen = [*self.state.seen[-MOST_SEEN + 1 :], mark]
        return False

    def _place_of(self, judgment: Judgment) -> int:
        """Place of the baseline that a verdict belongs to, which is new for another evaluator or another pin."""
        state = self.state
        same = [at for at, base in enumerate(state.baselines) if base.identity == judgment.identity]
        if judgment.pin:
            same = [at for at in same if state.baselines[at].pin == judgment.pin]
        elif state.pinned in same:
            return state.pinned
        if same:
            return same[-1]
        if len(state.baselines) == MOST_BASELINES:
            gone = next(at for at in range(MOST_BASELINES) if at != state.pinned)
            del state.baselines[gone]
            if state.pinned is not None and state.pinned > gone:
                state.pinned -= 1
        time = judgment.judged_at or judgment.time
        state.baselines.append(
            Baseline(identity=judgment.identity, pin=judgment.pin, evaluator=judgment.evaluator, since=time, counts={})
        )
        return len(state.baselines) - 1

    def _completed(self, judgment: Judgment) -> list[Finding]:
        """The latest baseline is the one in use from the moment when nothing is missing in it."""
        state = self.state
        if state.latest is None or state.latest == state.pinned or self.lacking():
            return []
        judged = sum(state.baselines[state.latest].level(name) is not None for name in self._anchors)
        if judged < LEAST_JUDGED * len(self._anchors):
            return []
        before, state.pinned = state.pinned, state.latest
        self._forget_evidence()
        if before is None or state.open is None:
            return []
        by_hand = bool(state.baselines[state.latest].pin)
        how, why = (
            (Ended.ACCEPTED, "the evaluator's verdicts were taken as the new baseline")
            if by_hand
            else (Ended.REPLACED, "the evaluator that judges now has its own baseline")
        )
        return self._end(Resolution(how=how, why=why, time=judgment.judged_at or judgment.time))

    def _forget_evidence(self) -> None:
        fresh = AnchorWatch(self._levels, {}, 1.0).snapshot()
        self._watch.restore(fresh)
        self.state.evidence = fresh
        self.state.recent = []

    # Evidence

    def _compared(self, judgment: Judgment, name: str, level: float) -> list[Finding]:
        state = self.state
        assert judgment.passed is not None
        self._levels[name] = level
        evidence, threshold = self.log_evidence
        alarm = self._watch.observe(name, judgment.passed)
        state.evidence = self._watch.snapshot()
        state.verdicts += 1
        time = judgment.judged_at or judgment.time
        why = excerpt(judgment.rationale)
        rounds = max(LEAST_ROUNDS, 2 * len(self._anchors))
        state.recent = [*state.recent[-rounds + 1 :], Verdict(name, judgment.passed, time, level, why)]
        if state.open is not None:
            state.open.since += 1
            if alarm is None and state.open.since >= rounds and self._is_gone(state.open):
                return self._end(
                    Resolution(
                        how=Ended.RECOVERED,
                        why=f"it judges the anchors as when it was pinned again, in {state.open.since:,} verdicts",
                        index=state.verdicts - 1,
                        time=time,
                        back_events=rounds,
                    )
                )
            return []
        if alarm is None:
            return []
        finding = self._found(judgment, alarm, Certainty(max(evidence, threshold), threshold))
        state.open = Open(finding=finding, group=alarm.group, lenient=alarm.lenient)
        return [finding]

    def _of(self, group: str, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The verdicts on anchors of a group."""
        known = [one for one in verdicts if one.anchor in self._anchors]
        return (
            known if group == "all" else [one for one in known if self._anchors[one.anchor].passed == (group == "good")]
        )

    def _is_gone(self, change: Open) -> bool:
        """Whether the last rounds lie as near to the baselines as without a change."""
        side = 1.0 if change.lenient else -1.0
        moved = [side * (one.passed - one.level) for one in self._of(change.group, self.state.recent)]
        error = float(np.std(moved)) / math.sqrt(len(moved)) if moved else math.inf
        return not moved or float(np.mean(moved)) < ZONE + ERRORS_WHEN_GONE * error

    def _end(self, why: Resolution) -> list[Finding]:
        ended, self.state.open = self.state.open, None
        return [] if ended is None else [resolved(ended.finding, why)]

    # Words

    def _found(self, judgment: Judgment, alarm: AnchorAlarm, certainty: Certainty) -> Finding:
        state, group, lenient = self.state, alarm.group, alarm.lenient
        side = 1.0 if lenient else -1.0
        own = self._of(group, state.recent)
        start = _beginning([side * (one.passed - one.level) for one in own])
        changed = own[start:]
        before, after = float(np.mean([one.level for one in changed])), float(np.mean([one.passed for one in changed]))
        bounds = wilson(sum(one.passed for one in changed), len(changed))
        first = state.verdicts - len(state.recent) + state.recent.index(changed[0])
        who = judgment.evaluator or "the evaluator"
        figures = (
            f"{share(before)} when it was pinned, now {share(after)} of {len(changed)} verdicts "
            f"({100 * bounds.low:.0f} to {100 * bounds.high:.0f} %)"
        )
        title = f"{self.stream}: Evaluator {who} passes {'more' if lenient else 'fewer'} of {_GROUPS[group]}: {figures}"
        odd = [one for one in changed if side * (one.passed - one.level) > FAR]
        examples = list({one.anchor: one for one in odd}.values())[:MOST_EXAMPLES]
        since = f"{in_calendar(changed[0].time):%Y-%m-%d %H:%M} UTC"
        cause = (
            f"Since about {since} evaluator {who} passes, by `{self.criterion}`, {share(after)} of {_GROUPS[group]}, "
            f"{share(before)} when it was pinned. The anchors are the same outputs as before, so it is the evaluator "
            f"that changed. Figures of judged quality since then are of "
            f"{'a more lenient' if lenient else 'a stricter'} judge."
        )
        pinned = self.pinned
        if pinned is not None and pinned.identity != judgment.identity:
            cause += f" It came with another identity: {evaluator_name(judgment.evaluator, judgment.identity)}."
        quoted = [
            Excerpt(one.anchor, excerpt(self._anchors[one.anchor].input), _said(one, self._anchors[one.anchor]))
            for one in examples
        ]
        last = state.verdicts - 1
        return build(
            self.stream,
            FindingKind.EVALUATOR_CHANGED,
            (title, cause),
            (RaisedAt(judgment.event, last, state.recent[-1].time), BeganAt(first, first, last, changed[0].time)),
            fires=True,
            changes=[FeatureChange(JUDGED_PREFIX + self.criterion, 1 - before, 1 - after, -side, events=len(changed))],
            quoted=Quoted(Examples([], [one.anchor for one in examples]), (), quoted),
            certainty=certainty,
        )

    # What is asked next

    def lacking(self) -> dict[str, int]:
        """How many verdicts each anchor lacks for the baseline of the evaluator that judged last.

        An anchor on which the evaluator could give no verdict as often as that is left out.
        """
        state = self.state
        base = None if state.latest is None else state.baselines[state.latest]
        counts = {} if base is None else base.counts
        return {
            name: REPEATS - counts.get(name, (0, 0))[1]
            for name in self._anchors
            if counts.get(name, (0, 0))[1] < REPEATS and state.missing.get(name, 0) < REPEATS
        }

    def due(self, now: float) -> list[str]:
        """Ids of the anchors to ask for now (seconds since 1970), which are then taken as asked.

        All that a baseline lacks, at once; else the next in turn, `per_day` a day. What was not asked while no worker
        ran is not made up for.
        """
        state = self.state
        if not self._anchors:
            return []
        lacking = self.lacking()
        if lacking:
            if now - state.asked_baseline_at < ASK_AGAIN_S:
                return []
            state.asked_baseline_at = now
            return [name for turn in range(REPEATS) for name, count in lacking.items() if count > turn]
        step = DAY_S / self._per_day
        if now - state.asked_at < step:
            return []
        state.asked_at = now if now - state.asked_at >= 2 * step else state.asked_at + step
        names = sorted(self._anchors)  # ids are hashes, so the order has nothing to do with the texts
        state.turn = (state.turn + 1) % len(names)
        return [names[state.turn]]


def _beginning(gains: Sequence[float]) -> int:
    """Where a rise of the mean most likely began: the place from which on the sum of gains beyond half of the mean of
    the latest ones is largest (Page's cumulative sum)."""
    values = np.asarray(gains)
    half = float(values[-max(20, len(values) // 2) :].mean()) / 2
    return int(np.argmax(np.cumsum((values - half)[::-1])[::-1]))


def _said(verdict: Verdict, anchor: Anchor) -> str:
    now, people = ("passes" if verdict.passed else "fails"), ("passed" if anchor.passed else "failed")
    reason = f": {verdict.rationale}" if verdict.rationale else ""
    return f"{now} now, {share(verdict.level)} when pinned, {people} by people{reason}"
