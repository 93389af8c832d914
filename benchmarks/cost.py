"""What watching costs: processor time of an event, bytes of state, memory of many streams."""

from __future__ import annotations

import gc
import time
import tracemalloc

import numpy as np

from benchmarks import competitors, corpora
from benchmarks.corpora import Corpus, drawn
from benchmarks.report import Report
from benchmarks.watching import Plan, monitor, seeded
from monitor.detection import StreamMonitor

BATCH = 256


def cost(plan: Plan, report: Report) -> None:
    """Time of an event beside river's ADWIN over the same features; size of the state as a stream goes on."""
    models = list(corpora.alpacaeval(plan.data).values())
    _time(models[0], report, plan.quick)
    _state(models, report)
    _memory(models[0], report, 5 if plan.quick else 20)


def _time(corpus: Corpus, report: Report, quick: bool) -> None:
    n = 8_192 if quick else 32_768
    rng = seeded("cost")
    watching = monitor()
    watching.observe(drawn(corpus.batch, rng.integers(0, len(corpus), 4_096), "w"))
    batches = [drawn(corpus.batch, rng.integers(0, len(corpus), BATCH), f"{i}-") for i in range(n // BATCH)]
    began = time.process_time()
    for batch in batches:
        watching.observe(batch)
    ours = (time.process_time() - began) / n * 1e6
    x = competitors.features(drawn(corpus.batch, rng.integers(0, len(corpus), 2_000), "r"))
    detectors = [competitors.adwin() for _ in range(x.shape[1])]
    rows = [[(d, v) for d, v in zip(detectors, row, strict=True) if v == v] for row in x.tolist()]
    began = time.process_time()
    for row in rows:
        for detector, value in row:
            detector.update(value)
    river = (time.process_time() - began) / len(rows) * 1e6
    watched = len(watching.status().features)
    report.table(
        "Processor time of an event, one core",
        ["what", "us/event", "features"],
        [
            [f"StreamMonitor.observe, batches of {BATCH}", f"{ours:.1f}", f"{watched} shown in status"],
            ["river ADWIN on each number, count and flag", f"{river:.1f}", x.shape[1]],
        ],
    )
    report.bar("observe, batches of 256", "<= 10 us/event", f"{ours:.1f} us", ours <= 10)


def _state(models: list[Corpus], report: Report) -> None:
    marks = (100, 399, 400, 1_000, 3_000, 6_000)
    sizes: dict[str, list[int]] = {str(mark): [] for mark in marks}
    sizes["200 after an alert"] = []
    for number, corpus in enumerate(models[:6]):
        rng = seeded("state", corpus.name)
        watching = monitor()
        last = 0
        for mark in marks:
            _feed(watching, corpus, rng, mark - last, f"{mark}-")
            sizes[str(mark)].append(len(watching.snapshot()))
            last = mark
        # Afterwards another model's outputs, and the provisional reference is learned.
        _feed(watching, models[(number + 2) % len(models)], rng, 200, "z")
        sizes["200 after an alert"].append(len(watching.snapshot()))
    report.table(
        "State of a stream, bytes of its snapshot",
        ["after events", "median", "largest"],
        [[mark, f"{int(np.median(found)):,}", f"{max(found):,}"] for mark, found in sizes.items()],
    )
    largest = max(max(found) for found in sizes.values())
    report.bar("state of a stream, warm-up included", "<= 65,536 bytes", f"{largest:,}", largest <= 65_536)


def _feed(watching: StreamMonitor, corpus: Corpus, rng: np.random.Generator, n: int, tag: str) -> None:
    rows = rng.integers(0, len(corpus), n)
    for start in range(0, n, BATCH):
        watching.observe(drawn(corpus.batch, rows[start : start + BATCH], f"{tag}{start}-"))


def _memory(corpus: Corpus, report: Report, streams: int) -> None:
    rng = seeded("memory")
    first = monitor()
    _feed(first, corpus, rng, 1_000, "m")
    snapshot = first.snapshot()
    held = []
    gc.collect()
    tracemalloc.start()
    for number in range(streams):
        watching = monitor()
        watching.restore(snapshot)
        _feed(watching, corpus, rng, 64, f"{number}-")
        held.append(watching)
    gc.collect()
    each = tracemalloc.get_traced_memory()[0] / len(held)
    tracemalloc.stop()
    report.line(f"Memory: {each / 1024:.0f} KiB a stream in the process, {each * 1e4 / 2**30:.2f} GiB for 10,000.")
    report.bar("10,000 streams in one process", "<= 1 GiB", f"{each * 1e4 / 2**30:.2f} GiB", each * 1e4 <= 2**30)
