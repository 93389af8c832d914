from __future__ import annotations

import numpy as np
import pytest

from monitor.features.families.length import Length
from tests.features.columns import columns_of


@pytest.mark.parametrize(
    ("text", "chars", "words", "sentences", "lines"),
    [
        ("One two. Three!", 15, 3, 2, 1),
        ("No mark at the end", 18, 5, 1, 1),
        ("a\n\nb\n", 5, 2, 2, 3),
        ("- 1. first\n- 2. second", 22, 4, 2, 2),
        ("", 0, 0, 0, 0),
        (" \n ", 3, 0, 0, 0),
        ("...", 3, 0, 1, 1),
    ],
)
def test_units(text: str, chars: int, words: int, sentences: int, lines: int) -> None:
    found = columns_of(Length("output"), [text])
    assert [float(found[f"output.length.{unit}"][0]) for unit in ("chars", "words", "sentences", "lines")] == [
        chars,
        words,
        sentences,
        lines,
    ]


def test_tokens_are_the_embedding_models() -> None:
    assert columns_of(Length("output"), ["unaffable embeddings!"])["output.length.tokens"][0] == 8


def test_empty_is_a_flag_and_a_missing_output_is_missing() -> None:
    assert columns_of(Length("output"), ["x", "", " \n", None])["output.length.empty"].tolist()[:3] == [0, 1, 1]
    assert np.isnan(columns_of(Length("output"), [None])["output.length.empty"][0])


def test_input_has_no_empty_flag() -> None:
    assert "input.length.empty" not in {spec.name for spec in Length("input").features}
