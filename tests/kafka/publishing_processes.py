"""An application of several processes that publishes and ends without closing: run by the tests as a script.

    python publishing_processes.py WAY BROKERS TOPIC

The publisher is made once, at import: inherited by forked children, made again in spawned ones. Each child publishes
`EVENTS` events under ids that begin with the way's name, and returns.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from monitor import OutputEvent, OutputPublisher

EVENTS = 50
CHILDREN = 2
WAY, BROKERS, TOPIC = sys.argv[1:] if len(sys.argv) == 4 else os.environ["PUBLISH"].split()
os.environ["PUBLISH"] = f"{WAY} {BROKERS} {TOPIC}"  # spawned children have other arguments
publisher = OutputPublisher(BROKERS, TOPIC)


def work(child: int) -> None:
    for i in range(EVENTS):
        publisher.publish(OutputEvent(stream="bot/answer", output=f"answer {i}", id=f"{WAY}-{child}-{i}"))


def work_with(given: OutputPublisher, child: int) -> None:
    for i in range(EVENTS):
        given.publish(OutputEvent(stream="bot/answer", output=f"answer {i}", id=f"{WAY}-{child}-{i}"))


def fork(leave: Callable[[], None]) -> None:
    """Fork at once, as gunicorn's master does with --preload."""
    children = []
    for child in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            work(child)
            leave()
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def fork_while_connecting() -> None:
    """As `fork`, right after the parent's first event: its thread imports and connects, threads hold locks."""
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            publisher.publish(OutputEvent(stream="bot/answer", output="parent's"))

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    pid = -1
    children = []
    for child in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            work(child)
            sys.exit(0)
        children.append(pid)
    stop.set()
    for pid in children:
        os.waitpid(pid, 0)
    for thread in threads:
        thread.join()


def processes(method: str) -> None:
    context = multiprocessing.get_context(method)
    children = [context.Process(target=work, args=(child,)) for child in range(CHILDREN)]  # type: ignore[attr-defined]
    for child in children:
        child.start()
    for child in children:
        child.join()


def passed_on(method: str) -> None:
    context = multiprocessing.get_context(method)
    child = context.Process(target=work_with, args=(publisher, 0))  # type: ignore[attr-defined]
    child.start()
    child.join()
    work(1)


def pool(method: str) -> None:
    with multiprocessing.get_context(method).Pool(CHILDREN) as workers:  # leaving it ends the workers by SIGTERM
        workers.map(work, range(CHILDREN), chunksize=1)


def executor(method: str) -> None:
    with ProcessPoolExecutor(CHILDREN, mp_context=multiprocessing.get_context(method)) as workers:
        list(workers.map(work, range(CHILDREN)))


WAYS: dict[str, Callable[[], None]] = {
    "preload": lambda: fork(sys.exit),
    "connecting": fork_while_connecting,
    "process-fork": lambda: processes("fork"),
    "process-spawn": lambda: processes("spawn"),
    "process-forkserver": lambda: processes("forkserver"),
    "passed-fork": lambda: passed_on("fork"),
    "passed-spawn": lambda: passed_on("spawn"),
    "pool-fork": lambda: pool("fork"),
    "pool-spawn": lambda: pool("spawn"),
    "executor-fork": lambda: executor("fork"),
    "executor-spawn": lambda: executor("spawn"),
}

if __name__ == "__main__":
    WAYS[WAY]()
