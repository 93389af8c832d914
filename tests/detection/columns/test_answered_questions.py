"""The same question answered with other numbers: what is kept of a reference, and what is found."""

from __future__ import annotations

import random
from collections.abc import Callable

from monitor.detection import Finding, StreamMonitor
from monitor.detection.columns.answered_questions import (
    MAX_ANSWERS,
    MAX_QUESTIONS,
    MIN_REPEATED_ROWS,
    AnsweredQuestions,
)
from monitor.detection.columns.categories import ABSENT
from monitor.detection.columns.keyed_columns import KeyedColumnsState
from monitor.detection.columns.known_values import NONE_NEW
from monitor.detection.state.snapshot_codec import from_plain, to_plain
from monitor.events.schema import OutputEvent
from monitor.features.families.facts import QUESTION_KEY, STATED
from monitor.features.keyed import Keyed, with_key
from monitor.features.registry import build_featurizer

FEATURIZER = build_featurizer(("length", "facts"), "off")
CHANGE = 700


def row(question: str | None, *values: str) -> Keyed:
    stated: dict[str, float | str] = {with_key(STATED, value): 1.0 for value in values}
    return stated if question is None else stated | {QUESTION_KEY: question}


def settled(rows: int = 30) -> list[Keyed]:
    return [row(f"q{n % 3}", f"{10 + n % 3} days", "4 GBP") for n in range(rows)]


def test_other_values_for_the_same_question_are_named_with_the_ones_they_replace() -> None:
    answered = AnsweredQuestions.of(settled())
    assert answered is not None
    later = [
        row("q0", "10 days", "4 GBP"),
        row("q0", "4 GBP", "10 days"),  # in another order
        row("q0", "12 days", "4 GBP"),  # known, but of another question
        row("q1", "4 GBP"),
        row("q1", "11 days", "4 GBP", "7 %"),
        row("q9", "11 days"),
        row(None, "99 days"),
        {},
    ]
    expected = [NONE_NEW, NONE_NEW, "10 days, now 12 days", "11 days no longer", "now 7 %, too", ABSENT, ABSENT, ABSENT]
    assert answered.other_values(later, learning=False) == expected
    again = AnsweredQuestions.from_state(answered.to_state())
    assert again.other_values(later, learning=False) == expected


def test_a_reference_is_compared_with_its_other_rows() -> None:
    rows = [*settled(), row("q0", "99 days"), row("once", "5 days")]
    answered = AnsweredQuestions.of(rows)
    assert answered is not None
    said = answered.other_values(rows, learning=True)
    assert said.count(NONE_NEW) == 30
    assert said[-2:] == ["10 days, now 99 days", ABSENT]


def test_answers_that_differ_from_row_to_row_are_not_watched() -> None:
    rng = random.Random(1)
    assert AnsweredQuestions.of([row(f"q{n % 5}", f"{rng.randrange(900)} GBP") for n in range(200)]) is None
    assert AnsweredQuestions.of([row(f"q{n}", "5 GBP") for n in range(200)]) is None, "no question repeats"
    assert AnsweredQuestions.of(settled(MIN_REPEATED_ROWS - 1)) is None
    assert AnsweredQuestions.of([{}] * 50) is None


def test_its_memory_is_bounded() -> None:
    many = [row(f"q{n // 2}", "5 GBP") for n in range(4 * MAX_QUESTIONS)]
    unsettled = [row("many", f"{n // 8} days") for n in range(8 * (MAX_ANSWERS + 1))]
    answered = AnsweredQuestions.of(many + unsettled)
    assert answered is not None
    state = answered.to_state()
    assert len(state) == MAX_QUESTIONS
    assert "many" not in dict(state)


def test_states_of_before_have_no_answers() -> None:
    old = to_plain(KeyedColumnsState(["output.json.key[a]"], None))[:2]
    assert from_plain(old, KeyedColumnsState).answered is None


def test_the_same_question_is_recognised_whatever_its_case_and_punctuation() -> None:
    asked = ["How much is it?", "how much  is it", "How much is THAT?", None, "???"]
    events = [OutputEvent(stream="s", id=str(n), input=text, output="It costs 5 GBP.") for n, text in enumerate(asked)]
    keyed = FEATURIZER.featurize(events, source="t").keyed
    assert keyed is not None
    first, again, other, missing, marks = [each.get(QUESTION_KEY) for each in keyed]
    assert first == again
    assert first != other
    assert missing is marks is None
    silent = FEATURIZER.featurize([OutputEvent(stream="s", id="1", input="How?", output="Like that.")], source="t")
    assert silent.keyed is None


def found_in(price: Callable[[random.Random, int, int], float]) -> list[Finding]:
    """A catalogue of 400 products, some asked for often: `price` by product and row."""
    rng = random.Random(5)
    events = []
    for number in range(1_100):
        product = int(400 * rng.random() ** 4)
        text = f"The lamp number {product} costs {price(rng, product, number):.2f} GBP."
        events.append(
            OutputEvent(stream="s", id=str(number), time=30.0 * number, input=f"Price of lamp {product}?", output=text)
        )
    monitor = StreamMonitor("s", specs=FEATURIZER.specs)
    rows = FEATURIZER.featurize(events, source="t")
    found = []
    for start in range(0, len(rows), 50):
        found += monitor.observe(rows.rows(start, start + 50))
    return [finding for finding in found + monitor.close() if finding.opens]


def usual(product: int) -> float:
    return 5 + product * 7 % 390 + 0.9


def test_prices_that_are_swapped_are_found_though_each_is_a_price_of_the_catalogue() -> None:
    found = found_in(lambda _, product, number: usual(product if number < CHANGE else (product * 3 + 1) % 400))
    assert found
    assert found[0].began_at is not None
    assert found[0].began_at.index >= CHANGE - 20
    named = [change.name for change in found[0].features]
    assert any(name.startswith("output.facts.other_answer") for name in named)


def test_a_catalogue_whose_prices_stay_raises_nothing() -> None:
    assert not found_in(lambda _, product, __: usual(product))
    assert not found_in(lambda rng, _, __: rng.randrange(5, 400) + 0.9), "answers that depend on more than the question"
