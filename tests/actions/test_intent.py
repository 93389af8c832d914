"""Canonical JSON by the numbers of RFC 8785, and what has no fingerprint."""

from __future__ import annotations

import json
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.actions.intent import canonical_json, fingerprint, text_hash
from monitor.actions.states import InvalidAction

RFC_8785_APPENDIX_B = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "written"), RFC_8785_APPENDIX_B.items())
def test_numbers_are_written_as_the_standard_has_them(bits: str, written: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(number) == written.encode()


def test_names_are_in_the_order_of_utf_16_and_texts_escaped_as_little_as_possible() -> None:
    value = {"\uff21": 1, "\U0001f600": 2, "\u20ac": 3, "\r": 4, "1": 5, "a": '\u000f\n"\\<\u00f6'}
    expected = '{"\\r":4,"1":5,"a":"\\u000f\\n\\"\\\\<\u00f6","\u20ac":3,"\U0001f600":2,"\uff21":1}'
    assert canonical_json(value).decode() == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé", max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_what_is_written_reads_back_and_is_written_the_same(value: object) -> None:
    written = canonical_json(value)
    assert canonical_json(json.loads(written)) == written


def test_two_spellings_are_one_fingerprint_and_two_amounts_are_two() -> None:
    one = fingerprint({"to": "cafe\u0301@x.example", "amount": 12})
    assert one == fingerprint({"amount": 12.0, "to": "caf\u00e9@x.example"})
    assert one != fingerprint({"amount": 12.01, "to": "caf\u00e9@x.example"})
    assert text_hash("caf\u00e9") != text_hash("cafe\u0301")  # an approval is of the exact words
    assert text_hash(None) == ""


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"amount": 2**53 + 1}, "fields.amount: is a whole number that readers of JSON round"),
        ({"amount": 10**400}, "fields.amount: is a whole number that readers of JSON round"),
        ({"amount": float("nan")}, "fields.amount: must be a finite number"),
        ({"to": ["a", {"b": Decimal(1)}]}, r"fields.to\[1\].b: is of type Decimal, .* write it as a text"),
        ({"to": "\ud800"}, "fields.to: holds half of a surrogate pair"),
        ({"caf\u00e9": 1, "cafe\u0301": 2}, "fields.caf\u00e9: stands there twice, in two forms of Unicode"),
        ({"a": nested(40)}, "is nested deeper than 32 levels"),
        ({1: 2}, "fields: has a name that is no text"),
    ],
)
def test_what_json_cannot_hold_exactly_has_no_fingerprint(fields: dict[str, object], error: str) -> None:
    with pytest.raises(InvalidAction, match=error):
        fingerprint(fields)
