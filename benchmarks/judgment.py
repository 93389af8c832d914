"""Estimates of judged quality, held against simulations in which the truth is known.

    python -m benchmarks.judgment [--full] [--only SECTION,SECTION] [--markdown FILE] [--data DIR]

live: the pass rate of a stream from an unequal sample, looked at once and 390 times, beside the unweighted mean of the
verdicts and the usual estimate weighted by inverse probability with Wald's interval. people: a lenient evaluation model
corrected by people, with strata. labels: the same on the public labels of XSTest (900 answers labelled by people and by
a model). reviewed: the same labels in strata, drawn for people by verdict as the review queue draws them, and a stream
whose corrected rate is looked at 40 times. anchors: years in which the evaluator stays the same or becomes more
lenient. suites: the same cases before and after a change. Coverage is the share of runs whose interval holds the truth.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from scipy.stats import binom

from benchmarks.corpora import ROOT
from benchmarks.report import Report
from benchmarks.reviewed import labels_in_strata, watched_labels
from monitor.judgment.anchors import AnchorWatch
from monitor.judgment.cells import Cell, corrected
from monitor.judgment.estimates import StratumCounts, estimate
from monitor.judgment.paired import LOOKS, Verdict, compare
from monitor.statistics.rates import Interval, wilson

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

OUTPUTS, FIRST_LOOK, LOOK_EVERY = 20_000, 500, 50
SHORT_CHARS = 200  # of an answer in XSTest: refusals are shorter, so this rule makes a draw that is not uniform
UNWEIGHTED, BASELINE = "unweighted mean, Wilson", "IPW, Wald"
INTERVALS = (UNWEIGHTED, BASELINE, "one look", "always valid")
SKETCHED = {"stable": (0.0298, 0.0689), "drifting": (0.0379, 0.0844), "rare failures": (0.0081, 0.0225)}
"""Widths of the two intervals in the simulation that the method was chosen by, which the product must not exceed."""
WIDTH_NOISE = 0.02
"""By how much a mean width differs between two seeds of 400 runs, relatively."""


@dataclass(frozen=True)
class Plan:
    """How much is run, and where the data lie."""

    full: bool
    data: Path

    def runs(self, full: int, short: int) -> int:
        """Runs of a simulation."""
        return full if self.full else short


def _stream(kind: str, rng: np.random.Generator) -> tuple[Flags, Floats, Flags, Floats]:
    """A stream of outputs: which look risky, the chance of each to pass, which pass, and the draw's probability."""
    risky = rng.random(OUTPUTS) < 0.08
    p = np.where(risky, 0.94, 0.998) if kind == "rare failures" else np.where(risky, 0.60, 0.95)
    if kind == "drifting":
        p = p - np.linspace(0, 0.3, OUTPUTS).clip(0.15) + 0.15
    return risky, p, rng.random(OUTPUTS) < p, np.where(risky, 0.5, 0.04)


def live(plan: Plan, report: Report) -> None:
    """A live estimate under peeking: 8 % of outputs look risky and are judged at 0.5, the rest at 0.04."""
    rng = np.random.default_rng(1)
    runs, once_runs = plan.runs(400, 20), plan.runs(4_000, 400)
    looks = np.arange(FIRST_LOOK, OUTPUTS + 1, LOOK_EVERY)
    rows = []
    for kind in ("stable", "drifting", "rare failures"):
        once = dict.fromkeys(INTERVALS, 0)
        often = dict.fromkeys(INTERVALS, 0)
        width = dict.fromkeys(INTERVALS, 0.0)
        for run in range(once_runs):
            risky, p, passed, probability = _stream(kind, rng)
            judged = rng.random(OUTPUTS) < probability
            at = looks if run < runs else looks[-1:]  # the last look alone is cheap, and needs more runs
            truth = np.cumsum(p)[at - 1] / at
            for name, intervals in _looks(risky, passed, judged, probability, at).items():
                bad = [not one.holds(float(true)) for one, true in zip(intervals, truth, strict=True)]
                once[name] += bad[-1]
                often[name] += run < runs and any(bad)
                width[name] += intervals[-1].width / once_runs
        for name in INTERVALS:
            against = f"{width[name] / width[BASELINE]:.2f}"
            errors = [f"{once[name] / once_runs:.3f}", f"{often[name] / runs:.3f}"]
            rows.append([kind, name, *errors, f"{width[name]:.4f}", against])
        _live_bars(report, kind, (once["one look"], once_runs), (often["always valid"], runs), width)
    heads = ["stream", "interval", "wrong at one look", f"wrong at any of {len(looks)}", "width", "of IPW's"]
    note = (
        f"{OUTPUTS:,} outputs a run, 95 % asked; {once_runs:,} runs for one look, {runs} for all. "
        "IPW: weighted by one over the probability."
    )
    report.table("Live estimates of judged quality", heads, rows, note)


def _live_bars(
    report: Report, kind: str, once: tuple[int, int], often: tuple[int, int], width: Mapping[str, float]
) -> None:
    for what, (wrong, runs) in (
        ("one look", once),
        (f"any of {len(range(FIRST_LOOK, OUTPUTS + 1, LOOK_EVERY))} looks", often),
    ):
        # As many as a true 5 % exceeds by chance in one of 100 such benchmarks: few runs cannot show more.
        most = int(binom.ppf(0.99, runs, 0.05))
        report.bar(f"{kind}: wrong at {what}", f"<= 0.05 ({most} of {runs})", f"{wrong / runs:.3f}", wrong <= most)
    for name, sketched in zip(("one look", "always valid"), SKETCHED[kind], strict=True):
        met = width[name] <= sketched * (1 + WIDTH_NOISE)
        report.bar(f"{kind}: width, {name}", f"<= {sketched:.4f}", f"{width[name]:.4f}", met)


def _looks(
    risky: Flags, passed: Flags, judged: Flags, probability: Floats, looks: npt.NDArray[np.int64]
) -> dict[str, list[Interval]]:
    sums = {}
    for name, stratum in (("risky+uniform", risky), ("uniform", ~risky)):
        sums[name] = [
            np.cumsum(part)[looks - 1] for part in (stratum, stratum & judged & passed, stratum & judged & ~passed)
        ]
    found: dict[str, list[Interval]] = {name: [] for name in INTERVALS}
    found[BASELINE] = _weighted(passed, judged, probability, looks)
    for k in range(len(looks)):
        strata = {name: StratumCounts(int(a[k]), float(b[k]), float(c[k])) for name, (a, b, c) in sums.items()}
        good = sum(counts.passed for counts in strata.values())
        found[UNWEIGHTED].append(wilson(good, sum(counts.judged for counts in strata.values())))
        for name, always in (("one look", False), ("always valid", True)):
            one = estimate(strata, always_valid=always)
            assert one is not None
            found[name].append(one.interval)
    return found


def _weighted(passed: Flags, judged: Flags, probability: Floats, looks: npt.NDArray[np.int64]) -> list[Interval]:
    """The usual estimate: one less the mean of failures over their probability (Horvitz and Thompson 1952), Wald's."""
    z = 1 - judged * ~passed / probability
    mean = np.cumsum(z)[looks - 1] / looks
    variance = np.maximum(np.cumsum(z * z)[looks - 1] / looks - mean**2, 0.0)
    half = 1.96 * np.sqrt(variance / looks)
    return [Interval(float(m), max(0.0, float(m - h)), min(1.0, float(m + h))) for m, h in zip(mean, half, strict=True)]


def people(plan: Plan, report: Report) -> None:
    """Strata, an evaluation model that errs, and people on a share of what it judged."""
    rng = np.random.default_rng(3)
    runs, n = plan.runs(2000, 150), 10_000
    rows = []
    for false_pass, base in ((0.30, 0.93), (0.10, 0.93), (0.10, 0.985)):
        held: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for _ in range(runs):
            risky = rng.random(n) < 0.10
            good = rng.random(n) < np.where(risky, base - 0.38, base)
            verdict = np.where(good, rng.random(n) < 0.95, rng.random(n) < false_pass)
            judged = rng.random(n) < np.where(risky, 0.4, 0.06)
            seen = judged & (rng.random(n) < np.where(verdict, 0.15, 0.6))
            cells, strata = {}, {}
            for name, stratum in (("risky", risky), ("rest", ~risky)):
                strata[name] = StratumCounts(
                    int(stratum.sum()),
                    float((stratum & judged & verdict).sum()),
                    float((stratum & judged & ~verdict).sum()),
                )
                for v, is_v in (("pass", verdict), ("fail", ~verdict)):
                    cell = stratum & judged & is_v
                    cells[name, v] = Cell(
                        float(cell.sum()), float((cell & seen).sum()), float((cell & seen & good).sum())
                    )
            shares = {name: counts.seen / n for name, counts in strata.items()}
            both = corrected(cells, shares)
            alone = estimate(strata, always_valid=False)
            assert both is not None
            assert alone is not None
            for name, interval in (("model alone", alone.interval), ("model and people", both.interval)):
                held[name][0] += interval.holds(float(good.mean()))
                held[name][1] += interval.width / runs
        for name, (covered, width) in held.items():
            rows.append(
                [f"{base:.1%}, passes {false_pass:.0%} of the bad", name, f"{covered / runs:.3f}", f"{width:.4f}"]
            )
        share = held["model and people"][0] / runs
        report.bar(
            f"corrected by people, {base:.1%} pass, {false_pass:.0%} false passes: coverage",
            ">= 0.94",
            f"{share:.3f}",
            share >= 0.94,
        )
    report.table(
        "An evaluation model corrected by people",
        ["pass rate, model", "by", "coverage", "width"],
        rows,
        f"{runs} runs, 95 % asked.",
    )


def labels(plan: Plan, report: Report) -> None:
    """The same estimator on labels that people and a model really gave."""
    rng = np.random.default_rng(8)
    with gzip.open(plan.data / "xstest_refusals.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]
    good = np.array(["compliance" in record["label"] for record in records])
    verdict = np.array(["compliance" in record["label_gpt4"] for record in records])
    size, truth, runs = len(good), float(good.mean()), plan.runs(5000, 400)
    rows = []
    for n in (30, 50, 100, 200):
        held: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for _ in range(runs):
            chosen = rng.choice(size, n, replace=False)
            g, v = good[chosen], verdict[chosen]
            cells = {
                ("all", name): Cell(
                    float((verdict == is_v).sum()), float((v == is_v).sum()), float((g & (v == is_v)).sum())
                )
                for name, is_v in (("pass", True), ("fail", False))
            }
            both = corrected(cells, {"all": 1.0}, all_judged=True)
            assert both is not None
            alone = wilson(float(g.sum()), n)
            finite = (1 - n / size) ** 0.5
            alone = Interval(
                alone.rate,
                alone.rate - finite * (alone.rate - alone.low),
                alone.rate + finite * (alone.high - alone.rate),
            )
            for name, interval in (("people alone", alone), ("model and people", both.interval)):
                held[name][0] += interval.holds(truth)
                held[name][1] += interval.width / runs
        for name, (covered, width) in held.items():
            rows.append([f"{n}", name, f"{covered / runs:.3f}", f"{width:.3f}"])
        share, narrower = held["model and people"][0] / runs, held["model and people"][1] <= held["people alone"][1]
        report.bar(
            f"XSTest, {n} labels: coverage, and never wider than people alone",
            ">= 0.94",
            f"{share:.3f}",
            share >= 0.94 and narrower,
        )
    off = float(verdict.mean()) - truth
    _drawn_labels(plan, report, records, good, verdict)
    note = f"{runs} draws from {size} labelled answers; the model alone is off by {off:+.3f} at any n."
    report.table("People's labels and a model's, XSTest", ["labels", "by", "coverage", "width"], rows, note)


def _drawn_labels(
    plan: Plan, report: Report, records: Sequence[Mapping[str, str]], good: Flags, verdict: Flags
) -> None:
    """The model as an evaluator of drawn outputs: its rate among all is found, which is not people's rate."""
    rng = np.random.default_rng(9)
    short = np.array([len(record["output"]) < SHORT_CHARS for record in records])
    runs = plan.runs(5_000, 400)
    held = dict.fromkeys(("the model's rate", "people's rate"), 0)
    naive = 0
    for _ in range(runs):
        judged = rng.random(len(good)) < np.where(short, 0.5, 0.1)
        strata = {
            name: StratumCounts(
                int(stratum.sum()),
                float((stratum & judged & verdict).sum()),
                float((stratum & judged & ~verdict).sum()),
            )
            for name, stratum in (("risky+uniform", short), ("uniform", ~short))
        }
        found = estimate(strata, always_valid=False)
        assert found is not None
        held["the model's rate"] += found.interval.holds(float(verdict.mean()))
        held["people's rate"] += found.interval.holds(float(good.mean()))
        naive += wilson(float((judged & verdict).sum()), float(judged.sum())).holds(float(verdict.mean()))
    rows = [[what, "post-stratified", f"{count / runs:.3f}"] for what, count in held.items()]
    rows.append(["the model's rate", "unweighted mean", f"{naive / runs:.3f}"])
    note = (
        f"{runs} draws, short answers at 0.5, others at 0.1; "
        f"the model passes {verdict.mean():.3f}, people {good.mean():.3f}."
    )
    report.table("A model with errors judges a sample, XSTest", ["holds", "estimate", "coverage"], rows, note)
    share = held["the model's rate"] / runs
    report.bar("XSTest, drawn: coverage of the model's rate", ">= 0.94", f"{share:.3f}", share >= 0.94)


def anchors(plan: Plan, report: Report) -> None:
    """Years of 30 anchors a day: the same evaluator, and one that becomes more lenient on day 30."""
    rng = np.random.default_rng(7)
    years, per_day, count = plan.runs(100, 6), 30, 120
    rows = []
    false = 0
    for _ in range(years):
        false += _first_alarm(rng, count, per_day, 365, 0.0) is not None
    rows.append(["the same for a year", f"{false} of {years} alarmed", ""])
    report.bar("years with a false alarm of the evaluator", "<= 0.20", f"{false / years:.2f}", false <= 0.20 * years)
    for shift, what in (
        (0.10, "10 % of failures more pass"),
        (0.25, "25 % of failures more pass"),
        (-0.10, "10 % of passes more fail"),
    ):
        delays = [day for _ in range(years) if (day := _first_alarm(rng, count, per_day, 90, shift)) is not None]
        median = float(np.median(delays)) if delays else float("nan")
        rows.append([what, f"{len(delays)} of {years} found in 90 days", f"{median:.0f} days"])
        if shift == 0.25:
            report.bar("25 % more leniency, median days", "<= 10", f"{median:.0f}", median <= 10)
    report.table(
        "Is it the evaluator?", ["evaluator", "alarms", "median delay"], rows, f"{count} anchors, {per_day} a day."
    )


def _first_alarm(rng: np.random.Generator, count: int, per_day: int, days: int, shift: float) -> int | None:
    good = np.arange(count) % 2 == 0
    p = np.where(rng.random(count) < 0.2, rng.uniform(0.2, 0.8, count), np.where(good, 0.97, 0.10))
    names = [f"a{k}" for k in rng.permutation(count)]
    rate = {f"a{k}": float(p[k]) for k in range(count)}
    baselines = {f"a{k}": float(rng.binomial(5, p[k]) / 5) for k in range(count)}
    watch = AnchorWatch(baselines, {f"a{k}": bool(good[k]) for k in range(count)}, 365 * per_day)
    calm = 0 if shift == 0 else 30
    for k in range((calm + days) * per_day):
        day, name = k // per_day, names[k % count]
        chance = rate[name]
        if shift and day >= calm:
            chance = chance + shift * (1 - chance) if shift > 0 else chance * (1 + shift)
        if watch.observe(name, bool(rng.random() < chance)) is not None and day >= calm:
            return day - calm
    return None


def suites(plan: Plan, report: Report) -> None:
    """Repeats only where the verdict is open: shares of builds that fail, pass and stay open."""
    rng = np.random.default_rng(5)
    rows = []
    for cases in (50, 100, 300):
        for drop in (0.0, 0.05, 0.10, 0.15, 0.20):
            runs = plan.runs(1500, 60)
            verdicts: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
            used = 0
            for _ in range(runs):
                p = rng.beta(0.85, 0.15, cases)
                before, after = np.zeros(cases), np.zeros(cases)
                done = 0
                for look, r in enumerate(LOOKS):
                    before += rng.binomial(r - done, p)
                    after += rng.binomial(r - done, p * (1 - drop))
                    done = r
                    verdict = compare((before / r).tolist(), (after / r).tolist(), look=look).verdict
                    if verdict is not Verdict.CANNOT_TELL:
                        break
                verdicts[verdict] += 1
                used += done
            shares = [f"{verdicts[v] / runs:.3f}" for v in (Verdict.FAIL, Verdict.PASS, Verdict.CANNOT_TELL)]
            rows.append([f"{cases}", f"{drop:.0%}", *shares, f"{used / runs:.1f}"])
    heads = ["cases", "true loss", "fail", "pass", "cannot tell", "runs"]
    report.table("Before and after on the same cases (10 % may be lost)", heads, rows, f"{runs} builds a row.")
    wrong = 0
    runs = plan.runs(2000, 100)
    for _ in range(runs):
        chance = rng.beta(1.7, 0.3, (20, 1))
        sides = []
        for _side in range(2):
            together = rng.random((20, 1)) < 0.5
            sides.append(
                np.where(together, rng.random((20, 1)) < chance, rng.random((20, 5)) < chance).astype(float).ravel()
            )
        conversations = np.repeat(np.arange(20), 5).tolist()
        wrong += (
            compare(sides[0].tolist(), sides[1].tolist(), clusters=conversations, look=3, theta=0.0).verdict
            is Verdict.FAIL
        )
    report.bar(
        "20 conversations of 5 turns, unchanged: said to be worse",
        "<= 0.06",
        f"{wrong / runs:.3f}",
        wrong <= 0.06 * runs,
    )


def reviewed(plan: Plan, report: Report) -> None:
    """People's labels as the review queue brings them: on XSTest, and on a stream that is looked at again and again."""
    labels_in_strata(plan.runs(5_000, 300), plan.data, report)
    watched_labels(plan.runs(400, 20), report)


SECTIONS = {
    "live": live,
    "people": people,
    "labels": labels,
    "reviewed": reviewed,
    "anchors": anchors,
    "suites": suites,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judgment", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all runs, some twenty minutes; without it one or two")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file as well")
    parser.add_argument("--only", help=f"sections, separated by commas: {', '.join(SECTIONS)}")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else list(SECTIONS)
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    report = Report(Console(width=None if Console().is_terminal else 200))
    plan = Plan(options.full, options.data)
    for name in chosen:
        SECTIONS[name](plan, report)
    report.bars()
    if options.markdown is not None:
        report.write(options.markdown)


if __name__ == "__main__":
    main()
