"""What chat messages hold: the text of an answer, the tools it calls, and parts that cannot be read.

Read are the forms of OpenAI's chat completions and responses, Anthropic's content blocks, Gemini's parts and
OpenTelemetry's messages: a `content` that is null, a text, or a list of parts; tool calls as parts or beside the
content; refusals, which are texts. Reasoning is no text of the answer. A part of a type that is not known gives its
text where it has one, and is named in `unread` where it has none, so that nothing makes an output empty unnoticed.

Pure. May import nothing from this project but the schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

_MOST_LEVELS = 8  # of messages within messages; real ones have three
_REASONING = frozenset(("reasoning", "thinking", "redacted_thinking", "thought", "summary_text", "reasoning_text"))
_RESULTS = frozenset(
    ("tool_call_response", "tool_result", "tool-result", "function_call_output", "function_response", "tool_response")
)
_MEDIA = frozenset(
    (
        "image", "image_url", "input_image", "output_image", "image_generation_call", "blob", "file", "input_file",
        "uri", "audio", "input_audio", "output_audio", "video", "media", "document", "inline_data", "file_data",
    )
)  # fmt: skip
_CALL_KEYS = ("function_call", "functionCall", "toolUse", "tool_call")
_MEDIA_KEYS = ("inline_data", "inlineData", "file_data", "fileData", "image_url", "image")
_RESULT_KEYS = ("function_response", "functionResponse", "toolResult")
TOOL_FINISHES = frozenset(("tool_calls", "tool_call", "tool_use", "tool-calls", "function_call", "function_calls"))
"""Finish reasons of steps that call tools, in lower case."""
_FAILED_FINISHES = frozenset(("length", "max_tokens", "content_filter", "error", "safety"))
ROLES = frozenset(("assistant", "model", "user", "system", "developer", "tool", "function", "human", "ai", "bot"))


class Content(msgspec.Struct):
    """What some messages hold, in their order.

    Attributes
    ----------
    texts
        The texts of the answer.
    calls
        Tool calls, each as the message has it, with its `type` filled in.
    media
        Kinds of parts that hold an image, a sound or a file.
    unread
        Types of parts that are not known and hold no text.
    finish_reason
        The first one that a message gives.
    """

    texts: list[str] = []
    calls: list[Any] = []
    media: list[str] = []
    unread: list[str] = []
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """All texts, a line each."""
        return "\n".join(self.texts)

    @property
    def steps(self) -> list[Any]:
        """What the messages did beside saying something: tool calls, and media by their kind alone."""
        return [*self.calls, *({"type": kind} for kind in self.media)]


def read_messages(messages: Any) -> Content:
    """What a message, a list of messages or parts, or a whole response of a provider holds."""
    content = Content()
    _read(messages, content, 0)
    return content


def is_message(value: Any) -> bool:
    """Whether a JSON object is surely a chat message or a provider's response, rather than data of the application."""
    if type(value) is not dict:
        return False
    if value.get("role") in ROLES and value.keys() & {"content", "parts", "tool_calls", "function_call"}:
        return True
    if value.get("type") == "message" and isinstance(value.get("content"), list):
        return True
    choices = value.get("choices")
    if type(choices) is list and choices:
        return type(choices[0]) is dict and bool(choices[0].keys() & {"message", "text"})
    candidates = value.get("candidates")
    if type(candidates) is list and candidates:
        return type(candidates[0]) is dict and "content" in candidates[0]
    return value.get("object") == "response" and isinstance(value.get("output"), list)


def are_messages(value: Any) -> bool:
    """Whether a JSON value is surely chat messages: one, a list of them, or a list of parts of known types."""
    if type(value) is list:
        return bool(value) and (all(map(is_message, value)) or all(map(_is_part, value)))
    return is_message(value)


def calls_tools_only(output: str | None, finish_reason: str | None, steps: Iterable[Any]) -> bool:
    """Whether an output without text is a step by itself: the model called tools, or gave an image, in place of text.

    That is so where the finish reason says it, or where the last step is such a call. An agent's answer that is empty
    after its tools have answered ends with another step, and is empty.
    """
    if output is not None and output.strip():
        return False
    reason = (finish_reason or "").lower()
    if reason in TOOL_FINISHES:
        return True
    last = None
    for last in steps:  # noqa: B007
        pass
    return reason not in _FAILED_FINISHES and (_is_call(last) or _is_media(last))


def _is_part(value: Any) -> bool:
    if type(value) is not dict:
        return False
    kind = value.get("type")
    return kind in ("text", "output_text", "input_text", "refusal") or _is_call(value)


def _is_call(part: Any) -> bool:
    if type(part) is not dict:
        return False
    kind = part.get("type")
    if type(kind) is str:
        kind = kind.replace("-", "_")
        if kind in _MEDIA or kind in _RESULTS:
            return False
        # Of functions (chat completions), and by name: tool_call, tool_use, function_call, web_search_call, ...
        return kind in ("function", "tool_use", "server_tool_use", "mcp_tool_use", "toolUse") or kind.endswith("_call")
    return any(key in part for key in _CALL_KEYS)


def _is_media(part: Any) -> bool:
    if type(part) is not dict:
        return False
    kind = part.get("type")
    return kind.replace("-", "_") in _MEDIA if type(kind) is str else any(key in part for key in _MEDIA_KEYS)


def _read(value: Any, into: Content, level: int) -> None:
    if value is None:
        return
    if type(value) is str:
        into.texts.append(value)
    elif type(value) is list:
        for item in value:
            _read(item, into, level)
    elif type(value) is dict:
        if level < _MOST_LEVELS:
            _read_object(value, into, level + 1)
    else:
        into.unread.append(type(value).__name__)


def _read_object(value: dict[str, Any], into: Content, level: int) -> None:
    for name in ("finish_reason", "finishReason", "stop_reason"):
        if into.finish_reason is None and type(value.get(name)) is str:
            into.finish_reason = value[name]
    for name in ("choices", "candidates"):
        if type(value.get(name)) is list:
            _read(value[name], into, level)
            return
    if value.get("object") == "response" and type(value.get("output")) is list:
        _read(value["output"], into, level)
        return
    if type(value.get("message")) is dict and value.get("type") is None:
        _read(value["message"], into, level)
        return
    kind = value.get("type")
    if type(kind) is not str or kind in ("message", "assistant", "user", "ai", "human", "system"):
        _read_message(value, into, level)
    else:
        _read_part(value, kind.replace("-", "_"), into, level)


def _read_message(value: dict[str, Any], into: Content, level: int) -> None:
    if value.get("role") in ("tool", "function") or any(key in value for key in _RESULT_KEYS):
        return  # what a tool answered is no text of the model
    if value.get("thought") is True:
        return
    before = len(into.texts), len(into.calls), len(into.media), len(into.unread)
    known = False
    for name in ("parts", "content", "text", "refusal"):
        if name in value:
            known = True
            _read(value[name], into, level)
            if name in ("parts", "content") and value[name]:
                break
    if type(value.get("refusal")) is str and value.get("content") and not value.get("parts"):
        into.texts.append(value["refusal"])
    for name in ("tool_calls", "toolCalls"):
        if name in value:
            known = True
            calls = value[name] if type(value[name]) is list else [value[name]]
            into.calls += [_call(call) for call in calls if call is not None]
    for name in _CALL_KEYS:
        if type(value.get(name)) is dict:
            known = True
            into.calls.append({"type": "tool_call", **value[name]})
    if type(value.get("audio")) is dict and type(value["audio"].get("transcript")) is str:
        into.texts.append(value["audio"]["transcript"])
        known = True
    elif any(key in value for key in _MEDIA_KEYS):
        into.media.append("media")
        known = True
    after = len(into.texts), len(into.calls), len(into.media), len(into.unread)
    if not known and after == before and not value.keys() <= {"role", "finish_reason", "index", "name", "id"}:
        into.unread.append("an object with " + ", ".join(map(str, list(value)[:4])))


def _read_part(part: dict[str, Any], kind: str, into: Content, level: int) -> None:
    if kind in _REASONING or kind in _RESULTS or kind.endswith(("_call_output", "_tool_result")):
        return
    if _is_call(part) and kind not in _MEDIA:
        into.calls.append(_call(part))
        return
    for name in ("content", "text", "transcript", kind):
        text = part.get(name)
        if type(text) is str and not (kind in _MEDIA and name != "transcript"):
            into.texts.append(text)
            return
        if type(text) is dict and type(text.get("value")) is str:  # OpenAI's assistants: {"text": {"value": ...}}
            into.texts.append(text["value"])
            return
    if kind in _MEDIA:
        into.media.append(kind)
        return
    if type(part.get("content")) is list:
        _read(part["content"], into, level)
        return
    if kind not in ("text", "output_text", "input_text", "refusal"):
        into.unread.append(kind)


def _call(call: Any) -> Any:
    if type(call) is not dict:
        return {"type": "tool_call", "name": str(call)}
    return call if type(call.get("type")) is str else {"type": "tool_call", **call}
