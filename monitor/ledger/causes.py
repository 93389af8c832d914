"""The table `action_cause`: the `causes` of actions one by one, written with the action."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, and_, delete, insert

from monitor.actions.cascade import node
from monitor.ledger.tables import action_cause


def write_causes(connection: Connection, scope: str, key: str, causes: Iterable[str], *, replace: bool = False) -> None:
    """Note what led to an action, in the transaction that enters it; `replace` where it is entered again."""
    if replace:
        delete_causes(connection, scope, key)
    rows = [{"cause": cause, "scope": scope, "key": key} for cause in dict.fromkeys(map(node, causes)) if cause]
    if rows:
        connection.execute(insert(action_cause), rows)


def delete_causes(connection: Connection, scope: str, key: str) -> None:
    """Forget what led to an action that is deleted."""
    connection.execute(delete(action_cause).where(and_(action_cause.c.scope == scope, action_cause.c.key == key)))
