"""Coverage of rates that people's labels correct, through the product's own draw and estimate.

Run by `python -m benchmarks.judgment --only reviewed`. The draw for people is `monitor.actions.review.second_phase`,
the estimate `monitor.judgment.quality.by_sample`, as `oqm quality` makes it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from benchmarks.report import Report
from monitor.actions.review import second_phase
from monitor.judgment.calibration import Labels, Rate
from monitor.judgment.quality import Quality, by_sample
from monitor.judgment.verdicts import Verdicts

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SHORT_CHARS = 200  # of an answer in XSTest: refusals are shorter, so strata by length differ in their rates
OUTPUTS, LOOKS = 20_000, 40
FAILED_MORE = 3.0
"""How much more often people see what the model failed than what it passed; 10 is the default of the settings, which
900 answers do not allow at 200 labels."""
SETTINGS = {"a lenient model": (0.93, 0.30), "rare failures": (0.985, 0.10)}
"""Pass rate of outputs that do not look risky, and share of the bad ones that the model passes."""


def labels_in_strata(runs: int, data: Path, report: Report) -> None:
    """XSTest: the model judged all 900 answers; people see 30 to 200 of them, more of what it failed."""
    with gzip.open(data / "xstest_refusals.jsonl.gz", "rt") as file:
        records = [json.loads(line) for line in file]
    good = np.array(["compliance" in record["label"] for record in records])
    verdict = np.array(["compliance" in record["label_gpt4"] for record in records])
    short = np.array([len(record["output"]) < SHORT_CHARS for record in records])
    strata = {"risky+uniform": short, "uniform": ~short}
    ones = np.ones(len(good))
    rows = []
    for n in (30, 50, 100, 200):
        share = n / (verdict.sum() + FAILED_MORE * (~verdict).sum())
        given = 0
        held = {"people alone": [0, 0.0], "model and people": [0, 0.0]}
        for run in range(runs):
            salt = f"{n}/{run}".encode()
            shares = {True: share, False: min(1.0, FAILED_MORE * share)}
            looked = np.array(
                [
                    second_phase(salt, "xstest", str(k), shares[bool(passed)], 0.0) is not None
                    for k, passed in enumerate(verdict)
                ]
            )
            chance = np.where(verdict, shares[True], shares[False])
            found = _estimated(strata, verdict, ones.astype(bool), looked, good, ones, chance, always_valid=False)
            if found.by_people is None or found.corrected is None:
                continue  # fewer than 30 labels: no rate is given
            given += 1
            for name, rate in (("people alone", found.by_people), ("model and people", found.corrected)):
                held[name][0] += _holds(rate, float(good.mean()))
                held[name][1] += rate.high - rate.low
        for name, (covered, width) in held.items():
            rows.append([f"{n}", name, f"{covered / given:.3f}", f"{width / given:.3f}"])
        covered, narrower = held["model and people"][0] / given, held["model and people"][1] < held["people alone"][1]
        report.bar(
            f"XSTest in strata, {n} labels: coverage, and never wider than people alone",
            ">= 0.94",
            f"{covered:.3f}",
            covered >= 0.94 and narrower,
        )
    note = (
        f"{runs} draws, answers below {SHORT_CHARS} characters a stratum; people see what the model failed "
        f"{FAILED_MORE:.0f} times as often. Draws of fewer than 30 labels give no rate."
    )
    report.table(
        "People's labels by the review queue, XSTest in strata", ["labels", "by", "coverage", "width"], rows, note
    )


def watched_labels(runs: int, report: Report) -> None:
    """Streams whose corrected rate is looked at 40 times, with the defaults of the settings."""
    rng = np.random.default_rng(12)
    looks = np.unique(np.geomspace(2_000, OUTPUTS, LOOKS).astype(int))
    rows = []
    for name, (base, false_pass) in SETTINGS.items():
        wrong = {"one look": 0, "always valid": 0}
        width = dict.fromkeys(wrong, 0.0)
        for _ in range(runs):
            risky = rng.random(OUTPUTS) < 0.1
            chance = np.where(risky, base - 0.38, base)
            good = rng.random(OUTPUTS) < chance
            verdict = np.where(good, rng.random(OUTPUTS) < 0.95, rng.random(OUTPUTS) < false_pass)
            judged_at = np.where(risky, 0.5, 0.04)
            judged = rng.random(OUTPUTS) < judged_at
            people_at = np.where(verdict, 0.05, 0.5)
            looked = judged & (rng.random(OUTPUTS) < people_at)
            for kind in wrong:
                bad = False
                for at in looks:
                    part = slice(0, at)
                    strata = {"risky+uniform": risky[part], "uniform": ~risky[part]}
                    rate = _estimated(
                        strata, verdict[part], judged[part], looked[part], good[part], judged_at[part],
                        people_at[part], always_valid=kind == "always valid",
                    ).corrected  # fmt: skip
                    bad |= rate is not None and not _holds(rate, float(chance[part].mean()))
                wrong[kind] += bad
                width[kind] += (rate.high - rate.low) / runs if rate is not None else 0.0
        rows += [[name, kind, f"{wrong[kind] / runs:.3f}", f"{width[kind]:.3f}"] for kind in wrong]
        most = int(binom.ppf(0.99, runs, 0.05))  # as many as a true 5 % exceeds by chance in one of 100 benchmarks
        measured = wrong["always valid"]
        report.bar(
            f"corrected, {name}: wrong at any of {len(looks)} looks",
            f"<= 0.05 ({most} of {runs})",
            f"{measured / runs:.3f}",
            measured <= most,
        )
    report.table(
        "A corrected rate under peeking",
        ["stream", "interval", f"wrong at any of {len(looks)} looks", "width at the end"],
        rows,
        f"{runs} streams of {OUTPUTS:,} outputs; people see 5 % of what the model passed and 50 % of what it failed.",
    )


def _estimated(
    strata: Mapping[str, Flags],
    verdict: Flags,
    judged: Flags,
    looked: Flags,
    good: Flags,
    judged_at: Floats,
    people_at: Floats,
    *,
    always_valid: bool,
) -> Quality:
    labels, verdicts = Labels(), {}
    for name, stratum in strata.items():
        here = stratum & judged
        verdicts[name] = _sums(verdict[here], 1 / judged_at[here])
        for passed in (True, False):
            cell = here & looked & (verdict == passed)
            labels.counts[name, passed] = _sums(good[cell], 1 / (judged_at[cell] * people_at[cell]))
    return by_sample(
        "stream",
        "criterion",
        verdicts,
        {name: int(stratum.sum()) for name, stratum in strata.items()},
        period=(0.0, 1.0),
        evaluator=("model", "1"),
        labels=labels,
        always_valid=always_valid,
    )


def _sums(passed: Flags, weight: Floats) -> Verdicts:
    n = int(passed.sum())
    squares = float((weight**2).sum())
    return Verdicts(n, len(passed) - n, 0, float(weight.sum()), squares, float(weight[passed].sum()), 0.0, 1.0)


def _holds(rate: Rate, truth: float) -> bool:
    return rate.low <= truth <= rate.high
