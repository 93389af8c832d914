"""Does an alert's title name what changed? Labelled changes, in four languages, of all traffic and of a tenth.

    python -m benchmarks.naming [--only NAME,...] [--languages en,de] [--shares 1,0.1] [--wrong] [--markdown FILE]

Each run is one stream: `--before` events as ever, then up to `--after` with the change. A change counts as found where
an alert fires after it began (information counts where only the inputs changed). It is named right where the first
alert has a right kind and its title matches what a person would call it (`benchmarks/naming_changes.py`). `--wrong`
lists each alert that does not, and each change that is not found.

All changes of one application in one language begin after the same events, so these are watched once and every run
goes on from a copy of the monitor; it ends with its first alert. Each run is printed when it ends.
"""

from __future__ import annotations

import argparse
import copy
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.naming_changes import CHANGES, Change
from benchmarks.naming_traffic import EVERY_S, LANGUAGES, SOURCES, START, Shop, shop
from benchmarks.report import Report
from monitor.detection import PartitionMonitor
from monitor.detection.records.finding import Finding, State
from monitor.events.schema import OutputEvent
from monitor.features.featurizer import Featurizer
from monitor.settings import Settings
from pipelines.build import featurizer_for, partition_monitor
from pipelines.feature_log.apply import apply
from pipelines.feature_log.ticks import EventTimeTicks
from pipelines.replay.replay import SOURCE

EVENTS_AT_ONCE = 50
"""Events measured at once. Most changes are found within this many, and none is measured after the first alert."""


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

    def line(self) -> str:
        """The run in one line: what is wrong with its alert, which change it was, and what the alert said."""
        which = f"{self.change.name} {self.language} {self.share:g}"
        if self.finding is None:
            return f"none  {which}"
        flaw = "right" if self.right else "kind" if self.says else "words" if self.kind_right else "both"
        return f"{flaw:5} {which} +{self.delay}: {self.finding.kind.value}: {self.finding.title}"


@dataclass
class Watched:
    """One stream with its monitor, as far as it has come. `early` counts the alerts so far."""

    shop: Shop
    source: str
    monitor: PartitionMonitor
    ticks: EventTimeTicks
    every_s: float = EVERY_S
    now: float = START
    events: int = 0
    offset: int = 0
    early: int = 0

    def made(self, change: Change | None, share: float) -> Iterator[OutputEvent]:
        """Its next events, this share of them with the change."""
        for k in count(self.events):
            event = SOURCES[self.source](self.shop, k)
            self.now += self.every_s / (1.0 if change is None else change.rate)
            event.time = self.now
            if change is not None and change.turn is not None and self.shop.rng.random() < share:
                event = change.turn(event, self.shop)
            self.events += 1
            yield event

    def findings(self, made: Iterator[OutputEvent], featurizer: Featurizer) -> Iterator[Finding]:
        """What the monitor finds in these events."""
        while chunk := list(islice(made, EVENTS_AT_ONCE)):
            places = np.arange(self.events - len(chunk), self.events, dtype=np.int64)
            partitions = np.zeros(len(chunk), dtype=np.int32)
            batch = featurizer.featurize(chunk, source=SOURCE, partitions=partitions, offsets=places)
            for part in self.ticks.interleave(batch):
                self.offset += 1
                yield from apply(self.monitor, part, self.offset)


def watched(change: Change, language: str, options: argparse.Namespace, featurizer: Featurizer) -> Watched:
    """A stream of the change's application after `before` events without a change."""
    monitor = partition_monitor(Settings(), featurizer.specs)
    stream = Watched(shop(language, options.seed), change.source, monitor, EventTimeTicks(), change.every_s)
    made = islice(stream.made(None, 0.0), options.before)
    stream.early = sum(finding.opens for finding in stream.findings(made, featurizer))
    return stream


def run(change: Change, share: float, stream: Watched, after: int, featurizer: Featurizer) -> Outcome:
    """The first finding in up to `after` events with the change that fires, or is information about inputs."""
    began = stream.events
    made = islice(stream.made(change, share), round(after * max(change.rate, 1.0)))  # as long where more events come
    wanted = (State.FIRING, State.INFO) if change.kinds <= {"input_drift", "mix_shift"} else (State.FIRING,)

    def hits(found: Iterator[Finding]) -> Iterator[Finding]:
        return (each for each in found if each.state in wanted and each.raised_at.index >= began)

    hit = next(hits(stream.findings(made, featurizer)), None) or next(hits(iter(stream.monitor.close())), None)
    delay = None if hit is None else hit.raised_at.index - began
    return Outcome(change, stream.shop.language, share, hit, delay, stream.early)


def runs(names: Sequence[str], options: argparse.Namespace, report: Report) -> Iterator[Outcome]:
    """All runs that are asked for: one language and share after the other."""
    featurizer = featurizer_for(Settings())
    for language in options.languages.split(","):
        streams: dict[tuple[str, float], Watched] = {}
        for share in (float(text) for text in options.shares.split(",")):
            for change in CHANGES:
                if change.name not in names or language not in change.languages or not (share == 1 or change.partial):
                    continue
                before = (change.source, change.every_s)
                if before not in streams:
                    streams[before] = watched(change, language, options, featurizer)
                began = time.process_time()
                outcome = run(change, share, copy.deepcopy(streams[before]), options.after, featurizer)
                report.line(f"{outcome.line()} [{time.process_time() - began:.1f} s]")
                yield outcome


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
    outcomes = list(runs(names, options, report))
    table(outcomes, report)
    if options.wrong:
        for outcome in sorted(outcomes, key=lambda one: one.finding is None):
            if not outcome.right:
                report.line(outcome.line())
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
