"""What the store counts for estimates of quality: verdicts, outputs and checks of a window, by SQLAlchemy Core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, FromClause, case, func, select

from monitor.judgment.records import Purpose
from monitor.judgment.verdicts import Verdicts
from monitor.store.periods import DAY_S, HOUR_S
from monitor.store.sql import matches
from monitor.store.tables import checked, judgment, seen

DIMENSIONS = ("model", "prompt", "segment", "language", "length", "noise", "mixed")
"""Columns by which counts can be narrowed or broken down."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Which outputs are counted, and by what they are broken down.

    Attributes
    ----------
    since, until
        Hours since 1970, the end excluded.
    stream, only
        Glob on the stream's name; or one name exactly.
    criterion
        One criterion; None: all.
    where
        Value by dimension: only outputs with these.
    by
        Dimensions by whose values counts are broken down.
    """

    since: int
    until: int
    stream: str | None = None
    only: str | None = None
    criterion: str | None = None
    where: Mapping[str, str] = {}
    by: tuple[str, ...] = ()

    @property
    def days(self) -> range:
        """Days since 1970 in which there may be judgments of these outputs: their row is at most a day off."""
        return range(int(self.since * HOUR_S // DAY_S) - 1, int(self.until * HOUR_S // DAY_S) + 2)

    @property
    def period(self) -> tuple[float, float]:
        """Seconds since 1970."""
        return self.since * HOUR_S, self.until * HOUR_S


class Judged(NamedTuple):
    """Whose verdicts, of what; `group` has the values of the dimensions of `Window.by`."""

    stream: str
    criterion: str
    evaluator: str
    identity: str
    group: tuple[str, ...]


class QualityCounts:
    """The counts of a window.

    Attributes
    ----------
    verdicts
        Of each evaluator, by stratum.
    outputs
        Outputs by (stream, group) and stratum.
    checks
        (outputs, failed) by (stream, criterion, group).
    """

    def __init__(self) -> None:
        self.verdicts: dict[Judged, dict[str, Verdicts]] = {}
        self.outputs: dict[tuple[str, tuple[str, ...]], Counter[str]] = {}
        self.checks: dict[tuple[str, str, tuple[str, ...]], tuple[int, int]] = {}


def add_verdicts(connection: Connection, window: Window, counts: QualityCounts) -> None:
    """Add the verdicts of the probability sample; those of examples and anchors say nothing of all outputs."""
    columns = judgment.c
    weight = 1.0 / columns.probability
    judged = columns.passed.is_not(None)
    by = [columns[name] for name in window.by]
    keys = [columns.stream, columns.criterion, columns.evaluator, columns.identity, *by, columns.stratum]
    since, until = window.period
    conditions = [
        columns.purpose == Purpose.SAMPLE.value,
        columns.day.between(window.days.start, window.days.stop - 1),  # which partitions are read
        columns.time >= since,
        columns.time < until,
        *_narrowed(judgment, window),
    ]
    if window.criterion is not None:
        conditions.append(columns.criterion == window.criterion)
    statement = select(
        *keys,
        func.coalesce(func.sum(columns.passed), 0),
        func.count(columns.passed),
        func.count(),
        func.sum(case((judged, weight), else_=0.0)),
        func.sum(case((judged, weight * weight), else_=0.0)),
        func.sum(case((columns.passed == 1, weight), else_=0.0)),
        func.min(columns.time),
        func.max(columns.time),
    )
    for row in connection.execute(statement.where(*conditions).group_by(*keys)):
        stream, criterion, evaluator, identity, *group, stratum = row[: len(keys)]
        passed, with_verdict, drawn, *sums = row[len(keys) :]
        key = Judged(stream, criterion, evaluator, identity, tuple(group))
        found = Verdicts(int(passed), int(with_verdict - passed), int(drawn - with_verdict), *map(float, sums))
        counts.verdicts.setdefault(key, {}).setdefault(stratum, Verdicts()).add(found)


def add_outputs(connection: Connection, window: Window, counts: QualityCounts) -> None:
    """Add the exact counts of outputs and checks."""
    by = [seen.c[name] for name in window.by]
    of_window = [seen.c.hour >= window.since, seen.c.hour < window.until, *_narrowed(seen, window)]
    keys: list[ColumnElement[Any]] = [seen.c.stream, *by, seen.c.stratum]
    statement = select(*keys, func.sum(seen.c.outputs)).where(seen.c.stratum != "", *of_window)
    for stream, *group, stratum, outputs in connection.execute(statement.group_by(*keys)):
        counts.outputs.setdefault((stream, tuple(group)), Counter())[stratum] += int(outputs)
    keys = [seen.c.stream, checked.c.criterion, *by]
    statement = select(*keys, func.sum(checked.c.outputs), func.sum(checked.c.failed))
    statement = statement.select_from(checked.join(seen, checked.c.cell == seen.c.cell)).where(*of_window)
    if window.criterion is not None:
        statement = statement.where(checked.c.criterion == window.criterion)
    for stream, criterion, *group, outputs, failed in connection.execute(statement.group_by(*keys)):
        counts.checks[stream, criterion, tuple(group)] = int(outputs), int(failed)


def _narrowed(table: FromClause, window: Window) -> list[ColumnElement[bool]]:
    conditions = [table.c[name] == value for name, value in window.where.items()]
    if window.only is not None:
        conditions.append(table.c.stream == window.only)
    if window.stream is not None:
        conditions.append(matches(table.c.stream, window.stream))
    return conditions
