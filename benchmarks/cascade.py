"""How long it takes to say what followed from an output, among 300,000 edges, in SQLite and PostgreSQL.

    python -m benchmarks.cascade [--edges 300000] [--runs 20] [--postgres postgresql://oqm@127.0.0.1:5432/bench]

Outputs follow from earlier ones, in chains and branches; one in ten takes the result of another step as input, far
later; and from one output 2,000 follow at once. Edges lie in one day, or in 30, which are 30 files or partitions. The
walk is `monitor.actions.cascade.follow` over the store's own lookup. Beside it, as a baseline, one recursive query over
a plain table of two columns, by the database's driver: the least that such an answer can cost. The bar is 50 ms.
"""

from __future__ import annotations

import argparse
import gc
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text

from monitor.actions.cascade import EdgeKind, follow
from monitor.store.open import open_store
from monitor.store.records import Incoming

BAR_MS = 50.0
ROOT = "o5000"
DEPTHS = (3, 8, 20)
FIRST_DAY = 20_000
AT_ONCE = 20_000  # edges of one transaction
RECURSIVE = """with recursive hit(node, depth) as (
  select {p}, 0
  union
  select e.target, h.depth + 1 from hit h join plain e on e.source = h.node where h.depth < {p})
select node, min(depth) from hit group by node limit 10001"""


def edges(number: int, seed: int = 2) -> list[tuple[str, str]]:
    """Source and target, each once. What follows has the higher number."""
    rng = random.Random(seed)
    made = [(f"o{i}", f"o{i + rng.randint(1, 40)}" if rng.random() < 0.7 else f"a{i}") for i in range(number)]
    made += [(f"a{i}", f"o{i + rng.randint(50, 2000)}") for i in range(0, number, 10)]
    made += [(ROOT, f"many{i}") for i in range(2_000)]
    return list(dict.fromkeys(made))


def write(address: str, made: Sequence[tuple[str, str]], days: int) -> None:
    """Write edges into a store, spread evenly over a number of days."""
    store = open_store(address)
    for start in range(0, len(made), AT_ONCE):
        rows: list[dict[str, Any]] = [
            {"source": source, "target": target, "kind": EdgeKind.CAUSE.value, "stream": f"s{k % 7}", "time": 1.0 * k,
             "day": FIRST_DAY + k * days // len(made)}
            for k, (source, target) in enumerate(made[start : start + AT_ONCE], start=start)
        ]  # fmt: skip
        store.write(Incoming(edges=rows))
    store.close()


def timed(act: Callable[[], int], runs: int) -> tuple[int, float, float]:
    """What `act` returns, and milliseconds: the median and the longest of `runs`."""
    took = []
    found = act()  # the first one opens files and fills caches
    for _ in range(runs):
        began = time.perf_counter()
        act()
        took.append(1e3 * (time.perf_counter() - began))
    return found, statistics.median(took), max(took)


def walks(address: str, depth: int, runs: int) -> tuple[int, float, float]:
    """Nodes and milliseconds of the product's walk, as `oqm cascade` takes it."""
    store = open_store(address, read_only=True)
    lookup = partial(store.edges, since_day=FIRST_DAY - 1)
    try:
        return timed(lambda: len(follow({ROOT: "s"}, [lookup], deepest=depth).reached), runs)
    finally:
        store.close()


def queries(ask: Callable[[str, int], Sequence[object]], depth: int, runs: int) -> tuple[int, float, float]:
    """The same of the recursive query; the root is not counted."""
    return timed(lambda: len(ask(ROOT, depth)) - 1, runs)


def plain_sqlite(path: Path, made: Sequence[tuple[str, str]]) -> sqlite3.Connection:
    """A plain table in a file."""
    connection = sqlite3.connect(path)
    connection.execute("create table plain (source text, target text, primary key (source, target)) without rowid")
    connection.executemany("insert into plain values (?, ?)", made)
    connection.commit()
    return connection


def plain_postgres(url: str, made: Sequence[tuple[str, str]]) -> Any:
    """A plain table in a database."""
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    connection.execute("create table plain (source text, target text)")
    with connection.cursor().copy("copy plain from stdin") as copy:
        for row in made:
            copy.write_row(row)
    connection.execute("create index on plain (source, target)")
    connection.execute("analyze plain")
    return connection


def measure(made: Sequence[tuple[str, str]], runs: int, postgres: str | None) -> Iterator[tuple[str, ...]]:
    """Rows of the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oqm-cascade-")))
        file = stack.enter_context(closing(plain_sqlite(folder / "plain.sqlite", made)))
        yield from _rows("SQLite, recursive query", lambda d: queries(
            lambda *given: file.execute(RECURSIVE.format(p="?"), given).fetchall(), d, runs))  # fmt: skip
        for days in (1, 30):
            address = str(folder / f"days-{days}")
            write(address, made, days)
            yield from _rows(f"SQLite, walk over {days} day{'s' * (days > 1)}", partial(_walk, address, runs))
        if postgres is None:
            from tests.servers import postgres as started

            (folder / "pg").mkdir()
            postgres = stack.enter_context(started(folder / "pg"))
        plain = stack.enter_context(closing(plain_postgres(_fresh(postgres, "plain"), made)))
        yield from _rows("PostgreSQL, recursive query", lambda d: queries(
            lambda *given: plain.execute(RECURSIVE.format(p="%s"), given).fetchall(), d, runs))  # fmt: skip
        for days in (1, 30):
            address = _fresh(postgres, f"days_{days}")
            write(address, made, days)
            yield from _rows(f"PostgreSQL, walk over {days} day{'s' * (days > 1)}", partial(_walk, address, runs))


def _fresh(url: str, name: str) -> str:
    """Another, empty database of a server."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return f"{url.rpartition('/')[0]}/{name}"


def _walk(address: str, runs: int, depth: int) -> tuple[int, float, float]:
    return walks(address, depth, runs)


def _rows(what: str, act: Callable[[int], tuple[int, float, float]]) -> Iterator[tuple[str, ...]]:
    for depth in DEPTHS:
        found, median, longest = act(depth)
        yield what, str(depth), f"{found:,}", f"{median:.1f}", f"{longest:.1f}", "yes" if median <= BAR_MS else "NO"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--postgres", help="an empty database; a server is started where none is given")
    given = parser.parse_args()
    made = edges(given.edges)
    gc.freeze()  # the list of edges, which no command has: the collector would walk it in the midst of a measurement
    table = Table("what", "steps", "outputs", "median, ms", "longest, ms", f"<= {BAR_MS:.0f} ms")
    for row in measure(made, given.runs, given.postgres):
        table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
