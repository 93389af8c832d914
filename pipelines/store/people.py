"""Which judged outputs go to people: the second phase of the draw, and failed examples of alerts.

Runs in the writer of the trace store, as it sees every judgment once, in the order of the log, and in the form that
privacy allows. What is drawn follows from the log, the settings and the key of the draw alone, and an item is named by
what it is about: a log that is read again puts nothing twice, and a trace store that is made again finds the decisions
of before. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from monitor.actions.review import COST, Kind, ReviewItem, item_id, second_phase
from monitor.criteria.criterion import Criterion
from monitor.judgment.records import Purpose
from monitor.store.judged import Cell

GROUPS = tuple(name for name in Cell._fields if name not in ("stream", "hour", "stratum"))
"""By what estimates can be broken down."""


class PeopleDraw:
    """Makes items of the review queue from rows of judgments.

    Parameters
    ----------
    criteria_of
        The criteria of a stream by name.
    salt
        Key of the draw, 1 to 64 bytes.
    """

    def __init__(self, criteria_of: Callable[[str], Iterable[Criterion]], salt: bytes) -> None:
        self._criteria_of = criteria_of
        self._salt = salt

    def items(
        self, rows: Sequence[Mapping[str, Any]], with_verdict: Callable[[Sequence[tuple[int, str]]], set[str]]
    ) -> list[ReviewItem]:
        """The items that rows of the table of judgments bring, in the order of the log.

        `with_verdict` gives the keys of those judgments that are stored with a verdict already: the first one counts,
        and was drawn for people, or not, when it came.
        """
        first: dict[str, tuple[Mapping[str, Any], ReviewItem | None]] = {}
        for row in rows:
            if row["passed"] is not None and row["key"] not in first:
                first[row["key"]] = row, self._item(row)
        drawn = [(row, item) for row, item in first.values() if item is not None]
        known = with_verdict([(row["day"], row["key"]) for row, _ in drawn]) if drawn else set()
        return [item for row, item in drawn if row["key"] not in known]

    def _item(self, row: Mapping[str, Any]) -> ReviewItem | None:
        people = next((one.people for one in self._criteria_of(row["stream"]) if one.name == row["criterion"]), None)
        if people is None:
            return None
        passed = bool(row["passed"])
        if row["purpose"] == Purpose.SAMPLE:
            share = people.passed if passed else people.failed
            phase = second_phase(self._salt, row["stream"], row["event"], share, people.second_opinion)
            if phase is None:
                return None
            more = {
                "kind": Kind.SAMPLE,
                "judged_probability": row["probability"],
                "probability": phase.probability,
                "second": phase.second,
            }
        elif row["purpose"] == Purpose.DIAGNOSTIC and not passed:
            side = f", {row['side']} its change" if row["side"] else ""
            more = {"kind": Kind.FLAGGED, "reason": f"example of alert {row['finding']}{side}"}
        else:
            return None
        kind: Kind = more["kind"]
        return ReviewItem(
            id=item_id(kind, row["key"]),
            stream=row["stream"],
            event=row["event"],
            time=row["time"],
            created=row["judged_at"],
            criterion=row["criterion"],
            topic=row["topic"],
            partition=row["partition"],
            position=row["position"],
            evaluator=row["evaluator"],
            identity=row["identity"],
            verdict=passed,
            stratum=row["stratum"],
            groups={name: row[name] for name in GROUPS if row[name]},
            cost=COST[kind] * people.cost,
            **more,
        )
