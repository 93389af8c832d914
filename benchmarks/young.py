"""Young streams: how soon judging may begin, and what it costs to begin early.

A stream of 20 events a day needs three weeks for 400 events. Here every stream is watched from its first event on, for
2,000 events in which nothing changes, and for changes that come while the reference is still young. Constants of the
young zone were chosen on the models of `CHOSEN_ON`; rows say which models they are of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, ks_2samp

from benchmarks import corpora, scenarios
from benchmarks.corpora import Corpus
from benchmarks.report import Report, figure, median
from benchmarks.watching import AFTER, Heard, Plan, listen, seeded
from monitor.detection import DetectionSettings, Finding, StreamMonitor

Ints = NDArray[np.intp]

FIRST = 2_000
"""Events of a young stream, from its first one on."""
ASKED = 1 / 200
"""Share of unchanged young streams that may fire within them."""
SETTLED = 800
"""Events before a change as in `benchmarks.pairs`: what an early start costs there."""
CHOSEN_ON = (
    "gpt4_1106_preview",
    "gpt4_0613_verbose",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo-1106",
    "claude-2.1",
    "Mixtral-8x7B-Instruct-v0.1",
)
"""Models on which constants of the young zone were chosen."""


def default_warmup() -> int:
    """Events of the first reference by default."""
    return DetectionSettings().warmup


def _other_questions(corpus: Corpus, rng: np.random.Generator, n: int, warmup: int) -> Ints:
    """Questions of the warm-up never come again: the harshest that other questions can be."""
    first, second = scenarios.halves(corpus, rng)
    return np.concatenate([rng.choice(first, warmup), rng.choice(second, n - warmup)])


TRAFFIC: dict[str, Callable[[Corpus, np.random.Generator, int, int], Ints]] = {
    "independent": lambda corpus, rng, n, _: scenarios.independent(corpus, rng, n),
    "AR(1) 0.6": lambda corpus, rng, n, _: scenarios.autocorrelated(corpus, rng, n, 0.6),
    "daily cycle of tasks": lambda corpus, rng, n, _: scenarios.daily_cycle(corpus, rng, n),
    "daily cycle, tasks given": lambda corpus, rng, n, _: scenarios.daily_cycle(corpus, rng, n),
    "other questions": _other_questions,
}
"""Traffic without a change: rows of a corpus, given how many and how many of them are the warm-up."""


def begun(warmup: int) -> StreamMonitor:
    """A fresh monitor with this warm-up, all else as by default."""
    return StreamMonitor("benchmark", DetectionSettings(warmup=warmup))


def young(plan: Plan, report: Report) -> None:
    """Unchanged young streams that fire, and what is found of changes that come early."""
    data = corpora.alpacaeval(plan.data)
    groups = {
        "models that constants were chosen on": [data[name] for name in sorted(data) if name in CHOSEN_ON],
        "other models": [data[name] for name in sorted(data) if name not in CHOSEN_ON],
    }
    warmups = sorted({default_warmup(), 400})
    if not plan.quick:
        warmups = sorted({default_warmup(), 100, 200, 400})
    _unchanged(plan, report, groups, warmups)
    _changed(plan, report, groups, warmups)


def interval(count: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else float(beta.ppf(tail, count, of - count + 1))
    high = 1.0 if count == of else float(beta.ppf(1 - tail, count + 1, of - count))
    return low, high


def _unchanged(plan: Plan, report: Report, groups: dict[str, list[Corpus]], warmups: Sequence[int]) -> None:
    count = 24 if plan.quick else 6 * plan.runs  # of a kind of traffic, in each group of models
    rows: list[list[object]] = []
    causes: list[list[object]] = []
    for warmup in warmups:
        for name, draw in TRAFFIC.items():
            fired = streams = 0
            row: list[object] = [warmup, name]
            for models in groups.values():
                heard = [watched(name, draw, models[i % len(models)], i, warmup) for i in range(count)]
                own = [one.fired for one in heard if one.fired is not None]
                row += [share(len(own), count), sum(bool(one.infos) for one in heard)]
                causes += [[warmup, name, models[i % len(models)].name, *_said(one.fired)]
                           for i, one in enumerate(heard) if one.fired is not None]  # fmt: skip
                fired, streams = fired + len(own), streams + count
            rows.append([*row, share(fired, streams)])
            if warmup == default_warmup():
                low, _ = interval(fired, streams)
                report.bar(f"young streams that fire, {name}", "<= 1 of 200",
                           f"{fired} of {streams}: {200 * fired / streams:.1f} of 200", low <= ASKED)  # fmt: skip
    heads = ["warm-up", "traffic"]
    for group in groups:
        heads += [f"fired, {group}", "with information"]
    report.table(
        f"Unchanged young streams: fired within their first {FIRST:,} events",
        [*heads, "fired, all"], rows,
        "Share of streams with its 95 % interval. Asked for: 1 of 200. Other questions: those of the warm-up never "
        "come again.",
    )  # fmt: skip
    if causes:
        heads = ["warm-up", "traffic", "model", "at", "driver", "kind", "features"]
        report.table("What unchanged young streams said", heads, causes, folded=True)


def watched(
    name: str, draw: Callable[[Corpus, np.random.Generator, int, int], Ints], corpus: Corpus, number: int, warmup: int
) -> Heard:
    """What one unchanged stream said in its first events."""
    order = draw(corpus, seeded("young", name, corpus.name, number), FIRST, warmup)
    segments = [{"attributes.task": corpus.tasks[row]} for row in order] if name.endswith("tasks given") else None
    return listen(begun(warmup), corpus.batch, order, "y", segments)


def share(count: int, of: int) -> str:
    """`2 of 300: 0.7 % (0.1 to 2.4)`."""
    low, high = interval(count, of)
    return f"{count} of {of}: {100 * count / of:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _said(finding: Finding) -> list[object]:
    named = ", ".join(f"{c.name} {c.before} -> {c.after} ({c.effect:+.1f})" for c in finding.features[:3])
    driver = finding.driver.value if finding.driver else "-"
    return [finding.raised_at.index, driver, finding.kind.value, named or "(none alone)"]


@dataclass
class _Swaps:
    """Swaps of the model that came at one moment: delays (infinite where missed), and runs that fired before."""

    delays: list[float] = field(default_factory=list)
    early: int = 0


def _changed(plan: Plan, report: Report, groups: dict[str, list[Corpus]], warmups: Sequence[int]) -> None:
    runs = 1 if plan.quick else max(1, plan.runs // 25)
    rows: list[list[object]] = []
    for group, models in groups.items():
        apart = {
            "KS >= 0.5": [(a, b) for a in models for b in models if _distance(a, b) >= 0.5],
            "KS 0.3 to 0.5": [(a, b) for a in models for b in models if 0.3 <= _distance(a, b) < 0.5],
        }
        for size, pairs in apart.items():
            chosen = pairs[:: max(1, len(pairs) // 6)] if plan.quick else pairs
            for warmup in warmups:
                row: list[object] = [group, size, len(chosen) * runs, warmup]
                for moment in (warmup, warmup * 3 // 2, SETTLED):
                    swaps = _Swaps()
                    for a, b in chosen:
                        for run in range(runs):
                            _swap(swaps, a, b, run, warmup, moment)
                    row += [figure(median(swaps.delays)), _slowest(swaps.delays), _missed(swaps)]
                rows.append(row)
    heads = ["models", "lengths", "runs", "warm-up"]
    for when in ("right after warm-up", "at 1.5 warm-ups", f"at event {SETTLED}"):
        heads += [f"{when}: median delay", "p90", "missed (early)"]
    report.table(
        "Another model while the reference is young", heads, rows,
        f"Events from the change to the alarm, within {AFTER}; missed, and runs that fired before the change.",
    )  # fmt: skip


def _swap(swaps: _Swaps, a: Corpus, b: Corpus, run: int, warmup: int, moment: int) -> None:
    before = seeded("young swap", a.name, run).integers(0, len(a), moment)
    after = seeded("young swap", a.name, b.name, run).integers(0, len(b), AFTER)
    watching = begun(warmup)
    if listen(watching, a.batch, before, "a").fired:
        swaps.early += 1
        return
    fired = listen(watching, b.batch, after, "b").fired
    swaps.delays.append(np.inf if fired is None else fired.raised_at.index - moment + 1)


def _distance(a: Corpus, b: Corpus) -> float:
    return float(ks_2samp(a.chars, b.chars).statistic)


def _slowest(delays: Sequence[float]) -> str:
    return figure(float(np.quantile(delays, 0.9, method="higher"))) if delays else "-"


def _missed(swaps: _Swaps) -> str:
    return f"{sum(np.isinf(swaps.delays))} ({swaps.early})"
