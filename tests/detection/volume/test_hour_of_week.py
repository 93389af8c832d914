"""What is usual: the shape of the week as far as it is known, and how far blocks of windows stray from it."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection.state.snapshot_codec import encode
from monitor.detection.volume.dispersion import SCALES, Dispersion
from monitor.detection.volume.hour_of_week import HOUR_S, WEEK_HOURS, HourOfWeek, hour_of
from tests.detection.streams import read_again

MONDAY = 1_700_438_400.0
"""2023-11-20 00:00 UTC."""


def _shape(hours: int) -> HourOfWeek:
    """A stream of 10 events an hour, but 100 at nine o'clock, and none at weekends, from a Monday on."""
    shape = HourOfWeek()
    for hour in range(hours):
        count = 0.0 if hour % WEEK_HOURS >= 120 else 100.0 if hour % 24 == 9 else 10.0
        shape.learn(hour, 1, HOUR_S, count, count / HOUR_S)
    return shape


def test_hours_count_from_a_monday() -> None:
    assert hour_of(MONDAY) % WEEK_HOURS == 0
    assert hour_of(MONDAY + 26 * HOUR_S + 1) % WEEK_HOURS == 26


def test_an_hour_that_was_not_seen_is_as_on_other_days_and_then_as_on_its_own() -> None:
    saturday_at_nine = 5 * 24 + 9
    young, old = _shape(50), _shape(WEEK_HOURS + 50)
    assert young.usual(saturday_at_nine, 1, weekly=True).typical * HOUR_S == pytest.approx(100, rel=0.05)
    assert old.usual(saturday_at_nine, 1, weekly=True).typical * HOUR_S == pytest.approx(0, abs=0.1)
    assert old.usual(24 + 9, 1, weekly=True).typical * HOUR_S == pytest.approx(100, rel=0.05)


def test_the_band_takes_in_the_hours_around() -> None:
    usual = _shape(WEEK_HOURS + 50).usual(24 + 10, 1, weekly=True)
    assert usual.least * HOUR_S == pytest.approx(10, rel=0.05)
    assert usual.typical * HOUR_S == pytest.approx(10, rel=0.05)
    assert usual.most * HOUR_S == pytest.approx(100, rel=0.05)


def test_what_an_hour_brings_is_usual_two_hours_later() -> None:
    shape = _shape(50)
    before = shape.usual(50, 1, weekly=False)
    shape.learn(50, 1, HOUR_S, 5000.0, 2.0)
    shape.learn(51, 1, HOUR_S, 5000.0, 2.0)
    assert shape.usual(50, 1, weekly=False).most == pytest.approx(before.most, rel=1e-3)
    shape.learn(52, 1, HOUR_S, 10.0, 0.0)
    assert shape.usual(50, 1, weekly=False).most == 2.0


def test_the_shape_restores_bit_for_bit() -> None:
    shape = _shape(200)
    other = HourOfWeek.from_state(read_again(shape.to_state()))
    assert encode(other.to_state()) == encode(shape.to_state())
    assert other.usual(200, 1, weekly=True) == shape.usual(200, 1, weekly=True)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("dispersion", [0.05, 0.5, 1.0])
def test_dispersion_is_found_and_falls_with_the_length_of_blocks_where_bursts_are_alone(
    side: int, dispersion: float
) -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(100 * rng.gamma(1 / dispersion, dispersion, 8000))
    spread = Dispersion(side)
    for place, scale in enumerate(SCALES[:4]):
        for block in counts.reshape(-1, scale):
            spread.take(place, float(block.sum()), 100.0 * scale)
    found = spread.dispersions()
    assert found[0] == pytest.approx(dispersion, rel=0.6)
    assert found[3] == pytest.approx(dispersion / 8, rel=0.6)


def test_a_rate_that_goes_far_for_long_keeps_its_dispersion() -> None:
    levels = np.random.default_rng(4).lognormal(-0.125, 0.5, 500).repeat(8)
    spread = Dispersion(-1)
    for place, scale in enumerate(SCALES[:4]):
        for block in levels.reshape(-1, scale):
            spread.take(place, 100.0 * float(block.sum()), 100.0 * scale)
    found = spread.dispersions()
    assert found[3] == pytest.approx(found[0], rel=0.3)


def test_of_little_known_a_rate_may_wander() -> None:
    fresh = Dispersion(-1).dispersions()
    assert (fresh == fresh[0]).all()
