"""Keys of JSON outputs, attributes and facts: what is watched of them, and that a change of one is named by its key."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from monitor.detection import Finding, StreamMonitor
from monitor.detection.columns.keyed_columns import KeyedColumns
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.records.finding import Driver, State
from monitor.detection.records.log_format import decode_message, encode
from monitor.detection.settings import DetectionSettings
from monitor.events.schema import OutputEvent
from monitor.features.base import Worse
from monitor.features.batch import FeatureBatch
from monitor.features.declared_attributes import DeclaredAttribute, by_name
from monitor.features.families.keyed_templates import TEMPLATES
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


DECLARED = (
    DeclaredAttribute(name="happiness_index", kind="number", worse="down"),
    DeclaredAttribute(name="ticket_reopened", kind="flag", worse="up"),
    DeclaredAttribute(name="mood", kind="category"),
    DeclaredAttribute(name="build", kind="ignore"),
)


def replay_declared(changed: Callable[[random.Random], dict[str, Any]]) -> list[Finding]:
    """What is found where the attributes of each row change and nothing else does."""
    featurizer = build_featurizer(("length", "feedback"), "off", declared=lambda _: by_name(DECLARED))
    rng = random.Random(5)

    def usual(rng: random.Random) -> dict[str, Any]:
        happiness, mood = rng.choice([7, 8, 8, 9, 9, 10]), rng.choice(["calm", "calm", "glad"])
        return {"happiness_index": happiness, "ticket_reopened": rng.random() < 0.05, "mood": mood, "build": "a"}

    events = [
        OutputEvent(
            stream="s", id=str(row), output="It is on its way.", input="Where is it?", time=2.0 * row,
            attributes=usual(rng) | (changed(rng) if row >= CHANGE else {}),
        )
        for row in range(1_000)
    ]  # fmt: skip
    settings = DetectionSettings(attributes=DECLARED)
    return watch(featurizer.featurize(events, source="t"), StreamMonitor("s", settings, specs=featurizer.specs))


@pytest.mark.parametrize(
    ("changed", "column", "severity"),
    [
        (lambda rng: {"happiness_index": rng.choice([2, 3, 3, 4])}, "call.feedback.score[happiness_index]", "critical"),
        (lambda _: {"happiness_index": 10}, "call.feedback.score[happiness_index]", "warning"),
        (lambda rng: {"ticket_reopened": rng.random() < 0.6}, "call.feedback.flag[ticket_reopened]", "critical"),
        (lambda rng: {"mood": rng.choice(["angry", "calm"])}, "call.feedback.label[mood]", "warning"),
    ],
)
def test_a_declared_attribute_is_watched_and_the_direction_that_hurts_makes_it_critical(
    changed: Callable[[random.Random], dict[str, Any]], column: str, severity: str
) -> None:
    first = next(finding for finding in replay_declared(changed) if finding.opens)
    assert first.features[0].name.startswith(column)
    assert first.kind.value == "feedback"
    assert first.severity.value == severity
    assert first.segment is None, "what is said of an output is no part of the traffic"


def test_an_ignored_attribute_is_neither_watched_nor_a_part_of_the_traffic() -> None:
    assert not [finding for finding in replay_declared(lambda rng: {"build": f"b{rng.random()}"}) if finding.opens]


def test_declared_columns_come_first_and_are_not_counted_among_the_recognised_ones() -> None:
    names = [*(f"score_{k}" for k in range(9)), *(f"own{k}" for k in range(9))]
    attributes = tuple(DeclaredAttribute(name=f"own{k}", kind="number", worse="up") for k in range(9))
    featurizer = build_featurizer(("feedback",), "off", declared=lambda _: by_name(attributes))
    rng = random.Random(1)
    events = [
        OutputEvent(stream="s", id=str(row), output="x", attributes={name: rng.random() for name in names})
        for row in range(200)
    ]
    measured = featurizer.featurize(events, source="t")
    rows = StreamRows.of(measured, np.zeros(len(measured)), frozenset())
    chosen = KeyedColumns.of(rows, by_name(attributes))
    assert sum("[own" in name for name in chosen.names) == 9
    assert sum("[score" in name for name in chosen.names) == TEMPLATES["call.feedback.score"].most
    worse = {spec.name: spec.worse for spec in chosen.specs}
    assert worse["call.feedback.score[own0]"] is Worse.UP
    assert worse["call.feedback.score[score_0]"] is Worse.EITHER
    again = KeyedColumns.from_state(chosen.to_state(), by_name(attributes))
    assert again.specs == chosen.specs
    assert {spec.worse for spec in again.with_declared({}).specs} == {Worse.EITHER}


def test_ratings_that_fall_with_the_outputs_do_not_make_it_a_change_of_the_traffic() -> None:
    def good(rng: random.Random) -> tuple[str, dict[str, Any]]:
        return "It arrives on " + rng.choice(["Monday.", "Tuesday at noon."]), {"rating": rng.choice([4, 5, 5])}

    def bad(rng: random.Random) -> tuple[str, dict[str, Any]]:
        return "I cannot help you with that. " * 3 + rng.choice(["Sorry.", "I am sorry."]), {"rating": 2}

    first = next(finding for finding in watch(batch(good, bad)) if finding.opens)
    assert first.driver is Driver.OUTPUT
    assert first.segment is None
    assert first.state is State.FIRING
