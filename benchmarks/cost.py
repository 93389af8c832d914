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
from monitor.detection import DetectionSettings, StreamMonitor
from monitor.features.base import Kind
from monitor.features.registry import default_extractors

BATCH = 256
FEATURES = 40
MARKS = {
    100: "",
    399: ", the last of the warm-up",
    400: "",
    500: "",
    1_000: ", maturing",
    1_400: ", maturing",
    3_000: "",
    6_000: "",
}
"""Events after which the state is measured."""


def cost(plan: Plan, report: Report) -> None:
    """Time of an event beside river's ADWIN over the same features; size of the state as a stream goes on."""
    models = list(corpora.alpacaeval(plan.data).values())
    _time(models[0], report, plan.quick)
    _state(models, report, plan.quick)
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


def _watching(features: tuple[str, ...]) -> StreamMonitor:
    return StreamMonitor("benchmark", DetectionSettings(features=features))


def _widths() -> dict[str, tuple[str, ...]]:
    """What is watched where the state is measured: a stream's usual number of features, and all that there are.

    The bars of state and memory are for `FEATURES` features: columns are what a stream's state consists of, their
    products above all, and who watches every family that there is has asked for more of it. They are the first that are
    declared, so nobody chose them; that there is no bar for all does not mean that they are not shown.
    """
    specs = [spec for family in default_extractors() for spec in family.features]
    names = [spec.name for spec in specs if spec.kind is not Kind.VECTOR]
    return {f"{FEATURES} features": tuple(names[:FEATURES]), "all features": ("*",)}


def _state(models: list[Corpus], report: Report, quick: bool) -> None:
    rows = []
    for width, features in _widths().items():
        sizes: dict[str, list[int]] = {}
        for number, corpus in enumerate(models[: 2 if quick else 6]):
            rng = seeded("state", corpus.name)
            watching = _watching(features)
            last = 0
            for mark, what in MARKS.items():
                _feed(watching, corpus, rng, mark - last, f"{mark}-")
                sizes.setdefault(f"{mark:,}{what}", []).append(len(watching.snapshot()))
                last = mark
            # Afterwards another model's outputs, and the provisional reference is learned.
            other = models[(number + 2) % len(models)]
            _feed(watching, other, rng, 200, "y")
            sizes.setdefault("200 after an alert's cause", []).append(len(watching.snapshot()))
            _feed(watching, other, rng, 100, "z")
            sizes.setdefault("300 after it: a second reference", []).append(len(watching.snapshot()))
        rows += [[width, mark, f"{int(np.median(found)):,}", f"{max(found):,}"] for mark, found in sizes.items()]
        largest = max(max(found) for found in sizes.values())
        if width != "all features":
            report.bar(f"state of a stream, {width}", "<= 65,536 bytes", f"{largest:,}", largest <= 65_536)
    report.table("State of a stream, bytes of its snapshot", ["watched", "after events", "median", "largest"], rows)


def _feed(watching: StreamMonitor, corpus: Corpus, rng: np.random.Generator, n: int, tag: str) -> None:
    rows = rng.integers(0, len(corpus), n)
    for start in range(0, n, BATCH):
        watching.observe(drawn(corpus.batch, rows[start : start + BATCH], f"{tag}{start}-"))


def _memory(corpus: Corpus, report: Report, streams: int) -> None:
    """Of streams in one process, each with a few rows of its own since it was restored; mature, as most of them are."""
    for width, features in _widths().items():
        rng = seeded("memory")
        first = _watching(features)
        _feed(first, corpus, rng, 3_000, "m")
        snapshot = first.snapshot()
        held = []
        gc.collect()
        tracemalloc.start()
        for number in range(streams):
            watching = _watching(features)
            watching.restore(snapshot)
            _feed(watching, corpus, rng, 64, f"{number}-")
            held.append(watching)
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / len(held)
        tracemalloc.stop()
        total = f"{each * 1e4 / 2**30:.2f} GiB"
        report.line(f"Memory, {width}: {each / 1024:.0f} KiB a stream in the process, {total} for 10,000.")
        if width != "all features":
            report.bar(f"10,000 streams in one process, {width}", "<= 1 GiB", total, each * 1e4 <= 2**30)
