"""When rows are judged: `LEAST_BLOCK` at once, of a busy stream those of half a second, or what waits at a tick."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.detection import State
from monitor.detection.stream.blocks import BLOCK_SPAN_S, BLOCK_WAIT_S, LEAST_BLOCK, MOST_BLOCK
from tests.detection.streams import CHARS, WARMUP, calm, fired, replay, watch


@pytest.mark.parametrize(
    ("every", "block"),
    [(1.0, LEAST_BLOCK), (BLOCK_SPAN_S / 20, LEAST_BLOCK), (0.01, 51), (0.001, MOST_BLOCK), (math.nan, LEAST_BLOCK)],
)
def test_a_busy_stream_is_judged_in_larger_blocks(every: float, block: int) -> None:
    traffic = calm(1200, 3, every=1.0 if math.isnan(every) else every)
    if math.isnan(every):
        traffic.times[:] = np.nan
    traffic[CHARS][600:] *= 20
    monitor = watch()
    for row in range(len(traffic)):
        found = fired(monitor.observe(traffic.batch(row, row + 1)))
        if found:
            break
    assert 600 <= found[0].raised_at.index <= row  # reported where the evidence crossed, once its block was whole
    assert (row + 1 - WARMUP) % block == 0


def test_rows_enough_for_a_block_wait_half_a_second_and_few_wait_five() -> None:
    traffic = calm(WARMUP + 100, 6, every=0.001)
    monitor = watch()
    replay(monitor, traffic, 0, WARMUP + LEAST_BLOCK - 1)
    first = float(traffic.times[WARMUP])
    assert not monitor.waits_for(first + BLOCK_WAIT_S - 0.1)
    assert monitor.waits_for(first + BLOCK_WAIT_S)
    replay(monitor, traffic, WARMUP + LEAST_BLOCK - 1, WARMUP + LEAST_BLOCK)
    assert not monitor.waits_for(first + BLOCK_SPAN_S - 0.1)
    assert monitor.waits_for(first + BLOCK_SPAN_S)


def test_what_goes_on_is_looked_at_in_small_blocks() -> None:
    traffic = calm(2400, 3, every=0.001)
    traffic[CHARS][600:900] *= 20
    monitor = watch()
    found = {row: monitor.observe(traffic.batch(row, row + 1)) for row in range(len(traffic))}
    ended = [row for row, findings in found.items() if any(f.state is State.RESOLVED for f in findings)]
    assert ended
    assert ended[0] < 900 + 200 + 3 * LEAST_BLOCK  # 200 events resolve it
