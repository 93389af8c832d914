"""How soon changes are found, how rarely nothing is, what is said of them, and what it costs.

    python -m benchmarks.detection [--quick] [--runs R] [--only pairs,alarms,...] [--data DIR] [--markdown FILE]

Every row is the default configuration of the monitor, all features on; competitors see the same events in the same run.
Real outputs are bootstrapped (public sources: `benchmarks/corpora.py`). Only the outputs, the inputs and the facts of
the call can tell: names of models and tasks are withheld unless a table says otherwise. 805 outputs a model are few, so
delays above 350 events say little more than "late".
"""

from __future__ import annotations

import argparse
import copy
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.stats import ks_2samp

from benchmarks import competitors, corpora, scenarios
from benchmarks.corpora import Corpus, drawn
from benchmarks.report import Report, figure, median, per_100k
from benchmarks.watching import Alarms, alarms, listen, monitor
from monitor.detection import Finding

SEED = 1
BEFORE = 800
"""Events before a change: a warm-up of 400 and as many calm ones."""
AFTER = 800
"""Events after it within which it must be found."""
ASKED = 1e5
"""Mean run length that the default budget asks for on a stream without times."""
LATE = 250

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Plan:
    """How much to run."""

    data: Path
    runs: int
    quick: bool


def seeded(*parts: object) -> np.random.Generator:
    """A generator that depends on the seed and on these names alone, not on what ran before."""
    return np.random.default_rng([SEED, *(crc32(str(part).encode()) for part in parts)])


# Pairs


@dataclass
class Pair:
    """A switch from one corpus to another: what each run made of it."""

    before: Corpus
    after: Corpus
    ks: float
    bound: float
    delays: list[float] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    covered: int = 0
    infos: int = 0
    top: Counter[str] = field(default_factory=Counter)
    driver: Counter[str] = field(default_factory=Counter)
    kind: Counter[str] = field(default_factory=Counter)
    rivals: dict[str, list[float]] = field(default_factory=dict)

    @property
    def delay(self) -> float:
        """Median delay in events; infinite where most runs missed it."""
        return median(self.delays)

    @property
    def missed(self) -> int:
        """Runs in which nothing fired within `AFTER` events."""
        return sum(np.isinf(self.delays))

    def take(self, finding: Finding | None, infos: int) -> None:
        """Count one run."""
        if finding is None:
            self.delays.append(np.inf)
            self.infos += infos > 0
            return
        self.delays.append(finding.raised_at.index - BEFORE + 1)
        self.errors.append(abs(finding.began_at.index - BEFORE))
        self.covered += finding.began_at.low <= BEFORE <= finding.began_at.high
        self.top[finding.features[0].name if finding.features else "(none alone)"] += 1
        self.driver[finding.driver.value if finding.driver else "-"] += 1
        self.kind[finding.kind.value] += 1


def divergence(before: Corpus, after: Corpus, k: int = 20) -> float:
    """Kullback-Leibler divergence of the log lengths after from those before, by nearest neighbours.

    Wang, Kulkarni, Verdu 2009, with the k-th neighbour so that ties and the finite sample matter little.
    """
    rng = seeded("jitter")
    x, y = (np.sort(np.log1p(c.chars + rng.uniform(-0.5, 0.5, len(c)).clip(-0.4))) for c in (after, before))
    k = min(k, len(x) - 1, len(y))
    own = np.sort(np.abs(x[:, None] - x[None, :]), axis=1)[:, k]
    other = np.sort(np.abs(x[:, None] - y[None, :]), axis=1)[:, k - 1]
    value = np.log(np.maximum(other, 1e-9) / np.maximum(own, 1e-9)).mean() + np.log(len(y) / (len(x) - 1))
    return max(float(value), 0.0)


def _all_pairs(group: Sequence[Corpus]) -> list[Pair]:
    pairs = []
    for before in group:
        for after in group:
            if before is not after:
                ks = float(ks_2samp(before.chars, after.chars).statistic)
                kl = divergence(before, after)
                pairs.append(Pair(before, after, ks, np.log(ASKED) / kl if kl > 0.01 else np.inf))
    return pairs


@dataclass
class Controls:
    """Streams that change nothing but the questions, and references in which something fired."""

    events: int = 0
    streams: int = 0
    fired: int = 0
    early: int = 0
    before: int = 0


def _run_pairs(pairs: Sequence[Pair], runs: int, controls: Controls) -> None:
    by_before: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_before.setdefault(pair.before.name, []).append(pair)
    for name, own in by_before.items():
        before = own[0].before
        for run in range(runs):
            rng = seeded("pair", name, run)
            snapshot = None
            while snapshot is None:
                watching = monitor()
                heard = listen(watching, before.batch, rng.integers(0, len(before), BEFORE), "a")
                controls.before += BEFORE - watching.settings.warmup
                if heard.fired:
                    controls.early += 1
                else:
                    snapshot = watching.snapshot()
            for pair in own:
                watching = monitor()
                watching.restore(snapshot)
                rows = seeded("pair", name, pair.after.name, run).integers(0, len(pair.after), AFTER)
                heard = listen(watching, pair.after.batch, rows, "b")
                pair.take(heard.fired, len(heard.infos))
            _control(before, rng, controls)


def _control(corpus: Corpus, rng: np.random.Generator, controls: Controls) -> None:
    first, second = scenarios.halves(corpus, rng)
    watching = monitor()
    if listen(watching, corpus.batch, rng.choice(first, BEFORE), "a").fired:
        return
    controls.streams += 1
    heard = listen(watching, corpus.batch, rng.choice(second, AFTER), "c")
    controls.fired += heard.fired is not None
    controls.events += AFTER if heard.fired is None else heard.fired.raised_at.index - BEFORE + 1


def _rival_pairs(pairs: Sequence[Pair], runs: int, names: Sequence[str], columns: str) -> None:
    """The same switches for the competitors, with the rows that the monitor saw."""
    measure = competitors.length if columns == "length" else competitors.features
    by_before: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_before.setdefault(pair.before.name, []).append(pair)
    for name, own in by_before.items():
        before = own[0].before
        for run in range(runs):
            rows = seeded("pair", name, run).integers(0, len(before), BEFORE)
            for rival in names:
                watching = competitors.watcher(rival)
                watching.feed(measure(drawn(before.batch, rows, "a")))
                for pair in own:
                    again = copy.deepcopy(watching)
                    later = seeded("pair", name, pair.after.name, run).integers(0, len(pair.after), AFTER)
                    x = measure(drawn(pair.after.batch, later, "b"))
                    delay = np.inf
                    for start in range(0, AFTER, 50):
                        found = again.feed(x[start : start + 50])
                        if found:
                            delay = start + found[0] + 1
                            break
                    pair.rivals.setdefault(f"{rival}, {columns}", []).append(delay)


def _most(counted: Counter[str], strip: str = "") -> str:
    if not counted:
        return "-"
    name, times = counted.most_common(1)[0]
    total = counted.total()
    return name.removeprefix(strip) + ("" if times == total else f" {times}/{total}")


def pairs(plan: Plan, report: Report) -> None:
    """Every ordered pair of models, and of versions of a task."""
    data = corpora.alpacaeval(plan.data)
    alpaca = _all_pairs(list(data.values()))
    tasks: dict[str, list[Corpus]] = {}
    for corpus in corpora.llmdrift(plan.data).values():
        tasks.setdefault(corpus.name.split("/")[0], []).append(corpus)
    drift = [pair for group in tasks.values() for pair in _all_pairs(group)]
    every = alpaca + drift
    controls = {"AlpacaEval": Controls(), "LLMDrift": Controls()}
    _run_pairs(alpaca, plan.runs, controls["AlpacaEval"])
    _run_pairs(drift, plan.runs, controls["LLMDrift"])
    names = ("ADWIN", "Page-Hinkley", "rolling KS") if plan.quick else competitors.NAMES
    _rival_pairs(every, 1 if plan.quick else min(plan.runs, 5), names, "length")
    if not plan.quick:
        _rival_pairs(every, 1, ("ADWIN",), "features")

    heads = [
        "before -> after", "KS", "delay", "p90", "missed", "info", "cp err", "in 90 %",
        "top feature", "driver", "kind", "bound",
    ]  # fmt: skip
    rivals = list(every[0].rivals)
    for title, chosen in (("AlpacaEval: one model behind the application becomes another", alpaca),
                          ("LLMDrift: one version becomes another, by task", drift)):  # fmt: skip
        rows = [
            [
                f"{pair.before.name} -> {pair.after.name.split('/')[-1]}", f"{pair.ks:.2f}", figure(pair.delay),
                figure(float(np.quantile(pair.delays, 0.9, method="higher"))), f"{pair.missed}/{len(pair.delays)}",
                pair.infos, figure(median(pair.errors)),
                f"{pair.covered}/{len(pair.errors)}", _most(pair.top), _most(pair.driver), _most(pair.kind),
                figure(pair.bound) if np.isfinite(pair.bound) else "-",
                *(figure(median(pair.rivals[r])) for r in rivals),
            ]
            for pair in sorted(chosen, key=lambda pair: -pair.ks)
        ]  # fmt: skip
        report.table(
            title, [*heads, *rivals], rows,
            f"Median of {plan.runs} runs; events from the change to the alarm, {BEFORE} before it, {AFTER} after. "
            "KS: distance of the output lengths. Info: missed runs in which information was given. Bound: what no "
            "detector can beat on length alone, log of the mean run length over the Kullback-Leibler divergence.",
            folded=True,
        )  # fmt: skip
    _pair_summary(every, controls, report, rivals)


def _pair_summary(every: Sequence[Pair], controls: dict[str, Controls], report: Report, rivals: Sequence[str]) -> None:
    rows = []
    groups: list[tuple[str, Callable[[Pair], bool]]] = [
        ("KS >= 0.5", lambda p: p.ks >= 0.5),
        ("KS >= 0.3", lambda p: p.ks >= 0.3),
        ("KS 0.1 to 0.3", lambda p: 0.1 <= p.ks < 0.3),
        ("KS < 0.1", lambda p: p.ks < 0.1),
    ]
    for source in ("AlpacaEval", "LLMDrift"):
        for label, wanted in groups:
            own = [p for p in every if wanted(p) and ("/" in p.before.name) == (source == "LLMDrift")]
            if not own:
                continue
            delays = [p.delay for p in own]
            runs = [delay for p in own for delay in p.delays]
            found = max(1, sum(len(p.errors) for p in own))
            rows.append([
                f"{source}, {label}", len(own), figure(median(delays)), figure(max(delays)),
                sum(d > LATE for d in delays), f"{sum(np.isinf(runs))}/{len(runs)}",
                figure(median([e for p in own for e in p.errors])),
                f"{sum(p.covered for p in own) / found:.0%}",
                f"{sum(p.driver['output'] + p.driver['call'] for p in own) / found:.0%}",
                *(
                    f"{figure(median([median(p.rivals[r]) for p in own]))} "
                    f"({sum(np.isinf(delay) for p in own for delay in p.rivals[r])})"
                    for r in rivals
                ),
            ])  # fmt: skip
    report.table(
        "Delay over all pairs",
        ["pairs", "n", "median delay", "slowest pair", f"pairs above {LATE}", "runs missed", "change point error",
         "in its 90 % interval", "output or call named", *(f"{r}: median (runs missed)" for r in rivals)],
        rows,
        "Delay of a pair is the median of its runs.",
    )  # fmt: skip
    for source, seen in controls.items():
        report.line(
            f"{source}, controls: same model, questions that never came before, {seen.streams} streams of {AFTER} "
            f"events: {seen.fired} fired ({per_100k(seen.fired, seen.events)} per 100,000). Before the change: "
            f"{seen.early} fired in {seen.before:,} events ({per_100k(seen.early, seen.before)})."
        )


# False alarms


STREAM = 25_000
"""Events of one no-change stream; each has a model and a reference of its own."""


@dataclass
class Quiet:
    """One kind of traffic without a change: how to draw it, and what each detector made of it."""

    name: str
    draw: Callable[[Corpus, np.random.Generator, int], Ints]
    tasks_told: bool = False


QUIET = (
    Quiet("independent", scenarios.independent),
    Quiet("AR(1) 0.3", lambda c, rng, n: scenarios.autocorrelated(c, rng, n, 0.3)),
    Quiet("AR(1) 0.6", lambda c, rng, n: scenarios.autocorrelated(c, rng, n, 0.6)),
    Quiet("daily cycle of tasks", scenarios.daily_cycle),
    Quiet("daily cycle, tasks told", scenarios.daily_cycle, tasks_told=True),
    Quiet("bursts of one task", scenarios.bursts),
    Quiet("bursts of five questions", lambda c, rng, n: scenarios.bursts(c, rng, n, few=5)),
)


def _quiet_rows(quiet: Quiet, models: Sequence[Corpus], total: int) -> list[tuple[Corpus, Ints]]:
    streams = []
    length = min(STREAM, max(2_000, total // len(models)))
    for number in range(max(1, round(total / length))):
        corpus = models[number % len(models)]
        streams.append((corpus, quiet.draw(corpus, seeded("quiet", quiet.name, number), length)))
    return streams


def _told(corpus: Corpus, rows: Ints) -> list[dict[str, str]]:
    return [{"attributes.task": corpus.tasks[row]} for row in rows]


def false_alarms(plan: Plan, report: Report) -> None:
    """Alarms per 100,000 events of traffic in which nothing changes."""
    models = list(corpora.alpacaeval(plan.data).values())
    total = 60_000 if plan.quick else 1_000_000
    rows: list[list[object]] = []
    causes: list[list[object]] = []
    rivals = ("ADWIN", "Page-Hinkley", "rolling KS") if plan.quick else competitors.NAMES
    for quiet in QUIET:
        ours = Alarms()
        streams = _quiet_rows(quiet, models, total)
        for corpus, drawn_rows in streams:
            told = _told(corpus, drawn_rows) if quiet.tasks_told else None
            found = alarms(corpus.batch, drawn_rows, segments=told)
            ours.add(found)
            causes += [_cause(quiet.name, corpus, finding) for finding in found.fired]
        theirs = [] if quiet.tasks_told else [_rival_alarms(streams, rival, plan.quick) for rival in rivals]
        rows.append([quiet.name, f"{ours.events:,}", len(ours.fired), per_100k(len(ours.fired), ours.events),
                     len(ours.infos), *(theirs or ["-"] * len(rivals))])  # fmt: skip
    rows += _hour(plan, models, causes, rivals)
    rows.append(_churn(plan, models, causes, len(rivals)))
    report.table(
        "False alarms per 100,000 events, all features, default budget",
        ["traffic", "events", "fired", "per 100,000 (95 % interval)", "information",
         *(f"{r} on length" for r in rivals)],
        rows,
        "Asked for: 1. A monitor starts afresh after each alarm; warm-up not counted.",
    )  # fmt: skip
    if causes:
        heads = ["traffic", "model", "at", "driver", "kind", "features"]
        report.table("What the false alarms said", heads, causes, folded=True)


def _cause(traffic: str, corpus: Corpus, finding: Finding) -> list[object]:
    named = ", ".join(f"{c.name} {c.before} -> {c.after} ({c.effect:+.1f})" for c in finding.features[:3])
    driver = finding.driver.value if finding.driver else "-"
    return [traffic, corpus.name, finding.raised_at.index, driver, finding.kind.value, named or "(none alone)"]


def _rival_alarms(streams: Sequence[tuple[Corpus, Ints]], rival: str, quick: bool) -> str:
    most = {"KSWIN": 100_000, "rolling KS": 20_000 if quick else 200_000}.get(rival, 10**9)
    count = events = 0
    for corpus, rows in streams:
        if events >= most:
            break
        watching = competitors.watcher(rival)
        count += len(watching.feed(competitors.length(drawn(corpus.batch, rows, "r"))))
        events += len(rows) - competitors.WARMUP
    return f"{count * 1e5 / events:.1f}"


def _hour(
    plan: Plan, models: Sequence[Corpus], causes: list[list[object]], rivals: Sequence[str]
) -> list[list[object]]:
    rows: list[list[object]] = []
    for trace in corpora.azure(plan.data):
        name = f"Azure hour, {trace.service}"
        ours = Alarms()
        streams = []
        for corpus in models[:2] if plan.quick else models:
            order = scenarios.production_hour(corpus, seeded("hour", trace.service, corpus.name), trace)
            streams.append((corpus, order))
            found = alarms(corpus.batch, order)
            ours.add(found)
            causes += [_cause(name, corpus, finding) for finding in found.fired]
        theirs = [_rival_alarms(streams, rival, plan.quick) for rival in rivals]
        rows.append([name, f"{ours.events:,}", len(ours.fired), per_100k(len(ours.fired), ours.events),
                     len(ours.infos), *theirs])  # fmt: skip
        tokens = _token_counts(models[0], trace)
        alone = alarms(tokens, np.arange(len(tokens)))
        causes += [_cause(f"{name}, token counts alone", models[0], finding) for finding in alone.fired]
        rows.append([f"{name}, token counts alone", f"{alone.events:,}", len(alone.fired),
                     per_100k(len(alone.fired), alone.events), len(alone.infos), *["-"] * len(rivals)])  # fmt: skip
    return rows


def _token_counts(corpus: Corpus, trace: corpora.Trace) -> corpora.FeatureBatch:
    """The trace itself: a call without text, all else missing."""
    n = len(trace.times)
    batch = drawn(corpus.batch, np.zeros(n, dtype=np.intp), "t")
    batch.values = np.full((n, len(batch.names)), np.nan, dtype=np.float32)
    for name, column in (("call.tokens.input", trace.tokens_in), ("call.tokens.output", trace.tokens_out),
                         ("call.context.tokens", trace.tokens_in + trace.tokens_out)):  # fmt: skip
        batch.values[:, batch.names.index(name)] = column
    batch.categories = {name: [None] * n for name in batch.categories}
    batch.embeddings = None
    return batch


def _churn(plan: Plan, models: Sequence[Corpus], causes: list[list[object]], rivals: int) -> list[object]:
    splits, length = (12, 3_000) if plan.quick else (30, 3_000)
    fired = events = infos = 0
    for split in range(splits):
        corpus = models[split % len(models)]
        rng = seeded("churn", split)
        first, second = scenarios.halves(corpus, rng)
        watching = monitor()
        before = listen(watching, corpus.batch, rng.choice(first, BEFORE), "a")
        heard = before if before.fired else listen(watching, corpus.batch, rng.choice(second, length), "b")
        infos += len(heard.infos)
        events += length
        if heard.fired:
            fired += 1
            causes.append(_cause("prompt churn", corpus, heard.fired))
    return ["prompt churn", f"{events:,}", f"{fired} of {splits} splits", "-", infos, *["-"] * rivals]


def calibration(plan: Plan, report: Report) -> None:
    """Asked against observed over three decades of the budget."""
    models = list(corpora.alpacaeval(plan.data).values())
    rows = []
    for asked, total in ((1e3, 30_000), (1e4, 60_000), (1e5, 60_000)):
        row: list[object] = [f"{1e5 / asked:g}"]
        for quiet in (QUIET[0], QUIET[2]):
            found = Alarms()
            for corpus, drawn_rows in _quiet_rows(quiet, models, total if plan.quick else int(min(1e6, 100 * asked))):
                found.add(alarms(corpus.batch, drawn_rows, lambda asked=asked: monitor(asked)))  # type: ignore[misc]
            row += [f"{found.events:,}", per_100k(len(found.fired), found.events),
                    per_100k(len(found.fired) + len(found.infos), found.events)]  # fmt: skip
        rows.append(row)
    heads = ["asked per 100,000"]
    for name in ("independent", "AR(1) 0.6"):
        heads += [f"{name}: events", "fired (95 % interval)", "with information"]
    report.table("Calibration: false alarms asked for and seen", heads, rows)


SECTIONS: dict[str, Callable[[Plan, Report], None]] = {
    "pairs": pairs,
    "alarms": false_alarms,
    "calibration": calibration,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few runs, under two minutes")
    parser.add_argument("--runs", type=int, help="runs of each pair and each localised change (50; quick 3)")
    parser.add_argument("--only", help=f"sections, separated by commas: {', '.join(SECTIONS)}")
    parser.add_argument("--data", type=Path, default=corpora.ROOT.parent / "shared" / "data")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else list(SECTIONS)
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    plan = Plan(options.data, options.runs or (3 if options.quick else 50), options.quick)
    report = Report(Console(width=None if Console().is_terminal else 250))
    sources = "; ".join(f"{name}: {where}" for name, where in corpora.SOURCES.items())
    report.line(f"Seed {SEED}, {plan.runs} runs{', quick' if plan.quick else ''}. Data: {sources}.")
    for name in chosen:
        began = time.perf_counter()
        SECTIONS[name](plan, report)
        report.line(f"({name}: {time.perf_counter() - began:.0f} s)")
        if options.markdown:
            report.write(options.markdown)


if __name__ == "__main__":
    main()
