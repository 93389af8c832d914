"""A thread that sees a worker that has stopped working although nothing stopped it, and ends it for its supervisor.

What it looks for, each without a step for `stuck_after_s`:

* the event loop does not turn: something blocks in it;
* a stage has a batch in hand and does not finish it: an extractor that hangs, a write that nobody confirms;
* nothing is in hand, but the log holds messages that nobody fetches: Faust's consumer has died without a word;
* partitions are neither assigned nor restored;
* the interpreter itself stands still, as in a regular expression that never ends: no Python thread runs then, this one
  included, so `faulthandler` keeps a timer beside it, in C.

And what it does not end a worker for: Kafka being away. Starting again would find the same, and then the supervisor's
growing pauses, or its limit of attempts, would keep the worker down after Kafka is back. So before a verdict Kafka is
asked, twice, with half of `stuck_after_s` between: only where it answers both times is the worker itself at fault.

Time is counted in this thread's own steps, not by a clock: a machine that slept, or a process that was stopped, has not
been stuck.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

log = logging.getLogger(__name__)

STUCK_EXIT = 70
"""Exit code of a worker that was ended for being stuck (sysexits.h: an internal error)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a worker.

    Attributes
    ----------
    mark
        Differs after each step that the part takes. Called from the watchdog's thread; must not wait.
    should_move
        Called there when no step was seen: whether there should have been one. May wait, and may ask Kafka.
    """

    mark: Callable[[], Hashable]
    should_move: Callable[[], bool]


class Watchdog:
    """Looks at the parts; `start` and `stop` around it.

    Parameters
    ----------
    parts
        By the words in which a verdict speaks of them.
    stuck_after_s
        Seconds without a step after which a part is stuck.
    give_up
        Called with one sentence when a part is stuck.
    """

    def __init__(self, parts: Mapping[str, Part], stuck_after_s: float, give_up: Callable[[str], None]) -> None:
        self.suspicion: str | None = None
        """What looks stuck, in one sentence, while it does."""
        self._parts = parts
        self._stuck_after_s = stuck_after_s
        self._step_s = min(1.0, stuck_after_s / 20)
        self._give_up = give_up
        self._marks: dict[str, Hashable] = {}
        self._still: Counter[str] = Counter()
        self._suspects: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oqm-watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer. Repeatable."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(1.0)  # it may be waiting for Kafka's answer, and has no say any more
        faulthandler.cancel_dump_traceback_later()

    def _run(self) -> None:
        while not self._over.wait(self._step_s):
            self.step()
            if self._over.is_set():
                return
            # Each turn of this thread restarts the timer; without one it prints all stacks and exits.
            faulthandler.dump_traceback_later(self._stuck_after_s, exit=True)

    def step(self) -> None:
        """One look at every part."""
        for name, part in self._parts.items():
            mark = part.mark()
            if mark != self._marks.get(name):
                self._marks[name] = mark
                self._still[name] = 0
                self._suspects.discard(name)
                continue
            self._still[name] += 1
            if self._still[name] * self._step_s * 2 >= self._stuck_after_s:
                self._still[name] = 0
                faulthandler.cancel_dump_traceback_later()  # Kafka may take its time to answer
                self._judge(name, part.should_move())
        half = self._stuck_after_s / 2
        self.suspicion = (
            f"no progress for {half:.0f} s: {', '.join(sorted(self._suspects))}" if self._suspects else None
        )

    def _judge(self, name: str, should_move: bool) -> None:
        if not should_move:
            self._suspects.discard(name)
        elif self._over.is_set():
            return
        elif name in self._suspects:
            # With what else stands still: where the loop does, what runs in it does, too.
            self._give_up(f"stuck for {self._stuck_after_s:g} s: {', '.join(sorted(self._suspects))}")
        else:
            self._suspects.add(name)
            log.warning("no progress for %g s: %s", self._stuck_after_s / 2, name)


def exit_stuck(why: str) -> None:
    """End this process at once, with the stacks of all threads on stderr. What it had in hand comes again."""
    log.critical("%s; exiting so that the supervisor starts this worker again", why)
    logging.shutdown()
    faulthandler.dump_traceback(all_threads=True)
    os._exit(STUCK_EXIT)
