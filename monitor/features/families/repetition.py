"""Repetition: how an output that got stuck, or says everything twice, differs from one that did not.

May import its neighbours in this package only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.text.ngrams import count_trigrams
from monitor.features.text.words import EventBatch, TextBatch

_FEWEST_WORDS = 10  # below this a vocabulary ratio says nothing
_LONGEST_PERIOD = 64  # words
_SUSPICIOUS = 0.15  # share of repeated trigrams below which no loop can be long enough to count
_CANDIDATES = 4  # periods tried; loops within loops have a few
_LOOP_TURNS = 3  # twice may be meant, as in a refrain; three times in a row hardly is
_LOOP_WORDS = 12  # of all turns together: three times one word (very, very, very) is emphasis
_LONG_CHUNK = 48  # characters: no word of a language has as many, so its characters are looked at for a loop
_SPACELESS = 3  # words for each chunk from which a text is in a script without spaces: its characters are counted
_CHARACTERS_PER_WORD = 2  # characters that say there what a word says
_MOST_CHARACTERS = 20_000  # of such a text that are read: a loop shows itself sooner
_CHARACTER_LOOP = re.compile(r"(\w{1,8}?)\1{9}")


def _stuck(chunk: str) -> float:
    """Whether a long chunk holds ten turns of the same one to eight letters or digits."""
    return float(len(chunk) >= _LONG_CHUNK and _CHARACTER_LOOP.search(chunk) is not None)


class Repetition:
    """Vocabulary, repeated trigrams and loops of the outputs: of words without case and outer punctuation, and of
    characters in scripts without spaces."""

    family = "repetition"
    word_columns: Mapping[str, Callable[[str], float]] = {"repetition.stuck": _stuck}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "output.repetition.ttr",
            Kind.NUMBER,
            "vocabulary: log of distinct words over log of words (Herdan's C), nearly free of length",
            worse=Worse.DOWN,
            role=Role.REPETITION,
        ),
        FeatureSpec(
            "output.repetition.trigrams",
            Kind.NUMBER,
            "share of trigrams said before",
            worse=Worse.UP,
            role=Role.REPETITION,
        ),
        FeatureSpec(
            "output.repetition.longest",
            Kind.NUMBER,
            "share of the longest loop in the output",
            worse=Worse.UP,
            role=Role.REPETITION,
        ),
        FeatureSpec(
            "output.repetition.loop",
            Kind.FLAG,
            "the output is stuck in a loop",
            worse=Worse.UP,
            failure=True,
            role=Role.REPETITION,
        ),
    )

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name."""
        text = batch.output
        n = text.n
        spoken = text.cores > 0
        words = np.bincount(text.text_of[spoken], minlength=n)
        distinct = text.distinct_cores.copy()
        total = batch.trigrams.total(2 * n)[:n]
        different = batch.trigrams.distinct(2 * n)[:n]
        characters: dict[int, NDArray[np.int32]] = {}
        for row in np.flatnonzero(text.words >= _SPACELESS * np.maximum(words, 1)).tolist():
            said = characters[row] = _characters_of(text, row)
            words[row], distinct[row] = len(said), len(np.unique(said))
            found = count_trigrams(said, np.zeros(len(said), dtype=np.int32))
            total[row], different[row] = found.total(1)[0], found.distinct(1)[0]
        enough = words >= _FEWEST_WORDS
        ttr = np.full(n, np.nan)
        ttr[enough] = np.log(distinct[enough]) / np.log(words[enough])
        repeated = np.full(n, np.nan)
        several = total > 0
        repeated[several] = 1 - different[several] / total[several]
        longest = np.zeros(n)
        loop = text.sums["repetition.stuck"] > 0
        for row in np.flatnonzero(repeated > _SUSPICIOUS).tolist():
            in_characters = row in characters
            scale = _CHARACTERS_PER_WORD if in_characters else 1
            said = characters[row] if in_characters else _words_of(text, row)
            span, turns = _longest_loop(said, scale * _LONGEST_PERIOD)
            longest[row] = span / words[row]
            loop[row] |= turns >= _LOOP_TURNS and span >= scale * _LOOP_WORDS
        return {
            "output.repetition.ttr": text.masked(ttr),
            "output.repetition.trigrams": text.masked(repeated),
            "output.repetition.longest": text.masked(longest),
            "output.repetition.loop": text.masked(loop),
        }


def _characters_of(text: TextBatch, row: int) -> NDArray[np.int32]:
    """The letters and digits of a text, numbered in the order of their codes."""
    letters = "".join(filter(str.isalnum, (text.texts[row] or "")[:_MOST_CHARACTERS]))
    codes = np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return np.unique(codes, return_inverse=True)[1].astype(np.int32)


def _words_of(text: TextBatch, row: int) -> NDArray[np.int32]:
    cores = text.cores[text.offsets[row] : text.offsets[row + 1]]
    return cores[cores > 0]


def _longest_loop(words: NDArray[np.int32], longest_period: int) -> tuple[int, int]:
    """Words of the longest stretch that says the same `period` words again and again, and how often it says them.

    In a loop every trigram stands one period after its like, so only the commonest distances are tried as periods.
    """
    local = np.unique(words, return_inverse=True)[1].astype(np.int64)
    bits = len(local).bit_length()  # 20 for a million words, so three of them fit into 63
    trigrams = (local[:-2] << 2 * bits) | (local[1:-1] << bits) | local[2:]
    order = np.argsort(trigrams, kind="stable")
    gaps = np.diff(order)[np.diff(trigrams[order]) == 0]
    often = np.bincount(gaps[gaps <= longest_period], minlength=1)
    best = (0, 0)
    for period in np.argsort(-often, kind="stable")[:_CANDIDATES].tolist():
        if not period or not often[period]:
            continue
        breaks = np.flatnonzero(words[period:] != words[:-period])
        run = int(np.diff(breaks, prepend=-1, append=len(words) - period).max()) - 1
        if run >= period and run + period > best[0]:
            best = (run + period, (run + period) // period)
    return best
