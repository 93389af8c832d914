from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from monitor.features.families.noise import Noise
from tests.features.columns import columns_of
from tests.shared_data import shared


def score_of(*texts: str | None) -> list[float]:
    found: list[float] = columns_of(Noise(), ["x"] * len(texts), texts)["input.noise.score"].tolist()
    return found


def test_misspelling_is_noise_and_both_spellings_are_right() -> None:
    wrong, right, british, american = score_of(
        "i dont knwo wat u mean", "I don't know what you mean", "my favourite colour", "my favorite color"
    )
    assert wrong == pytest.approx(4 / 6)
    assert right == british == american == 0


def test_handles_links_and_numbers_are_not_spelt() -> None:
    assert score_of("@someoneee see #thhis at https://exmaple.org/qwrt or mail a.b@c.dd 12345 v2.3") == [0]


def test_other_languages_are_not_misspelt_english() -> None:
    german = "Warum kann ich mich heute nicht bei meinem Konto anmelden, obwohl das Passwort stimmt?"
    found = columns_of(Noise(), ["x"] * 2, [german, "Почему я не могу войти сегодня?"])
    assert np.isnan(found["input.noise.misspelt"]).all()
    assert found["input.noise.score"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "text",
    [
        "broken \ufffd\ufffd text",
        "caf\u00c3\u00a9 and na\u00c3\u00afve",
        "bell \x07 and null \x00",
        "p\u0430ypal account",
    ],
)
def test_odd_characters_and_mixed_scripts_are_noise(text: str) -> None:
    assert score_of(text)[0] > score_of("broken text and account and bell")[0]


def test_emoji_and_persian_joiners_are_not_odd() -> None:
    found = columns_of(Noise(), ["x"], ["good \U0001f468\u200d\U0001f469\u200d\U0001f467 day \u2764\ufe0f"])
    assert found["input.noise.odd_characters"].tolist() == [0]
    assert found["input.noise.mixed_scripts"].tolist() == [0]


def test_no_input_no_noise() -> None:
    assert np.isnan(score_of(None, "")).all()


def test_a_misspelt_message_is_noisier_than_its_normal_form() -> None:
    with gzip.open(shared("lexnorm2015_slang.jsonl.gz"), "rt", encoding="utf-8") as lines:
        pairs = [(row["text"], row["normalised"]) for row in map(json.loads, lines)]
    pairs = [pair for pair in pairs if pair[0].lower() != pair[1].lower()]
    written, normal = (np.array(score_of(*side)) for side in zip(*pairs, strict=True))
    assert (written > normal).mean() >= 0.75
    assert (written < normal).mean() <= 0.02
