"""The fields of a record, whatever library made its class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec


def as_record(content: Any) -> dict[str, Any] | None:
    """The fields of a record: pydantic (and the clients built on it), dataclass, attrs, msgspec, named tuple."""
    if isinstance(content, type):
        return None
    if isinstance(content, msgspec.Struct):
        return {name: getattr(content, name) for name in content.__struct_fields__}
    if dataclasses.is_dataclass(content):
        return {field.name: getattr(content, field.name, None) for field in dataclasses.fields(content)}
    if hasattr(type(content), "__attrs_attrs__"):
        return {field.name: getattr(content, field.name, None) for field in type(content).__attrs_attrs__}
    for method in ("model_dump", "_asdict", "to_dict"):
        dump = getattr(content, method, None)
        if callable(dump):
            record = dump()
            if isinstance(record, Mapping):
                return dict(record)
    if hasattr(type(content), "__fields__") and callable(getattr(content, "dict", None)):  # pydantic before 2
        return dict(content.dict())
    return None
