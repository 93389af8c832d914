"""Tone of single chunks: classes of English words, valences, marks, and words of apology in other languages.

`monitor.features.families.tone` declares these functions as word columns; each is asked once for a distinct chunk.

Word lists: `data/tone_lexicon.tsv.gz`, built from `vaderSentiment`, `hedges`, `cuss` and `leo-profanity` by
`scripts/build_tone_lexicon.py`; words that they do not list get a fifth of the valence that their embedding predicts
(`data/tone_induced.tsv.gz`, `scripts/build_induced_valence.py`): film reviews and editorials speak of more than a list
holds. Closed word classes (pronouns, prepositions, articles, auxiliaries) stand below; `data/apologies.yaml` has other
languages. May import `english` and `scripts` of this package.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from monitor.features.text import english
from monitor.features.text.scripts import EXCLAMATIONS, LANGUAGES_WITH_SPACELESS, QUESTIONS, SPACELESS


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
_SHORTEST_NOMINAL = 6  # letters: shorter words end so by chance (table, diary)
_CONTRACTED = ("'re", "'ll", "'ve", "'d", "'m")
_STRONG = 2.5  # valence from which a word counts as enthusiastic: "great" 3.1, "love" 3.2, "good" 1.9


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
BITS = 16  # of a word's class: as many as are named above


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


class ToneWords:
    """Class and valence of single chunks. A chunk is asked for once per table, so plain dictionaries are enough."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._bits = _bits_by_word(lexicon)
        self._emoji = lexicon.emoji
        # what strengthens other words bears no sentiment itself
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
def _apologies() -> dict[str, dict[str, str]]:
    """Expressions by `words` or `parts` and language."""
    text = resources.files("monitor.features").joinpath("data/apologies.yaml").read_text("utf-8")
    found: dict[str, dict[str, str]] = yaml.load(
        text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    )
    return found


@cache
def _apology_expression() -> re.Pattern[str]:
    found = _apologies()
    words, parts = "|".join(found["words"].values()), "|".join(found["parts"].values())
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)|{parts}")


@cache
def _unspaced_apology_expression() -> re.Pattern[str]:
    """For a chunk in a script without spaces, which may be a whole text: the other languages' words cost more."""
    return re.compile("|".join(_apologies()["parts"][code] for code in LANGUAGES_WITH_SPACELESS))


_NO_MARK = re.compile(r"(?:^|(?<=[^\w!?]))!(?=[\w\[=(.])|!=|\?[.?]\w")
"""Exclamation and question marks of a programming language: `!x`, `!=`, `a?.b`, `![image]`."""


def apologies(chunk: str) -> float:
    """Expressions of apology in a chunk, in languages other than English; several in scripts without spaces."""
    if english.core(chunk) in APOLOGY:
        return 0.0
    unspaced = not chunk.isascii() and SPACELESS.search(chunk) is not None
    expression = _unspaced_apology_expression() if unspaced else _apology_expression()
    return float(len(expression.findall(chunk.lower())))


def exclamations(chunk: str) -> float:
    """Exclamation marks of a chunk, of every script; none that a programming language writes."""
    return _marks(chunk, EXCLAMATIONS)


def questions(chunk: str) -> float:
    """Question marks of a chunk, of every script."""
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
