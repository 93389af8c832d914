"""Held actions in the review queue: one item for each vote that an action waits for, as long as it waits.

The queue is brought up to date whenever someone asks for the next item, so it needs nothing of the code that holds,
approves or expires actions, and cannot disagree with it for long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select, update

from monitor.actions.review import COST, Kind, ReviewItem, State, item_id
from monitor.actions.states import State as ActionState
from monitor.ledger.review_rows import AT_ONCE, bar, insert_items
from monitor.ledger.review_tables import review_item
from monitor.ledger.tables import action, approval_vote

MOST_HELD = 10_000
"""The oldest; more than people can decide in a day. The rest comes when these are decided or have expired."""


class HeldChanges(NamedTuple):
    """Where the queue differs from the actions that are held: items to enter, who does not get them, items to close."""

    new: Sequence[ReviewItem]
    barred: Sequence[Mapping[str, str]]
    ended: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.new or self.ended)


def held_changes(connection: Connection, now: float) -> HeldChanges:
    """What is held and not in the queue, and what is in the queue and no longer held. Reads only."""
    columns = action.c
    wanted = (
        columns.scope, columns.key, columns.round, columns.approvals, columns.stream, columns.event, columns.requester,
        columns.proposed_at, columns.fingerprint, columns.text_hash, columns.policy_version, columns.reasons,
    )  # fmt: skip
    held = connection.execute(
        select(*wanted).where(columns.state == ActionState.HELD).order_by(columns.number).limit(MOST_HELD)
    ).all()
    by_id = {item_id(Kind.HELD, row.scope, row.key, row.round, row.approvals): row for row in held}
    open_ = select(review_item.c.id).where(review_item.c.kind == Kind.HELD, review_item.c.state == State.OPEN)
    known = set(connection.scalars(open_))
    new = {name: row for name, row in by_id.items() if name not in known}
    # Who asked may not approve, and nobody does so twice: they would be refused, so they do not get it.
    barred = [{"item": name, "person": row.requester} for name, row in new.items()]
    barred += [
        {"item": name, "person": person}
        for name, row in new.items()
        if row.approvals
        for person in _voters(connection, row)
    ]
    return HeldChanges([_item(name, row, now) for name, row in new.items()], barred, sorted(known - by_id.keys()))


def apply_held(connection: Connection, changes: HeldChanges) -> None:
    """Bring the queue up to date. What has changed since it was read is seen the next time."""
    for start in range(0, len(changes.ended), AT_ONCE):
        over = update(review_item).where(review_item.c.id.in_(changes.ended[start : start + AT_ONCE]))
        connection.execute(over.where(review_item.c.state == State.OPEN).values(state=State.CLOSED))
    insert_items(connection, changes.new)
    bar(connection, changes.barred)


def _voters(connection: Connection, row: Any) -> Sequence[str]:
    votes = approval_vote.c
    statement = select(votes.by).where(votes.scope == row.scope, votes.key == row.key, votes.round == row.round)
    return connection.scalars(statement).all()


def _item(name: str, row: Any, now: float) -> ReviewItem:
    return ReviewItem(
        id=name,
        kind=Kind.HELD,
        stream=row.stream,
        event=row.event,
        time=row.proposed_at,
        created=now if row.approvals or row.round else row.proposed_at,
        scope=row.scope,
        key=row.key,
        reason="; ".join(msgspec.json.decode(row.reasons)),
        cost=COST[Kind.HELD],
        saw=(row.fingerprint, row.text_hash, row.policy_version),
    )
