"""`json_field`: one field of a JSON output is there, and its value is as it must be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from monitor.criteria.base import Check, Compiled, Outputs, Verdict
from monitor.criteria.checks.pattern import linear_pattern

MAX_VALUES = 10_000  # values that `[]` leads to in one output; the rest is not looked at, so that the time is bounded

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d*)\]")
_EVERY = "[]"
JsonType = Literal["string", "number", "integer", "boolean", "object", "array", "null"]


class JsonFieldCheck(Check):
    """A path such as `order.total`, `items[0].name` or `items[].price` (each item), and rules for what stands there."""

    key: ClassVar[str] = "json_field"
    example: ClassVar[str] = "{json_field: order.total, required: true, type: number, least: 0}"

    json_field: str = Field(min_length=1, max_length=500, description="path such as order.total or items[].price")
    required: bool = Field(True, description="whether the field must be there")
    type: JsonType | tuple[JsonType, ...] | None = Field(
        None, description="the JSON type, or several, that it may have"
    )
    one_of: tuple[str | float | bool | None, ...] | None = Field(None, description="the values that it may have")
    least: float | None = Field(None, description="the least number that it may be")
    most: float | None = Field(None, description="the greatest number that it may be")
    matches: str | None = Field(None, description="regular expression that is found in its text")

    @model_validator(mode="after")
    def _path(self) -> JsonFieldCheck:
        _steps(self.json_field)
        return self

    def compiled(self) -> Compiled:
        """The check made ready."""
        steps = _steps(self.json_field)
        pattern = None if self.matches is None else linear_pattern(self.matches, "matches")
        types = (self.type,) if isinstance(self.type, str) else self.type
        allowed = None if self.one_of is None else set(map(_typed, self.one_of))
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        rules: list[Callable[[Any], bool]] = []
        if types is not None:
            of_type = [_TYPES[name] for name in types]
            rules.append(of_type[0] if len(of_type) == 1 else lambda value: any(is_it(value) for is_it in of_type))
        if allowed is not None:
            rules.append(lambda value: not isinstance(value, dict | list) and _typed(value) in allowed)
        if self.least is not None or self.most is not None:
            rules.append(lambda value: _is_number(value) and least <= value <= most)
        if pattern is not None:
            rules.append(lambda value: isinstance(value, str) and pattern(value))
        required = self.required

        def violates(document: object) -> bool:
            found, missing = _values(document, steps)
            if missing and required:
                return True
            for rule in rules:
                for value in found:
                    if not rule(value):
                        return True
            return False

        def verdicts(outputs: Outputs, rows: Sequence[int]) -> list[Verdict]:
            texts, json = outputs.texts, outputs.json
            found: list[Verdict] = []
            for row in rows:
                if texts[row] is None:
                    found.append(None)
                else:
                    is_json, value = json(row)
                    found.append(not is_json or violates(value))
            return found

        return verdicts

    def violation(self) -> str:
        """What an output that fails does."""
        rules = [
            f"{name} {value if not isinstance(value, tuple) else ', '.join(map(str, value))}"
            for name, value in (("type", self.type), ("one of", self.one_of), ("at least", self.least),
                                ("at most", self.most), ("matching", self.matches))
            if value is not None
        ]  # fmt: skip
        return f"has no JSON field {self.json_field}" + (f" with {' and '.join(rules)}" if rules else "")


def _steps(path: str) -> list[str | int]:
    """Keys, indices and `[]` of a path. Raises `ValueError` where it is none."""
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError("must be a path such as order.total, items[0].name or items[].price")
        steps.append(match[1] if match[1] is not None else int(match[2]) if match[2] else _EVERY)
        at = match.end()
    return steps


def _values(document: object, steps: Sequence[str | int]) -> tuple[list[Any], bool]:
    """What the path leads to, and whether it leads to nothing somewhere."""
    found: list[Any] = [document]
    missing = False
    for step in steps:
        if step == _EVERY:
            items = chain.from_iterable(each for each in found if isinstance(each, list))
            following = list(islice(items, MAX_VALUES))
            missing = missing or not all(isinstance(each, list) for each in found)
        elif isinstance(step, int):
            following = [each[step] for each in found if isinstance(each, list) and step < len(each)]
            missing = missing or len(following) < len(found)
        else:
            following = [each[step] for each in found if isinstance(each, dict) and step in each]
            missing = missing or len(following) < len(found)
        found = following
    return found, missing


def _typed(value: object) -> tuple[str, object]:
    """A value that is not equal to one of another JSON type: in Python, 1 == True."""
    return ("boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "other", value)


def _is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int  # and no boolean, which Python takes for an integer


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_whole,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}
