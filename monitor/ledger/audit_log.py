"""Reading and verifying the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, and_, func, select, text

from monitor.actions.audit import FIRST_HASH, first_broken
from monitor.actions.states import AuditEntry, Change
from monitor.ledger.entries import digest, subject
from monitor.ledger.tables import action, audit, audit_head

PAGE = 5000  # entries or rows in memory at once, about 5 MB
_CHANGES_NOTHING = (Change.REFUSED, Change.STALE_FENCE, Change.MISMATCH)
_FIELDS = ("state", "fence", "kind", "fingerprint", "text_hash", "policy_version", "approvals", "approvals_needed")


def read(connection: Connection, after_seq: int, limit: int) -> Sequence[AuditEntry]:
    """`Ledger.audit`."""
    rows = connection.execute(select(audit).where(audit.c.seq > after_seq).order_by(audit.c.seq).limit(max(0, limit)))
    return [AuditEntry(**row._mapping) for row in rows]


def verify(connection: Connection) -> int | None:
    """`Ledger.verify_audit`, in one transaction that sees one state of the database.

    The chain; its end, by the head; each action's row, by the entry that it names; and that no row is missing. Returns
    the first entry that is wrong, or that a row contradicts.
    """
    if connection.dialect.name == "postgresql":  # a long log takes longer than any other statement may
        connection.execute(text("set local statement_timeout = 0"))
    head = connection.execute(select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)).one_or_none()
    end = None if head is None else (head.seq, head.hash)
    wrong = [found for found in (_chain(connection, end), _rows(connection), _missing(connection)) if found]
    return min(wrong, default=None)


def _chain(connection: Connection, head: tuple[int, str] | None) -> int | None:
    seq, digest_before = 0, FIRST_HASH
    while page := read(connection, seq, PAGE):
        broken = first_broken(page, (seq, digest_before))
        if broken is not None:
            return broken
        seq, digest_before = page[-1].seq, page[-1].hash
    if head is None:
        return seq + 1
    return None if head == (seq, digest_before) else min(seq, head[0]) + 1


def _rows(connection: Connection) -> int | None:
    """The first entry that an action's row contradicts."""
    wrong = None
    for found in _paged(connection):
        body = msgspec.json.decode(found["body"] or "{}")
        fits = found["subject"] == subject(found["scope"], found["key"]) and all(
            body.get(name) == found[name] for name in _FIELDS
        )
        if fits and found["result"] is not None:
            fits = body.get("result") == digest(found["result"])
        if not fits:
            wrong = min(wrong or found["seq"], found["seq"])
    return wrong


def _paged(connection: Connection) -> Iterator[RowMapping]:
    columns = [action.c[name] for name in ("scope", "key", "number", "seq", "result", *_FIELDS)]
    joined = select(*columns, audit.c.subject, audit.c.body).outerjoin_from(action, audit, audit.c.seq == action.c.seq)
    after = -1
    while (
        rows := connection.execute(joined.where(action.c.number > after).order_by(action.c.number).limit(PAGE))
        .mappings()
        .all()
    ):
        yield from rows
        after = rows[-1]["number"]


def _missing(connection: Connection) -> int | None:
    """The latest change of the first action whose row was deleted, or set back, past the ledger."""
    columns = audit.c
    latest = (
        select(func.max(columns.seq).label("seq"))
        .where(columns.subject.startswith("action:"), columns.what.not_in(_CHANGES_NOTHING))
        .group_by(columns.subject)
        .subquery()
    )
    lost = (
        select(func.min(audit.c.seq))
        .select_from(latest.join(audit, audit.c.seq == latest.c.seq).outerjoin(action, action.c.seq == latest.c.seq))
        .where(and_(audit.c.what != Change.FORGOTTEN, action.c.seq.is_(None)))
    )
    return connection.execute(lost).scalar()
