"""English words: is this one, how frequent is it, how many syllables has it.

The list is derived from `wordfreq` (Speer 2022; data CC BY-SA 4.0) by `scripts/build_word_list.py`, which says how, so
that a worker neither needs the package nor its 0.3 s of loading. May import nothing from this project.
"""

from __future__ import annotations

import gzip
import re
from functools import cache, lru_cache
from importlib import resources

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


@cache
def _zipf() -> dict[str, float]:
    packed = resources.files("monitor.features").joinpath("data/english_words.txt.gz").read_bytes()
    frequencies: dict[str, float] = {}
    for line in gzip.decompress(packed).decode("utf-8").splitlines():
        frequency, _, words = line.partition(" ")
        frequencies.update(dict.fromkeys(words.split(), int(frequency) / 10))
    return frequencies


def zipf(word: str) -> float:
    """Zipf frequency (log10 of occurrences per billion words) of a lower-case word; 0 where it is not listed."""
    return _zipf().get(word, 0.0)


def is_word(word: str) -> bool:
    """Whether a lower-case word, an apostrophe form or each part of a hyphenated one is listed."""
    known = _zipf()
    if word in known:
        return True
    if "-" in word:
        return all(part in known for part in word.split("-"))
    return word.endswith("'s") and word[:-2] in known


def syllables(word: str) -> int:
    """Estimated syllables of a lower-case word: groups of vowels, less a silent e; at least 1 if it has a letter."""
    count = len(_VOWELS.findall(word))
    silent_e = word.endswith("e") and not word.endswith(("le", "ee", "ye"))
    silent_ed = word.endswith("ed") and not word.endswith(("ted", "ded"))
    if count > 1 and (silent_e or silent_ed):
        count -= 1
    return count or int(any(map(str.isalpha, word)))
