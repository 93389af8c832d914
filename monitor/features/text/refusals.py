"""Whether a text declines what was asked, judged by whole sentences of its speaker.

`monitor.features.families.refusal` asks `may_decline` once for each distinct word, and `declines` for the texts that
hold such a word. A word alone says nothing: "I cannot stress enough", a refusal in a story, a drafted mail and "that
flight is full" decline nothing. So a text is first reduced to what its speaker says (quoted passages, code, block
quotes and drafts are left out), cut into sentences, and a sentence declines where

- a first person is unable, unwilling or not allowed to do what an assistant is asked for (answer, write, provide, ...),
- a request is said to violate a policy, or to lie outside of what the speaker does,
- a gateway reports that it filtered an answer.

English is in `english_refusals`, other languages are in `data/refusals.yaml`. May import `english_refusals` only.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import yaml

from monitor.features.text.english_refusals import declines_in, lacks_means, possible_ways
from monitor.features.text.scripts import LANGUAGES_WITH_SPACELESS, SPACELESS

READ = 500
"""Characters of the speaker's own words that are read: a refusal stands at the start of an answer (people's labels of
XSTest; reading on added none), and one in the 100th word is a remark."""
_RAW = 2 * READ
"""Characters of the text from which those are taken: quoted passages and headings before them are skipped."""

_WIDE_STOPS = "\u3002\uff01\uff1f\uff61\u0964\u06d4\u061f"
_SENTENCE = re.compile(rf"[^.!?:\n{_WIDE_STOPS}]+[.!?:]?")
# Quoted passages of at most 400 characters. Single quotes count only around several words: others are apostrophes.
_QUOTED = re.compile(
    '"[^"\n]{1,400}"|\u201c[^\u201d\n]{1,400}\u201d|\u201e[^\u201c\u201d\n]{1,400}[\u201c\u201d]'
    "|\u00ab[^\u00bb\n]{1,400}\u00bb|\u300c[^\u300d\n]{1,400}\u300d|\u300e[^\u300f\n]{1,400}\u300f"
)
_SINGLE_QUOTED = re.compile(r"(?<!\w)'(?=[^'\n]{0,60}\s)(?:[^'\n]|(?<=\w)'(?=\w)){2,400}'(?!\w)")
_QUOTES = '"\u201c\u201e\u00ab\u300c\u300e'
_MARKS = frozenset("*_\u2019\u2018\u02bc\u00a0\u200b")
_BLOCK_QUOTE = re.compile(r"^[ \t]{0,3}>.*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t].*$", re.MULTILINE)
_CODE = re.compile(r"```.{0,4000}?(?:```|\Z)|`[^`\n]{1,200}`", re.DOTALL)
_LABEL = re.compile(r"\A(?:(?:assistant|ai|bot|response|answer|reply|output|model)\s?:\s*)", re.IGNORECASE)
_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)"(\s*+:)?+')
_EMPHASIS = str.maketrans({"*": "", "_": " ", "\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u00a0": " ", "\u200b": ""})
_DRAFT = re.compile(
    r"\A\s*(?:subject|betreff|asunto|objet|assunto|oggetto)\s?:|\A\s*(?:dear|to whom it may|sehr geehrte|liebe[rs]?|"
    r"estimad[oa]s?|querid[oa]s?|cher|ch\u00e8re|prezad[oa]s?|gentile|caro|cara|beste|geachte)\b[^\n]{0,60}[,:]?\n",
    re.IGNORECASE,
)
_HANDED_OVER = re.compile(
    r"\A(?:sure|certainly|of course|absolutely|okay|ok|here(?:'s| is| are)|you (?:could|can|might)|to (?:decline|"
    r"refuse|"
    r"say no)|one (?:option|way)|a polite|draft|template|e-?mail|letter|message|translate\w*|say|write|type|tell "
    r"(?:them|him|her)|"
    r"try|use|in (?:english|german|french|"
    r"spanish))\b"
)
"""Openings of a sentence that ends in a colon and hands over somebody else's words."""

_LACKING_WORDS = 60
"""Words of a text up to which "I don't have access to ..." is all that it says."""
_ANSWERS_ALL_THE_SAME = re.compile(
    r"\b(?:however|but|that said|nevertheless|still),?[^.!?]{0,50}? i can (?:tell you that|confirm that|say that|"
    r"tell you the)\b"
)


class _Rules(NamedTuple):
    """Of one language, or of several: what every sentence that declines holds a part of, and what it holds all of."""

    signals: re.Pattern[str]
    rules: tuple[tuple[re.Pattern[str], ...], ...]


@cache
def _other_languages() -> dict[str, _Rules]:
    """By language but English; under "" of all together."""
    text = resources.files("monitor.features").joinpath("data/refusals.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    of = {
        code: _Rules(re.compile(found["signals"][code]), tuple(tuple(map(re.compile, rule)) for rule in rules))
        for code, rules in found["rules"].items()
    }
    every = _Rules(
        re.compile("|".join(found["signals"].values())), tuple(rule for one in of.values() for rule in one.rules)
    )
    near = {code: of[likewise] for code, likewise in found["likewise"].items()}
    return {**of, **near, "": every}


@cache
def _unspaced_signals() -> re.Pattern[str]:
    """Signals of the languages that put no spaces between words, whose chunk may be a whole text: in it the expressions
    of 23 languages cost more than all else that is asked of it."""
    rules = _other_languages()
    return re.compile("|".join(rules[code].signals.pattern for code in LANGUAGES_WITH_SPACELESS))


def may_decline(word: str) -> bool:
    """Whether a word, in lower case, can be part of a refusal in a language other than English."""
    signals = _other_languages()[""].signals if SPACELESS.search(word) is None else _unspaced_signals()
    return signals.search(word) is not None


def declines(text: str, language: str | None = None) -> bool:
    """Whether a text declines the request that it answers. Time is bounded: at most `_RAW` characters are read.

    `language` is the text's ISO 639-1 code; None where it is not known, so that the rules of all are tried.
    """
    said = own_words(text)
    if not said:
        return False
    draft = _DRAFT.match(said) is not None
    lowered = said.lower()
    short = not draft and len(lowered.split()) <= _LACKING_WORDS
    if " i can " in lowered[:READ] and _ANSWERS_ALL_THE_SAME.search(lowered[:READ]):
        return False
    english = language in (None, "en")
    ways = possible_ways(lowered[:READ]) if english else []
    other = _other_languages().get(language or "")
    handed_over = False
    for sentence in _SENTENCE.findall(lowered[:READ]):
        sentence = sentence.strip(" \t-)\u2013\u2014\u2022")
        if not sentence:
            continue
        if sentence[-1] == ":":
            handed_over = handed_over or _HANDED_OVER.match(sentence) is not None
            continue
        if handed_over:
            return False
        if declines_in(sentence, ways, draft=draft) or (english and short and lacks_means(sentence)):
            return True
        if other is not None and not draft and _holds_a_rule(sentence, other):
            return True
    return False


def _holds_a_rule(sentence: str, language: _Rules) -> bool:
    if language.signals.search(sentence) is None:
        return False
    return any(all(part.search(sentence) for part in rule) for rule in language.rules)


def own_words(text: str) -> str:
    """The start of a text without code, headings, block quotes and quoted passages; of JSON its strings. A text that
    is one quoted passage is what its speaker says."""
    part = text[:_RAW].strip()
    if part[:1] in ("{", "["):
        strings = [string for string, colon in _JSON_STRING.findall(part) if not colon]
        if strings:
            part = "\n".join(string.replace("\\n", "\n").replace('\\"', "") for string in strings)
    if not _MARKS.isdisjoint(part):
        part = part.translate(_EMPHASIS)
    if not part:
        return part
    if "`" in part:
        part = _CODE.sub(" ", part)
    if ">" in part:
        part = _BLOCK_QUOTE.sub("", part)
    if "#" in part:
        part = _HEADING.sub("", part)
    bare = part
    if any(map(part.__contains__, _QUOTES)):
        bare = _QUOTED.sub(' "" ', bare)
    if " '" in part or part[0] == "'":
        bare = _SINGLE_QUOTED.sub(' "" ', bare)
    bare = bare.strip()
    if not any(map(str.isalnum, bare)):
        bare = part.strip(" \n\"'\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d")
    return _LABEL.sub("", bare)
