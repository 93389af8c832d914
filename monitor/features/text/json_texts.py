"""JSON as outputs hold it: whole, cut at a limit, one value a line, or no JSON at all.

`monitor.features.families.format` calls `read_json` with the text of an output, or of the code block that the output
is. May import nothing of this package.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

LONGEST_JSON = 1_000_000  # characters: bounds time and memory of parsing; no answer of a model is as long
_SCANNED = 20_000
"""Characters that are read to tell a cut array from prose in brackets: a quarter of a second for each megabyte else."""

_START = re.compile(r"\{\s*+(?:[\"}]|\Z)|\[\s*+(?:[\[{\"\]\d-]|true|false|null|(?:tr?u?|fa?l?s?|nu?l?)?\Z)")
_OBJECTS = re.compile(r"\[\s*+(?:\[\s*+)*+\{\s*+[\"}]")
_CITATION = re.compile(r"\[\d[\d, \u2013-]*+\]")
_TOKEN = re.compile(
    r"\s*+(?:"
    r"(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<colon>:)"
    r"|(?P<string>\"(?:[^\"\\\x00-\x1f]|\\.)*+\")"
    r"|(?P<scalar>-?\d++(?:\.\d++)?(?:[eE][+-]?\d++)?(?![\w.+-])|(?:true|false|null)(?!\w))"
    r"|(?P<rest>\"(?:[^\"\\\x00-\x1f]|\\.)*+\\?\Z|-?(?:\d++(?:\.\d*+)?(?:[eE][+-]?\d*+)?)?\Z"
    r"|(?:t|tr|tru|f|fa|fal|fals|n|nu|nul)\Z)"
    r")",
    re.DOTALL,
)


class JsonText(NamedTuple):
    """A text that begins as JSON: whether it parses, as one value or as one a line (`values`)."""

    parses: bool
    value: object = None
    values: list[object] | None = None


BROKEN = JsonText(False)


def parse_json(text: str) -> object:
    """The value of a JSON text of at most 1 MB. Raises `ValueError` where it is none, or nested too deeply."""
    if len(text) > LONGEST_JSON:
        raise ValueError(f"longer than {LONGEST_JSON} characters")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from None


def starts_as_json(text: str) -> bool:
    """Whether a stripped, non-empty text begins with an object or array."""
    return text[0] in "{[" and _START.match(text) is not None


def read_json(text: str) -> JsonText | None:
    """What a stripped text is that begins as JSON; None where it begins otherwise, or is prose in brackets.

    An object that does not parse is broken JSON. An array is where it holds objects, ends with its bracket, or would
    parse if it went on: "[1] Smith (2020) ..." is prose, "[1, 2, 3" is an array that was cut.
    """
    if not text or not starts_as_json(text):
        return None
    try:
        return JsonText(True, parse_json(text))
    except ValueError:
        pass
    lines, cut = _by_lines(text)
    if lines and not cut:
        return JsonText(True, values=lines)
    if text[0] == "{" or lines or _OBJECTS.match(text):
        return BROKEN
    scanned = text[:_SCANNED]
    end = _end_of_value(scanned)
    if end is None:  # goes on
        return BROKEN
    if text[-1] != "]" or (_CITATION.match(scanned) and scanned[end : end + 40].strip()[:1].isalpha()):
        return None
    return BROKEN


def _by_lines(text: str) -> tuple[list[object], bool]:
    """The values of a text with one JSON object or array a line, and whether the last line was cut; none where any
    line is something else, or there is one only."""
    values: list[object] = []
    if "\n" not in text or len(text) > LONGEST_JSON:
        return values, False
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    for place, line in enumerate(lines):
        if line[0] not in "{[":
            return [], False
        try:
            values.append(parse_json(line))
        except ValueError:
            if place and place == len(lines) - 1 and starts_as_json(line):
                return values, True
            return [], False
    return values, False


def _end_of_value(text: str) -> int | None:
    """Where the value that begins a text ends, or where it goes wrong; None where the text ends before.

    Reads one token after the other, each once: what may follow is known from the one before and the open brackets.
    """
    open_brackets: list[str] = []
    at, follows = 0, "value"
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return at
        kind, end = match.lastgroup, match.end()
        if kind == "rest":
            return None if follows != "comma" else at
        if kind == "open" and follows.startswith("value"):
            open_brackets.append(match.group("open"))
            follows = "key or close" if open_brackets[-1] == "{" else "value or close"
        elif kind == "close" and (follows == "comma" or follows.endswith("close")):
            if open_brackets.pop() + match.group("close") not in ("[]", "{}"):
                return at
            if not open_brackets:
                return end
            follows = "comma"
        elif kind == "comma" and follows == "comma":
            follows = "key" if open_brackets[-1] == "{" else "value"
        elif kind == "colon" and follows == "colon":
            follows = "value"
        elif kind == "string" and follows.startswith("key"):
            follows = "colon"
        elif kind in ("string", "scalar") and follows.startswith("value"):
            follows = "comma"
        else:
            return at
        at = end
    return None
