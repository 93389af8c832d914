"""Rows of the review queue as records, and records as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select
from sqlalchemy.dialects import postgresql, sqlite

from monitor.actions.review import Kind, ReviewItem, State
from monitor.ledger.review_tables import review_barred, review_item

AT_ONCE = 500  # ids of one query: older versions of SQLite take 999 parameters


def insert_items(connection: Connection, items: Sequence[ReviewItem]) -> int:
    """Insert the items that are not there yet; how many."""
    new = 0
    for start in range(0, len(items), AT_ONCE):
        rows = {item.id: _row(item) for item in items[start : start + AT_ONCE]}
        there = set(connection.scalars(select(review_item.c.id).where(review_item.c.id.in_(rows))))
        fresh = [row for name, row in rows.items() if name not in there]
        if fresh:
            connection.execute(_insert(connection, review_item).on_conflict_do_nothing(), fresh)
        new += len(fresh)
    return new


def bar(connection: Connection, rows: Sequence[Mapping[str, str]]) -> None:
    """These people do not get these items."""
    if rows:
        connection.execute(_insert(connection, review_barred).on_conflict_do_nothing(), list(rows))


def item_of(row: Row[Any]) -> ReviewItem:
    """The record of a row with all columns."""
    found = dict(row._mapping)
    found["kind"], found["state"] = Kind(found["kind"]), State(found["state"])
    found["verdict"] = None if found["verdict"] is None else bool(found["verdict"])
    found["second"] = bool(found["second"])
    found["groups"], found["saw"] = msgspec.json.decode(found["groups"]), tuple(msgspec.json.decode(found["saw"]))
    return ReviewItem(**found)


def _row(item: ReviewItem) -> dict[str, Any]:
    given = msgspec.structs.asdict(item)
    verdict = None if item.verdict is None else int(item.verdict)
    return {
        **given,
        "verdict": verdict,
        "second": int(item.second),
        "groups": as_json(item.groups),
        "saw": as_json(item.saw),
    }


def _insert(connection: Connection, table: Any) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def as_json(value: Any) -> str:
    """JSON text."""
    return msgspec.json.encode(value).decode()
