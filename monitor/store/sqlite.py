"""The trace store in SQLite: a folder with one file a day, and one for what has no day.

    traces/index.sqlite              prompts, counts of outputs by hour, feedback, and how far the log has been read
    traces/2026-11-30.sqlite         outputs, violations, alerts, judgments and edges of that day

A day ends by deleting its file, which gives the space back at once. Rows are written day by day, each in a transaction
of its file, and the positions last: after a death in between, the same messages come again and their rows are there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from monitor.actions.cascade import Edge
from monitor.store import alerts, counts, edges, feedback, migrate, quality, sql
from monitor.store.alerts import MAX_ALERTS, AlertsKnown, StoredAlert
from monitor.store.base import StoreError
from monitor.store.feedback import StoredFeedback, VotesOf
from monitor.store.periods import DAY_S
from monitor.store.quality import QualityCounts, Window
from monitor.store.query import MAX_RESULTS, OutputId, Search, StoredJudgment, StoredOutput
from monitor.store.records import Incoming
from monitor.store.tables import BY_DAY

INDEX = "index.sqlite"
MAX_OPEN_FILES = 8  # days that are kept open: writes go to the last ones, and each open file takes memory for its pages
MAX_OPEN_TO_READ = 40
"""The same of a reader, which looks into every day at each step of a cascade: the 30 days that are kept by default."""
BUSY_TIMEOUT_S = 10.0  # how long a writer waits for a reader's checkpoint; a reader never waits for the writer (WAL)


class SqliteStore:
    """`monitor.store.base.TraceStore` in a folder. `read_only` never writes a file, not even a new schema."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._folder = folder
        self._read_only = read_only
        self._engines: dict[str, Engine] = {}
        if read_only:
            if not (folder / INDEX).is_file():
                raise StoreError(f"{folder}: holds no trace store; a worker with the role store writes it")
        else:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{folder}: cannot be made: {error.strerror}") from None
            # Files of days that have ended are never written again, and readers refuse another schema.
            for name in [*self._days(), INDEX]:
                with self._transaction(name):
                    pass

    def positions(self, topic: str) -> dict[int, int]:
        """As the protocol says."""
        with self._transaction(INDEX) as connection:
            return sql.read_positions(connection, topic)

    def write(self, incoming: Incoming) -> None:
        """As the protocol says."""
        for day in sorted({row["day"] for rows in incoming.by_day for row in rows}):
            with self._transaction(_file_of(day)) as connection:
                for table, rows in zip(BY_DAY, incoming.by_day, strict=True):
                    sql.insert_new(connection, table, [row for row in rows if row["day"] == day])
        with self._transaction(INDEX) as connection:
            sql.write_prompts(connection, incoming)
            counts.count_outputs(connection, incoming.counted)
            feedback.write_feedback(connection, incoming.feedback)
            alerts.write_alerts_read(connection, incoming.alerts_read)
            sql.write_positions(connection, incoming)

    def find(self, event: str) -> list[StoredOutput]:
        """As the protocol says."""
        return self._newest(sql.finding(event), 0)

    def search(self, search: Search) -> list[StoredOutput]:
        """As the protocol says."""
        # An event's own time may lie before the day that its message came; never after, beyond a clock's error.
        since = None if search.since is None else int(search.since // 86_400) - 1
        return self._newest(sql.searching(search), min(search.limit, MAX_RESULTS), since)

    def judgments(self, event: str) -> list[StoredJudgment]:
        """As the protocol says."""
        found: list[StoredJudgment] = []
        for name in self._days():
            with self._transaction(name) as connection:
                found += sql.judged(connection, sql.judging(event))
        return sorted(found, key=lambda one: one.judged_at)[:MAX_RESULTS]

    def edges(
        self, nodes: Sequence[str], limit: int, *, into: bool = False, since_day: int | None = None
    ) -> list[Edge]:
        """As the protocol says."""
        found: list[Edge] = []
        for name in self._days():
            if len(found) < limit and (since_day is None or _day_of(name) >= since_day):
                with self._transaction(name) as connection:
                    found += edges.edges_at(connection, nodes, limit - len(found), into=into)
        return found

    def outputs_between(self, stream: str, since: float, until: float, limit: int) -> list[OutputId]:
        """As the protocol says."""
        found: list[OutputId] = []
        # An event's own time may lie a day before the day that its message came.
        for name in self._days():
            if (
                len(found) < limit
                and since - DAY_S <= (_day_of(name) + 1) * DAY_S
                and _day_of(name) * DAY_S < until + DAY_S
            ):
                with self._transaction(name) as connection:
                    found += sql.between(connection, stream, since, until, limit - len(found))
        return sorted(found, key=lambda one: one.time)

    def find_alert(self, identity: str) -> StoredAlert | None:
        """As the protocol says."""
        for name in reversed(self._days()):
            with self._transaction(name) as connection:
                if (found := alerts.find_alert(connection, identity)) is not None:
                    return found
        return None

    def with_verdict(self, judgments: Sequence[tuple[int, str]]) -> set[str]:
        """As the protocol says."""
        found: set[str] = set()
        there = set(self._days())
        for day in {day for day, _ in judgments}:
            if (name := _file_of(day)) in there:
                with self._transaction(name) as connection:
                    found |= sql.with_verdict(connection, [one for one in judgments if one[0] == day])
        return found

    def alerts(self, stream: str) -> list[StoredAlert]:
        """As the protocol says."""
        found: dict[str, StoredAlert] = {}
        for name in reversed(self._days()):
            if len(found) > MAX_ALERTS:
                break
            with self._transaction(name) as connection:
                for one in alerts.alerts_of(connection, stream):
                    found.setdefault(one.id, one)  # the days before have earlier transitions of it
        return list(found.values())[: MAX_ALERTS + 1]

    def alerts_known(self) -> AlertsKnown:
        """As the protocol says."""
        with self._transaction(INDEX) as connection:
            return alerts.alerts_known(connection, map(_day_of, self._days()))

    def quality(self, asked: Window) -> QualityCounts:
        """As the protocol says."""
        counted = QualityCounts()
        for name in self._days():
            if _day_of(name) in asked.days:
                with self._transaction(name) as connection:
                    quality.add_verdicts(connection, asked, counted)
        with self._transaction(INDEX) as connection:
            quality.add_outputs(connection, asked, counted)
        return counted

    def feedback(self, event: str) -> list[StoredFeedback]:
        """As the protocol says."""
        with self._transaction(INDEX) as connection:
            return feedback.feedback_on(connection, event)

    def votes(self, asked: Window) -> VotesOf:
        """As the protocol says."""
        found: VotesOf = {}
        with self._transaction(INDEX) as connection:
            feedback.add_votes(connection, asked, found)
            said = feedback.without_stream(connection, asked)
        for name in reversed(self._days()):
            if not said:
                break
            with self._transaction(name) as connection:
                feedback.add_joined(connection, asked, said, found)
        return found

    def drop_before(self, day: int) -> int:
        """As the protocol says."""
        with self._transaction(INDEX) as connection:
            counts.delete_before(connection, day)
        dropped = 0
        for name in self._days():
            if _day_of(name) < day:
                self._forget(name)
                for path in (f"{name}-wal", f"{name}-shm", name):
                    (self._folder / path).unlink(missing_ok=True)
                dropped += 1
        return dropped

    def close(self) -> None:
        """As the protocol says."""
        for name in list(self._engines):
            self._forget(name)

    def _newest(self, statement: Select[Any], limit: int, since: int | None = None) -> list[StoredOutput]:
        """What a statement finds, in the files from the newest day on; `limit` 0: all of it."""
        found: list[StoredOutput] = []
        for name in reversed(self._days()):
            if (limit and len(found) >= limit) or (since is not None and _day_of(name) < since):
                break
            with self._transaction(name) as connection:
                found += sql.stored(connection, statement)
        found.sort(key=lambda one: -one.time)
        found = found[:limit] if limit else found
        with self._transaction(INDEX) as connection:
            return sql.with_prompts(connection, found)

    def _days(self) -> list[str]:
        return sorted(path.name for path in self._folder.glob("????-??-??.sqlite"))

    def _forget(self, name: str) -> None:
        engine = self._engines.pop(name, None)
        if engine is not None:
            engine.dispose()

    @contextmanager
    def _transaction(self, name: str) -> Iterator[Connection]:
        try:
            with self._engine(name).begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error) as error:
            why = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise StoreError(f"trace store {self._folder / name}: {why}") from error

    def _engine(self, name: str) -> Engine:
        engine = self._engines.pop(name, None)
        if engine is None:
            engine = self._opened(name)
        self._engines[name] = engine  # the last one is the one used last
        while len(self._engines) > (MAX_OPEN_TO_READ if self._read_only else MAX_OPEN_FILES):
            self._forget(next(iter(self._engines)))
        return engine

    def _opened(self, name: str) -> Engine:
        path = (self._folder / name).absolute()
        mode = "ro" if self._read_only else "rwc"
        engine = create_engine(
            f"sqlite:///file:{path.as_posix()}?mode={mode}&uri=true", connect_args={"timeout": BUSY_TIMEOUT_S}
        )
        event.listen(engine, "connect", _set_up_reader if self._read_only else _set_up_writer)
        try:
            with engine.begin() as connection:
                (migrate.refuse_other_schema if self._read_only else migrate.upgrade)(connection)
        except (SQLAlchemyError, StoreError):
            engine.dispose()
            raise
        return engine


def _set_up_writer(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("pragma journal_mode = wal")  # readers see the state before, and never wait
    # `normal`: a power failure may lose the last transactions, whose messages are then read again from the log.
    connection.execute("pragma synchronous = normal")


def _set_up_reader(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("pragma query_only = on")


def _file_of(day: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%d}.sqlite"


def _day_of(name: str) -> int:
    return (datetime.strptime(name[:10], "%Y-%m-%d").replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
