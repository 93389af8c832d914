"""Lookup of edges in the trace store, by either end. `monitor.store.edge_rows` makes them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, text

from monitor.actions.cascade import Edge, EdgeKind

_COLUMNS = "edge.source, edge.target, edge.kind, edge.stream, edge.time"
# All nodes are one parameter: a list of parameters is compiled, bound and planned one by one, which takes five times as
# long. `cross join` keeps SQLite from reading all edges in place of looking up each node.
_SQLITE = "select {columns} from json_each(:nodes) as node cross join edge on edge.{end} = node.value limit :limit"
_POSTGRES = "select {columns} from edge where edge.{end} = any(:nodes) and edge.day >= :since limit :limit"
_STATEMENTS = {
    (dialect, end): text(statement.format(columns=_COLUMNS, end=end))
    for dialect, statement in (("sqlite", _SQLITE), ("postgresql", _POSTGRES))
    for end in ("source", "target")
}
_KINDS = {kind.value: kind for kind in EdgeKind}


def edges_at(
    connection: Connection, nodes: Sequence[str], limit: int, *, into: bool = False, since_day: int | None = None
) -> list[Edge]:
    """At most `limit` edges out of some nodes, or into them.

    `since_day`, in days since 1970, is for PostgreSQL, which has all days in one table.
    """
    if not nodes:
        return []
    statement = _STATEMENTS[connection.dialect.name, "target" if into else "source"]
    if connection.dialect.name == "sqlite":
        given = {"nodes": json.dumps(nodes), "limit": limit}
    else:
        given = {"nodes": list(nodes), "since": since_day or 0, "limit": limit}
    rows = connection.execute(statement, given).all()
    return [Edge(source, target, _KINDS[kind], stream, time) for source, target, kind, stream, time in rows]
