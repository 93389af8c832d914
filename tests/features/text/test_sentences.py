from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.features.text.sentences import inner_stops
from monitor.features.text.static_table import default_table
from monitor.features.text.word_table import WordTable
from monitor.features.text.words import TextBatch

TABLE = WordTable({}, default_table())
COUNTS = yaml.safe_load(Path(__file__).with_name("sentence_counts.yaml").read_text(encoding="utf-8"))


def sentences(*texts: str | None) -> list[float]:
    return [float(count) for count in TextBatch(texts, TABLE).sentences]


def test_sentences_are_counted_as_a_reader_does() -> None:
    found = sentences(*(row["text"] for row in COUNTS))
    wrong = [(row, count) for row, count in zip(COUNTS, found, strict=True) if count != row["sentences"]]
    assert len(wrong) <= 0.05 * len(COUNTS), wrong


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three?", 3),
        ("See e.g. J. Smith, 1. point", 1),
        ('He said "no." Then left.', 2),
        ("Ms. Ray paid Mr. Lo in Oct. 2020. He thanked her.", 2),
        ("We moved in 2011. It was hot.", 2),
        ("It rained.Nobody came.", 2),
        ("Call np.Array or pd.DataFrame here.", 1),
        ("Steps:\n1. Open it\n2. Close it\n3. Lock it", 4),
        ("- one line\n- two lines. Both count.", 3),
        ("| a | b |\n|---|---|\n| 1 | 2 |", 2),
        ("# Head\nText under it.", 2),
        ("a line that was\nwrapped by hand.", 1),
        ("Done:\n```py\nx = 1. \ny = 2.\n```\nGood.", 2),
        ("\u4f60\u597d\u3002\u518d\u89c1\uff01", 2),
        ("\u4ed6\u8bf4\uff1a\u201c\u597d\u3002\u201d", 1),
        ("\u00bfQu\u00e9 tal? \u00a1Bien!", 2),
        ("\u0938\u0939\u0940\u0964 \u0917\u0932\u0924\u0964", 2),
        ("\u0646\u0639\u0645\u061f \u0644\u0627.", 2),
        ("\u03a0\u03bf\u03cd; \u0395\u03b4\u03ce.", 2),
        ("Is it `null?` or not?", 1),
        ("Use `f.` first. Then `g!` too.", 2),
        ("It rained (a lot!) and we left.", 1),
        ("(It rained.) We left.", 2),
        ("...", 1),
        ("---", 0),
        ("", 0),
    ],
)
def test_sentence_ends(text: str, count: int) -> None:
    assert sentences(text) == [count]


def test_a_script_without_marks_has_no_count() -> None:
    thai = (
        "\u0e02\u0e2d\u0e1a\u0e04\u0e38\u0e13\u0e04\u0e23\u0e31\u0e1a \u0e1e\u0e23\u0e38\u0e48\u0e07\u0e19\u0e35\u0e49"
    )
    assert np.isnan(sentences(thai)[0])


def test_a_forgotten_space_is_told_from_a_dotted_name() -> None:
    assert inner_stops("done.The") == 1
    assert inner_stops("os.Path") == inner_stops("example.com") == inner_stops("3.Next") == 0


@settings(max_examples=100)
@given(
    st.lists(
        st.none()
        | st.text(max_size=60)
        | st.lists(
            st.sampled_from(
                ["One.", "two", "3.", "Dr.", "\n", "\n\n", "- ", "| x |", '"a', 'b."', "`c", "d`", "U.S.", "It"]
            ),
            max_size=20,
        ).map(" ".join),
        max_size=5,
    )
)
def test_a_text_counts_the_same_alone_and_in_any_batch(texts: list[str | None]) -> None:
    np.testing.assert_array_equal(sentences(*texts), [sentences(text)[0] for text in texts])
