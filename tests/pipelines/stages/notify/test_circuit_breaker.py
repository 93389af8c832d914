"""The circuit breaker of a receiver, with the time as an argument."""

from __future__ import annotations

import pytest

from monitor.settings import Delivery
from monitor.telemetry.worker_stats import CircuitState
from pipelines.stages.notify.circuit_breaker import CircuitBreaker, wait_before

OPENS_AFTER = 5
MAX_RETRY_AFTER_S = 3_600.0
SHARE_OF_GIVE_UP = 0.25
"""Numbers of the documented behaviour, written here once more: a change of one must be a decision."""


def circuit() -> CircuitBreaker:
    return CircuitBreaker(Delivery(), lambda: 1.0)


def opened(at: float = 0.0) -> CircuitBreaker:
    broken = circuit()
    for _ in range(OPENS_AFTER):
        assert broken.state(at) is CircuitState.CLOSED
        assert broken.admit(at) == 0.0
        broken.failed(at, None)
    assert broken.state(at) is CircuitState.OPEN
    return broken


def test_it_opens_at_the_fifth_failure() -> None:
    broken = circuit()
    for _ in range(4):
        broken.failed(0.0, None)
        assert broken.state(0.0) is CircuitState.CLOSED
    broken.failed(0.0, None)
    assert broken.state(0.0) is CircuitState.OPEN


def test_it_opens_after_failures_in_a_row_only() -> None:
    mixed = circuit()
    for _ in range(3):
        for _ in range(OPENS_AFTER - 1):
            mixed.failed(0.0, None)
        mixed.answered()
    assert mixed.state(0.0) is CircuitState.CLOSED
    opened()


def test_one_probe_goes_out_when_its_time_is_up_and_closes_it() -> None:
    broken = opened()
    assert broken.admit(0.25) == 0.75
    assert broken.state(1.0) is CircuitState.HALF_OPEN
    assert broken.admit(1.0) == 0.0
    assert broken.state(1.0) is CircuitState.HALF_OPEN
    assert broken.admit(1.0) == Delivery().first_retry  # the probe is under way
    broken.answered()
    assert broken.state(1.0) is CircuitState.CLOSED
    assert broken.admit(1.0) == 0.0


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_the_longest() -> None:
    broken, now, waits = opened(), 0.0, []
    for _ in range(12):
        waits.append(broken.admit(now))
        now += waits[-1]
        assert broken.admit(now) == 0.0
        broken.failed(now, None)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0, 300.0]


def test_a_wish_to_be_left_alone_holds_for_all_at_the_first_failure() -> None:
    asked = circuit()
    asked.failed(10.0, 42.0)
    assert asked.admit(10.0) == 42.0
    asked.failed(11.0, 60.0)  # one that was under way, asked to wait longer
    assert asked.admit(11.0) == 60.0
    asked.failed(12.0, 5.0)  # a shorter wish of another takes nothing from the longest
    assert asked.admit(12.0) == 59.0
    absurd = circuit()
    absurd.failed(0.0, 1e9)
    assert absurd.admit(0.0) == MAX_RETRY_AFTER_S == 3_600.0


def test_an_answer_closes_it_and_the_next_time_it_opens_for_the_first_wait_again() -> None:
    broken, now = opened(), 0.0
    for _ in range(3):
        now += broken.admit(now)
        assert broken.admit(now) == 0.0
        broken.failed(now, None)
    assert broken.admit(now) == 8.0
    broken.answered()
    assert broken.state(now) is CircuitState.CLOSED
    for _ in range(5):
        broken.failed(now, None)
    assert broken.admit(now) == 1.0


def test_changed_settings_hold_from_the_next_failure_on() -> None:
    broken = circuit()
    broken.use(Delivery(first_retry=7.0))
    for _ in range(5):
        broken.failed(0.0, None)
    assert broken.admit(0.0) == 7.0


def test_failures_of_what_was_under_way_when_it_opened_do_not_count_as_probes() -> None:
    broken = opened()
    for _ in range(20):
        broken.failed(0.5, None)
    assert broken.admit(0.5) == 0.5


def test_a_probe_that_is_broken_off_gives_its_place_to_the_next() -> None:
    broken = opened()
    assert broken.admit(1.0) == 0.0
    broken.abandoned()
    assert broken.admit(1.0) == 0.0


@pytest.mark.parametrize(("uniform", "waits"), [(1.0, [1.0, 2.0, 4.0, 300.0]), (0.0, [0.5, 1.0, 2.0, 150.0])])
def test_waits_double_up_to_the_longest_with_jitter(uniform: float, waits: list[float]) -> None:
    assert [wait_before(attempt, Delivery(), None, lambda: uniform) for attempt in (1, 2, 3, 40)] == waits


def test_waits_never_fall_below_the_receivers_wish() -> None:
    assert wait_before(1, Delivery(), 90.0, lambda: 0.0) == 90.0


@pytest.mark.parametrize("asked", [3_601.0, 90_000.0, 1e9])
@pytest.mark.parametrize("give_up_after", [4.0, 600.0, 86_400.0])
def test_no_wish_leaves_an_alert_without_further_attempts(asked: float, give_up_after: float) -> None:
    delivery = Delivery(give_up_after=give_up_after)
    longest = SHARE_OF_GIVE_UP * give_up_after
    assert wait_before(1, delivery, asked, lambda: 1.0) == min(MAX_RETRY_AFTER_S, longest)
    asking = CircuitBreaker(delivery, lambda: 1.0)
    asking.failed(0.0, asked)
    assert asking.admit(0.0) <= longest
    asking.failed(0.0, asked)  # one that was under way
    assert asking.admit(0.0) <= longest


def test_long_waits_of_the_settings_leave_room_for_attempts_too() -> None:
    delivery = Delivery(first_retry=3_600.0, longest_retry=7_200.0, give_up_after=600.0)
    assert wait_before(1, delivery, None, lambda: 1.0) == 150.0
