"""What SQLite and PostgreSQL have in common: statements over the tables, by SQLAlchemy Core."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, or_, select

from monitor.store.counts import insert
from monitor.store.query import MAX_RESULTS, OutputId, Search, StoredJudgment, StoredOutput
from monitor.store.records import Incoming
from monitor.store.tables import consumed, judgment, output, prompt, violation

_SEPARATOR = ","
"""Between names of criteria, which are small letters, digits and _."""
KEYS_AT_ONCE = 400  # keys that one query looks up: older versions of SQLite take 999 parameters


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows that are not there yet, by primary key."""
    if not rows:
        return
    if table is judgment:
        _insert_judgments(connection, rows)
    else:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), list(rows))


def _insert_judgments(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Judgments: the first verdict on an output stands, whatever comes later; only a missing one is replaced.

    A judge that died after it had answered asks again, and may be answered otherwise. The log has both, in an order
    that never changes, so a rebuilt store has the same row.
    """
    statement = insert(connection, judgment)
    keys = [column.name for column in judgment.primary_key]
    newer = {column.name: statement.excluded[column.name] for column in judgment.columns if column.name not in keys}
    has_verdict = and_(judgment.c.passed.is_(None), statement.excluded.passed.is_not(None))
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=newer, where=has_verdict), list(rows))


def write_positions(connection: Connection, incoming: Incoming) -> None:
    """The next positions; one never goes back, so that a worker that lost its partition cannot undo its successor."""
    rows = [
        {"topic": topic, "partition": partition, "position": position}
        for (topic, partition), position in incoming.positions.items()
    ]
    if not rows:
        return
    statement = insert(connection, consumed)
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
        conditions.append(matches(output.c.stream, search.stream))
    if search.of_stream is not None:
        conditions.append(output.c.stream == search.of_stream)
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


def between(connection: Connection, stream: str, since: float, until: float, limit: int) -> list[OutputId]:
    """At most `limit` outputs of a stream with a time in [since, until), in seconds since 1970, the oldest first."""
    columns = (output.c.event, output.c.time, output.c.fields)
    of_time = (output.c.stream == stream, output.c.time >= since, output.c.time < until)
    rows = connection.execute(select(*columns).where(*of_time).order_by(output.c.time).limit(limit))
    return [OutputId(row.event, row.time, row.fields) for row in rows]


def finding(event: str) -> Select[Any]:
    """The statement for the outputs with an id: one, or several where two streams use the same id."""
    return _selected().where(output.c.event == event).order_by(output.c.time.desc()).limit(MAX_RESULTS)


def judging(event: str) -> Select[Any]:
    """The statement for the judgments of the outputs with an id, the oldest first."""
    columns = judgment.c
    order = (columns.judged_at, columns.criterion, columns.purpose, columns.finding)
    return select(judgment).where(columns.event == event).order_by(*order).limit(MAX_RESULTS)


def judged(connection: Connection, statement: Select[Any]) -> list[StoredJudgment]:
    """The judgments that a statement selects."""
    return [
        StoredJudgment(
            **{name: row[name] for name in StoredJudgment.__struct_fields__ if name not in ("passed", "cached")},
            passed=None if row["passed"] is None else bool(row["passed"]),
            cached=bool(row["cached"]),
        )
        for row in connection.execute(statement).mappings()
    ]


def with_verdict(connection: Connection, judgments: Sequence[tuple[int, str]]) -> set[str]:
    """The keys of those judgments, by day and key, that are stored with a verdict."""
    columns, found = judgment.c, set()
    for start in range(0, len(judgments), KEYS_AT_ONCE):
        part = judgments[start : start + KEYS_AT_ONCE]
        days, keys = {day for day, _ in part}, {key for _, key in part}
        wanted = select(columns.key).where(columns.day.in_(days), columns.key.in_(keys), columns.passed.is_not(None))
        found |= set(connection.scalars(wanted))
    return found


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


def matches(column: ColumnElement[str], glob: str) -> ColumnElement[bool]:
    """Whether a column holds a name that the glob matches."""
    if not re.search(r"[*?\[]", glob):
        return column == glob
    return column.regexp_match(fnmatch.translate(glob).replace("(?s:", "(?:").replace(r"\Z", "$").replace(r"\z", "$"))
