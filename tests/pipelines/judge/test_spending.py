from __future__ import annotations

from typing import Any

import pytest

from monitor.evaluators.chat import ChatConfig
from pipelines.judge.spending import DAY_S, LOWEST_SCALE, Spending

NOON = 20_000 * DAY_S + DAY_S / 2


def spending(**settings: Any) -> Spending:
    config = {"kind": "chat", "name": "main", "url": "http://127.0.0.1:1", "model": "m", **settings}
    return Spending(ChatConfig.model_validate(config))


def asked(made: Spending, per_minute: int, minutes: int, start: float = NOON) -> float:
    """Demand of so many outputs a minute; the time after it."""
    for minute in range(minutes):
        for _ in range(per_minute):
            made.asked(start + 60 * minute)
    return start + 60 * minutes


def test_without_limits_nothing_is_lowered() -> None:
    made = spending()
    now = asked(made, 100, 30)
    assert made.adjust(now) == 1.0
    assert all(made.begins(now) for _ in range(1_000))


def test_the_draw_is_lowered_so_that_the_budget_lasts_until_the_end_of_the_day() -> None:
    made = spending(spend={"usd_per_day": 10.0}, prices={"input": 1.0})
    made.begins(NOON)
    made.ends(0.01, 10_000)
    now = asked(made, 10, 60)  # at a cent each 66 dollars more until midnight, of 9.99 that are left
    assert made.adjust(now) == pytest.approx(9.99 / (0.01 * 10 / 60 * (DAY_S / 2 - 3_600)), rel=0.02)
    # The next day begins with all of it, which 10 a minute would spend by a factor 14.4.
    assert made.adjust(now + DAY_S / 2) == pytest.approx(10 / 144, rel=0.1)


def test_a_first_burst_is_no_rate() -> None:
    made = spending(requests_per_minute=60)
    for _ in range(300):
        made.asked(NOON)
    assert made.adjust(NOON) == 1.0
    now = asked(made, 240, 60)
    assert made.adjust(now) == pytest.approx(0.25, rel=0.05)


def test_what_is_spent_is_spent() -> None:
    made = spending(spend={"tokens_per_day": 1_000})
    for _ in range(10):
        assert made.begins(NOON)
        made.ends(0.0, 100)
    assert not made.begins(NOON)
    assert made.spent_share == 1.0
    assert made.adjust(asked(made, 1, 20)) == LOWEST_SCALE
    assert made.begins(NOON + DAY_S)


def test_questions_under_way_count_towards_the_budget() -> None:
    made = spending(spend={"tokens_per_day": 1_000})
    assert made.begins(NOON)
    made.ends(0.0, 100)
    assert sum(made.begins(NOON) for _ in range(50)) == 9


def test_several_workers_share_a_budget_and_a_restart_forgets_nothing() -> None:
    made = spending(spend={"tokens_per_day": 1_000})
    made.assigned(0.5, spent_usd=0.0, spent_tokens=400, now=NOON)
    assert made.begins(NOON)
    made.ends(0.0, 100)
    assert sum(made.begins(NOON) for _ in range(50)) == 2
    made.assigned(0.5, spent_usd=0.0, spent_tokens=1_500, now=NOON)
    assert not made.begins(NOON)
