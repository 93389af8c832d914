"""Was the reference learned from a time that contained an incident? A stretch of its rows that differs from the rest.

The rows of a warm-up are compared with each other, chunk by chunk: every stretch of at most half of them with all
outside of it (an epidemic alternative: Levin and Kline 1985; for rates the scan statistic of Kulldorff 1997), by

outputs    the whitened means, and what a regression on the inputs leaves of them: both must differ, since other
           questions have other answers;
faults     the rates of flags that are faults in themselves.

A stream that wanders differs between any two of its stretches. So the noise of a chunk's mean is measured on how
neighbouring chunks differ, which an incident with two edges hardly touches, and what is called an incident is far
beyond it, and large. Ordinary traffic has none in a hundred references (`benchmarks/references.py`).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from monitor.detection.columns.duplicates import Repetitions
from monitor.detection.columns.recent_rows import segments_of
from monitor.detection.columns.stream_rows import StreamRows, quotable
from monitor.detection.diagnosis import classify, feature_changes, naming
from monitor.detection.diagnosis.change_point import credible_interval
from monitor.detection.diagnosis.finding_builder import Quoted, build
from monitor.detection.diagnosis.sentences import joined, sentence
from monitor.detection.diagnosis.shift import shift
from monitor.detection.records.context import Context
from monitor.detection.records.finding import (
    EXAMPLES,
    BeganAt,
    Driver,
    Excerpt,
    Finding,
    FindingKind,
    RaisedAt,
)
from monitor.detection.records.plain_numbers import finite
from monitor.detection.reference.moments import CLIP
from monitor.detection.reference.reference import Reference

Array = NDArray[np.float64]

MAX_CHUNKS = 20
"""Parts of the warm-up between which a stretch may begin and end, before its edges are sought row by row: 190 stretches
of at most half of them."""
MIN_CHUNKS, ROWS_OF_A_CHUNK = 8, 16
"""A short warm-up has fewer parts, of 16 rows where it can: means of shorter ones follow each other so closely in
autocorrelated traffic (0.8) that an ordinary wave looks like an incident."""
MIN_DISTANCE = 12.0
"""Standard deviations by which the squared distance of a stretch exceeds that of noise: in ordinary traffic the largest
of all stretches stays below it in a hundred references (`benchmarks/references.py`)."""
MIN_LENGTH = 1.0
"""Length of a stretch's shift in the whitened view, in standard deviations, without its noise: what differs by less is
no reason to leave rows out of a reference."""
MIN_LOG_RATIO_OF_FAULTS = 15.0
"""Log likelihood ratio of a stretch of faults: exp(-15) is one in three million, and there are some hundred stretches
and a dozen faults to choose from."""
MIN_RISE_OF_FAULTS = 0.1
"""By how much the rate of a fault is higher within a stretch: an incident that a person would call one."""
MIN_DISTANCE_OF_INPUTS = 6.0
"""As `MIN_DISTANCE`, of the inputs: beyond this the stretch was asked something else,"""
OUTPUTS_OUTWEIGH = 3.0
"""unless its outputs differ by this many times as much."""
MIN_RATE, MAX_RATE = 0.002, 0.998
"""Usual rates of faults are kept between these, where the variance of a rate is not zero."""
STEPS_LEFT_OUT = 2
"""Steps between neighbouring chunks that are an incident's two edges, the largest ones: left out of the noise."""
LEFT_OUT_FACTOR = 1.3
"""By how much the noise is then underestimated, with `MAX_CHUNKS` chunks."""


@dataclass(frozen=True)
class Stretch:
    """Rows from `start` to before `stop`; the start is between `low` and `high` with 90 %."""

    start: int
    stop: int
    low: int
    high: int

    def __len__(self) -> int:
        return self.stop - self.start

    def inside(self, n: int) -> NDArray[np.bool_]:
        """Which of n rows are in it."""
        place = np.arange(n)
        inside: NDArray[np.bool_] = (place >= self.start) & (place < self.stop)
        return inside


def incident(reference: Reference, learned_from: StreamRows, asked: str | None) -> Stretch | None:
    """The stretch of the rows, from which the reference was learned, that differs from the rest, if any does.

    A burst of one question is none: rows that repeat an earlier one do not count. `asked` is the feature that has a
    value exactly where an event has an input.
    """
    numbers, flags = learned_from.read_as(reference.layout)
    y = reference.scores(numbers, flags, segments_of(learned_from.segments))
    news = Repetitions().counts(learned_from.digests, learned_from.present(asked)) == 1.0
    rows = np.flatnonzero(news)
    chunks = min(MAX_CHUNKS, max(MIN_CHUNKS, len(rows) // ROWS_OF_A_CHUNK))
    length = len(rows) // chunks
    if not length:
        return None
    used = rows[: length * chunks]
    centred = y - reference.mean
    best: tuple[float, Array] | None = None
    for ratio in (_shifted(reference, centred, used, length), _faulty(reference, y, used, length)):
        if ratio is not None and (best is None or ratio[0] > best[0]):
            best = ratio
    return None if best is None else _edges(best[1], news)


def report(
    context: Context, clean: Reference, rows: StreamRows, indices: NDArray[np.int64], stretch: Stretch
) -> Finding | None:
    """What is said of a stretch that was left out of a reference learned from the rest of a warm-up's rows (n).

    None where nothing differs in it by its floor, measured against that reference.
    """
    inside = np.flatnonzero(stretch.inside(len(rows)))
    left_out = rows.take(inside)
    numbers, flags = left_out.read_as(clean.layout)
    moved = shift(clean, clean.scores(numbers, flags, segments_of(left_out.segments)))
    effect = np.where(clean.is_input, 0.0, feature_changes.effects(clean, moved, context.settings.floors))
    changes = feature_changes.changed_features(clean, moved, effect, numbers, flags, context.specs)
    if not changes:
        return None
    began, last, end = (int(indices[at]) for at in (stretch.start, stretch.stop - 1, -1))
    quoted = quotable(len(rows))
    inside, outside = inside[quoted[inside]], np.flatnonzero(quoted & ~stretch.inside(len(rows)))
    usual = outside[np.argsort(np.abs(outside - stretch.start), kind="stable")[:EXAMPLES]]
    before, after = (
        [Excerpt(rows.ids[at], *rows.excerpts[at]) for at in sorted(chosen.tolist())]
        for chosen in (usual, inside[:: max(1, len(inside) // EXAMPLES)][:EXAMPLES])
    )
    said = naming.placed(changes, naming.sureties(clean, moved), Driver.OUTPUT, context.specs)
    parts = joined([sentence(change, context.specs) for change in naming.named(said, context.specs)[: classify.FIRST]])
    where = f"events {began:,} to {last:,}"
    cause = (
        f"Of the {len(rows):,} events from which the reference is learned, {where} differ from the rest: {parts}. They "
        "were left out of it. If they are what is normal, learn a new reference from now on: oqm reference pin "
        f"{shlex.quote(context.stream)}"
    )
    title = f"{context.stream}: its reference leaves out {where}, which differ from the rest"
    return build(
        context.stream,
        FindingKind.REFERENCE,
        (title, cause),
        (
            RaisedAt(rows.ids[-1], end, finite(float(rows.times[-1]))),
            BeganAt(
                began, int(indices[stretch.low]), int(indices[stretch.high]), finite(float(rows.times[stretch.start]))
            ),
        ),
        fires=False,
        changes=said,
        features=context.specs,
        quoted=Quoted.of(before, after),
    )


def _shifted(reference: Reference, centred: Array, used: NDArray[np.intp], length: int) -> tuple[float, Array] | None:
    """For the stretch whose outputs differ most: its log likelihood ratio, and each row's (n); None if it is none."""
    joints = reference.outputs.joints
    if not joints:
        return None
    views = [np.clip(centred[:, : len(joint.project)] @ joint.project, -CLIP, CLIP) for joint in joints]
    scans = [_scan(view[used], length) for view in views]
    far = np.min([scan.far for scan in scans], axis=0)
    chosen = int(np.argmax(far))
    if far[chosen] < MIN_DISTANCE or min(scan.large[chosen] for scan in scans) < MIN_LENGTH:
        return None
    for joint in reference.inputs.joints:
        asked = np.clip(centred[:, : len(joint.project)] @ joint.project, -CLIP, CLIP)
        if _scan(asked[used], length).far[chosen] > max(MIN_DISTANCE_OF_INPUTS, far[chosen] / OUTPUTS_OUTWEIGH):
            return None
    scan = scans[0]
    within, without = scan.within[chosen], scan.without[chosen]
    ratio = ((views[0] - (within + without) / 2) * ((within - without) / scan.inflation)).sum(1)
    return float(ratio[used].clip(0).sum()), ratio


def _faulty(reference: Reference, y: Array, used: NDArray[np.intp], length: int) -> tuple[float, Array] | None:
    """The same for the fault that a stretch has more of than the rest."""
    failures = reference.outputs.failures
    if not len(failures.columns):
        return None
    flags = y[:, failures.columns]
    usual = np.clip(flags[used].mean(0), MIN_RATE, MAX_RATE)
    scan = _scan(flags[used] / np.sqrt(usual * (1 - usual)), length)
    size = scan.sizes[:, None] * length
    rest = len(used) - size
    within, without = (rate * np.sqrt(usual * (1 - usual)) for rate in (scan.within, scan.without))
    whole = (size * within + rest * without) / len(used)
    gain = size * _divergence(within, whole) + rest * _divergence(without, whole)
    gain = np.where(within - without >= MIN_RISE_OF_FAULTS, gain / scan.inflation, 0.0)
    chosen, worst = np.unravel_index(int(np.argmax(gain)), gain.shape)
    if gain[chosen, worst] < MIN_LOG_RATIO_OF_FAULTS:
        return None
    inside, outside = (float(np.clip(rate[chosen, worst], MIN_RATE, MAX_RATE)) for rate in (within, without))
    x = flags[:, worst]
    ratio = x * np.log(inside / outside) + (1 - x) * np.log((1 - inside) / (1 - outside))
    return float(gain[chosen, worst]), ratio


def _divergence(p: Array, q: Array) -> Array:
    """Kullback-Leibler divergence of Bernoulli p from q."""
    p, q = np.clip(p, 1e-9, 1 - 1e-9), np.clip(q, 1e-9, 1 - 1e-9)
    divergence: Array = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return divergence


@dataclass(frozen=True)
class _Scan:
    """Every stretch of chunks (s): how many chunks, mean within and without (s, m), how far and how large the shift."""

    sizes: NDArray[np.intp]
    within: Array
    without: Array
    inflation: Array
    far: Array
    large: Array


def _scan(u: Array, length: int) -> _Scan:
    """Rows u (chunks of `length`, m), about of variance 1."""
    m = u.shape[1]
    count = len(u) // length
    chunks = u.reshape(count, length, m).mean(1)
    sums = np.concatenate([np.zeros((1, m)), np.cumsum(chunks, axis=0)])
    first, last = (np.asarray(ends, dtype=np.intp) for ends in zip(*_stretches(count), strict=True))
    sizes = last - first
    inside = sums[last] - sums[first]
    within = inside / sizes[:, None]
    without = (sums[-1] - inside) / (count - sizes)[:, None]
    # The two largest steps between neighbours are an incident's own.
    steps = np.sort(np.diff(chunks, axis=0) ** 2, axis=0)[:-STEPS_LEFT_OUT]
    inflation = np.maximum(steps.mean(0) / 2 * length * _left_out(count), 1.0)
    noise = inflation * (1 / sizes + 1 / (count - sizes))[:, None] / length
    square = (within - without) ** 2
    far = ((square / noise).sum(1) - m) / np.sqrt(2 * m)
    large = np.sqrt(np.maximum((square - noise).sum(1), 0.0))
    return _Scan(sizes, within, without, inflation, far, large)


def _stretches(count: int) -> list[tuple[int, int]]:
    return [
        (first, first + size)
        for size in range(1, count // 2 + 1)
        for first in range(count - size + 1)
    ]  # fmt: skip


def _left_out(count: int) -> float:
    """Factor for the two largest of the squared steps between chunks, which are left out.

    Of fewer steps, two are more. The share that the others have of all is that of expected order statistics of squared
    normal variables (Blom 1958).
    """

    def others(steps: int) -> float:
        expected = ndtri((1 + (np.arange(1, steps + 1) - 0.375) / (steps + 0.25)) / 2) ** 2
        return float(expected[:-STEPS_LEFT_OUT].mean() / expected.mean())

    return LEFT_OUT_FACTOR * others(MAX_CHUNKS - 1) / others(count - 1)


def _edges(ratio: Array, news: NDArray[np.bool_]) -> Stretch | None:
    """The rows between which the log likelihood ratio (n) adds up to most; None where that is more than half."""
    total = np.concatenate([[0.0], np.cumsum(np.where(news, ratio, 0.0))])
    lowest = np.minimum.accumulate(total)
    stop = int(np.argmax(total - lowest))
    start = int(np.argmin(total[: stop + 1]))
    if not 0 < stop - start <= len(ratio) // 2:
        return None
    low, high = credible_interval(-total[:stop])
    return Stretch(start, stop, min(low, start), max(high, start))
