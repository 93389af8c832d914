"""English words: is one spelt right, how frequent is it, how many syllables has it, does it mark a text as English.

The list is derived from SCOWL's spelling lists (Atkinson; free to use with its notice) and from `wordfreq` (Speer 2022;
data CC BY-SA 4.0) by `scripts/build_word_list.py`, which says how; it loads in 50 ms and replaces both.
May import nothing from this project.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

_EDGE = re.compile(r"^[\W_]+|[\W_]+$")
_VOWELS = re.compile(r"[aeiouyàáâäãåèéêëìíîïòóôöõùúûüýæœ]+")


@lru_cache(maxsize=64)
def core(chunk: str) -> str:
    """A chunk in lower case without the characters at its ends that are neither letters nor digits, and with a plain
    apostrophe: `"Don't!"` gives `don't`. The few latest are kept, since all word columns ask for the same chunk.
    """
    if chunk.isalnum():
        return chunk.lower()
    return _EDGE.sub("", chunk).replace("\u2019", "'").lower()


class _Words(NamedTuple):
    zipf: dict[str, float]
    right: frozenset[str]
    markers: frozenset[str]


@cache
def _words() -> _Words:
    packed = resources.files("monitor.features").joinpath("data/english_words.txt.gz").read_bytes()
    frequencies: dict[str, float] = {}
    marked: dict[str, list[str]] = {"=": [], "~": [], "!": []}
    for line in gzip.decompress(packed).decode("utf-8").splitlines():
        level, *words = line.split(" ")
        marked[level[0]] += words
        frequencies.update(dict.fromkeys(words, int(level[1:]) / 10))
    return _Words(frequencies, frozenset(marked["="]), frozenset(marked["!"]))


def zipf(word: str) -> float:
    """Zipf frequency (log10 of occurrences per billion words) of a lower-case word; 0 where it is not listed."""
    return _words().zipf.get(word, 0.0)


def frequencies() -> Mapping[str, float]:
    """All words of the list with their Zipf frequency; for scripts that build other lists from it."""
    return _words().zipf


def is_word(word: str) -> bool:
    """Whether a lower-case word, or each part of a hyphenated one, is spelt right in American or British English.

    Single letters are words only where English writes them alone: a, i, o.
    """
    right = _words().right
    if word in right:
        return True
    if word.endswith("'s"):
        return word[:-2] in right
    return "-" in word and all(part in right for part in word.split("-"))


def is_marker(word: str) -> bool:
    """Whether a lower-case word is frequent in English and rare in other languages of Latin script."""
    return word in _words().markers


def syllables(word: str) -> int:
    """Estimated syllables of a lower-case word: groups of vowels, less a silent e; at least 1 if it has a letter."""
    count = len(_VOWELS.findall(word))
    silent_e = word.endswith("e") and not word.endswith(("le", "ee", "ye"))
    silent_ed = word.endswith("ed") and not word.endswith(("ted", "ded"))
    if count > 1 and (silent_e or silent_ed):
        count -= 1
    return count or int(any(map(str.isalpha, word)))
