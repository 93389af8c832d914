"""Noise of an input: misspelling, odd characters, mixed scripts, and one score of them.

May import its neighbours in this package only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

import numpy as np

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.families.language import WORD_COLUMNS as LANGUAGE_COLUMNS
from monitor.features.families.language import is_english, language_at, script_of
from monitor.features.text.words import EventBatch

_ODD_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_LEGITIMATE_FORMAT = frozenset("\u200c\u200d\ufeff\u00ad")  # joiners of Persian and emoji, byte order mark, soft hyphen
_MOJIBAKE = ("\u00c3\u00a9", "\u00e2\u20ac", "\u00c3\u00bc", "\u00c3\u00b6", "\u00c3\u00a4", "\u00c2\u00a0")
"""UTF-8 read as Windows-1252: what e acute, quotation marks, umlauts and the no-break space turn into."""
_JAPANESE = frozenset({"Hani", "Jpan"})
_MOSTLY_UNKNOWN = 0.5  # share of misspelt words above which the language is asked for; English with errors has fewer
_SURE = 0.9  # certainty that a text is foreign, so that badly spelt English is not left out
_ODD_WEIGHT = 10.0
"""Odd characters are rarer than words by far: one in a hundred characters weighs like a misspelt word in ten."""


def _is_handle(chunk: str) -> float:
    """Whether a chunk is a name or tag of social media, for which spelling is free."""
    return float(chunk[0] in "@#")


def _odd_characters(chunk: str) -> float:
    if chunk.isascii() and chunk.isprintable():
        return 0.0
    odd = chunk.count("\ufffd")
    if not _ODD_CATEGORIES.isdisjoint(map(unicodedata.category, chunk)):
        odd += sum(
            unicodedata.category(c) in _ODD_CATEGORIES and c not in _LEGITIMATE_FORMAT for c in chunk if c != "\ufffd"
        )
    return float(odd + sum(chunk.count(broken) for broken in _MOJIBAKE))


def _mixed_scripts(chunk: str) -> float:
    if chunk.isascii():
        return 0.0
    scripts = {script for script in map(script_of, chunk) if script is not None}
    return float(len(scripts) > 1 and not scripts <= _JAPANESE)


def _is_surely_foreign(code: str, certainty: float) -> bool:
    return code != "en" and certainty >= _SURE


class Noise:
    """How far an input is from clean text.

    Spelling is judged against English (American or British) only: the share of misspelt words is missing for a text in
    another script, and for one whose words are mostly unknown because it is surely in another language; the score of
    such a text rests on the rest.
    """

    family = "noise"
    word_columns: Mapping[str, Callable[[str], float]] = {
        **LANGUAGE_COLUMNS,
        "noise.handle": _is_handle,
        "noise.odd": _odd_characters,
        "noise.mixed": _mixed_scripts,
    }
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "input.noise.misspelt",
            Kind.NUMBER,
            "share of English words that are not spelt right",
            worse=Worse.UP,
            role=Role.NOISE,
        ),
        FeatureSpec(
            "input.noise.odd_characters",
            Kind.NUMBER,
            "share of control, unassigned, replacement and wrongly decoded characters",
            worse=Worse.UP,
            role=Role.NOISE,
        ),
        FeatureSpec(
            "input.noise.mixed_scripts", Kind.NUMBER, "share of words that mix scripts", worse=Worse.UP, role=Role.NOISE
        ),
        FeatureSpec(
            "input.noise.score", Kind.NUMBER, "noise of the input, 0 clean to 1", worse=Worse.UP, role=Role.NOISE
        ),
    )

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name."""
        text = batch.input
        words = text.sums["word"]
        # links, addresses, paths, identifiers and numbers are not alphabetic: spelling does not apply to them
        spelt = text.values("alphabetic") * (1 - text.values("noise.handle"))
        checked = text.reduce(spelt)
        misspelt = text.reduce(spelt * (1 - text.values("known"))) / np.maximum(checked, 1)
        odd = text.sums["noise.odd"] / np.maximum(text.chars, 1)
        mixed = text.sums["noise.mixed"] / np.maximum(words, 1)
        latin = text.sums["language.latin"] > 0.5 * text.sums["language.letters"]
        foreign = np.zeros(text.n, dtype=np.bool_)
        for row in np.flatnonzero(misspelt > _MOSTLY_UNKNOWN):
            foreign[row] = not is_english(text)[row] and _is_surely_foreign(*language_at(text, int(row)))
        judged = latin & ~foreign & (checked > 0)
        score = np.minimum(np.where(judged, misspelt, 0.0) + _ODD_WEIGHT * odd + mixed, 1.0)
        return {
            "input.noise.misspelt": text.masked(np.where(judged, misspelt, np.nan)),
            "input.noise.odd_characters": text.masked(np.where(text.chars > 0, odd, np.nan)),
            "input.noise.mixed_scripts": text.masked(np.where(words > 0, mixed, np.nan)),
            "input.noise.score": text.masked(np.where(text.chars > 0, score, np.nan)),
        }
