"""The simulated assistant: repeatable, varied, and different exactly where its fault says."""

from __future__ import annotations

import json
import statistics
from collections import Counter

import msgspec
import pytest

from monitor.demo.assistant import ANSWER, CONTEXT_LIMIT, RAMP_S, TRIAGE, SupportAssistant
from monitor.demo.faults import Fault
from monitor.events.schema import OutputEvent


def events(fault: Fault = Fault.NONE, *, n: int = 1500, age: float = 0.0, seed: int = 7) -> list[OutputEvent]:
    assistant = SupportAssistant(seed)
    return [assistant.event(1.7e9 + k, fault, age) for k in range(n)]


def of(stream: str, all_events: list[OutputEvent]) -> list[OutputEvent]:
    return [event for event in all_events if event.stream == stream]


def texts(all_events: list[OutputEvent]) -> list[str]:
    return [event.output for event in all_events if event.output is not None]


def parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    first = [msgspec.json.encode(event) for event in events(n=300)]
    assert first == [msgspec.json.encode(event) for event in events(n=300)]
    assert first != [msgspec.json.encode(event) for event in events(n=300, seed=8)]


@pytest.mark.parametrize("fault", list(Fault))
def test_every_event_is_complete_and_every_slot_is_filled(fault: Fault) -> None:
    for event in events(fault, n=600, age=RAMP_S):
        assert event.output
        assert event.input
        if event.stream == ANSWER:
            assert "{" not in event.output + event.input
        assert event.finish_reason == "stop"
        assert event.usage.input_tokens is not None
        assert 0 < event.usage.input_tokens < CONTEXT_LIMIT
        assert event.latency.total_s is not None
        assert event.latency.first_token_s is not None
        assert 0 < event.latency.first_token_s < event.latency.total_s < 60
        assert event.model.name == "assistant-large"  # a silent update stays silent


def test_text_is_varied() -> None:
    answers = texts(of(ANSWER, events()))
    assert len(set(answers)) > 0.9 * len(answers)
    languages = Counter(event.attributes["locale"] for event in events())
    assert 0.08 < languages["de"] / languages.total() < 0.2
    lengths = [len(answer) for answer in answers]
    assert statistics.median(lengths) < statistics.quantiles(lengths, n=10)[-1] / 1.5


def test_a_silent_update_makes_answers_longer_and_leaves_triage_alone() -> None:
    before, after = events(), events(Fault.SILENT_UPDATE)
    assert statistics.median(map(len, texts(of(ANSWER, after)))) > 2 * statistics.median(
        map(len, texts(of(ANSWER, before)))
    )
    assert all(parses(text) for text in texts(of(TRIAGE, after)))


def test_a_format_break_spoils_the_json_and_leaves_answers_alone() -> None:
    assert all(parses(text) for text in texts(of(TRIAGE, events())))
    assert not any(parses(text) for text in texts(of(TRIAGE, events(Fault.FORMAT_BREAK))))
    assert (
        abs(
            statistics.median(map(len, texts(of(ANSWER, events()))))
            - statistics.median(map(len, texts(of(ANSWER, events(Fault.FORMAT_BREAK)))))
        )
        < 10
    )


def test_creeping_faults_start_at_nothing_and_end_at_their_full_size() -> None:
    def latency(age: float) -> float:
        return statistics.median(e.latency.total_s or 0 for e in of(ANSWER, events(Fault.LATENCY_CREEP, age=age)))

    def context(age: float) -> float:
        return statistics.median(e.usage.input_tokens or 0 for e in of(ANSWER, events(Fault.CONTEXT_GROWTH, age=age)))

    assert latency(0.0) == pytest.approx(
        statistics.median(e.latency.total_s or 0 for e in of(ANSWER, events())), rel=0.1
    )
    assert latency(RAMP_S) > 2.3 * latency(0.0)
    assert context(RAMP_S) > 5 * context(0.0)


def test_a_failing_dependency_fails_only_the_orders_api() -> None:
    calls = [call for event in of(ANSWER, events(Fault.FAILING_DEPENDENCY)) for call in event.calls]
    failed = Counter(call.dependency for call in calls if call.error)
    total = Counter(call.dependency for call in calls)
    assert failed["orders-api"] > 0.25 * total["orders-api"]
    assert all(failed[name] < 0.03 * total[name] for name in total if name != "orders-api")
