"""Actions whose processes die: how often an effect happened, by protocol, on SQLite and on PostgreSQL.

    python -m benchmarks.actions            a short run
    python -m benchmarks.actions --full     500 deaths for each line of the table
    python -m benchmarks.actions --rates    claims a second

Each action is delivered one to three times, as a queue does that promises at least once, to four processes. Each
process ends by `os._exit` at a random time, whatever it is doing, and is started again with what it had not finished.
One in a hundred claims stalls past its lease between claim and effect. The effects are rows of another database: the
world outside.
PostgreSQL is restarted meanwhile, by turns in order and at once, and its connections are cut (`pg_terminate_backend`).

  look, act, note     look whether it was done, act, note it: what most retries do
  lease, retry        an atomic claim; after its lease it may be claimed again
  lease, ask          the same, but after its lease it is unknown, and a person says how it ended
  lease, key          as `retry`, and the receiving system takes our key and refuses a second
  one transaction     the effect is in the ledger's own database, in the transaction of `done`
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from sqlalchemy import text

from monitor.actions.states import ActionError, Claim, OnUnknown, Outcome, Proposal, StaleFence, State
from monitor.ledger import claims
from monitor.ledger.base import Ledger, LedgerError
from monitor.ledger.open import open_ledger
from tests.servers import PostgresServer, empty_database

PROTOCOLS = ("look, act, note", "lease, retry", "lease, ask", "lease, key", "one transaction")
PROCESSES = 4
LEASE_S = 0.3  # a few times what a claim and its effect take on a busy machine, so that few leases end by load alone
STALLS = 0.01  # share of claims that sleep past their lease before they act
CUT_EVERY_S = 1.5  # between two faults of PostgreSQL


@dataclass(frozen=True)
class Scale:
    """Actions of one round, and the mean time to a process's death in seconds."""

    actions: int = 120
    life_s: float = 0.4


@dataclass
class Account:
    """What happened to the actions of one protocol."""

    protocol: str
    effects: Counter[int] = field(default_factory=Counter)
    """The number of actions by their number of effects."""
    unknown: int = 0
    happened: int = 0
    lost: int = 0
    """No effect, and not listed as unknown."""
    deaths: int = 0
    faults: int = 0
    broken: int = 0
    """Audit logs that did not verify."""
    seconds: float = 0.0

    @property
    def twice(self) -> int:
        """Actions with two effects or more."""
        return sum(actions for times, actions in self.effects.items() if times > 1)


class World:
    """What is outside: effects by key. `unique`: it takes our key and refuses a second."""

    def __init__(self, path: Path, *, unique: bool) -> None:
        self._path, self._unique = path, unique
        with closing(self._open()) as connection:
            connection.execute(f"create table effect (key text {'primary key' if unique else ''})")

    def act(self, key: str) -> None:
        """The effect."""
        with closing(self._open()) as connection:
            connection.execute(f"insert {'or ignore' if self._unique else ''} into effect values (?)", (key,))

    def effects(self) -> Counter[str]:
        """How often, by key."""
        with closing(self._open()) as connection:
            return Counter(key for (key,) in connection.execute("select key from effect"))

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60, isolation_level=None)
        connection.execute("pragma synchronous = off")  # processes die here, not machines
        return connection


@dataclass(frozen=True)
class Job:
    """What a process works on."""

    protocol: str
    address: str
    world: World
    deliveries: list[tuple[int, str]]
    finished: Path
    seed: int
    life_s: float


def proposal_of(protocol: str, key: str) -> Proposal:
    """An action of the protocol's kind."""
    ask = protocol == "lease, ask"
    return Proposal(
        scope="bench",
        key=key,
        kind="money" if ask else "record",
        fingerprint="f",
        requester="agent",
        on_unknown=OnUnknown.ASK if ask else OnUnknown.RETRY,
    )


def work(job: Job) -> None:
    """One life of a process: it dies at a random time, or ends when all is done."""
    rng = random.Random(job.seed)
    threading.Timer(rng.expovariate(1 / job.life_s), os._exit, (9,)).start()
    ledger = open_patiently(job.address)
    file = os.open(job.finished, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    todo = list(job.deliveries)
    while todo:
        number, key = todo.pop(0)
        try:
            finished = carry_out(job, ledger, key, rng)
        except LedgerError:
            finished = False  # the database was away too long: the queue delivers it again
        if finished:
            os.write(file, f"{number}\n".encode())
        else:
            todo.append((number, key))
            time.sleep(0.005)
    os._exit(0)


def open_patiently(address: str) -> Ledger:
    """The ledger, once its server answers."""
    while True:
        try:
            return open_ledger(address)
        except LedgerError:
            time.sleep(0.1)


def carry_out(job: Job, ledger: Ledger, key: str, rng: random.Random) -> bool:
    """One delivery. False where it must come again."""
    if job.protocol == "look, act, note":
        noted = text("select 1 from noted where key = :key")
        if ledger.read(lambda connection: connection.execute(noted, {"key": key}).scalar()) is None:
            stall(rng)
            job.world.act(key)
            ledger.write(lambda tx: tx.connection.execute(text("insert into noted values (:key)"), {"key": key}))
        return True
    one = proposal_of(job.protocol, key)
    asked = Claim(scope=one.scope, key=key, kind=one.kind, fingerprint="f", claimant="w", lease_s=LEASE_S, proposal=one)
    answer = ledger.claim(asked, time.time())
    if answer.outcome is Outcome.MINE:
        stall(rng)
        try:
            if job.protocol == "one transaction":
                ledger.write(lambda tx: effect_and_done(tx, one, answer.fence))
            else:
                job.world.act(key)
                ledger.done(one.scope, key, answer.fence, b"r", time.time())
        except StaleFence:
            pass  # another process has taken over
        return True
    return answer.outcome in (Outcome.REPLAY, Outcome.UNKNOWN)


def effect_and_done(tx: Any, one: Proposal, fence: int) -> None:
    """The fence is checked with the effect: in one transaction."""
    said = claims.done(tx, one.scope, one.key, fence, b"r", time.time())
    if not isinstance(said, ActionError):
        tx.connection.execute(text("insert into effect_here values (:key)"), {"key": one.key})


def stall(rng: random.Random) -> None:
    """Now and then longer than the lease."""
    if rng.random() < STALLS:
        time.sleep(LEASE_S * 1.6)


def run_round(protocol: str, address: str, folder: Path, seed: int, account: Account, scale: Scale) -> None:
    """Deliver some actions to processes that die, and add what became of them."""
    rng = random.Random(seed)
    world = World(folder / "world.sqlite", unique=protocol == "lease, key")
    ledger = open_patiently(address)
    for table in ("noted", "effect_here"):
        ledger.write(lambda tx, table=table: tx.connection.execute(text(f"create table {table} (key text)")))  # type: ignore[misc]
    ledger.close()
    keys = [f"k{number}" for number in range(scale.actions)]
    delivered = [key for key in keys for _ in range(rng.choice((1, 1, 2, 3)))]
    rng.shuffle(delivered)
    live(protocol, address, folder, world, list(enumerate(delivered)), seed, account, scale.life_s)
    time.sleep(LEASE_S * 2)
    ledger = open_patiently(address)
    ledger.due(time.time())
    unknown = {one.key for one in patiently(lambda: ledger.list(state=State.UNKNOWN, limit=scale.actions))}
    here = patiently(lambda: ledger.read(lambda c: [key for (key,) in c.execute(text("select key from effect_here"))]))
    account.broken += patiently(ledger.verify_audit) is not None
    ledger.close()
    effects = world.effects() + Counter(here)
    account.effects.update(effects[key] for key in keys)
    account.unknown += len(unknown)
    account.happened += sum(effects[key] > 0 for key in unknown)
    account.lost += sum(effects[key] == 0 and key not in unknown for key in keys)


def patiently(ask: Callable[[], Any]) -> Any:
    """The answer, once the server gives one."""
    while True:
        try:
            return ask()
        except LedgerError:
            time.sleep(0.1)


def live(
    protocol: str,
    address: str,
    folder: Path,
    world: World,
    deliveries: list[tuple[int, str]],
    seed: int,
    account: Account,
    life_s: float,
) -> None:
    """Start processes again until every delivery is finished."""
    context = multiprocessing.get_context("fork")
    files = [folder / f"finished-{number}" for number in range(PROCESSES)]
    processes: dict[int, ForkProcess] = {}
    while True:
        for number, file in enumerate(files):
            process = processes.get(number)
            if process is not None and process.is_alive():
                continue
            if process is not None:
                account.deaths += process.exitcode == 9
                process.close()
                del processes[number]
            finished = set(map(int, file.read_text().split())) if file.exists() else set()
            rest = [one for one in deliveries[number::PROCESSES] if one[0] not in finished]
            if rest:
                seed += 1_000
                job = Job(protocol, address, world, rest, file, seed + number, life_s)
                processes[number] = context.Process(target=work, args=(job,))
                processes[number].start()
        if not processes:
            return
        time.sleep(0.005)


class Saboteur:
    """Restarts PostgreSQL and cuts its connections, until the block ends."""

    def __init__(self, server: PostgresServer | None) -> None:
        self._server, self._stop = server, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.faults = 0

    def __enter__(self) -> Saboteur:
        if self._server is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._server is not None:
            self._thread.join()

    def _run(self) -> None:
        import psycopg

        assert self._server is not None
        while not self._stop.wait(CUT_EVERY_S):
            self.faults += 1
            if self.faults % 4 == 0:
                self._server.stop()
                self._server.start()
            elif self.faults % 4 == 2:
                self._server.crash()
                self._server.start()
            else:
                with psycopg.connect(self._server.url, autocommit=True) as connection:
                    connection.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
                        "and backend_type = 'client backend'"
                    )


def study(protocol: str, deaths: int, server: PostgresServer | None, seed: int = 1, scale: Scale = Scale()) -> Account:
    """Rounds of one protocol, repeated until the asked number of processes has died."""
    account = Account(protocol)
    begun = time.monotonic()
    with Saboteur(server) as saboteur:
        while account.deaths < deaths:
            seed += 100_000
            with tempfile.TemporaryDirectory() as made:
                folder = Path(made)
                address = str(folder / "ledger") if server is None else new_database(server)
                run_round(protocol, address, folder, seed, account, scale)
    account.faults = saboteur.faults
    account.seconds = time.monotonic() - begun
    return account


def new_database(server: PostgresServer) -> str:
    """An empty one, once the server answers."""
    from sqlalchemy.exc import DBAPIError

    while True:
        try:
            return empty_database(server.url)
        except DBAPIError:
            time.sleep(0.1)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL of one's own."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.remove()


COLUMNS = (
    "actions",
    "once",
    "twice or more",
    "never",
    "unknown",
    "of which happened",
    "lost",
    "deaths",
    "server faults",
)
HEAD = f"| protocol | {' | '.join(COLUMNS)} |\n|---|{'--:|' * len(COLUMNS)}"


def line(account: Account) -> str:
    """A row of the table."""
    effects = account.effects
    figures = (
        effects.total(),
        effects[1],
        account.twice,
        effects[0],
        account.unknown,
        account.happened,
        account.lost,
        account.deaths,
        account.faults,
    )
    wrong = "" if not account.broken else f" ({account.broken} audit logs broken)"
    return f"| {account.protocol}{wrong} | " + " | ".join(f"{figure:,}" for figure in figures) + " |"


def rate(address: str, threads: int, seconds: float) -> tuple[float, float, float]:
    """Actions (claim and done) a second with this number of threads; median and 99th percentile of both, in ms."""
    ledger = open_ledger(address)
    times: list[float] = []
    until = time.perf_counter() + seconds

    def client(number: int) -> None:
        done = 0
        while (begun := time.perf_counter()) < until:
            one = proposal_of("lease, key", f"{threads}-{number}-{done}")
            asked = Claim(
                scope=one.scope, key=one.key, kind=one.kind, fingerprint="f", claimant="w", lease_s=60, proposal=one
            )
            answer = ledger.claim(asked, time.time())
            ledger.done(one.scope, one.key, answer.fence, b"r", time.time())
            times.append(time.perf_counter() - begun)
            done += 1

    workers = [threading.Thread(target=client, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ledger.close()
    times.sort()
    return len(times) / seconds, times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3


def print_rates(seconds: float) -> None:
    """Claims a second on both databases."""
    print("| database | clients | claim and done, a second | median, ms | p99, ms |\n|---|--:|--:|--:|--:|")
    with postgres_server() as server, tempfile.TemporaryDirectory(dir=".") as folder:
        for name, address in (("SQLite, synchronous full", folder), ("PostgreSQL 15", server.url)):
            for threads in (1, 4, 16, 64):
                a_second, median, p99 = rate(address, threads, seconds)
                print(f"| {name} | {threads} | {a_second:,.0f} | {median:.1f} | {p99:.1f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="500 deaths for each line, not 20")
    parser.add_argument("--deaths", type=int, help="number of deaths for each line")
    parser.add_argument("--rates", action="store_true", help="claims a second, and nothing else")
    parser.add_argument("--only", choices=("sqlite", "postgres"), help="one database")
    given = parser.parse_args()
    if given.rates:
        print_rates(5.0)
        return
    deaths = given.deaths or (500 if given.full else 20)
    for name in ("sqlite", "postgres"):
        if given.only not in (None, name):
            continue
        print(
            f"\n{name}: {PROCESSES} processes, actions delivered 1 to 3 times, lease {LEASE_S} s\n\n{HEAD}", flush=True
        )
        for protocol in PROTOCOLS:
            if name == "sqlite":
                account = study(protocol, deaths, None)
            else:
                with postgres_server() as server:
                    account = study(protocol, deaths, server)
            print(line(account), flush=True)


if __name__ == "__main__":
    main()
