"""Estimates of quality from the store's counts: one for each stream, criterion, evaluator and segment or slice.

Called by `oqm quality` and by the worker that exports them as metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from monitor.judgment.calibration import LabelKey, Labels
from monitor.judgment.feedback import criterion_of
from monitor.judgment.quality import Quality, by_check, by_sample, by_votes
from monitor.judgment.verdicts import Verdicts
from monitor.store.base import TraceStore
from monitor.store.periods import DAY_S, HOUR_S, HOURS_A_DAY
from monitor.store.quality import QualityCounts, Window

Evaluators: TypeAlias = dict[tuple[str, str], dict[tuple[str, ...], dict[str, Verdicts]]]
"""By name and identity of an evaluator, by group and stratum: its verdicts."""

DEFAULT_DAYS = 7
"""Whole days before today in the default window: long enough for a few hundred verdicts at 2 % of a slow stream."""


def default_window(now: float) -> Window:
    """The last days up to `now` (seconds since 1970), from a midnight (UTC) on.

    The start stays the same all day: an always-valid interval holds at all looks since one start, and a start that
    moved with the clock would be another one at each look.
    """
    since = (int(now // DAY_S) - DEFAULT_DAYS + 1) * HOURS_A_DAY
    return Window(since=since, until=until_hour(now))


def until_hour(now: float) -> int:
    """The end of a window that holds everything up to `now`, and outputs whose clock is minutes ahead."""
    return int(now // HOUR_S) + 2


def estimates(
    store: TraceStore,
    window: Window,
    judged: Callable[[str], list[str]] = lambda _: [],
    *,
    always_valid: bool = True,
    labels: Mapping[LabelKey, Labels] | None = None,
) -> list[Quality]:
    """All estimates of a window, sorted by stream, criterion and group, of several evaluators the newest first.

    `judged` gives the names of the criteria that an evaluator judges of a stream, by the settings: where it has judged
    nothing yet, the estimate says so. `labels` is what people say of the outputs of the window. Raises `StoreError`.
    """
    counts = store.quality(window)
    found = [*_checks(counts, window), *_feedback(store, counts, window, always_valid=always_valid)]
    streams: dict[tuple[str, str], Evaluators] = {}
    for key, strata in counts.verdicts.items():
        of_identity = streams.setdefault((key.stream, key.criterion), {})
        of_identity.setdefault((key.evaluator, key.identity), {})[key.group] = strata
    for (stream, criterion), evaluators in streams.items():
        found += _of_criterion(store, window, counts, stream, criterion, evaluators, always_valid, labels or {})
    for stream, group in counts.outputs:
        for criterion in judged(stream):
            wanted = window.criterion in (None, criterion)
            if wanted and (stream, criterion) not in streams:
                outputs = counts.outputs[stream, group]
                found.append(
                    by_sample(
                        stream, criterion, {}, outputs, period=window.period, by=_named(window, group),
                        always_valid=always_valid,
                    )
                )  # fmt: skip
    return sorted(found, key=lambda one: (one.stream, one.criterion, sorted(one.by.items()), -one.since))


def _of_criterion(
    store: TraceStore,
    window: Window,
    counts: QualityCounts,
    stream: str,
    criterion: str,
    evaluators: Evaluators,
    always_valid: bool,
    labels: Mapping[LabelKey, Labels],
) -> Iterator[Quality]:
    """The estimates of a criterion. Verdicts of several evaluators are not mixed: each has its part of the window."""
    evaluators = _with_missing(evaluators)
    periods = _periods(window, evaluators)
    for evaluator, groups in evaluators.items():
        part = periods[evaluator]
        outputs = counts.outputs
        if part != (window.since, window.until):
            own = msgspec.structs.replace(
                window, since=part[0], until=part[1], stream=None, only=stream, criterion=criterion
            )
            outputs = store.quality(own).outputs
        every = {group for name, group in outputs if name == stream}
        for group in sorted({*groups, *every}):
            yield by_sample(
                stream,
                criterion,
                groups.get(group, {}),
                outputs.get((stream, group), {}),
                period=(part[0] * HOUR_S, part[1] * HOUR_S),
                always_valid=always_valid,
                by=_named(window, group),
                evaluator=evaluator,
                identities=len(evaluators),
                labels=labels.get(LabelKey(stream, criterion, *evaluator, group)),
            )


def _periods(window: Window, evaluators: Evaluators) -> dict[tuple[str, str], tuple[int, int]]:
    """The hours of each evaluator: from its first verdict to its last, and on to the first of the next one.

    Two that answered in turn, as where a provider runs two builds of a model side by side, share their hours.
    """
    spans = {
        evaluator: (
            int(min(part.first for strata in groups.values() for part in strata.values()) // HOUR_S),
            int(max(part.last for strata in groups.values() for part in strata.values()) // HOUR_S) + 1,
        )
        for evaluator, groups in evaluators.items()
    }
    order = sorted(spans, key=lambda evaluator: (spans[evaluator], evaluator))
    starts = [window.since, *(spans[evaluator][0] for evaluator in order[1:])]
    ends = [max(spans[name][1], after) for name, after in zip(order, starts[1:], strict=False)] + [window.until]
    return {name: (start, end) for name, start, end in zip(order, starts, ends, strict=True)}


def _with_missing(evaluators: Evaluators) -> Evaluators:
    """The evaluators that gave verdicts; those that were missing belong to one of these, for the same question was
    asked. A judge that has had no answer yet cannot say which version would have answered."""
    silent = {name for name, groups in evaluators.items() if not any(_judged(each) for each in groups.values())}
    speaking = [name for name in evaluators if name not in silent]
    if not speaking or not silent:
        return evaluators
    found = {name: {group: dict(strata) for group, strata in evaluators[name].items()} for name in speaking}
    begins = {name: min(part.first for strata in found[name].values() for part in strata.values()) for name in speaking}
    for name in silent:
        for group, strata in evaluators[name].items():
            for stratum, missing in strata.items():
                earlier = [one for one in speaking if begins[one] <= missing.last]
                answers = max(earlier or speaking, key=lambda one: begins[one] if earlier else -begins[one])
                whole = Verdicts()
                whole.add(found[answers].setdefault(group, {}).get(stratum, Verdicts()))
                whole.add(missing)
                found[answers][group][stratum] = whole
    return found


def _judged(strata: dict[str, Verdicts]) -> int:
    return sum(part.passed + part.failed for part in strata.values())


def _checks(counts: QualityCounts, window: Window) -> Iterator[Quality]:
    for (stream, criterion, group), (outputs, failed) in counts.checks.items():
        yield by_check(stream, criterion, outputs, failed, period=window.period, by=_named(window, group))


def _feedback(store: TraceStore, counts: QualityCounts, window: Window, *, always_valid: bool) -> Iterator[Quality]:
    """What users say. A correction says that an output was wrong, so its share is no estimate: they are counted.

    Feedback is of all outputs of a stream: it is not broken down, and none is shown for a part of them.
    """
    if window.where or (window.criterion is not None and not window.criterion.startswith(criterion_of(""))):
        return
    for (stream, kind), votes in store.votes(window).items():
        criterion = criterion_of(kind)
        if window.criterion in (None, criterion) and window.only in (None, stream):
            seen = sum(sum(strata.values()) for (name, _), strata in counts.outputs.items() if name == stream)
            yield by_votes(
                stream,
                criterion,
                votes.good,
                votes.bad,
                votes.neither,
                seen=seen,
                period=window.period,
                always_valid=always_valid,
            )


def _named(window: Window, group: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(window.by, group, strict=True))
