"""A change of an action: its entry of the audit log and its message, from the row as it is after the change."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Connection, Row, Table, and_, select
from sqlalchemy.dialects import postgresql, sqlite

from monitor.actions.message import changed, message_key
from monitor.actions.states import Action, Change, Duplicate, NoSuchAction, Vote
from monitor.ledger.rows import action_of
from monitor.ledger.tables import action, approval_vote, duplicate
from monitor.ledger.transaction import GroupTransaction

CLOCK = "clock"
"""The actor of what time alone changes."""

TOPIC = "actions"


def subject(scope: str, key: str) -> str:
    """What the audit log calls an action."""
    return f"action:{scope}/{key}"


def record_change(tx: GroupTransaction, row: Row[Any], what: Change, actor: str, at: float, **more: Any) -> Action:
    """Append an entry and a message for a row that has just been changed; its `seq` is `tx.next_seq`. Returns it.

    The entry holds everything that must not change unseen. Texts (results, reasons) are hashes in it, as the log is
    kept for good and texts are not.
    """
    found = action_of(row)
    body = {
        "state": found.state,
        "was": row._mapping["was"],
        "fence": found.fence,
        "kind": found.kind,
        "fingerprint": found.fingerprint,
        "text_hash": found.text_hash,
        "policy_version": found.policy_version,
        "approvals": found.approvals,
        "approvals_needed": found.approvals_needed,
        **({"lease_until": found.lease_until} if what in (Change.CLAIMED, Change.EXTENDED) else {}),
        **({"expires_at": found.expires_at} if what in (Change.PROPOSED, Change.SUPERSEDED, Change.APPROVED) else {}),
        **({"decision": found.decision, "reasons": found.reasons} if what is Change.PROPOSED else {}),
        **({"result": digest(found.result)} if found.result is not None else {}),
        **({"why": digest(found.why.encode())} if found.why else {}),
        **more,
    }
    entry = tx.record(at, actor, what, subject(found.scope, found.key), body)
    assert entry.seq == found.seq, "the row names another entry of the audit log"
    tx.publish(TOPIC, message_key(found.scope, found.key), changed(found, what, actor, at, entry))
    return found


def record_attempt(tx: GroupTransaction, found: Action, what: Change, actor: str, at: float, **more: Any) -> None:
    """Append an entry and a message for what was refused, and changed nothing."""
    body = {"state": found.state, "fence": found.fence, **more}
    entry = tx.record(at, actor, what, subject(found.scope, found.key), body)
    tx.publish(TOPIC, message_key(found.scope, found.key), changed(found, what, actor, at, entry))


def count_duplicate(tx: GroupTransaction, kind: str, what: Duplicate) -> None:
    """One more."""
    statement = insert_into(tx.connection, duplicate).values(kind=kind, what=what, count=1)
    tx.connection.execute(
        statement.on_conflict_do_update(index_elements=["kind", "what"], set_={"count": duplicate.c.count + 1})
    )


def row_at(tx: GroupTransaction, scope: str, key: str) -> Row[Any]:
    """An action's row. Raises `NoSuchAction`."""
    row = tx.connection.execute(select(action).where(is_action(scope, key))).one_or_none()
    if row is None:
        raise NoSuchAction(f"no action {key!r} in scope {scope!r}")
    return row


def is_action(scope: str, key: str) -> Any:
    """The condition for one action."""
    return and_(action.c.scope == scope, action.c.key == key)


def votes_on(connection: Connection, scope: str, key: str, round_: int) -> tuple[Vote, ...]:
    """Votes on an action, the oldest first; those of earlier rounds do not count."""
    columns = approval_vote.c
    rows = connection.execute(
        select(approval_vote).where(columns.scope == scope, columns.key == key).order_by(columns.seq)
    )
    return tuple(
        Vote(by=row.by, approved=bool(row.approved), at=row.at, why=row.why, counts=row.round == round_) for row in rows
    )


def insert_into(connection: Connection, table: Table) -> Any:
    """The database's own `insert`, which knows `on conflict`."""
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)


def digest(text: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(text).hexdigest()
