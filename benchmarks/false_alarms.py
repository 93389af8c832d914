"""Traffic in which nothing changes: how often the monitor pages all the same, and whether it keeps its budget.

Each kind of traffic is a generator of `benchmarks.scenarios`, over the outputs of all models in turn, each stream with
a reference of its own. A monitor starts afresh after each alarm, and warm-up is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from benchmarks import competitors, corpora, scenarios
from benchmarks.corpora import Corpus, drawn
from benchmarks.report import Report, per_100k, poisson_interval
from benchmarks.watching import BEFORE, Alarms, Plan, alarms, heard_all, listen, monitor, seeded
from benchmarks.young import begun, default_warmup
from monitor.detection import Finding
from monitor.detection.reference.young_reference import GROWN
from monitor.features.batch import FeatureBatch, concat
from tests.azure_trace import Trace, read_traces

Ints = NDArray[np.intp]


STREAM = 25_000
"""Events of one no-change stream; each has a model and a reference of its own."""
STARTS = 1_000
"""Events of a trace from one starting point to the next: from 0 alone, chance decides whether a reference is learned
just before the trace changes."""
LEAST_LEFT = 3_000
"""Events that a run from a starting point has at least."""
CHANGED = 10_000
"""Events of another model after which a second alarm is looked for."""


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
    total = 36_000 if plan.quick else plan.events
    rows: list[list[object]] = []
    causes: list[list[object]] = []
    rivals = [(name, "length") for name in competitors.NAMES if not plan.quick or name != "KSWIN"]
    rivals.append(("ADWIN", "features"))
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
        low, _ = poisson_interval(len(ours.fired))
        report.bar(f"false alarms, {quiet.name}", "<= 1 per 100,000", per_100k(len(ours.fired), ours.events),
                   low * 1e5 / ours.events <= 1)  # fmt: skip
    rows += _hour(plan, models, causes, rivals, report)
    rows.append(_churn(plan, models, causes, len(rivals), report))
    report.table(
        "False alarms per 100,000 events, all features, default budget",
        ["traffic", "events", "fired", "per 100,000 (95 % interval)", "information",
         *(f"{name}, {columns}" for name, columns in rivals)],
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


def _rival_alarms(streams: Sequence[tuple[Corpus, Ints]], rival: tuple[str, str], quick: bool) -> str:
    name, columns = rival
    most = {"KSWIN": 40_000, "rolling KS": 20_000 if quick else 200_000}.get(name, 20_000 if quick else 10**9)
    measure = competitors.length if columns == "length" else competitors.features
    count = events = 0
    for corpus, rows in streams:
        if events >= most:
            break
        watching = competitors.watcher(name)
        count += len(watching.feed(measure(drawn(corpus.batch, rows, "r"))))
        events += len(rows) - competitors.WARMUP
    return f"{count * 1e5 / events:.1f}"


def _hour(
    plan: Plan, models: Sequence[Corpus], causes: list[list[object]], rivals: Sequence[tuple[str, str]], report: Report
) -> list[list[object]]:
    """The trace as token counts alone, and on real text, with its times of arrival and without them.

    On text every feature follows the trace's level, which wanders by half a standard deviation within the hour. With
    times the budget counts the events of 30 days at the trace's own rate. Token counts are watched from many starting
    points (`from_starts`): from the first event on alone, warm-ups of 100 to 600 events raise anything from none to six
    alarms. The bar is that an early start costs nothing.
    """
    rows: list[list[object]] = []
    for trace in read_traces(plan.data):
        streams = [
            (corpus, scenarios.production_hour(corpus, seeded("hour", trace.service, corpus.name), trace))
            for corpus in (models[:2] if plan.quick else models)
        ]
        theirs = [_rival_alarms(streams, rival, plan.quick) for rival in rivals]
        tokens = _token_counts(models[0], trace)
        for label, times in (("", trace.times), (", times withheld", None)):
            name = f"Azure hour, {trace.service}{label}"
            ours = Alarms()
            for corpus, order in streams:
                found = alarms(corpus.batch, order, times=times)
                ours.add(found)
                causes += [_cause(name, corpus, finding) for finding in found.fired]
            rows.append([name, f"{ours.events:,}", len(ours.fired), per_100k(len(ours.fired), ours.events),
                         len(ours.infos), *theirs])  # fmt: skip
            name += ", token counts alone"
            counts = {warmup: from_starts(tokens, warmup, times) for warmup in sorted({default_warmup(), GROWN})}
            for warmup, alone in counts.items():
                rows.append([f"{name}, warm-up {warmup}", f"{alone.events:,}", len(alone.fired),
                             per_100k(len(alone.fired), alone.events), len(alone.infos),
                             *["-"] * len(rivals)])  # fmt: skip
            ours, grown = counts[default_warmup()], counts[GROWN]
            low, _ = poisson_interval(len(ours.fired))
            report.bar(f"false alarms, {name}", f"no more often than with a warm-up of {GROWN}: "
                       f"{per_100k(len(grown.fired), grown.events)}", per_100k(len(ours.fired), ours.events),
                       low / ours.events <= len(grown.fired) / grown.events)  # fmt: skip
    return rows


def from_starts(batch: FeatureBatch, warmup: int, times: NDArray[np.float64] | None) -> Alarms:
    """First false alarms in a batch's rows, watched from every `STARTS`th row on by a monitor with this warm-up.

    times are the rows' (n) in seconds, or None where they are withheld. Rows of different starts overlap, so their
    alarms are not independent; but two warm-ups that are compared meet the same rows.
    """
    out = Alarms()
    for start in range(0, max(1, len(batch) - LEAST_LEFT), STARTS):
        rows = np.arange(start, len(batch))
        heard = listen(begun(warmup), batch, rows, f"{start}/", times=None if times is None else times[start:])
        out.events += (heard.fired.raised_at.index + 1 if heard.fired else len(rows)) - warmup
        out.infos += heard.infos
        if heard.fired is not None:
            out.fired.append(heard.fired)
    return out


def _token_counts(corpus: Corpus, trace: Trace) -> FeatureBatch:
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


def _churn(
    plan: Plan, models: Sequence[Corpus], causes: list[list[object]], rivals: int, report: Report
) -> list[object]:
    splits, length = 12 if plan.quick else 360, 3_000  # of 30 one more or less is luck
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
    report.bar(
        "prompt churn, splits that fired",
        "<= 1 of 30",
        f"{fired} of {splits}: {30 * fired / splits:.1f} of 30",
        fired <= splits / 30,
    )
    return ["prompt churn", f"{events:,}", f"{fired} of {splits} splits", "-", infos, *["-"] * rivals]


def second_alarms(plan: Plan, report: Report) -> None:
    """Alarms behind the one that a change of the model deserves: how sure is a reference that was learned in it.

    Nobody accepts the change, so its finding stays open.
    """
    models = list(corpora.alpacaeval(plan.data).values())
    pairs = [(a, b) for a in models for b in models if ks_2samp(a.chars, b.chars).statistic >= 0.3]
    chosen = seeded("second").permutation(len(pairs))[: 6 if plan.quick else 4 * plan.runs]
    length = 2_000 if plan.quick else CHANGED
    rows: list[list[object]] = []
    causes: list[list[object]] = []
    for told in (False, True):
        found = more = 0
        for run, (a, b) in enumerate(pairs[place] for place in chosen):
            rng = seeded("second", a.name, b.name, run)
            pool, tasks = concat([a.batch, b.batch]), [*a.tasks, *b.tasks]
            order = np.concatenate([rng.integers(0, len(a), BEFORE), len(a) + rng.integers(0, len(b), length)])
            segments = [{"attributes.task": tasks[row]} for row in order] if told else None
            fired = [f for f in heard_all(monitor(), pool, order, "s", segments) if f.opens]
            later = [f for f in fired if f.raised_at.index >= BEFORE][1:]
            found += len(fired) > 0
            more += len(later)
            causes += [_cause("tasks told" if told else "tasks not told", b, finding) for finding in later]
        events = len(chosen) * length
        name = "another model, tasks told" if told else "another model"
        rows.append([name, len(chosen), found, f"{events:,}", more, per_100k(more, events)])
        low, _ = poisson_interval(more)
        report.bar(f"second alarms, {name}", "<= 1 per 100,000", per_100k(more, events), low * 1e5 / events <= 1)
    heads = ["after", "runs", "found", "events after it", "second alarms", "per 100,000 (95 % interval)"]
    report.table("Alarms behind the first, while its change lasts", heads, rows)
    if causes:
        heads = ["traffic", "model", "at", "driver", "kind", "features"]
        report.table("What the second alarms said", heads, causes, folded=True)


def calibration(plan: Plan, report: Report) -> None:
    """Asked against observed over three decades of the budget."""
    models = list(corpora.alpacaeval(plan.data).values())
    rows = []
    for asked, total in ((1e3, 12_000), (1e4, 24_000), (1e5, 24_000)):
        row: list[object] = [f"{1e5 / asked:g}"]
        for quiet in (QUIET[0], QUIET[2]):
            found = Alarms()
            for corpus, drawn_rows in _quiet_rows(
                quiet, models, total if plan.quick else 5 * total * (10 if asked == 1e5 else 3)
            ):
                found.add(alarms(corpus.batch, drawn_rows, partial(monitor, asked)))
            row += [f"{found.events:,}", per_100k(len(found.fired), found.events),
                    per_100k(len(found.fired) + len(found.infos), found.events)]  # fmt: skip
        rows.append(row)
    heads = ["asked per 100,000"]
    for name in ("independent", "AR(1) 0.6"):
        heads += [f"{name}: events", "fired (95 % interval)", "with information"]
    report.table("Calibration: false alarms asked for and seen", heads, rows)
