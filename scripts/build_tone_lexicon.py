"""Builds `monitor/features/data/tone_lexicon.tsv.gz` from word lists that others keep.

Sources, all under the MIT licence:

- `vaderSentiment` (Hutto and Gilbert 2014): valence of words, emoticons and, through their descriptions, emoji;
  negations; boosters and dampeners. Python package, read where it is installed.
- `hedges` (words/hedges): hedge words, npm package.
- `cuss` (words/cuss): profane words with a rating of sureness, npm package.
- `leo-profanity`: profane words after the Shutterstock list, npm package.

    pip install vaderSentiment; npm pack hedges cuss leo-profanity   # and unpack each into a folder of its name
    python scripts/build_tone_lexicon.py FOLDER

One line a word: word, valence in hundredths (-400 to 400, 0 for none), classes (letters: `h` hedge, `p` profane,
`n` negation, `b` booster, `d` dampener). The same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from pathlib import Path

from vaderSentiment import vaderSentiment as vader

OUT = Path(__file__).resolve().parents[1] / "monitor" / "features" / "data" / "tone_lexicon.tsv.gz"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# The list calls itself "supposed" hedges. These of it mark certainty, quantity, or plain speaking and finding instead.
NO_HEDGES = _set(
    "always can certain certainly clear clearly couple definite definitely few find finds found like little many most "
    "much must necessarily read say says several some somebody someone something somewhere surely understand "
    "understands understood will really consider considered considers bunch diagnostic around about"
)
# Listed as profane, but the name of a crime or a body part: a subject, not a tone.
SUBJECTS = _set(
    "rape rapist incest pedophile negro hooker sodomy masturbate spunky twink "
    "niggard niggarded niggarding niggardliness niggardlinesss niggards niggaracci"
)


def hedges(folder: Path) -> set[str]:
    """Single words of the hedge list that express uncertainty."""
    text = (folder / "hedges" / "package" / "index.js").read_text(encoding="utf-8")
    return set(re.findall(r"^ +'([a-z]+)'", text, re.MULTILINE)) - NO_HEDGES


def profanity(folder: Path, valence: dict[str, float]) -> set[str]:
    """Single words that two lists agree on.

    Rated sure by `cuss` and listed by `leo-profanity`, or containing such a word of four letters or more; or rated
    possible, listed, and negative in VADER's lexicon.
    """
    text = (folder / "cuss" / "package" / "index.js").read_text(encoding="utf-8")
    rating = {word: int(rate) for word, rate in re.findall(r"^ +'?([a-z]+)'?: (\d)", text, re.MULTILINE)}
    listed = set(json.loads((folder / "leo-profanity" / "package" / "dictionary" / "default.json").read_text()))
    sure = {word for word, rate in rating.items() if rate == 2}
    negative = {word for word in listed & set(rating) if rating[word] == 1 and valence.get(word, 0) < -1}
    agreed = ((sure & listed) | negative) - SUBJECTS
    stems = tuple(word for word in agreed if len(word) >= 4)
    return (agreed | {word for word in sure if any(stem in word for stem in stems)}) - SUBJECTS


def main() -> None:
    """Read the sources, write the file, print what went in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder that holds hedges/, cuss/ and leo-profanity/")
    folder: Path = parser.parse_args().folder
    analyzer = vader.SentimentIntensityAnalyzer()
    valence: dict[str, float] = {word.lower(): value for word, value in analyzer.lexicon.items() if " " not in word}
    for emoji, description in analyzer.emojis.items():
        value = sum(valence.get(word, 0.0) for word in description.lower().split())
        if value and " " not in emoji:
            valence[emoji] = max(-4.0, min(4.0, value))
    classes: dict[str, str] = {}
    for letter, words in (
        ("h", hedges(folder)),
        ("p", profanity(folder, valence)),
        ("n", set(vader.NEGATE)),
        ("b", {word for word, change in vader.BOOSTER_DICT.items() if change > 0 and " " not in word}),
        ("d", {word for word, change in vader.BOOSTER_DICT.items() if change < 0 and " " not in word}),
    ):
        print(f"{letter}: {len(words)}")
        for word in sorted(words):
            classes[word] = classes.get(word, "") + letter
    words = sorted(set(valence) | set(classes))
    lines = [f"{word}\t{round(100 * valence.get(word, 0.0))}\t{classes.get(word, '')}\n" for word in words]
    with OUT.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
        packed.write("".join(lines).encode("utf-8"))
    print(f"{OUT}: {len(lines)} words, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
