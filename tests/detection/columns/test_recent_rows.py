"""The last rows of a stream: as many as are asked for, however they came, and the same after a snapshot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detection.columns.recent_rows import EXCERPTS, LENGTH, NAMED, RecentRows
from monitor.detection.state.snapshot_codec import encode
from tests.detection.streams import read_again

ROWS, K, M = 1000, 3, 11
_RNG = np.random.default_rng(1)
NUMBERS = _RNG.normal(size=(ROWS, K)).astype(np.float16)
FLAGS = np.where(_RNG.random((ROWS, M)) < 0.2, np.nan, _RNG.random((ROWS, M)) < 0.5)
IDS = [f"event {i}" for i in range(ROWS)]
SEGMENTS = [(("task", str(i // 100)),) for i in range(ROWS)]
ALL = np.arange(ROWS)
EVERY_OTHER = np.arange(0, 2 * ROWS, 2)


def history(cuts: list[int], indices: np.ndarray = ALL, ids: list[str] = IDS) -> RecentRows:
    held = RecentRows(K, M)
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), ROWS], strict=True):
        part = slice(start, stop)
        times, marks = indices[part] / 2.0, indices[part].astype(np.uint16)
        quoted = [(f"asked {i}", f"answered {i}") for i in range(start, stop)]
        held.append(indices[part], NUMBERS[part], FLAGS[part], times, marks, ids[part], SEGMENTS[part], quoted)
    return held


@given(st.lists(st.integers(1, ROWS - 1), max_size=6, unique=True), st.sampled_from([ALL, EVERY_OTHER]))
def test_the_last_rows_are_held(cuts: list[int], indices: np.ndarray) -> None:
    held = history(cuts, indices)
    assert len(held) == LENGTH
    assert held.indices.tolist() == indices[-LENGTH:].tolist()
    assert held.first_index == indices[-LENGTH]
    assert np.array_equal(held.numbers, NUMBERS[-LENGTH:])
    assert np.array_equal(held.flag_values(), FLAGS[-LENGTH:], equal_nan=True)
    assert held.times.tolist() == (indices[-LENGTH:] / 2).tolist()
    assert held.segments == SEGMENTS[-LENGTH:]
    assert held.first_id <= LENGTH - NAMED
    assert held.first_excerpt <= LENGTH - EXCERPTS
    for position in (LENGTH - 1, held.first_excerpt):
        row = ROWS - LENGTH + position
        quote = held.excerpt(position)
        assert (quote.event_id, quote.input, quote.output) == (IDS[row], f"asked {row}", f"answered {row}")
    assert held.event_id(-1) == IDS[-1]


@pytest.mark.parametrize("indices", [ALL, EVERY_OTHER])
@pytest.mark.parametrize("cuts", [[100, 700, 990], [100, 700], [100, 955]], ids=["few", "many", "ids replaced"])
def test_a_restored_history_goes_on_as_the_original(cuts: list[int], indices: np.ndarray) -> None:
    original = history(cuts, indices)
    restored = RecentRows.from_state(read_again(original.to_state()))
    for held in (original, restored):
        more = (NUMBERS[:5], FLAGS[:5], np.zeros(5), np.zeros(5, dtype=np.uint16))
        held.append(5000 + np.arange(5), *more, IDS[:5], SEGMENTS[:5], [("", "")] * 5)
    assert encode(restored.to_state()) == encode(original.to_state())
    assert restored.segments == original.segments
    assert restored.excerpt(restored.first_excerpt) == original.excerpt(original.first_excerpt)


def test_ids_that_are_no_text_are_held() -> None:
    odd = [f"\udcff{i}" for i in range(ROWS)]
    held = RecentRows.from_state(read_again(history([900], ids=odd).to_state()))
    assert held.event_id(-1) == odd[-1]
    assert held.excerpt(LENGTH - 2).event_id == odd[-2]
