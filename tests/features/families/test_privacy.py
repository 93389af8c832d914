"""What an output gives away, beside what the input holds and what is public."""

from __future__ import annotations

import pytest

from monitor.events.redaction import find_sensitive, may_be_sensitive
from monitor.features.families.privacy import FEWEST_DIGITS, Privacy, kinds_given_away
from tests.features.columns import columns_of

CARD = "5555 5555 5555 4444"


@pytest.mark.parametrize(
    ("output", "kinds"),
    [
        (f"Your card is {CARD}.", {"identity"}),
        ("Pay to GB82 WEST 1234 5698 7654 32.", {"identity"}),
        ("Write to maria.lopez@mail.test.", {"contact"}),
        ("Her number is +49 170 1234567.", {"contact"}),
        ("Set the password: tr0ub4dor", {"secret"}),
        ("Use AKIAIOSFODNN7EXAMPLE for it.", {"secret"}),
        ("Write to support@shop.test or no-reply@shop.test, or call 0800 123 4567.", set()),
        ("Order 20231204-1123 was sent on 12.03.2025 for 1,299.00.", set()),
    ],
)
def test_kinds(output: str, kinds: set[str]) -> None:
    assert kinds_given_away(output, None) == kinds
    columns = columns_of(Privacy(), [output])
    assert {name.rsplit(".", 1)[1] for name, column in columns.items() if column[0]} == kinds


def test_what_the_user_wrote_is_no_leak() -> None:
    assert kinds_given_away("We wrote to Maria.Lopez@mail.test.", "I am maria.lopez@mail.test") == set()
    assert kinds_given_away(f"The card {CARD} is charged.", "Charge 5555-5555-5555-4444") == set()
    assert kinds_given_away("We wrote to ana@mail.test.", "I am maria.lopez@mail.test") == {"contact"}


@pytest.mark.parametrize(
    "text",
    [
        f"card {CARD}", "01 23 45 67 89", "Bearer abcDEF123456ghi", "basic QWxhZGRpbjpvcGVu", "my api key: abc123!",
        "mot de passe: x9x9x9", "the pin is 4711a", "https://user:pw1@host.test/", "-----BEGIN PRIVATE KEY-----x",
        "hf_abcdefgh12345678", "aB3" * 12, "secret_key=zz9", "clave: contrase\u00f1a: hola1",
    ],
)  # fmt: skip
def test_no_text_with_a_finding_is_passed_over(text: str) -> None:
    assert find_sensitive(text)
    digits = sum(char.isdecimal() for char in text)
    assert digits >= FEWEST_DIGITS or any(map(may_be_sensitive, text.split()))


def test_keyboards_and_shipping_are_no_reason_to_look() -> None:
    prose = "A keyboard from our shipping desk, in my opinion, with monkeys"
    assert not any(map(may_be_sensitive, prose.split(" ")))


@pytest.mark.parametrize("unit", ["sk-", "a@", "1 ", "+1(", "password ", "eyJ", "-----BEGIN ", "a.", "A1"])
def test_hostile_texts_end(unit: str) -> None:
    kinds_given_away(unit * 30_000, unit * 1_000)
