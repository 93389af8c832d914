"""The mapping that a user gives: {field of the event: column of the file}."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from monitor.errors import ConfigError
from monitor.events.files.cells import (
    begins,
)
from monitor.events.files.field_names import STRUCTURED, TOP

_ITEM = re.compile(r'(?:"[^"]*"|[^,"])+')


def parse_mapping(text: str) -> dict[str, str]:
    """`output=completion,stream=service` as {field of the event: column of the file}.

    Raises `ConfigError` for what is no such list, or names no field of an event.
    """
    mapping: dict[str, str] = {}
    for item in filter(None, (item.strip() for item in _ITEM.findall(text))):
        target, sign, column = (part.strip() for part in item.partition("="))
        if not sign or not target or not column:
            raise ConfigError(f"mapping {item!r}: write field=column, such as output=completion")
        mapping[target] = column
    check_mapping(mapping)
    return mapping


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Raises `ConfigError` for a field that an event does not have."""
    for target in mapping:
        top, _, rest = target.partition(".")
        if top not in TOP or (rest and top not in STRUCTURED):
            raise ConfigError(
                f"mapping {target}={mapping[target]}: an event has no field {target!r}; its fields are "
                f"{', '.join(sorted(TOP))}, and parts are written model.name, attributes.tenant"
            )


def check_columns(path: Path, columns: list[str], mapping: Mapping[str, str]) -> None:
    """Raises `ConfigError` for a column that the file does not have."""
    missing = [column for column in mapping.values() if not begins(columns, column)]
    if missing:
        raise ConfigError(f"{path}: has no column {missing[0]!r}; its columns are {', '.join(columns) or 'none'}")
