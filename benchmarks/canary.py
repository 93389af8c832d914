"""Two versions at the same time: is a difference found, how soon, and is none found where there is none.

Constants of the comparison were chosen on every other model of AlpacaEval, by name; every row here is of the other six.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from benchmarks import corpora, scenarios
from benchmarks.corpora import Corpus
from benchmarks.report import Report, figure, median, per_100k, poisson_interval
from benchmarks.watching import BEFORE, Plan, chunks, monitor, seeded
from monitor.detection import Finding, FindingKind, State, StreamMonitor
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.stream.warming_up import WarmingUp
from monitor.features.batch import FeatureBatch, concat

Ints = NDArray[np.intp]
SHARES = (0.1, 0.3, 0.5)
AFTER = 2_400
STREAM = 25_000
SESSION = 5
"""Mean turns of a session."""


def held_out(models: dict[str, Corpus]) -> list[Corpus]:
    """The models that no constant was chosen on: every second one by name."""
    return [models[name] for name in sorted(models)[1::2]]


def versions(rng: np.random.Generator, n: int, share: float) -> NDArray[np.bool_]:
    """Which of n events go to the new version, each by itself."""
    return rng.random(n) < share


def sticky(corpus: Corpus, rng: np.random.Generator, n: int, share: float) -> tuple[Ints, NDArray[np.bool_]]:
    """Sessions of one task and one version each; twenty run at a time, each event is of one of them."""
    tasks = np.asarray(corpus.tasks)
    names = sorted(set(corpus.tasks))
    of_task = {name: np.flatnonzero(tasks == name) for name in names}

    def session() -> tuple[Ints, bool]:
        return of_task[names[int(rng.integers(len(names)))]], bool(rng.random() < share)

    open_sessions = [session() for _ in range(20)]
    rows, new = np.empty(n, dtype=np.intp), np.empty(n, dtype=bool)
    for event in range(n):
        place = int(rng.integers(len(open_sessions)))
        asked, new[event] = open_sessions[place]
        rows[event] = rng.choice(asked)
        if rng.random() < 1 / SESSION:
            open_sessions[place] = session()
    return rows, new


def _alone(
    draw: Callable[[Corpus, np.random.Generator, int], Ints],
) -> Callable[[Corpus, np.random.Generator, int, float], tuple[Ints, NDArray[np.bool_]]]:
    return lambda corpus, rng, n, share: (draw(corpus, rng, n), versions(rng, n, share))


ALIKE = {
    "independent": _alone(scenarios.independent),
    "AR(1) 0.6": _alone(lambda corpus, rng, n: scenarios.autocorrelated(corpus, rng, n, 0.6)),
    "daily cycle of tasks": _alone(scenarios.daily_cycle),
    "sessions of one task keep their version": sticky,
}
"""One model under two names: how rows and versions are drawn."""


def segments_of(new: NDArray[np.bool_]) -> list[dict[str, str]]:
    """What the events say of their version."""
    return [{"model.version": "2" if other else "1"} for other in new]


class ComparisonsAlone(StreamMonitor):
    """A monitor that compares versions and judges nothing else: the same findings of them in a third of the time."""

    def _judge(self, rows: StreamRows, first: int) -> list[Finding]:
        monitors = self._monitors
        if isinstance(monitors, WarmingUp):
            return super()._judge(rows, first)
        rows = self._features.as_columns(rows.only(self._features.columns), learning=False)
        indices = np.arange(first, first + len(rows), dtype=np.int64)
        return self._compare_versions(self._context(), monitors, rows, indices, [])


def watch(
    watching: StreamMonitor, batch: FeatureBatch, rows: Ints, new: NDArray[np.bool_], tag: str, kind: FindingKind | None
) -> list[Finding]:
    """Feed rows until a finding of this kind fires, or any where it is None; what was said until then."""
    found: list[Finding] = []
    for chunk in chunks(batch, rows, tag, segments_of(new)):
        found += watching.observe(chunk)
        if any(f.opens and kind in (None, f.kind) for f in found):
            break
    return found


def canary(plan: Plan, report: Report) -> None:
    """False alarms of one model under two names; delays of pairs; a change of both at once."""
    models = held_out(corpora.alpacaeval(plan.data))
    _alike(plan, models, report)
    _different(plan, models, report)


@dataclass
class _Counted:
    events: int = 0
    canary: int = 0
    infos: int = 0
    others: int = 0


def _alike(plan: Plan, models: Sequence[Corpus], report: Report) -> None:
    rows: list[list[object]] = []
    for name, draw in ALIKE.items():
        # All of a monitor costs three times as much, and its other evidence has its own tables.
        alone = _counted(ComparisonsAlone, plan, 1, models, name)
        whole = _counted(StreamMonitor, plan, 6, models, name)
        fired = whole.canary + whole.others
        rows.append([
            name, f"{alone.events:,}", alone.canary, per_100k(alone.canary, alone.events), alone.infos,
            f"{whole.events:,}", fired,
        ])  # fmt: skip
        if draw is not sticky:
            low, _ = poisson_interval(alone.canary)
            report.bar(f"one model under two names, {name}", "<= 1 per 100,000",
                       per_100k(alone.canary, alone.events), low * 1e5 / alone.events <= 1)  # fmt: skip
    report.table(
        "One model under two names at the same time",
        ["traffic", "events, comparisons alone", "fired", "per 100,000 (95 % interval)", "information",
         "events, whole monitor", "fired of any kind"],
        rows,
        f"10, 30 or 50 % on the second name from event {BEFORE // 2} on. A monitor starts afresh after each alarm.",
    )  # fmt: skip


def _counted(
    make: Callable[[str], StreamMonitor], plan: Plan, part: int, models: Sequence[Corpus], name: str
) -> _Counted:
    """Alarms over this part of the events asked for, all models in turn."""
    seen = _Counted()
    total = 6_000 if plan.quick else plan.events // part
    length = min(STREAM, total // len(models))
    for number in range(round(total / length)):
        corpus, share = models[number % len(models)], SHARES[number % len(SHARES)]
        rows, new = ALIKE[name](corpus, seeded("alike", name, number), length, share)
        new[: BEFORE // 2] = False
        _count(seen, make, corpus, rows, new)
    return seen


def _count(
    seen: _Counted, make: Callable[[str], StreamMonitor], corpus: Corpus, rows: Ints, new: NDArray[np.bool_]
) -> None:
    start = 0
    while start < len(rows):
        watching = make("benchmark")
        found = watch(watching, corpus.batch, rows[start:], new[start:], f"{start}/", None)
        fired = [f for f in found if f.opens]
        end = fired[0].raised_at.index + 1 if fired else len(rows) - start
        seen.events += max(0, end - watching.settings.warmup)
        seen.canary += sum(f.kind is FindingKind.CANARY for f in fired[:1])
        seen.others += sum(f.kind is not FindingKind.CANARY for f in fired[:1])
        seen.infos += sum(f.kind is FindingKind.CANARY and f.state is State.INFO for f in found)
        start += end


@dataclass
class _Delays:
    canary: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    right: int = 0
    twice: int = 0
    early: int = 0


def _different(plan: Plan, models: Sequence[Corpus], report: Report) -> None:
    runs = 1 if plan.quick else min(plan.runs, 5)
    groups = {"KS >= 0.3": (0.3, 1.1), "KS 0.1 to 0.3": (0.1, 0.3), "KS < 0.1": (0.0, 0.1)}
    seen = {(name, share): _Delays() for name in groups for share in (*SHARES, 0.0)}
    for before in models[:2] if plan.quick else models:
        for run in range(runs):
            rng = seeded("canary", before.name, run)
            watching = monitor()
            quiet = np.zeros(BEFORE, dtype=bool)
            watch(watching, before.batch, rng.integers(0, len(before), BEFORE), quiet, "a", None)
            snapshot = watching.snapshot()
            for after in models:
                if after is before:
                    continue
                distance = float(ks_2samp(before.chars, after.chars).statistic)
                group = next(name for name, (low, high) in groups.items() if low <= distance < high)
                for share in SHARES:
                    _pair(seen[group, share], snapshot, before, after, share, run)
                _both(seen[group, 0.0], snapshot, before, after, run)
    _report(seen, list(groups), report)


def _pair(seen: _Delays, snapshot: bytes, before: Corpus, after: Corpus, share: float, run: int) -> None:
    rng = seeded("canary", before.name, after.name, share, run)
    rows, new = rng.integers(0, len(before), AFTER), versions(rng, AFTER, share)
    rows[new] += len(before)
    watching = monitor()
    watching.restore(snapshot)
    pool = concat([before.batch, after.batch])
    found = [f for f in watch(watching, pool, rows, new, "b", FindingKind.CANARY) if f.opens]
    ours = next((f for f in found if f.kind is FindingKind.CANARY), None)
    seen.first.append(found[0].raised_at.index - BEFORE + 1 if found else np.inf)
    seen.canary.append(ours.raised_at.index - BEFORE + 1 if ours else np.inf)
    if ours is not None:
        seen.new.append(float(new[: ours.raised_at.index - BEFORE + 1].sum()))
        seen.right += ours.segment == {"model.version": "2"}
        seen.twice += len(found) > 1


def _both(seen: _Delays, snapshot: bytes, before: Corpus, after: Corpus, run: int) -> None:
    """Both versions are of another model from the same event on: a drift, and no difference between the two."""
    rng = seeded("both", before.name, after.name, run)
    new = versions(rng, AFTER, 0.3)
    watching = monitor()
    watching.restore(snapshot)
    rows = rng.integers(0, len(after), AFTER)
    found = watch(watching, after.batch, rows, new, "c", FindingKind.CANARY)
    seen.early += any(f.kind is FindingKind.CANARY and f.opens for f in found)
    seen.canary.append(np.inf)


def _report(seen: dict[tuple[str, float], _Delays], groups: Sequence[str], report: Report) -> None:
    rows: list[list[object]] = []
    for group in groups:
        for share in SHARES:
            own = seen[group, share]
            if not own.canary:
                continue
            found = len(own.new)
            rows.append([
                group, f"{share:.0%}", len(own.canary), figure(median(own.canary)),
                figure(float(np.quantile(own.canary, 0.9, method="higher"))), sum(np.isinf(own.canary)),
                figure(median(own.new)), figure(median(own.first)), f"{own.right}/{found}", f"{own.twice}/{found}",
            ])  # fmt: skip
    report.table(
        "A new version on a share of the traffic",
        ["lengths", "share", "runs", "delay of the canary finding", "p90", "missed", "events of the new version",
         "delay of the first alert", "new version named", "another alert before it"],
        rows,
        f"Events from the new version's first share on; {BEFORE} before it, {AFTER:,} after.",
    )  # fmt: skip
    fired, runs = sum(seen[group, 0.0].early for group in groups), sum(len(seen[group, 0.0].canary) for group in groups)
    report.bar("both versions change at once: canary fired", "none", f"{fired} of {runs}", not fired)
    missed = sum(np.isinf(delay) for group in groups[:2] for share in SHARES for delay in seen[group, share].canary)
    report.bar(f"canary of KS >= 0.1: missed within {AFTER:,} events", "0", str(missed), not missed)
