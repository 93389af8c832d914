"""Whether "resolved" means that the change has ended: alerts whose change lasts, and changes that end.

    python -m benchmarks.detection --only recovery [--quick] [--runs R]

Real outputs of AlpacaEval, one model a stream, with a change written into their features after `BEFORE` events. Two
rules see the same streams: today's test (`monitor.detection.recovery.recovery`), and the one until commit 93e1875, by
which an alert resolved when the last `recovery` events were within the effect floor (one standard error allowed for).

lasting   the change goes on for `LASTING` events after the alert: how many alerts resolve all the same (at most 1 of
          20 is asked)
ended     the change ends `CHANGED` events after it began: how many events until the alert resolves, and how many alerts
          have not within `WAITED`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import beta, norm

from benchmarks import corpora, scenarios
from benchmarks.corpora import Corpus, drawn
from benchmarks.report import Report, figure
from benchmarks.watching import BEFORE, Plan, seeded
from monitor.detection import DetectionSettings, Finding, State, StreamMonitor
from monitor.detection.records.finding import base_name
from monitor.detection.stream.open_findings import MAX_ERRORS_WHEN_RECOVERED, OpenFindings, Situation
from monitor.features.batch import FeatureBatch

Floats = NDArray[np.float64]
LASTING = 20_000
"""Events after an alert within which at most 1 of 20 may resolve while its change lasts."""
CHANGED = 1_000
"""Events that a change lasts which ends."""
WAITED = 5_000
"""Events after its end within which the alert is to resolve."""
SOUGHT = 3_000
"""Events of a lasting change within which it must be found to count here."""
CHUNK = 256
REFUSAL, ERROR, LANGUAGE = "output.tone.refusal", "call.outcome.error", "output.language.code"
LATENCY = "call.latency.total_s"
LENGTHS = ("output.length.chars", "output.length.words", "output.length.tokens")
WATCHED = DetectionSettings(
    features=("output.length.*", "output.tone.refusal*", "output.language.*", "call.*", "input.length.*")
)
"""The default configuration with these features alone: what else is watched says nothing of how a change ends, and
20,000 events with all features would take three times as long."""
USUAL = 0.001
"""Rate of refusals before a change."""
AR = 0.6


@dataclass(frozen=True)
class Change:
    """What is written into the features of changed events."""

    name: str
    column: str
    size: float


CHANGES = (
    Change("refusals 0.1 -> 1 %", REFUSAL, 0.01),
    Change("refusals 0.1 -> 3 %", REFUSAL, 0.03),
    Change("refusals 0.1 -> 5 %", REFUSAL, 0.05),
    Change("German 0 -> 5 %", LANGUAGE, 0.05),
    Change("errors 0 -> 1 %", ERROR, 0.01),
    Change("errors 0 -> 3 %", ERROR, 0.03),
    Change("lengths up by 0.4 sd", LENGTHS[0], 0.4),
    Change("5 % of calls take six times as long", LATENCY, 0.05),
)
TRAFFIC: dict[str, Callable[[Corpus, np.random.Generator, int], NDArray[np.intp]]] = {
    "independent": scenarios.independent,
    "AR(1) 0.6": lambda corpus, rng, n: scenarios.autocorrelated(corpus, rng, n, AR),
    "daily tasks": scenarios.daily_cycle,
}


def latent(rng: np.random.Generator, n: int, traffic: str) -> Floats:
    """Uniform numbers (n) that decide which events are affected; autocorrelated where the traffic is."""
    if not traffic.startswith("AR"):
        return rng.random(n)
    noise = rng.normal(size=n) * math.sqrt(1 - AR * AR)
    noise[0] /= math.sqrt(1 - AR * AR)
    return np.asarray(norm.cdf(lfilter([1.0], [1.0, -AR], noise)))


class Stream:
    """One stream's events: rows of a corpus, and for each whether the change is there at that place."""

    def __init__(self, corpus: Corpus, change: Change, traffic: str, rng: np.random.Generator, n: int) -> None:
        self.corpus, self.change = corpus, change
        self.rows = TRAFFIC[traffic](corpus, rng, n)
        self.chance = latent(rng, n, traffic)
        self.seconds = np.exp(0.2 + 0.3 * norm.ppf(np.clip(latent(rng, n, traffic), 1e-9, 1 - 1e-9)))
        lengths = np.log(np.maximum(corpus.chars, 1))
        self.growth = math.exp(change.size * float(lengths.std()))

    def batch(self, start: int, stop: int, changed: NDArray[np.bool_]) -> FeatureBatch:
        """Events from `start` to `stop`, of which these have the change (n)."""
        batch = drawn(self.corpus.batch, self.rows[start:stop], f"{start}-")
        values = batch.values.copy()
        column, size, chance = self.change.column, self.change.size, self.chance[start:stop]
        affected = changed & (chance < size)
        place = {name: j for j, name in enumerate(batch.names)}
        values[:, place[REFUSAL]] = chance < USUAL
        values[:, place[LATENCY]] = self.seconds[start:stop]
        categories = batch.categories
        if column == LATENCY:
            values[affected, place[LATENCY]] *= 6
        elif column == LANGUAGE:
            was = categories[LANGUAGE]
            german = ["de" if hit else code for hit, code in zip(affected, was, strict=True)]
            categories = {**categories, LANGUAGE: german}
        elif column in LENGTHS:
            for name in LENGTHS:
                values[changed, place[name]] *= self.growth
        else:
            values[affected, place[column]] = 1.0
        return replace(batch, values=values, categories=categories)


@contextmanager
def rule_until_93e1875() -> Iterator[None]:
    """Alerts resolve as they did until then: by the last `recovery` events alone."""
    now = OpenFindings.take

    def until_then(self: OpenFindings, situation: Situation, rows: int) -> list[Finding] | None:
        if not self.findings:
            return None
        self._rows_since_last += rows
        shown = self.rows_shown(situation)
        if self._rows_since_last < situation.context.settings.recovery or len(situation.history) < shown:
            return None
        if self._differ(situation, shown, MAX_ERRORS_WHEN_RECOVERED):
            return None
        return self._recovered(situation, self._fed(situation), shown)

    OpenFindings.take = until_then  # type: ignore[method-assign]
    try:
        yield
    finally:
        OpenFindings.take = now  # type: ignore[method-assign]


@dataclass
class Outcome:
    """What became of the alerts of one change in one kind of traffic, by one rule."""

    alerts: int = 0
    resolved: int = 0
    again: int = 0
    waited: list[float] = field(default_factory=list)
    early: int = 0

    @property
    def share(self) -> str:
        """`1 of 20 (5 %, 0.1 to 25)`: with the exact 95 % interval (Clopper and Pearson)."""
        return share_of(self.resolved, self.alerts)


def share_of(count: int, of: int) -> str:
    """A count out of a number with its share and exact 95 % interval in per cent."""
    if not of:
        return "-"
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, of - count + 1))
    high = 1.0 if count == of else float(beta.ppf(0.975, count + 1, of - count))
    return f"{count} of {of} ({100 * count / of:.0f} %, {100 * low:.0f} to {100 * high:.0f})"


def lasting(stream: Stream, outcome: Outcome, events: int) -> None:
    """The change goes on: does its alert resolve?"""
    watching, n = StreamMonitor("benchmark", WATCHED), len(stream.rows)
    first: Finding | None = None
    resolved = 0
    for start in range(0, n, CHUNK):
        stop = min(start + CHUNK, n)
        for finding in watching.observe(stream.batch(start, stop, np.arange(start, stop) >= BEFORE)):
            fires = finding.opens
            if first is None and fires:
                if finding.raised_at.index < BEFORE or not names(finding, stream.change):
                    return
                first = finding
            elif first is not None:
                outcome.again += fires and resolved > 0
                resolved += finding.state is State.RESOLVED and finding.id == first.id
        if first is None and stop > BEFORE + SOUGHT:
            return
        if first is not None and stop > first.raised_at.index + events:
            break
    if first is not None:
        outcome.alerts += 1
        outcome.resolved += resolved > 0


def names(finding: Finding, change: Change) -> bool:
    """Whether a finding is about this change, and not a false alarm."""
    alike = LENGTHS if change.column in LENGTHS else (change.column,)
    return any(base_name(feature.name) in alike for feature in finding.features)


def ended(stream: Stream, outcome: Outcome) -> None:
    """The change ends: when does its alert resolve?"""
    watching, end = StreamMonitor("benchmark", WATCHED), BEFORE + CHANGED
    open_ids: set[str] = set()
    for start in range(0, end + WAITED, CHUNK):
        stop = min(start + CHUNK, end + WAITED)
        at = np.arange(start, stop)
        for finding in watching.observe(stream.batch(start, stop, (at >= BEFORE) & (at < end))):
            if finding.opens and finding.raised_at.index < end:
                if not open_ids and not names(finding, stream.change):
                    return
                open_ids.add(finding.id)
            elif finding.state is State.RESOLVED and finding.id in open_ids:
                open_ids.remove(finding.id)
                if stop <= end:
                    outcome.early += 1
                    return
                if not open_ids:
                    outcome.alerts += 1
                    outcome.waited.append(ending(finding, stop) - end)
                    return
        if stop >= end and not open_ids:
            return
    outcome.alerts += 1
    outcome.waited.append(math.inf)


def ending(finding: Finding, otherwise: int) -> int:
    """Stream index at which a finding resolved, as it says; else the end of the batch that resolved it."""
    resolution = getattr(finding, "resolution", None)
    return otherwise if resolution is None else int(resolution.index) + 1


def recovery(plan: Plan, report: Report) -> None:
    """Both questions, of each change in each kind of traffic, by both rules."""
    models = list(corpora.alpacaeval(plan.data).values())
    runs = 4 if plan.quick else min(plan.runs, 25)
    events = 5_000 if plan.quick else LASTING
    rows: list[list[object]] = []
    total = {"before": Outcome(), "now": Outcome()}
    for traffic in TRAFFIC:
        for change in CHANGES:
            last = {"before": Outcome(), "now": Outcome()}
            over = {"before": Outcome(), "now": Outcome()}
            for run in range(runs):
                corpus = models[run % len(models)]
                for rule in last:
                    rng = seeded("recovery", traffic, change.name, run)
                    stream = Stream(corpus, change, traffic, rng, BEFORE + SOUGHT + events)
                    if rule == "before":
                        with rule_until_93e1875():
                            lasting(stream, last[rule], events)
                            ended(stream, over[rule])
                    else:
                        lasting(stream, last[rule], events)
                        ended(stream, over[rule])
            for rule in total:
                total[rule].alerts += last[rule].alerts
                total[rule].resolved += last[rule].resolved
            row: list[object] = [f"{traffic}: {change.name}"]
            row += [last[rule].share for rule in last] + [last[rule].again for rule in last]
            for rule in over:
                row += waits(over[rule].waited)
            rows.append(row)
            report.line(" | ".join(str(cell) for cell in row))
    row = ["all"]
    row += [total[rule].share for rule in total]
    rows.append([*row, *["-"] * 8])
    report.table(
        f"Resolved while the change lasts ({events:,} events), and after it ends ({CHANGED:,} events)",
        ["traffic: change", "resolved though it lasts, until 93e1875", "now", "alerts again, until 93e1875", "now",
         "ended: median events until resolved, until 93e1875", "90 %", "never", "now: median", "90 %", "never"],
        rows,
        f"Events after the change's end, counted from it; never: not within {WAITED:,}.",
    )  # fmt: skip
    now = total["now"]
    report.bar("alerts that resolve though the change lasts", "<= 1 of 20", now.share, now.resolved <= now.alerts / 20)


def waits(waited: Sequence[float]) -> list[object]:
    """Median, 90 % quantile and how many never, of events until alerts resolved."""
    if not waited:
        return ["-", "-", "-"]
    p90 = float(np.quantile(waited, 0.9, method="higher"))
    return [figure(float(np.median(waited))), figure(p90), f"{int(np.isinf(waited).sum())} of {len(waited)}"]
