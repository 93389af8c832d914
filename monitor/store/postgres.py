"""The trace store in PostgreSQL: tables partitioned by day. A day ends by dropping its partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Select, Table, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from monitor.actions.cascade import Edge
from monitor.store import alerts, counts, edges, feedback, migrate, quality, sql
from monitor.store.alerts import AlertsKnown, StoredAlert
from monitor.store.base import StoreError
from monitor.store.feedback import StoredFeedback, VotesOf
from monitor.store.quality import QualityCounts, Window
from monitor.store.query import OutputId, Search, StoredJudgment, StoredOutput
from monitor.store.records import Incoming
from monitor.store.tables import BY_DAY, edge, output, violation

LOCK = 0x6F716D  # "oqm": key of the advisory lock under which schema and partitions change
CONNECT_TIMEOUT_S = 10  # a server that is up answers in far less; the writer tries again after it


class PostgresStore:
    """`monitor.store.base.TraceStore` in the database at `url` (postgresql://user:password@host/database)."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        try:
            import psycopg
        except ImportError:
            raise StoreError("PostgreSQL needs the extra: pip install 'output-quality-monitor[postgres]'") from None
        self._driver_error: type[Exception] = psycopg.Error  # what COPY raises, past SQLAlchemy
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        self._shown = parsed.render_as_string(hide_password=True).replace("+psycopg", "")
        arguments: dict[str, object] = {"connect_timeout": CONNECT_TIMEOUT_S}
        if read_only:
            arguments["options"] = "-c default_transaction_read_only=on"
        self._engine = create_engine(parsed, pool_pre_ping=True, pool_size=2, connect_args=arguments)
        self._known_days: set[int] = set()
        try:
            self._prepare(read_only=read_only)
        except StoreError:
            self.close()
            raise

    def _prepare(self, *, read_only: bool) -> None:
        with self._transaction() as connection:
            if read_only:
                migrate.refuse_other_schema(connection)
            else:
                _lock(connection)
                migrate.upgrade(connection)

    def positions(self, topic: str) -> dict[int, int]:
        """As the protocol says."""
        with self._transaction() as connection:
            return sql.read_positions(connection, topic)

    def write(self, incoming: Incoming) -> None:
        """As the protocol says: rows and positions in one transaction."""
        days = {row["day"] for rows in incoming.by_day for row in rows}
        if days - self._known_days:
            self._make_partitions(days - self._known_days)
        try:
            self._insert(incoming)
        except StoreError:
            self._known_days.clear()  # another worker may have dropped one: the next try makes what is missing
            raise

    def _insert(self, incoming: Incoming) -> None:
        with self._transaction() as connection:
            for table, rows in zip(BY_DAY, incoming.by_day, strict=True):
                (_copy_new if table in _COPIED else sql.insert_new)(connection, table, rows)
            sql.write_prompts(connection, incoming)
            counts.count_outputs(connection, incoming.counted)
            feedback.write_feedback(connection, incoming.feedback)
            alerts.write_alerts_read(connection, incoming.alerts_read)
            sql.write_positions(connection, incoming)

    def find(self, event: str) -> list[StoredOutput]:
        """As the protocol says."""
        return self._stored(sql.finding(event))

    def search(self, search: Search) -> list[StoredOutput]:
        """As the protocol says."""
        return self._stored(sql.searching(search))

    def judgments(self, event: str) -> list[StoredJudgment]:
        """As the protocol says."""
        with self._transaction() as connection:
            return sql.judged(connection, sql.judging(event))

    def edges(
        self, nodes: Sequence[str], limit: int, *, into: bool = False, since_day: int | None = None
    ) -> list[Edge]:
        """As the protocol says."""
        with self._transaction() as connection:
            return edges.edges_at(connection, nodes, limit, into=into, since_day=since_day)

    def outputs_between(self, stream: str, since: float, until: float, limit: int) -> list[OutputId]:
        """As the protocol says."""
        with self._transaction() as connection:
            return sql.between(connection, stream, since, until, limit)

    def find_alert(self, identity: str) -> StoredAlert | None:
        """As the protocol says."""
        with self._transaction() as connection:
            return alerts.find_alert(connection, identity)

    def with_verdict(self, judgments: Sequence[tuple[int, str]]) -> set[str]:
        """As the protocol says."""
        with self._transaction() as connection:
            return sql.with_verdict(connection, judgments)

    def alerts(self, stream: str) -> list[StoredAlert]:
        """As the protocol says."""
        with self._transaction() as connection:
            return alerts.alerts_of(connection, stream)

    def alerts_known(self) -> AlertsKnown:
        """As the protocol says."""
        with self._transaction() as connection:
            return alerts.alerts_known(connection, map(_day_of, _partitions(connection)))

    def quality(self, asked: Window) -> QualityCounts:
        """As the protocol says."""
        counted = QualityCounts()
        with self._transaction() as connection:
            quality.add_verdicts(connection, asked, counted)
            quality.add_outputs(connection, asked, counted)
        return counted

    def feedback(self, event: str) -> list[StoredFeedback]:
        """As the protocol says."""
        with self._transaction() as connection:
            return feedback.feedback_on(connection, event)

    def votes(self, asked: Window) -> VotesOf:
        """As the protocol says."""
        found: VotesOf = {}
        with self._transaction() as connection:
            feedback.add_votes(connection, asked, found)
            feedback.add_joined(connection, asked, feedback.without_stream(connection, asked), found)
        return found

    def _stored(self, statement: Select[Any]) -> list[StoredOutput]:
        with self._transaction() as connection:
            return sql.with_prompts(connection, sql.stored(connection, statement))

    def drop_before(self, day: int) -> int:
        """As the protocol says."""
        dropped: set[int] = set()
        with self._transaction() as connection:
            _lock(connection)
            counts.delete_before(connection, day)
            for name in _partitions(connection):
                of_day = _day_of(name)
                if of_day < day:
                    connection.execute(text(f"drop table {name}"))
                    dropped.add(of_day)
        self._known_days -= dropped
        return len(dropped)

    def close(self) -> None:
        """As the protocol says."""
        self._engine.dispose()

    def _make_partitions(self, days: set[int]) -> None:
        with self._transaction() as connection:
            _lock(connection)
            for day in sorted(days):
                for table in BY_DAY:
                    connection.execute(
                        text(
                            f"create table if not exists {table.name}_{day} partition of {table.name} "
                            f"for values from ({day}) to ({day + 1})"
                        )
                    )
        self._known_days |= days

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, self._driver_error) as error:
            why = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise StoreError(f"trace store {self._shown}: {why}") from error


_COPIED = (output, violation, edge)
"""Tables with a row for each event, or more. Judgments and alerts are few, and a judgment may take another's place."""


def _copy_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that are not there yet, by primary key: COPY into a temporary table, then one statement from it.

    Row by row the server parses, plans and checks a statement for each; this way it takes half the time.
    """
    if not rows:
        return
    names = [column.name for column in table.columns]
    columns = ", ".join(f'"{name}"' for name in names)
    incoming = f"incoming_{table.name}"
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor:
        # Each session has its own. It is made in every transaction, as a proxy may change sessions between them.
        cursor.execute(f"create temporary table if not exists {incoming} (like {table.name}) on commit delete rows")
        with cursor.copy(f"copy {incoming} ({columns}) from stdin") as copy:
            for row in rows:
                copy.write_row([row[name] for name in names])
        cursor.execute(f"insert into {table.name} ({columns}) select {columns} from {incoming} on conflict do nothing")


def _lock(connection: Connection) -> None:
    """Hold the lock under which schema and partitions change, to the end of the transaction."""
    connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))


def _day_of(partition: str) -> int:
    return int(partition.rpartition("_")[2])


def _partitions(connection: Connection) -> list[str]:
    names = ", ".join(f"'{table.name}'::regclass" for table in BY_DAY)
    found = connection.execute(text(f"select inhrelid::regclass::text from pg_inherits where inhparent in ({names})"))
    return [name for (name,) in found]
