"""`json_schema`: the output is one JSON value that fits a JSON Schema (drafts 4 to 2020-12, by `$schema`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from monitor.criteria.base import Check, Compiled, Outputs, Verdict

MAX_SCHEMA_BYTES = 1_000_000  # a schema is written by people; what is larger is another file, given by mistake


class JsonSchemaCheck(Check):
    """A file with the schema, or the schema itself. References to other documents are refused: nothing is fetched."""

    key: ClassVar[str] = "json_schema"
    example: ClassVar[str] = "{json_schema: {type: object, required: [total]}}"

    json_schema: str | dict[str, Any] | bool = Field(
        description="a file with a JSON Schema, by its path from the working folder, or the schema itself"
    )

    def compiled(self) -> Compiled:
        """The check made ready."""
        import jsonschema_rs

        schema = self._schema()
        if isinstance(schema, dict) and (outside := _reference_outside(schema)) is not None:
            raise ValueError(f"json_schema: $ref {outside} leads to another document; put its definitions under $defs")
        try:
            # RegexOptions: the engine without backtracking, so that a `pattern` takes linear time on any output
            validator = jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            raise ValueError(f"json_schema is no valid JSON Schema: {str(error).splitlines()[0]}") from None

        def verdicts(outputs: Outputs, rows: Sequence[int]) -> list[Verdict]:
            found: list[Verdict] = []
            for row in rows:
                if outputs.texts[row] is None:
                    found.append(None)
                else:
                    is_json, value = outputs.json(row)
                    found.append(not (is_json and validator.is_valid(value)))
            return found

        return verdicts

    def violation(self) -> str:
        """What an output that fails does."""
        return "does not fit the JSON Schema" + (f" {self.json_schema}" if isinstance(self.json_schema, str) else "")

    def _schema(self) -> Any:
        if not isinstance(self.json_schema, str):
            return self.json_schema
        path = Path(self.json_schema)
        try:
            if path.stat().st_size > MAX_SCHEMA_BYTES:
                raise ValueError(f"json_schema: {path} is larger than {MAX_SCHEMA_BYTES:,} bytes")
            return json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"json_schema: {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"json_schema: {path} is not UTF-8 text") from None
        except json.JSONDecodeError as error:
            raise ValueError(f"json_schema: {path} is no JSON: {error.msg} in line {error.lineno}") from None


def _reference_outside(schema: object) -> str | None:
    """The first `$ref` that leads out of the document."""
    waiting = [schema]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            reference = found.get("$ref")
            if isinstance(reference, str) and not reference.startswith("#") and reference != found.get("$id"):
                return reference
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
    return None
