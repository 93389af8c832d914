from __future__ import annotations

import json

import pytest

from monitor.events.schema import OutputEvent
from monitor.features.families.format import Format
from monitor.features.text.json_texts import read_json
from monitor.features.text.words import EventBatch, table_for

FAMILY = Format()
WORDS = table_for([FAMILY])


def measure(text: str) -> tuple[float, float, float]:
    """Valid, broken, truncated."""
    found = FAMILY.extract(EventBatch([OutputEvent(stream="s", output=text)], WORDS))
    valid, broken, truncated = (
        found[f"output.format.{name}"][0] for name in ("json_valid", "json_broken", "truncated")
    )
    return float(valid or 0), float(broken or 0), float(truncated or 0)


VALUES = [
    [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}, {"id": 3, "tags": ["c, \"d\"", "e\\f"]}],
    ["apples", "pears", "plums", "a [bracket] and a {brace}"],
    [1, 2.5, -3, 4e10, 500],
    [[1, 2, 3], [4, [5, 6]], []],
    [True, False, None, {"deep": {"deeper": [None]}}],
    {"items": [{"sku": "A1"}, {"sku": "B2"}], "total": 2},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize("indent", [None, 2])
def test_json_cut_anywhere_is_broken_and_truncated_as_arrays_and_as_objects(value: object, indent: int | None) -> None:
    whole = json.dumps(value, indent=indent)
    assert measure(whole) == (1, 0, 0)
    for at in range(1, len(whole)):
        assert measure(whole[:at]) == (0, 1, 1), whole[:at]
        assert measure(f"```json\n{whole[:at]}") == (0, 1, 1), whole[:at]


def test_json_with_one_value_a_line_is_whole_or_cut() -> None:
    lines = '{"a": 1}\n{"a": 2}\n{"a": 3}'
    assert measure(lines) == (0, 0, 0)
    found = FAMILY.extract(EventBatch([OutputEvent(stream="s", output=lines)], WORDS))
    assert found["output.format.json_shape"] == ["lines [{a:num}]"]
    assert measure(lines[:-2]) == (0, 1, 1)
    assert measure("[1, 2]\n[3, 4]\n[5,") == (0, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[1] Smith (2020) says it holds.",
        "[2] Jones (2019) said so, as did others [3]",
        "[1, 2] and [3, 4]",
        '["a"] is the answer.',
        "[2024-01-05 10:00] started",
        "[3 of 5] done",
        "[-5 degrees] cold",
        '[1] "He said',
        "42",
        '"text"',
        "true",
    ],
)
def test_prose_in_brackets_and_scalars_are_no_json(text: str) -> None:
    assert measure(text) == (0, 0, 0)
    assert read_json(text) is None


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": }]', '[{"a": 1}] and more', '["a",, "b"]', "[1, 2 3]"])
def test_arrays_that_do_not_parse_are_broken(text: str) -> None:
    assert measure(text)[:2] == (0, 1)


def test_a_byte_order_mark_before_json_is_no_fault() -> None:
    assert measure('\ufeff{"a": 1}') == (1, 0, 0)


@pytest.mark.parametrize(
    "text", ["[" * 300_000, '["' * 100_000, "[1," * 200_000, "[1] " * 200_000, '["' + "\\" * 300_001]
)
def test_hostile_arrays_are_read_without_recursion(text: str) -> None:
    read_json(text)
