"""Items of the queue for tests."""

from __future__ import annotations

from typing import Any

from monitor.actions.review import COST, Kind, ReviewItem, item_id

NOW = 1_000_000.0


def item(number: int, kind: Kind = Kind.SAMPLE, **given: Any) -> ReviewItem:
    """The item of output `e<number>`, which came `number` seconds before `NOW`."""
    known: dict[str, Any] = {
        "id": item_id(kind, number), "kind": kind, "stream": "support", "event": f"e{number}", "time": NOW - 3_600,
        "created": NOW - number, "criterion": "helpful", "evaluator": "main", "identity": "a1", "verdict": True,
        "stratum": "uniform", "judged_probability": 0.2, "probability": 0.05, "groups": {"language": "en"},
        "cost": COST[kind],
    }  # fmt: skip
    return ReviewItem(**(known | given))
