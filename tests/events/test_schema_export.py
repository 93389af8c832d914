from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import pytest

from monitor.events import Call, Model, OutputEvent, Session, Usage, json_schema


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema(OutputEvent)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_root_is_the_event(validator: jsonschema.Draft202012Validator) -> None:
    schema = json_schema(OutputEvent)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "OutputEvent"
    assert set(schema["properties"]) == set(OutputEvent.__struct_fields__)
    assert set(schema["$defs"]) == {"Call", "Latency", "Model", "Prompt", "Session", "Trace", "Usage"}


@pytest.mark.parametrize(
    "event",
    [
        {"stream": "a", "output": ""},
        {"stream": "a", "output": None, "error": "timeout"},
        {"stream": "a", "error": "timeout"},
        {"stream": "a", "output": "b", "time": 5.5},
        {"stream": "a", "output": "b", "time": "2025-10-09T08:53:20Z"},
        {"stream": "a", "output": "b", "novel": {}, "usage": {"novel": 1, "input_tokens": 3.0}},
        {"stream": "a", "output": "b", "model": None, "calls": None, "attributes": None},
    ],
)
def test_valid(validator: jsonschema.Draft202012Validator, event: dict[str, Any]) -> None:
    validator.validate(event)


@pytest.mark.parametrize(
    "event",
    [
        {"output": "b"},
        {"stream": "a"},
        {"stream": "a", "output": None},
        {"stream": "a", "output": None, "error": ""},
        {"stream": "", "output": "b"},
        {"stream": "a\n", "output": "b"},
        {"stream": "a", "output": 5},
        {"stream": "a", "output": "b", "usage": {"input_tokens": -1}},
        {"stream": "a", "output": "b", "usage": {"input_tokens": 1.5}},
        {"stream": "a", "output": "b", "calls": [{"operation": "x"}]},
        {"stream": "a", "output": "b", "model": "gpt"},
        {"stream": "a", "output": "b", "time": True},
    ],
)
def test_invalid(validator: jsonschema.Draft202012Validator, event: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(event)


def test_an_encoded_event_is_valid(validator: jsonschema.Draft202012Validator) -> None:
    event = OutputEvent(
        stream="a",
        output="b",
        id="c",
        time=5.0,
        model=Model(name="m"),
        usage=Usage(input_tokens=3),
        calls=[Call(dependency="search", status=200)],
        session=Session(id="s", turn=2),
    )
    validator.validate(msgspec.json.decode(msgspec.json.encode(event)))


class _Inner(msgspec.Struct):
    number: int


class _Other(msgspec.Struct):
    inner: _Inner
    text: str | None = None


def test_any_typed_record_has_a_schema() -> None:
    schema = json_schema(_Other)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["inner"]
    jsonschema.Draft202012Validator(schema).validate({"inner": {"number": 1}})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({"inner": {"number": "1"}})
