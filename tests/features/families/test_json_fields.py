"""Keys, labels and numbers of JSON outputs, each by its name; what could be a person's stays here."""

from __future__ import annotations

import pytest

from monitor.events.schema import OutputEvent
from monitor.features.families.json_fields import MAX_KEYS, JsonFields, is_label
from monitor.features.keyed import Keyed
from monitor.features.text.words import EventBatch, table_for


def said(output: str) -> Keyed:
    family = JsonFields()
    [row] = family.keyed(EventBatch([OutputEvent(stream="s", output=output)], table_for([family])))
    return row


def test_types_labels_and_numbers() -> None:
    assert said('{"priority": "high", "score": 0.5, "open": true, "tags": [], "none": null, "who": {"id": 7}}') == {
        "output.json.key[priority]": "str", "output.json.value[priority]": "high",
        "output.json.key[score]": "num", "output.json.number[score]": 0.5,
        "output.json.key[open]": "bool", "output.json.value[open]": "true",
        "output.json.key[tags]": "array", "output.json.key[none]": "null",
        "output.json.key[who]": "object", "output.json.key[who.id]": "num", "output.json.number[who.id]": 7.0,
    }  # fmt: skip


def test_fences_and_arrays() -> None:
    assert said('```json\n{"a": "b"}\n```')["output.json.value[a]"] == "b"
    assert said('[{"a": "b"}, {"a": "c"}]')["output.json.value[[].a]"] == "b"
    assert said("Here it is: {}") == {}
    assert said('{"a": ') == {}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("high", True), ("needs review", True), ("a/b-1.0", True), ("a text of more than four words", False),
        ("ana@mail.test", False), ("+49 1701234567", False), ("order 12345", False), ("x" * 41, False), ("", False),
    ],
)  # fmt: skip
def test_only_labels_travel(value: str, label: bool) -> None:
    assert is_label(value) is label


def test_a_wide_record_is_cut() -> None:
    wide = "{" + ",".join(f'"k{i}": 1' for i in range(200)) + "}"
    assert sum(name.startswith("output.json.key[") for name in said(wide)) == MAX_KEYS
