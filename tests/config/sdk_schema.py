"""Holds JSON against the types of Grafana's foundation SDK, which are generated from Grafana's own schemas.

The SDK's `from_json` takes anything: it neither refuses a field that it does not know nor a value of the wrong type.
This walks the declared types instead.
"""

from __future__ import annotations

import enum
import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any


def faults(value: Any, hint: Any, where: str = "$") -> Iterator[str]:
    """What is wrong with an object that the SDK has read, one line each."""
    origin = typing.get_origin(hint)
    if hint is Any or hint is object:
        return
    if isinstance(value, dict) and hasattr(hint, "from_json"):
        value = hint.from_json(value)  # what the SDK left as it was
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in typing.get_args(hint):
            return
        found = [list(faults(value, option, where)) for option in typing.get_args(hint) if option is not type(None)]
        if all(found):
            yield from min(found, key=len)
    elif origin is typing.Literal:
        if value not in typing.get_args(hint):
            yield f"{where}: {value!r} is none of {typing.get_args(hint)}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
            return
        (inner,) = typing.get_args(hint)
        for place, one in enumerate(value):
            yield from faults(one, inner, f"{where}[{place}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no mapping"
    elif hint is float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield f"{where}: {value!r} is no number"
    elif inspect.isclass(hint) and issubclass(hint, enum.Enum):
        if value not in {member.value for member in hint}:
            yield f"{where}: {value!r} is no {hint.__name__}"
    elif not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        yield f"{where}: {value!r} is no {getattr(hint, '__name__', hint)}"
    elif hasattr(value, "to_json"):
        for name, inner in _hints(type(value)).items():
            yield from faults(getattr(value, name), inner, f"{where}.{name}")


def _hints(cls: type) -> dict[str, Any]:
    return {name: hint for name, hint in typing.get_type_hints(cls).items() if not name.startswith("_")}


def unknown(given: Any, understood: Any, where: str = "$") -> Iterator[str]:
    """Fields of the JSON that the SDK's type did not take over."""
    if isinstance(given, dict) and isinstance(understood, dict):
        for name, value in given.items():
            if name not in understood:
                yield f"{where}.{name}: Grafana knows no such field"
            else:
                yield from unknown(value, understood[name], f"{where}.{name}")
    elif isinstance(given, list) and isinstance(understood, list):
        for place, (one, other) in enumerate(zip(given, understood, strict=True)):
            yield from unknown(one, other, f"{where}[{place}]")
    elif given != understood:
        yield f"{where}: {given!r} was read as {understood!r}"
