"""A pause doubles with each information that follows information, up to a limit, and begins again after a reset."""

from __future__ import annotations

from monitor.detection.records.cooldown import Cooldown


def test_only_the_first_pause_since_a_reset_is_reported_and_each_is_twice_as_long() -> None:
    cooldown, row = Cooldown(), 1_000
    assert cooldown.until == 0
    firsts, pauses = [], []
    for _ in range(9):
        firsts.append(cooldown.back_off(row))
        pauses.append(cooldown.until - row)
        row = cooldown.until
    assert firsts == [True] + [False] * 8
    assert pauses[:3] == [200, 400, 800]
    assert pauses[-1] == pauses[-2] == 12_800
    cooldown.reset()
    assert cooldown.until == 0
    assert cooldown.back_off(row)
    assert cooldown.until == row + 200


def test_what_is_postponed_does_not_make_the_next_pause_longer() -> None:
    cooldown = Cooldown()
    cooldown.postpone(64)
    assert cooldown.until == 64
    assert cooldown.back_off(100)
    assert cooldown.until == 100 + 200
