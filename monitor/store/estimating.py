"""Estimates of quality from the store's counts: one for each stream, criterion, evaluator and segment or slice.

Called by `oqm quality` and by the worker that exports them as metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from monitor.judgment.quality import Quality, Verdicts, by_check, by_sample
from monitor.store.base import TraceStore
from monitor.store.periods import DAY_S, HOUR_S, HOURS_A_DAY
from monitor.store.quality import QualityCounts, Window

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
) -> list[Quality]:
    """All estimates of a window, sorted by stream, criterion and group, of several evaluators the newest first.

    `judged` gives the names of the criteria that an evaluator judges of a stream, by the settings: where it has judged
    nothing yet, the estimate says so. Raises `StoreError`.
    """
    counts = store.quality(window)
    found = list(_checks(counts, window))
    streams: dict[tuple[str, str], dict[tuple[str, str], dict[tuple[str, ...], dict[str, Verdicts]]]] = {}
    for key, strata in counts.verdicts.items():
        of_identity = streams.setdefault((key.stream, key.criterion), {})
        of_identity.setdefault((key.evaluator, key.identity), {})[key.group] = strata
    for (stream, criterion), evaluators in streams.items():
        found += _of_criterion(store, window, counts, stream, criterion, evaluators, always_valid)
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
    evaluators: dict[tuple[str, str], dict[tuple[str, ...], dict[str, Verdicts]]],
    always_valid: bool,
) -> Iterator[Quality]:
    """The estimates of a criterion. Verdicts of several evaluators are not mixed: each has its part of the window."""
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
            )


def _periods(
    window: Window, evaluators: dict[tuple[str, str], dict[tuple[str, ...], dict[str, Verdicts]]]
) -> dict[tuple[str, str], tuple[int, int]]:
    """The hours of each evaluator: from its first verdict to the first of the next one."""
    first = {
        evaluator: int(min(part.first for strata in groups.values() for part in strata.values()) // HOUR_S)
        for evaluator, groups in evaluators.items()
    }
    order = sorted(first, key=lambda evaluator: (first[evaluator], evaluator))
    starts = [window.since, *(first[evaluator] for evaluator in order[1:])]
    ends = [max(start + 1, end) for start, end in zip(starts, [*starts[1:], window.until], strict=True)]
    return {evaluator: (start, end) for evaluator, start, end in zip(order, starts, ends, strict=True)}


def _checks(counts: QualityCounts, window: Window) -> Iterator[Quality]:
    for (stream, criterion, group), (outputs, failed) in counts.checks.items():
        yield by_check(stream, criterion, outputs, failed, period=window.period, by=_named(window, group))


def _named(window: Window, group: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(window.by, group, strict=True))
