"""A count that is nearly always zero has no spread that could shrink, whatever quantiles between its knots say."""

from __future__ import annotations

import numpy as np

from monitor.detection.columns.normal_scores import compress
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.diagnosis.feature_changes import spread_changes
from monitor.detection.reference.learned_reference import LearnedReference, marks_of
from monitor.features.base import FeatureSpec, Kind

FAILED = "call.dependency.errors"
SPECS = {FAILED: FeatureSpec(FAILED, Kind.COUNT, "external calls that failed", "calls")}


def test_a_rare_count_does_not_vary_less() -> None:
    values = np.zeros(200)
    values[:5] = 1.0
    layout = WatchedColumns([FAILED], [], 0)
    marks = marks_of(np.arange(200, dtype=np.uint64))
    learned = LearnedReference.learn(layout, compress(values)[:, None], np.empty((200, 0)), [()] * 200, marks, 1)
    assert learned.reference.ranks.middle_half(0) > 0.01, "what is printed would be this"
    after = compress(np.zeros(60))[:, None]
    assert spread_changes(learned.reference, np.array([-9.0]), after, SPECS) == []
