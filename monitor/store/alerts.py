"""Alerts in the trace store: of a stream, the newest transition of each; and for which time the store knows them.

Called by the stores (`sqlite`, `postgres`) and by `oqm trace`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select

from monitor.criteria.criterion import JUDGED_STREAM
from monitor.criteria.derived import FEEDBACK_STREAM, feedback_of, judged_of
from monitor.store.counts import insert
from monitor.store.periods import DAY_S
from monitor.store.tables import alert, alerts_read

MAX_ALERTS = 500  # of one stream that are read, each some kilobytes: more of them within the retention is no monitoring


class StoredAlert(msgspec.Struct, frozen=True, kw_only=True):
    """The newest transition of an alert; `body` is the record of the topic of alerts, JSON.

    `day` is the day of the transition's message, in days since 1970.
    """

    stream: str
    id: str
    day: int
    body: str


class AlertsKnown(msgspec.Struct, frozen=True, kw_only=True):
    """For which time the store knows the alerts.

    `since` is the begin of the first day that the store holds, in seconds since 1970, None for an empty store: alerts
    whose last transition is older are not in it. `read_until` has for each partition of the topic of alerts the time up
    to which all of it is in the store, 0 where the worker has not come to its end yet.
    """

    since: float | None
    read_until: Mapping[int, float]

    @property
    def until(self) -> float | None:
        """Up to when all partitions are read; None where none is, or one has not been read to its end."""
        return min(self.read_until.values(), default=0.0) or None


def alerts_of(connection: Connection, stream: str) -> list[StoredAlert]:
    """Alerts of a stream and of the streams of verdicts and feedback on its outputs, by their last transition.

    The newest first; at most one more than `MAX_ALERTS`.
    """
    columns = alert.c
    newest = (columns.day.desc(), columns.position.desc())
    place = func.row_number().over(partition_by=columns.alert, order_by=newest).label("place")
    transitions = select(alert, place).where(or_(columns.stream == stream, *_derived_from(stream))).subquery()
    last = transitions.c
    statement = select(last.stream, last.alert, last.day, last.body).where(last.place == 1)
    rows = connection.execute(statement.order_by(last.day.desc(), last.position.desc()).limit(MAX_ALERTS + 1))
    found = [StoredAlert(stream=row.stream, id=row.alert, day=row.day, body=row.body) for row in rows]
    # SQLite's LIKE takes upper and lower case for the same.
    return [one for one in found if stream in (one.stream, *_sources(one.stream))]


def find_alert(connection: Connection, identity: str) -> StoredAlert | None:
    """The last transition of the alert with an id."""
    columns = alert.c
    newest = select(alert).where(columns.alert == identity).order_by(columns.day.desc(), columns.position.desc())
    row = connection.execute(newest.limit(1)).one_or_none()
    return None if row is None else StoredAlert(stream=row.stream, id=row.alert, day=row.day, body=row.body)


def _derived_from(stream: str) -> list[ColumnElement[bool]]:
    """Conditions on names: `~judged/shop/answers/polite` has verdicts on outputs of `shop/answers`, not of `shop`."""
    name = re.sub(r"([\\%_])", r"\\\1", stream)
    return [
        and_(
            alert.c.stream.like(f"{begin}{name}/%", escape="\\"),
            alert.c.stream.not_like(f"{begin}{name}/%/%", escape="\\"),
        )
        for begin in (JUDGED_STREAM, FEEDBACK_STREAM)
    ]


def _sources(name: str) -> list[str]:
    """The stream on whose outputs a derived stream has verdicts or feedback."""
    return [found[0] for found in (judged_of(name), feedback_of(name)) if found is not None]


def write_alerts_read(connection: Connection, read: Mapping[tuple[str, int], float]) -> None:
    """Note up to when partitions of the topic of alerts are in the store; a time never goes back.

    `read` has times in seconds since 1970 by topic id and partition. Another topic's are removed: there is one.
    """
    if not read:
        return
    connection.execute(delete(alerts_read).where(alerts_read.c.topic.not_in({topic for topic, _ in read})))
    statement = insert(connection, alerts_read)
    greatest = func.max if connection.dialect.name == "sqlite" else func.greatest
    newer = {"until": greatest(alerts_read.c.until, statement.excluded.until)}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["topic", "partition"], set_=newer),
        [{"topic": topic, "partition": k, "until": until} for (topic, k), until in sorted(read.items())],
    )


def alerts_known(connection: Connection, days: Iterable[int]) -> AlertsKnown:
    """For which time the alerts are known; `days` are those that the store holds."""
    first = min(days, default=None)
    rows = connection.execute(select(alerts_read.c.partition, alerts_read.c.until))
    return AlertsKnown(
        since=None if first is None else first * DAY_S, read_until={row.partition: row.until for row in rows}
    )
