from __future__ import annotations

import numpy as np
import pytest

from monitor.features.families.overlap import Overlap
from tests.features.columns import columns_of

SOURCE = "The Zephyr gearbox of 1987 has seven gears and a magnesium housing."


def test_copying_is_the_share_of_trigrams() -> None:
    found = columns_of(
        Overlap(), [SOURCE, "Completely different words stand here.", "THE ZEPHYR GEARBOX costs"], [SOURCE] * 3
    )
    assert found["output.overlap.copied"].tolist() == [1, 0, 0.5]


def test_grounded_is_the_share_of_content_words() -> None:
    found = columns_of(Overlap(), ["It has a magnesium housing.", "It has a titanium housing from 1991."], [SOURCE] * 2)
    assert found["output.overlap.grounded"][0] == 1
    assert found["output.overlap.grounded"][1] == pytest.approx(1 / 3)


def test_similarity_is_one_for_the_same_words_in_any_order() -> None:
    found = columns_of(Overlap(), ["gears and housing", "a poem about the sea"], ["housing and gears"] * 2)
    similarity = found["output.overlap.similarity"]
    assert similarity[0] == pytest.approx(1, abs=1e-5)
    assert similarity[1] < 0.8


def test_without_an_input_there_is_nothing_to_compare() -> None:
    found = columns_of(Overlap(), ["some words are here", "and here again too", ""], [None, "", "x"])
    assert all(np.isnan(column).all() for column in found.values())


def test_a_row_compares_with_its_own_input_only() -> None:
    found = columns_of(Overlap(), ["alpha beta gamma", "alpha beta gamma"], ["alpha beta gamma", "other words here"])
    assert found["output.overlap.copied"].tolist() == [1, 0]
