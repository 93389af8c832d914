"""The text, the tool calls and the question in chat messages and in providers' responses.

Takes mappings and objects of OpenAI's, Anthropic's and LangChain's clients; imports none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_TEXT_PARTS = frozenset(("text", "output_text", "input_text", "refusal"))


def said_by(content: Any) -> str | None:
    """The text of a chat message, of message parts, or of a provider's response; None where it is none of these.

    Takes mappings and objects: `{"role": ..., "content": ...}`, `[{"type": "text", "text": ...}]`, and the responses
    of OpenAI's, Anthropic's and LangChain's clients. A message that only calls tools says "".
    """
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        return _joined(content)
    text = _get(content, "output_text")  # the responses API
    if isinstance(text, str):
        return text
    message = _message_of(content)
    if message is None:
        return None
    said = _get(message, "content")
    return said if isinstance(said, str) else (_joined(said) or "" if isinstance(said, (list, tuple)) else "")


def tools_called_by(content: Any) -> list[dict[str, Any]]:
    """The tool calls of a chat message or a provider's response, as `steps` of an event; empty where it has none."""
    message = _message_of(content)
    asked = [*_items(_get(message, "tool_calls")), *_items(_get(message, "content")), *_items(_get(content, "output"))]
    steps: list[dict[str, Any]] = []
    for call in asked:
        function = _get(call, "function")
        name = _get(call if function is None else function, "name")
        if not isinstance(name, str) or not (
            function is not None or _get(call, "type") in ("tool_use", "tool_call", "function_call")
        ):
            continue
        step: dict[str, Any] = {"type": "tool_call", "name": name}
        for key in ("arguments", "input", "args"):
            arguments = _get(call if function is None else function, key)
            if isinstance(arguments, (str, Mapping)):
                step["arguments"] = arguments
                break
        steps.append(step)
    return steps


def _message_of(content: Any) -> Any:
    """The chat message in a response, or that this is; None for anything else."""
    choices = _get(content, "choices")  # chat completions
    if isinstance(choices, (list, tuple)):
        return _get(choices[0], "message") if choices else None
    said = _get(content, "content")
    role = _get(content, "role")
    if isinstance(role, str) and (said is None or isinstance(said, (str, list, tuple))):
        return content  # Anthropic's response is one too
    return content if _is_langchain(content) else None


def _joined(parts: Iterable[Any]) -> str | None:
    """The texts of message parts, one after another; None where there is no part with a text."""
    texts = [part if isinstance(part, str) else _part_text(part) for part in parts]
    if not any(text is not None and not isinstance(part, str) for part, text in zip(parts, texts, strict=True)):
        return None  # a list of texts is no list of parts
    return "\n".join(text for text in texts if text is not None)


def _items(content: Any) -> Iterable[Any]:
    return content if isinstance(content, (list, tuple)) else ()


def last_question(messages: Any) -> str | None:
    """Of a list of chat messages, the last one of role user that has a text; None where this is no such list."""
    if not isinstance(messages, (list, tuple)):
        return None
    for message in reversed(messages):
        if _get(message, "role") == "user" or _get(message, "type") == "human":
            text = said_by(_get(message, "content"))
            if text:
                return text
    return None


def streamed_text(piece: Any) -> str | None:
    """The text that one piece of a provider's stream adds; None where it adds none."""
    choices = _get(piece, "choices")  # chat completions
    if isinstance(choices, (list, tuple)):
        return _string(_get(_get(choices[0], "delta"), "content")) if choices else None
    delta = _get(piece, "delta")
    if isinstance(delta, str):  # the responses API sends deltas of other things than text, too
        return delta if _get(piece, "type") == "response.output_text.delta" else None
    if delta is not None:  # Anthropic
        return _string(_get(delta, "text"))
    return _string(_get(piece, "content")) if _is_langchain(piece) else None


def _is_langchain(content: Any) -> bool:
    return _get(content, "type") in ("ai", "human", "AIMessageChunk") and isinstance(
        _get(content, "content"), (str, list, tuple)
    )


def _part_text(part: Any) -> str | None:
    kind = _get(part, "type")
    if kind is not None and kind not in _TEXT_PARTS:
        return None  # an image, a tool call, reasoning: no text of the answer
    for name in ("text", "content", "refusal"):
        text = _get(part, name)
        if isinstance(text, str):
            return text
    return None


def _get(content: Any, name: str) -> Any:
    return content.get(name) if isinstance(content, Mapping) else getattr(content, name, None)


def _string(content: Any) -> str | None:
    return content if isinstance(content, str) else None
