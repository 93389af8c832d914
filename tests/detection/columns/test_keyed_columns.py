"""Keys of JSON outputs, attributes and facts: what is watched of them, and that a change of one is named by its key."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from monitor.detection import Finding, StreamMonitor
from monitor.detection.records.log_format import decode_message, encode
from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch
from monitor.features.registry import build_featurizer

FEATURIZER = build_featurizer(embedding="off")
CHANGE = 600
Answer = Callable[[random.Random], tuple[str, dict[str, Any]]]


def record(rng: random.Random) -> dict[str, Any]:
    return {
        "intent": rng.choice(["refund", "delivery", "other"]),
        "priority": rng.choice(["low", "medium", "high"]),
        "confidence": round(rng.uniform(0.6, 1.0), 2),
        "order_id": rng.randrange(10_000, 99_999),
        "customer": rng.choice(["Ada", "Bo", "Cy"]) + f" {rng.randrange(10**6)}",
    }


def batch(answer: Answer, changed: Answer, seed: int = 3, n: int = 1_000) -> FeatureBatch:
    rng = random.Random(seed)
    events = []
    for row in range(n):
        output, attributes = (changed if row >= CHANGE else answer)(rng)
        events.append(
            OutputEvent(stream="s", id=str(row), output=output, input="Sort it", time=2.0 * row, attributes=attributes)
        )
    return FEATURIZER.featurize(events, source="t")


def watch(rows: FeatureBatch, monitor: StreamMonitor | None = None, start: int = 0) -> list[Finding]:
    monitor = monitor or StreamMonitor("s", specs=FEATURIZER.specs)
    found = []
    for first in range(start, len(rows), 50):
        found += monitor.observe(rows.rows(first, first + 50))
    return found + monitor.close()


def as_json(rng: random.Random, change: Callable[[dict[str, Any]], object] | None = None) -> tuple[str, dict[str, Any]]:
    made = record(rng)
    if change is not None:
        change(made)
    return json.dumps(made), {}


def renamed(made: dict[str, Any]) -> None:
    made["urgency"] = made.pop("priority")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda made: made.pop("priority"), "output.json.key[priority]"),
        (renamed, "output.json.key[priority]"),
        (lambda made: made.update(confidence=str(made["confidence"])), "output.json.key[confidence]"),
        (lambda made: made.update(priority="urgent"), "output.json.value[priority]"),
        (lambda made: made.update(confidence=made["confidence"] / 2), "output.json.number[confidence]"),
    ],
)
def test_the_key_that_changed_is_among_what_is_named(change: Callable[[dict[str, Any]], object], name: str) -> None:
    found = watch(batch(as_json, lambda rng: as_json(rng, change)))
    assert found
    assert name in {feature.name for finding in found for feature in finding.features}
    assert CHANGE <= found[0].raised_at.index < CHANGE + 60


def test_identifiers_and_names_are_not_watched() -> None:
    monitor = StreamMonitor("s", specs=FEATURIZER.specs)
    assert watch(batch(as_json, as_json), monitor) == []
    keyed = set(monitor.status().keys)
    assert "output.json.value[priority]" in keyed
    assert "output.json.number[confidence]" in keyed
    assert "output.json.number[order_id]" not in keyed
    assert "output.json.value[customer]" not in keyed


def prose(rng: random.Random, rating: float = 4.5, days: int = 30) -> tuple[str, dict[str, Any]]:
    said = rng.choice(
        [f"You have {days} days to return it.", "Hold the button for a while.", "It is on its way to you."]
    )
    given = min(5.0, max(1.0, round(rng.gauss(rating, 0.6))))
    return f"{said} {rng.choice(['Anything else?', 'Thanks.', 'Just ask us.'])}", {
        "rating": given, "request_number": rng.randrange(10**8),
    }  # fmt: skip


def test_a_fall_of_ratings_is_found() -> None:
    found = watch(batch(prose, lambda rng: prose(rng, rating=2.5)))
    assert found[0].features[0].name == "call.feedback.score[rating]"


def test_a_changed_policy_is_found_and_its_new_value_named() -> None:
    found = watch(batch(prose, lambda rng: prose(rng, days=14)))
    assert "Answers state a new value (14 days)" in found[0].title


def test_what_travels_is_what_came_and_cuts_do_not_matter() -> None:
    rows = batch(prose, lambda rng: prose(rng, days=14))
    [message] = encode(rows)
    decoded = decode_message(message)
    assert isinstance(decoded, FeatureBatch)
    assert decoded.keyed == rows.keyed
    assert watch(decoded) == watch(rows)


@pytest.mark.parametrize("cut", [100, 450, 650])
def test_a_restored_monitor_goes_on_alike(cut: int) -> None:
    rows = batch(prose, lambda rng: prose(rng, days=14))
    whole, first, second = (StreamMonitor("s", specs=FEATURIZER.specs) for _ in range(3))
    expected = watch(rows, whole)
    found = []
    for start in range(0, cut, 50):
        found += first.observe(rows.rows(start, start + 50))
    second.restore(first.snapshot())
    assert found + watch(rows, second, cut) == expected
    assert second.snapshot() == whole.snapshot()


def test_a_snapshot_with_a_template_that_is_gone_restores_without_its_columns() -> None:
    from monitor.detection.columns.keyed_columns import KeyedColumns, KeyedColumnsState

    assert KeyedColumns.from_state(KeyedColumnsState(["no.such.feature[x]"], None)).names == ()
