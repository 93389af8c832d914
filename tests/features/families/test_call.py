from __future__ import annotations

import math

import pytest

from monitor.events.schema import Call, Latency, OutputEvent, Usage
from monitor.features.families.call import CallFacts
from monitor.features.families.dependencies import failed
from monitor.features.text.words import EventBatch, table_for
from monitor.testing.features import sample_events


def facts(event: OutputEvent) -> dict[str, float | str | None]:
    family = CallFacts()
    columns = family.extract(EventBatch([event], table_for([family])))
    return {
        name: value if isinstance(value := column[0], str | None) else float(value) for name, column in columns.items()
    }


def test_everything_that_an_event_reports() -> None:
    full = next(event for event in sample_events() if event.id == "full")
    reported = {name: value for name, value in facts(full).items() if value is None or value == value}
    assert reported == pytest.approx(
        {
            "call.latency.total_s": 1.5,
            "call.latency.first_token_s": 0.2,
            "call.tokens.input": 10,
            "call.tokens.output": 8,
            "call.cost.usd": 0.001,
            "call.steps.count": 2,
            "call.context.tokens": 18,
            "call.context.share": 18 / 4096,
            "call.session.turn": 3,
            "call.outcome.error": 0,
            "call.outcome.finish_reason": "stop",
            "call.dependency.count": 2,
            "call.dependency.errors": 1,
            "call.dependency.duration_s": 0.1,
            "call.dependency.failing": "db",
            "call.dependency.shape": "search=ab",
        }
    )


def test_what_an_event_does_not_report_is_missing() -> None:
    found = facts(OutputEvent(stream="s", output="x"))
    assert {name: value for name, value in found.items() if value is not None and not math.isnan(float(value))} == {
        "call.outcome.error": 0,
        "call.dependency.count": 0,
    }


def test_queue_fallback_and_reasoning_tokens() -> None:
    event = OutputEvent(
        stream="s", output="x", fallback=True, latency=Latency(queue_s=0.5), usage=Usage(reasoning_tokens=7)
    )
    found = facts(event)
    assert [found[name] for name in ("call.outcome.fallback", "call.latency.queue_s", "call.reasoning.tokens")] == [
        1, 0.5, 7,
    ]  # fmt: skip


def test_an_error_is_a_flag() -> None:
    assert facts(OutputEvent(stream="s", output=None, error="time-out"))["call.outcome.error"] == 1


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (Call(dependency="d"), False),
        (Call(dependency="d", status=200), False),
        (Call(dependency="d", status="204"), False),
        (Call(dependency="d", status="OK"), False),
        (Call(dependency="d", status=404), True),
        (Call(dependency="d", status="503"), True),
        (Call(dependency="d", status="timeout"), True),
        (Call(dependency="d", status=200, error="bad body"), True),
        (Call(dependency="d", status="\u00b2"), True),
    ],
)
def test_failed(call: Call, expected: bool) -> None:
    assert failed(call) is expected


def test_many_dependencies_are_capped_in_a_fixed_order() -> None:
    calls = [Call(dependency=f"d{i:02}", shape="s", status=500) for i in reversed(range(20))]
    found = facts(OutputEvent(stream="s", output="x", calls=calls))
    assert found["call.dependency.failing"] == ", ".join(f"d{i:02}" for i in range(8))


def test_numbers_beyond_float32_are_missing() -> None:
    usage = Usage(input_tokens=10**400, output_tokens=1, context_limit=0)
    found = facts(OutputEvent(stream="s", output="x", usage=usage, cost_usd=1e300))
    assert all(
        math.isnan(float(found[name] or 0)) for name in ("call.tokens.input", "call.context.share", "call.cost.usd")
    )
