"""When a change began, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection.diagnosis.change_point import column_change_point, credible_interval
from tests.detection.diagnosis.test_shift import reference


@pytest.mark.parametrize("at", [40, 150, 280])
def test_a_large_step_is_found_where_it_is(at: int) -> None:
    rng = np.random.default_rng(at)
    normal = reference(rng.normal(size=2048))
    y = normal.mean + rng.normal(size=(320, len(normal.mean))) * normal.sd
    y[at:, 0] += 3 * normal.sd[0]
    point = column_change_point(normal, np.asarray([0], dtype=np.intp), y)
    assert abs(point.position - at) <= 2
    assert point.low <= at <= point.high


def test_the_interval_holds_nine_tenths_of_the_tempered_likelihood() -> None:
    flat = np.zeros(1000)
    assert credible_interval(flat) == (49, 949)
    sharp = np.full(1000, -1e9)
    sharp[700] = 0.0
    assert credible_interval(sharp) == (700, 700)


def test_the_interval_depends_on_differences_only() -> None:
    total = np.random.default_rng(2).normal(size=50).cumsum()
    assert credible_interval(total) == credible_interval(total + 1e6)
