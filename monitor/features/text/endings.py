"""How an output ends: complete, signed by somebody, or cut in the middle of a sentence.

`monitor.features.families.format` calls `is_truncated` and `kind_of_end` for each output. Both read the end of the
text, not all of it, except for one count of lines; most texts end in a sentence mark, which is decided at once.

A text without a mark at its end is not cut for that alone: signatures, names, list items, titles, table rows, links,
emoji and key-value lines have none, and Thai, Lao, Khmer and Burmese write none. It counts as cut where

- a word follows that ends no sentence in any of the languages known here ("the", "und", "que"), or a comma,
- a bracket, quote or highlight of the last line is left open,
- a sentence began after others in the same line, or in a line as long as prose, in a text whose other lines end in
  marks, and what it began with is no signature.

Words are known in the languages most written (`data/endings.yaml`); other languages are decided by marks, capitals and
lengths. May import nothing of this package.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

SENTENCE_END = ".!?\u2026\u3002\uff01\uff1f\uff0e\uff61\u061f\u06d4\u0964\u0965\u0589\u1362\u1367\u17d4\u104b\u0f0d"
"""Marks that end a sentence, in all scripts that have one: Latin, Chinese and Japanese, Arabic, Urdu, Hindi, ..."""
QUESTION = "?\uff1f\u061f\u1367\u037e"
QUOTES = "\"'\u201d\u2019\u00bb\u203a\u201c\u2018\u300d\u300f"
_CLOSED = frozenset(SENTENCE_END + QUESTION + QUOTES + ")]}>*_`~|=;\u3011\uff09\u300b\u3009")
_COMMAS = frozenset(",\uff0c\u3001\u060c")
_COLONS = frozenset(":\uff1a")
_JOINERS = frozenset("-\u2013\u2014/&(\uff08\u300c\u300e\u201e")

_PAIRS = ("\uff08\uff09", "\u300c\u300d", "\u300e\u300f", "\u3010\u3011", "\u300a\u300b", "[]")
"""Brackets and quotes, opening and closing, beside round ones."""

CUT_REASONS = frozenset((
    "length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_new_tokens", "max_length",
    "model_length", "token_limit", "max_token", "tokens_limit", "model_context_window_exceeded",
))  # fmt: skip
"""Reasons with which providers say that a limit ended the output, in lower case."""
WHOLE_REASONS = frozenset((
    "stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "finish", "finished", "end",
    "tool_calls", "tool_call", "tool_use", "function_call",
))  # fmt: skip
"""Reasons with which they say that the model was done; an application may have cut its text all the same."""

PROSE_WIDTH = 60  # width from which a line without a marker reads as prose
_TITLE_WIDTH = 70  # width from which one line without any sentence mark is no title or label
_TAIL_CHARS = 400  # characters at the end that are read: the longest signatures have 300
_MAX_OTHER_LINES = 8  # lines before the last one that show whether lines end in marks here
_MAX_NAME_WORDS = 5  # longest name of a person with title and particles; more words are a sentence
_ABBREVIATION = re.compile(
    r".*\.|(?:dr|dra|mr|mrs|ms|prof|ing|sr|sra|mme|st|nr|no|tel|fig|abb|tab|ca|bzw|vs)\Z", re.IGNORECASE
)
_NAME_PARTICLES = ("von", "van", "de", "der", "of", "and", "und", "y", "et", "da", "di", "&")
_PARTICLE = re.compile("[\u306f\u3092\u304c\u306b\u3078]|[\u7684\u4e86\u5728\u662f\u5c06\u628a]|[\uac00-\ud7af] ")
"""What Japanese and Chinese sentences hold and names do not; in Korean two words are enough."""
_FULL_STOPS = re.compile(rf"[{SENTENCE_END}][{QUOTES})\]*_]{{0,3}}(?=\s)|[\u3002\uff01\uff1f\uff61\u0964\u06d4\u061f]")
_LIST_MARK = re.compile(r"(?:[-*+\u2022\u00b7\u30fb]|\d{1,4}[.)]|#{1,6})[ \t]")
_WIDE = re.compile("[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_NO_MARKS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai, Lao, Burmese, Khmer
_EMOJI_TAIL = re.compile(
    "(?:[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\ufe0f\u200d\u20e3\\s]|[:;]-?[)(DPp]|<3)+\\Z"
)
_ADDRESS = re.compile(r"(?:[#@/~]|www\.|data:)|.{0,60}(?:://|@\w|\.\w{1,5}/)|.{1,60}\w\.[a-z]{2,4}\Z", re.DOTALL)
_KEY_VALUE = re.compile(r"[^.!?:\uff1a\n]{1,40}[:\uff1a] ?\S")
_UNIT = re.compile(r"(?:^|\s|[(\[])[+-]?[$\u20ac\u00a3\u00a5]?\d[\d.,:/\u2013-]*\s?[^\W\d_]{0,5}\d?\Z")


def _load() -> dict[str, Any]:
    text = resources.files("monitor.features").joinpath("data/endings.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)
    return found


def _any_of(found: str | dict[str, list[str]]) -> str:
    """One expression for the entries of a list of the file."""
    parts = re.sub(r"\|\s+", "|", found) if isinstance(found, str) else "|".join(p for ps in found.values() for p in ps)
    return f"(?:{parts})"


_WORDS = _load()
_OPEN_WORDS = frozenset(word for words in _WORDS["open_words"].values() for word in words.split())
_OPEN_ENDINGS = tuple(ending for endings in _WORDS["open_endings"].values() for ending in endings)
_WHOLE_ENDINGS = tuple(ending for endings in _WORDS["whole_endings"].values() for ending in endings)
_SIGN_OFF = re.compile(
    rf"(?:\A|\n[ \t>*_-]*|[{SENTENCE_END}][{QUOTES})\]*_]{{0,3}}\s*|[\u2013\u2014-]\s?)"
    rf"({_any_of(_WORDS['signed'])}|{_any_of(_WORDS['signed_before_a_mark'])}(?P<mark>\s*(?:[,!\uff0c\uff01\u2013\u2014-]|\n|\Z)))",
    re.IGNORECASE,
)
_GREETING = re.compile(rf"{_any_of(_WORDS['greetings'])}\b", re.IGNORECASE)
_SIGNERS = re.compile(rf"{_any_of(_WORDS['signers'])}\Z", re.IGNORECASE)
_SIGNERS_WITHIN = re.compile(rf"(?<!\w){_any_of(_WORDS['signers'])}(?!\w)", re.IGNORECASE)
_ARTICLES = re.compile(rf"(?:{_any_of(_WORDS['articles'])}\s|l['\u2019])", re.IGNORECASE)
_CAPTION = re.compile(rf"{_any_of(_WORDS['captions'])}(?:\s?\d|\s?[:\uff1a]|\b)", re.IGNORECASE)


def width(text: str) -> float:
    """Length in Latin characters: an ideograph or a syllable counts as two and a half."""
    return float(len(text)) if text.isascii() else len(text) + 1.5 * len(_WIDE.findall(text))


def without_signature(text: str) -> str:
    """A stripped text without emoji and a signature at its end; the whole of it where nothing else would be left.

    A signature is a closing phrase, or a dash, and what follows: at most six short lines with no sentence in them.
    """
    body = _without_emoji(text)
    tail = body[-_TAIL_CHARS:]
    at = _sign_off(tail)
    if at is None:
        return body or text
    kept = body[: len(body) - len(tail) + at].rstrip(" \t\n*_->\u2013\u2014")
    return kept or text


def _without_emoji(text: str) -> str:
    last = text[-1]
    if last.isascii() and last not in "()DPp3":
        return text
    tail = text[-40:]
    return text[: len(text) - len(tail)] + _EMOJI_TAIL.sub("", tail)


@lru_cache(maxsize=16)
def _sign_off(tail: str) -> int | None:
    """Where the signature begins in the end of a text, if it has one. Asked of a text up to three times in a row."""
    for match in reversed(list(_SIGN_OFF.finditer(tail))):
        rest = tail[match.end() :].strip()
        lines = [line for line in rest.split("\n") if line.strip()]
        if len(lines) > 6 or any(width(line) > PROSE_WIDTH for line in lines):
            return None
        if len(lines) == 1 and len(rest) > PROSE_WIDTH / 2 and _FULL_STOPS.search(rest) is not None:
            continue
        if match["mark"] is None or all(_is_signed(line.strip(), alone=True) for line in lines):
            return match.start(1)
    return None


def kind_of_end(text: str) -> str:
    """How a stripped, non-empty text ends, as one word; a signature or emoji after its last sentence says nothing."""
    last = text[-1]
    if last not in _CLOSED:
        text = without_signature(text)
        last = text[-1]
    if last in QUESTION:
        return "question"
    if last in SENTENCE_END:
        return "sentence"
    if last in "}]":
        return "bracket"
    if last == "`":
        return "fence" if text.endswith("```") else "code"
    if last in QUOTES:
        return "quote"
    if last in _COLONS:
        return "colon"
    if _is_written(last):
        return "letter"
    return "table" if last == "|" else "symbol"


def _is_written(character: str) -> bool:
    """Whether it is a letter, a digit, or a sign of vowel or tone above or below one."""
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def is_cut_by(finish_reason: str | None) -> bool:
    """Whether a call's finish reason says that a limit ended its output."""
    return finish_reason is not None and finish_reason.lower() in CUT_REASONS


def is_truncated(text: str, finish_reason: str | None = None) -> bool:
    """Whether a stripped, non-empty text without an open code block was cut, as far as its end and the finish reason
    of its call say.

    A reason such as `length` says so surely. One such as `stop` speaks against: then only what no complete text ends
    with counts, since an application may have cut the text after the call.
    """
    if is_cut_by(finish_reason):
        return True
    last = text[-1]
    if last in _CLOSED:
        return False
    sure = finish_reason is not None and finish_reason.lower() in WHOLE_REASONS
    return _doubt(text, last) > int(sure)


def _doubt(text: str, last: str) -> int:
    """0 complete, 1 likely cut, 2 cut: no complete text ends so."""
    line_start = text.rfind("\n") + 1
    line = text[line_start:][-4 * _TAIL_CHARS :].strip()
    words = text[-200:].split()
    if last in _COLONS:
        return 2 if width(text) > PROSE_WIDTH else 0
    if last in _COMMAS:
        return (
            0
            if _sign_off(text[-_TAIL_CHARS:]) is not None or (_GREETING.match(line) and width(line) < PROSE_WIDTH)
            else 2
        )
    if last in _JOINERS:
        bare = not any(map(str.isalnum, line))  # a ruler, or the line above a signature
        return 0 if bare or "://" in words[-1] or words[-1].startswith("/") else 2
    if not _is_written(last):
        return 0
    if _ADDRESS.match(words[-1]) or _NO_MARKS.match(last):
        return 2 if _is_open(line, addresses=True) else 0
    if _is_open(line):
        return 2
    if _sign_off(text[-_TAIL_CHARS:]) is not None:
        return 0
    if len(words) > 1 and words[-1] in _OPEN_WORDS and (len(words[-1]) > 1 or width(line) >= PROSE_WIDTH):
        return 2
    if _WIDE.match(last) and line.endswith(_OPEN_ENDINGS) and width(line) >= PROSE_WIDTH / 2:
        return 2
    return _doubt_of_line(text[:line_start].rstrip(), line)


def _is_open(line: str, *, addresses: bool = False) -> bool:
    """Whether a bracket, a curly quote or a highlight of the last line is left open."""
    if "(" in line and line.count("(") > line.count(")") and not re.search(r"[:;]-?\(", line):
        return True
    if addresses:
        return False
    low = line.count("\u201e")  # German and Polish quotes open below, and close with what opens English ones
    if low > line.count("\u201c") + line.count("\u201d") or (not low and line.count("\u201c") > line.count("\u201d")):
        return True
    if any(line.count(pair[0]) > line.count(pair[1]) for pair in _PAIRS):
        return True
    return line.count("**") % 2 == 1 or line.count("`") % 2 == 1


def _doubt_of_line(before: str, line: str) -> int:
    """Of a last line that ends in a letter or digit, with what stands before it."""
    above = before[before.rfind("\n") + 1 :][-_TAIL_CHARS:].strip()
    wide = width(line)
    inner = _last_stop(line)
    if line.startswith("|"):
        return 2 if above.startswith("|") and above.endswith("|") else 0
    mark = _LIST_MARK.match(line)
    if mark is not None:
        if line.startswith("#"):
            return 0
        if inner is None or inner <= mark.end():  # an item needs a mark where the item above it has one
            like_it = bool(above) and above[-1] in SENTENCE_END and _LIST_MARK.match(above) is not None
            return (2 if wide >= PROSE_WIDTH else 1) if like_it else 0
        line, inner = line[mark.end() :], inner - mark.end()
    if line.endswith(_WHOLE_ENDINGS):
        return 0
    fragment = line if inner is None else line[inner:].lstrip(QUOTES + " )").strip()
    if not fragment or _is_signed(fragment, alone=inner is None):
        return 0
    marked, others = _marked_lines(before)
    if others and 2 * marked < others:  # lines have no marks at their ends here: verses, headings, a way of writing
        return 0
    if inner is not None:
        if _is_enumeration(fragment):
            return 0
        sure = len(fragment.split()) > 2 or width(fragment) > 12
        return 2 if sure and not _KEY_VALUE.match(fragment) else 1
    if not marked and _FULL_STOPS.search(before[-_TAIL_CHARS:] + " ") is None:
        # The only line, or lines without any mark: a title, a label, an answer in a few words
        return int(not before and wide >= _TITLE_WIDTH and not _is_enumeration(line))
    if wide >= PROSE_WIDTH:
        return 2
    if above[-1:] in _COMMAS and width(above) <= PROSE_WIDTH:  # below "Many thanks,"
        return 0
    if _KEY_VALUE.match(line) or _UNIT.search(line) or _CAPTION.match(line):
        return 0
    if marked == 0 or 4 * marked < 3 * others:
        return 0
    if _WIDE.search(fragment):
        return int(_PARTICLE.search(fragment) is not None)
    if fragment.lower() == fragment.upper():  # no capitals in this script: only a longer line is surely no name
        return int(len(fragment.split()) > 3)
    return int(_has_small_words(fragment) if len(fragment.split()) > 1 else fragment.lower() in _OPEN_WORDS)


def _last_stop(line: str) -> int | None:
    """Where the last sentence of a line begins, if one ends before."""
    end = None
    for match in _FULL_STOPS.finditer(line):
        if match.end() >= len(line):
            break
        word = line[max(match.start() - 20, 0) : match.start()].rsplit(None, 1)[-1:]
        # "J. ", "z. B. ", "A.A. ", "1. " at the start: initials, abbreviations and numbers of items end no sentence
        if line[match.start()] != "." or (word and len(word[0]) > 1 and not _ABBREVIATION.match(word[0])):
            end = match.end()
    return end


def _is_enumeration(line: str) -> bool:
    """Whether it is four or more short items between commas, without a word of the kind that joins sentences."""
    commas = line.count(", ") + sum(map(line.count, "\uff0c\u3001\u060c"))
    words = line.split()
    short = len(words) <= 3 * (commas + 1) and width(line) <= 30 * (commas + 1)
    return commas >= 3 and short and _OPEN_WORDS.isdisjoint(words)


def _has_small_words(fragment: str) -> bool:
    """Whether one of its words is in lower case: no name or title in capitals."""
    return any(word.islower() for word in fragment.split()[1:]) or fragment[0].islower()


def _is_signed(fragment: str, *, alone: bool) -> bool:
    """Whether it is a name, a team or a source behind a dash. `alone` in its line, one word is enough for a name."""
    if fragment[0] in "-\u2013\u2014~":
        return width(fragment) <= PROSE_WIDTH
    if _ADDRESS.match(fragment) or (_GREETING.match(fragment) and alone and width(fragment) < PROSE_WIDTH / 2):
        return True
    if width(fragment) > PROSE_WIDTH:
        return False
    name, comma, role = fragment.partition(", ")
    if comma and _SIGNERS.search(role) and _is_signed(name, alone=True):
        return True
    words = fragment.split()
    article = _ARTICLES.match(fragment) is not None
    named = words[-1][0].isupper() and _SIGNERS_WITHIN.search(fragment) is not None
    if (named or _SIGNERS.search(fragment)) and (
        article or not _has_small_words(fragment) or (len(words) == 1 and width(fragment) <= 40)
    ):
        return True
    if article or not (1 if alone else 2) <= len(words) <= _MAX_NAME_WORDS:
        return False
    cased = all(word[0].isupper() or word.lower() in _NAME_PARTICLES for word in words)
    return cased and words[0].lower() not in _OPEN_WORDS and words[-1][0].isupper()


def _marked_lines(before: str) -> tuple[int, int]:
    """Of the last few lines above that read as prose: how many end in a mark, and how many there are."""
    marked = others = 0
    for line in before[-4 * _TAIL_CHARS :].split("\n")[-2 * _MAX_OTHER_LINES :]:
        line = line.strip()
        if len(line) < 20 or line[0] in "#|>" or _LIST_MARK.match(line) or line[-1] in _COMMAS or line[-1] in _COLONS:
            continue
        others += 1
        marked += line[-1] in _CLOSED
    return marked, others
