"""When a change began, and how sure that is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.detection.diagnosis.change_point import change_point, column_change_point, credible_interval
from monitor.detection.reference.reference import Reference
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


def ordinary(n: int, seed: int) -> tuple[Reference, NDArray[np.float64]]:
    """A reference of one number and one fault, at 5 %, and n rows like it."""
    rng = np.random.default_rng(seed)
    normal = reference(rng.normal(size=2048), (rng.random(2048) < 0.05).astype(float))
    y = np.column_stack([normal.mean[0] + rng.normal(size=n) * normal.sd[0], (rng.random(n) < 0.05).astype(float)])
    return normal, y


@pytest.mark.parametrize("at", [40, 150, 280])
def test_a_step_is_found_in_whitened_scores(at: int) -> None:
    normal, y = ordinary(320, at)
    y[at:, 0] += 3 * normal.sd[0]
    point = change_point(normal, normal.outputs, y, {"joint"})
    assert abs(point.position - at) <= 2
    assert point.low <= at <= point.high


@pytest.mark.parametrize("at", [40, 150, 280])
def test_a_rate_is_found_by_its_flag_whatever_a_number_does_elsewhere(at: int) -> None:
    normal, y = ordinary(320, at)
    y[at:, 1] = np.arange(320 - at) % 5 > 0  # four of five from here on
    y[100:, 0] += 2 * normal.sd[0]
    point = change_point(normal, normal.outputs, y, {"failure"})
    assert abs(point.position - at) <= 4
    assert point.low <= at <= point.high
    assert abs(change_point(normal, normal.outputs, y, {"joint"}).position - 100) <= 5


def test_a_rate_that_falls_is_found_too() -> None:
    rng = np.random.default_rng(5)
    normal = reference(rng.normal(size=2048), (rng.random(2048) < 0.6).astype(float))
    y = np.column_stack([normal.mean[0] + rng.normal(size=320), (rng.random(320) < 0.6).astype(float)])
    y[200:, 1] = 0.0
    assert abs(change_point(normal, normal.outputs, y, {"failure"}).position - 200) <= 4


def test_a_column_is_looked_at_in_its_own_scale() -> None:
    """A level of five and a spread of a tenth: scores are centred and scaled before they are compared."""
    normal = SimpleNamespace(mean=np.array([5.0, -5.0]), sd=np.array([0.1, 10.0]))
    rng = np.random.default_rng(1)
    y = normal.mean + normal.sd * rng.normal(size=(320, 2))
    y[200:, 0] += 0.2
    point = column_change_point(cast(Reference, normal), np.array([0, 1]), y)
    assert abs(point.position - 200) <= 4
    assert point.high - point.low < 20


def test_fewer_than_five_rows_have_no_change_point() -> None:
    normal = SimpleNamespace(mean=np.zeros(1), sd=np.ones(1))
    for n, interval in ((0, (0, 0, 0)), (1, (0, 0, 0)), (4, (0, 0, 3))):
        point = column_change_point(cast(Reference, normal), np.array([0]), np.ones((n, 1)))
        assert (point.position, point.low, point.high) == interval
