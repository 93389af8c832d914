"""Where sentences end, as a reader counts them: in every script, in lists and tables, and behind abbreviations.

Of each distinct chunk the word table asks once how it ends (`ending`), how it begins (`opening`), how many sentences
end inside it (`inner_stops`), and what it marks in the layout of a text (`layout`). `ends_of_units` then puts chunks
beside their neighbours for a whole batch at once. A unit is a sentence, or what stands alone in its line: a list item,
a table row, a heading, a salutation.

The rules follow UAX #29 for marks and closing quotes. What follows a mark decides where the mark alone does not: after
"no." a number, after "U.S." a capital, after "..." a small letter. May import `english` and `scripts` of this package.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from monitor.features.text import english
from monitor.features.text.scripts import WIDE_STOPS

# How a chunk ends.
OPEN_END, STOP, UNLESS_LOWER, BEFORE_STARTER, UNLESS_NUMBER, COMMA, ORDINAL = range(7)
# How a chunk begins.
SYMBOL, LOWER, UPPER, DIGIT, UNCASED, STARTER, ORDINAL_NOUN = range(7)
# What a chunk marks in the layout of a text; bits. The first three mean something at the start of a line only;
# BACKTICK is a half of inline code, NO_WORD a whole one, or a link.
LIST_MARK, ROW, BLOCK_QUOTE, FENCE, BACKTICK, QUOTE_OPENS, QUOTE_CLOSES, NO_WORD = (1 << bit for bit in range(8))

# Mask and places of the three in one number: endings and openings have seven values each, which fit three bits.
_THREE_BITS, _OPENING_AT, _LAYOUT_AT = 7, 3, 6

CLOSING = "\"'\u201d\u2019)]*_\u00bb\u203a\u300d\u300f\uff09\u3011\u300b\u201c`~"
OPENING = "\"'\u201c\u2018\u201e\u00ab\u2039([*_\u00bf\u00a1\u300c\u300e\uff08\u3010\u300a~"
_ENCLOSING = '"\u201d\u2019\u00bb\u203a\u300d\u300f\u201c`)]'
"""Closing marks of what may stand within a sentence: a quotation, inline code, brackets. The marks in these are theirs,
so that a small letter behind them goes on with the sentence: `null?` or not."""
_DOUBLE_QUOTES = '"\u201c\u201d\u201e\u00ab\u00bb'
_COMMAS = ",;\u060c\u061b\uff0c\u3001\uff1b&(\u2013\u2014-"
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
_INNER_WIDE = re.compile(rf"[{WIDE_STOPS}]+[{re.escape(CLOSING)}]*(?=\w)")
_INNER_JOINED = re.compile(r"([^\W\d_]{3,24})[.!?]([A-Z][a-z]{0,24})(?![\w@/])")
_LIST_NUMBER = re.compile(r"(?:\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|[ivxIVX]{1,5}[.)])\Z")
_BULLETS = frozenset(("-", "*", "+", "\u2022", "\u00b7", "\u25e6", "\u25aa", "\u2023", "\u30fb", "\u2013", "\u25cf"))
_LINK = re.compile(r"://|\]\(|\Awww\.|\A<?[\w.+-]{1,60}@[\w-]{1,60}\.\w")
_LONGEST = 64  # a longer chunk is no word; of one without spaces the ends alone are read


class _Abbreviations(NamedTuple):
    never: frozenset[str]
    before_a_number: frozenset[str]
    may_end: frozenset[str]
    after_an_ordinal: frozenset[str]


@cache
def _abbreviations() -> _Abbreviations:
    text = resources.files("monitor.features").joinpath("data/abbreviations.yaml").read_text("utf-8")
    found = yaml.load(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    return _Abbreviations(**{name: frozenset(words.split()) for name, words in found.items()})


def form(chunk: str) -> float:
    """`ending`, `opening` and `layout` of a chunk in one number; `endings`, `openings`, `layouts` read them again."""
    return float(ending(chunk) | opening(chunk) << _OPENING_AT | layout(chunk) << _LAYOUT_AT)


def endings(forms: NDArray[np.int16]) -> NDArray[np.int16]:
    """How chunks end."""
    return forms & _THREE_BITS


def openings(forms: NDArray[np.int16]) -> NDArray[np.int16]:
    """How chunks begin."""
    return (forms >> _OPENING_AT) & _THREE_BITS


def layouts(forms: NDArray[np.int16]) -> NDArray[np.int16]:
    """What chunks mark."""
    return forms >> _LAYOUT_AT


def ending(chunk: str) -> int:
    """How a chunk ends: one of the codes above."""
    last = chunk[-1]
    if last.isalnum():
        return OPEN_END
    bare = chunk.rstrip(CLOSING)
    if not bare:
        return OPEN_END
    mark = bare[-1]
    enclosed = len(bare) < len(chunk) and any(c in _ENCLOSING for c in chunk[len(bare) :])
    if mark in WIDE_STOPS or (mark in ";\u037e" and _GREEK.search(chunk) is not None):
        return STOP
    if mark in _COMMAS:
        return COMMA
    if mark in "!?":
        return UNLESS_LOWER if enclosed else STOP
    if mark == "\u2026" or bare.endswith(("..", ". .")):
        return UNLESS_LOWER
    return _full_stop(bare, enclosed=enclosed) if mark == "." else OPEN_END


def _full_stop(bare: str, *, enclosed: bool) -> int:
    """Of a chunk that ends in one full stop."""
    stem = bare[:-1].lstrip(OPENING)
    word = stem.lower()
    known = _abbreviations()
    if not stem:
        return STOP
    if stem[-1].isdigit():
        return ORDINAL if stem.isdigit() and len(stem) <= 2 else UNLESS_LOWER
    if len(stem) == 1:
        return BEFORE_STARTER if stem.isalpha() and stem != "I" else STOP
    if word in known.never:
        return OPEN_END
    if word in known.before_a_number:
        return UNLESS_NUMBER
    if word in known.may_end:
        return UNLESS_LOWER
    if "." in stem:
        parts = stem.split(".")
        if all(len(part) <= 1 for part in parts) or (all(len(part) <= 2 for part in parts) and not stem.islower()):
            if stem.islower():  # a.m., e.g.
                return UNLESS_LOWER if word in ("a.m", "p.m") else OPEN_END
            return BEFORE_STARTER
    return UNLESS_LOWER if enclosed else STOP


def opening(chunk: str) -> int:
    """How a chunk begins: one of the codes above."""
    first = chunk[0]
    if not first.isalnum():
        chunk = chunk.lstrip(OPENING)
        if not chunk:
            return SYMBOL
        first = chunk[0]
    if first.islower():
        return LOWER
    if first.isupper():
        word = english.core(chunk)
        if word in _abbreviations().after_an_ordinal:
            return ORDINAL_NOUN
        frequency = english.zipf(word)
        starts = frequency >= _VERY_FREQUENT or (frequency >= _FREQUENT and english.is_marker(word))
        return STARTER if starts else UPPER
    if first.isdigit():
        return DIGIT
    return UNCASED if first.isalpha() else SYMBOL


_FREQUENT = 5.0
_VERY_FREQUENT = 6.2
"""Zipf frequencies of English words that often begin a sentence and are in no name: of function words that other
languages do not have (they, then), and of all (the, it, he, in)."""


def inner_stops(chunk: str) -> float:
    """Sentences that end inside a chunk: in scripts without spaces, and where a space was forgotten ("done.The")."""
    if chunk.isalnum():
        return 0.0
    stops = 0
    if not chunk.isascii():
        stops = len(_INNER_WIDE.findall(chunk))
    if len(chunk) <= _LONGEST and ("." in chunk or "!" in chunk or "?" in chunk):
        for left, right in _INNER_JOINED.findall(chunk):
            stops += left.islower() and english.is_word(left) and english.is_word(right.lower())
    return float(stops)


def layout(chunk: str) -> int:
    """What a chunk marks in the layout: the bits above."""
    if chunk.isalnum():
        return 0
    first, last = chunk[0], chunk[-1]
    bits = 0
    if chunk in _BULLETS or _LIST_NUMBER.match(chunk):
        bits = LIST_MARK
    elif (first == "#" and not chunk.strip("#") and len(chunk) <= 6) or first == "|":
        bits = LIST_MARK | ROW
    elif first == ">":
        bits = BLOCK_QUOTE
    if "`" in chunk or "~~~" in chunk:
        ticks = chunk.count("`")
        bits |= BACKTICK if ticks % 2 else NO_WORD if ticks else 0
        if "```" in chunk or "~~~" in chunk:
            bits |= FENCE
    if _LINK.search(chunk):
        bits |= NO_WORD
    if first in _DOUBLE_QUOTES or (len(chunk) > 1 and chunk.lstrip("([*_")[:1] in _DOUBLE_QUOTES and first in "([*_"):
        bits |= QUOTE_OPENS
    if last in _DOUBLE_QUOTES or chunk.rstrip(".,;:!?)]*_\u2026")[-1:] in tuple(_DOUBLE_QUOTES):
        bits |= QUOTE_CLOSES
    return bits


def ends_of_units(
    forms: NDArray[np.int16],
    text_of: NDArray[np.int32],
    line_starts: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Which of m chunks of these forms end a unit (bool, m).

    `line_starts` are indices of the first chunk after each line break of the batch, ascending; one that comes twice
    begins a paragraph. The last chunk of a text always ends one.
    """
    m = len(forms)
    ends = np.ones(m, dtype=np.bool_)
    if m < 2:
        return ends
    following = openings(forms[1:])
    ends_here = ends[:-1]
    kinds = endings(forms[:-1])
    np.equal(kinds, STOP, out=ends_here)
    doubtful = np.flatnonzero((kinds > STOP) & (kinds != COMMA))
    kind, after = kinds[doubtful], following[doubtful]
    ends_here[doubtful] = (
        ((kind == UNLESS_LOWER) & (after != LOWER))
        | ((kind == BEFORE_STARTER) & (after == STARTER))
        | ((kind == UNLESS_NUMBER) & (after != LOWER) & (after != DIGIT))
        | ((kind == ORDINAL) & (after != LOWER) & (after != ORDINAL_NOUN))
    )
    inside = line_starts[(line_starts > 0) & (line_starts < m)]
    if len(inside):
        starts, breaks = np.unique(inside, return_counts=True)
        marked = layouts(forms[starts])
        # the first chunk of the line before each of them: a row, a heading or a fence ends with its line
        before = np.concatenate([[0], starts[:-1]])
        comma = kinds[starts - 1] == COMMA
        ends_here[starts - 1] |= (
            (breaks > 1)
            | ((marked & (LIST_MARK | FENCE)) != 0)
            | ((layouts(forms[before]) & (ROW | FENCE)) != 0)
            | (~comma & (openings(forms[starts]) == UNCASED))
        )
    begins = np.zeros(m + 1, dtype=np.bool_)
    begins[inside] = True
    begins[0] = True
    begins[1:m] |= text_of[1:] != text_of[:-1]
    # the mark of a list item ("1.") ends nothing, unless it is all that its line holds
    items = np.flatnonzero(begins[:m])
    items = items[((layouts(forms[items]) & LIST_MARK) != 0) & ~begins[items + 1] & (items < m - 1)]
    ends_here[items] = False
    ends_here |= text_of[1:] != text_of[:-1]
    return ends
