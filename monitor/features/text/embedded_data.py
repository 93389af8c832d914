"""Images and other data that are written into a text: data URIs and long runs of base64 or hexadecimal digits.

Half a megabyte of base64 is no language. Measured as text it costs as much as a hundred answers, and its length, words
and pieces say nothing of what was said. `monitor.features.text.words.TextBatch` cuts it out of every text before the
one pass, leaves a short marker in its place (an output that is an image alone is not empty), and counts the cuts. May
import nothing of this package.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SHORTEST = 512
"""Characters from which an unbroken run that looks random is data. Words, addresses and keys are shorter."""
_WINDOW = 128
"""Runs are looked for in windows of this many characters: one of `SHORTEST` fills two of them at the least."""
_SAMPLE = 256  # characters at the start, the middle and the end of a run: data looks alike all along
_LEAST_DISTINCT = 12  # different characters in a sample: hexadecimal digits have 16, a loop of a few words fewer
_LEAST_NEW = 0.5  # share of the sample's runs of four characters that are new: data hardly repeats, loops do
_URI = re.compile(
    r"data:(?P<type>[\w.+-]{1,40}/[\w.+-]{1,80}+)(?:;[\w.=+-]{1,60}+){0,8}?"
    r"(?:;base64,(?:[A-Za-z0-9+/_-]|\\?[=/]|%[0-9A-Fa-f]{2}|\\[nr]|\r?\n(?=[A-Za-z0-9+/]{16})){32,}+"
    r"|,[^\s\"'<>()\\]{64,}+)",
    re.IGNORECASE,
)
_BREAK = r"(?:\r?\n|\\r?\\n|\\n)[ \t]{0,8}"
_RUN = re.compile(
    r"[A-Za-z0-9+/_-]{60,}+={0,2}"
    rf"(?:{_BREAK}[A-Za-z0-9+/_-]{{40,}}+={{0,2}})*+"
    # the last line may be shorter: one that holds more than letters, and nothing after it
    rf"(?:{_BREAK}(?=[A-Za-z]{{0,39}}[0-9+/=])[A-Za-z0-9+/_-]{{2,39}}+={{0,2}}(?![^\s\"'`)\\]))?",
    re.ASCII,
)


def cut_out(texts: Sequence[str | None]) -> tuple[Sequence[str | None], NDArray[np.int64]]:
    """The texts (n) with a marker in place of each piece of embedded data, and how many each text had (n).

    Texts without any are given back as they are, the same objects.
    """
    counts = np.zeros(len(texts), dtype=np.int64)
    kept: list[str | None] | None = None
    for place, text in enumerate(texts):
        if text is None or len(text) < 48 or not ("data:" in text or _may_hold_run(text)):
            continue
        cut, count = _cut(text)
        if count:
            kept = list(texts) if kept is None else kept
            kept[place] = cut
            counts[place] = count
    return texts if kept is None else kept, counts


def _cut(text: str) -> tuple[str, int]:
    """The text without its embedded data, and how many pieces it had. Linear: each character is read a few times."""
    found = 0
    if "data:" in text:
        text, found = _URI.subn(lambda uri: f"data:{uri['type'].lower()}", text)

    def marked(run: re.Match[str]) -> str:
        nonlocal found
        if len(run[0]) < SHORTEST or not _is_data(run[0]):
            return run[0]
        found += 1
        return "data:base64"

    return (_RUN.sub(marked, text) if _may_hold_run(text) else text), found


def _may_hold_run(text: str) -> bool:
    """Whether some window of a text is one run without a space, in ASCII: looks once at a sixtieth of ordinary text."""
    if len(text) < SHORTEST:
        return False
    find = text.find
    at, last = 0, len(text) - _WINDOW
    while at <= last:
        space = find(" ", at, at + _WINDOW)
        if space < 0 and _is_plain(text[at : at + _WINDOW]):
            return True
        at += _WINDOW
    return False


def _is_plain(window: str) -> bool:
    """Whether a window without a space is letters, digits and line breaks of ASCII, nearly all of it."""
    return window.isascii() and sum(map(window.count, ',.:;"(){}[]|<>')) <= _WINDOW // 32


def _is_data(run: str) -> bool:
    """Whether a run looks random at its start, in its middle or at its end: no loop, no word of a language."""
    middle = len(run) // 2
    return any(map(_looks_random, (run[:_SAMPLE], run[middle : middle + _SAMPLE], run[-_SAMPLE:])))


def _looks_random(sample: str) -> bool:
    digits = sum(map(sample.count, "0123456789"))
    fours = len({sample[at : at + 4] for at in range(len(sample) - 3)})
    return digits >= 4 and len(set(sample)) >= _LEAST_DISTINCT and fours >= _LEAST_NEW * (len(sample) - 3)
