"""Sentiment of texts by VADER's rules (Hutto and Gilbert 2014), as array logic over all chunks of a batch.

The rules: negation within three words, boosters and dampeners by distance, capitals, `but`, exclamation marks. Three
are changed: `but` reaches to the end of its sentence only; the sum is divided by the square root of the number of
sentences, where VADER's saturates at 1 after a few paragraphs; and a negation that negates no word of sentiment is
itself a little negative (Potts 2011, On the negativity of negation). `benchmarks/features.py` compares both with
people's ratings. Called by `monitor.features.families.tone`. May import `tone_words` and `words` of this package.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.features.text.tone_words import BOOSTER, BUT, DAMPENER, NEGATION, NO, SHOUTED
from monitor.features.text.words import TextBatch

Float = NDArray[np.float64]

# VADER's constants, derived there from people's ratings.
BOOST = 0.293  # what a booster before a word adds to its valence
CAPITALS = 0.733  # what capitals add where not all is in capitals
NEGATED = -0.74  # what a negation before a word makes of its valence, as a factor
EXCLAMATION = 0.292  # what each of the first four exclamation marks of a sentence adds
REACH = (1.0, 0.95, 0.9)  # a booster's strength one, two and three words before
UNUSED_NEGATION = -0.5  # on people's ratings anything from -0.25 to -1 does, 0 is worse
BEFORE_BUT, AFTER_BUT = 0.5, 1.5  # weights of the words of a sentence on either side of its `but`
ALPHA = 15.0  # brings sums to -1 to 1: half way at a sum of 2.2


def sentiment(
    text: TextBatch,
    bits: NDArray[np.int32],
    valence: Float,
    per_sentence: Float,
    shouted_words: Float,
    exclamations: Float,
) -> Float:
    """Sentiment of each of n texts, -1 to 1; 0 where no word bears any.

    `bits` and `valence` are of the m chunks, 0 where they are not the speaker's; the others, of length n, are the
    sentences, words in capitals and exclamation marks of each text.
    """
    marked = np.flatnonzero(bits & (NO | NEGATION | BUT))
    no = marked[(bits[marked] & NO) != 0]
    for distance in (1, 2):  # "no" is negative by itself, but only a negation where a word that bears sentiment is near
        after = np.minimum(no + distance, len(valence) - 1)
        near = (text.text_of[after] == text.text_of[no]) & (after > no) & (valence[after] != 0)
        valence[no[near]] = 0.0
    at = np.flatnonzero(valence)
    text_of = text.text_of[at]
    value = valence[at]
    sign = np.sign(value)
    mixed = (shouted_words < text.words)[text_of]  # capitals mean something only where not all is in capitals
    value += sign * CAPITALS * (mixed & ((bits[at] & SHOUTED) != 0))
    position = text.position[at]
    factor = np.ones(len(at))
    for distance, strength in enumerate(REACH, start=1):
        before = np.where(position >= distance, at - distance, 0)
        reached = (position >= distance) & (valence[before] == 0)
        kind = np.where(reached, bits[before], 0)
        degree = (kind & (BOOSTER | DAMPENER)) != 0
        boost = np.where((kind & BOOSTER) != 0, BOOST, -BOOST) + CAPITALS * (mixed & ((kind & SHOUTED) != 0))
        value += np.where(degree, sign * strength * boost, 0.0)
        negating = NEGATION | NO if distance <= 2 else NEGATION
        factor *= np.where((kind & negating) != 0, NEGATED, 1.0)
    value *= factor
    value *= _but(text, marked[(bits[marked] & BUT) != 0], at)
    total: Float = np.bincount(text_of, weights=value, minlength=text.n).astype(np.float64)
    negations = _unused(text, marked[(bits[marked] & NEGATION) != 0], valence)
    total += UNUSED_NEGATION * np.bincount(text.text_of[negations], minlength=text.n)
    total += np.sign(total) * EXCLAMATION * np.minimum(exclamations, 4.0 * per_sentence)
    total /= np.sqrt(per_sentence)
    compound: Float = total / np.sqrt(total * total + ALPHA)
    return compound


def _unused(text: TextBatch, negations: NDArray[np.intp], valence: Float) -> NDArray[np.intp]:
    """Those negations without a word that bears sentiment among the three chunks after them in their text."""
    unused = np.ones(len(negations), dtype=np.bool_)
    for distance in range(1, len(REACH) + 1):
        after = np.minimum(negations + distance, len(valence) - 1)
        unused &= (valence[after] == 0) | (text.text_of[after] != text.text_of[negations])
    return negations[unused]


def _but(text: TextBatch, buts: NDArray[np.intp], at: NDArray[np.intp]) -> Float:
    """Weight of the chunks `at`: within a sentence with a `but`, what comes before it counts half, after it more."""
    weight = np.ones(len(at))
    if not len(buts):
        return weight
    # the sentence of a chunk: how many chunks that end one came before it
    borders = np.flatnonzero(text.ends_unit) + 1
    sentence = np.searchsorted(borders, at, side="right")
    sentence_of_but = np.searchsorted(borders, buts, side="right")
    following = np.searchsorted(buts, at)
    padded = np.concatenate([[-1], sentence_of_but, [-1]])
    after_but = padded[following] == sentence
    before_but = padded[following + 1] == sentence
    weight[before_but] = BEFORE_BUT
    weight[after_but] = AFTER_BUT
    return weight
