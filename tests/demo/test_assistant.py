"""The simulated assistant: repeatable, varied, and different exactly where its fault says."""

from __future__ import annotations

import json
import statistics
from collections import Counter

import msgspec
import pytest

from monitor.demo.assistant import (
    ANSWER,
    CHANGED_SHAPE,
    CONTEXT_LIMIT,
    RAMP_S,
    SHAPE,
    STRUCK,
    TRIAGE,
    SupportAssistant,
)
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


@pytest.mark.parametrize(
    "fault", [fault for fault in Fault if fault not in (Fault.ERROR_SPIKE, Fault.TRUNCATED_OUTPUTS)]
)
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


def test_a_slow_dependency_is_slow_and_nothing_else_is() -> None:
    def duration(fault: Fault, struck: bool) -> float:
        calls = [call for event in of(ANSWER, events(fault)) for call in event.calls if not call.error]
        return statistics.median(c.duration_s or 0 for c in calls if (c.dependency == STRUCK) is struck)

    assert duration(Fault.SLOW_DEPENDENCY, True) > 10 * duration(Fault.NONE, True)
    assert duration(Fault.SLOW_DEPENDENCY, False) == pytest.approx(duration(Fault.NONE, False), rel=0.1)


def test_a_dependency_changes_the_shape_of_its_responses_alone() -> None:
    calls = [call for event in of(ANSWER, events(Fault.DEPENDENCY_FORMAT)) for call in event.calls if call.shape]
    assert {call.shape for call in calls if call.dependency == STRUCK} == {CHANGED_SHAPE}
    assert {call.shape for call in calls if call.dependency != STRUCK} == {SHAPE}


def test_an_error_spike_ends_an_eighth_of_the_calls_without_an_output() -> None:
    answers = of(ANSWER, events(Fault.ERROR_SPIKE))
    assert all((event.output is None) == (event.error is not None) for event in answers)
    assert 0.08 < sum(event.error is not None for event in answers) / len(answers) < 0.17


def test_truncated_outputs_say_so_in_their_finish_reason() -> None:
    answers = of(ANSWER, events(Fault.TRUNCATED_OUTPUTS))
    cut = [event for event in answers if event.finish_reason == "length"]
    assert 0.25 < len(cut) / len(answers) < 0.4
    assert statistics.median(map(len, texts(cut))) < 0.75 * statistics.median(map(len, texts(answers)))


def test_hanging_calls_leave_the_typical_call_as_it_was() -> None:
    before, after = (
        [event.latency.total_s or 0 for event in of(ANSWER, events(fault))]
        for fault in (Fault.NONE, Fault.HANGING_CALLS)
    )
    assert statistics.median(after) < 1.15 * statistics.median(before)
    assert statistics.quantiles(after, n=20)[-1] > 3 * statistics.quantiles(before, n=20)[-1]
