"""Does an alert's title name what changed? Labelled changes, in four languages, of all traffic and of a tenth.

    python -m benchmarks.naming [--only NAME,...] [--languages en,de] [--shares 1,0.1] [--wrong] [--markdown FILE]

Each run is one stream: `--before` events as ever, then `--after` with the change. A change counts as found where an
alert fires after it began (information counts for what is none of the outputs' doing). It is named right where the
first alert has a right kind and its title matches what a person would call it (`benchmarks/naming_changes.py`).
`--wrong` lists each alert that does not.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.naming_changes import CHANGES, Change
from benchmarks.naming_traffic import EVERY_S, LANGUAGES, SOURCES, START, shop
from benchmarks.report import Report
from monitor.detection.records.finding import Finding, State
from monitor.events.schema import OutputEvent
from monitor.features.featurizer import Featurizer
from monitor.settings import Settings
from pipelines.build import featurizer_for
from pipelines.replay.replay import replay


@dataclass(frozen=True)
class Outcome:
    """What one run said."""

    change: Change
    language: str
    share: float
    finding: Finding | None
    delay: int | None
    early: int

    @property
    def kind_right(self) -> bool:
        """Whether the kind is one of the right ones."""
        return self.finding is not None and self.finding.kind.value in self.change.kinds

    @property
    def says(self) -> bool:
        """Whether the title names the change."""
        if self.finding is None:
            return False
        title = self.finding.title.removeprefix(f"{self.finding.stream}: ")
        return re.search(self.change.says, title, re.IGNORECASE) is not None

    @property
    def right(self) -> bool:
        """Kind and cause."""
        return self.kind_right and self.says


def events(change: Change, language: str, share: float, before: int, after: int, seed: int) -> Iterator[OutputEvent]:
    """The stream of one run."""
    here = shop(language, seed)
    make = SOURCES[change.source]
    now = START
    for k in range(before + after):
        event = make(here, k)
        changed = k >= before
        now += EVERY_S / (change.rate if changed else 1.0)
        event.time = now
        if changed and change.turn is not None and here.rng.random() < share:
            event = change.turn(event, here)
        yield event


def run(change: Change, language: str, share: float, options: argparse.Namespace, featurizer: Featurizer) -> Outcome:
    """One run: the first finding after the change began that fires, or is information about inputs."""
    found = list(
        replay(
            events(change, language, share, options.before, options.after, options.seed),
            Settings(),
            featurizer=featurizer,
        )
    )
    early = sum(f.opens and f.raised_at.index < options.before for f in found)
    wanted = (State.FIRING, State.INFO) if change.kinds <= {"input_drift", "mix_shift"} else (State.FIRING,)
    hit = next((f for f in found if f.state in wanted and f.raised_at.index >= options.before), None)
    delay = None if hit is None else hit.raised_at.index - options.before
    return Outcome(change, language, share, hit, delay, early)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.naming", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="names of changes, separated by commas")
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--shares", default="1,0.1")
    parser.add_argument("--before", type=int, default=700)
    parser.add_argument("--after", type=int, default=700)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wrong", action="store_true", help="list what is not named right")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else [change.name for change in CHANGES]
    unknown = sorted(set(names) - {change.name for change in CHANGES})
    if unknown:
        parser.error(f"no change {unknown[0]!r}; there are {', '.join(change.name for change in CHANGES)}")
    report = Report(Console(width=None if Console().is_terminal else 200))
    featurizer = featurizer_for(Settings())
    languages, shares = options.languages.split(","), [float(text) for text in options.shares.split(",")]
    outcomes = [
        run(change, language, share, options, featurizer)
        for change in CHANGES
        if change.name in names
        for language in languages
        if language in change.languages
        for share in shares
        if share == 1.0 or change.partial
    ]
    table(outcomes, report)
    if options.wrong:
        for one in outcomes:
            if one.finding is not None and not one.right:
                flaw = "kind" if one.says else "words" if one.kind_right else "both"
                which = f"{one.change.name} {one.language} {one.share:g}"
                report.line(f"{flaw:5} {which}: {one.finding.kind.value}: {one.finding.title}")
        for one in outcomes:
            if one.finding is None:
                report.line(f"none  {one.change.name} {one.language} {one.share:g}")
    if options.markdown:
        report.write(options.markdown)


def table(outcomes: Sequence[Outcome], report: Report) -> None:
    """One row a change, and the sums."""
    rows = []
    for change in dict.fromkeys(one.change for one in outcomes):
        own = [one for one in outcomes if one.change is change]
        found = [one for one in own if one.finding is not None]
        kinds = Counter(one.finding.kind.value for one in found if one.finding)
        delays = sorted(one.delay for one in found if one.delay is not None)
        rows.append(
            [
                change.name,
                f"{len(found)} of {len(own)}",
                f"{sum(one.kind_right for one in found)}",
                f"{sum(one.says for one in found)}",
                f"{sum(one.right for one in found)}",
                delays[len(delays) // 2] if delays else "-",
                ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(3)),
            ]
        )
    heads = ["change", "found", "kind right", "named", "both", "median delay", "kinds"]
    report.table("What alerts are titled", heads, rows)
    found = [one for one in outcomes if one.finding is not None]
    for label, chosen in (
        ("all", found),
        ("all traffic", [o for o in found if o.share == 1]),
        ("a tenth", [o for o in found if o.share < 1]),
    ):
        if chosen:
            right = sum(one.right for one in chosen)
            total = (
                len(outcomes) if label == "all" else sum((o.share == 1) == (label == "all traffic") for o in outcomes)
            )
            report.line(
                f"{label}: found {len(chosen)} of {total}; named right {right} of these ({right / len(chosen):.0%})"
            )
    report.line(f"false alarms before the change: {sum(one.early for one in outcomes)} in {len(outcomes)} streams")


if __name__ == "__main__":
    main()
