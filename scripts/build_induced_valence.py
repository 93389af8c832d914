"""Builds `monitor/features/data/tone_induced.tsv.gz`: a weak valence for words that VADER's lexicon does not list.

    python -m scripts.build_induced_valence

A ridge regression from the static embedding of a word to its valence (lexicon induction; Rothe, Ebert and Schuetze
2016), fitted to VADER's words and to frequent English words that it leaves out, as neutral ones. No text with a label
is used. Words that it takes for clearly positive or negative get a fifth of what it says: it is right more often than
not, and a listed word knows better. `PENALTY`, `CLEAR` and `SHARE` are the best of nine settings on people's ratings
(`benchmarks/features.py`) that keep tweets, from which VADER's list was made, above VADER.

The same sources give the same bytes.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.features.text import english
from monitor.features.text.static_table import default_table
from monitor.features.text.tone_words import listed_lexicon

OUT = Path(__file__).resolve().parents[1] / "monitor" / "features" / "data" / "tone_induced.tsv.gz"
PENALTY = 30.0  # of the ridge, per sum of squares of unit vectors
CLEAR = 0.7  # predicted valence (-4 to 4) from which a word is taken in
SHARE = 0.2  # of the prediction that a word gets
NEUTRAL = 4.6  # Zipf frequency from which a word that VADER does not list counts as neutral
NEUTRAL_WEIGHT = 0.5  # of such a word in the fit: some do bear sentiment
SHORTEST = 3  # letters; shorter words are abbreviations


def vectors(words: list[str]) -> NDArray[np.float64]:
    """Embeddings of unit length, (n, d); zero for a word without pieces."""
    table = default_table()
    found = np.zeros((len(words), table.rows.shape[1]))
    for row, word in enumerate(words):
        pieces = table.wordpiece.pieces(word)
        if pieces:
            found[row] = table.rows[pieces].sum(0, dtype=np.float64)
    norm = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.where(norm > 0, norm, 1.0)


def main() -> None:
    """Fit, write the file, print what went in."""
    lexicon = listed_lexicon()
    frequencies = english.frequencies()
    valence = {word: value for word, value in lexicon.valence.items() if word.isalpha() and word.isascii()}
    neutral = [w for w, zipf in frequencies.items() if w not in valence and w.isalpha() and zipf >= NEUTRAL]
    words = [*valence, *neutral]
    x, y = vectors(words), np.array([valence.get(word, 0.0) for word in words])
    weighted = x.T * np.where([word in valence for word in words], 1.0, NEUTRAL_WEIGHT)
    slopes = np.linalg.solve(weighted @ x + PENALTY * np.eye(x.shape[1]), weighted @ y)
    others = [
        word
        for word in frequencies
        if word not in lexicon.valence and word not in lexicon.classes and word.isalpha() and len(word) >= SHORTEST
    ]
    found = {word: value for word, value in zip(others, vectors(others) @ slopes, strict=True) if abs(value) >= CLEAR}
    lines = [f"{word}\t{round(100 * SHARE * value)}\n" for word, value in sorted(found.items())]
    with OUT.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
        packed.write("".join(lines).encode("utf-8"))
    print(f"{OUT}: {len(lines)} words, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
