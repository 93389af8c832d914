"""Publishers in several processes: what happens to them at a fork, and when a process ends.

`OutputPublisher` registers itself here. A forked child starts with fresh state (`os.register_at_fork`), so a lock that
another thread of the parent held at the fork is never waited for. A child of `multiprocessing` (and so of `Pool` and
`ProcessPoolExecutor`) leaves by `os._exit`, without `atexit`: there a `multiprocessing.util.Finalize` flushes. A `Pool`
that is left ends its workers by SIGTERM: there a handler flushes first, where the process has set no handler itself.

May import nothing from this project.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from multiprocessing import parent_process, util
from types import FrameType
from typing import Any, Protocol
from weakref import WeakSet

AT_EXIT_S = 5.0  # longest time that a process's end waits for the broker; a supervisor's patience is 10 s at least
AT_SIGTERM_S = 2.0  # shorter: whoever sends SIGTERM to a child (Pool.terminate) waits for it

# Finalizers of higher priority run first. Queues flush at -5, and one may hold what a publisher still gets; temporary
# folders go at -100.
_PRIORITY = -50


class Ending(Protocol):
    """The part of `OutputPublisher` that is used here."""

    def after_fork(self) -> None:
        """Start with fresh state: this process is a forked child."""
        ...

    def close_at_exit(self, timeout: float) -> None:
        """Send what is left; the process ends. Never raises."""
        ...


_publishers: WeakSet[Any] = WeakSet()


class ProcessEnd:
    """Closes one publisher when its process ends, however it ends short of a kill. Made by the publisher."""

    def __init__(self, publisher: Ending) -> None:
        self._publisher = publisher
        self._finalizer: util.Finalize | None = None

    def watch(self) -> None:
        """Register the publisher's end with this process; repeatable.

        kafka-python closes its producers at exit too. Handlers run in reverse order, so this is called again once
        a producer has been made: the publisher's handler must come first.
        """
        atexit.unregister(self._at_exit)
        atexit.register(self._at_exit)
        if self._finalizer is not None:
            self._finalizer.cancel()
        # In each process: children of libraries built on `multiprocessing` (billiard) do not show as such.
        self._finalizer = util.Finalize(None, self._at_exit, exitpriority=_PRIORITY)
        if parent_process() is not None:
            _flush_on_sigterm()

    def forget(self) -> None:
        """The publisher is closed, or belongs to another process."""
        atexit.unregister(self._at_exit)
        if self._finalizer is not None:
            self._finalizer.cancel()
            self._finalizer = None

    def _at_exit(self) -> None:
        self._publisher.close_at_exit(AT_EXIT_S)


def register(publisher: Ending) -> None:
    """Let a publisher know of forks; it is not kept alive by this."""
    _publishers.add(publisher)
    # In a spawned child, events may be published while its main module is imported. `multiprocessing` removes all
    # finalizers after that, then runs what is registered here.
    util.register_after_fork(publisher, _process_starts)


def _process_starts(publisher: Any) -> None:
    publisher.process_starts()


def _after_fork() -> None:
    for publisher in list(_publishers):
        publisher.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def _flush_on_sigterm() -> None:
    """In a child of `multiprocessing` without its own handler: flush at SIGTERM, then end by it as before."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second signal ends the process at once
    deadline = time.monotonic() + AT_SIGTERM_S
    for publisher in list(_publishers):
        publisher.close_at_exit(max(0.0, deadline - time.monotonic()))
    os.kill(os.getpid(), number)
