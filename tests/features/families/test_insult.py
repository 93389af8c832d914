"""Insults as whole words, in many languages, and not those that the input holds."""

from __future__ import annotations

import pytest

from monitor.features.families.insult import Insult
from tests.features.columns import columns_of


def said(output: str, asked: str | None = None) -> float:
    return float(columns_of(Insult(), [output], [asked])["output.insult.said"][0])


@pytest.mark.parametrize(
    "text",
    [
        "What a stupid question.", "You IDIOT!", "Was für eine dumme Frage.", "Qué pregunta tan estúpida.",
        "Quelle question stupide.", "Que pergunta estúpida.", "Какой дурацкий вопрос.", "तुम मूर्ख हो।", "أنت غبي.",
        "তুমি বোকা।", "تم بیوقوف ہو", "Kamu bodoh.", "你这个笨蛋。", "馬鹿野郎、自分で読め。",
    ],
)  # fmt: skip
def test_insults(text: str) -> None:
    assert said(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe and Essex are towns.",
        "A classic assessment.",
        "Der Dummy steht da.",
        "Jerk chicken for your dog",
        "El puto",
        "Thanks!",
        "",
    ],
)
def test_parts_of_words_are_none(text: str) -> None:
    assert said(text) == float(text == "El puto")


def test_a_quoted_word_is_not_said() -> None:
    assert said("Why does he call you an idiot?", "He called me an idiot.") == 0
    assert said("You are the idiot, you moron.", "He called me an idiot.") == 1
    assert said("「馬鹿野郎」と言われましたか。", "馬鹿野郎と言われた") == 0
