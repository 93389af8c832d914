"""Names that come from outside."""

from __future__ import annotations

import pytest

from monitor.actions.names import checked_name
from monitor.actions.states import InvalidAction


def test_two_spellings_of_a_name_are_one() -> None:
    assert checked_name("cafe\u0301", "key") == checked_name("caf\u00e9", "key") == "caf\u00e9"


@pytest.mark.parametrize("text", ["refund:4711", "注文/4711", "a b", "x" * 256, "\U0001f600"])
def test_any_writing_is_a_name(text: str) -> None:
    assert checked_name(text, "key") == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "1 to 256 characters, has 0"),
        ("x" * 257, "1 to 256 characters, has 257"),
        (" a", "white space"),
        ("a\n", "white space"),
        ("a\nb", r"character 2 is U\+000A"),
        ("a\x00b", r"character 2 is U\+0000"),
        ("pay\u202eelpmaxe", r"character 4 is U\+202E"),
        ("a\u2028b", r"character 2 is U\+2028"),
        ("..", "HTTP clients take out"),
        ("a\ud800", r"character 2 is U\+D800"),
    ],
)
def test_what_is_no_name_says_why(text: str, why: str) -> None:
    with pytest.raises(InvalidAction, match=f"key: .*{why}"):
        checked_name(text, "key")
