"""Builds `monitor/features/data/english_words.txt.gz`: English spelling, frequency and the words that mark English.

    python scripts/build_word_list.py --dict /usr/share/dict

Sources: the spelling lists of SCOWL (Atkinson; free to use with its notice) in American and British English, as
Debian's packages `wamerican` and `wbritish` install them, and the frequencies of the Python package `wordfreq` (Speer
2022; data CC BY-SA 4.0). Needs `pip install wordfreq`. The result is the same on every machine for the same versions
(wamerican/wbritish 2020.12.07, wordfreq 3.1).

Format, after decompression: lines `<mark><zipf * 10> <words>`; mark `=` for words spelt right, `~` for frequent words
that are not (names, slang), `!` for words that mark English (also in one of the others).
"""

from __future__ import annotations

import argparse
import gzip
import math
from collections import defaultdict
from pathlib import Path

import wordfreq

FREQUENT = 3.3
"""Zipf frequency from which a word is listed although no dictionary has it."""
MARKER = 5.0
"""Zipf frequency from which a word can mark English ..."""
LEAD = 1.3
"""... if it is so much rarer in every other language written in Latin letters."""
# fmt: off
OTHER_LATIN = (
    "ca", "cs", "da", "de", "es", "fi", "fil", "fr", "hu", "id", "is", "it", "lt", "lv", "ms", "nb", "nl", "pl", "pt",
    "ro", "sh", "sk", "sl", "sv", "tr", "vi",
)
# fmt: on
SINGLE_LETTERS = {"a", "i", "o"}


def spelt_right(folder: Path) -> set[str]:
    """Lower-case words of both spellings, single letters but for a, i and o left out."""
    words: set[str] = set()
    for name in ("american-english", "british-english"):
        words.update(line.strip().lower() for line in (folder / name).read_text("utf-8").splitlines())
    return {word for word in words if len(word) > 1 or word in SINGLE_LETTERS}


def zipf(frequency: float) -> float:
    """log10 of occurrences per billion words."""
    return math.log10(frequency) + 9 if frequency > 0 else 0.0


def main() -> None:
    """Writes the list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dict", type=Path, default=Path("/usr/share/dict"), help="folder of the spelling lists")
    out = Path(__file__).parent.parent / "monitor/features/data/english_words.txt.gz"
    parser.add_argument("--out", type=Path, default=out)
    options = parser.parse_args()

    english = wordfreq.get_frequency_dict("en", "large")
    others = [wordfreq.get_frequency_dict(code, "small") for code in OTHER_LATIN]
    right = spelt_right(options.dict)
    lines: dict[tuple[str, int], list[str]] = defaultdict(list)
    for word in right:
        lines["=", round(10 * zipf(english.get(word, 0.0)))].append(word)
    for word, frequency in english.items():
        if word not in right and zipf(frequency) >= FREQUENT and any(map(str.isalpha, word)):
            lines["~", round(10 * zipf(frequency))].append(word)
        if zipf(frequency) >= MARKER and word.isalpha() and len(word) > 1:
            elsewhere = max(zipf(other.get(word, 0.0)) for other in others)
            if elsewhere <= zipf(frequency) - LEAD:
                lines["!", round(10 * zipf(frequency))].append(word)
    text = "".join(f"{mark}{level} {' '.join(sorted(words))}\n" for (mark, level), words in sorted(lines.items()))
    options.out.write_bytes(gzip.compress(text.encode("utf-8"), 9, mtime=0))
    counts = {mark: sum(len(words) for (m, _), words in lines.items() if m == mark) for mark in "=~!"}
    print(f"{options.out}: {counts}, {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
