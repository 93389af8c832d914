"""One thread of a process writes to the ledger, and commits what waits as a group.

A commit that survives a power failure waits for the disk, some milliseconds; ten changes that wait together cost one
such wait. Every change appends to the audit log's chain, so changes are serial anyway, over all processes: each
transaction first locks the head of the chain.

When a connection breaks (the server restarts), the group is run again on a new one. Where it broke during the commit,
the chain tells whether it was applied: the hash of the group's last entry is in the log or it is not.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as NotInTime
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from monitor.ledger.base import LedgerError, Transaction
from monitor.ledger.tables import audit
from monitor.ledger.transaction import GroupTransaction, Head

T = TypeVar("T")

MAX_GROUP = 128  # changes of one commit: 0.1 s of statements on a slow disk, so that other processes get their turn
PATIENCE_S = 30.0  # how long a caller waits: longer than a restart of PostgreSQL, shorter than a person would
RECONNECT_S = 0.2  # between attempts to connect to a server that does not answer


class _Waiting:
    """Work of one caller, and where its result goes."""

    def __init__(self, work: Callable[[Transaction], Any], until: float) -> None:
        self.work, self.until = work, until
        self.future: Future[Any] = Future()
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Give the caller the result, unless they have gone."""
        try:
            if self.error is not None:
                self.future.set_exception(self.error)
            else:
                self.future.set_result(self.result)
        except InvalidStateError:
            pass  # cancelled: the caller's patience was over


class Writer:
    """Runs work in transactions of groups.

    Parameters
    ----------
    engine
        For one connection, whose transactions begin as the database needs it.
    turn
        A context in which a transaction runs: how processes queue before the database's own lock.
    name
        The ledger as messages name it, without a password.
    patience_s
        After which a caller gets `LedgerError`; None: `PATIENCE_S`.
    """

    def __init__(
        self,
        engine: Engine,
        turn: Callable[[], AbstractContextManager[None]],
        name: str,
        patience_s: float | None = None,
    ) -> None:
        self._engine, self._turn, self._name = engine, turn, name
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Transaction], T]) -> T:
        """The result of `work`, committed. Raises what it raises, or `LedgerError`."""
        waiting = _Waiting(work, time.monotonic() + self._patience_s)
        with self._closing:
            if self._closed:
                raise LedgerError(f"ledger {self._name}: closed")
            self._queue.put(waiting)
        try:
            # The thread keeps the limit while it waits for a server. This one is for a transaction that hangs.
            result: T = waiting.future.result(self._patience_s * 2)
        except NotInTime:
            if not waiting.future.cancel():
                return waiting.future.result()  # type: ignore[no-any-return]
            raise LedgerError(
                f"ledger {self._name}: no answer within {self._patience_s * 2:g} s; another process holds its lock, or "
                "the server hangs. Whether the change was applied is not known: ask again"
            ) from None
        return result

    def close(self) -> None:
        """Finish what waits."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = [first], False
            while len(group) < MAX_GROUP and not last:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                else:
                    group.append(more)
            self._write(group)
            if last:
                return

    def _write(self, group: list[_Waiting]) -> None:
        """Commit a group, over as many connections as it takes."""
        lost: Head | None = None
        while group:
            try:
                lost = self._attempt(group, lost)
            except Exception as error:  # whatever it is, the callers get it, and the thread goes on
                if not _broken(error):
                    self._give_up(group, error)
                    return
                # Nothing of the group is committed, or `lost` tells.
                late = [waiting for waiting in group if time.monotonic() > waiting.until]
                self._give_up(late, error)
                group = [waiting for waiting in group if waiting not in late]
                if group and not getattr(error, "connection_invalidated", False):
                    time.sleep(RECONNECT_S)
                continue
            if lost is None:
                for waiting in group:
                    waiting.settle()
                return

    def _attempt(self, group: list[_Waiting], lost: Head | None) -> Head | None:
        """One transaction. Returns None when it is committed, else the head that a commit without an answer would give.

        `lost` is such a head of the attempt before.
        """
        with self._turn(), self._engine.connect() as connection:
            transaction = GroupTransaction(connection)  # locks the head: waits for what a lost connection still commits
            if lost is not None and _is_committed(connection, lost):
                return None
            for waiting in group:
                _run_one(transaction, waiting)
            transaction.flush()
            try:
                connection.commit()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return transaction.head
            return None

    def _give_up(self, group: list[_Waiting], error: Exception) -> None:
        known = isinstance(error, SQLAlchemyError | OSError | LedgerError)
        for waiting in group:
            waiting.error = LedgerError(f"ledger {self._name}: {first_line(error)}") if known else error
            waiting.settle()


def _run_one(transaction: GroupTransaction, waiting: _Waiting) -> None:
    """Run one caller's work; what it raises rolls back its part and goes to the caller."""
    waiting.result, waiting.error = None, None
    mark = transaction.mark()
    savepoint = transaction.connection.begin_nested()
    try:
        waiting.result = waiting.work(transaction)
        savepoint.commit()
    except Exception as error:
        if isinstance(error, DBAPIError) and _broken(error):
            raise
        savepoint.rollback()
        transaction.back_to(mark)
        waiting.error = LedgerError(first_line(error)) if isinstance(error, SQLAlchemyError) else error


def _is_committed(connection: Connection, head: Head) -> bool:
    found = connection.execute(select(audit.c.hash).where(audit.c.seq == head.seq)).scalar()
    return bool(found == head.hash)


def _broken(error: Exception) -> bool:
    """Whether the connection is gone, or none could be made: a new one may do."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or error.statement is None


def first_line(error: BaseException) -> str:
    """What the database said, in one line."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
