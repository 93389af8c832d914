"""Every ordered pair of models, and of versions of a task: is the switch found, how soon, what is said of it.

Competitors see the same rows in the same run. `bound` is what no detector can beat on the output's length alone: the
log of the mean run length asked for over the Kullback-Leibler divergence of the lengths after from those before.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import ks_2samp

from benchmarks import competitors, corpora, scenarios
from benchmarks.corpora import Corpus, drawn
from benchmarks.report import Report, figure, median, per_100k
from benchmarks.watching import AFTER, ASKED, BEFORE, Plan, listen, monitor, seeded
from monitor.detection import Finding

LATE = 250
"""Median delay above which a change that a person would see counts as found late."""
ALIKE = 0.1
"""KS distance of the lengths below which nobody would say that two models differ by their lengths."""
BOLD = ("gpt4_0314", "gpt4_0613")


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
    _bars(every, report)


def _bars(every: Sequence[Pair], report: Report) -> None:
    alpaca = [p for p in every if "/" not in p.before.name]
    apart = [p.delay for p in alpaca if p.ks >= 0.3]
    report.bar("delay, KS >= 0.3: median", "<= 25", figure(median(apart)), median(apart) <= 25)
    report.bar("delay, KS >= 0.3: slowest pair", "<= 60", figure(max(apart)), max(apart) <= 60)
    far = median([p.delay for p in alpaca if p.ks >= 0.5])
    report.bar("delay, KS >= 0.5: median", "<= 15", figure(far), far <= 15)
    for source, own in (("alpacaeval", alpaca), ("llmdrift", [p for p in every if "/" in p.before.name])):
        changed = [p for p in own if p.ks >= ALIKE]
        late = [p for p in changed if p.delay > LATE]
        report.bar(f"{source}: pairs with KS >= 0.1 found within 250 events", "all",
                   f"{len(changed) - len(late)} of {len(changed)}", not late)  # fmt: skip
        missed, runs = sum(p.missed for p in changed), sum(len(p.delays) for p in changed)
        report.bar(f"{source}: runs missed within 800 events", "0", f"{missed} of {runs}", not missed)
    for pair in alpaca:
        if (pair.before.name, pair.after.name) == BOLD:
            report.bar("gpt4_0314 -> 0613 (bold 0.7 % -> 8.9 %)", "<= 250", figure(pair.delay), pair.delay <= LATE)
    errors = [e for p in every for e in p.errors]
    report.bar("change point error: median", "<= 20", figure(median(errors)), median(errors) <= 20)
