"""JSON Schema (draft 2020-12) of the records that others build on: `oqm schema`, `oqm schema finding`.

May import `monitor.events.schema` only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.events.schema import Call, Latency, Model, OutputEvent, Prompt, Session, Trace, Usage

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(record: type) -> dict[str, Any]:
    """The schema of a typed record (a msgspec Struct), its own definition at the root.

    For `OutputEvent` it describes what the readers accept under native names: RFC 3339 times, null for what is left
    out, and fields beyond the known ones (kept in `extra`).
    """
    schema = msgspec.json.schema(record, ref_template="#/$defs/{name}")
    definitions = schema.pop("$defs", {})
    root = schema
    if "$ref" in schema:
        root = definitions.pop(schema["$ref"].rpartition("/")[2])
    for definition in (root, *definitions.values()):
        if "description" in definition:  # a docstring, whose line breaks are those of the source
            definition["description"] = " ".join(definition["description"].split())
    exported: dict[str, Any] = {"$schema": DIALECT, **root}
    if definitions:
        exported["$defs"] = dict(sorted(definitions.items()))
    if record is OutputEvent:
        _widen(exported)
    return exported


def _widen(schema: dict[str, Any]) -> None:
    """From what the record holds to what a sender may write."""
    parts = [part.__name__ for part in (Model, Prompt, Usage, Latency, Session, Trace, Call)]
    for definition in (schema, *(schema["$defs"][name] for name in parts)):
        definition.pop("additionalProperties", None)
    properties = schema["properties"]
    properties["time"] = {
        "description": f"{properties['time']['description']} Seconds since 1970, or RFC 3339 (without an offset: UTC).",
        "anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}, {"type": "null"}],
        "default": None,
    }
    for name, content in properties.items():
        if name not in ("stream", "output", "time") and not _takes_null(content):
            content = {key: value for key, value in content.items() if key != "default"}
            properties[name] = {"anyOf": [content, {"type": "null"}]}
    # `output` may be null, or missing, only where an error says why.
    schema["required"] = ["stream"]
    schema["anyOf"] = [
        {"required": ["output"], "properties": {"output": {"type": "string"}}},
        {"required": ["error"], "properties": {"error": {"type": "string", "minLength": 1}}},
    ]


def _takes_null(content: dict[str, Any]) -> bool:
    return content.get("type") == "null" or any(option.get("type") == "null" for option in content.get("anyOf", ()))
