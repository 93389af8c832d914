from __future__ import annotations

from typing import Any

import pytest

from monitor.events.files.cells import Commas, begins, commas_of, dig, duration_of, number_of, steps_of, unit_of


@pytest.mark.parametrize(
    ("cells", "whole", "semicolons", "commas"),
    [
        (["1,25", "0,5"], False, False, "decimal"),
        (["0,002"], False, False, "decimal"),
        (["1.234,5"], False, False, "decimal"),
        (["1,234,567"], False, True, "thousands"),
        (["1,234.5"], False, True, "thousands"),
        (["1,234", "12,345"], False, True, "decimal"),  # semicolons between columns: the comma is the decimal mark
        (["1,234", "12,345"], False, False, "unclear"),
        (["1,234", "12,345"], True, True, "thousands"),  # a count has no decimals
        (["1,234", "0,5"], False, False, "decimal"),  # another row tells
        ([1.5, None, "x"], False, True, "decimal"),
    ],
)
def test_what_a_comma_is_follows_from_the_column(
    cells: list[Any], whole: bool, semicolons: bool, commas: Commas
) -> None:
    assert commas_of(cells, whole=whole, semicolons=semicolons) == commas


@pytest.mark.parametrize(
    ("cell", "commas", "number"),
    [
        ("1,25", "decimal", 1.25),
        ("1.234,5", "decimal", 1234.5),
        ("-0,5", "decimal", -0.5),
        ("1,234", "thousands", 1234),
        ("1,234,567.5", "thousands", 1234567.5),
        ("1,25", "thousands", None),
        ("1,234", "unclear", None),
        ("1.5", "unclear", 1.5),
        ("12", "unclear", 12),
        ("1e-3", "unclear", 0.001),
        (" 7 ", "unclear", 7),
        ("1 234".replace(" ", "\u00a0"), "unclear", 1234),
        ("$1", "unclear", None),
        ("", "unclear", None),
        ("1e999", "unclear", None),
        ("9" * 500, "unclear", None),
        (True, "unclear", None),
        (float("nan"), "unclear", None),
        (2, "unclear", 2),
    ],
)
def test_numbers(cell: Any, commas: Commas, number: float | None) -> None:
    assert number_of(cell, commas) == number


@pytest.mark.parametrize(
    ("cell", "read"),
    [("1377ms", (1377.0, 1e-3)), ("1.4 s", (1.4, 1.0)), ("1,4s", (1.4, 1.0)), ("12 \u00b5s", (12.0, 1e-6)),
     ("3ns", (3.0, 1e-9)), ("2 seconds", (2.0, 1.0)), ("1.5", (1.5, None)), (3, (3.0, None)), ("soon", None),
     ("s", None)],
)  # fmt: skip
def test_durations_may_name_their_unit(cell: Any, read: tuple[float, float | None] | None) -> None:
    assert duration_of(cell, "decimal") == read


@pytest.mark.parametrize(
    ("durations", "unit"),
    [
        ([0.4, 1.4, 30.0], "seconds"),
        ([1, 2, 5000], "seconds"),
        ([1377], "milliseconds"),
        ([300, 900, 61_000], "milliseconds"),
        ([700_000, 2_000_000], "microseconds"),
        ([700_000_000, 2_000_000_000], "nanoseconds"),
        ([80, 120, 200], None),
    ],
)
def test_the_median_says_the_unit_or_nobody_can(durations: list[float], unit: str | None) -> None:
    found = unit_of(durations)
    assert (found and found[0]) == unit


NESTED = {
    "attributes": {"output.value": "a", "gen_ai.completion.0.content": "b", "output": {"value": "never"}},
    "choices": [{"message": {"content": "c"}}, {"message": {"content": "d"}}],
    "text": '{"choices": [{"text": "e"}], "a.b": {"c": "f"}}',
    "a": {"b": {"c": None}},
    "a.b": {"c": "g"},
    "broken": "{x",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("attributes.output.value", "a"),
        ('attributes."output.value"', "a"),
        ("attributes.gen_ai.completion.0.content", "b"),
        ("choices.0.message.content", "c"),
        ("choices.-1.message.content", "d"),
        ("choices.2.message.content", None),
        ("text.choices.0.text", "e"),
        ("text.a.b.c", "f"),
        ("a.b.c", "g"),
        ("broken.x", None),
        ("text.nothing", None),
        ("choices.first", None),
        ("choices.99999999999999999999", None),
        ("no.such.path", None),
        (".".join(["a"] * 500), None),
    ],
)
def test_paths(path: str, found: str | None) -> None:
    assert dig(NESTED, steps_of(path)) == found


def test_a_path_begins_with_a_column() -> None:
    columns = ["response", "a.b", "plain"]
    assert begins(columns, "response.choices.0.text")
    assert begins(columns, "a.b.c")
    assert begins(columns, '"a.b".c')
    assert begins(columns, "plain")
    assert not begins(columns, "a.c")
    assert not begins(columns, "respons")
