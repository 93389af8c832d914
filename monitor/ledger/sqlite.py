"""The ledger in SQLite: `FOLDER/ledger.sqlite`, for the processes of one machine.

Every commit waits for the disk (`synchronous = full`). Processes queue for the right to write at a lock on the file
`ledger.lock`: the kernel hands it on in turn, where SQLite's own waiting (sleep and try again) lets some process starve
when others write without a pause.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from monitor.ledger import migrate
from monitor.ledger.base import LedgerError, NoLedger
from monitor.ledger.sql_ledger import SqlLedger
from monitor.ledger.writer import Writer, first_line

FILE = "ledger.sqlite"
LOCK = "ledger.lock"
BUSY_TIMEOUT_S = 10.0  # for what takes no turn at `ledger.lock`: a backup, a checkpoint, an operator's sqlite3


def open_sqlite(folder: Path, *, read_only: bool = False) -> SqlLedger:
    """The ledger in a folder, made where there is none. Raises `LedgerError`."""
    path = folder / FILE
    if read_only:
        if not path.is_file():
            raise NoLedger(f"{folder}: holds no ledger; `oqm serve` makes it")
        reader = _engine(path, "ro", _set_up_reader, "begin")
        _prepare(reader, path, migrate.refuse_other_schema)
        return SqlLedger(str(path), reader, None, reader.dispose)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(f"{folder}: cannot be written: {error.strerror}") from None

    @contextmanager
    def turn() -> Iterator[None]:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    engine = _engine(path, "rwc", _set_up_writer, "begin immediate")
    reader = _engine(path, "rw", _set_up_reader, "begin")

    def close() -> None:
        reader.dispose()
        engine.dispose()
        os.close(lock)

    try:
        with turn():
            _prepare(engine, path, migrate.upgrade)
        writer = Writer(engine, turn, str(path))
    except LedgerError:
        close()
        raise
    return SqlLedger(str(path), reader, writer, close)


def _engine(path: Path, mode: str, set_up: Callable[[sqlite3.Connection, object], None], begin: str) -> Engine:
    url = f"sqlite:///file:{path.absolute().as_posix()}?mode={mode}&uri=true"
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare(engine: Engine, path: Path, work: Callable[[Connection], None]) -> None:
    try:
        with engine.begin() as connection:
            work(connection)
    except LedgerError:
        engine.dispose()
        raise
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        raise LedgerError(f"ledger {path}: {first_line(error)}") from error


def _set_up_writer(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions: the engine's event does
    connection.execute("pragma journal_mode = wal")  # readers see the state before, and never wait
    connection.execute("pragma synchronous = full")  # what is answered survives a power failure


def _set_up_reader(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    connection.execute("pragma query_only = on")
