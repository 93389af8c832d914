"""Placeholders of every usual syntax, and what only looks like one."""

from __future__ import annotations

import pytest

from monitor.features.families.placeholder import Placeholder, unfilled
from tests.features.columns import columns_of


@pytest.mark.parametrize(
    ("text", "placeholder"),
    [
        ("Hi {customer_name}, thanks.", "{customer_name}"),
        ("Hi {{ first_name }}!", "{{ first_name }}"),
        ("Total: ${amount}", "${amount}"),
        ("Hola $FIRST_NAME,", "$FIRST_NAME"),
        ("Dear [Your Name],", "[Your Name]"),
        ("<NAME>, your parcel is on its way.", "<NAME>"),
        ("Sehr geehrte [NACHNAME],", "[NACHNAME]"),
        ("Due <INSERT DATE HERE>.", "<INSERT DATE HERE>"),
        ("Hi <customer_name>,", "<customer_name>"),
        ("Hello %s, welcome", "%s"),
        ("Hello %(name)s, welcome", "%(name)s"),
        ("Hi %user_name%!", "%user_name%"),
        ("Hi {0}, ok", "{0}"),
        ("<%= user.name %> is here", "<%= user.name %>"),
        ("TODO: write this part", "TODO"),
        ("Lorem ipsum dolor sit amet", "Lorem ipsum"),
        ("Hello undefined, your order left.", "undefined"),
        ("Your total is NaN USD.", "NaN USD"),
        ("Order #null has left.", "null"),
        ("Name: null", "null"),
        ("It is [object Object] now.", "[object Object]"),
    ],
)
def test_syntaxes(text: str, placeholder: str) -> None:
    assert unfilled(text, "Where is my order?") == placeholder
    assert columns_of(Placeholder(), [text])["output.placeholder.first"] == [placeholder]


@pytest.mark.parametrize(
    "text",
    [
        "Write `f'{name}'` in Python.", "```js\nconsole.log(`${name}`)\n```", "1/0 is undefined, null is a value.",
        "The null hypothesis: none of it.", "The set {red, blue} has two.", r"Then \frac{abc}{def} follows.",
        "See [the page](https://a.test) and [1].", '{"name": null, "a": {"b": 1}}', "100% sure, 5 < 7 > 3.",
        'Here is the ticket: {"intent": "refund", "order": null, "x": 1}',
        "<b>bold</b> and <br>", "It costs $20 and $USD.", "[ERROR] it failed", "None of these. [sic]",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    assert unfilled(text, None) is None


def test_a_template_that_was_asked_for() -> None:
    assert unfilled("Dear [Name], ...", "Write an e-mail to my landlord") is None
    assert unfilled("Dear [Name], ...", "Can you help with my e-mail?") == "[Name]"
    assert unfilled("{plan} is a variable.", "What is {plan}?") is None


def test_columns() -> None:
    columns = columns_of(Placeholder(), ["Hi {name_of_user}!", "Hi.", None])
    assert columns["output.placeholder.unfilled"][:2].tolist() == [1, 0]
    assert columns["output.placeholder.first"] == ["{name_of_user}", "none", None]


@pytest.mark.parametrize(
    "unit", ["{", "[", "<", "%", "{{a", "[a", "[your ", "<insert ", "null ", "`", "``` ", "$", "{a.b"]
)
def test_hostile_texts_end(unit: str) -> None:
    unfilled(unit * 50_000, "x")
