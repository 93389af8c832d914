from __future__ import annotations

import pytest

from monitor.features.text.scripts import words_in
from monitor.features.text.static_table import default_table
from monitor.features.text.word_table import WordTable
from monitor.features.text.words import TextBatch

TABLE = WordTable({}, default_table())


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("Two words.", 2, 2),
        ("\u6211\u4eec\u660e\u5929\u53bb\u516c\u56ed\u6563\u6b65\u3002", 4, 7),  # 5 words, 9 characters
        ("\u660e\u65e5\u53cb\u9054\u3068\u6620\u753b\u3092\u898b\u307e\u3059\u3002", 5, 8),
        (
            "\u0e09\u0e31\u0e19\u0e0a\u0e2d\u0e1a\u0e2d\u0e48\u0e32\u0e19\u0e2b\u0e19\u0e31\u0e07\u0e2a\u0e37\u0e2d",
            3,
            6,
        ),
        ("\ub0b4\uc77c \ubd10\uc694.", 2, 2),
        ("\u4f7f\u7528 Redis \u7f13\u5b58", 3, 4),
        ("\u3002", 0, 0),
    ],
)
def test_words_are_estimated_where_no_spaces_are_written(text: str, least: int, most: int) -> None:
    assert least <= TextBatch([text], TABLE).words[0] <= most


def test_a_name_between_ideographs_is_one_word() -> None:
    assert words_in("\u7528Redis\u5427") == pytest.approx(1 + 2 / 1.6)


def test_an_embedding_of_pieces_that_the_model_does_not_know_is_missing() -> None:
    khmer, english, chinese = TextBatch(
        ["\u179f\u17bc\u1798\u17a2\u179a\u1782\u17bb\u178e", "a letter", "\u4eca\u5929\u5929\u6c14\u597d"], TABLE
    ).embedding
    assert not khmer.any()
    assert english.any()
    assert chinese.any()
