"""Propose, claim, and what the claimant says: the statements.

Each change is one conditional statement on the row as it is at that moment; nothing is decided by a look before it.
When a statement finds no row to change, the row is read to say why (`monitor.actions.claims`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, update

from monitor.actions.claims import is_same_attempt, must_ask_again, refusal
from monitor.actions.message import changed, message_key
from monitor.actions.states import (
    Action,
    ActionError,
    Change,
    Claim,
    ClaimAnswer,
    Duplicate,
    Mismatch,
    OnUnknown,
    Outcome,
    Proposal,
    StaleFence,
    State,
)
from monitor.ledger.causes import write_causes
from monitor.ledger.entries import (
    TOPIC,
    count_duplicate,
    digest,
    insert_into,
    is_action,
    record_attempt,
    record_change,
    row_at,
)
from monitor.ledger.rows import action_of, checked_claim, lease_end, row_of
from monitor.ledger.tables import action, approval_vote
from monitor.ledger.transaction import GroupTransaction

_IDENTITY = ("scope", "key", "number", "kind", "fingerprint", "fence", "round", "undoes", "was")
"""What stays when an action is proposed again, or is set from what was."""

_NOT_BEGUN = (State.HELD, State.ALLOWED, State.FAILED)


def propose(tx: GroupTransaction, proposal: Proposal, now: float) -> Action | ActionError:
    """`Ledger.propose`."""
    row = row_of(proposal, now, tx.next_seq)
    insert = insert_into(tx.connection, action).values(row)
    new = insert.excluded
    same = and_(action.c.kind == new.kind, action.c.fingerprint == new.fingerprint)
    other_content = or_(action.c.text_hash != new.text_hash, action.c.policy_version != new.policy_version)
    replaced = {name: new[name] for name in row if name not in _IDENTITY}
    statement = insert.on_conflict_do_update(
        index_elements=["scope", "key"],
        set_={**replaced, "was": action.c.state, "round": action.c.round + 1},
        where=and_(same, other_content, action.c.state.in_(_NOT_BEGUN), action.c.undoes.is_(None)),
    ).returning(action)
    entered = tx.connection.execute(statement).one_or_none()
    if entered is not None:
        what = Change.PROPOSED if entered.number == entered.seq else Change.SUPERSEDED
        write_causes(tx.connection, entered.scope, entered.key, proposal.causes, replace=what is Change.SUPERSEDED)
        return record_change(tx, entered, what, proposal.requester, now)
    there = action_of(row_at(tx, row["scope"], row["key"]))
    if (there.kind, there.fingerprint) == (row["kind"], row["fingerprint"]):
        return there
    differs = "kind" if there.kind != row["kind"] else "fields"
    _count_mismatch(tx, there, differs, proposal.requester, now)
    return Mismatch(_mismatch_text(there, differs), differs)


def claim(tx: GroupTransaction, asked: Claim, now: float) -> ClaimAnswer:
    """`Ledger.claim`."""
    asked = checked_claim(asked)
    granted = _try_claim(tx, asked, now)
    if granted is not None:
        what: dict[str, Any] = {"by": asked.claimant}
        if asked.proposal is not None and granted.number == granted.seq:
            write_causes(tx.connection, granted.scope, granted.key, asked.proposal.causes)
        if granted.approvals_needed:
            _use_votes(tx, granted)
            what["round"] = granted.round
        found = record_change(tx, granted, Change.CLAIMED, asked.claimant, now, **what)
        return ClaimAnswer(outcome=Outcome.MINE, action=found, fence=found.fence, lease_until=found.lease_until)
    row = row_at(tx, asked.scope, asked.key)
    there = action_of(row)
    if is_same_attempt(there, row.attempt, asked, now):
        return ClaimAnswer(outcome=Outcome.MINE, action=there, fence=there.fence, lease_until=there.lease_until)
    if must_ask_again(there, asked, now):
        return ClaimAnswer(outcome=Outcome.HELD, action=_reopen(tx, there, asked, now))
    outcome, differs = refusal(there, asked, now)
    _count(tx, there, outcome, differs, asked, now)
    return ClaimAnswer(
        outcome=outcome,
        action=there,
        lease_until=there.lease_until if outcome is Outcome.IN_FLIGHT else None,
        result=(there.result or b"") if outcome is Outcome.REPLAY else None,
        differs=differs,
    )


def _try_claim(tx: GroupTransaction, asked: Claim, now: float) -> Row[Any] | None:
    """The one statement: the claimed row, or None where it may not be claimed now."""
    taken = {
        "state": State.CLAIMED,
        "lease_until": lease_end(now, asked.lease_s),
        "claimed_by": asked.claimant,
        "attempt": asked.attempt,
        "changed_at": now,
        "seq": tx.next_seq,
    }
    over = {"was": action.c.state, "fence": action.c.fence + 1, **taken}
    claimable = _claimable(asked, now)
    if asked.proposal is None:
        found = update(action).where(is_action(asked.scope, asked.key), claimable).values(over).returning(action)
        return tx.connection.execute(found).one_or_none()
    row = {**row_of(asked.proposal, now, tx.next_seq), **taken, "fence": 1, "was": State.ALLOWED}
    statement = insert_into(tx.connection, action).values(row)
    claimed = statement.on_conflict_do_update(index_elements=["scope", "key"], set_=over, where=claimable)
    return tx.connection.execute(claimed.returning(action)).one_or_none()


def _claimable(asked: Claim, now: float) -> ColumnElement[bool]:
    """`monitor.actions.claims.may_claim` as a condition on the row."""
    columns = action.c
    in_time = or_(columns.expires_at.is_(None), columns.expires_at > now)
    first = and_(columns.state == State.ALLOWED, in_time)
    again = and_(columns.state == State.FAILED, in_time, columns.approvals_needed == 0)
    lease_over = or_(columns.state == State.UNKNOWN, and_(columns.state == State.CLAIMED, columns.lease_until <= now))
    return and_(
        columns.kind == asked.kind,
        columns.fingerprint == asked.fingerprint,
        or_(columns.text_hash == "", columns.text_hash == asked.text_hash),
        or_(columns.approvals_needed == 0, columns.policy_version == asked.policy_version),
        or_(first, again, and_(lease_over, columns.on_unknown == OnUnknown.RETRY)),
    )


def _use_votes(tx: GroupTransaction, row: Row[Any]) -> None:
    """Note on the votes which claim used them first."""
    columns = approval_vote.c
    this = (columns.scope == row.scope, columns.key == row.key, columns.round == row.round)
    tx.connection.execute(update(approval_vote).where(*this, columns.used_fence.is_(None)).values(used_fence=row.fence))


def _reopen(tx: GroupTransaction, there: Action, asked: Claim, now: float) -> Action:
    columns = action.c
    expires = now + columns.wait_s
    row = tx.connection.execute(
        update(action)
        .where(is_action(there.scope, there.key), columns.state == State.FAILED, columns.seq == there.seq)
        .values(
            state=State.HELD,
            was=columns.state,
            round=columns.round + 1,
            approvals=0,
            expires_at=expires,
            warn_at=expires - columns.warn_before_s,
            warned=0,
            changed_at=now,
            seq=tx.next_seq,
        )
        .returning(action)
    ).one()
    return record_change(tx, row, Change.REOPENED, asked.claimant, now)


def done(tx: GroupTransaction, scope: str, key: str, fence: int, result: bytes, now: float) -> Action | ActionError:
    """`Ledger.done`."""
    row = _conclude(tx, scope, key, fence, State.DONE, now, result=result, why="")
    if row is not None:
        found = record_change(tx, row, Change.DONE, row.claimed_by, now)
        set_undone(tx, found, row.claimed_by, now)
        return found
    there = action_of(row_at(tx, scope, key))
    if there.state is State.DONE and there.fence == fence and there.result == result:
        return there
    return stale(tx, there, Change.DONE, fence, now, result=digest(result))


def failed(tx: GroupTransaction, scope: str, key: str, fence: int, why: str, now: float) -> Action | ActionError:
    """`Ledger.failed`."""
    row = _conclude(tx, scope, key, fence, State.FAILED, now, why=why)
    if row is not None:
        return record_change(tx, row, Change.FAILED, row.claimed_by, now)
    there = action_of(row_at(tx, scope, key))
    if there.state is State.FAILED and there.fence == fence and there.why == why:
        return there
    return stale(tx, there, Change.FAILED, fence, now)


def extend(tx: GroupTransaction, scope: str, key: str, fence: int, lease_s: float, now: float) -> Action | ActionError:
    """`Ledger.extend`."""
    columns = action.c
    row = tx.connection.execute(
        update(action)
        .where(
            is_action(scope, key),
            columns.fence == fence,
            columns.state == State.CLAIMED,
            columns.lease_until > now,
        )
        .values(lease_until=lease_end(now, lease_s), was=columns.state, changed_at=now, seq=tx.next_seq)
        .returning(action)
    ).one_or_none()
    if row is not None:
        return record_change(tx, row, Change.EXTENDED, row.claimed_by, now)
    return stale(tx, action_of(row_at(tx, scope, key)), Change.EXTENDED, fence, now)


def _conclude(
    tx: GroupTransaction, scope: str, key: str, fence: int, state: State, now: float, **values: Any
) -> Row[Any] | None:
    """Set the outcome by the current claimant: also after the lease, as long as nobody else has claimed or resolved."""
    return tx.connection.execute(
        update(action)
        .where(is_action(scope, key), action.c.fence == fence, action.c.state.in_((State.CLAIMED, State.UNKNOWN)))
        .values(state=state, was=action.c.state, changed_at=now, seq=tx.next_seq, **values)
        .returning(action)
    ).one_or_none()


def set_undone(tx: GroupTransaction, undo: Action, actor: str, now: float) -> None:
    """When an undo is done, so is the original: undone."""
    if undo.undoes is None:
        return
    row = tx.connection.execute(
        update(action)
        .where(is_action(undo.scope, undo.undoes), action.c.state == State.DONE)
        .values(state=State.UNDONE, was=action.c.state, changed_at=now, seq=tx.next_seq)
        .returning(action)
    ).one_or_none()
    if row is not None:
        record_change(tx, row, Change.UNDONE, actor, now)


def stale(tx: GroupTransaction, there: Action, said: Change, fence: int, now: float, **more: Any) -> StaleFence:
    """Record and count what came with a fence that does not count any more."""
    count_duplicate(tx, there.kind, Duplicate.STALE_FENCE)
    record_attempt(tx, there, Change.STALE_FENCE, there.claimed_by, now, said=said, with_fence=fence, **more)
    if there.fence != fence:
        why = f"its fence is {there.fence}, not {fence}"
    elif there.state is State.CLAIMED:
        why = "its lease is over"
    else:
        why = f"it is {there.state} already"
    return StaleFence(f"{said} of {there.key!r} does not count: {why}", there)


def _count(tx: GroupTransaction, there: Action, outcome: Outcome, differs: str, asked: Claim, now: float) -> None:
    if outcome is Outcome.MISMATCH:
        _count_mismatch(tx, there, differs, asked.claimant, now)
    elif outcome is Outcome.REPLAY:
        count_duplicate(tx, there.kind, Duplicate.REPLAY)
        # It changes nothing, so it is not in the audit log; readers of the topic see it.
        tx.publish(TOPIC, message_key(there.scope, there.key), changed(there, Change.REPLAYED, asked.claimant, now))
    elif outcome in (Outcome.IN_FLIGHT, Outcome.UNKNOWN):
        count_duplicate(tx, there.kind, Duplicate(outcome.value))


def _count_mismatch(tx: GroupTransaction, there: Action, differs: str, actor: str, now: float) -> None:
    count_duplicate(tx, there.kind, Duplicate.MISMATCH)
    record_attempt(tx, there, Change.MISMATCH, actor, now, differs=differs)


def _mismatch_text(there: Action, differs: str) -> str:
    if differs == "kind":
        return f"the key {there.key!r} belongs to an action of kind {there.kind}"
    return (
        f"the key {there.key!r} belongs to an action with other declared fields: use a key of its own for each occasion"
    )
