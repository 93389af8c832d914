"""Edges between outputs and actions, from the ledger: an action names the output that it was proposed for, and causes.

The rows of actions are the truth; `action_cause` repeats their `causes` one by one.
The undo of an action is no consequence of its output, and left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select, text

from monitor.actions.cascade import Edge, EdgeKind, action_node, action_of_node
from monitor.actions.states import UNDO_PREFIX, Action
from monitor.ledger.base import Ledger
from monitor.ledger.rows import action_of
from monitor.ledger.tables import action

_COLUMNS = "a.key, a.stream, a.proposed_at, a.scope"
# All nodes are one parameter, as in the trace store's lookup: many of them cost a plan and a binding each.
_NODES = {"sqlite": "(select value from json_each(:nodes))", "postgresql": "(select unnest(cast(:nodes as text[])))"}
_BY_EVENT = (
    f"select a.event as source, {_COLUMNS} from action a where a.event in {{nodes}} and a.undoes is null limit :n"
)
_BY_CAUSE = (
    f"select c.cause as source, {_COLUMNS} from action_cause c "
    "join action a on a.scope = c.scope and a.key = c.key where c.cause in {nodes} and a.undoes is null limit :n"
)
_INTO = (
    f"select a.event as source, null as known, {_COLUMNS} from action a "
    "where a.key in {nodes} and a.event <> '' and a.undoes is null limit :n"
)
_CAUSES_OF = (
    f"select c.cause as source, b.key as known, {_COLUMNS} from action a "
    "join action_cause c on c.scope = a.scope and c.key = a.key "
    "left join action b on b.scope = a.scope and b.key = c.cause where a.key in {nodes} and a.undoes is null limit :n"
)


def edges_at(connection: Connection, nodes: Sequence[str], limit: int, *, into: bool = False) -> list[Edge]:
    """At most `limit` edges out of outputs or actions to actions, or, with `into`, from anything to actions.

    A node that is no action's (`action_node`) may be an output's id, or the key of an action of any scope, as outputs
    name it. What an action names as its cause is an action of its own scope, where there is one.
    """
    asked: dict[str, list[tuple[str, str | None]]] = {}
    for name in nodes:
        action_named = action_of_node(name)
        scope, key = (None, name) if action_named is None else action_named
        asked.setdefault(key, []).append((name, scope))
    outputs = [key for key, names in asked.items() if any(scope is None for _, scope in names)]
    found: list[Edge] = []
    for statement, wanted in ((_INTO, list(asked)), (_CAUSES_OF, list(asked))) if into else (
        (_BY_EVENT, outputs), (_BY_CAUSE, list(asked)),
    ):  # fmt: skip
        if not wanted or len(found) >= limit:
            continue
        for row in _rows(connection, statement, wanted, limit - len(found)):
            for name, scope in asked[row.key if into else row.source]:
                if scope not in (None, row.scope):
                    continue
                ends = (_source(row), name) if into else (name, action_node(row.scope, row.key))
                found.append(Edge(*ends, EdgeKind.ACTION, row.stream, row.proposed_at))
    return found


def _source(row: Any) -> str:
    """What an action follows from: an action of its scope, where the ledger has it, else what was said."""
    return action_node(row.scope, row.known) if row.known is not None else str(row.source)


def _rows(connection: Connection, statement: str, nodes: Sequence[str], limit: int) -> Iterable[Any]:
    dialect = connection.dialect.name
    given = json.dumps(nodes) if dialect == "sqlite" else nodes
    return connection.execute(text(statement.format(nodes=_NODES[dialect])), {"nodes": given, "n": limit})


class LedgerEdges:
    """Looks up edges in a ledger, as `monitor.actions.cascade.follow` asks for them."""

    def __init__(self, ledger: Ledger, *, into: bool = False) -> None:
        self._ledger = ledger
        self._into = into

    def __call__(self, nodes: Sequence[str], limit: int) -> list[Edge]:
        """The edges of some nodes."""
        return self._ledger.read(lambda connection: edges_at(connection, nodes, limit, into=self._into))


def actions_with_key(connection: Connection, key: str) -> list[Action]:
    """The actions with a key, in whichever scope."""
    return [action_of(row) for row in connection.execute(select(action).where(action.c.key == key))]


AT_ONCE = 400  # keys that one query looks up: older versions of SQLite take 999 parameters


def actions_of(connection: Connection, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Action]:
    """Actions by scope and key, and those that undo them under their own names."""
    wanted = [key for _, key in names]
    found: dict[tuple[str, str], Action] = {}
    for start in range(0, len(wanted), AT_ONCE):
        keys = wanted[start : start + AT_ONCE]
        keys += [UNDO_PREFIX + key for key in keys]
        for row in connection.execute(select(action).where(action.c.key.in_(keys))):
            found[row.scope, row.key] = action_of(row)
    return found


def proposed_since(connection: Connection, since: float, limit: int) -> list[tuple[str, str]]:
    """Scope and key of the latest actions, at most `limit`, that were proposed since a time, seconds since 1970."""
    columns = (action.c.scope, action.c.key)
    newest = select(*columns, action.c.proposed_at).where(action.c.undoes.is_(None)).order_by(action.c.number.desc())
    return [(row.scope, row.key) for row in connection.execute(newest.limit(limit)) if row.proposed_at >= since]
