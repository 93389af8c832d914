"""Which tools, dependencies and operations are called, in every form of the large providers."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.events.schema import Call, OutputEvent
from monitor.features.families.tools import Tools
from monitor.features.text.words import EventBatch, table_for


def columns(event: OutputEvent) -> dict[str, Any]:
    family = Tools()
    batch = EventBatch([event], table_for([family]))
    found = {name: column[0] for name, column in family.extract(batch).items()}
    return {**found, "keyed": dict(family.keyed(batch)[0])}


@pytest.mark.parametrize(
    "step",
    [
        {"type": "tool_call", "name": "get_order", "arguments": {"order_id": "A1", "limit": 3}},
        {"type": "function", "function": {"name": "get_order", "arguments": '{"order_id": "A1", "limit": 3}'}},
        {"type": "tool_use", "name": "get_order", "input": {"limit": 3, "order_id": "A1"}},
        {"functionCall": {"name": "get_order", "args": {"order_id": "A1", "limit": 3}}},
        {"toolUse": {"name": "get_order", "input": {"order_id": "A1", "limit": 3}}},
    ],
)
def test_forms_of_a_tool_call(step: dict[str, Any]) -> None:
    found = columns(OutputEvent(stream="s", output="", steps=[step]))
    assert found["call.tools.called"] == "get_order"
    assert found["call.tools.calls"] == 1
    assert found["keyed"] == {"call.tools.arguments[get_order]": "(limit:num, order_id:str)"}


def test_dependencies_operations_and_actions() -> None:
    event = OutputEvent(
        stream="s", output="x", action={"kind": "refund", "amount": 3},
        calls=[Call(dependency="orders", operation="get"), Call(dependency="crm"), Call(dependency="orders")],
    )  # fmt: skip
    found = columns(event)
    assert found["call.dependency.called"] == "crm, orders"
    assert found["call.dependency.operation"] == "orders.get"
    assert found["call.action.kind"] == "refund"


def test_an_event_that_calls_nothing_has_no_values() -> None:
    found = columns(OutputEvent(stream="s", output="x", steps=[{"type": "image"}, 3, None]))
    assert found["call.tools.called"] is None
    assert found["call.dependency.called"] is None
    assert found["keyed"] == {}


@pytest.mark.parametrize("arguments", ["not json", "[" * 100_000, '"\ud800"', 7, [1], {"a" * 100_000: {}}])
def test_odd_arguments(arguments: object) -> None:
    found = columns(OutputEvent(stream="s", output="x", steps=[{"name": "t", "arguments": arguments}]))
    assert len(found["keyed"]["call.tools.arguments[t]"]) < 100
