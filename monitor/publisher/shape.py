"""`response_shape`: a hash of a response's structure, so that a third party that changes its format is seen.

May import nothing from this project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_DEPTH = 8  # levels: bounds the work for objects that refer to each other
_ITEMS = 50  # of a list: its items are nearly always alike
_KEYS = 200  # of an object: those with more have data for keys, and the call must not wait for them


def response_shape(response: Any) -> str:
    """Eight hexadecimal digits of the structure: keys and types, not values.

    A list counts by the kinds of its items, not by their number, and `null` beside another kind makes that kind
    optional, so that longer results and left-out values have the shape they always had. Objects with
    `model_dump` (pydantic, and the clients built on it) or `__dict__` count by their fields.
    """
    return hashlib.blake2b(_shape(response, 0).encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def _shape(content: Any, depth: int) -> str:
    if content is None:
        return "null"
    if isinstance(content, bool):
        return "bool"
    if isinstance(content, (int, float)):
        return "number"
    if isinstance(content, str):
        return "string"
    if isinstance(content, (bytes, bytearray, memoryview)):
        return "bytes"
    if depth >= _DEPTH:
        return "..."
    if isinstance(content, Mapping):
        fields = sorted((str(key), _shape(item, depth + 1)) for key, item in list(content.items())[:_KEYS])
        return "{" + ",".join(f"{key}:{shape}" for key, shape in fields) + "}"
    if isinstance(content, (list, tuple, set, frozenset)):
        kinds = {_shape(item, depth + 1) for item in list(content)[:_ITEMS]}
        return "[" + "|".join(sorted(kinds - {"null"})) + "]"
    dump = getattr(content, "model_dump", None)
    if callable(dump):
        return _shape(dump(), depth)
    fields_of = getattr(content, "__dict__", None)
    if isinstance(fields_of, dict) and fields_of:
        public = {key: item for key, item in fields_of.items() if not key.startswith("_")}
        return type(content).__name__ + _shape(public, depth)
    return type(content).__name__
