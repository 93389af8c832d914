"""What users say of outputs: rows of the table `feedback`, what is known of one output, and counts for estimates.

Joined with outputs by event id when it is asked for, so feedback may come before its output is stored, or days after.
Of several records with one event and kind the one that was said latest stays, in whichever order they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from monitor.judgment.feedback import is_good
from monitor.judgment.records import Feedback
from monitor.store.counts import insert
from monitor.store.kept_form import kept
from monitor.store.periods import HOUR_S
from monitor.store.privacy import Privacy
from monitor.store.quality import Window
from monitor.store.sql import matches
from monitor.store.tables import feedback, output
from monitor.store.texts import storable

AHEAD_S = 300.0
"""How far the time of a record may lie after Kafka's: clocks differ by seconds to minutes. A later one is taken for
this limit, or a clock of next year would keep every later opinion from counting."""
AT_ONCE = 500  # ids that one query looks up: older versions of SQLite take 999 parameters
MOST_WITHOUT_STREAM = 50_000
"""Records without a stream, of one window, whose outputs are looked up: some seconds of work. Beyond it the newest."""


class StoredFeedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user said of an output, texts in the form that privacy allows; `low` and `high` are ends of a scale."""

    event: str
    kind: str
    stream: str | None = None
    time: float
    good: bool | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    text: str | None = None
    by: str | None = None


class Votes(msgspec.Struct):
    """Of a stream's outputs with feedback of one kind: whose users were content, were not, or say neither."""

    good: int = 0
    bad: int = 0
    neither: int = 0

    def add(self, good: int | None, number: int = 1) -> None:
        """Count so many more: 1 content, 0 not, None neither."""
        if good is None:
            self.neither += number
        elif good:
            self.good += number
        else:
            self.bad += number


VotesOf = dict[tuple[str, str], Votes]
"""By stream and kind."""


def feedback_row(said: Feedback, message_time: float, privacy: Privacy) -> dict[str, Any]:
    """The row of a record that `monitor.judgment.feedback` has read. `message_time` is Kafka's, seconds since 1970."""
    policy, key = privacy.policy(said.stream or ""), privacy.key
    good = is_good(said)
    return {
        "event": storable(said.event) or "",
        "kind": said.kind,
        "stream": storable(said.stream),
        "time": message_time if said.time is None else min(said.time, message_time + AHEAD_S),
        "hour": int(message_time // HOUR_S),
        "good": None if good is None else int(good),
        "value": None if said.value is None else float(said.value),
        "low": said.scale[0] if said.scale else None,
        "high": said.scale[1] if said.scale else None,
        "text": storable(kept(said.text, policy.output, key)),
        "by": storable(kept(said.by, policy.attributes, key)),
    }


def write_feedback(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those that were said earlier."""
    latest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        known = latest.get((row["event"], row["kind"]))
        if known is None or row["time"] >= known["time"]:
            stream = row["stream"] or (known or {}).get("stream")
            latest[row["event"], row["kind"]] = {**row, "stream": stream}
    if not latest:
        return
    statement = insert(connection, feedback)
    newer: dict[str, Any] = {
        column.name: statement.excluded[column.name] for column in feedback.columns if not column.primary_key
    }
    newer["stream"] = func.coalesce(statement.excluded.stream, feedback.c.stream)
    # Sorted: two workers that write the same rows then wait for one another and never deadlock.
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["event", "kind"], set_=newer, where=statement.excluded.time >= feedback.c.time
        ),
        [dict(latest[key]) for key in sorted(latest)],
    )


def feedback_on(connection: Connection, event: str) -> list[StoredFeedback]:
    """What was said of the outputs with an id, the earliest first."""
    rows = connection.execute(select(feedback).where(feedback.c.event == event).order_by(feedback.c.time))
    return [
        StoredFeedback(
            **{name: row[name] for name in StoredFeedback.__struct_fields__ if name != "good"},
            good=None if row["good"] is None else bool(row["good"]),
        )
        for row in rows.mappings()
    ]


def add_votes(connection: Connection, window: Window, votes: VotesOf) -> None:
    """Add what was said in a window of streams that the senders named."""
    columns = feedback.c
    conditions = [*_of_window(window), columns.stream.is_not(None)]
    if window.stream is not None:
        conditions.append(matches(columns.stream, window.stream))
    keys = [columns.stream, columns.kind, columns.good]
    statement = select(columns.stream, columns.kind, columns.good, func.count().label("number"))
    for row in connection.execute(statement.where(*conditions).group_by(*keys)):
        votes.setdefault((row.stream, row.kind), Votes()).add(row.good, int(row.number))


def without_stream(connection: Connection, window: Window) -> dict[str, list[tuple[str, int | None]]]:
    """Kind and vote by event id of what was said in a window by senders that named no stream."""
    columns = feedback.c
    rows = connection.execute(
        select(columns.event, columns.kind, columns.good)
        .where(*_of_window(window), columns.stream.is_(None))
        .order_by(columns.time.desc())
        .limit(MOST_WITHOUT_STREAM)
    )
    found: dict[str, list[tuple[str, int | None]]] = {}
    for event, kind, good in rows:
        found.setdefault(event, []).append((kind, good))
    return found


def add_joined(
    connection: Connection, window: Window, said: dict[str, list[tuple[str, int | None]]], votes: VotesOf
) -> None:
    """Add those of `said` whose output is stored here, and take them out of it."""
    for events in _parts(list(said)):
        of_events = select(output.c.event, output.c.stream).where(output.c.event.in_(events)).distinct()
        if window.stream is not None:
            of_events = of_events.where(matches(output.c.stream, window.stream))
        for event, stream in connection.execute(of_events):
            for kind, good in said.pop(event, []):
                votes.setdefault((stream, kind), Votes()).add(good)


def _of_window(window: Window) -> list[Any]:
    since, until = window.period
    return [feedback.c.time >= since, feedback.c.time < until]


def _parts(events: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(events), AT_ONCE):
        yield events[start : start + AT_ONCE]
