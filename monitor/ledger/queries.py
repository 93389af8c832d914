"""What can be asked of actions, without changing them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from monitor.actions.states import Action, Duplicate, DuplicateCount, NoSuchAction, State
from monitor.ledger.entries import is_action, votes_on
from monitor.ledger.rows import action_of
from monitor.ledger.tables import action, duplicate

MAX_LIST = 1000  # rows of one answer: a page of the interface, and what `due` handles at once


def get(connection: Connection, scope: str, key: str) -> Action:
    """`Ledger.get`."""
    row = connection.execute(select(action).where(is_action(scope, key))).one_or_none()
    if row is None:
        raise NoSuchAction(f"no action {key!r} in scope {scope!r}")
    return action_of(row, votes_on(connection, scope, key, row.round))


def listed(connection: Connection, wanted: dict[str, str | None], before: int | None, limit: int) -> Sequence[Action]:
    """`Ledger.list`; `wanted` are values by column, None: any."""
    conditions = [action.c[name] == value for name, value in wanted.items() if value is not None]
    if before is not None:
        conditions.append(action.c.number < before)
    newest = select(action).where(*conditions).order_by(action.c.number.desc()).limit(max(0, min(limit, MAX_LIST)))
    return [action_of(row) for row in connection.execute(newest)]


def similar(
    connection: Connection, scope: str, kind: str, target: str, since: float, limit: int
) -> Sequence[tuple[str, str, bytes]]:
    """`Ledger.similar`."""
    columns = action.c
    rows = connection.execute(
        select(columns.key, columns.text_hash, columns.embedding)
        .where(
            columns.scope == scope,
            columns.kind == kind,
            columns.target == target,
            columns.proposed_at >= since,
            columns.state.not_in((State.REJECTED, State.EXPIRED)),
            columns.undoes.is_(None),
        )
        .order_by(columns.proposed_at.desc())
        .limit(max(0, min(limit, MAX_LIST)))
    )
    return [(row.key, row.text_hash, bytes(row.embedding)) for row in rows]


def duplicates(connection: Connection) -> Sequence[DuplicateCount]:
    """`Ledger.duplicates`."""
    rows = connection.execute(select(duplicate).order_by(duplicate.c.kind, duplicate.c.what))
    return [DuplicateCount(kind=row.kind, what=Duplicate(row.what), count=row._mapping["count"]) for row in rows]
