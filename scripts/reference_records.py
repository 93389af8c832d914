"""Pages of docs/reference about records: what applications publish, what `oqm.alerts` holds. See `build_reference`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monitor.alerting.alert import Alert
from monitor.detection.records.finding import Finding, State
from monitor.events import OutputEvent, json_schema

EXAMPLE = """{
  "stream": "support-bot/answer",
  "output": "Your parcel left our warehouse this morning.",
  "input": "Where is my order?",
  "time": "2026-11-30T09:12:44Z",
  "model": {"provider": "openai", "name": "gpt-4o"},
  "prompt": {"name": "answer", "version": "3"},
  "latency": {"total_s": 1.4},
  "usage": {"input_tokens": 812, "output_tokens": 11},
  "attributes": {"tenant": "acme", "locale": "en"}
}"""
_TRANSITIONS = {
    State.FIRING: "something changed by more than its effect floor; receivers notify people",
    State.RESOLVED: "it is over: recovered, accepted, a deploy, a pin, or its stream ended; `resolution` says which",
    State.INFO: "it is worth knowing and nobody is paged; it is never resolved",
}


EVENTS = """\
Applications write one JSON object for each output to the topic `oqm.outputs`. Only `stream` and `output` are required;
unknown fields are kept. `oqm schema event` prints the JSON Schema from which this page is made. CloudEvents and
OpenTelemetry GenAI names are read as they are ([publish outputs](../howto/publish.md)).

```json
{example}
```
"""
ALERTS = """\
The topic `oqm.alerts` holds each transition of each alert as one JSON object, keyed by the alert's id. The webhook
sends the same object. New fields may come; what a field means changes only with `schema_version`. `oqm schema alert`
prints the JSON Schema, `oqm schema finding` that of a finding, which `oqm replay --json` prints.

## Transitions

A receiver may get a transition more than once, always with the same `transition` key, by which it drops repetitions.
That somebody has taken an alert is sent as `firing` once more, with a `transition` that ends in `:acknowledged`.
Newer figures of an alert that fires are sent as `firing`, too: `revision` counts them, and `transition` ends in
`:revision-1`, `:revision-2` and so on.

| state | meaning |
|---|---|
{states}
"""
FINDINGS = """\
## What a finding has in addition

A finding has those fields of its alert that speak of the stream, and:
"""


def events() -> str:
    """What an application publishes, field by field."""
    return "\n".join([EVENTS.format(example=EXAMPLE), *_fields(json_schema(OutputEvent))])


def alerts() -> str:
    """What `oqm.alerts` holds, field by field, and its transitions."""
    states = "\n".join(f"| `{state.value}` | {_TRANSITIONS[state]} |" for state in State)
    own = {name: content for name, content in _properties(Finding).items() if name not in _properties(Alert)}
    return "\n".join(
        [ALERTS.format(states=states), *_fields(json_schema(Alert)), FINDINGS, *_table(own, (), link=False)]
    )


def _properties(record: type) -> dict[str, Any]:
    properties: dict[str, Any] = json_schema(record)["properties"]
    return properties


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    """A table of the record's own fields, and one for each record within it."""
    yield from ("## Fields\n", *_table(schema["properties"], schema.get("required", ())), "")
    for name, definition in schema["$defs"].items():
        if "properties" in definition:
            yield from (f"### {name}\n", f"{definition.get('description', '')}\n")
            yield from (*_table(definition["properties"], definition.get("required", ())), "")
        elif "enum" in definition:
            values = ", ".join(f"`{value}`" for value in definition["enum"])
            yield from (f"### {name}\n", f"{definition.get('description', '')}\n", f"{values}\n")


def _table(properties: Mapping[str, Any], required: Sequence[str], *, link: bool = True) -> Iterator[str]:
    """A row for each field; the meaning where fields have one. `link`: the types' own tables are on the page."""
    described = any(_meaning(content) for content in properties.values())
    yield "| field | type | meaning |" if described else "| field | type |"
    yield "|---|---|---|" if described else "|---|---|"
    for name, content in properties.items():
        mark = ", required" if name in required else ""
        meaning = f" {_meaning(content)} |" if described else ""
        kind = _type(content) if link else re.sub(r"\[(\w+)\]\(#\w+\)", r"\1", _type(content))
        yield f"| `{name}` | {kind}{mark} |{meaning}"


def _meaning(content: Mapping[str, Any]) -> str:
    inner = (option.get("description", "") for option in content.get("anyOf", ()))
    text: str = content.get("description") or next((each for each in inner if each), "")
    return " ".join(text.replace("|", "\\|").split())


def _type(content: Mapping[str, Any]) -> str:
    """The type as a reader says it; null is left out, as every optional field may be null or missing."""
    if "anyOf" in content:
        return " or ".join(_type(option) for option in content["anyOf"] if option.get("type") != "null")
    if "$ref" in content:
        name = content["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if content.get("type") == "array":
        return f"list of {_type(content.get('items', {}))}"
    if content.get("type") == "object" and content.get("additionalProperties"):
        return "object"
    return str(content.get("type", "any JSON")) + (f" ({content['format']})" if "format" in content else "")
