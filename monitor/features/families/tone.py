"""How an output speaks: sentiment, formality, hedging, apology, enthusiasm, whom it addresses, how hard it reads.

Everything is read from two columns of the one pass over the words: the class a word belongs to and its valence. Only
punctuation marks are counted on the text itself. English; on other languages the rates fall towards zero.

Sentiment follows VADER's rules (Hutto and Gilbert 2014: negation within three words, boosters and dampeners by
distance, capitals, `but`, exclamation marks) as array logic, with three changes: `but` reaches to the end of its
sentence only; the sum is divided by the square root of the number of sentences, where VADER's saturates at 1 after a
few paragraphs; and a negation that negates no word of sentiment is itself a little negative (Potts 2011, On the
negativity of negation). `benchmarks/features.py` compares both with people's ratings.

Words that VADER does not list get a fifth of the valence that their embedding predicts
(`scripts/build_induced_valence.py`): film reviews and editorials speak of more than a list holds.

Word lists: `data/tone_lexicon.tsv.gz`, built from `vaderSentiment`, `hedges`, `cuss` and `leo-profanity` by
`scripts/build_tone_lexicon.py`; closed word classes (pronouns, prepositions, articles, auxiliaries) stand below.

May import `monitor.features.{base,english,words}` only.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import yaml
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.families.language import WORD_COLUMNS as LANGUAGE_COLUMNS
from monitor.features.families.language import is_foreign
from monitor.features.text import english
from monitor.features.text.scripts import EXCLAMATIONS, QUESTIONS
from monitor.features.text.words import EventBatch, TextBatch

Float = NDArray[np.float64]

# VADER's constants, derived there from people's ratings.
BOOST = 0.293
CAPITALS = 0.733
NEGATED = -0.74
EXCLAMATION = 0.292
REACH = (1.0, 0.95, 0.9)  # a booster's strength one, two and three words before
UNUSED_NEGATION = -0.5  # on people's ratings anything from -0.25 to -1 does, 0 is worse
BEFORE_BUT, AFTER_BUT = 0.5, 1.5
ALPHA = 15.0


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Closed classes of English, after Quirk et al., A Comprehensive Grammar of the English Language (1985).
FIRST_PERSON = _set("i me my mine myself we us our ours ourselves i'm i've i'd i'll we're we've we'd we'll")
SECOND_PERSON = _set("you your yours yourself yourselves you're you've you'd you'll u ur")
THIRD_PERSON = _set(
    "he him his himself she her hers herself it its itself they them their theirs themselves he's she's it's they're "
    "they've he'd she'd they'd he'll she'll it'll they'll who whom whose this that these those that's"
)
AUXILIARY = _set(
    "am is are was were be been being do does did have has had having can could may might must shall should will would "
    "isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't can't couldn't shouldn't won't wouldn't "
    "let's"
)
ARTICLE = frozenset(("a", "an", "the"))
PREPOSITION = _set(
    "about above across after against along amid among amongst around at before behind below beneath beside besides "
    "between beyond by concerning despite during except for from in inside into near of off on onto opposite outside "
    "over past per regarding since through throughout to toward towards under underneath until unto upon via with "
    "within without"
)
INTERJECTION = _set(
    "ah aha alas alright aw aww bye eh gosh haha hello hey hi hmm huh lol nah oh oi okay ok omg oops ouch please sure "
    "thanks ugh uh um wow yay yeah yep yes yikes yo yup gonna wanna gotta kinda sorta ain't y'all cool awesome"
)
APOLOGY = _set(
    "sorry apologise apologised apologises apologising apologize apologized apologizes apologizing apology apologies "
    "apologetic regret regrets regretful regretfully regrettably"
)
COURTESY = _set("please thanks thank thankful grateful appreciate appreciated welcome glad pleasure kindly")

# Endings by which English makes nouns and adjectives out of other words: the mark of a nominal, formal style.
NOMINAL_ENDINGS = (
    "tion", "sion", "ment", "ness", "ity", "ance", "ence", "ship", "ism", "ure", "age", "al", "ive", "ous", "ic",
    "able", "ible", "ful", "ary", "tions", "sions", "ments", "ities", "ances", "ences",
)  # fmt: skip
_SHORTEST_NOMINAL = 6
_CONTRACTED = ("'re", "'ll", "'ve", "'d", "'m")
_STRONG = 2.5  # valence from which a word counts as enthusiastic: "great" 3.1, "love" 3.2, "good" 1.9
_GRADE_RANGE = (-4.0, 40.0)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Valence by word or emoji, and words by class letter (`h`, `p`, `n`, `b`, `d`; see the build script)."""

    valence: Mapping[str, float]
    classes: Mapping[str, str]
    emoji: frozenset[str]


@cache
def default_lexicon() -> Lexicon:
    """The lexicon shipped with the package, and the weak valences of words that it does not list; read once."""
    listed = listed_lexicon()
    packed = resources.files("monitor.features").joinpath("data/tone_induced.tsv.gz").read_bytes()
    lines = (line.split("\t") for line in gzip.decompress(packed).decode("utf-8").splitlines())
    induced = {word: int(hundredths) / 100 for word, hundredths in lines}
    return Lexicon({**induced, **listed.valence}, listed.classes, listed.emoji)


def listed_lexicon() -> Lexicon:
    """The words that VADER and the other lists rate."""
    packed = resources.files("monitor.features").joinpath("data/tone_lexicon.tsv.gz").read_bytes()
    valence: dict[str, float] = {}
    classes: dict[str, str] = {}
    for line in gzip.decompress(packed).decode("utf-8").splitlines():
        word, hundredths, letters = line.split("\t")
        if hundredths != "0":
            valence[word] = int(hundredths) / 100
        if letters:
            classes[word] = letters
    return Lexicon(valence, classes, frozenset(word for word in valence if ord(word[0]) > 0x2000))


# Bits of a word's class; a word may have several.
(
    HEDGE, PROFANE, NEGATION, BOOSTER, DAMPENER, APOLOGETIC, COURTEOUS, FIRST, SECOND, NOMINAL, VERBAL, SHOUTED, BUT,
    STRONG_POSITIVE, EMOJI, NO,
) = (1 << bit for bit in range(16))  # fmt: skip
_BITS = 16


def _bits_by_word(lexicon: Lexicon) -> dict[str, int]:
    bits: dict[str, int] = {}
    letters = {"h": HEDGE, "p": PROFANE, "n": NEGATION, "b": BOOSTER, "d": DAMPENER}
    for word, classes in lexicon.classes.items():
        bits[word] = sum(letters[letter] for letter in classes)
    for words, bit in (
        (APOLOGY, APOLOGETIC),
        (COURTESY, COURTEOUS),
        (FIRST_PERSON, FIRST),
        (SECOND_PERSON, SECOND),
        (ARTICLE | PREPOSITION, NOMINAL),
        (FIRST_PERSON | SECOND_PERSON | THIRD_PERSON | AUXILIARY | INTERJECTION, VERBAL),
        (frozenset(("but",)), BUT),
        (frozenset(("no",)), NO),
        (frozenset(word for word, valence in lexicon.valence.items() if valence >= _STRONG), STRONG_POSITIVE),
    ):
        for word in words:
            bits[word] = bits.get(word, 0) | bit
    return bits


class _Words:
    """Class and valence of single chunks. A chunk is asked for once per table, so plain dictionaries are enough."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._bits = _bits_by_word(lexicon)
        self._emoji = lexicon.emoji
        # what strengthens other words bears no sentiment of its own
        degree = BOOSTER | DAMPENER
        self._valence = {word: v for word, v in lexicon.valence.items() if not self._bits.get(word, 0) & degree}

    def bits(self, chunk: str) -> float:
        """Class bits of a chunk, as a float."""
        word = english.core(chunk)
        bits = self._bits.get(word, 0)
        if not bits:
            if "'" in word:
                bits = NEGATION | VERBAL if word.endswith("n't") else VERBAL if word.endswith(_CONTRACTED) else 0
            elif word.endswith("ly") and len(word) > 3:
                bits = VERBAL
            elif len(word) >= _SHORTEST_NOMINAL and word.endswith(NOMINAL_ENDINGS):
                bits = NOMINAL
        if len(word) > 1 and chunk.isupper():
            bits |= SHOUTED
        if not chunk.isascii() and any(char in self._emoji or _is_pictograph(char) for char in chunk[:64]):
            bits |= EMOJI
        return float(bits)

    def valence(self, chunk: str) -> float:
        """Valence of a chunk, -4 to 4: as it stands where that is listed (emoticons), else of its core and emoji."""
        known = self._valence
        value = known.get(chunk.lower())
        if value is not None:
            return value
        if chunk.isalnum():
            return 0.0
        value = known.get(english.core(chunk), 0.0)
        if not chunk.isascii():
            value += sum(known.get(char, 0.0) for char in chunk[:64] if char in self._emoji)
            value = max(-8.0, min(8.0, value))
        return value


def _is_pictograph(char: str) -> bool:
    return 0x1F300 <= ord(char) <= 0x1FAFF or 0x2600 <= ord(char) <= 0x27BF


@cache
def _apology_expression() -> re.Pattern[str]:
    text = resources.files("monitor.features").joinpath("data/apologies.yaml").read_text("utf-8")
    found = yaml.load(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    words, parts = "|".join(found["words"].values()), "|".join(found["parts"].values())
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)|{parts}")


_NO_MARK = re.compile(r"(?:^|(?<=[^\w!?]))!(?=[\w\[=(.])|!=|\?[.?]\w")
"""Exclamation and question marks of a programming language: `!x`, `!=`, `a?.b`, `![image]`."""


def _apologies(chunk: str) -> float:
    """Expressions of apology in a chunk, in languages other than English; several in scripts without spaces."""
    if english.core(chunk) in APOLOGY:
        return 0.0
    return float(len(_apology_expression().findall(chunk.lower())))


def _exclamations(chunk: str) -> float:
    return _marks(chunk, EXCLAMATIONS)


def _questions(chunk: str) -> float:
    if chunk[-1] == ";" and not chunk.isascii() and _GREEK_WORD.match(chunk):
        return 1.0
    return _marks(chunk, QUESTIONS)


_GREEK_WORD = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")


def _marks(chunk: str, marks: str) -> float:
    if chunk.isalnum():
        return 0.0
    count = sum(map(chunk.count, marks))
    if count and chunk.isascii():
        chunk = _NO_MARK.sub("", chunk)
        count = sum(map(chunk.count, marks))
    return float(count)


def _per_hundred(count: Float, words: Float) -> Float:
    """Occurrences per 100 words; NaN where there are no words."""
    rate: Float = np.divide(100.0 * count, words, out=np.full(len(words), np.nan), where=words > 0)
    return rate


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
        words = _Words(default_lexicon() if lexicon is None else lexicon)
        self.word_columns: Mapping[str, Callable[[str], float]] = {
            "tone.bits": words.bits,
            "tone.valence": words.valence,
            "tone.exclamations": _exclamations,
            "tone.questions": _questions,
            "tone.apologies": _apologies,
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
    combinations = np.flatnonzero(np.bincount(bits, minlength=1 << _BITS))
    number = np.empty(1 << _BITS, dtype=np.int64)  # only the cells of combinations that occur are read
    number[combinations] = np.arange(len(combinations))
    code = number[bits]
    width = max(len(combinations), 1)
    histogram = np.bincount(text.text_of.astype(np.int64) * width + code, minlength=text.n * width)
    histogram = histogram.reshape(text.n, width)[:, : len(combinations)]
    set_bits = ((combinations[:, None] >> np.arange(_BITS)) & 1).astype(np.float64)
    counts: Float = histogram @ set_bits
    return {1 << bit: counts[:, bit] for bit in range(_BITS)}
