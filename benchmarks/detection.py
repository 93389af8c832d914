"""How soon changes are found, how rarely nothing is, what is said of them, and what it costs.

    python -m benchmarks.detection [--quick] [--runs R] [--only pairs,alarms,...] [--data DIR] [--markdown FILE]

Every row is the default configuration of the monitor, all features on; competitors see the same events in the same run.
Real outputs are bootstrapped (public sources: `benchmarks/corpora.py`). Only the outputs, the inputs and the facts of
the call can tell: names of models and tasks are withheld unless a table says otherwise. 805 outputs a model are few, so
delays above 350 events say little more than "late". `--only outside` runs the libraries that need environments of
their own (`benchmarks.outside`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import corpora
from benchmarks.canary import canary
from benchmarks.changes import changes
from benchmarks.cost import cost
from benchmarks.false_alarms import calibration, false_alarms, second_alarms
from benchmarks.outside import outside
from benchmarks.pairs import pairs
from benchmarks.recovery import recovery
from benchmarks.references import references
from benchmarks.report import Report
from benchmarks.support_traffic import support
from benchmarks.watching import SEED, Plan
from benchmarks.young import young

SECTIONS: dict[str, Callable[[Plan, Report], None]] = {
    "pairs": pairs,
    "alarms": false_alarms,
    "support": support,
    "second": second_alarms,
    "calibration": calibration,
    "changes": changes,
    "recovery": recovery,
    "canary": canary,
    "references": references,
    "young": young,
    "cost": cost,
    "outside": outside,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few runs, under two minutes")
    parser.add_argument("--runs", type=int, help="runs of each pair and of each kind of change (50; quick 2)")
    parser.add_argument(
        "--events", type=int, default=1_050_000, help="events of each kind of traffic without a change, warm-ups too"
    )
    parser.add_argument("--only", help=f"sections, separated by commas: {', '.join(SECTIONS)}")
    parser.add_argument("--data", type=Path, default=corpora.ROOT.parent / "shared" / "data")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else [name for name in SECTIONS if name != "outside"]
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    plan = Plan(options.data, options.runs or (2 if options.quick else 50), options.quick, options.events)
    console = Console(width=None if Console().is_terminal else 260)
    report = Report(console)
    sources = "; ".join(f"{name}: {where}" for name, where in corpora.SOURCES.items())
    report.line(f"Seed {SEED}, {plan.runs} runs{', quick' if plan.quick else ''}. Data: {sources}.")
    for name in chosen:
        began = time.perf_counter()
        SECTIONS[name](plan, report)
        console.print(f"({name}: {time.perf_counter() - began:.0f} s)")
        if options.markdown:  # a long run that is cut short leaves what it has
            report.write(options.markdown)
    report.bars()
    if options.markdown:
        report.write(options.markdown)


if __name__ == "__main__":
    main()
