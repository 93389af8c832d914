"""The ledger in PostgreSQL: `postgresql://user:password@host/database`, for several processes and machines."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from monitor.ledger import migrate
from monitor.ledger.base import LedgerError
from monitor.ledger.sql_ledger import SqlLedger
from monitor.ledger.writer import Writer, first_line

SCHEMA_LOCK = 0x6F716C  # "oql": key of the advisory lock under which the schema changes
CONNECT_TIMEOUT_S = 10  # a server that is up answers in far less
# A process that is stopped in the middle of a transaction holds the audit log's head, and with it all others: the
# server ends its session after this. Statements of a group follow one another within milliseconds.
STALLED_MS = 10_000
STATEMENT_MS = 30_000  # verification of the audit log reads page by page; nothing else takes a second
READERS = 4  # connections that a process keeps for reading; more are opened and closed as they are needed


def open_postgres(url: str, *, read_only: bool = False) -> SqlLedger:
    """The ledger in the database at `url`; its tables are made where there are none. Raises `LedgerError`."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise LedgerError("PostgreSQL needs the extra: pip install 'output-quality-monitor[postgres]'") from None
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    name = parsed.render_as_string(hide_password=True).replace("+psycopg", "")
    limits = f"-c idle_in_transaction_session_timeout={STALLED_MS} -c statement_timeout={STATEMENT_MS}"
    arguments: dict[str, object] = {"connect_timeout": CONNECT_TIMEOUT_S, "options": limits}
    # One state of the database for each transaction, and no write.
    reader = create_engine(
        parsed,
        pool_pre_ping=True,
        pool_size=READERS,
        connect_args={**arguments, "options": f"{limits} -c default_transaction_read_only=on"},
        isolation_level="REPEATABLE READ",
    )
    if read_only:
        _prepare(reader, name, read_only=True)
        return SqlLedger(name, reader, None, reader.dispose)
    engine = create_engine(
        parsed, pool_pre_ping=True, pool_size=1, connect_args=arguments, isolation_level="READ COMMITTED"
    )
    event.listen(engine, "connect", _wait_for_the_disk)
    try:
        _prepare(engine, name, read_only=False)
    except LedgerError:
        reader.dispose()
        raise

    def close() -> None:
        reader.dispose()
        engine.dispose()

    return SqlLedger(name, reader, Writer(engine, nullcontext, name), close)


def _prepare(engine: Engine, name: str, *, read_only: bool) -> None:
    try:
        with engine.begin() as connection:
            if read_only:
                migrate.refuse_other_schema(connection)
            else:
                connection.execute(text(f"select pg_advisory_xact_lock({SCHEMA_LOCK})"))
                migrate.upgrade(connection)
    except LedgerError:
        engine.dispose()
        raise
    except SQLAlchemyError as error:
        engine.dispose()
        raise LedgerError(f"ledger {name}: {first_line(error)}") from error


def _wait_for_the_disk(connection: Any, _: object) -> None:
    """A server whose default is not to wait for the disk must, for us: a claim that is answered is not lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()
