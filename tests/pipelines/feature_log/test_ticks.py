from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.detection.records.log_format import Tick
from monitor.features.batch import FeatureBatch, concat
from pipelines.feature_log.ticks import TICK_EVERY_S, EventTimeTicks
from tests.pipelines.rows import rows_at


def log(times: list[float], cuts: list[int]) -> list[float | str]:
    """Ticks as times, rows as ids, with the rows cut into batches of these sizes."""
    ticks, out, start = EventTimeTicks(), [], 0
    batch = rows_at(times)
    for size in [*cuts, len(times)]:
        part = batch.take(np.arange(start, min(start + size, len(times))))
        start += len(part)
        for one in ticks.interleave(part) if len(part) else ():
            out += [one.time] if isinstance(one, Tick) else list(one.ids)
    return out


@given(st.lists(st.one_of(st.floats(0, 1e6), st.just(math.nan)), max_size=30), st.lists(st.integers(1, 9), max_size=10))
def test_ticks_do_not_depend_on_how_rows_were_cut(times: list[float], cuts: list[int]) -> None:
    assert log(times, cuts) == log(times, [])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_rows_keep_their_order_and_ticks_only_rise(times: list[float]) -> None:
    out = log(times, [])
    assert [one for one in out if isinstance(one, str)] == [str(i) for i in range(len(times))]
    ticks = [one for one in out if not isinstance(one, str)]
    assert all(later - earlier >= TICK_EVERY_S for earlier, later in itertools.pairwise(ticks))
    assert all(tick <= max(times) for tick in ticks)


def test_a_pause_is_ticked_through_at_little_cost() -> None:
    out = log([0.0, 7 * 86_400.0], [])
    ticks = [one for one in out if not isinstance(one, str)]
    assert ticks[0] == TICK_EVERY_S
    assert ticks[-1] > 0.75 * 7 * 86_400
    assert len(ticks) < 60


def test_a_streams_ticks_follow_from_its_own_rows_alone() -> None:
    a, b = rows_at([0.0, 7.0, 8.0, 30.0], "a"), rows_at([3.0, 1e6, 1e6 + 1, 1e6 + 60], "b", first=10)

    def of(stream: str, batches: list[FeatureBatch]) -> list[float | str]:
        ticks, out = EventTimeTicks(), []
        for batch in batches:
            for part in ticks.interleave(batch):
                if isinstance(part, Tick):
                    out += [part.time] if part.stream == stream else []
                else:
                    out += [i for i, name in zip(part.ids, part.streams, strict=True) if name == stream]
        return out

    both = concat([a, b])
    for stream, alone in (("a", a), ("b", b)):
        expected = of(stream, [alone])
        assert any(isinstance(one, float) for one in expected)
        assert isinstance(expected[-1], str), "no tick behind the last row: the end of a file is no silence"
        for order in ([0, 1, 2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 0, 1, 2, 3], [0, 4, 1, 5, 2, 6, 3, 7]):
            mixed = both.take(np.asarray(order))
            assert of(stream, [mixed]) == expected
            assert of(stream, [mixed.take(np.arange(3)), mixed.take(np.arange(3, 8))]) == expected


def test_without_times_there_are_no_ticks() -> None:
    ticks = EventTimeTicks()
    (part,) = ticks.interleave(rows_at([math.nan, math.nan]))
    assert isinstance(part, FeatureBatch)
