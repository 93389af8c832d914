"""The page of the HTTP API: made of the OpenAPI document, so that it says what the service itself says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from monitor.serve.openapi import document
from monitor.serve.routes import ROUTES
from monitor.serve.scopes import MEANINGS


def http() -> str:
    """Scopes, operations with their parameters and answers, and the records that they name."""
    described = document(ROUTES, "0")
    schemas = described["components"]["schemas"]
    lines = ["## Scopes\n", "| scope | a token with it may |", "|---|---|"]
    lines += [f"| `{scope}` | {meaning} |" for scope, meaning in MEANINGS.items()]
    lines += ["", "## Operations\n"]
    lines.append(
        "Beside the answers listed, each may be a [problem](#problemdetail) (`application/problem+json`) whose "
        "`type` says which: 400, 401 and 403 of the request and its token, 408 and 413 of its body, 422 of a field, "
        "429 and 503 with `Retry-After`, 500 and 501.\n"
    )
    for path, operations in sorted(described["paths"].items()):
        for method, operation in operations.items():
            lines += [f"### {method.upper()} {path}\n", *_operation(operation), ""]
    lines.append("## Records\n")
    for name, schema in sorted(schemas.items()):
        lines += [*_record(name, schema), ""]
    return "\n".join(lines)


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    said = " ".join(part for part in (f"{operation['summary']}.", operation.get("description", "")) if part)
    yield said if operation["security"] else f"{said} Open to everyone, without a token."
    parameters = [one for one in operation.get("parameters", []) if one["in"] == "query"]
    if parameters:
        shown = ", ".join(f"`{one['name']}` ({_type(one['schema'])})" for one in parameters)
        yield f"\nQuery: {shown}."
    if body := operation.get("requestBody"):
        yield f"\nBody: {_type(body['content']['application/json']['schema'])}."
    yield "\n| status | answer |"
    yield "|---|---|"
    for status, response in sorted(operation["responses"].items()):
        if status == "default":
            continue
        contents = response.get("content", {})
        shown = ", ".join(f"{_type(content['schema'])} (`{kind}`)" for kind, content in contents.items())
        headers = "".join(f"; header `{name}`: {of['description']}" for name, of in response.get("headers", {}).items())
        yield f"| {status} | {response['description']}{': ' + shown if shown else ''}{headers} |"


def _record(name: str, schema: dict[str, Any]) -> Iterator[str]:
    about = (schema.get("description") or "").split("\n\n")[0].replace("\n", " ")
    yield f"### {name}\n"
    if "properties" not in schema:
        yield f"{about} {_type(schema)}".strip()
        return
    if about:
        yield f"{about}\n"
    yield "| field | type | default |"
    yield "|---|---|---|"
    required = set(schema.get("required", []))
    for field, of in schema["properties"].items():
        default = "required" if field in required else f"`{json.dumps(of['default'])}`" if "default" in of else ""
        yield f"| `{field}` | {_type(of)} | {default} |"


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words; records by their links."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower().replace('.', '')})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    match schema.get("type"):
        case "array":
            inner = schema.get("items")
            return f"list of {_type(inner)}" if inner else "list"
        case "object":
            inner = schema.get("additionalProperties")
            return f"object of {_type(inner)}" if isinstance(inner, dict) and inner else "object"
        case None:
            return "any JSON"
        case kind:
            bounds = [f"{word} {schema[name]}" for name, word in _BOUNDS.items() if name in schema]
            return f"{kind} ({', '.join(bounds)})" if bounds else str(kind)


_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "minLength": "characters at least",
    "maxLength": "characters at most",
}
