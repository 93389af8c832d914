"""OpenTelemetry's names for what an output event says: `gen_ai.*` attributes, at the top level or in `attributes`.

A native field that is given too wins over its alias. The model's `name` is the one asked for and its `version` the one
that answered, so that a provider's silent move from one build to the next is seen as a change of version. Deprecated
names (`gen_ai.system`, `gen_ai.prompt`, `gen_ai.completion`, `gen_ai.usage.prompt_tokens`) are read as well, and the
numbered ones of OpenLLMetry (`gen_ai.prompt.0.content`, `gen_ai.completion.0.content`). Scalars
without a field in our event (`gen_ai.request.temperature`, `gen_ai.agent.name`, ...) become attributes, by which a
finding may name the segment that changed; the rest is kept in `extra`.

Source: OpenTelemetry semantic conventions for generative AI, attribute registry and message schemas (2026, status
development). May import `monitor.errors` and this package.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from monitor.errors import InvalidEvent
from monitor.events.content import Content, are_messages, read_messages
from monitor.events.reasons import Reason

PREFIX = "gen_ai."

# Alias -> where it belongs. Of several aliases for one place the first present wins: the current name before
# deprecated ones.
_PLACES: dict[str, tuple[str, ...]] = {
    "gen_ai.response.id": ("id",),
    "gen_ai.conversation.id": ("session", "id"),
    "gen_ai.provider.name": ("model", "provider"),
    "gen_ai.system": ("model", "provider"),
    "gen_ai.request.model": ("model", "name"),
    "openai.response.system_fingerprint": ("model", "fingerprint"),
    "gen_ai.openai.response.system_fingerprint": ("model", "fingerprint"),
    "gen_ai.prompt.name": ("prompt", "name"),
    "gen_ai.prompt.version": ("prompt", "version"),
    "gen_ai.usage.input_tokens": ("usage", "input_tokens"),
    "gen_ai.usage.prompt_tokens": ("usage", "input_tokens"),
    "gen_ai.usage.output_tokens": ("usage", "output_tokens"),
    "gen_ai.usage.completion_tokens": ("usage", "output_tokens"),
    "gen_ai.client.operation.duration": ("latency", "total_s"),
    "gen_ai.response.time_to_first_chunk": ("latency", "first_token_s"),
    "gen_ai.server.time_to_first_token": ("latency", "first_token_s"),
    "error.type": ("error",),
    "trace_id": ("trace", "trace_id"),
    "span_id": ("trace", "span_id"),
    "parent_span_id": ("trace", "parent_id"),
}
_RESPONSE_MODEL = "gen_ai.response.model"
_FINISH_REASONS = "gen_ai.response.finish_reasons"
_SYSTEM = "gen_ai.system_instructions"
_INPUTS = ("gen_ai.input.messages", "gen_ai.prompt")
_OUTPUTS = ("gen_ai.output.messages", "gen_ai.completion")
_MESSAGES = (_INPUTS[0], _OUTPUTS[0], _SYSTEM)
"""Names whose text, where they carry one, is JSON."""


def present(fields: dict[str, Any]) -> bool:
    """Whether any name is OpenTelemetry's, at the top level or in `attributes`."""
    for name in fields:
        if name.startswith(PREFIX):
            return True
    attributes = fields.get("attributes")
    return type(attributes) is dict and any(type(name) is str and name.startswith(PREFIX) for name in attributes)


def translate(fields: dict[str, Any]) -> dict[str, Any]:
    """The same object under native names. `fields` is used up. Raises `InvalidEvent` for content of another form."""
    nested = fields.get("attributes")
    attributes: dict[str, Any] = dict(nested) if type(nested) is dict else {}
    # Both levels as one, the upper one first; native top-level fields stay where they are.
    found = {name: attributes.pop(name) for name in list(attributes) if is_name(name)}
    found.update({name: fields.pop(name) for name in list(fields) if is_name(name)})
    found = {name: content for name, content in found.items() if content is not None}

    for alias, place in _PLACES.items():
        if alias in found:
            _put(fields, place, found.pop(alias))
    answered = found.pop(_RESPONSE_MODEL, None)
    if answered is not None:
        named = isinstance(fields.get("model"), dict) and fields["model"].get("name") is not None
        _put(fields, ("model", "version") if named else ("model", "name"), answered)
    _gather_indexed(found)
    if _SYSTEM in found:
        _put(fields, ("prompt", "text"), _joined(found.pop(_SYSTEM), _SYSTEM))
    for alias in _INPUTS:
        if alias in found:
            asked = _input(found.pop(alias), alias)
            if asked is not None:
                _put(fields, ("input",), asked)
    for alias in _OUTPUTS:
        if alias in found:
            _output(fields, found.pop(alias), alias)
    reasons = found.pop(_FINISH_REASONS, None)
    if isinstance(reasons, str) and reasons.startswith("["):
        reasons = _structured(reasons, _OUTPUTS[0])
    if isinstance(reasons, list):
        reasons = reasons[0] if reasons else None
    if reasons is not None:
        _put(fields, ("finish_reason",), reasons)
    if fields.get("stream") is None and isinstance(attributes.get("service.name", fields.get("service.name")), str):
        service = attributes.get("service.name", fields.get("service.name"))
        use_case = found.get("gen_ai.agent.name", found.get("gen_ai.operation.name"))
        fields["stream"] = f"{service}/{use_case}" if isinstance(use_case, str) else service

    for name, content in found.items():
        if isinstance(content, (str, int, float)):
            attributes[name] = content
        else:
            fields[name] = content  # unknown to the reader, which keeps it in `extra`
    if attributes:
        fields["attributes"] = attributes
    return fields


def is_name(name: Any) -> bool:
    """Whether this is a name that `translate` reads."""
    return type(name) is str and (name.startswith(PREFIX) or name in _PLACES)


def _put(fields: dict[str, Any], place: tuple[str, ...], content: Any) -> None:
    """Set a field unless it is there already."""
    target = fields
    for name in place[:-1]:
        part = target.get(name)
        if part is None:
            part = target[name] = {}
        if type(part) is not dict:
            return  # a wrong type, which the reader reports under the field's own name
        target = part
    if target.get(place[-1]) is None:
        target[place[-1]] = content


def _structured(content: Any, alias: str) -> Any:
    """Messages as a list; on spans they may come as a JSON text, and the deprecated names carry plain text."""
    if isinstance(content, str) and content.lstrip()[:1] in ("[", "{"):
        try:
            structured = msgspec.json.decode(content)
        except (ValueError, RecursionError):
            if alias in (_INPUTS[0], _OUTPUTS[0]):
                raise InvalidEvent(Reason.BAD_GEN_AI, f"{alias}: a text that is not JSON; send an array") from None
            return content
        # An answer in JSON is an answer: only the names that carry messages, or what is surely messages, is opened.
        return structured if alias in _MESSAGES or are_messages(structured) else content
    return content


def _read(content: Any, alias: str) -> Content | str:
    content = _structured(content, alias)
    if isinstance(content, str):
        return content
    if not isinstance(content, (dict, list)):
        raise InvalidEvent(Reason.BAD_GEN_AI, f"{alias}: must be an array of messages with role and parts")
    if isinstance(content, list) and not all(isinstance(item, (dict, str)) for item in content):
        raise InvalidEvent(Reason.BAD_GEN_AI, f"{alias}: a message must be an object with role and parts")
    return read_messages(content)


def _joined(content: Any, alias: str) -> str:
    """The text of system instructions."""
    found = _read(content, alias)
    return found if isinstance(found, str) else found.text


def _input(content: Any, alias: str) -> str | None:
    """What was asked: the last message of role user, or all of them where none says so; None without any text."""
    content = _structured(content, alias)
    if isinstance(content, list):
        asked = [message for message in content if isinstance(message, dict) and message.get("role") == "user"]
        content = asked[-1] if asked else content
    found = _read(content, alias)
    if isinstance(found, str):
        return found
    return found.text if found.texts else None


def _output(fields: dict[str, Any], content: Any, alias: str) -> None:
    """The text of all messages, the finish reason, and the tools that they call as steps."""
    found = _read(content, alias)
    if isinstance(found, str):
        _put(fields, ("output",), found)
        return
    if found.unread and not found.texts and not found.steps:
        raise InvalidEvent(
            Reason.BAD_GEN_AI,
            f"{alias}: no text in a part of type {found.unread[0]!r}, which is not known; "
            'send its text as {"type": "text", "content": ...}',
        )
    if content:
        _put(fields, ("output",), found.text)
    if found.finish_reason is not None:
        _put(fields, ("finish_reason",), found.finish_reason)
    if found.steps:
        _put(fields, ("steps",), found.steps)


_INDEXED = re.compile(r"gen_ai\.(?P<side>prompt|completion)\.(?P<number>\d{1,6})\.(?P<name>.+)")
_INDEXED_CALL = re.compile(r"(?P<list>tool_calls|content|parts)\.(?P<number>\d{1,6})\.(?P<name>.+)")


def _gather_indexed(found: dict[str, Any]) -> None:
    """Put `gen_ai.prompt.0.content`, `gen_ai.completion.0.tool_calls.0.name`, ... together as lists of messages.

    OpenLLMetry writes messages so. Given messages under another name, they are left alone and become attributes.
    """
    sides: dict[str, dict[int, dict[str, Any]]] = {}
    for name in list(found):
        part = _INDEXED.fullmatch(name)
        if part is not None:
            message = sides.setdefault(part["side"], {}).setdefault(int(part["number"]), {})
            message[part["name"]] = found.pop(name)
    for side, numbered in sides.items():
        messages = [_message(numbered[number]) for number in sorted(numbered)]
        if f"gen_ai.{side}" not in found:
            found[f"gen_ai.{side}"] = messages


def _message(flat: dict[str, Any]) -> dict[str, Any]:
    """One message of flat names; a content that is a JSON text of parts is opened."""
    message: dict[str, Any] = {}
    lists: dict[str, dict[int, dict[str, Any]]] = {}
    for name, content in flat.items():
        part = _INDEXED_CALL.fullmatch(name)
        if part is None:
            message[name] = content
        else:
            lists.setdefault(part["list"], {}).setdefault(int(part["number"]), {})[part["name"]] = content
    for name, numbered in lists.items():
        message[name] = [numbered[number] for number in sorted(numbered)]
    content = message.get("content")
    if isinstance(content, str) and content.lstrip()[:1] in ("[", "{"):
        message["content"] = _structured(content, "")
    return message
