from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from monitor.events.schema import OutputEvent
from monitor.features.families.format import Format
from monitor.features.text.endings import SENTENCE_END, is_truncated, kind_of_end, without_signature
from monitor.features.text.words import EventBatch, table_for

TEXTS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "endings_texts.yaml").read_text(encoding="utf-8"))
LANGUAGES = [language for language in TEXTS if TEXTS[language]["bodies"]]


def complete(language: str) -> list[str]:
    own = TEXTS[language]
    return [(body + ending).strip() for body in own["bodies"] for ending in own["endings"]] + own["whole"]


@pytest.mark.parametrize("language", TEXTS)
def test_complete_answers_are_not_cut_whatever_they_end_with(language: str) -> None:
    for reason in (None, "stop"):
        assert [text[-60:] for text in complete(language) if is_truncated(text, reason)] == []


@pytest.mark.parametrize(("reason", "least"), [(None, 0.9), ("stop", 0.6)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_cut_inside_a_sentence_are_recognised(language: str, reason: str | None, least: float) -> None:
    rng = np.random.default_rng(3)
    cut = []
    while len(cut) < 300:
        body = TEXTS[language]["bodies"][rng.integers(len(TEXTS[language]["bodies"]))]
        at = int(len(body) * rng.uniform(0.3, 0.9))
        before = body[:at].strip()
        if before[-1] not in SENTENCE_END and body[at] not in SENTENCE_END:
            cut.append(before)
    assert np.mean([is_truncated(text, reason) for text in cut]) >= least


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens"])
def test_a_limit_named_as_the_reason_is_a_cut(reason: str) -> None:
    assert is_truncated("A whole sentence.", reason)
    assert not is_truncated("A whole sentence.", "stop")
    batch = EventBatch([OutputEvent(stream="s", output='{"a": 1}', finish_reason=reason)], table_for([Format()]))
    assert list(Format().extract(batch)["output.format.truncated"]) == [1.0]


@pytest.mark.parametrize(
    "text",
    [
        "We did it. It was (as you",
        "We did it. It was **very",
        "He said that “never",
        "Er sagte „niemals",
        "彼は「あきらめ",
        "| a | b |\n|---|---|\n| c | d",
        "Your parcel left. It will arrive, we hope, and",
        "注文は発送されました。荷物は、",
        "تم إرسال طلبك. سيصل الطرد،",
    ],
)
def test_what_is_left_open_is_a_cut_though_the_model_stopped(text: str) -> None:
    assert is_truncated(text, "stop")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Your order was shipped.", "sentence"),
        ("Your order was shipped. Kind regards, the support team", "sentence"),
        ("Your order was shipped.\n\nBest regards,\nAnna\nAcme 24", "sentence"),
        ("Haben Sie noch Fragen? Mit freundlichen Grüßen\nIhr Kundendienst", "question"),
        ("Your order was shipped 😊", "letter"),
        ("Your order was shipped. 🎉", "sentence"),
        ("ご連絡ください。\n\n敬具\nサポートチーム", "sentence"),
        ("क्या यह ठीक है। सादर, सहायता टीम", "sentence"),
        ("هل وصل طلبك؟", "question"),
        ("Kind regards, Anna", "letter"),
        ("Room 12", "letter"),
        ('She said "yes"', "quote"),
        ("Here it is:", "colon"),
        ('{"a": 1}', "bracket"),
        ("```\nx\n```", "fence"),
        ("| a | b |", "table"),
        ("🎉", "symbol"),
    ],
)
def test_kinds_of_ends_do_not_depend_on_who_signed(text: str, kind: str) -> None:
    assert kind_of_end(text) == kind


def test_a_signature_is_taken_off_and_a_sentence_is_not() -> None:
    assert without_signature("It works. Best regards,\nTom Miller\nAcme Ltd\nTel. 030 123456") == "It works."
    sentence = "Best regards to everybody who wrote the long letter that we read today. It was kind of them to send it"
    for text in (sentence, "Kind regards", "It works"):
        assert without_signature(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "word " * 200_000 + "end",
        "(" * 300_000 + "a",
        "Best regards\n" * 50_000 + "x",
        "a. " * 200_000 + "b",
        "-",
    ],
    ids=range(5),
)
def test_only_the_end_of_a_long_text_is_read(text: str) -> None:
    class Counted(str):
        """A text that counts the characters that are taken out of it."""

        read = 0

        def __getitem__(self, key: Any) -> str:
            found = super().__getitem__(key)
            Counted.read += len(found)
            return found

    is_truncated(Counted(text))
    kind_of_end(Counted(text))
    assert Counted.read <= 2 * len(text) + 5_000
