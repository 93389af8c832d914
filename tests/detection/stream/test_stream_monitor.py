"""What a `StreamMonitor` takes, as a notebook gives it."""

from __future__ import annotations

import pytest

from monitor.detection import StreamMonitor
from tests.detection.streams import calm


def test_rows_of_two_streams_are_no_batch_of_one() -> None:
    batch = calm(4).batch(0, 4)
    batch.streams = ["a", "a", "b", "b"]
    monitor = StreamMonitor("a")
    with pytest.raises(ValueError, match=r"rows of 2 streams \(a, b\)"):
        monitor.observe(batch)
    assert monitor.events == 0
