"""What differs from script to script: sentence marks, and how many words a run of letters without spaces holds.

Used by `monitor.features.text.sentences` and `monitor.features.text.word_table`, chunk by chunk. Marks are those of
Unicode's Sentence_Terminal property (UAX #29) in the scripts that are written today. May import nothing of this
package.
"""

from __future__ import annotations

import re

WIDE_STOPS = (
    "\u3002\uff01\uff1f\uff61\uff0e"  # Chinese, Japanese
    "\u0964\u0965"  # danda: Hindi, Bengali, Nepali, ...
    "\u061f\u06d4"  # Arabic, Urdu
    "\u0589\u055c\u055e"  # Armenian
    "\u1362\u1367\u1368"  # Ethiopic
    "\u17d4\u17d5"  # Khmer
    "\u104a\u104b"  # Burmese
    "\u0f0d\u0f0e"  # Tibetan
    "\u1803\u1809"  # Mongolian
)
"""Marks that end a sentence wherever they stand, with or without a space after them."""
QUESTIONS = "?\uff1f\u061f\u1367\u037e\u055e"
EXCLAMATIONS = "!\uff01\u055c"

SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
LANGUAGES_WITH_SPACELESS = ("zh", "ja", "ko", "th")
"""Languages with such characters of which there are word lists; Korean has spaces, and some Chinese characters."""
_RUNS = re.compile(
    "(?P<han>[\u3400-\u9fff\uf900-\ufaff\u3005]+)|(?P<hiragana>[\u3040-\u309f]+)|(?P<katakana>[\u30a0-\u30ff\uff66-\uff9f]+)"
    "|(?P<thai>[\u0e00-\u0e7f]+)|(?P<lao>[\u0e80-\u0eff]+)|(?P<burmese>[\u1000-\u1049\u104c-\u109f]+)"
    "|(?P<khmer>[\u1780-\u17d3\u17d7-\u17ff]+)|(?P<other>(?:(?![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])[^\\W_])+)"
)
_CHARACTERS_PER_WORD = {
    "han": 1.6,  # of segmented Chinese corpora (Penn Chinese Treebank: 1.6)
    "hiragana": 2.0,
    "thai": 4.2,  # vowel and tone signs included (BEST corpus)
    "lao": 4.2,
    "burmese": 4.5,
    "khmer": 4.7,
}
"""Mean length of a word in scripts without spaces; their texts' words are an estimate, good for rates and trends."""
_HAN_IN_JAPANESE = 1.9  # compounds of two characters, with single ones between
_UNMARKED = re.compile("[\u0e00-\u0eff]")


def is_spaceless(chunk: str) -> bool:
    """Whether a chunk holds a letter of a script that writes no spaces between words."""
    return not chunk.isascii() and SPACELESS.search(chunk) is not None


def words_in(chunk: str) -> float:
    """Words of a chunk that holds a letter or digit: 1, or an estimate where its script has no spaces."""
    if not is_spaceless(chunk):
        return 1.0
    total = 0.0
    japanese = re.search("[\u3040-\u30ff]", chunk) is not None
    for run in _RUNS.finditer(chunk):
        script = run.lastgroup or "other"
        if script in ("katakana", "other"):
            total += 1.0
        elif script == "han" and japanese:
            total += len(run[0]) / _HAN_IN_JAPANESE
        else:
            total += len(run[0]) / _CHARACTERS_PER_WORD[script]
    return total


def unmarked_letters(chunk: str) -> float:
    """Characters of scripts that write no marks at the ends of sentences: Thai and Lao."""
    return 0.0 if chunk.isascii() else float(len(_UNMARKED.findall(chunk)))
