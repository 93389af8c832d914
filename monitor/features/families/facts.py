"""What an output states: amounts of money, durations, percentages and dates, as numbers and as values with their unit.

A text is scanned once for digits with a currency, a unit of time or a percent sign beside them, in the ten largest
languages; numbers from one to twelve are read as words too, before a unit of time. Numbers are read as the
text writes them: of two separators the last one is the decimal one, and a single one before three digits groups
thousands.

`output.facts.value` is what an output states most often, else first. All values travel besides, with a key
(`output.facts.value[30 days]`), so that detection can tell those that its reference never held
(`monitor.detection.columns.known_values`). Dates do not: tomorrow's date is new every day.

May import its neighbours in this package only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from monitor.features.base import Column, FeatureSpec, Kind, Role
from monitor.features.keyed import NO_KEYED, Keyed, with_key
from monitor.features.text import english
from monitor.features.text.words import EventBatch, TextBatch

STATED = "output.facts.value"
NEW_VALUE = FeatureSpec(
    "output.facts.new_value",
    Kind.CATEGORY,
    "an amount, duration or percentage that no output of the reference stated, or `none`",
    role=Role.FACTS,
)
"""Made by detection, which knows what the reference states (`monitor.detection.columns.known_values`)."""
OTHER_ANSWER = FeatureSpec(
    "output.facts.other_answer",
    Kind.CATEGORY,
    "values that the answer to this input did not state in the reference, or `none`",
    role=Role.FACTS,
)
"""Made by detection, which knows what the reference answered (`monitor.detection.columns.answered_questions`)."""
QUESTION_KEY = "output.facts.question[input]"
"""Travels beside the values of an output: a hash of its input's words, so that the same question is recognised."""
_QUESTION_BYTES = 6  # of the hash: two of a stream's questions are the same by chance once in some 10^9 references
_QUESTION_CHARACTERS = 2_000  # of an input that are hashed; longer ones are documents, which do not repeat
_QUESTION_WORDS = re.compile(r"\w+")
MAX_FACTS = 32  # of one output; a table of prices has more, and its first ones say as much
MAX_CHARACTERS = 20_000  # of one output that are scanned, so that one document does not cost what a batch does
_LARGEST = 1e12  # numbers beyond are no amount that anyone states; float32 holds them all


def _words() -> dict[str, Any]:
    """The words of `facts_words.yaml`."""
    text = resources.files("monitor.features").joinpath("data/facts_words.yaml").read_text("utf-8")
    words: dict[str, Any] = yaml.safe_load(text)
    return words


_DATA = _words()
_SYMBOLS: dict[str, str] = _DATA["symbols"]  # each with its most usual currency
_CODES: frozenset[str] = frozenset(_DATA["codes"].split())  # ISO 4217
_CURRENCY_WORDS = {word: code for code, words in _DATA["currencies"].items() for word in words.split()}
_DAYS = {"seconds": 1 / 86_400, "minutes": 1 / 1_440, "hours": 1 / 24, "days": 1.0, "business days": 1.4, "weeks": 7.0,
         "months": 30.44, "years": 365.25}  # fmt: skip
"""Days of a unit: what a duration is compared by; business days at seven to five."""
_UNITS = {word: unit for unit, words in _DATA["units"].items() for word in words.split()}
_BUSINESS = frozenset(_DATA["business"].split())
_PERCENT_WORDS: tuple[str, ...] = tuple(_DATA["percent"].split())
_PERCENT_IN_TWO = {"por": ("ciento", "cento"), "pour": ("cent",)}
_NUMBER_WORDS = {word: float(value) for value, words in _DATA["numbers"].items() for word in words.split()}
_REST = r"\d{0,14}(?:[.,'\u2019\u00a0\u202f]\d{1,9}){0,5}"
_STATED = re.compile(
    # What stands before a number is looked at from its first digit back: a scan for digits alone is the quickest. A
    # capital may stand there (USD30), and a sign of a script without spaces; after the sign of a month it is a date.
    rf"(\d(?<![a-z0-9_.,\u6708]\d){_REST})(?:\s?[-\u2013\u2014]\s?(\d{_REST}))?[ \t\u00a0\u202f-]?"
    rf"([%\uff05{''.join(_SYMBOLS)}]|[^\W\d_]{{1,24}})?"
)
_NEXT_WORD = re.compile(r"\s([^\W\d_]{1,24})")
_MEANINGS = {
    **_SYMBOLS, **{code.lower(): code for code in _CODES}, **_CURRENCY_WORDS, **_UNITS,
    **dict.fromkeys(("%", "\uff05", *_PERCENT_WORDS), "%"),
}  # fmt: skip
_LONGEST_UNSPACED = max(len(word) for word in _MEANINGS if word >= "\u0e00" and not word.isascii())
_FIRST_UNSPACED = "\u2e80"  # Chinese, Japanese and Korean signs begin here: a unit may be followed by other words
_BEFORE = re.compile(rf"(?:(?P<symbol>[{''.join(_SYMBOLS)}])|(?<!\w)(?P<code>{'|'.join(_CODES)}))[ \u00a0\u202f]?\Z")
_MAY_END_CURRENCY = frozenset((*_SYMBOLS, " ", "\u00a0", "\u202f", *(code[-1] for code in sorted(_CODES))))
_FIRST_YEAR = 1_000  # what stands before the sign of a year is from here on its name, not a duration
_BEFORE_REACH = 5  # a code, a space, and the character before
_MONTHS: tuple[str, ...] = tuple(_DATA["months"].split())  # by their beginnings, the English ones first
_DATE_AT = re.compile(
    r"(?:(?:19|20)\d\d-[01]?\d-[0-3]?\d|[0-3]?\d[./][01]?\d[./](?:19|20)?\d\d|[01]?\d/[0-3]?\d/(?:19|20)?\d\d"
    rf"|[0-3]?\d(?:st|nd|rd|th|\.)?\s(?:de\s)?(?i:{'|'.join(_MONTHS)})[^\W\d_]{{0,9}}"
    r")(?![\w/-])|(?:\d{4}\u5e74)?\d{1,2}\u6708\d{1,2}\u65e5"
)
_DAY_AT = re.compile(r"[0-3]?\d(?:st|nd|rd|th)?(?!\w)")
_MONTH_STARTS = frozenset(month[:3] for month in _MONTHS)
_MONTHS_BEFORE_DAYS = frozenset(month.title() for month in _MONTHS[:12])  # in English; `may 3` is no date
_MONTH_REACH = 12  # `September` with a period and a space
_DATE_SIGNS = frozenset("/.\u5e74\u6708")
_DATE_WORDS = frozenset(("st", "nd", "rd", "th", "de"))

# A word column holds the number of a word for one, and the place of a unit: both in one, as `five-year` has both.
_UNIT_PLACES = {unit: place for place, unit in enumerate(_DAYS, start=1)}
_NUMBER_SHIFT = 16  # more places than there are units, a power of two so that dividing by it is exact


class Fact(NamedTuple):
    """One stated value: its number and its unit (a currency, a unit of time, or `%`)."""

    number: float
    unit: str


@lru_cache(maxsize=4096)
def shown(fact: Fact) -> str:
    """A value as people write it: `4.90 GBP`, `30 days`, `1 day`, `15 %`."""
    number = f"{fact.number:.2f}" if fact.unit.isupper() and fact.number % 1 else f"{fact.number:.10g}"
    return f"{number} {fact.unit[:-1] if fact.number == 1 and fact.unit in _DAYS else fact.unit}"


@lru_cache(maxsize=4096)
def number_of(text: str) -> float:
    """A number as texts write it: `1,299.00`, `1.299,00`, `1 299`, `4,90`, `0.5`."""
    bare = text.translate({ord(c): None for c in "'\u2019\u00a0\u202f"})
    comma, dot = bare.rfind(","), bare.rfind(".")
    decimal = "," if comma > dot else "."
    grouping = "." if decimal == "," else ","
    if comma >= 0 and dot >= 0:
        bare = bare.replace(grouping, "").replace(decimal, ".")
    elif max(comma, dot) >= 0:
        whole, _, rest = bare.rpartition(decimal)
        grouped = bare.count(decimal) > 1 or (len(rest) == 3 and whole not in ("", "0"))
        bare = bare.replace(decimal, "") if grouped else f"{whole}.{rest}"
    return float(bare)


def word_facts(chunk: str) -> float:
    """What a chunk is of a duration in words: 16 times its number and the place of its unit, 0 for what it is not."""
    core = english.core(chunk)
    number, _, unit = core.partition("-")
    if unit:
        value, place = _NUMBER_WORDS.get(number, 0.0), _UNIT_PLACES.get(_UNITS.get(unit, ""), 0)
        return _NUMBER_SHIFT * value + place if value and place else 0.0
    return _NUMBER_SHIFT * _NUMBER_WORDS.get(core, 0.0) + _UNIT_PLACES.get(_UNITS.get(core, ""), 0)


def facts_of(text: str) -> tuple[list[Fact], int]:
    """The amounts, durations and percentages that a text states in digits, in order, and how many dates it states.

    At most `MAX_FACTS` of each. A date has a day and a month at least.
    """
    text = text[:MAX_CHARACTERS]
    found: list[Fact] = []
    dates = 0
    for match in _STATED.finditer(text):
        word = match[3]
        unit = None if word is None else _unit(word)
        if unit is not None or word in _PERCENT_IN_TWO or word in _BUSINESS:
            fact = _fact(match, text, unit)
        elif _is_date(match, text):
            dates += 1
            continue
        else:
            fact = _amount_after_currency(match, text)
        if fact is not None and len(found) < MAX_FACTS:
            found.append(fact)
    return found, min(dates, MAX_FACTS)


def _is_date(match: re.Match[str], text: str) -> bool:
    first, last, word = match.groups()
    start, stop = match.start(), match.end(1)
    if (
        (last is not None and len(first) == 4)
        or text[stop : stop + 1] in _DATE_SIGNS
        or first.count(".") == 2
        or (word is not None and (word[:3].lower() in _MONTH_STARTS or word in _DATE_WORDS))
    ) and _DATE_AT.match(text, start):
        return True
    if len(first) > 2 or text[start - 1 : start] != " ":
        return False
    month = text[max(0, start - _MONTH_REACH) : start].split()
    known = bool(month) and month[-1][:3] in _MONTHS_BEFORE_DAYS and month[-1].rstrip(".").isalpha()
    return known and _DAY_AT.match(text, start) is not None


def _worded(output: TextBatch) -> dict[int, list[Fact]]:
    """Durations in words (`two years`, `five-year`) of each text that has any."""
    said = output.values("facts.word")
    numbers, units = said // _NUMBER_SHIFT, said % _NUMBER_SHIFT
    following = np.append(units[1:], 0.0) * np.append(output.text_of[1:] == output.text_of[:-1], False)
    unit_of = np.where(units > 0, units, following)
    names = list(_DAYS)
    found: dict[int, list[Fact]] = {}
    for at in np.flatnonzero((numbers > 0) & (unit_of > 0)).tolist():
        facts = found.setdefault(int(output.text_of[at]), [])
        facts.append(Fact(float(numbers[at]), names[int(unit_of[at]) - 1]))
    return found


@lru_cache(maxsize=4096)
def _unit(word: str) -> str | None:
    """The unit that a word is, or begins with where its script puts no spaces; None for any other word."""
    unit = _MEANINGS.get(word.lower())
    if unit is None and word[0] >= _FIRST_UNSPACED:
        starts = (word[:length] for length in range(min(_LONGEST_UNSPACED, len(word) - 1), 0, -1))
        return next((_MEANINGS[start] for start in starts if start in _MEANINGS), None)
    return unit if unit is None or unit not in _CODES or not word.isascii() or _is_written_as_currency(word) else None


def _is_written_as_currency(word: str) -> bool:
    """Whether letters are a code in capitals, or a word for a currency: `try` and `all` are no liras and no leks."""
    return word.isupper() or word.lower() in _CURRENCY_WORDS or not word.isalpha()


def _fact(match: re.Match[str], text: str, unit: str | None) -> Fact | None:
    """A number with the word behind it; some units are two words."""
    first, last, word = match.groups()
    if unit is None or unit == "days":
        following = _NEXT_WORD.match(text, match.end())
        then = following[1].lower() if following else ""
        if unit is None and word in _PERCENT_IN_TWO:
            unit = "%" if then in _PERCENT_IN_TWO[word] else None
        elif word in _BUSINESS or then in _BUSINESS:
            unit = "business days" if unit or _MEANINGS.get(then) == "days" else None
    number = number_of(last or first)
    if unit is None or number > _LARGEST or (word[0] == "\u5e74" and number >= _FIRST_YEAR):
        return None
    return Fact(number, unit)


def _amount_after_currency(match: re.Match[str], text: str) -> Fact | None:
    """A number with a currency's sign or code before it."""
    start = match.start()
    if not start or text[start - 1] not in _MAY_END_CURRENCY:
        return None
    before = _BEFORE.search(text, max(0, start - _BEFORE_REACH), start)
    number = number_of(match[2] or match[1])
    if before is None or number > _LARGEST:
        return None
    return Fact(number, before["code"] or _SYMBOLS[before["symbol"]])


@lru_cache(maxsize=4096)
def _column_of(fact: Fact) -> str:
    return with_key(STATED, shown(fact))


class Facts:
    """Family `facts`."""

    family = "facts"
    word_columns: Mapping[str, Callable[[str], float]] = {"facts.word": word_facts}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "output.facts.amount", Kind.NUMBER, "middle one of the amounts of money it states", role=Role.FACTS
        ),
        FeatureSpec(
            "output.facts.duration_days", Kind.NUMBER, "middle one of the durations it states", "days", role=Role.FACTS
        ),
        FeatureSpec(
            "output.facts.percentage", Kind.NUMBER, "middle one of the percentages it states", "%", role=Role.FACTS
        ),
        FeatureSpec("output.facts.dates", Kind.COUNT, "dates it states", "dates", role=Role.FACTS),
        FeatureSpec("output.facts.currency", Kind.CATEGORY, "currency of the amounts it states", role=Role.FACTS),
        FeatureSpec(
            STATED,
            Kind.CATEGORY,
            "value with its unit that it states most often, else first: 30 days, 4.90 GBP",
            role=Role.FACTS,
        ),
    )
    templates: tuple[FeatureSpec, ...] = ()

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where an output states none."""
        n = len(batch)
        found = _stated(batch)
        numbers = np.full((n, 3), np.nan)
        currencies: list[str | None] = [None] * n
        values: list[str | None] = [None] * n
        for row, facts in enumerate(found.facts):
            if not facts:
                continue
            values[row] = shown(max(facts, key=facts.count) if len(facts) > 2 else facts[0])  # of equal ones the first
            stated: tuple[list[float], list[float], list[float]] = ([], [], [])
            for number, unit in facts:
                days = _DAYS.get(unit)
                if days is not None:
                    stated[1].append(number * days)
                else:
                    stated[2 if unit == "%" else 0].append(number)
            for column, of_kind in enumerate(stated):
                if of_kind:
                    numbers[row, column] = sorted(of_kind)[len(of_kind) // 2]
            if stated[0]:
                currencies[row] = ", ".join(sorted({fact.unit for fact in facts if fact.unit.isupper()})[:3])
        masked = [batch.output.masked(numbers[:, column]) for column in range(3)]
        return {
            "output.facts.amount": masked[0],
            "output.facts.duration_days": masked[1],
            "output.facts.percentage": masked[2],
            "output.facts.dates": batch.output.masked(found.dates),
            "output.facts.currency": currencies,
            STATED: values,
        }

    def keyed(self, batch: EventBatch) -> Sequence[Keyed]:
        """Each value that an output states, under its own name, as often as it does; and which question it answers."""
        return [
            {_column_of(fact): float(facts.count(fact)) for fact in facts} | _question(event.input)
            if facts
            else NO_KEYED
            for facts, event in zip(_stated(batch).facts, batch.events, strict=True)
        ]


def _question(asked: str | None) -> dict[str, float | str]:
    """The hash of an input's words, without case and punctuation; nothing for one without words."""
    words = _QUESTION_WORDS.findall(asked[:_QUESTION_CHARACTERS].lower()) if asked else []
    if not words:
        return {}
    hashed = blake2b(" ".join(words).encode("utf-8", "surrogatepass"), digest_size=_QUESTION_BYTES)
    return {QUESTION_KEY: hashed.hexdigest()}


class _Stated(NamedTuple):
    facts: list[list[Fact]]
    dates: NDArray[np.float64]


def _stated(batch: EventBatch) -> _Stated:
    """Facts and number of dates of each output, worked out once for a batch."""
    output = batch.output
    found: _Stated | None = output.memory.get("facts")
    if found is None:
        worded = _worded(output)
        scanned = [facts_of(text) if text and _has_digits(text) else ([], 0) for text in output.texts]
        facts = [(digits + worded.get(row, []))[:MAX_FACTS] for row, (digits, _) in enumerate(scanned)]
        found = _Stated(facts, np.array([dates for _, dates in scanned], dtype=np.float64))
        output.memory["facts"] = found
    return found


def _has_digits(text: str) -> bool:
    return any(map(text.__contains__, "0123456789"))
