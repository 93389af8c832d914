"""Keys and values of JSON outputs, each by its name: a program that reads them fails by one key, not by "the shape".

Of an output that is a JSON object, bare or in one code fence, each key travels with the type of its value
(`output.json.key[priority]` is `str`), with the value itself where it looks like a member of a closed set
(`output.json.value[priority]` is `high`), and as a number where it is one. Objects within are read one level deep
(`customer.id`), of an array of objects the first one (`[].id`). Which keys a stream watches is chosen from its
reference (`monitor.detection.columns.keyed_columns`).

A value that could be a person's, or is longer than a label, never travels: no `@`, no five digits in a row, at most
four words and 40 characters.

May import its neighbours in this package only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from monitor.features.base import Column, FeatureSpec, Kind, Role
from monitor.features.families.dependencies import clean
from monitor.features.keyed import NO_KEYED, Keyed, with_key
from monitor.features.text.json_texts import read_json
from monitor.features.text.words import EventBatch

KEY = FeatureSpec(
    "output.json.key", Kind.CATEGORY, "type of the value of key `{key}`; none: the key is missing", role=Role.FORMAT
)
VALUE = FeatureSpec("output.json.value", Kind.CATEGORY, "value of key `{key}`", role=Role.FORMAT)
NUMBER = FeatureSpec("output.json.number", Kind.NUMBER, "number under key `{key}`", role=Role.FORMAT)

MAX_KEYS = 24  # of one output, in its order; a wider record is a document
_FENCE = "```"
_LABEL = re.compile(r"[^\W_](?:[\w.:/+&-]|[ ](?=\S)){0,39}\Z")
_MAX_LABEL_WORDS = 4  # blanks in a label: one with more is a sentence
_LONG_DIGITS = re.compile(r"\d{5}")
_TYPES = {bool: "bool", str: "str", int: "num", float: "num", dict: "object", list: "array"}


def is_label(value: str) -> bool:
    """Whether a text looks like a member of a closed set rather than prose, a name with an address, or a number."""
    return _LABEL.match(value) is not None and value.count(" ") < _MAX_LABEL_WORDS and not _LONG_DIGITS.search(value)


def type_of(value: object) -> str:
    """The JSON type of a value, in the words of `output.format.json_shape`."""
    return _TYPES.get(type(value), "null")


def object_of(text: str | None) -> Any:
    """The JSON object or array that an output is, bare or in one fence; None for anything else."""
    if not text:
        return None
    body = text.strip()
    if body.startswith(_FENCE):
        pieces = body.split(_FENCE, 3)
        if len(pieces) != 3 or pieces[2].strip():
            return None
        info, _, body = pieces[1].partition("\n")
        if info.strip().lower() not in ("", "json", "jsonc", "json5"):
            return None
        body = body.strip()
    if not body or body[0] not in "{[":
        return None
    read = read_json(body)
    return None if read is None or not read.parses else read.value


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Keys with their values, nested ones behind those of the level above."""
    prefix = ""
    if isinstance(value, list):
        value, prefix = (value[0] if value else None), "[]."
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        yield f"{prefix}{key}", item
    for key, item in value.items():
        if isinstance(item, dict):
            for inner, leaf in item.items():
                yield f"{prefix}{key}.{inner}", leaf


def _said(value: Any) -> Keyed:
    said: dict[str, float | str] = {}
    for place, (name, item) in enumerate(_fields(value)):
        if place >= MAX_KEYS:
            break
        key = clean(name)
        said[with_key(KEY.name, key)] = type_of(item)
        if isinstance(item, bool):
            said[with_key(VALUE.name, key)] = "true" if item else "false"
        elif isinstance(item, str):
            if is_label(item):
                said[with_key(VALUE.name, key)] = clean(item)
        elif isinstance(item, (int, float)) and abs(item) <= np.finfo(np.float32).max:
            said[with_key(NUMBER.name, key)] = float(item)
    return said or NO_KEYED


class JsonFields:
    """Family `json`: one declared feature, and columns with a key."""

    family = "json"
    word_columns: Mapping[str, Callable[[str], float]] = {}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "output.json.keys", Kind.COUNT, "keys of a JSON output's outermost object", "keys", role=Role.FORMAT
        ),
    )
    templates: tuple[FeatureSpec, ...] = (KEY, VALUE, NUMBER)

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where the output is no JSON object."""
        keys = [len(value) if isinstance(value, dict) else np.nan for value in _objects(batch)]
        return {"output.json.keys": np.array(keys, dtype=np.float32)}

    def keyed(self, batch: EventBatch) -> Sequence[Keyed]:
        """Types, labels and numbers of each output's keys."""
        return [NO_KEYED if value is None else _said(value) for value in _objects(batch)]


def _objects(batch: EventBatch) -> list[Any]:
    """The JSON value of each output, read once for a batch."""
    output = batch.output
    found: list[Any] | None = output.memory.get("json")
    if found is None:
        found = output.memory["json"] = [object_of(text) for text in output.texts]
    return found
