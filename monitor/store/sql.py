"""What SQLite and PostgreSQL have in common: statements over the tables, by SQLAlchemy Core."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from monitor.store.query import MAX_RESULTS, Search, StoredOutput
from monitor.store.records import Incoming
from monitor.store.tables import consumed, output, prompt, violation

_SEPARATOR = ","
"""Between names of criteria, which are small letters, digits and _."""


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that are not there yet, by primary key."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def write_positions(connection: Connection, incoming: Incoming) -> None:
    """The next positions; one never goes back, so that a worker that lost its partition cannot undo its successor."""
    rows = [
        {"topic": topic, "partition": partition, "position": position}
        for (topic, partition), position in incoming.positions.items()
    ]
    if not rows:
        return
    statement = _insert(connection, consumed)
    greatest = func.max if connection.dialect.name == "sqlite" else func.greatest
    newer = {"position": greatest(consumed.c.position, statement.excluded.position)}
    connection.execute(statement.on_conflict_do_update(index_elements=["topic", "partition"], set_=newer), rows)


def write_prompts(connection: Connection, incoming: Incoming) -> None:
    """Prompts that are not there yet."""
    insert_new(connection, prompt, [{"hash": digest, "text": text} for digest, text in incoming.prompts.items()])


def read_positions(connection: Connection, topic: str) -> dict[int, int]:
    """The next position of each partition of a topic."""
    rows = connection.execute(select(consumed.c.partition, consumed.c.position).where(consumed.c.topic == topic))
    return {row.partition: row.position for row in rows}


def searching(search: Search) -> Select[Any]:
    """The statement for a search, the newest outputs first."""
    conditions: list[ColumnElement[bool]] = []
    if search.stream is not None:
        conditions.append(_matches(output.c.stream, search.stream))
    if search.since is not None:
        conditions.append(output.c.time >= search.since)
    if search.until is not None:
        conditions.append(output.c.time < search.until)
    if search.version is not None:
        conditions.append(output.c.version.icontains(search.version, autoescape=True))
    if search.session is not None:
        conditions.append(output.c.session == search.session)
    if search.trace is not None:
        conditions.append(output.c.trace == search.trace)
    if search.check is not None:
        failed = select(1).where(_of_output(), violation.c.criterion == search.check)
        conditions.append(failed.exists())
    if search.text is not None:
        in_input = output.c.input.icontains(search.text, autoescape=True)
        conditions.append(or_(in_input, output.c.output.icontains(search.text, autoescape=True)))
    newest = (output.c.time.desc(), output.c.partition, output.c.position.desc())
    return _selected().where(and_(True, *conditions)).order_by(*newest).limit(min(search.limit, MAX_RESULTS))


def finding(event: str) -> Select[Any]:
    """The statement for the outputs with an id: one, or several where two streams use the same id."""
    return _selected().where(output.c.event == event).order_by(output.c.time.desc()).limit(MAX_RESULTS)


def _selected() -> Select[Any]:
    """Outputs, each with the names of the criteria that it violates in one text: no query for each of thousands."""
    names = func.aggregate_strings(violation.c.criterion, _SEPARATOR)
    return select(output, select(names).where(_of_output()).correlate(output).scalar_subquery().label("violations"))


def stored(connection: Connection, statement: Select[Any]) -> list[StoredOutput]:
    """The outputs that a statement selects, with the hash of their prompt where its text belongs (`with_prompts`)."""
    return [
        StoredOutput(
            stream=row["stream"],
            id=row["event"],
            time=row["time"],
            input=row["input"],
            output=row["output"],
            version=row["version"],
            prompt_text=row["prompt"],
            violations=sorted(row["violations"].split(_SEPARATOR)) if row["violations"] else [],
            fields=msgspec.json.decode(row["fields"]),
            topic=row["topic"],
            partition=row["partition"],
            position=row["position"],
        )
        for row in connection.execute(statement).mappings()
    ]


def with_prompts(connection: Connection, outputs: Sequence[StoredOutput]) -> list[StoredOutput]:
    """The outputs with their prompts' texts in place of the hashes; None where a text is not kept."""
    hashes = sorted({one.prompt_text for one in outputs if one.prompt_text is not None})
    if not hashes:
        return list(outputs)
    found = connection.execute(select(prompt.c.hash, prompt.c.text).where(prompt.c.hash.in_(hashes)))
    texts = {row.hash: row.text for row in found}
    return [msgspec.structs.replace(one, prompt_text=texts.get(one.prompt_text or "")) for one in outputs]


def _of_output() -> ColumnElement[bool]:
    return and_(*(violation.c[name] == output.c[name] for name in ("topic", "partition", "position")))


def _matches(column: ColumnElement[str], glob: str) -> ColumnElement[bool]:
    if not re.search(r"[*?\[]", glob):
        return column == glob
    return column.regexp_match(fnmatch.translate(glob).replace("(?s:", "(?:").replace(r"\Z", "$").replace(r"\z", "$"))
