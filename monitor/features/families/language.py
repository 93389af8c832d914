"""Language and script of a text.

English is recognised by its own frequent words, in the one pass; a language with its own script by its letters.
The rest goes to the identifier of Lui and Baldwin (langid.py, 2012) in its maintained form `py3langid` (BSD), which
brings its model, on a prefix only: 97 languages, some 80 us a text. Scripts are ISO 15924 codes. Languages that differ
in few words are reported as one (`no` for both Norwegian standards, `sh` for Croatian, Bosnian and Serbian in Latin
letters, `zh` for all Chinese), so that a stream does not change between them from text to text. May import its
neighbours in this package only.
"""

from __future__ import annotations

import re
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
_MARKED_SPELT = 0.05  # with at least this share of function words, which chat has in spite of its spelling
_PREFIX = 300  # characters shown to the identifier: beyond them it hardly changes its mind
_FIRST_CHARACTERS = 120
"""Shown to the identifier first: of 1,454 texts of 300 characters and more, in 25 languages, these left no doubt in
1,307, and never of another language than all 300, which cost twice as much."""
SURE = 0.7  # certainty from which a language is reported
_FEW_KNOWN = 0.5  # share of words that English spells so, up to which a text may be in another language of Latin script
_SURELY_FOREIGN = 0.9  # certainty; above `SURE`, as an English text that is skipped is lost to spelling and tone

_OTHER_LETTERS = re.compile("[\u0370-\u1dff\u1f00-\u1fff\u2c00-\u2dff\u3040-\ua4ff\ua800-\ud7ff\uf900-\ufaff]")
_BEYOND_DOUBT = 0.95  # chance of the likeliest language from which no others are asked for, which costs as much again
_CANDIDATES = 8  # languages of which the identifier's chances are read: the rest have next to none
_LIKELIER = 0.45  # share from which the likeliest of close relatives is reported
_LANGUAGE_OF_SCRIPT = {
    "Hani": "zh", "Jpan": "ja", "Hang": "ko", "Thai": "th", "Grek": "el", "Hebr": "he", "Geor": "ka", "Armn": "hy",
    "Beng": "bn", "Taml": "ta", "Telu": "te", "Gujr": "gu", "Guru": "pa", "Knda": "kn", "Mlym": "ml", "Ethi": "am",
    "Mymr": "my", "Khmr": "km", "Laoo": "lo", "Sinh": "si", "Orya": "or", "Tibt": "bo",
}  # fmt: skip
"""Languages with a script that (nearly) no other language writes."""
_VARIETIES = {
    "nb": "no", "nn": "no",  # both standards of Norwegian
    "hr": "sh", "bs": "sh",  # the Latin standards of Serbo-Croatian
    "arz": "ar", "ary": "ar", "apc": "ar", "acm": "ar", "yue": "zh", "wuu": "zh", "ext": "es", "an": "es", "pcm": "en",
    "uzs": "uz", "ace": "id", "sco": "en", "lmo": "it", "scn": "it", "vec": "it", "bar": "de", "als": "de", "gsw": "de",
}  # fmt: skip
"""Varieties and standards that short texts do not distinguish, and the code that is reported."""
_RELATIVES = tuple(
    frozenset(group.split())
    for group in ("no da sv", "id ms", "cs sk", "ru uk be bg mk", "sr mk bg", "sh sl", "hi mr ne gom", "es gl pt ca",
                  "nl af fy", "fa ur ps", "tr az", "de nds lb")
)  # fmt: skip
_LETTERS = (
    (frozenset("\u044b\u044d\u0451"), frozenset(("uk", "bg", "mk", "sr"))),  # Russian and Belarusian alone have these
    (frozenset("\u0456\u0457\u0454\u0491"), frozenset(("ru", "bg", "mk", "sr"))),
    (frozenset("\u0452\u045b\u0459\u045a\u0458"), frozenset(("ru", "uk", "be", "bg"))),
    (frozenset("\u00e6\u00f8"), frozenset(("sv", "de", "nl", "fi"))),
    (frozenset("\u00e4\u00f6"), frozenset(("no", "da"))),
    (frozenset("\u00df"), frozenset(("no", "da", "sv", "nl", "af"))),
    (frozenset("\u00f1\u00bf\u00a1"), frozenset(("pt", "it", "fr"))),
    (frozenset("\u00e3\u00f5"), frozenset(("es", "it", "fr", "ca"))),
    (frozenset("\u010f\u0165\u013e\u013a\u0155\u00f4"), frozenset(("cs",))),
    (frozenset("\u011b\u0159\u016f"), frozenset(("sk",))),
)
"""Letters, and languages that do not write them."""

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
    "MYANMAR": "Mymr",
    "KHMER": "Khmr",
    "LAO": "Laoo",
    "SINHALA": "Sinh",
    "ORIYA": "Orya",
    "TIBETAN": "Tibt",
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
    return float(list(map(script_of, chunk)).count("Latn"))


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
    """ISO 639-1 code of a text's language by its first 300 characters, and how sure that is (0 to 1).

    A script that one language writes says it. Else the identifier's chances are summed over a language and its
    varieties, of which only the language is reported; languages that do not write a letter of the text are left out;
    and close relatives share their certainty, since a text that is surely one of two is reported as the likelier.
    """
    prefix = " ".join(text[: 4 * _PREFIX].split())[:_PREFIX].encode("utf-8", "ignore").decode("utf-8")
    script = "Latn" if _OTHER_LETTERS.search(prefix) is None else _main_script(prefix)
    own = _LANGUAGE_OF_SCRIPT.get(script or "")
    if own is not None:
        return own, 1.0
    beginning = prefix[:_FIRST_CHARACTERS]
    for part in (beginning, prefix) if len(beginning) < len(prefix) else (prefix,):
        likeliest, chance = _identifier().classify(part)
        if chance >= _BEYOND_DOUBT and likeliest != "zxx":
            return _reported(likeliest, script), float(chance)
    chances: dict[str, float] = {}
    for code, chance in _identifier().rank(prefix)[:_CANDIDATES]:
        name = _reported(code, script)
        chances[name] = chances.get(name, 0.0) + float(chance)
    excluded_chance = 0.0
    written = set(prefix.lower())
    for letters, excluded in _LETTERS:
        if not letters.isdisjoint(written):
            excluded_chance += sum(chances.pop(code, 0.0) for code in excluded & chances.keys())
    if not chances or "zxx" in chances:  # "no linguistic content"
        return UNDETERMINED, 0.0
    total = max(1.0 - excluded_chance, sum(chances.values()))
    code = max(chances, key=lambda name: (chances[name], name))
    certainty = chances[code] / total
    if certainty >= _LIKELIER:
        near = next((group for group in _RELATIVES if code in group), frozenset((code,)))
        certainty = sum(chance for name, chance in chances.items() if name in near) / total
    return code, min(certainty, 1.0)


def _reported(code: str, script: str | None) -> str:
    """The code under which a language of the identifier is reported."""
    if code == "sr" and script == "Latn":  # one language in four standards, which differ in few words
        return "sh"
    return _VARIETIES.get(code, code)


def languages(text: TextBatch) -> list[tuple[str, float] | None]:
    """Language of each text and how sure that is (1 where the one pass tells English); None for a text without letters.

    Each is worked out once for a `TextBatch`, whoever asks.
    """
    letters, known = text.sums["language.letters"], is_english(text)
    return [
        ("en", 1.0) if known[row] else language_at(text, row) if letters[row] > 0 else None for row in range(text.n)
    ]


def language_at(text: TextBatch, row: int) -> tuple[str, float]:
    """What `identify` says of one text with letters; who asks for a few does not pay for all."""
    found: dict[int, tuple[str, float]] = text.memory.setdefault("language", {})
    if row not in found:
        found[row] = identify(text.texts[row] or "")
    return found[row]


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
            code, certainty = language_at(text, int(row))
            foreign[row] = code != "en" and certainty >= _SURELY_FOREIGN
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
            codes.append(code if certainty >= SURE else UNDETERMINED)
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
