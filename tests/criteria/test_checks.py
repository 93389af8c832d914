"""What each check calls a violation, on texts of all kinds; and what every check of the table keeps to."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from monitor.criteria.base import Check
from monitor.criteria.criterion import Criterion
from monitor.criteria.family import CheckFamily
from monitor.criteria.registry import CHECKS, AnyCheck
from monitor.events.schema import OutputEvent
from monitor.features.base import Role
from monitor.features.featurizer import Featurizer
from monitor.features.registry import build_featurizer

READ: TypeAdapter[Check] = TypeAdapter(AnyCheck)


def verdicts(check: dict[str, Any], *outputs: str | None, stream: str = "s") -> list[bool | None]:
    """True where an output violates the check, None where it decides nothing."""
    criterion = Criterion.model_validate({"name": "c", "check": check})
    family = CheckFamily(lambda _: (criterion,), (criterion,))
    featurizer = build_featurizer(("length", "format", "language"), "off", checks=family)
    events = [
        OutputEvent(stream=stream, id=str(n), output=output, error=None if output is not None else "gone")
        for n, output in enumerate(outputs)
    ]
    batch = featurizer.featurize(events, source="t")
    column = batch.values[:, batch.names.index("output.check.c")].tolist()
    return [None if math.isnan(value) else bool(value) for value in column]


def wrong(check: object) -> str:
    with pytest.raises(ValidationError) as raised:
        Criterion.model_validate({"name": "c", "check": check})
    return str(raised.value)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.key)
def test_a_check_reads_its_own_example_and_says_what_it_does(check: type[Check]) -> None:
    read = READ.validate_python(yaml.safe_load(check.example))
    assert type(read) is check
    read.compiled()
    assert read.violation()[0].islower()
    assert len({other.key for other in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.key)
@settings(max_examples=40)
@given(outputs=st.lists(st.one_of(st.none(), st.text(), st.from_regex(r"[\[{].*", fullmatch=True)), max_size=5))
def test_no_output_makes_a_check_raise(check: type[Check], outputs: list[str | None]) -> None:
    family, featurizer = _example_of(check)
    events = [OutputEvent(stream="s", id=str(n), output=output, error="x") for n, output in enumerate(outputs)]
    featurizer.featurize(events, source="t")
    assert not family.failures


@cache
def _example_of(check: type[Check]) -> tuple[CheckFamily, Featurizer]:
    criterion = Criterion(name="c", check=READ.validate_python(yaml.safe_load(check.example)))
    family = CheckFamily(lambda _: (criterion,), (criterion,))
    return family, build_featurizer(("length",), "off", checks=family)


def test_json_schema() -> None:
    schema = {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}
    fence = '```json\n{"total": 2}\n```'
    outputs = ('{"total": 1}', fence, '{"total": "1"}', "{}", '{"total": 1', "Total: 1", "", None, '{"total": 1} ok')
    expected = [False, False, True, True, True, True, True, None, True]
    assert verdicts({"json_schema": schema}, *outputs) == expected


def test_a_schema_in_a_file(tmp_path: Any) -> None:
    path = tmp_path / "order.json"
    path.write_text(json.dumps({"$defs": {"n": {"type": "number"}}, "properties": {"total": {"$ref": "#/$defs/n"}}}))
    assert verdicts({"json_schema": str(path)}, '{"total": 1}', '{"total": "1"}') == [False, True]
    path.write_text("{")
    assert "is no JSON" in wrong({"json_schema": str(path)})
    assert "cannot be read" in wrong({"json_schema": str(tmp_path / "absent.json")})


def test_a_schema_fetches_nothing_and_cannot_be_slow() -> None:
    assert "leads to another document" in wrong({"json_schema": {"$ref": "http://127.0.0.1:9/x.json"}})
    assert "no valid JSON Schema" in wrong({"json_schema": {"type": "objct"}})
    assert "no valid JSON Schema" in wrong({"json_schema": {"pattern": "(a)\\1"}})
    slow = {"json_schema": {"pattern": "^(a+)+$"}}  # a backtracking engine would need 2^50000 steps
    assert verdicts(slow, json.dumps("a" * 50_000 + "b")) == [True]


@pytest.mark.parametrize(
    ("rules", "document", "violates"),
    [
        ({}, {"order": {"total": 1}}, False),
        ({}, {"order": {}}, True),
        ({"required": False}, {"order": {}}, False),
        ({"type": "number"}, {"order": {"total": "1"}}, True),
        ({"type": "integer"}, {"order": {"total": 1.5}}, True),
        ({"type": "integer"}, {"order": {"total": True}}, True),
        ({"type": ["number", "null"]}, {"order": {"total": None}}, False),
        ({"least": 0, "most": 10}, {"order": {"total": 11}}, True),
        ({"least": 0}, {"order": {"total": "many"}}, True),
        ({"one_of": [1, 2]}, {"order": {"total": True}}, True),
        ({"one_of": ["EUR", None]}, {"order": {"total": None}}, False),
        ({"matches": "^[0-9]+$"}, {"order": {"total": "12a"}}, True),
        ({}, [1, 2], True),
    ],
)
def test_json_field(rules: dict[str, Any], document: object, violates: bool) -> None:
    assert verdicts({"json_field": "order.total", **rules}, json.dumps(document)) == [violates]


def test_json_field_of_every_item() -> None:
    check = {"json_field": "items[].price", "least": 0}
    documents = [{"items": [{"price": 1}, {"price": 2}]}, {"items": [{"price": 1}, {"price": -2}]}, {"items": [{}]}]
    assert verdicts(check, *map(json.dumps, documents)) == [False, True, True]
    assert verdicts({"json_field": "items[1].price"}, *map(json.dumps, documents)) == [False, False, True]
    assert "must be a path" in wrong({"json_field": "items[x"})


def test_patterns_and_texts() -> None:
    assert verdicts({"matches": "^Dear"}, "Dear Ann", "dear Ann", "", None) == [False, True, True, None]
    assert verdicts({"not_matches": "PROMISE", "ignore_case": True}, "I promise", "I try") == [True, False]
    assert verdicts({"contains": ["a", "b"]}, "ab", "a") == [False, True]
    assert verdicts({"not_contains": "straße", "ignore_case": True}, "STRASSE 1", "Weg 2") == [True, False]
    assert verdicts({"one_of": ["yes", "no"]}, " yes\n", "Yes", "maybe", None) == [False, True, True, None]
    assert verdicts({"one_of": ["Ja"], "ignore_case": True}, "JA") == [False]
    assert verdicts({"matches": "x"}, "\ud800x") == [False]
    assert "RE2" in wrong({"matches": "(?=a)"})
    assert "must not be empty" in wrong({"contains": ""})


def test_features() -> None:
    assert verdicts({"feature": "output.length.words", "most": 2}, "one two", "one two three") == [False, True]
    assert verdicts({"feature": "output.no.such", "most": 2}, "one") == [None]
    english = "This is the answer to the question that you have asked us about the order."
    german = "Das ist die Antwort auf die Frage, die Sie uns zu der Bestellung gestellt haben."
    assert verdicts({"feature": "output.language.language", "one_of": ["en"]}, english, german, None)[2] is None
    assert verdicts({"language": ["de", "fr"]}, english, german, "OK", None) == [True, False, None, None]
    assert "needs `least`" in wrong({"feature": "output.length.words"})
    assert "put no in quotes" in wrong({"language": False}) or "valid string" in wrong({"language": False})


def _raises_for_b(event: OutputEvent) -> bool | None:
    if event.output == "b":
        raise RuntimeError("b")
    return event.output == "a"


def test_a_function_that_raises_decides_nothing_and_is_counted() -> None:
    criterion = Criterion.model_validate({"name": "c", "check": {"function": f"{__name__}:_raises_for_b"}})
    family = CheckFamily(lambda _: (criterion,), (criterion,))
    events = [OutputEvent(stream="s", id=text, output=text) for text in "abc"]
    batch = build_featurizer(("length",), "off", checks=family).featurize(events, source="t")
    column = batch.values[:, batch.names.index("output.check.c")]
    assert [column[0], column[2]] == [0, 1]
    assert math.isnan(column[1])
    assert family.failures == {"output.check.c": 1}
    assert "has no function" in wrong({"function": "os:absent"})
    assert "cannot be imported" in wrong({"function": "no.such.module:f"})


def test_wrong_checks_say_what_to_change() -> None:
    assert "did you mean `matches`?" in wrong({"matchs": "a"})
    assert "must be a mapping" in wrong("matches")
    assert "names no check" in wrong({})


def test_streams_have_their_own_criteria() -> None:
    short = Criterion.model_validate({"name": "size", "check": {"feature": "output.length.words", "most": 1}})
    long = Criterion.model_validate({"name": "size", "check": {"feature": "output.length.words", "least": 2}})
    of = {"short": (short,), "long": (long,)}
    family = CheckFamily(lambda stream: of.get(stream, ()), (short, long))
    (spec,) = family.features
    assert (spec.name, spec.failure, spec.role) == ("output.check.size", True, Role.CHECK)
    events = [OutputEvent(stream=s, id=s, output="one two") for s in ("short", "long", "other")]
    batch = build_featurizer(("length",), "off", checks=family).featurize(events, source="t")
    column = batch.values[:, batch.names.index("output.check.size")].tolist()
    assert column[:2] == [1.0, 0.0]
    assert math.isnan(column[2])
