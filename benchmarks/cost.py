"""What watching costs: processor time of an event, bytes of state, memory of many streams."""

from __future__ import annotations

import gc
import time
import tracemalloc
from uuid import UUID

import numpy as np

from benchmarks import competitors, corpora
from benchmarks.corpora import Corpus, drawn
from benchmarks.report import Report
from benchmarks.watching import Plan, seeded
from monitor.detection import DetectionSettings, StreamMonitor
from monitor.detection.stream.blocks import LEAST_BLOCK
from monitor.features.base import Kind
from monitor.features.registry import default_extractors

BATCH = 256
START = 1.7e9
FEATURES = 40
ALL = "all features"
BUSY = 1_000.0
"""Events a second of a stream whose blocks are as large as they get."""
RATE = 2.0
"""Events a second of a stream whose state and memory are measured."""
MARKS = {
    100: "",
    199: ", the last of the warm-up",
    200: "",
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
    """Of ours and of ADWIN in turn, several times: a machine's clock changes within a minute."""
    rng = seeded("cost")
    table = []
    for width, features in _widths().items():
        watching = _watching(features)
        watching.observe(drawn(corpus.batch, rng.integers(0, len(corpus), 4_096), "w"))
        x = competitors.features(drawn(corpus.batch, rng.integers(0, len(corpus), 500), "r"))
        x = x[:, :FEATURES] if width != ALL else x
        values = [[(place, v) for place, v in enumerate(row) if v == v] for row in x.tolist()]
        ours: dict[int, list[float]] = {BATCH: [], LEAST_BLOCK: [], 4: []}
        river = []
        for turn in range(4 if quick else 16):
            for size, found in ours.items():
                found.append(_ours(watching, corpus, rng, size, f"{turn}-{size}-"))
            river.append(_adwin(values))
        rows = {f"StreamMonitor, blocks of {size}": found for size, found in ours.items()}
        rows[f"river ADWIN on each of {x.shape[1]}"] = river
        for what, found in rows.items():
            best, median = min(found), float(np.median(found))
            table.append([f"{width}, {what}", f"{best:.1f}", f"{median:.1f}", f"{best / min(river):.2f}"])
        if width != ALL:
            best = min(ours[BATCH])
            report.bar(f"observe, batches of {BATCH}, {width}", "<= 10 us/event", f"{best:.1f} us", best <= 10)
    report.table("Processor time of an event, us, one core", ["what", "best", "median", "best beside ADWIN's"], table)


def _ours(watching: StreamMonitor, corpus: Corpus, rng: np.random.Generator, size: int, tag: str) -> float:
    """Microseconds of an event that comes in a block of this size."""
    n = max(BATCH, 8 * size)
    clock = START + np.arange(n).reshape(-1, size) / BUSY
    rows = rng.integers(0, len(corpus), clock.shape)
    blocks = [drawn(corpus.batch, rows[i], f"{tag}{i}-", times=times) for i, times in enumerate(clock)]
    began = time.process_time()
    for block in blocks:
        watching.observe(block)
        watching.close()
    return (time.process_time() - began) / n * 1e6


def _adwin(values: list[list[tuple[int, float]]]) -> float:
    """Microseconds of an event, a detector for each of its values."""
    detectors = [competitors.adwin() for _ in range(1 + max(place for row in values for place, _ in row))]
    began = time.process_time()
    for row in values:
        for place, value in row:
            detectors[place].update(value)
    return (time.process_time() - began) / len(values) * 1e6


def _watching(features: tuple[str, ...]) -> StreamMonitor:
    return StreamMonitor("benchmark", DetectionSettings(features=features))


def _widths() -> dict[str, tuple[str, ...]]:
    """What is watched: a stream's usual number of features, and all that there are.

    The bars of time, state and memory are for `FEATURES` features: columns are what a stream's state consists of, their
    products above all, and who watches every family that there is has asked for more of it. They are the first that are
    declared, so nobody chose them; that there is no bar for all does not mean that they are not shown.
    """
    specs = [spec for family in default_extractors() for spec in family.features]
    names = [spec.name for spec in specs if spec.kind is not Kind.VECTOR]
    return {f"{FEATURES} features": tuple(names[:FEATURES]), ALL: ("*",)}


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
            _feed(watching, other, rng, 1_200 + LEAST_BLOCK - 1 - watching.events % LEAST_BLOCK, "x")
            sizes.setdefault("1,500 after it, as many waiting as may", []).append(len(watching.snapshot()))
        rows += [[width, mark, f"{int(np.median(found)):,}", f"{max(found):,}"] for mark, found in sizes.items()]
        largest = max(max(found) for found in sizes.values())
        if width != ALL:
            report.bar(f"state of a stream, {width}", "<= 65,536 bytes", f"{largest:,}", largest <= 65_536)
    report.table("State of a stream, bytes of its snapshot", ["watched", "after events", "median", "largest"], rows)


def _feed(watching: StreamMonitor, corpus: Corpus, rng: np.random.Generator, n: int, tag: str) -> None:
    """Events as applications publish them: with UUIDs, times and excerpts of real texts."""
    began = START + watching.events / RATE
    rows = rng.integers(0, len(corpus), n)
    times = began + np.cumsum(rng.exponential(1 / RATE, n))
    for start in range(0, n, BATCH):
        part = rows[start : start + BATCH]
        batch = drawn(corpus.batch, part, tag, times=times[start : start + BATCH])
        batch.ids = [str(UUID(bytes=rng.bytes(16))) for _ in part]
        batch.input_excerpts = [corpus.batch.input_excerpts[row] for row in part]
        batch.output_excerpts = [corpus.batch.output_excerpts[row] for row in part]
        watching.observe(batch)


def _memory(corpus: Corpus, report: Report, streams: int) -> None:
    """Of streams in one process, each with a few rows of its own since it was restored; mature, as most of them are."""
    for width, features in _widths().items():
        rng = seeded("memory")
        first = _watching(features)
        _feed(first, corpus, rng, 3_000, "m")
        snapshot = first.snapshot()
        _restored(features, snapshot, corpus, rng, "o")  # what a process holds once, Python's table of names say, grows
        gc.collect()
        tracemalloc.start()
        held = [_restored(features, snapshot, corpus, rng, f"{number}-") for number in range(streams)]
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / len(held)
        tracemalloc.stop()
        total = f"{each * 1e4 / 2**30:.2f} GiB"
        report.line(f"Memory, {width}: {each / 1024:.0f} KiB a stream in the process, {total} for 10,000.")
        if width != ALL:
            report.bar(f"10,000 streams in one process, {width}", "<= 1 GiB", total, each * 1e4 <= 2**30)


def _restored(
    features: tuple[str, ...], snapshot: bytes, corpus: Corpus, rng: np.random.Generator, tag: str
) -> StreamMonitor:
    watching = _watching(features)
    watching.restore(snapshot)
    _feed(watching, corpus, rng, 64, tag)
    return watching
