"""How an output speaks: sentiment, formality, hedging, apology, enthusiasm, whom it addresses, how hard it reads.

Everything is read from columns of the one pass over the words (`monitor.features.text.tone_words`): the class a word
belongs to, its valence (`monitor.features.text.sentiment`), its marks. Measured is what the speaker says
(`TextBatch.prose`). Word classes are English: what rests on them is missing where the language is surely another.

May import `monitor.features.base`, the family `language` and `monitor.features.text`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.families.language import WORD_COLUMNS as LANGUAGE_COLUMNS
from monitor.features.families.language import is_foreign
from monitor.features.text import tone_words
from monitor.features.text.sentiment import sentiment
from monitor.features.text.tone_words import (
    APOLOGETIC,
    BITS,
    COURTEOUS,
    EMOJI,
    FIRST,
    HEDGE,
    NOMINAL,
    PROFANE,
    SECOND,
    SHOUTED,
    STRONG_POSITIVE,
    VERBAL,
    Lexicon,
    ToneWords,
    default_lexicon,
)
from monitor.features.text.words import EventBatch, TextBatch

Float = NDArray[np.float64]

_GRADE_RANGE = (-4.0, 40.0)
"""School years that the formula is cut to: outside of them it speaks of texts that are none."""


def _per_hundred(count: Float, words: Float) -> Float:
    """Occurrences per 100 words; NaN where there are no words."""
    rate: Float = np.divide(100.0 * count, words, out=np.full(len(words), np.nan), where=words > 0)
    return rate


class Tone:
    """Family `tone`: features of the output's manner, computed for a whole batch in array operations.

    Parameters
    ----------
    lexicon
        Valences and classes of words; the shipped ones by default.
    """

    family = "tone"
    features = (
        FeatureSpec(
            "output.tone.sentiment", Kind.NUMBER,
            "how positive (1) or negative (-1) the wording is, by VADER's lexicon and rules", worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.formality", Kind.NUMBER,
            "nominal against verbal style: 50 is neutral, prose for print above, chat below", worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.hedging", Kind.NUMBER,
            "words of uncertainty (might, perhaps, likely): rises when a model stops committing itself",
            unit="per 100 words", worse=Worse.UP,
        ),
        FeatureSpec(
            "output.tone.apology", Kind.NUMBER,
            "words of apology (sorry, regret): rises with refusals and with errors owned up to",
            unit="per 100 words", worse=Worse.UP,
        ),
        FeatureSpec(
            "output.tone.enthusiasm", Kind.NUMBER,
            "exclamation marks and strongly positive words: a warmer or a sales-like voice", unit="per 100 words",
            worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.courtesy", Kind.NUMBER,
            "please, thank, welcome and the like: falls when a model turns curt", unit="per 100 words",
            worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.first_person", Kind.NUMBER,
            "I, we and their forms: the model talks of itself", unit="per 100 words", worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.second_person", Kind.NUMBER,
            "you and its forms: the reader is addressed", unit="per 100 words", worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.exclamations", Kind.NUMBER,
            "exclamation marks", unit="per sentence", worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.questions", Kind.NUMBER,
            "question marks: rises when a model asks back in place of answering", unit="per sentence",
            worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.emoji", Kind.NUMBER,
            "chunks with emoji", unit="per 100 words", worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.reading_grade", Kind.NUMBER,
            "school years needed to read it (Flesch-Kincaid): rises with long sentences and words", unit="years",
            worse=Worse.EITHER,
        ),
        FeatureSpec(
            "output.tone.profanity", Kind.COUNT,
            "profane words: any in a service that had none is worth a look", unit="words",
            worse=Worse.UP, role=Role.CONTENT_FAULT,
        ),
    )  # fmt: skip

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        words = ToneWords(default_lexicon() if lexicon is None else lexicon)
        self.word_columns: Mapping[str, Callable[[str], float]] = {
            "tone.bits": words.bits,
            "tone.valence": words.valence,
            "tone.exclamations": tone_words.exclamations,
            "tone.questions": tone_words.questions,
            "tone.apologies": tone_words.apologies,
            **LANGUAGE_COLUMNS,
        }

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; NaN where there is no output, rates also where it has no words."""
        text = batch.output
        bits = text.values("tone.bits").astype(np.int32)
        valence = text.values("tone.valence")
        names = ("words", "syllables", "tone.exclamations", "tone.questions", "tone.apologies")
        sums = {name: text.sums[name] for name in names}
        if text.prose is not None:  # the rest is not the speaker's
            bits *= text.prose
            valence *= text.prose
            outside = np.flatnonzero(~text.prose)
            sums = {name: total - text.sums_over(name, outside) for name, total in sums.items()}
        words, syllables, exclamations, questions, apologies = sums.values()
        words = np.rint(words)
        counts = _bit_counts(text, bits)
        per_sentence = np.maximum(text.sentences_of_prose, 1.0)  # NaN where they cannot be counted
        one_or_more = np.where(np.isnan(per_sentence), 1.0, per_sentence)
        filled = np.maximum(words, 1)
        grade = np.clip(0.39 * filled / one_or_more + 11.8 * syllables / filled - 15.59, *_GRADE_RANGE)
        formality = 50.0 + 50.0 * (counts[NOMINAL] - counts[VERBAL]) / filled
        strong = counts[STRONG_POSITIVE] + exclamations
        english_only: dict[str, Float] = {
            "sentiment": sentiment(text, bits, valence, one_or_more, counts[SHOUTED], exclamations),
            "formality": np.where(words > 0, formality, np.nan),
            "hedging": _per_hundred(counts[HEDGE], words),
            "enthusiasm": _per_hundred(strong, words),
            "courtesy": _per_hundred(counts[COURTEOUS], words),
            "first_person": _per_hundred(counts[FIRST], words),
            "second_person": _per_hundred(counts[SECOND], words),
            "reading_grade": np.where(words > 0, grade, np.nan),
            "profanity": counts[PROFANE],
        }
        foreign = is_foreign(text)
        if foreign.any():
            for column in english_only.values():
                column[foreign] = np.nan
        columns: dict[str, Float] = {
            **english_only,
            "apology": _per_hundred(counts[APOLOGETIC] + apologies, words),
            "exclamations": exclamations / per_sentence,
            "questions": questions / per_sentence,
            "emoji": _per_hundred(counts[EMOJI], words),
        }
        return {f"output.tone.{name}": text.masked(column) for name, column in columns.items()}


def _bit_counts(text: TextBatch, bits: NDArray[np.int32]) -> dict[int, Float]:
    """How many chunks of each text carry each bit: one histogram over the distinct combinations of bits."""
    combinations = np.flatnonzero(np.bincount(bits, minlength=1 << BITS))
    number = np.empty(1 << BITS, dtype=np.int64)  # only the cells of combinations that occur are read
    number[combinations] = np.arange(len(combinations))
    code = number[bits]
    width = max(len(combinations), 1)
    histogram = np.bincount(text.text_of.astype(np.int64) * width + code, minlength=text.n * width)
    histogram = histogram.reshape(text.n, width)[:, : len(combinations)]
    set_bits = ((combinations[:, None] >> np.arange(BITS)) & 1).astype(np.float64)
    counts: Float = histogram @ set_bits
    return {1 << bit: counts[:, bit] for bit in range(BITS)}
