"""Rates of a young reference: its widening is about the zones of numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.criteria.criterion import Criterion
from monitor.criteria.derived import judged_features, judged_stream
from monitor.detection import StreamMonitor
from monitor.detection.settings import DetectionSettings
from monitor.features.batch import FeatureBatch
from monitor.settings.derived import judged_detection

CRITERION = Criterion.model_validate({"name": "answers", "pass": "addresses what was asked", "evaluator": "main"})
STREAM = judged_stream("shop/answers", CRITERION.name)
EVERY_S = 432.0  # between two verdicts: 200 a day
SETTINGS = judged_detection(DetectionSettings(alert_budget=(1.0, 10_000 * EVERY_S)))


def verdicts(failed: NDArray[np.bool_], first: int = 0) -> FeatureBatch:
    n = len(failed)
    numbers = np.arange(first, first + n)
    return FeatureBatch(
        names=(CRITERION.feature,),
        values=failed.astype(np.float32)[:, None],
        streams=[STREAM] * n,
        ids=[f"e{number}" for number in numbers],
        times=1.79e9 + EVERY_S * numbers,
        digests=numbers.astype(np.uint64) + np.uint64(1),
        segments=[{}] * n,
        input_excerpts=[""] * n,
        output_excerpts=[""] * n,
        source="judgments",
        source_partitions=np.zeros(n, dtype=np.int32),
        source_offsets=numbers.astype(np.int64),
    )


def learned() -> StreamMonitor:
    """A monitor that has seen 100 verdicts, one failure in twelve."""
    monitor = StreamMonitor(STREAM, SETTINGS, judged_features([CRITERION]))
    assert monitor.observe(verdicts(np.arange(100) % 12 == 0)) == []
    return monitor


def test_a_reference_of_verdicts_alone_counts_each_of_its_rows() -> None:
    reference = learned()._monitors.main.original.reference  # type: ignore[union-attr]
    assert reference.young
    assert reference.effective == pytest.approx(100, rel=0.02)


def test_a_large_fall_is_found_from_a_hundred_verdicts() -> None:
    found = [one for one in learned().observe(verdicts(np.arange(320) % 3 == 0, first=100)) if one.opens]
    assert len(found) == 1
    assert found[0].raised_at.index < 300
