from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tests.test_scenarios import corpus
from benchmarks.young import CHOSEN_ON, TRAFFIC, begun, interval
from monitor.detection.reference.young_reference import GROWN, least_rows
from monitor.detection.reference.zones import ZONE_SINGLE, young_widening


def test_an_interval_is_cloppers_and_pearsons() -> None:
    assert interval(0, 100) == pytest.approx((0.0, 0.03622), abs=1e-5)
    assert interval(2, 100) == pytest.approx((0.00243, 0.07038), abs=1e-5)


@pytest.mark.parametrize("name", TRAFFIC)
def test_a_stream_is_as_long_as_asked(name: str) -> None:
    made = corpus(400)
    rows = TRAFFIC[name](made, np.random.default_rng(1), 500, 200)
    assert len(rows) == 500
    assert rows.max() < len(made)


def test_questions_of_the_warm_up_never_come_again() -> None:
    made = corpus(400)
    rows = TRAFFIC["other questions"](made, np.random.default_rng(1), 500, 200)
    assert not set(made.prompts[rows[:200]]) & set(made.prompts[rows[200:]])


def test_half_of_the_models_were_not_chosen_on() -> None:
    assert len(set(CHOSEN_ON)) == 6


def test_a_monitor_begins_as_asked() -> None:
    assert begun(150).settings.warmup == 150


def test_a_young_zone_is_as_many_standard_errors_wide_as_a_grown_one() -> None:
    def in_errors(n: int) -> float:
        return (ZONE_SINGLE + young_widening(n) / np.sqrt(n)) * np.sqrt(n)

    assert [in_errors(n) for n in (50, 100, 200, 399)] == pytest.approx([in_errors(GROWN)] * 4)
    assert young_widening(GROWN) == young_widening(2_000) == 1.0


def test_a_short_warm_up_asks_for_the_same_share_of_its_rows() -> None:
    assert [least_rows(40, n, 20) for n in (100, 200, 300, 400, 5_000)] == [20, 20, 30, 40, 40]
