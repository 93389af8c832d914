"""Messages of the providers, as spans and files carry them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.errors import InvalidEvent
from monitor.events import OutputEvent, Reason, decode_event
from monitor.events.content import are_messages, calls_tools_only, read_messages
from monitor.features import build_featurizer

CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}


def read(**fields: Any) -> OutputEvent:
    return decode_event(json.dumps({"stream": "a", **fields}).encode(), default_id="d", timestamp=None).event


def answered(message: Any) -> OutputEvent:
    return read(**{"gen_ai.output.messages": [message]})


@pytest.mark.parametrize(
    ("message", "text", "steps"),
    [
        ({"role": "assistant", "content": "Hi"}, "Hi", 0),
        ({"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}, "Hi", 0),
        ({"role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}, "Hi", 0),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "I can't."}]}, "I can't.", 0),
        ({"role": "assistant", "content": None, "refusal": "I can't."}, "I can't.", 0),
        ({"role": "model", "parts": [{"text": "Hi"}]}, "Hi", 0),
        ({"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "Hi"}]}, "Hi", 0),
        ({"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}, "", 1),
        ({"role": "assistant", "content": None, "tool_calls": [CALL]}, "", 1),
        ({"role": "assistant", "tool_calls": [CALL, CALL]}, "", 2),
        ({"role": "assistant", "content": "", "tool_calls": [{"id": "c1"}]}, "", 1),
        ({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}, "", 1),
        ({"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, {"type": "tool_use", "id": "t"}]},
         "Let me look.", 1),
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}]},
         "Hi", 0),
        ({"role": "assistant", "content": [{"type": "text", "text": {"value": "Hi", "annotations": []}}]}, "Hi", 0),
        ({"role": "assistant", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {}}]},
         "Hi", 1),
        ({"role": "assistant", "parts": [{"type": "blob", "content": "AAAA"}]}, "", 1),
        ({"role": "assistant", "content": None, "audio": {"id": "x", "data": "AA", "transcript": "Hi"}}, "Hi", 0),
        ({"role": "assistant", "content": [{"type": "novel", "text": "Hi"}]}, "Hi", 0),
        ({"role": "assistant", "content": [{"type": "novel", "novel": "Hi"}]}, "Hi", 0),
        ({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}, "Hi", 0),
        ({"role": "assistant", "content": None}, "", 0),
    ],
)  # fmt: skip
def test_text_and_calls_of_one_message(message: Any, text: str, steps: int) -> None:
    event = answered(message)
    assert (event.output, len(event.steps)) == (text, steps)
    assert read(**{"gen_ai.output.messages": json.dumps([message])}).output == text


def test_all_messages_and_items_are_read() -> None:
    event = read(
        **{
            "gen_ai.output.messages": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "function_call", "name": "f", "arguments": "{}"},
                {"role": "assistant", "parts": [{"type": "tool_call", "name": "w", "arguments": {}}]},
                {"role": "tool", "content": "rainy"},
                {"role": "assistant", "parts": [{"type": "text", "content": "It is"}], "finish_reason": "stop"},
                {"role": "assistant", "content": "cold."},
            ]
        }
    )
    assert (event.output, len(event.steps), event.finish_reason) == ("It is\ncold.", 2, "stop")


def test_a_part_that_cannot_be_read_never_makes_an_output_empty() -> None:
    for message in ({"role": "assistant", "content": [{"type": "novel", "data": {}}]}, {"role": "x", "body": "Hi"}):
        with pytest.raises(InvalidEvent) as caught:
            answered(message)
        assert caught.value.reason == Reason.BAD_GEN_AI
        assert "not known" in caught.value.detail
    event = answered({"role": "assistant", "content": [{"type": "novel", "data": {}}, {"type": "text", "text": "Hi"}]})
    assert event.output == "Hi"


def test_an_input_without_text_is_missing() -> None:
    for content in (None, [], [{"type": "image_url", "image_url": {}}]):
        event = read(**{"output": "ok", "gen_ai.input.messages": [{"role": "user", "content": content}]})
        assert event.input is None
    parts = [{"type": "input_text", "text": "hot?"}, {"type": "input_image", "image_url": "x"}]
    assert read(**{"output": "ok", "gen_ai.input.messages": [{"role": "user", "content": parts}]}).input == "hot?"


def test_numbered_attributes_of_openllmetry() -> None:
    attributes = {
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": "hot?",
        "gen_ai.prompt.name": "opposites",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "Cold.",
        "gen_ai.completion.0.finish_reason": "stop",
        "gen_ai.completion.1.content": "Icy.",
        "gen_ai.usage.prompt_tokens": "12",
    }
    for fields in ({"attributes": attributes}, attributes):
        event = read(**fields)
        assert (event.input, event.output, event.finish_reason) == ("hot?", "Cold.\nIcy.", "stop")
        assert (event.prompt.name, event.usage.input_tokens) == ("opposites", 12)
    event = read(
        **{
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.finish_reason": "tool_calls",
            "gen_ai.completion.0.tool_calls.0.name": "get_weather",
            "gen_ai.completion.0.tool_calls.0.arguments": "{}",
            "gen_ai.completion.0.tool_calls.1.name": "get_time",
        }
    )
    assert event.output == ""
    assert [step["name"] for step in event.steps] == ["get_weather", "get_time"]


def test_an_answer_in_json_stays_an_answer() -> None:
    for text in ('{"status": "shipped"}', '[{"a": 1}]', '{"content": "x"}', "[broken", '{"role": "admin"}'):
        assert read(**{"gen_ai.completion": text}).output == text


@pytest.mark.parametrize(
    ("value", "sure"),
    [
        ({"role": "assistant", "content": "x"}, True),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": []}], True),
        ({"choices": [{"message": {"content": "x"}}]}, True),
        ({"choices": [{"text": "x"}]}, True),
        ({"candidates": [{"content": {"parts": []}}]}, True),
        ({"object": "response", "output": []}, True),
        ([{"type": "text", "text": "x"}], True),
        ({"role": "admin", "content": "x"}, False),
        ({"role": "user", "name": "x"}, False),
        ({"content": "x"}, False),
        ({"choices": ["a", "b"]}, False),
        ({"type": "text_field", "text": "x"}, False),
        ([], False),
        ("x", False),
        (5, False),
    ],
)
def test_what_is_surely_messages(value: Any, sure: bool) -> None:
    assert are_messages(value) is sure


def test_nesting_without_end_is_read_to_a_depth() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = {"role": "assistant", "content": [deep]}
    assert read_messages(deep).texts == []


@pytest.mark.parametrize(
    ("output", "finish", "steps", "only"),
    [
        ("", None, [{"type": "tool_call", "name": "x"}], True),
        (None, None, [{"type": "tool_call", "name": "x"}], True),
        (" \n", "STOP", [{"type": "function", "function": {}}], True),
        ("", "tool_calls", [], True),
        ("", "tool_use", [{"thought": "hm"}], True),
        ("", None, [{"type": "image"}], True),
        ("Hi", "tool_calls", [{"type": "tool_call"}], False),
        ("", "length", [{"type": "tool_call"}], False),
        ("", "content_filter", [{"type": "tool_call"}], False),
        ("", "stop", [{"type": "tool_call"}, {"type": "tool_result"}], False),
        ("", None, [{"type": "tool_call"}, "thought"], False),
        ("", "stop", [], False),
        ("", None, [], False),
    ],
)
def test_a_step_that_calls_tools_is_told_from_an_empty_answer(
    output: str | None, finish: str | None, steps: list[Any], only: bool
) -> None:
    assert calls_tools_only(output, finish, steps) is only


def test_a_native_output_may_be_null_where_tools_are_called() -> None:
    assert read(output=None, steps=[{"type": "tool_call", "name": "x"}]).output == ""
    assert read(output=None, finish_reason="tool_calls").output == ""
    assert read(output=None, error="timeout", steps=[{"type": "tool_call"}]).output is None
    with pytest.raises(InvalidEvent):
        read(output=None, steps=["thought"])


def test_a_step_that_calls_tools_is_not_measured_as_an_empty_text() -> None:
    featurizer = build_featurizer()
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    events = [answered(message), read(output="", finish_reason="stop"), read(output="Hi", finish_reason="stop")]
    batch = featurizer.featurize(events, source="t")
    column = {name: batch.values[:, j].tolist() for j, name in enumerate(batch.names)}
    assert column["output.length.empty"] == [0.0, 1.0, 0.0]
    chars = column["output.length.chars"]
    assert (chars[0] != chars[0], chars[1:]) == (True, [0.0, 2.0])
    assert column["call.outcome.error"] == [0.0, 0.0, 0.0]
    assert batch.categories["call.outcome.finish_reason"] == ["tool_call", "stop", "stop"]
