"""Counts each output once: the statements of the tables `seen`, `checked` and `counted`.

An output's feature row can come twice, when a worker died before it had committed, and then under a new offset. So the
position of the last output that is counted of each stream and partition is kept, and rows at or below it are dropped:
the same fence that detection has. It is read and written in the transaction of the counts.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from monitor.store.judged import Cell, CountedOutput
from monitor.store.periods import HOURS_A_DAY
from monitor.store.tables import BY_HOUR, checked, counted, seen

LOCKS = 0x6F716E  # "oqn": upper half of the keys of the advisory locks under which outputs are counted
AT_ONCE = 300  # fences that one query asks for: three parameters each, and older versions of SQLite take 999


def count_outputs(connection: Connection, outputs: Sequence[CountedOutput]) -> None:
    """Add outputs to the counts, each once, in the caller's transaction."""
    if not outputs:
        return
    _lock(connection, {output.lock for output in outputs})
    fences = _fences(connection, {(one.topic, one.partition, one.cell.stream) for one in outputs})
    cells: Counter[Cell] = Counter()
    by_check: Counter[tuple[Cell, str]] = Counter()
    failed: Counter[tuple[Cell, str]] = Counter()
    hours: dict[tuple[str, int, str], int] = {}
    for output in outputs:
        place = (output.topic, output.partition, output.cell.stream)
        if output.position <= fences.get(place, -1):
            continue
        fences[place], hours[place] = output.position, output.cell.hour
        cells[output.cell] += 1
        for criterion, violated in output.checks:
            by_check[output.cell, criterion] += 1
            failed[output.cell, criterion] += violated
    keys = {cell: cell.key for cell in cells}
    _add(connection, seen, [{**cell._asdict(), "cell": keys[cell], "outputs": n} for cell, n in cells.items()])
    rows = [
        {"cell": keys[cell], "criterion": name, "hour": cell.hour, "outputs": n, "failed": failed[cell, name]}
        for (cell, name), n in by_check.items()
    ]
    _add(connection, checked, rows)
    _set_fences(connection, {place: (fences[place], hour) for place, hour in hours.items()})


def delete_before(connection: Connection, day: int) -> None:
    """Delete the counts of all days before `day` (days since 1970)."""
    for table in BY_HOUR:
        connection.execute(table.delete().where(table.c.hour < day * HOURS_A_DAY))


def _lock(connection: Connection, places: Iterable[tuple[str, int]]) -> None:
    """Let no other worker count the same outputs until the transaction ends; a SQLite file has one writer anyway.

    Without it, a worker that lost a partition and its successor could both read the fence before either moves it.
    """
    if connection.dialect.name == "sqlite":
        return
    for number in sorted({zlib.crc32(f"{topic}/{partition}".encode()) for topic, partition in places}):
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": LOCKS << 32 | number})


def _fences(connection: Connection, places: Iterable[tuple[str, int, str]]) -> dict[tuple[str, int, str], int]:
    found: dict[tuple[str, int, str], int] = {}
    rest = iter(sorted(places))
    columns = (counted.c.topic, counted.c.partition, counted.c.stream)
    while some := list(islice(rest, AT_ONCE)):
        rows = connection.execute(select(*columns, counted.c.position).where(tuple_(*columns).in_(some)))
        found.update(((row.topic, row.partition, row.stream), row.position) for row in rows)
    return found


def _set_fences(connection: Connection, moved: dict[tuple[str, int, str], tuple[int, int]]) -> None:
    rows = [
        {"topic": topic, "partition": partition, "stream": stream, "position": position, "hour": hour}
        for (topic, partition, stream), (position, hour) in moved.items()
    ]
    if not rows:
        return
    statement = insert(connection, counted)
    newer = {name: statement.excluded[name] for name in ("position", "hour")}
    keys = ["topic", "partition", "stream"]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=newer), rows)


def _add(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, or add their numbers to those that are there, sorted: two workers then wait and never deadlock."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    statement = insert(connection, table)
    sums = {name: table.c[name] + statement.excluded[name] for name in ("outputs", "failed") if name in table.c}
    rows.sort(key=lambda row: [row[name] for name in keys])
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=sums), rows)


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert statement that can say what happens where the row is there."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
