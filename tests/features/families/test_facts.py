"""Amounts, durations, percentages and dates as people write them, in many languages, and nothing else."""

from __future__ import annotations

import pytest

from monitor.events.schema import OutputEvent
from monitor.features.families.facts import MAX_FACTS, STATED, Facts, facts_of, number_of, shown
from monitor.features.keyed import with_key
from monitor.features.text.words import EventBatch, table_for
from tests.features.columns import columns_of


def stated(text: str) -> list[str]:
    return [shown(fact) for fact in facts_of(text)[0]]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Send it back within 30 days; shipping is £4.90.", ["30 days", "4.90 GBP"]),
        ("It costs $1,299.00, or USD30 a month, or 20 EUR.", ["1299 USD", "30 USD", "20 EUR"]),
        ("Der Preis ist 1.299,50 € und die Frist 14 Tage.", ["1299.50 EUR", "14 days"]),
        (
            "Tarda de 3 a 5 días hábiles y cuesta 4,90 euros, con un 10% de descuento.",
            ["5 business days", "4.90 EUR", "10 %"],
        ),
        ("Vous avez 2 semaines, soit 15 pour cent.", ["2 weeks", "15 %"]),
        ("返品は30日以内、送料は500円です。", ["30 days", "500 JPY"]),
        ("7天内退货。运费12元。", ["7 days", "12 CNY"]),
        ("Возврат в течение 14 дней, доставка 300 рублей.", ["14 days", "300 RUB"]),
        ("It takes 3-5 business days.", ["5 business days"]),
        ("Call 555-123-4567 about version 2.5.1 of order B12345, please.", []),
        ("In 2024 we tried all of it, 3 times.", []),
    ],
)
def test_values_with_their_units(text: str, values: list[str]) -> None:
    assert stated(text) == values


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,299.00", 1299), ("1.299,00", 1299), ("4,90", 4.9), ("1,299", 1299), ("0.125", 0.125), ("1'000", 1000)],
)
def test_a_number_is_read_as_it_is_written(text: str, number: float) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("Due on 2025-03-12, or 12.03.2025, or 3/12/2025.", 3),
        ("On 12 March or March 3rd, am 12. März, el 5 de mayo.", 4),
        ("3月12日に届きます。", 1),
        ("I may 3 times; page 3/4; 12.5 is a number.", 0),
    ],
)
def test_dates_have_a_day_and_a_month(text: str, dates: int) -> None:
    assert facts_of(text)[1] == dates


def test_durations_in_words() -> None:
    columns = columns_of(Facts(), ["The warranty is two years.", "a five-year plan", "one of two"])
    assert columns[STATED] == ["2 years", "5 years", None]


def test_the_features_of_one_output() -> None:
    columns = columns_of(Facts(), ["Pay $10, $30 or $20 within 2 weeks; 5 % off.", "None.", None])
    assert columns["output.facts.amount"][0] == 20
    assert columns["output.facts.duration_days"][0] == 14
    assert columns["output.facts.percentage"][0] == 5
    assert columns["output.facts.currency"] == ["USD", None, None]
    assert str(columns["output.facts.amount"][1]) == "nan"


def test_every_value_travels_by_its_name() -> None:
    family = Facts()
    events = [OutputEvent(stream="s", output="30 days or 30 days or £5"), OutputEvent(stream="s", output="no")]
    said = family.keyed(EventBatch(events, table_for([family])))
    assert said == [{with_key(STATED, "30 days"): 2.0, with_key(STATED, "5 GBP"): 1.0}, {}]


@pytest.mark.parametrize("unit", ["1", "1,", "1-", "$", "1 ", "1'", "1 de ", "12. ", "2025-", "\u0661", "1\u6708"])
def test_hostile_texts_end(unit: str) -> None:
    facts, dates = facts_of(unit * 50_000)
    assert len(facts) <= MAX_FACTS
    assert dates <= MAX_FACTS
