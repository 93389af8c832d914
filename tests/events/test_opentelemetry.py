from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.errors import InvalidEvent
from monitor.events import Model, OutputEvent, Reason, Session, Trace, Usage, decode_event

QUESTION = [
    {"role": "user", "parts": [{"type": "text", "content": "Hello?"}]},
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "weather", "arguments": {}}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "result": "rainy"}]},
    {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]},
]
ANSWER = [
    {
        "role": "assistant",
        "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Rainy, 14 °C."}],
        "finish_reason": "stop",
    }
]
SPAN = {
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4",
    "gen_ai.response.model": "gpt-4-0613",
    "gen_ai.response.id": "chatcmpl-123",
    "gen_ai.conversation.id": "conv-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 180,
    "gen_ai.response.finish_reasons": ["length"],
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.stop_sequences": ["\n"],
    "gen_ai.input.messages": QUESTION,
    "gen_ai.output.messages": ANSWER,
}


def read(fields: Any) -> OutputEvent:
    return decode_event(json.dumps(fields).encode(), default_id="d", timestamp=None).event


def check_span(event: OutputEvent) -> None:
    assert event.stream == "bot/answer"
    assert event.id == "chatcmpl-123"
    assert event.input == "Weather in Paris?"
    assert event.output == "Rainy, 14 °C."
    assert event.model == Model(provider="openai", name="gpt-4", version="gpt-4-0613")
    assert event.usage == Usage(input_tokens=100, output_tokens=180)
    assert event.finish_reason == "stop"  # the choice's own word, nearer than the list over all choices
    assert event.session == Session(id="conv-1")
    assert event.trace == Trace(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7")
    assert event.attributes["gen_ai.request.temperature"] == 0.2
    assert event.attributes["gen_ai.operation.name"] == "chat"
    assert event.extra == {"gen_ai.request.stop_sequences": ["\n"]}


def test_flat_attributes_at_the_top() -> None:
    check_span(read({"stream": "bot/answer", **SPAN}))


def test_the_same_in_attributes_as_spans_are_exported() -> None:
    check_span(read({"stream": "bot/answer", "attributes": SPAN}))


def test_messages_as_json_text_as_on_spans() -> None:
    texts = {name: json.dumps(SPAN[name]) for name in ("gen_ai.input.messages", "gen_ai.output.messages")}
    check_span(read({"stream": "bot/answer", **SPAN, **texts}))


def test_native_fields_win() -> None:
    event = read({**SPAN, "stream": "a", "output": "native", "id": "own", "model": {"name": "m"}})
    assert (event.output, event.id, event.model.name, event.model.version) == ("native", "own", "m", "gpt-4-0613")


def test_an_answering_model_alone_is_the_name() -> None:
    event = read({"stream": "a", "output": "b", "gen_ai.response.model": "gpt-4-0613"})
    assert event.model == Model(name="gpt-4-0613")


def test_deprecated_names() -> None:
    event = read(
        {
            "stream": "a",
            "gen_ai.system": "openai",
            "gen_ai.prompt": "Why?",
            "gen_ai.completion": json.dumps([{"role": "assistant", "content": "Because."}]),
            "gen_ai.usage.prompt_tokens": 3,
            "gen_ai.usage.completion_tokens": 4,
        }
    )
    assert (event.model.provider, event.input, event.output) == ("openai", "Why?", "Because.")
    assert event.usage == Usage(input_tokens=3, output_tokens=4)


def test_tools_asked_for_are_steps() -> None:
    call = {"type": "tool_call", "id": "1", "name": "weather", "arguments": {"place": "Paris"}}
    messages = [{"role": "assistant", "parts": [call], "finish_reason": "tool_call"}]
    event = read({"stream": "a", "gen_ai.output.messages": messages})
    assert (event.output, event.steps, event.finish_reason) == ("", [call], "tool_call")


def test_system_instructions_are_the_prompt() -> None:
    event = read(
        {"stream": "a", "output": "b", "gen_ai.system_instructions": [{"type": "text", "content": "Be kind."}]}
    )
    assert event.prompt.text == "Be kind."


def test_the_service_names_the_stream_where_nothing_else_does() -> None:
    event = read({"output": "b", "gen_ai.operation.name": "chat", "attributes": {"service.name": "support-bot"}})
    assert event.stream == "support-bot/chat"
    assert read({"output": "b", "gen_ai.agent.name": "planner", "service.name": "bot"}).stream == "bot/planner"


def test_an_error_stands_for_the_missing_output() -> None:
    event = read({"stream": "a", "gen_ai.request.model": "m", "error.type": "timeout"})
    assert (event.output, event.error) == (None, "timeout")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (5, Reason.BAD_GEN_AI),
        ([5], Reason.BAD_GEN_AI),
        ("[broken", Reason.BAD_GEN_AI),
        ([], Reason.MISSING_OUTPUT),
    ],
)
def test_messages_of_another_form(content: Any, reason: Reason) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read({"stream": "a", "gen_ai.output.messages": content})
    assert caught.value.reason == reason
