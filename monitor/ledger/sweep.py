"""What time alone changes: warnings, expiry, leases that are over, keys past every retry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from monitor.actions.states import FINAL, Change, Due, State
from monitor.ledger.causes import delete_causes
from monitor.ledger.entries import CLOCK, is_action, record_change, subject
from monitor.ledger.tables import action, approval_vote
from monitor.ledger.transaction import GroupTransaction

MAX_DUE = 1000  # of each kind in one transaction: about a second, in which nobody else can write
_WAITS = (State.HELD, State.ALLOWED)
_FORGETTABLE = (*sorted(FINAL), State.FAILED)


def _lease_over(now: float) -> ColumnElement[bool]:
    return and_(action.c.state == State.CLAIMED, action.c.lease_until <= now)


def _expired(now: float) -> ColumnElement[bool]:
    return and_(action.c.expires_at <= now, action.c.state.in_(_WAITS))


def _warned(now: float) -> ColumnElement[bool]:
    return and_(action.c.warn_at <= now, action.c.expires_at > now, action.c.warned == 0, action.c.state.in_(_WAITS))


def _forgettable(now: float) -> ColumnElement[bool]:
    return and_(action.c.changed_at + action.c.keep_s <= now, action.c.state.in_(_FORGETTABLE))


def anything_due(connection: Connection, now: float) -> bool:
    """Whether `due` would change anything: a look that takes no lock, as it is taken every second."""
    conditions = or_(_lease_over(now), _expired(now), _warned(now))
    return connection.execute(select(1).select_from(action).where(conditions).limit(1)).scalar() is not None


def anything_to_forget(connection: Connection, now: float) -> bool:
    """Whether `forget` would delete anything."""
    return connection.execute(select(1).select_from(action).where(_forgettable(now)).limit(1)).scalar() is not None


def due(tx: GroupTransaction, now: float) -> Sequence[Due]:
    """`Ledger.due`."""
    return [
        *_apply(tx, _expired(now), Change.EXPIRED, {"state": State.EXPIRED}, now),
        *_apply(tx, _lease_over(now), Change.UNKNOWN, {"state": State.UNKNOWN}, now),
        *_apply(tx, _warned(now), Change.WARNED, {"warned": 1}, now),
    ]


def _apply(
    tx: GroupTransaction, condition: ColumnElement[bool], what: Change, values: Mapping[str, Any], now: float
) -> list[Due]:
    changed = []
    candidates = select(action.c.scope, action.c.key).where(condition).order_by(action.c.number).limit(MAX_DUE)
    for scope, key in tx.connection.execute(candidates).all():
        row = tx.connection.execute(
            update(action)
            .where(is_action(scope, key), condition)
            .values(**values, was=action.c.state, changed_at=now, seq=tx.next_seq)
            .returning(action)
        ).one_or_none()
        if row is not None:
            changed.append(Due(what=what, action=record_change(tx, row, what, CLOCK, now)))
    return changed


def forget(tx: GroupTransaction, now: float) -> int:
    """`Ledger.forget`."""
    rows = tx.connection.execute(
        select(action.c.scope, action.c.key, action.c.state, action.c.fence)
        .where(_forgettable(now))
        .order_by(action.c.number)
        .limit(MAX_DUE)
    ).all()
    vote = approval_vote.c
    for row in rows:
        tx.connection.execute(delete(approval_vote).where(vote.scope == row.scope, vote.key == row.key))
        delete_causes(tx.connection, row.scope, row.key)
        tx.connection.execute(delete(action).where(is_action(row.scope, row.key)))
        body = {"state": row.state, "fence": row.fence}
        tx.record(now, CLOCK, Change.FORGOTTEN, subject(row.scope, row.key), body)
    return len(rows)
