"""Events a second and core from Kafka to alert, beside a Faust agent that does nothing and beside other libraries.

    python benchmarks/throughput.py                      # one table: worker, no-op agent, Evidently, textstat, LangKit
    python benchmarks/throughput.py --new-words          # outputs of which none was seen before
    python benchmarks/throughput.py --sampling           # ... with and without a sample; --repeat 0: no Kafka
    python benchmarks/throughput.py --workers 2          # CPU of an event, one worker and two
    python benchmarks/throughput.py --latency 240        # seconds from publishing to alert, at 500 events/s
    python benchmarks/throughput.py --rates 100,500      # CPU and memory of a worker at a steady rate
    python benchmarks/throughput.py --profile profile.pstats

CPU seconds of the workers' processes, all their threads, per event, on real Apache Kafka on this machine. Counting
starts after the first half of the outputs, so that a running worker is measured and not one with empty caches, and ends
when the last event is applied. By default AlpacaEval's 9,660 outputs go round under new ids, so most words are known;
with `--new-words` each comes once. The broker and the publisher are processes of their own and not counted. All
features and the static embedding are on; checkpoints, alerts and ticks run as they do in production. `--repeat` runs
everything several times in turn and shows medians of the ratios within a run: a shared machine is never the same twice.

Data: `alpacaeval.jsonl.gz` (AlpacaEval's published model outputs, github.com/tatsu-lab/alpaca_eval), each output with
its instruction as input, spread over `--streams` streams. Evidently and textstat run in environments of their own
(`python -m benchmarks.outside` makes them); LangKit's figure is the published one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core is a core: no threads of numpy's beside the one that counts

from rich.console import Console  # noqa: E402

from benchmarks import alert_latency, load, per_text, sample_cost, steady  # noqa: E402
from benchmarks.load import Measured, Progress, Workers, between  # noqa: E402
from benchmarks.report import Report  # noqa: E402

OUTPUTS = 9_660
TEXTS = 4_000
"""Texts given to the other libraries; textstat takes milliseconds for each."""


@dataclass(frozen=True)
class Bench:
    """A broker and what is published to it."""

    bootstrap: str
    data: Path
    events: int
    streams: int
    profile: str | None = None

    def measured(self, names: Sequence[str], workers: int = 1) -> list[Measured]:
        """One run on topics of its own: these kinds of worker, one after the other, `workers` processes of each."""
        with load.topics_of_their_own(self.bootstrap) as (run, topics):
            load.publish(self.bootstrap, topics.outputs.name, self.data, self.events, self.streams)
            return [self._one(name, run, workers) for name in names]

    def _one(self, name: str, run: str, workers: int) -> Measured:
        profile = self.profile if name == "monitor" else None

        def warm(done: Sequence[Progress]) -> bool:
            return all(one.read for one in done) and sum(one.read for one in done) >= self.events // 2

        def through(done: Sequence[Progress]) -> bool:
            return sum(one.applied for one in done) >= self.events

        with Workers(name, self.bootstrap, run, workers, profile) as at_work:
            before = at_work.until(warm)
            after = at_work.until(through)
        return between(name, before, after)


def beside_others(bench: Bench, repeat: int, report: Report) -> None:
    """The whole path, each stage, the agent that does nothing, and other libraries on the same texts."""
    runs = [bench.measured(["monitor", "nothing"]) for _ in range(repeat)]
    monitor, nothing = (_middle([run[place] for run in runs]) for place in range(2))
    shares = [run[1].us_per_event / run[0].us_per_event for run in runs]
    rows: list[tuple[object, ...]] = [_row("whole path, Kafka to alert", monitor.us_per_event, f"{median(shares):.2f}")]
    rows += [_row(f"- {stage}, in the worker thread", us, "") for stage, us in monitor.stage_us.items()]
    rows.append(_row("Faust agent that does nothing", nothing.us_per_event, "1"))
    report.table(
        "Events from Kafka to alert",
        ("worker", "CPU us an event", "events / s and core", "share of the no-op agent"),
        rows,
        note=f"{monitor.read:,} events, {repeat} runs of each, medians; resident {monitor.resident_mb:,.0f} MB",
    )
    report.bar("whole path beside the no-op agent", ">= 0.35", f"{median(shares):.2f}", median(shares) >= 0.35)
    goal = 4 * per_text.LANGKIT_PER_CORE
    report.bar(
        "whole path, events / s and core, beside 4 x LangKit light as published",
        f">= {goal:,.0f}",
        f"{1e6 / monitor.us_per_event:,.0f}",
        1e6 / monitor.us_per_event >= goal,
    )


def features_beside_others(data: Path, repeat: int, report: Report) -> None:
    """Features of a text beside what other libraries measure of it, no Kafka, in turn."""
    outputs = [output for _, output in load.texts(data)]
    texts, warm = outputs[:TEXTS], outputs[TEXTS:]
    known, fresh, others = [], [], []
    features = 0
    for _ in range(repeat):
        us, features = per_text.ours(texts, outputs)
        known.append(us)
        fresh.append(per_text.ours(texts, warm)[0])
        others.append(per_text.beside(texts))
    rows: list[tuple[object, ...]] = [
        _row(f"all {features} features and the embedding", median(known), ""),
        _row(f"the same, texts never seen ({len(warm):,} others were)", median(fresh), ""),
    ]
    for place, (label, us_of) in enumerate(others[0]):
        if us_of is None:
            rows.append((label, "", "", ""))
            continue
        ratios = [run[place][1] / ours for run, ours in zip(others, known, strict=True)]  # type: ignore[operator]
        rows.append(_row(label, median([run[place][1] for run in others]), f"{median(ratios):.2f}"))  # type: ignore[misc]
        if label.startswith("Evidently"):
            report.bar("cost of Evidently's over ours", "> 1", f"{median(ratios):.2f}", median(ratios) > 1)
    rows.append(_row("LangKit light, as published", 1e6 / per_text.LANGKIT_PER_CORE, ""))
    report.table(
        "Measuring a text",
        ("what", "CPU us a text", "texts / s and core", "times ours"),
        rows,
        note=f"{len(texts):,} outputs, {repeat} runs in turn, medians; LangKit: 2,335 chats/s on 4 vCPU, not run here",
    )


def scaling(bench: Bench, repeat: int, workers: int, report: Report) -> None:
    """CPU of an event with one worker and with several."""
    runs = [(bench.measured(["monitor"])[0], bench.measured(["monitor"], workers)[0]) for _ in range(repeat)]
    growth = median(several.us_per_event / one.us_per_event - 1 for one, several in runs)
    rows: list[tuple[object, ...]] = [
        ("1", f"{_middle([one for one, _ in runs]).us_per_event:.0f}", ""),
        (str(workers), f"{_middle([several for _, several in runs]).us_per_event:.0f}", f"{growth:+.0%}"),
    ]
    report.table("Workers", ("workers", "CPU us an event", "growth"), rows, note=f"{repeat} runs of each in turn")
    report.bar(f"CPU of an event, one worker to {workers}", "<= +15 %", f"{growth:+.0%}", growth <= 0.15)


BATCHES = 20
"""Batches that go through both paths to compare them, after as many to warm up."""


def sample_without_kafka(bench: Bench, report: Report) -> None:
    """CPU of an event with and without a draw, batch by batch in turn, and of a judgment."""
    cost = sample_cost.measure(bench.data, BATCHES, bench.streams)
    low, high = cost.interval()
    ratio = median(cost.ratios)
    judge = load.SHARE * cost.judgment_us
    rows: list[tuple[object, ...]] = [
        ("without", f"{median(cost.without):.0f}", ""),
        (f"{load.SHARE:.0%} drawn", f"{median(cost.drawn):.0f}", f"{ratio:.3f} ({low:.3f} to {high:.3f})"),
        (f"a judgment, for {load.SHARE:.0%} of the events", f"{judge:.0f}", ""),
    ]
    report.table(
        "A sample for an evaluator, bytes to applied rows, no Kafka",
        ("path", "CPU us an event", "throughput, of that without (95 %)"),
        rows,
        note=f"{BATCHES} batches of {sample_cost.BATCH} events, each through both paths; a judgment takes "
        f"{cost.judgment_us:.0f} us in the process that judges",
    )
    report.bar(f"throughput with {load.SHARE:.0%} drawn, no Kafka", ">= 0.97", f"{ratio:.3f}", ratio >= 0.97)


def sampling(bench: Bench, repeat: int, report: Report) -> None:
    """CPU of an event without a sample, with one, and with the judge in the same process, in turn."""
    from monitor.testing.scripted_evaluator import ScriptedEvaluator

    runs: list[list[Measured]] = []
    with ScriptedEvaluator() as evaluator:
        os.environ[load.EVALUATOR] = evaluator.url
        for _ in range(repeat):
            runs.append([bench.measured([name])[0] for name in ("monitor", "drawn", "judged")])
            ratios = [runs[-1][0].us_per_event / one.us_per_event for one in runs[-1]]
            print("throughput beside that without a sample:", *(f"{ratio:.3f}" for ratio in ratios), flush=True)
    rows: list[tuple[object, ...]] = []
    labels = ("nothing drawn", f"{load.SHARE:.0%} drawn, judged in another process", "judged in the same process")
    for place, label in enumerate(labels):
        shares = sorted(run[0].us_per_event / run[place].us_per_event for run in runs)
        us = median(run[place].us_per_event for run in runs)
        rows.append((label, f"{us:.0f}", f"{median(shares):.3f}", f"{shares[0]:.3f} to {shares[-1]:.3f}"))
        if place == 1:
            report.bar(f"throughput with {load.SHARE:.0%} drawn", ">= 0.97", rows[-1][2], median(shares) >= 0.97)
    report.table(
        "A sample for an evaluator",
        ("worker", "CPU us an event", "throughput, of that without", "of all runs"),
        rows,
        note=f"{bench.events // 2:,} events of each, {repeat} runs in turn, medians of the ratios within a turn",
    )


def latency(bootstrap: str, data: Path, rate: float, seconds: float, report: Report) -> None:
    """Seconds from publishing to alert."""
    with load.topics_of_their_own(bootstrap) as (run, topics):
        names = (topics.outputs.name, topics.alerts.name)
        found = alert_latency.measure(bootstrap, run, names, data, rate, seconds)
    report.table(
        "From publishing to alert",
        ("alerts", "changes", "events / s", "median s", "p90 s", "p99 s", "most s", "CPU us an event"),
        [
            (
                len(found.seconds),
                found.changes,
                f"{found.events / found.wall_s:.0f}",
                *(f"{found.at(share):.2f}" for share in (0.5, 0.9, 0.99, 1.0)),
                f"{1e6 * found.cpu_s / found.events:.0f}",
            )
        ],
        note=f"{alert_latency.SLOTS} streams at a time; a stream's change is its events {alert_latency.BEFORE} to "
        f"{alert_latency.BEFORE + alert_latency.AFTER}, the last ones come when it has ended",
    )
    report.bar(f"p99 at {rate:.0f} events/s", "< 2 s", f"{found.at(0.99):.2f} s", found.at(0.99) < 2)


def steady_rates(bench: Bench, rates: Sequence[float], seconds: float, report: Report) -> None:
    """What one worker costs at each rate."""
    rows: list[tuple[object, ...]] = []
    for rate in rates:
        with load.topics_of_their_own(bench.bootstrap) as (run, topics):
            found = steady.measure(bench.bootstrap, run, topics.outputs.name, bench.data, bench.streams, rate, seconds)
        us = found.us_per_event
        stages = (f"{found.stage_us.get(stage, 0.0):.0f}" for stage in ("featurize", "detect"))
        rows.append((f"{rate:,.0f}", f"{us:.0f}", *stages, f"{us * rate / 1e6:.2f}", f"{found.resident_mb:,.0f}"))
    report.table(
        "One worker at a steady rate",
        ("events / s", "CPU us an event", "featurize", "detect", "cores", "resident MB"),
        rows,
        note=f"{bench.streams} streams, {seconds:g} s at each rate",
    )


def _middle(results: Sequence[Measured]) -> Measured:
    return sorted(results, key=lambda result: result.us_per_event)[len(results) // 2]


def _row(what: str, us: float, share: str) -> tuple[object, ...]:
    return what, f"{us:,.0f}", f"{1e6 / us:,.0f}", share


def main() -> int:
    """Measure and print."""
    parser = load.parser(__doc__, repeat=1)
    parser.add_argument("--events", type=int, default=30_000, help="published, the first half to warm up")
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--new-words", action="store_true", help="each output once, none of them seen before")
    parser.add_argument("--workers", type=int, default=1, help="compare one worker with so many")
    parser.add_argument("--latency", type=float, metavar="SECONDS", help="time from publishing to alert instead")
    parser.add_argument("--rate", type=float, default=500.0, help="events a second for --latency")
    parser.add_argument("--rates", help="what a worker costs at these rates instead, events a second, with commas")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each of --rates")
    parser.add_argument("--sampling", action="store_true", help="the cost of a sample for an evaluator instead")
    parser.add_argument("--broker", help="a broker that runs already; a fresh Apache Kafka by default")
    parser.add_argument("--profile", metavar="FILE", help="write cProfile statistics of the monitor's main thread")
    options = parser.parse_args()

    from tests.brokers.apache import ApacheKafka

    report = Report(Console())
    if options.sampling:
        sample_without_kafka(Bench("", options.data, 0, options.streams), report)
        if not options.repeat:
            report.bars()
            return 0
    with contextlib.ExitStack() as stack:
        bootstrap = options.broker or stack.enter_context(ApacheKafka()).address
        events = OUTPUTS if options.new_words else options.events
        bench = Bench(bootstrap, options.data, events, options.streams, options.profile)
        if options.latency is not None:
            latency(bootstrap, options.data, options.rate, options.latency, report)
        elif options.rates:
            steady_rates(bench, [float(rate) for rate in options.rates.split(",")], options.seconds, report)
        elif options.sampling:
            sampling(bench, options.repeat, report)
        elif options.workers > 1:
            scaling(bench, options.repeat, options.workers, report)
        else:
            beside_others(bench, options.repeat, report)
    whole = not (options.latency is not None or options.rates or options.sampling or options.new_words)
    if whole and options.workers == 1:
        features_beside_others(options.data, options.repeat, report)
    report.bars()
    if options.markdown:
        report.write(options.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
