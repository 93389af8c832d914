from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.detection.wire import Tick
from monitor.features.batch import FeatureBatch
from pipelines.event_time import TICK_EVERY_S, EventTimeTicks
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


def test_without_times_there_are_no_ticks() -> None:
    ticks = EventTimeTicks()
    (part,) = ticks.interleave(rows_at([math.nan, math.nan]))
    assert isinstance(part, FeatureBatch)
