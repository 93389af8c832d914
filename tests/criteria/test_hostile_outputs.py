"""No output makes a check slow or raise: bounded by counts of what is done, never by a clock.

The corpus holds what makes checkers slow elsewhere: JSON that is nested, wide, long or broken late, numbers of many
digits, texts that fold to more letters than they have, lines of a megabyte, inputs that send a backtracking engine
into exponential time. Each runs through every check of the table; the counts below show that an output is read as JSON
once however many checks ask, that an engine without backtracking decides patterns, and that paths stop at a bound.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml

from monitor.criteria.base import Outputs
from monitor.criteria.checks.json_field import MAX_VALUES, JsonFieldCheck
from monitor.criteria.criterion import Criterion
from monitor.criteria.family import CheckFamily
from monitor.criteria.registry import CHECKS
from monitor.events.schema import OutputEvent
from monitor.features.registry import build_featurizer
from monitor.features.text import json_texts

MEGABYTE = 1_000_000
HOSTILE: dict[str, str] = {
    "deep array": "[" * 200_000 + "]" * 200_000,
    "deep object": '{"order":' * 100_000 + "1" + "}" * 100_000,
    "deep and broken": "[" * 200_000,
    "wide array": json.dumps({"items": [{"price": 1}] * 60_000}),
    "wide object": json.dumps({f"k{n}": n for n in range(60_000)}),
    "the same key": "{" + ",".join('"order": 1' for _ in range(60_000)) + "}",
    "huge integer": '{"order": {"total": ' + "9" * 100_000 + "}}",
    "huge exponent": '{"order": {"total": 1e999999999}}',
    "tiny exponent": '{"order": {"total": 1e-999999999}}',
    "long digits": "0." + "1" * 500_000,
    "one line": "a" * MEGABYTE,
    "one word that almost matches": "a" * 50_000 + "!",
    "folds to more": "\N{LATIN SMALL LETTER SHARP S}" * 300_000,
    "combining": "e" + "\N{COMBINING ACUTE ACCENT}" * 300_000,
    "surrogates": "\ud800" * 100_000,
    "zeros": "\x00" * 300_000,
    "many lines": "\n" * 300_000,
    "fences": "```json\n" * 50_000 + "```",
    "quotes": '"' + '\\"' * 200_000,
    "spaces": " " * 500_000 + "{}",
    "almost JSON": '{"order": "' + "x" * 500_000,
    "longer than is read": '{"order": "' + "x" * (MEGABYTE + 1) + '"}',
}
PATTERNS = ["^(a+)+$", "(a|a)*b", "(a|aa)+$", "(.*a){20}", "(x+x+)+y", "([a-z]+)*!$"]
"""Expressions that take exponential or high polynomial time by backtracking."""


def criteria() -> tuple[Criterion, ...]:
    """One criterion for each check of the table, and one for each expression in two kinds of check."""
    checks: list[Any] = [yaml.safe_load(check.example) for check in CHECKS]
    checks += [{"matches": pattern} for pattern in PATTERNS]
    checks += [{"json_schema": {"pattern": pattern}} for pattern in PATTERNS]
    checks += [{"json_field": "order.total", "type": "integer"}, {"json_field": "items[].price", "least": 0}]
    checks += [{"contains": ["SS"] * 100, "ignore_case": True}, {"one_of": ["x"], "ignore_case": True}]
    return tuple(Criterion.model_validate({"name": f"c{n}", "check": check}) for n, check in enumerate(checks))


@pytest.mark.parametrize("name", HOSTILE)
def test_every_check_decides_or_says_that_it_cannot(name: str) -> None:
    chosen = criteria()
    family = CheckFamily(lambda _: chosen, chosen)
    featurizer = build_featurizer(("length",), "off", checks=family)
    batch = featurizer.featurize([OutputEvent(stream="s", id="1", output=HOSTILE[name])], source="t")
    assert not family.failures
    flags = [batch.values[0, batch.names.index(criterion.feature)] for criterion in chosen]
    assert all(math.isnan(flag) or flag in (0.0, 1.0) for flag in flags)


def test_an_output_is_read_as_json_once_however_many_checks_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(json_texts, "parse_json", lambda text: read.append(text) or {})
    chosen = tuple(Criterion.model_validate({"name": f"c{n}", "check": {"json_field": f"k{n}"}}) for n in range(20))
    family = CheckFamily(lambda _: chosen, chosen)
    build_featurizer(("length",), "off", checks=family).featurize(
        [OutputEvent(stream="s", id=str(n), output='{"k": 1}') for n in range(3)], source="t"
    )
    assert len(read) == 3


def test_texts_are_folded_once_however_many_checks_ask() -> None:
    class Counted(str):
        folds = 0

        def casefold(self) -> str:
            Counted.folds += 1
            return super().casefold()

    text = Counted("Kind Regards")
    outputs = Outputs([OutputEvent(stream="s", id="1", output=text)], [text], lambda _: None, lambda: [None])
    checks = [{"contains": "kind"}, {"not_contains": "lorem"}, {"one_of": ["kind regards"]}]
    for check in checks:
        criterion = Criterion.model_validate({"name": "c", "check": {**check, "ignore_case": True}})
        assert list(criterion.check.compiled()(outputs, [0])) == [False]
    assert Counted.folds == 1


@pytest.mark.parametrize("length", [MAX_VALUES - 1, MAX_VALUES, 5 * MAX_VALUES])
def test_a_path_stops_at_a_bound_of_values(length: int) -> None:
    class Items(list[Any]):
        taken = 0

        def __iter__(self) -> Any:
            for item in super().__iter__():
                Items.taken += 1
                yield item

    Items.taken = 0
    document = {"items": Items([{"price": 1}] * length)}
    outputs = Outputs([OutputEvent(stream="s", id="1", output="{}")], ["{}"], lambda _: None, lambda: [None])
    outputs._json[0] = (True, document)
    check = JsonFieldCheck.model_validate({"json_field": "items[].price", "most": 5})
    assert list(check.compiled()(outputs, [0])) == [False]
    assert Items.taken <= MAX_VALUES


def test_nested_lists_do_not_multiply_the_bound() -> None:
    wide = {"items": [[1] * 5_000] * 5_000}
    outputs = Outputs([OutputEvent(stream="s", id="1", output="{}")], ["{}"], lambda _: None, lambda: [None])
    outputs._json[0] = (True, wide)
    seen = []
    check = JsonFieldCheck.model_validate({"json_field": "items[][]", "most": 5})
    compiled = check.compiled()
    assert list(compiled(outputs, [0])) == [False]
    from monitor.criteria.checks import json_field

    seen, _ = json_field._values(wide, ["items", "[]", "[]"])
    assert len(seen) == MAX_VALUES


@pytest.mark.parametrize("name", ["huge integer", "huge exponent", "tiny exponent"])
def test_numbers_beyond_every_type_are_decided(name: str) -> None:
    outputs = Outputs([OutputEvent(stream="s", id="1", output="")], [HOSTILE[name]], lambda _: None, lambda: [None])
    check = JsonFieldCheck.model_validate({"json_field": "order.total", "type": "number", "most": 1000})
    (verdict,) = check.compiled()(outputs, [0])
    assert verdict is (name != "tiny exponent")
