from __future__ import annotations

import random

import numpy as np
import pytest

from monitor.features.families.repetition import Repetition
from tests.features.columns import columns_of

WORDS = [f"{a}{b}" for a in "bcdfghklmnprst" for b in ("ale", "ome", "ine", "urk", "ask")]


def prose(words: int, seed: int) -> str:
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(words))


@pytest.mark.parametrize("period", [1, 2, 7, 25])
def test_a_loop_is_found_whatever_its_period(period: int) -> None:
    turn = " ".join(WORDS[:period])
    stuck = f"{prose(40, 1)} {' '.join([turn] * (100 // period))}"
    found = columns_of(Repetition(), [stuck])
    assert found["output.repetition.loop"][0] == 1
    assert found["output.repetition.longest"][0] == pytest.approx(
        100 // period * period / (40 + 100 // period * period)
    )


@pytest.mark.parametrize("text", [prose(200, 2), "very, very, very good", "one two " * 2, "-" * 300, "=" * 80 + " a b"])
def test_no_loop(text: str) -> None:
    assert columns_of(Repetition(), [text])["output.repetition.loop"][0] == 0


def test_a_loop_without_spaces() -> None:
    assert columns_of(Repetition(), ["haha" * 30])["output.repetition.loop"][0] == 1


def test_repeated_trigrams_and_vocabulary() -> None:
    once = prose(30, 3)
    found = columns_of(Repetition(), [" ".join(WORDS[:30]), f"{once} x {once.upper()}!"])
    trigrams = found["output.repetition.trigrams"]
    assert trigrams[0] == 0
    assert trigrams[1] == pytest.approx(28 / 59)
    assert found["output.repetition.ttr"][0] == 1
    assert found["output.repetition.ttr"][1] < 0.9


def test_short_texts_have_no_vocabulary_ratio() -> None:
    found = columns_of(Repetition(), ["too short", ""])
    assert np.isnan(found["output.repetition.ttr"]).all()
    assert np.isnan(found["output.repetition.trigrams"]).all()


@pytest.mark.parametrize(
    "sentence",
    [
        "请稍后再试\uff0c系统正忙。",
        "少々お待ちください。",
        "กรุณาลองใหม่อีกครั้ง",
    ],
)
def test_loops_without_spaces_are_seen_by_their_characters(sentence: str) -> None:
    looped, once = sentence * 12, sentence
    found = columns_of(Repetition(), [looped, once, f"前置。{looped}"])
    assert found["output.repetition.loop"].tolist() == [1, 0, 1]
    assert found["output.repetition.trigrams"][0] > 0.8 > found["output.repetition.trigrams"][1]


def test_a_long_chinese_text_without_a_loop_has_none() -> None:
    text = (
        "火车九点出发\uff0c中午之前到达。山里会下雨\uff0c请带上外套和防水的鞋子。我们在门口见面\uff0c然后一起去吃午饭。"
    )
    found = columns_of(Repetition(), [text])
    assert found["output.repetition.loop"][0] == 0
    assert 0.8 < found["output.repetition.ttr"][0] <= 1
