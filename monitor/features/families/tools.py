"""Which tools an event calls, with what, which dependencies and operations, and what kind of action it takes.

Tools stand among an event's `steps` and in its `action`, in the forms of the large providers; each has a name and
arguments (an object, or its JSON). Their arguments are described by keys and types alone, so that no value travels.
What is called is a category of all distinct names, in alphabetical order.

May import its neighbours in this package and `monitor.events` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from monitor.events.schema import OutputEvent
from monitor.features.base import Column, FeatureSpec, Kind, Role
from monitor.features.families.dependencies import LONGEST_NAME, clean
from monitor.features.families.json_fields import type_of
from monitor.features.keyed import NO_KEYED, Keyed, with_key
from monitor.features.text.words import EventBatch

ARGUMENTS = FeatureSpec(
    "call.tools.arguments", Kind.CATEGORY, "names and types of the arguments that tool {key} is called with",
    role=Role.TOOLS,
)  # fmt: skip
MAX_NAMES = 4  # of one event in a category: combinations of more are different each time
MAX_STEPS = 64  # of one event that are read
_MAX_ARGUMENTS = 8  # in a description of arguments
_LONGEST_ARGUMENTS = 20_000  # characters of JSON that are parsed
_INNER = ("function", "function_call", "functionCall", "toolUse", "tool_call", "tool_use")
_NAMES = ("name", "tool", "tool_name", "function_name")
_ARGUMENT_KEYS = ("arguments", "args", "input", "parameters", "tool_input")
_KINDS = ("kind", "type", "name")


class Tool:
    """One tool call: its name, and the shape of its arguments (None where it gives none)."""

    __slots__ = ("arguments", "name")

    def __init__(self, name: str, arguments: str | None) -> None:
        self.name = name
        self.arguments = arguments


def tools_of(event: OutputEvent) -> list[Tool]:
    """The tools that an event calls, in order. Steps without a name, and media, are none."""
    found = [tool for step in event.steps[:MAX_STEPS] if (tool := _tool(step)) is not None]
    action = None if event.action is None else _tool(event.action)
    return found if action is None else [*found, action]


def _tool(step: Any) -> Tool | None:
    if not isinstance(step, dict):
        return None
    inner = next((step[key] for key in _INNER if isinstance(step.get(key), dict)), step)
    name = next((inner[key] for key in _NAMES if isinstance(inner.get(key), str) and inner[key]), None)
    if name is None:
        return None
    given = next((inner[key] for key in _ARGUMENT_KEYS if key in inner), None)
    return Tool(clean(name[:LONGEST_NAME]), _shape(given))


def _shape(given: Any) -> str | None:
    """`(limit:num, order_id:str)`, from an object or its JSON; None where none are given, `(text)` for a text."""
    if given is None:
        return None
    if isinstance(given, str):
        if len(given) > _LONGEST_ARGUMENTS:
            return "(text)"
        try:
            given = msgspec.json.decode(given)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return "(text)"
    if not isinstance(given, dict):
        return f"({type_of(given)})"
    keys = sorted(map(str, given))
    shown = ", ".join(f"{clean(key[:24])}:{type_of(given.get(key))}" for key in keys[:_MAX_ARGUMENTS])
    return f"({shown}{', ...' if len(keys) > _MAX_ARGUMENTS else ''})"


@lru_cache(maxsize=4096)
def _names(*found: str) -> str | None:
    """Distinct names in alphabetical order; None where there is none."""
    names = sorted({clean(name[:LONGEST_NAME]) for name in found})
    shown = ", ".join(names[:MAX_NAMES])
    return f"{shown}, ..." if len(names) > MAX_NAMES else shown or None


def _action_kind(event: OutputEvent) -> str | None:
    action = event.action or {}
    given = next((action[key] for key in _KINDS if isinstance(action.get(key), str) and action[key]), None)
    return None if given is None else clean(given[:LONGEST_NAME])


def _operations(event: OutputEvent) -> list[str]:
    return [f"{call.dependency}.{call.operation}" for call in event.calls[:MAX_STEPS] if call.operation]


class Tools:
    """Family `tools`."""

    family = "tools"
    word_columns: Mapping[str, Callable[[str], float]] = {}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec("call.tools.called", Kind.CATEGORY, "tools that are called, or `none`", role=Role.TOOLS),
        FeatureSpec("call.tools.calls", Kind.COUNT, "calls of tools", "calls", role=Role.TOOLS),
        FeatureSpec("call.action.kind", Kind.CATEGORY, "kind of action that is taken, or `none`", role=Role.TOOLS),
        FeatureSpec(
            "call.dependency.called", Kind.CATEGORY, "external dependencies that are called, or `none`",
            role=Role.DEPENDENCY,
        ),
        FeatureSpec(
            "call.dependency.operation", Kind.CATEGORY, "operations of dependencies that are called, or `none`",
            role=Role.DEPENDENCY,
        ),
    )  # fmt: skip
    templates: tuple[FeatureSpec, ...] = (ARGUMENTS,)

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; a category is missing where an event calls none, and shown as `none`."""
        tools = [_tools_of(event) for event in batch.events]
        counts = [
            float(len(own)) if event.steps or event.action else np.nan
            for own, event in zip(tools, batch.events, strict=True)
        ]
        return {
            "call.tools.called": [_names(*[tool.name for tool in own]) if own else None for own in tools],
            "call.tools.calls": np.array(counts, dtype=np.float32),
            "call.action.kind": [_action_kind(event) if event.action else None for event in batch.events],
            "call.dependency.called": [
                _names(*[call.dependency for call in event.calls[:MAX_STEPS]]) if event.calls else None
                for event in batch.events
            ],
            "call.dependency.operation": [
                _names(*_operations(event)) if event.calls else None for event in batch.events
            ],
        }

    def keyed(self, batch: EventBatch) -> Sequence[Keyed]:
        """The shape of the arguments of each tool that an event calls; of several calls the first."""
        return [_arguments(_tools_of(event)) for event in batch.events]


def _tools_of(event: OutputEvent) -> Sequence[Tool]:
    return tools_of(event) if event.steps or event.action else ()


def _arguments(tools: Sequence[Tool]) -> Keyed:
    said: dict[str, float | str] = {}
    for tool in tools:
        if tool.arguments is not None:
            said.setdefault(with_key(ARGUMENTS.name, tool.name), tool.arguments)
    return said or NO_KEYED
