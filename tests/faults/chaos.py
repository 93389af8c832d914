"""The script of faults: what is done to workers, broker and receiver, at moments that a seed decides."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from tests.brokers.apache import ApacheKafka
from tests.faults.pager import Mood, Pager
from tests.kafka.installation import Installation, WorkerProcess


class Fault(StrEnum):
    """What is done."""

    KILL = "kill -9 of a worker, restarted"
    FREEZE = "SIGSTOP of a worker past its session, then SIGCONT"
    BROKER = "restart of the broker"
    JOIN = "a worker joins"
    LEAVE = "a worker leaves (SIGTERM)"


class Supervisor(threading.Thread):
    """Starts a worker again that ended by itself, as systemd or Kubernetes would; and counts how it ended."""

    def __init__(self, exits: Counter[int]) -> None:
        super().__init__(name="supervisor", daemon=True)
        self._exits = exits
        self.lock = threading.Lock()
        """Held by whoever stops a worker on purpose."""
        self._workers: list[WorkerProcess] = []
        self._over = threading.Event()

    def watch(self, worker: WorkerProcess) -> None:
        with self.lock:
            self._workers.append(worker)

    def leave(self, worker: WorkerProcess) -> int:
        """SIGTERM a worker for good: its exit code."""
        with self.lock:
            self._workers.remove(worker)
        return worker.stop()

    def finish(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(0.5):
            with self.lock:
                for worker in self._workers:
                    if not worker.running:
                        self._exits[worker.wait()] += 1
                        worker.start()


class Chaos:
    """Carries out a script of `kills` kill -9 and SIGSTOP, half of each, with the other faults among them.

    Parameters
    ----------
    installation, broker, pager
        What it is done to.
    kills
        How many workers are killed or frozen.
    seed
        Decides order, moments and victims.
    say
        Told each fault as it happens.
    """

    def __init__(
        self, installation: Installation, broker: ApacheKafka, pager: Pager, *, kills: int, seed: int,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.done: Counter[Fault] = Counter()
        self.exits: Counter[int] = Counter()
        """Workers that ended by themselves, by exit code."""
        self.supervisor = Supervisor(self.exits)
        self.bad_exits: list[int] = []
        """Exit codes other than 0 of workers that were asked to stop."""
        self._installation = installation
        self._broker = broker
        self._pager = pager
        self._rng = random.Random(seed)
        self._say = say
        self._workers: list[WorkerProcess] = []
        rare = max(1, kills // 10)
        self._script = [Fault.KILL] * (kills - kills // 2) + [Fault.FREEZE] * (kills // 2)
        self._script += [Fault.BROKER] * rare + [Fault.JOIN] * rare + [Fault.LEAVE] * rare
        self._rng.shuffle(self._script)

    def begin(self, workers: int) -> None:
        """Start so many workers, and their supervisor; again after `end`, too."""
        self.supervisor = Supervisor(self.exits)
        for _ in range(workers):
            self._join()
        for worker in self._workers:
            self._installation.ready(worker)
        self.supervisor.start()

    def run(self) -> None:
        """The whole script; afterwards all is well, and whatever was frozen runs."""
        rng = self._rng
        for number, fault in enumerate(self._script, 1):
            self._pager.mood = rng.choice(list(Mood))
            time.sleep(rng.uniform(0.5, 3))  # the fault's moment: anywhere in what the workers are doing
            self._say(f"{number:3} of {len(self._script)}: {fault.value}; receiver: {self._pager.mood.value}")
            self.done[fault] += 1
            match fault:
                case Fault.KILL:
                    self._kill()
                case Fault.FREEZE:
                    self._freeze()
                case Fault.BROKER:
                    self._broker.stop()
                    time.sleep(rng.uniform(1, 6))
                    self._broker.start()
                case Fault.JOIN:
                    self._join()
                case Fault.LEAVE:
                    self._leave()
            if rng.random() < 0.3:
                # Some faults meet workers that are at home, the others some that have not found their way back.
                for worker in self._workers:
                    self._installation.ready(worker)
        self._pager.mood = Mood.WELL

    def end(self) -> None:
        """Let all workers finish what they have in hand and stop."""
        self.supervisor.finish()
        stopping, self._workers = self._workers, []
        self.bad_exits += [code for worker in stopping if (code := worker.stop())]

    def _join(self) -> None:
        worker = self._installation.worker()
        self._workers.append(worker)
        self.supervisor.watch(worker)

    def _leave(self) -> None:
        if len(self._workers) <= 2:
            self._join()  # two stay: what one does must be seen by another
        leaving = self._rng.choice(self._workers)
        self._installation.ready(leaving)
        self._workers.remove(leaving)
        if code := self.supervisor.leave(leaving):
            self.bad_exits.append(code)

    def _kill(self) -> None:
        with self.supervisor.lock:
            victim = self._rng.choice(self._workers)
            if victim.running:
                victim.kill()
            time.sleep(self._rng.uniform(0, 2))
            victim.start()

    def _freeze(self) -> None:
        victim = self._rng.choice(self._workers)
        with self.supervisor.lock:
            if not victim.running:
                return
            victim.signal(signal.SIGSTOP)
        time.sleep(self._installation.session_timeout_s * self._rng.uniform(1.3, 3))
        victim.signal(signal.SIGCONT)
