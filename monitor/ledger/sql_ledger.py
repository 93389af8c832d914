"""The ledger on a database: `monitor.ledger.base.Ledger` for both, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, delete, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from monitor.actions.states import (
    Action,
    ActionError,
    AuditEntry,
    Claim,
    ClaimAnswer,
    Due,
    DuplicateCount,
    Proposal,
    State,
    Token,
)
from monitor.ledger import audit_log, claims, people, queries, sweep, tokens
from monitor.ledger.base import LedgerError, OutboxRow, Transaction
from monitor.ledger.rows import checked_fence, checked_result, checked_scope, checked_text, found_key
from monitor.ledger.tables import audit_head, outbox
from monitor.ledger.writer import Writer, first_line

T = TypeVar("T")


class SqlLedger:
    """See the protocol. Built by `monitor.ledger.open.open_ledger`.

    Parameters
    ----------
    name
        As messages name it, without a password.
    reader
        For connections that write nothing and see one state of the database in a transaction.
    writer
        None: to be read only.
    """

    def __init__(self, name: str, reader: Engine, writer: Writer | None, close: Callable[[], None]) -> None:
        self._name, self._reader, self._writer = name, reader, writer
        self._close: Callable[[], None] | None = close

    # Actions

    def propose(self, proposal: Proposal, now: float) -> Action:
        """As the protocol says."""
        return self._changed(lambda tx: claims.propose(tx, proposal, now))

    def claim(self, claim: Claim, now: float) -> ClaimAnswer:
        """As the protocol says."""
        return self._changed(lambda tx: claims.claim(tx, claim, now))

    def done(self, scope: str, key: str, fence: int, result: bytes, now: float) -> Action:
        """As the protocol says."""
        scope, key, kept = checked_scope(scope), found_key(key), checked_result(result)
        checked_fence(fence)
        return self._changed(lambda tx: claims.done(tx, scope, key, fence, kept, now))

    def failed(self, scope: str, key: str, fence: int, why: str, now: float) -> Action:
        """As the protocol says."""
        scope, key, why = checked_scope(scope), found_key(key), checked_text(why, "why")
        checked_fence(fence)
        return self._changed(lambda tx: claims.failed(tx, scope, key, fence, why, now))

    def extend(self, scope: str, key: str, fence: int, lease_s: float, now: float) -> Action:
        """As the protocol says."""
        scope, key = checked_scope(scope), found_key(key)
        checked_fence(fence)
        return self._changed(lambda tx: claims.extend(tx, scope, key, fence, lease_s, now))

    def resolve(
        self, scope: str, key: str, outcome: State, by: str, why: str, now: float, result: bytes = b""
    ) -> Action:
        """As the protocol says."""
        scope, key, why = checked_scope(scope), found_key(key), checked_text(why, "why")
        kept = checked_result(result)
        return self._changed(lambda tx: people.resolve(tx, scope, key, outcome, by, why, kept, now))

    def undo(self, scope: str, key: str, by: str, why: str, now: float) -> Action:
        """As the protocol says."""
        scope, key, why = checked_scope(scope), found_key(key), checked_text(why, "why")
        return self._changed(lambda tx: people.undo(tx, scope, key, by, why, now))

    def get(self, scope: str, key: str) -> Action:
        """As the protocol says."""
        scope, key = checked_scope(scope), found_key(key)
        return self.read(lambda connection: queries.get(connection, scope, key))

    def list(
        self,
        *,
        scope: str | None = None,
        state: State | None = None,
        kind: str | None = None,
        stream: str | None = None,
        event: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[Action]:
        """As the protocol says."""
        wanted = {"scope": scope, "state": state, "kind": kind, "stream": stream, "event": event}
        return self.read(lambda connection: queries.listed(connection, wanted, before, limit))

    def similar(self, scope: str, kind: str, target: str, since: float, limit: int) -> Sequence[tuple[str, str, bytes]]:
        """As the protocol says."""
        return self.read(lambda connection: queries.similar(connection, scope, kind, target, since, limit))

    # People

    def approve(
        self, scope: str, key: str, by: str, fingerprint: str, text_hash: str, policy_version: str, now: float
    ) -> Action:
        """As the protocol says."""
        scope, key = checked_scope(scope), found_key(key)
        seen = (fingerprint, text_hash, policy_version)
        return self._changed(lambda tx: people.approve(tx, scope, key, by, seen, now))

    def reject(self, scope: str, key: str, by: str, why: str, now: float) -> Action:
        """As the protocol says."""
        scope, key, why = checked_scope(scope), found_key(key), checked_text(why, "why")
        return self._changed(lambda tx: people.reject(tx, scope, key, by, why, now))

    # Time

    def due(self, now: float) -> Sequence[Due]:
        """As the protocol says."""
        if not self.read(lambda connection: sweep.anything_due(connection, now)):
            return []
        return self._changed(lambda tx: sweep.due(tx, now))

    def forget(self, now: float) -> int:
        """As the protocol says."""
        if not self.read(lambda connection: sweep.anything_to_forget(connection, now)):
            return 0
        return self._changed(lambda tx: sweep.forget(tx, now))

    # Audit log, outbox, counts

    def audit(self, after_seq: int = 0, limit: int = 1000) -> Sequence[AuditEntry]:
        """As the protocol says."""
        return self.read(lambda connection: audit_log.read(connection, after_seq, limit))

    def audit_end(self) -> tuple[int, str]:
        """As the protocol says."""
        end = select(audit_head.c.seq, audit_head.c.hash)
        seq, digest = self.read(lambda connection: connection.execute(end).one())
        return seq, digest

    def verify_audit(self) -> int | None:
        """As the protocol says."""
        return self.read(audit_log.verify)

    def outbox_turn(self, by: str, now: float, for_s: float) -> bool:
        """As the protocol says."""
        columns = audit_head.c
        free = or_(columns.courier == by, columns.courier_until <= now)
        taken = update(audit_head).where(free).values(courier=by, courier_until=now + for_s)
        return self.write(lambda tx: bool(tx.connection.execute(taken).rowcount))

    def outbox_leave(self, by: str) -> None:
        """As the protocol says."""
        left = update(audit_head).where(audit_head.c.courier == by).values(courier_until=0.0)
        self.write(lambda tx: tx.connection.execute(left))

    def outbox_take(self, limit: int = 500) -> Sequence[OutboxRow]:
        """As the protocol says."""
        oldest = select(outbox).order_by(outbox.c.id).limit(max(0, limit))
        return self.read(
            lambda connection: [
                OutboxRow(id=row.id, topic=row.topic, key=row.key, body=bytes(row.body))
                for row in connection.execute(oldest)
            ]
        )

    def outbox_sent(self, ids: Sequence[int]) -> None:
        """As the protocol says."""
        sent = sorted(set(ids))
        if sent:
            self.write(lambda tx: tx.connection.execute(delete(outbox).where(outbox.c.id.in_(sent))))

    def outbox_waiting(self) -> int:
        """As the protocol says."""
        return self.read(lambda connection: connection.execute(select(func.count()).select_from(outbox)).scalar_one())

    def duplicates(self) -> Sequence[DuplicateCount]:
        """As the protocol says."""
        return self.read(queries.duplicates)

    # Tokens

    def token_create(
        self,
        name: str,
        scopes: Sequence[str],
        now: float,
        *,
        app: str = "default",
        person: str = "",
        expires_at: float | None = None,
        by: str = "",
    ) -> str:
        """As the protocol says."""
        made = Token(name=name, scopes=tuple(scopes), app=app, person=person, created_at=now, expires_at=expires_at)
        return self._changed(lambda tx: tokens.create(tx, made, by))

    def token_find(self, secret: str, now: float) -> Token | None:
        """As the protocol says."""
        return self.read(lambda connection: tokens.find(connection, secret, now))

    def token_revoke(self, name: str, now: float, by: str = "") -> bool:
        """As the protocol says."""
        return self._changed(lambda tx: tokens.revoke(tx, name, now, by))

    def token_list(self) -> Sequence[Token]:
        """As the protocol says."""
        return self.read(tokens.listed)

    # For the other parts of the ledger

    def write(self, work: Callable[[Transaction], T]) -> T:
        """As the protocol says."""
        if self._writer is None:
            raise LedgerError(f"ledger {self._name}: opened to be read only")
        return self._writer.run(work)

    def read(self, work: Callable[[Connection], T]) -> T:
        """As the protocol says."""
        try:
            with self._reader.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise LedgerError(f"ledger {self._name}: {first_line(error)}") from error

    def close(self) -> None:
        """As the protocol says."""
        if self._writer is not None:
            self._writer.close()
        if self._close is not None:
            self._close()
            self._close = None

    def _changed(self, work: Callable[[Any], T | ActionError]) -> T:
        """The result of a change. A refusal is returned by the work, not raised, so that its record is committed."""
        result = self.write(work)
        if isinstance(result, ActionError):
            raise result
        return result
