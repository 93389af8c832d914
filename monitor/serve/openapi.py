"""The OpenAPI 3.1 document, made of the table of routes and the Structs that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from monitor.actions.names import MAX_NAME_CHARS
from monitor.serve.problem import CONTENT_TYPE, TYPE_PREFIX, ProblemDetail, phrase
from monitor.serve.route import Route
from monitor.serve.scopes import MEANINGS

_SCHEMA = "#/components/schemas/{name}"
_SECURITY = "token"


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The document as JSON values."""
    structs = list(dict.fromkeys([ProblemDetail, *(struct for route in routes for struct in _structs(route))]))
    # All at once: two of one name get the names of their modules as well.
    references, schemas = msgspec.json.schema_components(structs, ref_template=_SCHEMA)
    named = _Schemas(dict(zip(structs, references, strict=True)), schemas)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, named)
    for route in routes:
        if route.query is not None:  # its fields are parameters now
            schemas.pop(named.name(route.query), None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Output quality monitor",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Errors are problem details (RFC 9457). Tokens are made by `oqm token create`.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                _SECURITY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Scopes: " + "; ".join(f"`{scope}`: {what}" for scope, what in MEANINGS.items()),
                }
            },
        },
    }


class _Schemas(NamedTuple):
    """Schemas of all records, and the reference to each."""

    references: Mapping[Any, dict[str, Any]]
    schemas: dict[str, Any]

    def name(self, struct: Any) -> str:
        """The name of a record's schema."""
        return str(self.references[struct]["$ref"]).rpartition("/")[2]


def _structs(route: Route) -> list[Any]:
    return [one for one in (route.request, route.query, *route.responses.values()) if one not in (None, str, Any)]


def _operation(route: Route, named: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "responses": {
            **{str(status): _response(route, status, struct, named) for status, struct in route.responses.items()},
            "default": _problem(f"A problem; `type` says which one ({TYPE_PREFIX}...)", named),
        },
    }
    if route.description:
        operation["description"] = route.description
    if route.scopes:
        needed = " or ".join(f"`{scope}`" for scope in route.scopes)
        said = f"Needs the scope {needed}." if len(route.scopes) < len(MEANINGS) else "Needs a token with any scope."
        operation["description"] = f"{route.description} {said}".strip()
        operation["security"] = [{_SECURITY: [scope.value]} for scope in route.scopes]
    else:
        operation["security"] = []
    parameters = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", route.path)] + _query_parameters(
        route, named
    )
    if parameters:
        operation["parameters"] = parameters
    if route.request is not None:
        content = {"application/json": {"schema": named.references[route.request]}}
        operation["requestBody"] = {"required": not route.optional_body, "content": content}
    return operation


def _response(route: Route, status: int, struct: Any, named: _Schemas) -> dict[str, Any]:
    if isinstance(struct, type) and struct is not str and issubclass(struct, ProblemDetail):
        found = _problem(phrase(status), named)
    elif struct is Any:
        found = {"description": phrase(status), "content": {"application/json": {"schema": {}}}}
    elif struct is None:
        found = {"description": phrase(status)}
    elif struct is str:
        found = {"description": phrase(status), "content": {"text/plain": {"schema": {"type": "string"}}}}
    else:
        schema = named.references[struct]
        found = {"description": phrase(status), "content": {"application/json": {"schema": schema}}}
    if headers := route.headers.get(status):
        found["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()
        }
    return found


def _problem(description: str, named: _Schemas) -> dict[str, Any]:
    content = {CONTENT_TYPE: {"schema": named.references[ProblemDetail]}}
    return {"description": description, "content": content}


def _path_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if name == "key":
        schema["maxLength"] = MAX_NAME_CHARS
    return {"name": name, "in": "path", "required": True, "schema": schema, "description": "Percent-encoded UTF-8."}


def _query_parameters(route: Route, named: _Schemas) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = named.schemas[named.name(route.query)]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": of}
        for name, of in schema["properties"].items()
    ]


def _tag(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    return parts[1] if parts[0] == "v1" and len(parts) > 1 else "service"
