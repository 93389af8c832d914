"""What the watchdog takes for stuck; its steps are called by hand, so no time passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, count, repeat

from pipelines.liveness.watchdog import Part, Watchdog


class Watch:
    """A watchdog over one part; 20 steps are the time after which it is stuck."""

    def __init__(self, marks: Iterator[int], should_move: Callable[[], bool]) -> None:
        self.given_up: list[str] = []
        self.looks = 0

        def look() -> bool:
            self.looks += 1
            return should_move()

        part = Part(lambda: next(marks), look)
        self.dog = Watchdog({"the stage detect": part}, 20.0, self.given_up.append)

    def steps(self, number: int) -> None:
        for _ in range(number):
            self.dog.step()


def test_a_part_that_moves_is_not_looked_at() -> None:
    watch = Watch(count(), lambda: True)
    watch.steps(100)
    assert (watch.looks, watch.given_up, watch.dog.suspicion) == (0, [], None)


def test_a_part_that_has_nothing_to_do_may_stand_still() -> None:
    watch = Watch(repeat(0), lambda: False)
    watch.steps(100)
    assert watch.looks == 9
    assert (watch.given_up, watch.dog.suspicion) == ([], None)


def test_a_part_that_should_move_is_suspect_after_half_the_time_and_stuck_after_all_of_it() -> None:
    watch = Watch(repeat(0), lambda: True)
    watch.steps(10)
    assert watch.dog.suspicion is None
    watch.steps(1)
    assert watch.dog.suspicion == "no progress for 10 s: the stage detect"
    watch.steps(9)
    assert watch.given_up == []
    watch.steps(1)
    assert watch.given_up == ["stuck for 20 s: the stage detect"]


def test_one_step_in_time_clears_the_suspicion() -> None:
    watch = Watch(chain(repeat(0, 15), repeat(1)), lambda: True)
    watch.steps(11)
    assert watch.dog.suspicion is not None
    watch.steps(5)
    assert watch.dog.suspicion is None
    watch.steps(10)
    assert watch.given_up == []


def test_kafka_must_answer_at_both_looks() -> None:
    answers = iter([False, True, False, True, False, True, True])
    watch = Watch(repeat(0), lambda: next(answers))
    watch.steps(61)
    assert watch.given_up == []
    watch.steps(10)
    assert watch.given_up == ["stuck for 20 s: the stage detect"]
