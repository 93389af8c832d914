"""Lookup of edges in the trace store, by either end. `monitor.store.edge_rows` makes them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from monitor.actions.cascade import Edge, EdgeKind
from monitor.store.tables import edge

AT_ONCE = 500  # nodes that one query looks up: older versions of SQLite take 999 parameters


def edges_at(
    connection: Connection, nodes: Sequence[str], limit: int, *, into: bool = False, since_day: int | None = None
) -> list[Edge]:
    """At most `limit` edges out of some nodes, or into them, of the days from `since_day` (days since 1970) on."""
    here = edge.c.target if into else edge.c.source
    columns = (edge.c.source, edge.c.target, edge.c.kind, edge.c.stream, edge.c.time)
    found: list[Edge] = []
    for start in range(0, len(nodes), AT_ONCE):
        if len(found) >= limit:
            break
        statement = select(*columns).where(here.in_(nodes[start : start + AT_ONCE]))
        if since_day is not None:
            statement = statement.where(edge.c.day >= since_day)
        rows = connection.execute(statement.limit(limit - len(found))).all()
        found += [Edge(source, target, _KINDS[kind], stream, time) for source, target, kind, stream, time in rows]
    return found


_KINDS = {kind.value: kind for kind in EdgeKind}
