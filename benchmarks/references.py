"""References that contained an incident: are they found, and is nothing said of ordinary ones.

A reference is the first events of a stream, as many as the warm-up has by default. Constants of the check were chosen
on every other model of AlpacaEval, by name; every row here is of the other six (`benchmarks.canary.held_out`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from benchmarks import corpora, scenarios
from benchmarks.canary import held_out
from benchmarks.corpora import Corpus, drawn
from benchmarks.report import Report, figure, median
from benchmarks.watching import Plan, monitor, seeded
from monitor.detection import DetectionSettings, Finding, FindingKind
from monitor.features.batch import FeatureBatch, concat
from tests.azure_trace import read_traces

Ints = NDArray[np.intp]
WARMUP = DetectionSettings().warmup
LENGTHS = (WARMUP // 10, WARMUP * 45 // 100)
"""Events of an incident within it."""
AFTER = 400
"""Usual events after the warm-up: the return to normal must not page."""
DAYS = 10_000

ORDINARY: dict[str, Callable[[Corpus, np.random.Generator, int], Ints]] = {
    "independent": scenarios.independent,
    "AR(1) 0.3": lambda corpus, rng, n: scenarios.autocorrelated(corpus, rng, n, 0.3),
    "AR(1) 0.6": lambda corpus, rng, n: scenarios.autocorrelated(corpus, rng, n, 0.6),
    "daily cycle of tasks": scenarios.daily_cycle,
    "bursts of one task": scenarios.bursts,
    "bursts of five questions": lambda corpus, rng, n: scenarios.bursts(corpus, rng, n, few=5),
}


def references(plan: Plan, report: Report) -> None:
    """Ordinary references, and references with a stretch of broken events or of another model."""
    models = held_out(corpora.alpacaeval(plan.data))
    count = 12 if plan.quick else 6 * plan.runs
    rows: list[list[object]] = []
    said_of_ordinary = checked = 0
    for name, draw in ORDINARY.items():
        said = sum(_said(*_ordinary(name, draw, models[i % len(models)], i)) for i in range(count))
        rows.append([name, count, said, "-", "-", "-"])
        said_of_ordinary, checked = said_of_ordinary + said, checked + count
    for trace in read_traces(plan.data):
        said = 0
        for i in range(count // 2):
            rng = seeded("reference of an hour", trace.service, i)
            corpus = models[i % len(models)]
            order = scenarios.production_hour(corpus, rng, trace)
            start = int(rng.integers(0, len(order) - WARMUP))
            said += _said(corpus.batch, order[start : start + WARMUP])
        rows.append([f"Azure hour, {trace.service}", count // 2, said, "-", "-", "-"])
        said_of_ordinary, checked = said_of_ordinary + said, checked + count // 2
    report.bar("ordinary references that are called unstable", "<= 1 of 100",
               f"{said_of_ordinary} of {checked}", said_of_ordinary <= checked / 100)  # fmt: skip
    for name, share in (("all broken", 1.0), ("half broken", 0.5), ("a fifth broken", 0.2)):
        rows.append(_incidents(name, plan, models, count // 5, share))
    rows.append(_incidents("another model, KS of lengths >= 0.3", plan, models, count // 5, None))
    report.table(
        f"References of {WARMUP} events: is a stretch of them called unstable",
        ["warm-up", "references", "told", "start off by", "end off by", f"paged in {AFTER} usual events after"],
        rows,
        f"A stretch of {LENGTHS[0]} to {LENGTHS[1]} events, anywhere in the first {WARMUP}. "
        "Broken: empty, cut off, or an error's text.",
    )


def _ordinary(
    name: str, draw: Callable[[Corpus, np.random.Generator, int], Ints], corpus: Corpus, number: int
) -> tuple[FeatureBatch, Ints]:
    rng = seeded("ordinary reference", name, number)
    start = int(rng.integers(0, DAYS))
    return corpus.batch, draw(corpus, rng, start + WARMUP)[start:]


def _about(found: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.kind is FindingKind.REFERENCE]


def _said(batch: FeatureBatch, rows: Ints) -> int:
    return len(_about(monitor().observe(drawn(batch, rows, "r"))))


def _incidents(name: str, plan: Plan, models: Sequence[Corpus], count: int, share: float | None) -> list[object]:
    failing = corpora.broken(plan.data)
    told = paged = 0
    starts: list[float] = []
    ends: list[float] = []
    for number in range(count):
        rng = seeded("incident", name, number)
        corpus = models[number % len(models)]
        if share is None:
            far = [c for c in models if ks_2samp(c.chars, corpus.chars).statistic >= 0.3]
            other = far[int(rng.integers(len(far)))]
        else:
            other = failing[corpus.name]
        length = int(rng.integers(LENGTHS[0], LENGTHS[1] + 1))
        start = int(rng.integers(0, WARMUP - length + 1))
        rows = rng.integers(0, len(corpus), WARMUP + AFTER)
        hit = start + np.flatnonzero(rng.random(length) < (1.0 if share is None else share))
        rows[hit] = len(corpus) + rng.integers(0, len(other), len(hit))
        watching = monitor()
        found = watching.observe(drawn(concat([corpus.batch, other.batch]), rows, "i"))
        about = _about(found)
        told += bool(about)
        paged += any(finding.opens for finding in found)
        if about:
            starts.append(abs(about[0].began_at.index - start))
            ends.append(abs(_last_named(about[0]) - (start + length - 1)))
    return [name, count, told, figure(median(starts)), figure(median(ends)), f"{paged} of {count}"]


def _last_named(finding: Finding) -> int:
    """The last event of the stretch, as the title names it."""
    return int(finding.title.split(" events ")[1].split(" to ")[1].split(",")[0])
