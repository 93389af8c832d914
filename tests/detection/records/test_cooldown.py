"""A pause doubles with each information that follows information, up to a limit, and begins again after a reset."""

from __future__ import annotations

from monitor.detection.records.cooldown import FIRST_PAUSE_ROWS, LONGEST_PAUSE_ROWS, Cooldown


def test_only_the_first_pause_since_a_reset_is_reported_and_each_is_twice_as_long() -> None:
    cooldown, row = Cooldown(), 1_000
    firsts, pauses = [], []
    for _ in range(9):
        firsts.append(cooldown.back_off(row))
        pauses.append(cooldown.until - row)
        row = cooldown.until
    assert firsts == [True] + [False] * 8
    assert pauses[:3] == [FIRST_PAUSE_ROWS, 2 * FIRST_PAUSE_ROWS, 4 * FIRST_PAUSE_ROWS]
    assert pauses[-1] == pauses[-2] == LONGEST_PAUSE_ROWS
    cooldown.reset()
    assert cooldown.until == 0
    assert cooldown.back_off(row)
    assert cooldown.until == row + FIRST_PAUSE_ROWS


def test_what_is_postponed_does_not_make_the_next_pause_longer() -> None:
    cooldown = Cooldown()
    cooldown.postpone(64)
    assert cooldown.until == 64
    assert cooldown.back_off(100)
    assert cooldown.until == 100 + FIRST_PAUSE_ROWS
