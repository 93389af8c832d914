"""Rates of a young reference: its widening is about the zones of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.judged import SETTINGS, SPECS, STREAM, opened, rows
from monitor.detection import StreamMonitor


def test_a_reference_of_verdicts_alone_counts_each_of_its_rows() -> None:
    monitor = StreamMonitor(STREAM, SETTINGS, SPECS)
    monitor.observe(rows(np.arange(100) % 12 == 0, 0))
    reference = monitor._monitors.main.original.reference  # type: ignore[union-attr]
    assert reference.young
    assert reference.effective == pytest.approx(100, rel=0.02)


def test_a_large_fall_is_found_from_a_hundred_verdicts() -> None:
    monitor = StreamMonitor(STREAM, SETTINGS, SPECS)
    assert opened(monitor.observe(rows(np.arange(100) % 12 == 0, 0))) == []
    found = opened(monitor.observe(rows(np.arange(320) % 3 == 0, 100)))
    assert len(found) == 1
    assert found[0] < 300
