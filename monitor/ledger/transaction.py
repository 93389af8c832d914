"""What the changes of a group share: the connection, the end of the audit log, and what is appended at the end."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, insert, select, update

from monitor.actions.audit import next_entry
from monitor.actions.states import AuditEntry
from monitor.ledger.base import LedgerError
from monitor.ledger.tables import audit, audit_head, outbox


class Head(NamedTuple):
    """The end of the audit log, and the id of the outbox's latest message."""

    seq: int
    hash: str
    message: int


class Mark(NamedTuple):
    """How far a transaction has come."""

    head: Head
    entries: int
    messages: int


class GroupTransaction:
    """`monitor.ledger.base.Transaction`. Locks the head of the audit log until the end of the transaction.

    Raises `LedgerError` where the head is missing.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        columns = (audit_head.c.seq, audit_head.c.hash, audit_head.c.message)
        row = connection.execute(select(*columns).where(audit_head.c.id == 1).with_for_update()).one_or_none()
        if row is None:
            raise LedgerError("the head of the audit log is missing: restore the ledger from its backup")
        self.head = self._first = Head(*row)
        self._entries: list[AuditEntry] = []
        self._messages: list[dict[str, Any]] = []

    @property
    def connection(self) -> Connection:
        """Inside the transaction."""
        return self._connection

    @property
    def next_seq(self) -> int:
        """The number that the next entry of the audit log will have."""
        return self.head.seq + 1

    def record(self, at: float, actor: str, what: str, subject: str, body: dict[str, Any]) -> AuditEntry:
        """Append to the audit log."""
        entry = next_entry((self.head.seq, self.head.hash), at, actor, what, subject, body)
        self._entries.append(entry)
        self.head = Head(entry.seq, entry.hash, self.head.message)
        return entry

    def publish(self, topic: str, key: str, body: bytes) -> None:
        """Put a message into the outbox."""
        self.head = self.head._replace(message=self.head.message + 1)
        self._messages.append({"id": self.head.message, "topic": topic, "key": key, "body": body})

    def mark(self) -> Mark:
        """For `back_to`."""
        return Mark(self.head, len(self._entries), len(self._messages))

    def back_to(self, mark: Mark) -> None:
        """Forget what was appended since."""
        self.head = mark.head
        del self._entries[mark.entries :]
        del self._messages[mark.messages :]

    def flush(self) -> None:
        """Write what was appended; last, before the commit."""
        if self._entries:
            self._connection.execute(insert(audit), [msgspec.structs.asdict(entry) for entry in self._entries])
        if self._messages:
            self._connection.execute(insert(outbox), self._messages)
        if self.head != self._first:
            self._connection.execute(update(audit_head).where(audit_head.c.id == 1).values(**self.head._asdict()))
