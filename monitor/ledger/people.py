"""Decisions of people: approve, reject, resolve, undo."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, exists, insert, or_, update

from monitor.actions.claims import has_expired, lease_is_over
from monitor.actions.states import (
    UNDO_PREFIX,
    Action,
    ActionError,
    Change,
    InvalidAction,
    NotAllowed,
    Refusal,
    State,
)
from monitor.ledger.claims import set_undone
from monitor.ledger.entries import is_action, record_attempt, record_change, row_at
from monitor.ledger.rows import action_of, undo_row
from monitor.ledger.tables import action, approval_vote
from monitor.ledger.transaction import GroupTransaction


def approve(
    tx: GroupTransaction,
    scope: str,
    key: str,
    by: str,
    seen: tuple[str, str, str],
    now: float,
) -> Action | ActionError:
    """`Ledger.approve`; `seen` are fingerprint, text hash and policy version."""
    columns, vote = action.c, approval_vote.c
    last = columns.approvals + 1 >= columns.approvals_needed
    expires = now + columns.wait_s
    voted = exists().where(
        vote.scope == columns.scope,
        vote.key == columns.key,
        vote.round == columns.round,
        vote.by == by,
        vote.approved == 1,
    )
    row = tx.connection.execute(
        update(action)
        .where(
            is_action(scope, key),
            columns.state == State.HELD,
            columns.requester != by,
            columns.fingerprint == seen[0],
            columns.text_hash == seen[1],
            columns.policy_version == seen[2],
            or_(columns.expires_at.is_(None), columns.expires_at > now),
            ~voted,
        )
        .values(
            state=case((last, State.ALLOWED), else_=State.HELD),
            was=columns.state,
            approvals=columns.approvals + 1,
            # What is allowed may wait for its claim as long as it could wait for people.
            expires_at=case((last, expires), else_=columns.expires_at),
            warn_at=case((last, expires - columns.warn_before_s), else_=columns.warn_at),
            warned=case((last, 0), else_=columns.warned),
            changed_at=now,
            seq=tx.next_seq,
        )
        .returning(action)
    ).one_or_none()
    if row is None:
        return _refuse_approval(tx, scope, key, by, seen, now)
    found = record_change(tx, row, Change.APPROVED, by, now, round=row.round)
    _vote(tx, row, by, approved=True, now=now, why="")
    return found


def _refuse_approval(
    tx: GroupTransaction, scope: str, key: str, by: str, seen: tuple[str, str, str], now: float
) -> NotAllowed:
    row = row_at(tx, scope, key)
    there = action_of(row)
    if by == there.requester:
        return _refuse(tx, there, Refusal.OWN_ACTION, f"{by} has requested it, so another person must decide", by, now)
    if (why := _is_over(there, now)) is not None:
        return _refuse(tx, there, *why, by, now)
    if seen != (there.fingerprint, there.text_hash, there.policy_version):
        names = ("fields", "text", "policy")
        now_is = (there.fingerprint, there.text_hash, there.policy_version)
        other = " and ".join(name for name, one, two in zip(names, seen, now_is, strict=True) if one != two)
        return _refuse(
            tx,
            there,
            Refusal.OTHER_CONTENT,
            f"the {other} changed since it was shown: look again, then decide",
            by,
            now,
        )
    return _refuse(tx, there, Refusal.TWICE, f"{by} has approved it already: another person must, too", by, now)


def reject(tx: GroupTransaction, scope: str, key: str, by: str, why: str, now: float) -> Action | ActionError:
    """`Ledger.reject`."""
    columns = action.c
    row = tx.connection.execute(
        update(action)
        .where(
            is_action(scope, key),
            columns.state.in_((State.HELD, State.ALLOWED)),
            or_(columns.expires_at.is_(None), columns.expires_at > now),
        )
        .values(state=State.REJECTED, was=columns.state, why=why, changed_at=now, seq=tx.next_seq)
        .returning(action)
    ).one_or_none()
    if row is None:
        there = action_of(row_at(tx, scope, key))
        reason = _is_over(there, now) or (Refusal.FINAL, f"it is {there.state}")
        return _refuse(tx, there, *reason, by, now)
    found = record_change(tx, row, Change.REJECTED, by, now, round=row.round)
    _vote(tx, row, by, approved=False, now=now, why=why)
    return found


def resolve(
    tx: GroupTransaction, scope: str, key: str, outcome: State, by: str, why: str, result: bytes, now: float
) -> Action | ActionError:
    """`Ledger.resolve`."""
    if outcome not in (State.DONE, State.FAILED):
        raise InvalidAction("outcome: must be done or failed")
    columns = action.c
    lease_over = (columns.state == State.CLAIMED) & (columns.lease_until <= now)
    row = tx.connection.execute(
        update(action)
        .where(is_action(scope, key), or_(columns.state == State.UNKNOWN, lease_over))
        .values(
            state=outcome,
            was=columns.state,
            why=why,
            result=result if outcome is State.DONE else None,
            changed_at=now,
            seq=tx.next_seq,
        )
        .returning(action)
    ).one_or_none()
    if row is None:
        there = action_of(row_at(tx, scope, key))
        return _refuse(
            tx, there, Refusal.WRONG_STATE, f"only an unknown outcome is resolved; it is {there.state}", by, now
        )
    found = record_change(tx, row, Change.RESOLVED, by, now)
    if outcome is State.DONE:
        set_undone(tx, found, by, now)
    return found


def undo(tx: GroupTransaction, scope: str, key: str, by: str, why: str, now: float) -> Action | ActionError:
    """`Ledger.undo`."""
    original = action_of(row_at(tx, scope, key))
    there = tx.connection.execute(action.select().where(is_action(scope, UNDO_PREFIX + key))).one_or_none()
    if there is not None:
        return action_of(there)
    if original.state is not State.DONE:
        return _refuse(
            tx, original, Refusal.WRONG_STATE, f"only what is done can be undone; it is {original.state}", by, now
        )
    if original.undo is None:
        return _refuse(tx, original, Refusal.NO_UNDO, "no undo was registered when it was proposed", by, now)
    made = {**undo_row(original, by, now, tx.next_seq), "why": why}
    row = tx.connection.execute(insert(action).values(made).returning(action)).one()
    return record_change(tx, row, Change.PROPOSED, by, now)


def _is_over(there: Action, now: float) -> tuple[Refusal, str] | None:
    """Why nobody can decide on it any more; None where it waits for a decision."""
    if there.state is State.EXPIRED or (there.state in (State.HELD, State.ALLOWED) and has_expired(there, now)):
        return Refusal.EXPIRED, "it has expired"
    if lease_is_over(there, now):
        return Refusal.FINAL, "it was claimed, and how that ended is unknown"
    if there.state is not State.HELD:
        return Refusal.FINAL, f"it is {there.state}"
    return None


def _refuse(tx: GroupTransaction, there: Action, reason: Refusal, why: str, by: str, now: float) -> NotAllowed:
    record_attempt(tx, there, Change.REFUSED, by, now, reason=reason)
    return NotAllowed(f"{there.key!r}: {why}", reason)


def _vote(tx: GroupTransaction, row: Any, by: str, *, approved: bool, now: float, why: str) -> None:
    tx.connection.execute(
        insert(approval_vote).values(
            seq=row.seq,
            scope=row.scope,
            key=row.key,
            round=row.round,
            by=by,
            approved=int(approved),
            at=now,
            why=why,
            fingerprint=row.fingerprint,
            text_hash=row.text_hash,
            policy_version=row.policy_version,
        )
    )
