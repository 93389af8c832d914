from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.events.schema import OutputEvent
from monitor.features.families.tone import Tone
from monitor.features.text.tone_words import default_lexicon, listed_lexicon
from monitor.features.text.words import EventBatch, table_for

FAMILY = Tone()
WORDS = table_for([FAMILY])


def measure(*outputs: str | None) -> dict[str, NDArray[np.float32]]:
    batch = EventBatch([OutputEvent(stream="s", output=output) for output in outputs], WORDS)
    return {name.removeprefix("output.tone."): np.asarray(column) for name, column in FAMILY.extract(batch).items()}


LISTED = Tone(listed_lexicon())
LISTED_WORDS = table_for([LISTED])


def sentiment(*outputs: str) -> list[float]:
    """By the listed words alone: the rules are VADER's, whatever valence other words get."""
    batch = EventBatch([OutputEvent(stream="s", output=output) for output in outputs], LISTED_WORDS)
    return [float(value) for value in np.asarray(LISTED.extract(batch)["output.tone.sentiment"])]


def compound(total: float) -> float:
    return float(total / np.sqrt(total * total + 15))


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("The plot was good", 1.9),
        ("The plot was not good", 1.9 * -0.74),
        ("The plot was very good", 1.9 + 0.293),
        ("The plot was very very good", 1.9 + 0.293 * 1.95),
        ("The plot was slightly good", 1.9 - 0.293),
        ("The plot was VERY good", 1.9 + 0.293 + 0.733),
        ("The plot was GOOD", 1.9 + 0.733),
        ("THE PLOT WAS GOOD", 1.9),
        ("The plot was good!!", 1.9 + 2 * 0.292),
        ("The plot was bad!!", -2.5 - 2 * 0.292),
        ("The plot was very bad", -2.5 - 0.293),
        ("Good plot but bad acting", 0.5 * 1.9 - 1.5 * 2.5),
        ("We had no problems", -1.7 * -0.74),
        ("No", -1.2),
        ("I did not see it", -0.5),
        ("We met :)", 2.0),
    ],
)
def test_sentiment_follows_vaders_rules(text: str, total: float) -> None:
    assert sentiment(text) == pytest.approx([compound(total)], abs=1e-5)


def test_but_reaches_to_the_end_of_its_sentence_only() -> None:
    assert sentiment("A good start. A fine day but a bad end. A good cast.") == pytest.approx(
        [compound((1.9 + 0.5 * 0.8 - 1.5 * 2.5 + 1.9) / np.sqrt(3))], abs=1e-5
    )


def test_negation_does_not_reach_over_the_end_of_a_text() -> None:
    together = sentiment("It is not", "good")
    assert together[0] == pytest.approx(compound(-0.5), abs=1e-5)
    assert together[1] == pytest.approx(compound(1.9), abs=1e-5)


def test_a_word_that_no_list_rates_has_a_weak_valence_of_its_kind() -> None:
    awful, lovely = measure("It was wretched.", "It was pleasingly done.")["sentiment"]
    assert -0.3 < awful < 0 < lovely < 0.3
    assert sentiment("It was wretched.") == [0]


def test_a_long_happy_text_is_not_saturated() -> None:
    once, often = sentiment("It is a good day.", "It is a good day. " * 30)
    assert once < often < 0.96


def test_emoji_bear_sentiment() -> None:
    happy, sad = sentiment("Done 😍", "Done 😭")
    assert happy > 0 > sad


def test_rates_are_per_hundred_words() -> None:
    found = measure("I am sorry, you might perhaps want to thank us! Damn fucking queue?")
    words = 13
    assert found["apology"][0] == pytest.approx(100 / words)
    assert found["hedging"][0] == pytest.approx(200 / words)
    assert found["courtesy"][0] == pytest.approx(100 / words)
    assert found["first_person"][0] == pytest.approx(200 / words)
    assert found["second_person"][0] == pytest.approx(100 / words)
    assert found["profanity"][0] == 1
    assert found["exclamations"][0] == 0.5
    assert found["questions"][0] == 0.5


def test_enthusiasm_counts_strong_words_and_exclamation_marks() -> None:
    calm, keen = measure("That is a decent result we can use.", "Wow! That is an amazing, wonderful result!")[
        "enthusiasm"
    ]
    assert calm == 0
    assert keen == pytest.approx(100 * 5 / 7)


def test_reading_grade_is_flesch_kincaid() -> None:
    assert measure("The cat sat on the mat.")["reading_grade"][0] == pytest.approx(0.39 * 6 + 11.8 - 15.59, abs=1e-4)
    easy, hard = measure(
        "The cat sat. It ate.",
        "Notwithstanding considerable deliberation, the administration reconsidered infrastructural implementation.",
    )["reading_grade"]
    assert easy < 2 < 12 < hard


def test_formality_tells_a_report_from_a_chat() -> None:
    report, chat = measure(
        "The implementation of the regulation in the region led to a reduction of emissions.",
        "hey, yeah so i don't really know what you're doing, lol it's kinda cool",
    )["formality"]
    assert report > 60 > 30 > chat


def test_without_words_rates_are_missing_and_without_output_everything_is() -> None:
    nothing, empty, marks = range(3)
    found = measure(None, "", "?!")
    assert all(np.isnan(column[nothing]) for column in found.values())
    for name in ("hedging", "reading_grade", "formality", "enthusiasm"):
        assert np.isnan(found[name][empty])
        assert np.isnan(found[name][marks])
    assert found["sentiment"][empty] == 0
    assert found["questions"][marks] == 1


@settings(max_examples=100)
@given(
    outputs=st.lists(
        st.none()
        | st.text(max_size=80)
        | st.lists(
            st.sampled_from(
                ["good", "BAD", "not", "no", "but", "very", "you", "sorry", "end.", "wow!", "😀", "\ud800", "a\x00"]
            ),
            max_size=20,
        ).map(" ".join),
        max_size=6,
    )
)
def test_a_text_measures_the_same_alone_and_in_any_batch(outputs: list[str | None]) -> None:
    together = measure(*outputs)
    for row, output in enumerate(outputs):
        for name, column in measure(output).items():
            np.testing.assert_array_equal(column[0], together[name][row], err_msg=name)


HOSTILE: Sequence[str] = (
    "x" * 1_000_000,
    "!" * 1_000_000,
    "good but not bad no " * 50_000,
    "no " * 300_000,
    "\ud800 " * 100_000,
    "\x00" * 100_000,
    "😀" * 200_000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_measured(text: str) -> None:
    found = measure(text)
    assert -1 <= found["sentiment"][0] <= 1


def test_a_hostile_text_in_another_script_has_no_english_sentiment() -> None:
    assert np.isnan(measure("\u202e\u0634 " * 100_000)["sentiment"][0])


def test_the_lexicon_is_what_its_sources_say() -> None:
    lexicon = default_lexicon()
    assert lexicon.valence["good"] == 1.9
    assert "h" in lexicon.classes["perhaps"]
    assert "n" in lexicon.classes["never"]
    assert "b" in lexicon.classes["extremely"]
    assert "d" in lexicon.classes["hardly"]
    assert "p" in lexicon.classes["bullshit"]
    assert not any("p" in lexicon.classes.get(word, "") for word in ("hello", "class", "cock-up", "assess", "rape"))
    assert "😀" in lexicon.emoji


def test_sentiment_agrees_with_vader_where_their_rules_are_the_same() -> None:
    vader = pytest.importorskip("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    texts = [
        "This is a great phone and I love the screen",
        "The service was terrible and the food was awful",
        "Support was extremely helpful and friendly",
        "It is not a bad camera",
        "The worst purchase ever",
    ]
    assert sentiment(*texts) == pytest.approx([vader.polarity_scores(text)["compound"] for text in texts], abs=0.06)


FOREIGN = [
    "Die Lieferung war gestern da, und die Rechnung liegt in Ihrem Konto bereit.",
    "La livraison est en route et vous trouverez la facture dans votre compte.",
    "El pedido sale hoy y la factura está en su cuenta desde ayer.",
    "De levering komt morgen en de rekening staat in uw account.",
    "注文は明日届きます。",
    "Заказ придёт завтра.",
]


@pytest.mark.parametrize("text", FOREIGN)
def test_english_lexicons_say_nothing_of_other_languages(text: str) -> None:
    found = measure(text)
    for name in ("sentiment", "formality", "hedging", "courtesy", "first_person", "second_person", "reading_grade"):
        assert np.isnan(found[name][0]), name
    assert found["exclamations"][0] == 0


@pytest.mark.parametrize(
    "text", ["lol ok", "Gr8 thx!!", "Yes.", "COVID-19 hits Qatar", "https://example.com/de/die", "42"]
)
def test_short_and_odd_english_keeps_its_sentiment(text: str) -> None:
    assert np.isfinite(measure(text)["sentiment"][0])


@pytest.mark.parametrize(
    "text",
    [
        "Sorry about that.",
        "Das tut mir leid.",
        "Lo siento mucho.",
        "Désolé pour le retard.",
        "Desculpe a demora.",
        "Извините.",
        "抱歉\uff0c晚了。",
        "申し訳ありません。",
        "نعتذر عن التأخير.",
        "देरी के लिए खेद है।",
        "দুঃখিত।",
        "معذرت\u06d4",
        "Mohon maaf.",
        "Ci scusiamo, mi dispiace.",
        "죄송합니다.",
    ],
)
def test_apologies_in_the_languages_most_spoken(text: str) -> None:
    assert measure(text)["apology"][0] > 0


@pytest.mark.parametrize("text", ["Die Bestellung ist da.", "No hay nada.", "订单已发货。", "It leads the way."])
def test_no_apology_where_there_is_none(text: str) -> None:
    assert measure(text)["apology"][0] == 0


@pytest.mark.parametrize(
    ("text", "exclamations", "questions"),
    [
        ("\u00a1Hola! \u00bfTodo bien?", 0.5, 0.5),
        ("真的吗\uff1f太好了\uff01", 0.5, 0.5),
        ("هل وصل\u061f", 0, 1),
        ("Πού είναι;", 0, 1),
        ("See https://example.com/?a=1 now.", 0, 0),
        ("Run `!ls` and `a ? b : c` here.", 0, 0),
        ("Use x != y, or a?.b there.", 0, 0),
        ("Do:\n```rust\nassert!(true);\n```\nDone.", 0, 0),
        ("![plot](plot.png) shows it.", 0, 0),
        ('He cried "Never ever again!" and left.', 0, 0),
    ],
)
def test_marks_of_every_script_count_in_prose_alone(text: str, exclamations: float, questions: float) -> None:
    found = measure(text)
    assert [found["exclamations"][0], found["questions"][0]] == [exclamations, questions]


def test_the_tone_of_code_and_quotations_is_not_the_speakers() -> None:
    plain, with_code, quoting = measure(
        "The script works.",
        "The script works.\n```\nfail awful hate kill\n```",
        "The script works.\n\n> I hate this awful thing.",
    )["sentiment"]
    assert plain == with_code == quoting
