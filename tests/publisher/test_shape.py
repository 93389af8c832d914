from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from monitor.publisher import response_shape


@dataclass
class Reply:
    text: str
    score: float | None = None


class Dumped:
    def model_dump(self) -> dict[str, Any]:
        return {"a": 1}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": "x"}, {"b": "y", "a": 2.5}),
        ([1, 2, 3], [4]),
        ({"hits": [{"id": 1}]}, {"hits": [{"id": 2}, {"id": 3}]}),
        ([1, None], [1]),
        ((1, 2), [3]),
        (Reply("a", 1.0), Reply("b", 2.0)),
        (Dumped(), {"a": 5}),
        ("text", "another"),
    ],
)
def test_values_and_order_do_not_matter(one: Any, other: Any) -> None:
    assert response_shape(one) == response_shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": {"b": 1}}, {"a": [1]}),
        ([1], ["1"]),
        (True, 1),
        (None, {}),
        ("text", {"text": "x"}),
        (Reply("a"), Reply("a", 1.0)),
    ],
)
def test_structure_does(one: Any, other: Any) -> None:
    assert response_shape(one) != response_shape(other)


def test_any_object_has_a_shape() -> None:
    nested: list[Any] = []
    nested.append(nested)  # refers to itself
    for content in (nested, object(), b"x", {1: 2, "a": 3}, {"\ud800": 1}, [[[[[[[[[[[[1]]]]]]]]]]]]):
        assert len(response_shape(content)) == 8
