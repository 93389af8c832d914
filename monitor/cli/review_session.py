"""`oqm review` without a command: one item after another, a key for each answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitor.actions.review import Also, InvalidReview, Opinion, ReviewError
from monitor.actions.states import NotAllowed
from monitor.cli.output import notes, tables
from monitor.cli.review_item import print_decided, print_item

if TYPE_CHECKING:
    from monitor.review.desk import Reviewer
    from monitor.review.records import Ask, ReviewedItem

_OPINIONS = {"p": Opinion.PASS, "f": Opinion.FAIL, "u": Opinion.UNSURE}
_MARKS = {"a": Also.ANCHOR, "c": Also.SUITE, "r": Also.REFERENCE}
KEYS = "p pass, f fail, u cannot tell, s skip, n note, a anchor, c case of a suite, r reference, q quit"
_INTERRUPT = "\x03"
_END = "q"


def go_through(reviewer: Reviewer, ask: Ask) -> int:
    """Show items and take answers until nothing waits, or the person ends; how many items there were.

    What is in hand when the person leaves, by a key, the end of the pipe or an interrupt, is given back.
    """
    keys, shown = _keys(), 0
    while (item := reviewer.next(ask)) is not None:
        shown += 1
        if shown > 1:
            tables().print()
        print_item(tables(), item, with_id=False)
        sys.stdout.flush()  # in a pipe too, what is asked stands before the answer
        notes().print(KEYS if shown == 1 else "p f u s n a c r q", markup=False, style="dim", soft_wrap=True)
        try:
            go_on = _answered(reviewer, item, keys)
        except KeyboardInterrupt:
            _give_back(reviewer, item, skip=False)
            raise
        if not go_on:
            return shown
    notes().print("nothing more waits for you" if shown else "nothing waits for you", markup=False)
    return shown


def _answered(reviewer: Reviewer, item: ReviewedItem, keys: Iterator[str]) -> bool:
    """Take keys until the item is decided or given back; False where the person ends."""
    from monitor.review.records import Decide

    note, also = "", set[Also]()
    for key in keys:
        if key in _OPINIONS:
            decision = Decide(fence=item.fence, opinion=_OPINIONS[key], note=note, also=tuple(sorted(also)))
            try:
                print_decided(tables(), reviewer.decide(item.id, decision))
                sys.stdout.flush()
            except InvalidReview as error:  # another answer can be given
                notes().print(str(error), markup=False, style="red", soft_wrap=True)
                continue
            except (ReviewError, NotAllowed) as error:  # it is not this person's any more
                notes().print(str(error), markup=False, style="red", soft_wrap=True)
            return True
        if key == "s":
            _give_back(reviewer, item, skip=True)
            return True
        if key in _MARKS:
            also ^= {_MARKS[key]}
            marked = ", ".join(sorted(also)) or "nothing else"
            notes().print(f"when decided, also for: {marked}", markup=False)
        elif key == "n":
            note = _line("note: ")
        elif key == _END:
            _give_back(reviewer, item, skip=False)
            return False
        else:
            notes().print(KEYS, markup=False, style="dim", soft_wrap=True)
    _give_back(reviewer, item, skip=False)  # the end of a pipe
    return False


def _give_back(reviewer: Reviewer, item: ReviewedItem, *, skip: bool) -> None:
    from monitor.review.records import Release

    try:
        reviewer.release(item.id, Release(fence=item.fence, skip=skip))
    except ReviewError as error:  # someone else has it by now
        notes().print(str(error), markup=False, soft_wrap=True)


def _keys() -> Iterator[str]:
    """Keys as they are pressed; from a pipe or file one a line, until it ends."""
    import click

    if sys.stdin.isatty():
        while True:
            try:
                key = click.getchar()
            except EOFError:  # Ctrl-D
                return
            if key == _INTERRUPT:
                raise KeyboardInterrupt
            yield key.lower()
    for line in sys.stdin:
        yield line.strip().lower()


def _line(prompt: str) -> str:
    if sys.stdin.isatty():
        notes().print(prompt, end="", markup=False)
    return sys.stdin.readline().strip()
