"""A window's counts against plain numpy over the same values: exact decisions, in any cut, in bounded state."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.config_values.thresholds import SHARES, Threshold
from monitor.detection.thresholds.window_counts import SECTIONS, Reading, WindowCounts
from tests.detection.streams import LATENCY, REFUSAL, read_again

START = 1_000_000.0


def counts(**given: Any) -> WindowCounts:
    return WindowCounts(Threshold.model_validate({"name": "n", "feature": LATENCY, **given}))


def by_events(window: WindowCounts, values: NDArray[np.float32], cuts: list[int]) -> list[Reading]:
    """Readings at the end of each section, as rows come in these parts."""
    read = []
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(values)), len(values)]
    for first, last in pairwise(edges):
        while first < last:
            size = window.by_events(last - first)
            part = np.arange(first, first + size)
            window.count(values[part], part, START + part)
            first += size
            if window.counted % int(window.length) == 0:
                read.append(window.read())
    return read


@pytest.mark.parametrize(
    "given",
    [
        {"p95": "< 6s"},
        {"p99": "<= 9s"},
        {"median": "> 2s"},
        {"p90": ">= 4s"},
        {"mean": "< 2.5s"},
        {"max": "< 12s"},
        {"min": "> 0.2s"},
        {"share": "< 60%"},
    ],
)
def test_every_look_decides_as_the_last_values_do(given: dict[str, str]) -> None:
    rng = np.random.default_rng(3)
    values = np.round(np.exp(rng.normal(0.2, 0.7, 4000)), 2).astype(np.float32)
    values[1500:2500] *= 3
    if "share" in given:
        values = (values > 1.1).astype(np.float32)
    window = counts(**given, window="400 events", at_least=20)
    limit, statistic = window.limit, window.statistic.value
    read = by_events(window, values, [])
    assert len(read) == 4000 // 20
    wrong = 0
    for look, reading in enumerate(read, 1):
        last = values[max(0, 20 * look - 400) : 20 * look].astype(np.float64)
        exact = {
            "mean": last.mean(),
            "share": (last > 0).mean(),
            "max": last.max(),
            "min": last.min(),
        }.get(statistic)
        if exact is None:
            exact = np.sort(last)[math.ceil(round(SHARES[statistic] * len(last), 9)) - 1]
        assert reading.values == len(last)
        assert reading.known
        assert reading.outside == limit.is_beyond(round(float(exact), 6)), (look, exact)
        assert reading.value == pytest.approx(exact, rel=0.006)
        wrong += reading.outside
    assert 0 < wrong < len(read)  # the limits above are such that both happen


@given(st.integers(0, 50), st.lists(st.integers(1, 600), max_size=6), st.sampled_from(["p95", "mean"]))
def test_neither_the_cut_nor_a_snapshot_changes_anything(seed: int, cuts: list[int], statistic: str) -> None:
    values = np.exp(np.random.default_rng(seed).normal(0, 1, 600)).astype(np.float32)
    whole, parts = (counts(**{statistic: "< 3s"}, window="100 events") for _ in range(2))
    assert by_events(whole, values, []) == by_events(parts, values, cuts)
    again = counts(**{statistic: "< 3s"}, window="100 events")
    again.number, again.counted = whole.number, whole.counted
    again.restore([read_again(section) for section in whole.to_state()])
    assert again.read(open_section=True) == whole.read(open_section=True)
    assert len(whole.to_state()) <= SECTIONS + 1


def test_state_is_bounded_whatever_comes() -> None:
    window = counts(p95="< 3s", window="1h")
    rng = np.random.default_rng(0)
    times = START + np.sort(rng.uniform(0, 30 * 3600.0, 20_000))
    values = np.concatenate([10.0 ** rng.uniform(-38, 38, 19_000), np.full(1000, 3e38)]).astype(np.float32)
    for row in range(20_000):
        for _ in window.advance(float(times[row])):
            pass
        window.count(values[row : row + 1], np.arange(row, row + 1), times[row : row + 1])
    assert len(window.to_state()) <= SECTIONS + 1
    assert math.isfinite(window.read().value or 0.0)


def test_after_a_pause_the_last_values_are_looked_at_before_they_are_too_old() -> None:
    window = counts(mean="< 2s", window="1h")
    list(window.advance(START))
    window.count(np.full(100, 9.0, dtype=np.float32), np.arange(100), np.full(100, START))
    seen = [window.read() for _ in window.advance(START + 86_400.0)]
    assert [(reading.values, reading.outside) for reading in seen] == [(100, True), (0, False)]


def test_a_late_value_counts_in_its_own_section_and_one_too_late_not_at_all() -> None:
    window = counts(mean="< 2s", window="1h")
    list(window.advance(START + 7200.0))
    times = np.asarray([START + 7200.0, START + 5400.0, START])
    window.count(np.ones(3, dtype=np.float32), np.arange(3), times)
    assert sum(section.values for section in window.to_state()) == 2


def test_a_share_counts_true_and_a_limit_is_met_in_the_precision_of_the_log() -> None:
    tenth = np.full(100, 0.1, dtype=np.float32)
    for one, outside in (({"max": "<= 0.1"}, False), ({"mean": "<= 0.1"}, False), ({"p95": "< 0.1"}, True)):
        assert by_events(counts(**one, window="100 events"), tenth, [])[-1].outside is outside
    flags = np.asarray([1.0, 1.0] + [0.0] * 98, dtype=np.float32)
    for limit, outside in (("< 2%", True), ("<= 2%", False), ("> 2%", True), (">= 2%", False)):
        window = counts(feature=REFUSAL, share=limit, window="100 events")
        assert by_events(window, flags, [])[-1].outside is outside


def test_a_rate_that_is_too_low_is_known_when_a_whole_window_has_passed() -> None:
    low = WindowCounts(Threshold.model_validate({"name": "n", "rate": "> 10 per h", "window": "1h"}))
    high = WindowCounts(Threshold.model_validate({"name": "n", "rate": "< 10 per h", "window": "1h"}))
    for window in (low, high):
        list(window.advance(START))
        window.count(np.ones(12, dtype=np.float32), np.arange(12), np.full(12, START))
        list(window.advance(START + 600.0))
    assert (low.read().known, high.read().known, high.read().outside) == (False, True, True)
    list(low.advance(START + 4000.0))
    assert low.read().known
