"""Changes of other kinds than a switch of models: how soon they are found, and whether what is said of them is right.

5 % broken      a twentieth of the answers come empty, cut off, or as an error's text
ramp            answers grow over 5,000 events by twice the effect floor
one segment     a tenant with 30 % of the traffic gets another model or broken answers, or 30 % get a new version
other questions the same model is asked other tasks, told or not told by an attribute; nothing may page
back again      after an alert the old model returns, or a third one comes
file order      questions come task by task, and so do both models' answers
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from benchmarks import corpora, scenarios
from benchmarks.corpora import Corpus
from benchmarks.report import Report, figure, median
from benchmarks.watching import AFTER, BEFORE, Heard, Plan, heard_all, listen, monitor, seeded
from monitor.detection import Finding, State
from monitor.features.batch import concat

Ints = NDArray[np.intp]
RAMP = 5_000
CALM = 2_500
"""Events before a ramp where the reference has ceased to mature."""
TENANTS = ("a", "b", "c")
SHARES = (0.3, 0.5, 0.2)
TENANT, VERSION = {"attributes.tenant": "a"}, {"model.version": "2"}


class Segment(NamedTuple):
    """Of which rows what share changes: another model answers, or the answers are broken; and what is to be named."""

    name: str
    named: dict[str, str] | None
    share: float = 1.0
    broken: bool = False


SEGMENTS = (
    Segment("a tenant of 30 %", TENANT),
    Segment("30 % on a new version", VERSION, 0.3),
    Segment("all tenants", None),
    Segment("30 % of a tenant's answers broken", TENANT, 0.3, broken=True),
    Segment("an eighth of all answers broken", None, 0.125, broken=True),
)


@dataclass
class Runs:
    """Runs of one kind of change."""

    name: str
    delays: list[float] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)
    right: int = 0
    top: Counter[str] = field(default_factory=Counter)
    early: int = 0

    def row(self, told: str = "") -> list[object]:
        """As the table shows it."""
        missed = sum(np.isinf(self.delays))
        p90 = float(np.quantile(self.delays, 0.9, method="higher")) if self.delays else float("nan")
        top = self.top.most_common(1)[0] if self.top else ("-", 0)
        return [
            self.name, len(self.delays), figure(median(self.delays)), figure(p90), missed, figure(median(self.errors)),
            f"{top[0]} {top[1]}/{self.top.total()}" if self.top else "-", told,
        ]  # fmt: skip


def _after(kind: Runs, heard: Heard, start: int) -> Finding | None:
    """Count the first finding that fired after the change at `start`."""
    fired = heard.fired
    if fired is None:
        kind.delays.append(np.inf)
        return None
    if fired.raised_at.index < start:
        kind.early += 1
        return None
    kind.delays.append(fired.raised_at.index - start + 1)
    kind.errors.append(abs(fired.began_at.index - start))
    kind.top[fired.features[0].name if fired.features else "(none alone)"] += 1
    return fired


def changes(plan: Plan, report: Report) -> None:
    """All kinds."""
    data = corpora.alpacaeval(plan.data)
    models = list(data.values())
    rows: list[list[object]] = []
    rows += _broken(plan, models, report)
    rows += _ramps(plan, models, report)
    rows += _segments(plan, models, report)
    report.table(
        "Changes of other kinds",
        ["change", "runs", "delay", "p90", "missed", "change point error", "top feature", "told"],
        rows,
        f"{BEFORE} events before, {AFTER} after, unless the row says otherwise. Told: the right segment was named.",
    )
    _drivers(plan, models, report)
    _afterwards(plan, models, report)
    _in_file_order(plan, models, report)


def _broken(plan: Plan, models: Sequence[Corpus], report: Report) -> list[list[object]]:
    failing = corpora.broken(plan.data)
    kinds = ("all three", *corpora.BROKEN)
    rows = []
    for number, name in enumerate(kinds):
        kind = Runs(f"5 % broken: {name}")
        for corpus in models:
            pool = concat([corpus.batch, failing[corpus.name].batch])
            n = len(corpus)
            bad = np.arange(n) if not number else np.arange(number - 1, n, len(corpora.BROKEN))
            for run in range(_few(plan, 2)):
                rng = seeded("broken", name, corpus.name, run)
                order = rng.integers(0, n, BEFORE + AFTER)
                hit = BEFORE + np.flatnonzero(rng.random(AFTER) < 0.05)
                order[hit] = n + rng.choice(bad, len(hit))
                _after(kind, listen(monitor(), pool, order, "x"), BEFORE)
        rows.append(kind.row())
        if not number:
            delay, missed = median(kind.delays), sum(np.isinf(kind.delays))
            report.bar("5 % broken: median delay", "<= 170", figure(delay), delay <= 170)
            report.bar("5 % broken: runs missed", "0", f"{missed} of {len(kind.delays)}", not missed)
    return rows


def _few(plan: Plan, quick: int, full: int = 10) -> int:
    """Runs a model; there are twelve."""
    return max(1, quick // 2) if plan.quick else min(full, plan.runs)


def _ramps(plan: Plan, models: Sequence[Corpus], report: Report) -> list[list[object]]:
    rows = []
    for before in (CALM, BEFORE):
        kind = Runs(f"ramp of lengths over {RAMP:,} events after {before:,}")
        for corpus in models[:: 3 if plan.quick else 1]:
            for run in range(_few(plan, 2, 4)):
                rng = seeded("ramp", before, corpus.name, run)
                order = np.concatenate(
                    [rng.integers(0, len(corpus), before), scenarios.ramp(corpus, rng, RAMP, 2 * 0.25)]
                )
                _after(kind, listen(monitor(), corpus.batch, order, "x"), before)
        rows.append(kind.row())
        if before == CALM:
            missed = sum(np.isinf(kind.delays))
            report.bar("ramp of 5,000 events found before its end", "all",
                       f"{len(kind.delays) - missed} of {len(kind.delays)}", not missed)  # fmt: skip
    return rows


def _far(models: Sequence[Corpus], least: float = 0.3) -> list[tuple[Corpus, Corpus]]:
    return [
        (a, b) for a in models for b in models if a is not b and ks_2samp(a.chars, b.chars).statistic >= least
    ]  # fmt: skip


def _segments(plan: Plan, models: Sequence[Corpus], report: Report) -> list[list[object]]:
    chosen = _chosen(plan, models, "segments")
    failing = corpora.broken(plan.data)
    rows = []
    right = found = 0
    for case in SEGMENTS:
        kind = Runs(case.name)
        for run, (a, b) in enumerate(chosen):
            rng = seeded("segments", case.name, a.name, b.name, run)
            pool = concat([a.batch, failing[a.name].batch if case.broken else b.batch])
            order = rng.integers(0, len(a), BEFORE + AFTER)
            tenant = rng.choice(TENANTS, BEFORE + AFTER, p=SHARES)
            moved = (np.arange(BEFORE + AFTER) >= BEFORE) & (rng.random(BEFORE + AFTER) < case.share)
            if case.named == TENANT:
                moved &= tenant == "a"
            order[moved] += len(a)
            segments = [
                {"attributes.tenant": str(t), "attributes.region": str(r)}
                | ({"model.version": "2" if m else "1"} if case.named == VERSION else {})
                for t, r, m in zip(tenant, rng.choice(["eu", "us"], len(order)), moved, strict=True)
            ]
            finding = _after(kind, listen(monitor(), pool, order, "x", segments), BEFORE)
            if finding is not None:
                kind.right += finding.segment == case.named
        hits = len(kind.errors)
        rows.append(kind.row(f"{kind.right}/{hits}"))
        if case.named and not case.broken:
            right, found = right + kind.right, found + hits
    share = right / max(found, 1)
    report.bar("segment of 30 % named", ">= 95 %", f"{share:.0%} of {found}", share >= 0.95)
    return rows


def _chosen(plan: Plan, models: Sequence[Corpus], name: str, least: int = 12) -> list[tuple[Corpus, Corpus]]:
    far = _far(models)
    order = seeded("chosen", name).permutation(len(far))
    return [far[i % len(far)] for i in order[: 12 if plan.quick else max(plan.runs, least)]]


@dataclass
class Told:
    """What was said first of a change: whether anything was, whether it paged, what was named as its driver."""

    name: str
    wanted: tuple[str, ...]
    runs: int = 0
    found: int = 0
    paged: int = 0
    right: int = 0
    drivers: Counter[str] = field(default_factory=Counter)

    def take(self, heard: Heard, start: int) -> None:
        """Count one run."""
        said = [f for f in (*heard.infos, *([heard.fired] if heard.fired else [])) if f.raised_at.index >= start]
        self.runs += 1
        self.paged += heard.fired is not None and heard.fired.raised_at.index >= start
        if not said:
            return
        # Information may come first and the alert after it; the alert is what counts then.
        driver = said[-1].driver if heard.fired else said[0].driver
        self.found += 1
        self.drivers[driver.value if driver else "-"] += 1
        self.right += driver is not None and driver.value in self.wanted


def _drivers(plan: Plan, models: Sequence[Corpus], report: Report) -> None:
    kinds = (
        Told("outputs: another model, same questions", ("output",)),
        Told("outputs: another model, same questions, tasks told", ("output",)),
        Told("inputs: the same model, other tasks, not told", ("input", "mix")),
        Told("inputs: the same model, other tasks, told", ("input", "mix")),
        Told("mix: one task from its share to 60 %, told", ("mix", "input")),
        Told("both: another model and other tasks, not told", ("output",)),
    )
    outputs, outputs_told, untold, told, mixed, both = kinds
    # Of all pairs there are: a dozen runs leave five points of doubt.
    for run, (a, b) in enumerate(_chosen(plan, models, "drivers", least=100)):
        rng = seeded("drivers", a.name, b.name, run)
        pool = concat([a.batch, b.batch])
        order = rng.integers(0, len(a), BEFORE + AFTER)
        order[BEFORE:] += len(a)
        tasks = [*a.tasks, *b.tasks]
        outputs.take(listen(monitor(), pool, order, "x"), BEFORE)
        outputs_told.take(listen(monitor(), pool, order, "x", _tasks(tasks, order)), BEFORE)
        before, after, _ = scenarios.tasks_swapped(a, rng, BEFORE, AFTER)
        order = np.concatenate([before, after])
        untold.take(listen(monitor(), a.batch, order, "x"), BEFORE)
        told.take(listen(monitor(), a.batch, order, "x", _tasks(tasks, order)), BEFORE)
        both.take(listen(monitor(), pool, np.concatenate([before, after + len(a)]), "x"), BEFORE)
        names = sorted(set(a.tasks))
        grown = str(rng.choice(names))
        shares = {name: 0.6 if name == grown else 0.1 for name in names}
        order = np.concatenate([rng.integers(0, len(a), BEFORE), scenarios.mix(a, rng, AFTER, shares)])
        mixed.take(listen(monitor(), a.batch, order, "x", _tasks(tasks, order)), BEFORE)
    report.table(
        "What drove a change",
        ["change", "runs", "found", "paged", "driver right, of the found", "drivers named"],
        [
            [
                k.name,
                k.runs,
                k.found,
                k.paged,
                f"{k.right / k.found:.0%}" if k.found else "-",
                ", ".join(f"{driver} {n}" for driver, n in k.drivers.most_common()) or "-",
            ]
            for k in kinds
        ],
    )
    found, right = sum(k.found for k in kinds[:5]), sum(k.right for k in kinds[:5])
    share = right / max(found, 1)
    report.bar("input-driven distinguished from output-driven", ">= 95 %", f"{share:.0%} of {found}", share >= 0.95)


def _tasks(tasks: Sequence[str], order: Ints) -> list[dict[str, str]]:
    return [{"attributes.task": tasks[row]} for row in order]


def _afterwards(plan: Plan, models: Sequence[Corpus], report: Report) -> None:
    """After an alert 800 events of the new model; then the old one again, or a third."""
    back, third = Runs("the old model again: resolved"), Runs("a third model: a second alert")
    for run, (a, b) in enumerate(_chosen(plan, models, "afterwards")):
        rng = seeded("afterwards", a.name, b.name, run)
        others = [c for c in models if c is not a and c is not b and ks_2samp(c.chars, b.chars).statistic >= 0.3]
        for kind, last in ((back, a), (third, others[int(rng.integers(len(others)))] if others else None)):
            if last is None:
                continue
            watching = monitor()
            findings: list[Finding] = []
            for number, corpus in enumerate((a, b, last)):
                findings += heard_all(watching, corpus.batch, rng.integers(0, len(corpus), AFTER), f"{number}-")
            wanted = State.RESOLVED if kind is back else State.FIRING
            seen = [f for f in findings if f.state is wanted]
            if kind is third:
                at = [f.raised_at.index - 2 * AFTER + 1 for f in seen if f.raised_at.index >= 2 * AFTER]
                kind.delays.append(at[0] if at else np.inf)
            else:
                kind.delays.append(0 if seen and not watching.status().firing else np.inf)
    report.table(
        "After an alert and 800 events of the new model",
        ["then", "runs", "done within 800 events", "median delay"],
        [
            [kind.name, len(kind.delays), int(np.isfinite(kind.delays).sum()),
             "-" if kind is back else figure(median(kind.delays))]
            for kind in (back, third)
        ],
    )  # fmt: skip


def _in_file_order(plan: Plan, models: Sequence[Corpus], report: Report) -> None:
    """One model's outputs followed by another's as the file has them: the tasks come one after another."""
    rows: list[list[object]] = []
    for told in (True, False):
        early = infos = 0
        delays: list[float] = []
        for a, b in _chosen(plan, models, "file order"):
            pool = concat([a.batch, b.batch])
            order = np.arange(len(a) + len(b))
            tasks = _tasks([*a.tasks, *b.tasks], order) if told else None
            findings = heard_all(monitor(), pool, order, "f", tasks)
            fired = [f.raised_at.index - len(a) + 1 for f in findings if f.opens]
            early += any(at <= 0 for at in fired)
            infos += sum(f.state is State.INFO and f.raised_at.index < len(a) for f in findings)
            delays.append(next((at for at in fired if at > 0), np.inf))
        missed = sum(np.isinf(delays))
        rows.append(["told" if told else "not told", len(delays), early, infos, figure(median(delays)), missed])
    report.table(
        "In the file's order: one model's outputs, then another's",
        ["tasks", "runs", "fired before", "information before", "median delay", "missed"],
        rows,
        "KS of lengths >= 0.3. Not told, the questions change four times within the first model's outputs.",
    )
    report.bar(
        "file order, tasks told: missed or early", "0", f"{rows[0][5]} or {rows[0][2]}", rows[0][5] == rows[0][2] == 0
    )
