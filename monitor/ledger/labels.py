"""What people say of judged outputs, counted for estimates (`monitor.judgment.calibration`).

Only the second phase of the draw counts: flagged examples, held actions, anchors and second opinions say nothing of all
outputs. Second opinions are counted beside the first, for the agreement of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select

from monitor.actions.review import Kind, Opinion, State
from monitor.judgment.calibration import LabelKey, Labels
from monitor.judgment.verdicts import Verdicts
from monitor.ledger.base import Ledger
from monitor.ledger.review_tables import review_decision, review_item


def labels(
    ledger: Ledger,
    since: float,
    until: float,
    *,
    stream: str | None = None,
    criterion: str | None = None,
    where: Mapping[str, str] | None = None,
    by: Sequence[str] = (),
) -> dict[LabelKey, Labels]:
    """The labels of outputs made from `since` up to `until` (seconds since 1970), by whose verdicts they are about.

    `stream` is a glob; `where` has values of dimensions that outputs must have, `by` the dimensions that make a group.
    Raises `LedgerError`.
    """
    conditions = [review_item.c.time >= since, review_item.c.time < until]
    if criterion is not None:
        conditions.append(review_item.c.criterion == criterion)
    wanted = _Wanted(stream, where or {}, by)

    def read(connection: Connection) -> dict[LabelKey, Labels]:
        found: dict[LabelKey, Labels] = {}
        _add_first(connection, conditions, wanted, found)
        _add_second(connection, conditions, wanted, found)
        return found

    return ledger.read(read)


class _Wanted(msgspec.Struct, frozen=True):
    """Which of the labels are counted, and by what."""

    stream: str | None
    where: Mapping[str, str]
    by: Sequence[str]

    def labels_in(self, found: dict[LabelKey, Labels], row: Any) -> Labels | None:
        """Where a row is counted; None: it is not asked for."""
        if self.stream is not None and not fnmatchcase(row.stream, self.stream):
            return None
        groups: dict[str, str] = msgspec.json.decode(row.groups)
        if any(groups.get(name, "") != value for name, value in self.where.items()):
            return None
        group = tuple(groups.get(name, "") for name in self.by)
        return found.setdefault(LabelKey(row.stream, row.criterion, row.evaluator, row.identity, group), Labels())


def _add_first(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], wanted: _Wanted, found: dict[LabelKey, Labels]
) -> None:
    item, decision = review_item.c, review_decision.c
    weight = 1.0 / (item.judged_probability * item.probability)
    keys = (
        item.stream, item.criterion, item.evaluator, item.identity, item.groups, item.stratum, item.verdict, item.state,
        decision.opinion,
    )  # fmt: skip
    sums = (func.count().label("number"), func.sum(weight).label("weight"), func.sum(weight * weight).label("squares"))
    statement = (
        select(*keys, *sums, func.min(item.time).label("first"), func.max(item.time).label("last"))
        .select_from(review_item.outerjoin(review_decision, decision.item == item.id))
        .where(item.kind == Kind.SAMPLE, item.state != State.CLOSED, *conditions)
        .group_by(*keys)
    )
    for row in connection.execute(statement):
        counted = wanted.labels_in(found, row)
        if counted is None:
            continue
        if row.opinion is None:
            counted.open += row.number
            continue
        said = Opinion(row.opinion)
        one = Verdicts(first=row.first, last=row.last)
        if said is Opinion.UNSURE:
            one.missing = row.number
        else:
            one.weight, one.weight_squared = row.weight, row.squares
            if said is Opinion.PASS:
                one.passed, one.weight_passed = row.number, row.weight
            else:
                one.failed = row.number
        counted.counts.setdefault((row.stratum, bool(row.verdict)), Verdicts()).add(one)


def _add_second(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], wanted: _Wanted, found: dict[LabelKey, Labels]
) -> None:
    item = review_item.c
    first, second = review_decision.alias("first_decision"), review_decision.alias("second_decision")
    keys = (item.stream, item.criterion, item.evaluator, item.identity, item.groups, first.c.opinion, second.c.opinion)
    both = review_item.join(second, second.c.item == item.id).join(first, first.c.item == item.first)
    statement = (
        select(*keys[:5], first.c.opinion.label("one"), second.c.opinion.label("other"), func.count().label("number"))
        .select_from(both)
        .where(item.kind == Kind.SECOND, *conditions)
        .group_by(*keys)
    )
    for row in connection.execute(statement):
        counted = wanted.labels_in(found, row)
        if counted is not None and Opinion.UNSURE not in (row.one, row.other):
            counted.doubled[row.one == Opinion.PASS, row.other == Opinion.PASS] += row.number
