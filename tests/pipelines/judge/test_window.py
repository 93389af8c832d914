from __future__ import annotations

from pipelines.judge.window import Window


def test_only_what_lies_before_the_first_open_message_is_committed() -> None:
    window: Window[int] = Window()
    for offset in (5, 6, 7, 9):
        window.take(0, offset, 10)
    assert window.positions() == {}
    window.done(0, 7)
    assert window.positions() == {0: 5}
    window.done(0, 5)
    assert window.positions() == {0: 6}
    window.done(0, 6)
    assert window.positions() == {0: 9}
    window.done(0, 9)
    assert window.positions() == {0: 10}
    assert (window.messages, window.bytes) == (0, 0)


def test_a_partition_that_was_dropped_counts_no_more() -> None:
    window: Window[int] = Window()
    window.take(0, 1, 10)
    window.take(1, 1, 20)
    window.drop(0)
    window.done(0, 1)
    assert (window.messages, window.bytes, window.positions()) == (1, 20, {})
