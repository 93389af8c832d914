"""Slices of the input: by language, length, noise and mixed languages, so that one sees where a prompt breaks.

An average hides that a prompt works in English and fails in Polish, or works on clean questions and fails on mistyped
ones. So every output is counted, and every verdict kept, with the class of its input in each of four dimensions. The
classes are few and fixed: their counts stay small, and a class means the same next month.

Called by the store for each batch of feature rows, and by the draw for outputs that are to be judged: both must use
this module, so that counts and verdicts belong to the same cell. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monitor.features.batch import FeatureBatch


class Slice(StrEnum):
    """The dimensions, as `oqm quality --slice` names them."""

    LANGUAGE = "language"
    LENGTH = "length"
    NOISE = "noise"
    MIXED = "mixed"


LENGTHS: tuple[tuple[str, float], ...] = (("short", 16), ("medium", 100), ("long", 1_000))
"""Classes by tokens of the input, each below its number: a phrase; a question; a page. Longer is `very_long`."""
VERY_LONG = "very_long"
NOISES: tuple[tuple[str, float], ...] = (("clean", 0.05), ("some", 0.2))
"""Classes by the noise score, each below its number: up to one odd word in twenty; up to one in five. More is `noisy`.
"""
NOISY = "noisy"

CLASSES: Mapping[Slice, tuple[str, ...]] = {
    Slice.LENGTH: (*(name for name, _ in LENGTHS), VERY_LONG),
    Slice.NOISE: (*(name for name, _ in NOISES), NOISY),
    Slice.MIXED: ("no", "yes"),
}
"""The classes of the dimensions that have fixed ones; languages are ISO 639-1 codes."""

MIXED_WORDS = 0.02
"""Share of words that mix scripts from which an input counts as mixed: one look-alike letter in a long text is noise.
"""
ENGLISH_NON_ASCII = 0.1
"""Share of characters that are not ASCII above which an English text holds words in another script as well: English
has hardly any, quotation marks and an emoji stay below."""
LATIN_NON_ASCII = 0.3
"""The same of other languages in Latin script, whose accents take up to a fifth (Vietnamese: a quarter)."""
OTHER_NON_ASCII = 0.6
"""The same share below which a text in another script holds Latin words as well: its spaces and digits are ASCII, about
a fifth of the characters."""
UNDECIDED_TOKENS = 16
"""Tokens from which a text in no language that can be named is one that mixes several: a shorter one is too short."""
_LATIN, _ENGLISH, _UNDETERMINED = "Latn", "en", "und"


def slices_of(batch: FeatureBatch) -> list[dict[str, str]]:
    """For each row, the class of its input by dimension; dimensions whose class is unknown are left out.

    The four columns are those of `Judgment.slices` and of the table `seen`.
    """
    tokens, score = _column(batch, "input.length.tokens"), _column(batch, "input.noise.score")
    languages = batch.categories.get("input.language.code") or [None] * len(batch)
    lengths, noises = _classes(tokens, LENGTHS, VERY_LONG), _classes(score, NOISES, NOISY)
    columns = (languages, lengths, noises, _mixed(batch, tokens, languages))
    named = list(zip([each.value for each in Slice], columns, strict=True))
    return [{name: value for name, column in named if (value := column[row]) is not None} for row in range(len(batch))]


def _column(batch: FeatureBatch, name: str) -> NDArray[np.float32]:
    if name not in batch.names:
        return np.full(len(batch), np.nan, dtype=np.float32)
    return batch.values[:, batch.names.index(name)]


def _classes(values: NDArray[np.float32], bounds: tuple[tuple[str, float], ...], last: str) -> Sequence[str | None]:
    """The first class whose number is above the value; None where the value is missing."""
    names = np.array([*(name for name, _ in bounds), last], dtype=object)
    found = names[np.searchsorted([bound for _, bound in bounds], values, side="right").clip(0, len(bounds))]
    found[np.isnan(values)] = None
    return list(found)


def _mixed(batch: FeatureBatch, tokens: NDArray[np.float32], languages: Sequence[str | None]) -> Sequence[str | None]:
    """`yes` where an input holds several scripts, or is long and in no language that can be named; else `no`.

    Two languages in one script, of which one prevails, are not seen: the other's words count as noise.
    """
    mixing, foreign = _column(batch, "input.noise.mixed_scripts"), _column(batch, "input.language.non_ascii")
    scripts = batch.categories.get("input.language.script") or [None] * len(batch)
    found: list[str | None] = []
    for row, (script, language) in enumerate(zip(scripts, languages, strict=True)):
        if script is None or language is None or np.isnan(foreign[row]):
            found.append(None)
            continue
        if script == _LATIN:
            other_script = foreign[row] > (ENGLISH_NON_ASCII if language == _ENGLISH else LATIN_NON_ASCII)
        else:
            other_script = foreign[row] < OTHER_NON_ASCII
        no_language = language == _UNDETERMINED and tokens[row] >= UNDECIDED_TOKENS
        found.append("yes" if mixing[row] >= MIXED_WORDS or other_script or no_language else "no")
    return found
