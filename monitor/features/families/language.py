"""Language and script of a text.

English is told by its own frequent words, in the one pass. What is not clearly English goes to the identifier of Lui
and Baldwin (langid.py, 2012) in its maintained form `py3langid` (BSD), which brings its model, on a prefix only: 97
languages, some 50 us a text. Scripts are ISO 15924 codes. May import its neighbours in this package only.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind, Role
from monitor.features.text.words import EventBatch, Side, TextBatch

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier


UNDETERMINED = "und"
"""ISO 639-2: there are letters, but too few or too mixed to tell their language."""
_MARKED = 0.12  # share of English marker words among words; running English has 0.25 to 0.5, other languages below 0.03
_MARKED_SHORT = 0.3  # ... where there are fewer than ten words
_SPELT = 0.85  # or this share of words spelt right, for headlines and keywords without function words
_SPELT_MARKED = 0.6  # or less of both together, for chat
_MARKED_SPELT = 0.05
_PREFIX = 300  # characters shown to the identifier: beyond them it hardly changes its mind
_SURE = 0.7
_FEW_KNOWN = 0.6  # share of words that English spells so, up to which a text may be in another language of Latin script
_SURELY_FOREIGN = 0.9

_SCRIPTS = {
    "LATIN": "Latn",
    "CYRILLIC": "Cyrl",
    "GREEK": "Grek",
    "ARABIC": "Arab",
    "HEBREW": "Hebr",
    "DEVANAGARI": "Deva",
    "BENGALI": "Beng",
    "TAMIL": "Taml",
    "TELUGU": "Telu",
    "GUJARATI": "Gujr",
    "GURMUKHI": "Guru",
    "KANNADA": "Knda",
    "MALAYALAM": "Mlym",
    "THAI": "Thai",
    "GEORGIAN": "Geor",
    "ARMENIAN": "Armn",
    "ETHIOPIC": "Ethi",
    "CJK": "Hani",
    "HIRAGANA": "Jpan",
    "KATAKANA": "Jpan",
    "HANGUL": "Hang",
}
OTHER_SCRIPT = "Zyyy"


@lru_cache(maxsize=4096)
def script_of(letter: str) -> str | None:
    """ISO 15924 code of a letter's script, `Zyyy` for a rare one, None for what is no letter.

    By the first word of its Unicode name, which for letters is the script.
    """
    if not letter.isalpha():
        return None
    return _SCRIPTS.get(unicodedata.name(letter, "").split(" ", 1)[0].split("-", 1)[0], OTHER_SCRIPT)


def _latin_letters(chunk: str) -> float:
    if chunk.isascii():
        return float(len(chunk)) if chunk.isalpha() else float(sum(map(str.isalpha, chunk)))
    return float(sum(script_of(c) == "Latn" for c in chunk))


def _letters(chunk: str) -> float:
    return float(len(chunk)) if chunk.isalpha() else float(sum(map(str.isalpha, chunk)))


def _beyond_ascii(chunk: str) -> float:
    return 0.0 if chunk.isascii() else float(len(chunk) - len(chunk.encode("ascii", "ignore")))


WORD_COLUMNS: Mapping[str, Callable[[str], float]] = {
    "language.letters": _letters,
    "language.latin": _latin_letters,
    "language.beyond_ascii": _beyond_ascii,
}


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def identify(text: str) -> tuple[str, float]:
    """ISO 639-1 code of a text's language by its first 300 characters, and how sure the identifier is (0 to 1)."""
    prefix = " ".join(text[: 4 * _PREFIX].split())[:_PREFIX].encode("utf-8", "ignore").decode("utf-8")
    code, probability = _identifier().classify(prefix)
    return str(code), float(probability)


def languages(text: TextBatch) -> list[tuple[str, float] | None]:
    """Language of each text and how sure that is (1 where the one pass tells English); None for a text without letters.

    Worked out once for a `TextBatch`, whoever asks.
    """
    found: list[tuple[str, float] | None] | None = text.memory.get("language")
    if found is None:
        letters = text.sums["language.letters"]
        known = is_english(text)
        found = [
            None if not content or not letters[row] > 0 else ("en", 1.0) if known[row] else identify(content)
            for row, content in enumerate(text.texts)
        ]
        text.memory["language"] = found
    return found


def is_foreign(text: TextBatch) -> NDArray[np.bool_]:
    """Which texts are surely not English, so that an English lexicon says nothing of them.

    The letters of another script say so, or the identifier where few words are English ones.
    """
    foreign = np.zeros(text.n, dtype=np.bool_)
    words = np.maximum(text.sums["alphabetic"], 1)
    few = text.sums["known"] <= _FEW_KNOWN * words
    for row in np.flatnonzero(~is_english(text) & (text.sums["language.letters"] > 0)):
        other_script = text.sums["language.latin"][row] <= 0.5 * text.sums["language.letters"][row]
        if other_script:
            foreign[row] = True
        elif few[row]:
            found = languages(text)[row]
            foreign[row] = found is not None and found[0] != "en" and found[1] >= _SURELY_FOREIGN
    return foreign


def is_english(text: TextBatch) -> NDArray[np.bool_]:
    """Which texts the one pass alone shows to be English. Worked out once for a `TextBatch`, whoever asks."""
    found: NDArray[np.bool_] | None = text.memory.get("english")
    if found is None:
        found = text.memory["english"] = _is_english(text)
    return found


def _is_english(text: TextBatch) -> NDArray[np.bool_]:
    words = np.maximum(text.sums["alphabetic"], 1)
    marked = text.sums["marker"] / words
    spelt = text.sums["known"] / words
    english_: NDArray[np.bool_] = (
        ((words >= 10) & (marked >= _MARKED))
        | ((words < 10) & (marked >= _MARKED_SHORT))
        | ((spelt >= _SPELT_MARKED) & (marked >= _MARKED_SPELT))
        | ((spelt >= _SPELT) & (text.sums["zipf"] / words >= 3))
    ) & (text.sums["language.latin"] > 0.5 * text.sums["language.letters"])
    return english_


class Language:
    """Language code, script, and share of characters beyond ASCII of the inputs or the outputs.

    Missing for a text without letters.
    """

    family = "language"
    word_columns = WORD_COLUMNS

    def __init__(self, side: Side) -> None:
        self._side = side
        self.features: tuple[FeatureSpec, ...] = (
            FeatureSpec(
                f"{side}.language.code",
                Kind.CATEGORY,
                f"language of the {side}, ISO 639-1 or `und`",
                role=Role.LANGUAGE,
            ),
            FeatureSpec(
                f"{side}.language.script", Kind.CATEGORY, f"script of the {side}, ISO 15924", role=Role.LANGUAGE
            ),
            FeatureSpec(
                f"{side}.language.non_ascii",
                Kind.NUMBER,
                f"share of the {side}'s characters that are not ASCII",
                role=Role.LANGUAGE,
            ),
        )

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name."""
        text = batch.text(self._side)
        letters = text.sums["language.letters"]
        latin = text.sums["language.latin"]
        codes: list[str | None] = []
        scripts: list[str | None] = []
        for row, found in enumerate(languages(text)):
            if found is None:
                codes.append(None)
                scripts.append(None)
                continue
            code, certainty = found
            codes.append(code if certainty >= _SURE else UNDETERMINED)
            scripts.append("Latn" if latin[row] > 0.5 * letters[row] else _main_script(text.texts[row] or ""))
        share = np.divide(
            text.sums["language.beyond_ascii"], text.chars, out=np.full(text.n, np.nan), where=text.chars > 0
        )
        return {
            f"{self._side}.language.code": codes,
            f"{self._side}.language.script": scripts,
            f"{self._side}.language.non_ascii": text.masked(share),
        }


def _main_script(text: str) -> str | None:
    """The script of most letters in the first part of a text that has any."""
    for start in range(0, len(text), 4 * _PREFIX):
        found = Counter(filter(None, map(script_of, text[start : start + 4 * _PREFIX])))
        if found:
            # Han beside kana is Japanese
            if found["Jpan"] and found["Hani"]:
                found["Jpan"] += found.pop("Hani")
            return min(found, key=lambda code: (-found[code], code))
    return None
